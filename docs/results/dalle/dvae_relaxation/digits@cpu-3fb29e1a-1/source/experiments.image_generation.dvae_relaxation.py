"""Does annealing the temperature of the Gumbel-softmax close the gap between relaxed and discrete reconstruction?

Paper: Ramesh et al. 2021 (DALL-E), arXiv 2102.12092, section 2.1. Serves the claim `dalle/dvae_relaxation`.

A discrete VAE encodes an image x as a grid of tokens, each one of K codes. In training a token is relaxed:

    y = softmax((logits + g) / τ),   g from a standard Gumbel distribution          (a point of the simplex)
    z = onehot(argmax(logits + g))                                                  (a draw from q(z | x), what τ → 0 gives)
    loss = |x − decoder(y)|² / (2 σ²) + β KL(q(z | x) ‖ uniform), the KL summed over the tokens of an image

The gap is MSE(decoder(z)) − MSE(decoder(y)) on held-out images, with the same g in both and τ as at the end of training. One trial trains
the arms side by side, from the same weights, on the same images with the same g; only τ differs:

    `annealed`   from 1 to 1/16 by half a cosine over the first half of the steps, then constant
    `fixed`      1 throughout
    `reversed`   from 1/16 to 1, the control: it has seen low temperatures too, and ends at 1

Hardware and time: about 25 s of one CPU core a trial at `cpu`. Deviations: see the claim.
"""

from dataclasses import dataclass
from math import cos, log, pi

import torch
from torch import Tensor
from torch.nn import functional as F

from repro.lab.mnist import load_mnist
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context

ARMS = ("annealed", "fixed", "reversed")


@dataclass(frozen=True)
class Config:
    """Images, sizes, and the schedule of τ."""

    source: str = "digits"
    """`digits`: the 1,797 images of 8 × 8 pixels of scikit-learn; `mnist`: 70,000 of 28 × 28."""
    patch: int = 2
    """Pixels of a side that one token stands for: 8 / 2 gives 4 × 4 tokens."""
    K: int = 64
    """Codes; 8,192 in the paper."""
    width: int = 64
    """Hidden units a token, in encoder and decoder."""
    embedding: int = 16
    """Numbers that the decoder makes of a token before it looks at its neighbours."""
    lowest: float = 1 / 16
    """τ at the end of the annealing."""
    anneal_share: float = 0.5
    """Share of the steps over which τ changes."""
    beta: float = 1.0
    """β, weight of the KL; the bound itself has 1, the paper uses 6.6."""
    sigma2: float = 0.02
    """σ² of the Gaussian likelihood of a pixel in [0, 1]."""
    steps: int = 3000
    """Updates."""
    batch: int = 64
    """Images of a step."""
    lr: float = 2e-3
    """Peak learning rate of Adam; falls to 0 by half a cosine."""
    held_out: int = 360
    """Images kept for the measurement."""
    draws: int = 8
    """Draws of g for each held-out image."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, the split, order and g."""


def load_images(config: Config, context: Context) -> Tensor:
    """Return images [N, 1, S, S] in [0, 1]."""
    if config.source == "mnist":
        train, test = load_mnist(context.data)
        return torch.cat([train.images, test.images])[:, None].float() / 255
    from sklearn.datasets import load_digits

    return torch.from_numpy(load_digits().images).float()[:, None] / 16


def gumbel(shape: tuple[int, ...], draw: torch.Generator, device: str) -> Tensor:
    """Return draws from the standard Gumbel distribution, −ln(−ln u)."""
    u = torch.rand(shape, generator=draw, device=device).clamp_(1e-10, 1 - 1e-7)
    return -(-u.log()).log()


def relaxed(logits: Tensor, g: Tensor, tau: Tensor | float) -> Tensor:
    """Return y [..., K], the Gumbel-softmax at temperature τ."""
    return ((logits + g) / tau).softmax(-1)


def sampled(logits: Tensor, g: Tensor) -> Tensor:
    """Return z [..., K], one-hot: by the Gumbel-max identity an exact draw from softmax(logits)."""
    return F.one_hot((logits + g).argmax(-1), logits.shape[-1]).to(logits.dtype)


