"""Class-conditional diffusion with classifier-free guidance of growing strength: how true to its class, how varied.

Papers: Rombach et al., arXiv 2112.10752, Table 3 (class-conditional ImageNet: guidance raises inception score and precision and lowers
recall); the guidance itself is Ho and Salimans'. Serves the claim `latent_diffusion/guidance_tradeoff`.

    ε = ε_θ(x, t, c) + w (ε_θ(x, t, c) − ε_θ(x, t, none))

In the paper's scale s = 1 + w; its s = 1.5 is w = 0.5. One trial trains one network, whose labels are dropped now and then so that it also
knows "none", and draws as many images of every class at every w, from the same x_T and without further noise (η = 0).

Its control is guidance towards another class c' than the one asked for: ε_θ(c) + w (ε_θ(c') − ε_θ(none)).

Hardware and time: `cpu` about a quarter of a minute a trial on one core. Deviations: digits of 8×8 pixels and no latent space (cpu), or pictures of
characters (gpu); agreement with a classifier and pixel variance instead of inception score, precision and recall.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.image_generation.diffusion import alphas, parameters, train
from experiments.image_generation.digits import frechet
from experiments.image_generation.samplers import sample
from experiments.image_generation.worlds import chunked, network, world
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One network and the strengths at which it is guided."""

    images: str = "digits"
    """`digits`, with a residual MLP, or `glyphs`, with a U-Net."""
    number: int = 1797
    """Training images."""
    width: int = 192
    """Units of a layer of the MLP, or channels of the U-Net's first level."""
    blocks: int = 2
    """Residual blocks of the MLP."""
    T: int = 1000
    """Steps of the forward process."""
    train_steps: int = 2500
    """Steps of training."""
    batch: int = 128
    """Images in a step."""
    lr: float = 1e-3
    """Peak learning rate of Adam."""
    label_dropout: float = 0.1
    """Share of the training images whose label is withheld."""
    classifier_epochs: int = 40
    """Passes of the classifier over the digits (or thirtieths of its steps, for glyphs)."""
    S: int = 50
    """Steps of sampling."""
    w: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    """Strengths of guidance."""
    per_class: int = 50
    """Images drawn of every class at every strength."""
    chunk: int = 512
    """Images that go through the network at once while sampling."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, training noise, x_T and the other classes."""


def guided(eps: Callable[..., Tensor], asked: Tensor, towards: Tensor, none: int, w: float) -> Callable[..., Tensor]:
    """Return ε of x [B, …] and t [B] for classes asked [B], guided by w towards classes `towards` [B]."""
    without = torch.full_like(asked, none)

    def of(x: Tensor, t: Tensor) -> Tensor:
        own = eps(x, t, asked)
        if w == 0:
            return own
        towards_it = own if towards is asked else eps(x, t, towards)
        return own + w * (towards_it - eps(x, t, without))

    return of


def within_class_variance(x: Tensor, labels: Tensor, classes: int) -> float:
    """Return the variance of a pixel among images x [N, …] of one class, mean over pixels and classes."""
    flat = x.flatten(1).double()
    return torch.stack([flat[labels == c].var(0).mean() for c in range(classes)]).mean().item()


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Train one network and guide it.

    Returns, one row a strength: `w`; `agreement`: share of images that the classifier gives the class that was asked for; `variance`: of a
    pixel within a class (pixels run from −1 to 1); `fd`: Fréchet distance to the real images; `agreement_other`, `variance_other`: with guidance
    towards another class. The same in every row: `accuracy` of the classifier on held-out images, `real_variance`, `loss` at the
    end of training, `parameters`.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    there = world(config.images, config.number, config.classifier_epochs, config.seed, context.device)
    x, classes = there.x, there.classes
    net = network(x, config.width, config.blocks, config.seed, config.T, classes)
    loss = train(
        net, x, labels=there.labels, label_dropout=config.label_dropout, T=config.T, steps=config.train_steps, batch=config.batch,
        lr=config.lr, seed=config.seed, context=context, progress=lambda done: context.progress(done / 2),
    )  # fmt: skip
    eps, alpha = chunked(net.requires_grad_(False).eval(), config.chunk, context), alphas(config.T, context.device)
    draw = generator("guidance", config.seed)
    asked = torch.arange(classes).repeat_interleave(config.per_class)
    other = (asked + torch.randint(1, classes, asked.shape, generator=draw)) % classes
    x_T = torch.randn(len(asked), *x.shape[1:], generator=draw).to(x.device)
    asked, other, real = asked.to(x.device), other.to(x.device), there.features(x)
    same = {
        "accuracy": there.accuracy,
        "real_variance": within_class_variance(x, there.labels, classes),
        "loss": loss,
        "parameters": float(parameters(net)),
    }
    rows = []
    for done, w in enumerate(config.w):
        row = {"w": w}
        for ending, towards in (("", asked), ("_other", other)):
            found = sample(guided(eps, asked, towards, classes, w), x_T, alpha, config.S)
            row[f"agreement{ending}"] = (there.named(found) == asked).double().mean().item()
            row[f"variance{ending}"] = within_class_variance(found, asked, classes)
            if not ending:
                row["fd"] = frechet(real, there.features(found))
        rows.append(row | same)
        context.progress((1 + (done + 1) / len(config.w)) / 2)
    return rows


if __name__ == "__main__":
    for each in run(Config(train_steps=1000), Context()):
        print({column: round(value, 4) for column, value in each.items()})
