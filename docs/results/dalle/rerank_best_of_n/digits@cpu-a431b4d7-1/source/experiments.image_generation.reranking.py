"""Draw N images for a caption, keep the one that a contrastive model likes best: does that improve what is kept?

Paper: Ramesh et al. 2021 (DALL-E), arXiv 2102.12092, section 3.1 and Figure 9c. Serves the claim `dalle/rerank_best_of_n`.

One trial trains on handwritten digits, whose "caption" is the digit:

    tokens       the codes of 2 × 2 pixels, by k-means
    generator    p(tokens | caption), token by token; trained on the first part of the images
    scorer       two towers, image and caption, whose inner products are trained so that an image finds its caption and a caption its image
                 among those of a batch; on the first part too
    judge        a classifier, trained on the second part; inception score and Fréchet distance are in its terms, against the third part

For each caption 64 images are drawn; best of N takes the highest score among the first N. The control ranks by random numbers.

    inception score = exp(mean over images of KL(p(y | x) ‖ mean of p(y | x)))
    Fréchet distance = |μ − μ'|² + tr(C + C' − 2 (C C')^½) of the judge's hidden units

Hardware and time: about 10 s of one CPU core a trial at `cpu`. Deviations: see the claim.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.mnist import load_mnist
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Images, sizes and steps."""

    source: str = "digits"
    """`digits`: 1,797 images of 8 × 8 pixels; `mnist`: 70,000 of 28 × 28."""
    parts: tuple[int, int] = (900, 500)
    """Images for generator and scorer, and for the judge; the others are the reference."""
    patch: int = 2
    """Pixels of a side of a token."""
    K: int = 64
    """Codes."""
    hidden: int = 128
    """Units of the generator's recurrent layer."""
    generator_steps: int = 400
    """Updates of the generator."""
    scorer_steps: int = 300
    """Updates of the scorer."""
    judge_steps: int = 300
    """Updates of the judge."""
    width: int = 64
    """Hidden units of judge and scorer."""
    batch: int = 64
    """Images of a step."""
    lr: float = 3e-3
    """Learning rate of Adam, for all three."""
    captions: int = 600
    """Captions, as many of each digit."""
    N: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    """Numbers of images to choose among; all are read off the same draws."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws the split, weights, order and samples."""


class Generator(nn.Module):
    """p(token | tokens before, caption) by a gated recurrent unit."""

    def __init__(self, tokens: int, config: Config) -> None:
        super().__init__()
        half = config.hidden // 2
        self.begin, self.tokens = config.K, tokens
        self.token, self.caption = nn.Embedding(config.K + 1, half), nn.Embedding(10, half)
        self.place = nn.Parameter(torch.zeros(tokens, half))
        self.gru = nn.GRU(half, config.hidden, batch_first=True)
        self.out = nn.Linear(config.hidden, config.K)

    def inputs(self, before: Tensor, captions: Tensor, start: int = 0) -> Tensor:
        """[B, T] tokens before those asked for, captions [B]; returns [B, T, hidden / 2]."""
        place = self.place[start : start + before.shape[1]]
        return self.token(before) + self.caption(captions)[:, None] + place

    def forward(self, tokens: Tensor, captions: Tensor) -> Tensor:
        """Logits [B, T, K] of tokens [B, T], each from those before it."""
        before = F.pad(tokens[:, :-1], (1, 0), value=self.begin)
        return self.out(self.gru(self.inputs(before, captions))[0])

    @torch.no_grad()
    def sample(self, captions: Tensor, draw: torch.Generator) -> Tensor:
        """Return tokens [B, T], drawn one after the other."""
        last, state, drawn = torch.full_like(captions, self.begin)[:, None], None, []
        for place in range(self.tokens):
            h, state = self.gru(self.inputs(last, captions, place), state)
            last = torch.multinomial(self.out(h[:, 0]).softmax(-1), 1, generator=draw)
            drawn.append(last)
        return torch.cat(drawn, 1)