def kl_to_uniform(logits: Tensor) -> Tensor:
    """Return KL(softmax(logits) ‖ uniform) in nats, [...] of logits [..., K]."""
    log_q = logits.log_softmax(-1)
    return (log_q.exp() * log_q).sum(-1) + log(logits.shape[-1])


def temperature(arm: str, done: float, config: Config) -> float:
    """Return τ of an arm when the share `done` of the steps is done."""
    if arm == "fixed":
        return 1.0
    start, end = (1.0, config.lowest) if arm == "annealed" else (config.lowest, 1.0)
    return end + (start - end) * (1 + cos(pi * min(done / config.anneal_share, 1.0))) / 2


def initial_weights(config: Config, device: str) -> dict[str, Tensor]:
    """Return matrices [A, in, out] and biases [A, 1, out], equal in all arms."""
    draw = generator("dvae weights", config.seed)
    sizes = {
        "encode": (4 * config.patch**2, config.width),
        "logits": (config.width, config.K),
        "embed": (config.K, config.embedding),
        "look": (9 * config.embedding, config.width),
        "pixels": (config.width, config.patch**2),
    }
    weights = {}
    for name, (inputs, outputs) in sizes.items():
        weights[name] = torch.randn(1, inputs, outputs, generator=draw) * (2 / inputs) ** 0.5
        weights[f"{name}_bias"] = torch.zeros(1, 1, outputs)
    weights["embed"] *= (config.K / 2) ** 0.5  # one input is 1 and the others 0
    return {n: w.repeat(len(ARMS), 1, 1).to(device).requires_grad_() for n, w in weights.items()}


def linear(w: dict[str, Tensor], name: str, h: Tensor) -> Tensor:
    """Return h [A, n, in] times the matrix `name`, plus its bias."""
    return torch.baddbmm(w[f"{name}_bias"], h, w[name])


