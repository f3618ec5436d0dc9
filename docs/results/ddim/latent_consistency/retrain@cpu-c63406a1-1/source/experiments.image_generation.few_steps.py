"""One diffusion model, sampled in few steps by DDIM (η = 0), DDPM (η = 1) and DDPM with its larger noise (σ-hat).

Paper: Song et al., "Denoising Diffusion Implicit Models", arXiv 2010.02502, Table 1 (quality by sampler and steps S) and section 5.2
(samples of one x_T look alike whatever S is). Serves the claims `ddim/few_step_ordering`, `ddim/few_step_ratios`,
`ddim/latent_consistency` and `ddim/ddpm_wins_at_1000`.

A trial trains one network and draws every set of images from the same x_T, so that all samplers of a trial are paired.

Quality is the Fréchet distance to all real images in 32 features of a classifier trained on them. Beside it stand a floor (two random halves
of the real images) and the distance of pure noise.

Hardware and time: `cpu` about half a minute a trial on one core. Deviations: digits of 8×8 pixels and a residual network of fully
connected layers (cpu), or pictures of characters and a U-Net (gpu), instead of CIFAR-10; a Fréchet distance in other features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.image_generation.diffusion import alphas, parameters, train
from experiments.image_generation.digits import frechet
from experiments.image_generation.samplers import SAMPLERS, sample
from experiments.image_generation.worlds import chunked, network, world
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Section 5 and appendix D, at the size of the digits."""

    images: str = "digits"
    """`digits` (8×8, with a residual MLP) or `glyphs` (32×32 characters, with a U-Net)."""
    number: int = 1797
    """Real images, all of them trained on; there are 1,797 digits."""
    drawn: int = 1797
    """Images drawn for every Fréchet distance, and real ones (the first) in it; its bias depends on their number."""
    width: int = 256
    """Units of a layer of the MLP, or channels of the U-Net's first level."""
    blocks: int = 3
    """Residual blocks of the MLP."""
    T: int = 1000
    """Steps of the forward process."""
    train_steps: int = 2500
    """Steps of training."""
    batch: int = 128
    """Images in a step."""
    lr: float = 1e-3
    """Peak learning rate of Adam."""
    classifier_epochs: int = 40
    """Passes of the classifier over the digits (or thirtieths of its steps, for glyphs)."""
    S: tuple[int, ...] = (10, 20, 50, 100)
    """Numbers of steps of sampling."""
    samplers: tuple[str, ...] = ("ddim", "eta1", "ddpm")
    """Samplers, by their names in `samplers`."""
    again: tuple[int, ...] = (10, 20, 50)
    """S at which η = 0 is run once more, from another x_T."""
    reference_steps: int = 200
    """Steps of the η = 0 samples that others are correlated with; 0: no correlations."""
    compared: int = 512
    """Images in a correlation, the first of every set."""
    chunk: int = 512
    """Images that go through the network at once while sampling; no result depends on it but by rounding."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, training noise, x_T and the noise of the samplers."""


def correlation(a: Tensor, b: Tensor) -> float:
    """Return the mean over images of Pearson's correlation of the pixels of a and b, [N, …]."""
    a, b = (each.flatten(1).double() for each in (a, b))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean().item()


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model and sample from it.

    Returns:
        `fd_<sampler>_<S>`: Fréchet distance of `drawn` samples, for every sampler and S; `fd_again_<S>`: of η = 0 from another x_T.
        `same_<sampler>_<S>`: mean correlation of pixels with the η = 0 samples of `reference_steps` steps and equal x_T.
        `fd_floor`, `fd_noise`: of two halves of the real images; of standard normal noise.
        `accuracy`: share of held-out images that the classifier names right. `loss`: at the end of training. `parameters`. `flops`: of training.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    there = world(config.images, config.number, config.classifier_epochs, config.seed, context.device)
    x, n = there.x, config.drawn
    net = network(x, config.width, config.blocks, config.seed, config.T)
    loss = train(
        net, x, T=config.T, steps=config.train_steps, batch=config.batch, lr=config.lr, seed=config.seed, context=context,
        progress=lambda done: context.progress(done / 2),
    )  # fmt: skip
    real, alpha = there.features(x[:n]), alphas(config.T, context.device)
    eps = chunked(net.requires_grad_(False).eval(), config.chunk, context)

    def start(name: str) -> Tensor:
        return torch.randn(n, *x.shape[1:], generator=generator("few steps start", name, config.seed)).to(x.device)

    order = torch.randperm(n, generator=generator("few steps halves", config.seed)).to(x.device)
    row = {
        "loss": loss,
        "accuracy": there.accuracy,
        "parameters": float(parameters(net)),
        "fd_floor": frechet(real[order[: n // 2]], real[order[n // 2 :]]),
        "fd_noise": frechet(real, there.features(start("noise"))),
    }
    x_T, x_again, compared = start("first"), start("second"), config.compared
    if config.reference_steps:
        reference = sample(eps, x_T[:compared], alpha, config.reference_steps)
    for done, S in enumerate(config.S):
        for sampler in config.samplers:
            draw = generator("few steps noise", sampler, S, config.seed)
            found = sample(eps, x_T, alpha, S, sampler, draw if SAMPLERS[sampler][0] else None)
            row[f"fd_{sampler}_{S}"] = frechet(real, there.features(found))
            if config.reference_steps:
                row[f"same_{sampler}_{S}"] = correlation(found[:compared], reference)
        if S in config.again:
            row[f"fd_again_{S}"] = frechet(real, there.features(sample(eps, x_again, alpha, S)))
        context.progress((1 + (done + 1) / len(config.S)) / 2)
    if config.images == "digits":  # a product for every weight, forward once and backward twice
        row["flops"] = 6.0 * row["parameters"] * config.train_steps * config.batch
    return row


if __name__ == "__main__":
    for column, value in run(Config(train_steps=1000), Context()).items():
        print(f"{column:20} {value:g}")
