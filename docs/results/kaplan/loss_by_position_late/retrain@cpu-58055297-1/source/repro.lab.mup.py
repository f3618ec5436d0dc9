"""Maximal update parametrization (muP): a learning rate tuned at one width holds at every other.

Yang et al., "Tensor Programs V", arXiv 2203.03466, in the form of their Table 8, which lets embedding and head be tied. With
m = d/`base_width`, against the standard parametrization:

| weights | initial standard deviation | Adam's learning rate | output |
|---|---|---|---|
| embedding, positions, head | 1/√`base_width` at every width | 1 | logits times 1/m |
| gains of norms | 1, as always | 1 | |
| matrices of the blocks | 1/√fan-in, as always | times 1/m | |

At the base width both parametrizations are one. Heads are equally wide at every size, so that attention's 1/√d_head, a
constant, needs no change. Only the width transfers: depth, batch and length of the run do not.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from repro.lab.gpt import GPT, GPTShape, Parametrization, initial_weights, is_vector_like, width_ratio
from repro.lab.optim import StackedAdamW
from repro.lab.seeding import generator


def lr_scales(shape: GPTShape, parametrization: Parametrization = "standard", base_width: int = 0) -> Tensor:
    """Return the factor of Adam's learning rate for every weight, `[P]`.

    Raises:
        ValueError: for an unknown parametrization, or a base width that does not go with it.
    """
    ratio = width_ratio(shape, parametrization, base_width)
    return _for_every_weight(shape, lambda name, size: 1.0 if is_vector_like(name, size) else 1 / ratio)


def decay_scales(shape: GPTShape, parametrization: Parametrization = "standard", base_width: int = 0) -> Tensor:
    """Return the factor of the weight decay for every weight, `[P]`: 0 for gains, which do not decay.

    AdamW multiplies the decay by the weight's learning rate. Where muP divides that by m, the decay is multiplied by m, so
    that a matrix shrinks by the same share at every width, as in the authors' own optimiser.

    Raises:
        ValueError: as `lr_scales`.
    """
    ratio = width_ratio(shape, parametrization, base_width)

    def factor(name: str, size: tuple[int, ...]) -> float:
        if len(size) == 1:
            return 0.0
        return 1.0 if is_vector_like(name, size) else ratio

    return _for_every_weight(shape, factor)


def logit_scale(shape: GPTShape, parametrization: Parametrization = "standard", base_width: int = 0) -> float:
    """Return the factor of the logits, 1/m, that `GPT` takes.

    Raises:
        ValueError: as `lr_scales`.
    """
    return 1 / width_ratio(shape, parametrization, base_width)


def _for_every_weight(shape: GPTShape, factor: Callable[[str, tuple[int, ...]], float]) -> Tensor:
    return torch.cat([torch.full((math.prod(size),), factor(name, size)) for name, size in shape.weights().items()])


class _Watched(GPT):
    """A GPT that tells what its parts put out."""

    outputs: dict[str, Tensor]

    def attention(self, x: Tensor, length: int, w: Mapping[str, Tensor]) -> Tensor:
        self.outputs["attention"] = super().attention(x, length, w)
        return self.outputs["attention"]

    def feed_forward(self, x: Tensor, w: Mapping[str, Tensor]) -> Tensor:
        self.outputs["feed_forward"] = super().feed_forward(x, w)
        return self.outputs["feed_forward"]

    @torch.no_grad()
    def watch(self, tokens: Tensor) -> dict[str, Tensor]:
        """Return what the last layer's parts and the head put out."""
        self.outputs = {}
        return {"logits": self(tokens)} | self.outputs


def coordinate_check(
    shape: GPTShape,
    widths: Sequence[int],
    parametrization: Parametrization = "standard",
    base_width: int = 0,
    *,
    lr: float = 0.003,
    steps: int = 5,
    seeds: Sequence[int] = (0, 1, 2, 3),
) -> dict[str, float]:
    """Return how a few steps of Adam change each part's output as the width grows: d ln(change) / d ln(width).

    0 says that every coordinate of an output moves by as much in a wide model as in a narrow one, so that one learning rate
    serves both: the authors' own test of an implementation. Models of `shape` at each of
    `widths` overfit one batch of random tokens; the change is the root mean square over coordinates, averaged over `seeds`.

    Returns:
        The exponents of `attention`, `feed_forward` (of the last layer) and `logits`.

    Raises:
        ValueError: for fewer than two different widths, and as `lr_scales`.
    """
    if len(set(widths)) < 2:
        raise ValueError(f"a coordinate check compares two widths or more; got {list(widths)}")
    changes: dict[str, list[float]] = {}
    tokens = torch.randint(shape.vocabulary, (8, shape.context + 1), generator=generator("coordinates"))
    tokens = tokens.expand(len(seeds), -1, -1)
    for width in widths:
        wide = replace(shape, d_model=width)
        rows = initial_weights(wide, seeds, parametrization, base_width)
        model = _Watched(wide, rows, logit_scale(wide, parametrization, base_width))
        column = torch.ones(len(seeds), 1)
        optimizer = StackedAdamW(
            model.rows,
            beta1=0.9 * column,
            beta2=0.99 * column,
            weight_decay=0 * column,
            clip=math.inf * column,
            decayed=decay_scales(wide, parametrization, base_width),
            lr_scale=lr_scales(wide, parametrization, base_width),
        )
        before = model.watch(tokens[..., :-1])
        for _ in range(steps):
            model(tokens[..., :-1], tokens[..., 1:]).sum().backward()
            optimizer.step(lr * column)
        for name, after in model.watch(tokens[..., :-1]).items():
            moved = (after - before[name]).flatten(1).square().mean(1).sqrt().mean()
            changes.setdefault(name, []).append(moved.item())
    return {name: float(np.polyfit(np.log(widths), np.log(moved), 1)[0]) for name, moved in changes.items()}