def encode(w: dict[str, Tensor], x: Tensor, config: Config) -> Tensor:
    """Return logits [A, B · G², K] of images x [B, 1, S, S]: each token sees twice its own patch in both directions."""
    seen = F.unfold(x, 2 * config.patch, padding=config.patch // 2, stride=config.patch)  # [B, 4 patch², G²]
    seen = seen.transpose(1, 2).flatten(0, 1).expand(len(ARMS), -1, -1)
    return linear(w, "logits", F.relu(linear(w, "encode", seen)))


def decode(w: dict[str, Tensor], y: Tensor, grid: int, config: Config) -> Tensor:
    """Return images [A, B, 1, S, S] of tokens y [A, B · G², K]: each patch is made from 3 × 3 tokens."""
    arms = len(y)
    e = F.relu(linear(w, "embed", y)).reshape(-1, grid, grid, config.embedding).permute(0, 3, 1, 2)
    near = F.unfold(e, 3, padding=1).transpose(1, 2).reshape(arms, -1, 9 * config.embedding)
    pixels = linear(w, "pixels", F.relu(linear(w, "look", near)))  # [A, B · G², patch²]
    patches = pixels.reshape(-1, grid * grid, config.patch**2).transpose(1, 2)
    x = F.fold(patches, (grid * config.patch,) * 2, config.patch, stride=config.patch)
    return x.unflatten(0, (arms, -1))


def train(w: dict[str, Tensor], images: Tensor, config: Config, context: Context) -> None:
    """Minimise the loss of every arm in place; Adam works weight by weight, so that no arm feels another."""
    device, n = context.device, len(images)
    draw = torch.Generator(device).manual_seed(derived_seed("dvae noise", config.seed))
    order, grid = generator("dvae order", config.seed), images.shape[-1] // config.patch
    optimizer = torch.optim.Adam(w.values(), lr=config.lr, betas=(0.9, 0.99))
    for step in range(config.steps):
        done = step / config.steps
        optimizer.param_groups[0]["lr"] = config.lr * (1 + cos(pi * done)) / 2
        tau = torch.tensor([temperature(arm, done, config) for arm in ARMS], device=device)[:, None, None]
        x = images[torch.randint(n, (config.batch,), generator=order).to(device)]
        logits = encode(w, x, config)
        y = relaxed(logits, gumbel(logits.shape[1:], draw, device), tau)
        errors = (decode(w, y, grid, config) - x).square().flatten(2).sum(2).mean(1)  # [A]
        kl = kl_to_uniform(logits).unflatten(1, (config.batch, -1)).sum(2).mean(1)  # [A]
        optimizer.zero_grad()
        (errors / (2 * config.sigma2) + config.beta * kl).sum().backward()
        optimizer.step()
        if step % max(1, config.steps // 20) == 0:
            context.progress(done)
            context.log(step, **{f"squared_error_{arm}": e for arm, e in zip(ARMS, errors.tolist(), strict=True)})


@torch.no_grad()
def measure(w: dict[str, Tensor], images: Tensor, config: Config, context: Context) -> dict[str, float]:
    """Return errors, gaps and use of the codes on held-out images; see `run`."""
    device, grid = context.device, images.shape[-1] // config.patch
    draw = torch.Generator(device).manual_seed(derived_seed("dvae measured noise", config.seed))
    tau = torch.tensor([temperature(arm, 1.0, config) for arm in ARMS], device=device)[:, None, None]
    variance = images.var(correction=0)
    errors = {name: torch.zeros(len(ARMS), device=device) for name in ("relaxed", "hard")}
    counts = torch.zeros(len(ARMS), config.K, device=device)
    for x in images.split(500):
        logits, share = encode(w, x, config), len(x) / len(images) / config.draws
        for _ in range(config.draws):
            g = gumbel(logits.shape[1:], draw, device)
            z = sampled(logits, g)
            counts += z.sum(1)
            for name, tokens in (("relaxed", relaxed(logits, g, tau)), ("hard", z)):
                errors[name] += share * (decode(w, tokens, grid, config) - x).square().flatten(1).mean(1) / variance
    used = counts / counts.sum(1, keepdim=True)
    perplexity = torch.special.entr(used).sum(1).exp()
    row = {
        f"{name}_{arm}": value
        for name, all_arms in errors.items()
        for arm, value in zip(ARMS, all_arms.tolist(), strict=True)
    }
    for i, arm in enumerate(ARMS):
        row[f"gap_{arm}"] = row[f"hard_{arm}"] - row[f"relaxed_{arm}"]
        row |= {f"codes_{arm}": float((counts[i] > 0).sum()), f"perplexity_{arm}": float(perplexity[i])}
    return row


def run(config: Config, context: Context) -> dict[str, float]:
    """Train the arms and compare them.

    Returns:
        for each arm of `ARMS` `relaxed_<arm>` and `hard_<arm>`: mean squared error of a held-out pixel over the variance of such pixels;
        `gap_<arm>`: the second minus the first; `codes_<arm>`: codes drawn at least once, of K; `perplexity_<arm>`: of their use;
        `drop` and `drop_reversed`: the fixed arm's gap minus that of the annealed or reversed one;
        `remaining` and `remaining_reversed`: those gaps over the fixed arm's; `flops`.
    """
    torch.set_num_threads(config.threads)
    images = load_images(config, context)
    order = torch.randperm(len(images), generator=generator("dvae split", config.seed))
    images = images[order].to(context.device)
    w = initial_weights(config, context.device)
    train(w, images[config.held_out :], config, context)
    row = measure(w, images[: config.held_out], config, context)
    for name, arm in (("", "annealed"), ("_reversed", "reversed")):
        row[f"drop{name}"] = row["gap_fixed"] - row[f"gap_{arm}"]
        row[f"remaining{name}"] = row[f"gap_{arm}"] / row["gap_fixed"]
    tokens = (images.shape[-1] // config.patch) ** 2
    weights = sum(value[0].numel() for name, value in w.items() if not name.endswith("bias"))
    return row | {"flops": 6.0 * weights * tokens * config.batch * config.steps * len(ARMS)}


if __name__ == "__main__":
    for column, value in run(Config(seed=1000), Context()).items():
        print(f"{column:24} {value:g}")
