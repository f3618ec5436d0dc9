"""Diffusion in a latent space that is f times smaller: which f gives the best images after a fixed number of training steps?

Paper: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752, section 4.1 and Figure 6. Serves the
claim `latent_diffusion/compression_sweet_spot`.

One trial takes one f: it compresses the real images, trains a diffusion model on the latents (scaled to unit size, as in the paper's appendix, and centred),
samples, decodes and measures the Fréchet distance to the real images in features of a classifier. Models of all f have the same
width and see equally many latents; only the size of their input differs.

- `pca` on digits (cpu): the first 64/f principal components, a linear autoencoder, of which f divides the number of dimensions.
- `convolutions` on scenes of four glyphs, 64×64 pixels (gpu): autoencoders with a slight KL penalty, of which f divides each side.

Beside the distance of samples stands that of the mere reconstructions of the real images: with it as the measure, no compression is always best.

Hardware and time: `cpu` about 3 s a trial on one core; `gpu` about a minute (estimated). Deviations: see the claim.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.image_generation.diffusion import alphas, parameters, precision, train
from experiments.image_generation.digits import frechet
from experiments.image_generation.samplers import sample
from experiments.image_generation.unet import Autoencoder, train_autoencoder
from experiments.image_generation.worlds import chunked, network, world
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """One compression factor, its autoencoder and its diffusion model."""

    f: int = 4
    """Compression: of the number of dimensions (`pca`), or of each side (`convolutions`); 1 is the image itself."""
    autoencoder: str = "pca"
    """`pca` or `convolutions`."""
    images: str = "digits"
    """`digits` for pca, `scenes` for convolutions."""
    number: int = 1797
    """Real images, all of them trained on."""
    drawn: int = 1797
    """Images drawn for the Fréchet distance, and real ones (the first) in it."""
    autoencoder_steps: int = 0
    """Training steps of the autoencoder; principal components need none."""
    autoencoder_width: int = 64
    """Its channels."""
    kl: float = 1e-6
    """Weight of the KL penalty of a picture's latents."""
    width: int = 192
    """Units of a layer of the MLP, or channels of the U-Net's first level."""
    blocks: int = 2
    """Residual blocks of the MLP."""
    T: int = 1000
    """Steps of the forward process."""
    train_steps: int = 1000
    """Steps of training of the diffusion model, the same for every f."""
    batch: int = 128
    """Latents in a step."""
    lr: float = 1e-3
    """Peak learning rate of Adam."""
    classifier_epochs: int = 40
    """Passes of the classifier over the digits (or thirtieths of its steps, for scenes)."""
    S: int = 50
    """Steps of sampling, without added noise (η = 0)."""
    chunk: int = 512
    """Images that go through a network at once."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, training noise and x_T; arms of one seed share the classifier."""


def principal_components(x: Tensor, dims: int) -> tuple[Map, Map]:
    """Return encoder [B, D] to [B, dims] and decoder back, onto the first principal components of x [N, D]."""
    mean = x.mean(0)
    _, _, rows = torch.linalg.svd((x - mean).double(), full_matrices=False)
    axes = rows[:dims].to(x.dtype)
    return lambda each: (each - mean) @ axes.T, lambda z: z @ axes + mean


def convolutions(x: Tensor, config: Config, context: Context) -> tuple[Map, Map]:
    """Return encoder [B, 1, H, H] to [B, z, H/f, H/f] and decoder back, trained on x; f = 1 changes nothing."""
    if config.f == 1:
        return lambda each: each, lambda z: z
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("autoencoder weights", config.f, config.seed))
        net = Autoencoder(config.f, config.autoencoder_width).to(x.device)
    train_autoencoder(
        net, x, steps=config.autoencoder_steps, batch=config.batch, kl=config.kl, seed=config.seed, context=context
    )
    net.requires_grad_(False).eval()

    def by_chunk(part: Map) -> Map:
        def of(each: Tensor) -> Tensor:
            with precision(context):
                return torch.cat([part(piece).float() for piece in each.split(config.chunk)])

        return of

    return by_chunk(lambda each: net.moments(each)[0]), by_chunk(net.decoder)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train and sample at one f.

    Returns:
        `fd`: Fréchet distance of decoded samples; `fd_reconstruction`: of real images that went through the autoencoder and back.
        `latents`: numbers in a latent. `accuracy`: of the classifier on held-out images. `loss`: of the diffusion model at the end of training.
        `parameters`: of the diffusion model. `flops`: of its training, for `pca` (equal steps are not equal FLOPs).

    Raises:
        ValueError: for another autoencoder.
    """
    if config.autoencoder not in ("pca", "convolutions"):
        raise ValueError(f"autoencoder must be pca or convolutions, not {config.autoencoder!r}")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    there = world(config.images, config.number, config.classifier_epochs, config.seed, context.device)
    x = there.x
    if config.autoencoder == "pca":
        encode, decode = principal_components(x, x.shape[1] // config.f)
    else:
        encode, decode = convolutions(x, config, context)
    z = encode(x)
    centre, scale = z.mean(), z.std()
    net = network(z, config.width, config.blocks, config.seed, config.T)
    loss = train(
        net, (z - centre) / scale, T=config.T, steps=config.train_steps, batch=config.batch, lr=config.lr, seed=config.seed, context=context,
        progress=context.progress,
    )  # fmt: skip
    eps = chunked(net.requires_grad_(False).eval(), config.chunk, context)
    z_T = torch.randn(config.drawn, *z.shape[1:], generator=generator("latent start", config.seed)).to(z.device)
    drawn = decode(sample(eps, z_T, alphas(config.T, context.device), config.S) * scale + centre)
    real = there.features(x[: config.drawn])
    row = {
        "fd": frechet(real, there.features(drawn)),
        "fd_reconstruction": frechet(real, there.features(decode(z[: config.drawn]))),
        "latents": float(z[0].numel()),
        "accuracy": there.accuracy,
        "loss": loss,
        "parameters": float(parameters(net)),
    }
    if config.autoencoder == "pca":
        row["flops"] = 6.0 * row["parameters"] * config.train_steps * config.batch
    return row


if __name__ == "__main__":
    for f in (1, 2, 4, 8, 16):
        print(f, run(Config(f=f), Context()))
