"""What a small diffusion experiment starts from: real images with labels, features that judge them, and an untrained network.

`digits`: 8×8 pixels as vectors, and a residual MLP. `glyphs`: one character of 32×32 pixels; `scenes`: four of them, 64×64; both with a
U-Net. Shared by several recipes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.image_generation.diffusion import ResidualMLP, precision
from experiments.image_generation.digits import CLASSES, digits, train_classifier
from experiments.image_generation.glyphs import CHARACTERS, scenes, train_namer
from experiments.image_generation.unet import UNet
from repro.lab.seeding import derived_seed
from repro.schema.context import Context


@dataclass(frozen=True)
class World:
    """Real images and their judge."""

    x: Tensor
    """[N, 64], or [N, 1, H, H], in [−1, 1]."""
    labels: Tensor
    """[N]; of a scene, the character of its first cell."""
    classes: int
    features: Callable[[Tensor], Tensor]
    """Images [B, …] to [B, 32]."""
    named: Callable[[Tensor], Tensor]
    """Images [B, …] to the class that a classifier gives them, [B]."""
    accuracy: float
    """Share of held-out images that the classifier names right."""


def world(images: str, number: int, epochs: int, seed: int, device: str) -> World:
    """Return `number` images of a kind and a classifier trained for `epochs` on digits, or 30 steps an epoch on glyphs.

    Raises:
        ValueError: for another kind, or more digits than there are.
    """
    if images == "digits":
        data = digits(device)
        if number > len(data.x):
            raise ValueError(f"there are {len(data.x)} digits, not {number}")
        judge, accuracy = train_classifier(data, epochs=epochs, seed=seed)
        chosen = data.x[:number], data.labels[:number]
        return World(*chosen, CLASSES, judge.features, lambda x: judge(x).argmax(1), accuracy)
    cells = {"glyphs": 1, "scenes": 2}.get(images)
    if cells is None:
        raise ValueError(f"images must be digits, glyphs or scenes, not {images!r}")
    x, characters = (each.to(device) for each in scenes(number, cells, seed))
    namer, accuracy = train_namer(x, characters, steps=30 * epochs, batch=min(256, number), seed=seed)
    return World(x, characters[:, 0], len(CHARACTERS), namer.features, lambda x: namer(x)[:, :, 0].argmax(1), accuracy)


def network(x: Tensor, width: int, blocks: int, seed: int, T: int, classes: int = 0) -> nn.Module:
    """Return an untrained ε_θ for x [N, D] (a residual MLP) or [N, C, H, W] (a U-Net, which has no use for `blocks` and T)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("diffusion weights", seed))
        net = ResidualMLP(x.shape[1], width, blocks, classes, T) if x.dim() == 2 else UNet(x.shape[1], width, classes)
    return net.to(x.device)


def chunked(net: nn.Module, chunk: int, context: Context) -> Callable[..., Tensor]:
    """Return ε_θ that sees `chunk` images at once, which keeps its activations in the cache."""

    def eps(x: Tensor, *given: Tensor) -> Tensor:
        parts = zip(*(each.split(chunk) for each in (x, *given)), strict=True)
        with precision(context):
            return torch.cat([net(*part).float() for part in parts])

    return eps