class Scorer(nn.Module):
    """A tower for images and a table for captions, both onto a sphere."""

    def __init__(self, pixels: int, width: int) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, 32))
        self.caption = nn.Embedding(10, 32)
        self.log_scale = nn.Parameter(torch.tensor(log(10.0)))

    def forward(self, images: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors [B, 32] of images [B, pixels] and captions [B]."""
        return F.normalize(self.image(images), dim=-1), F.normalize(self.caption(captions), dim=-1)

    def loss(self, images: Tensor, captions: Tensor) -> Tensor:
        """The symmetric contrastive loss: each image among the captions of the batch, each caption among the images."""
        u, v = self(images, captions)
        logits, own = self.log_scale.exp() * u @ v.T, torch.arange(len(u), device=u.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def patches_of(images: Tensor, patch: int) -> Tensor:
    """[B, S, S] to [B, (S / patch)², patch²]."""
    return F.unfold(images[:, None], patch, stride=patch).transpose(1, 2)


def images_of(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `patches_of`, flattened to [B, S²]."""
    side = patch * round(patches.shape[1] ** 0.5)
    return F.fold(patches.transpose(1, 2), (side, side), patch, stride=patch).flatten(1)


def nearest(patches: Tensor, codes: Tensor) -> Tensor:
    """Return the nearest code [B, T] of patches [B, T, p] among codes [K, p]."""
    return torch.cdist(patches.flatten(0, 1), codes).argmin(1).unflatten(0, patches.shape[:2])


def fit(
    model: nn.Module,
    name: str,
    steps: int,
    n: int,
    loss: Callable[[Tensor], Tensor],
    config: Config,
    context: Context,
) -> None:
    """Minimise `loss(places [batch] among n images)` by Adam."""
    optimizer, order = torch.optim.Adam(model.parameters(), lr=config.lr), generator(name, config.seed)
    for step in range(steps):
        value = loss(torch.randint(n, (config.batch,), generator=order).to(context.device))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if step % 50 == 0:
            context.log(step, **{f"{name}_loss": value.item()})


def inception_score(p: Tensor) -> float:
    """exp of the mutual information of image and class, from class probabilities [n, classes]."""
    p = p.double()
    return float((torch.special.entr(p.mean(0)).sum() - torch.special.entr(p).sum(1).mean()).exp())


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Between the normal distributions fitted to features [n, d] and [m, d]."""
    a, b = a.double(), b.double()
    values, vectors = torch.linalg.eigh(a.T.cov())
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ b.T.cov() @ root).clamp_min(0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + a.var(0).sum() + b.var(0).sum() - 2 * cross)


def load_images(config: Config, context: Context) -> tuple[Tensor, Tensor]:
    """Return images [n, S, S] in [0, 1] and labels [n], in an order drawn by the seed."""
    if config.source == "mnist":
        both = load_mnist(context.data)
        images, labels = (torch.cat(each) for each in zip(*((s.images, s.labels) for s in both), strict=True))
        images = images.float() / 255
    else:
        from sklearn.datasets import load_digits

        data = load_digits()
        images, labels = torch.from_numpy(data.images).float() / 16, torch.from_numpy(data.target).long()
    order = torch.randperm(len(labels), generator=generator("rerank split", config.seed))
    return images[order].to(context.device), labels[order].to(context.device)


def learn_codes(patches: Tensor, config: Config) -> Tensor:
    """Return K codes [K, patch²] by k-means on at most 50,000 patches."""
    from sklearn.cluster import KMeans

    seed = derived_seed("rerank codes", config.seed) % 2**32
    found = KMeans(config.K, n_init=1, random_state=seed).fit(patches.flatten(0, 1)[:50_000].cpu().numpy())
    return torch.from_numpy(found.cluster_centers_).float().to(patches.device)


def best_of(scores: Tensor, n: int) -> Tensor:
    """Return the place [captions] of the highest of the first n scores [captions, N]."""
    return scores[:, :n].argmax(1)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train generator, scorer and judge, draw and choose.

    Returns:
        for each N and `<ranker>` one of `scorer` and `random`: `inception_<ranker>_<N>` and `frechet_<ranker>_<N>`, and `accuracy_<ranker>_<N>`, the
        share that the judge reads as the caption; `better_inception_<ranker>_<N>`: ln of the inception score over that of N = 1;
        `better_frechet_<ranker>_<N>`: ln of the Fréchet distance at N = 1 over that at N; `judge_accuracy` on images of the third part.
    """
    torch.set_num_threads(config.threads)
    device = context.device
    images, labels = load_images(config, context)
    own, judged = config.parts[0], sum(config.parts)
    pixels = images.flatten(1)
    patches = patches_of(images[:own], config.patch)
    codes = learn_codes(patches, config)
    tokens = nearest(patches, codes)

    torch.manual_seed(derived_seed("rerank weights", config.seed))
    model = Generator(tokens.shape[1], config).to(device)
    scorer = Scorer(pixels.shape[1], config.width).to(device)
    features = nn.Sequential(nn.Linear(pixels.shape[1], config.width), nn.ReLU()).to(device)
    judge = nn.Sequential(features, nn.Linear(config.width, 10)).to(device)

    def generator_loss(i: Tensor) -> Tensor:
        return F.cross_entropy(model(tokens[i], labels[i]).flatten(0, 1), tokens[i].flatten())

    def judge_loss(i: Tensor) -> Tensor:
        return F.cross_entropy(judge(pixels[own + i]), labels[own + i])

    fit(model, "generator", config.generator_steps, own, generator_loss, config, context)
    context.progress(0.6)
    fit(scorer, "scorer", config.scorer_steps, own, lambda i: scorer.loss(pixels[i], labels[i]), config, context)
    fit(judge, "judge", config.judge_steps, config.parts[1], judge_loss, config, context)
    context.progress(0.8)

    most, draw = max(config.N), torch.Generator(device).manual_seed(derived_seed("rerank samples", config.seed))
    captions = torch.arange(config.captions, device=device) % 10
    with torch.no_grad():
        drawn = [model.sample(part, draw) for part in captions.repeat_interleave(most).split(20_000)]
        made = torch.cat([images_of(codes[part], config.patch) for part in drawn]).unflatten(0, (-1, most))
        u, v = scorer(made.flatten(0, 1), captions.repeat_interleave(most))
        scores = {"scorer": (u * v).sum(1).unflatten(0, (-1, most))}
        scores["random"] = torch.rand(scores["scorer"].shape, generator=draw, device=device)
        reference = pixels[judged:]
        of_reference = features(reference)
        row = {"judge_accuracy": float((judge(reference).argmax(1) == labels[judged:]).float().mean())}
        for ranker, ranks in scores.items():
            for n in config.N:
                kept = made[torch.arange(len(captions), device=device), best_of(ranks, n)]
                p, name = judge(kept).softmax(1), f"{ranker}_{n}"
                row[f"inception_{name}"] = inception_score(p)
                row[f"frechet_{name}"] = frechet_distance(features(kept), of_reference)
                row[f"accuracy_{name}"] = float((p.argmax(1) == captions).float().mean())
                one = f"{ranker}_{config.N[0]}"
                row[f"better_inception_{name}"] = log(row[f"inception_{name}"] / row[f"inception_{one}"])
                row[f"better_frechet_{name}"] = log(row[f"frechet_{one}"] / row[f"frechet_{name}"])
    return row


if __name__ == "__main__":
    for column, value in run(Config(seed=1000), Context()).items():
        print(f"{column:28} {value:g}")
