"""Generalised factorisation, a multi-layer perceptron, and both as one: several runs side by side. Shared by the recipes of this folder.

He et al. 2017, arXiv 1708.05031, section 3, equations 9 to 12, and the authors' `NeuMF.py`:

    gmf     ŷ = ⟨h, p_u ⊙ q_i⟩ + c
    mlp     ŷ = ⟨h, φ(x_u, y_i)⟩ + c,                  φ: ReLU layers over x and y side by side
    neumf   ŷ = ⟨h, [p_u ⊙ q_i, φ(x_u, y_i)]⟩ + c,     with embeddings of its own

The probability of a positive is sigmoid(ŷ).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from repro.lab.seeding import generator

NETWORKS = ("gmf", "mlp", "neumf")


@dataclass
class Weights:
    """R networks of one kind side by side; a part that the kind lacks is empty. Users of run r begin at row r U, items at r I."""

    p: Tensor
    """[R U, factors], or no columns."""
    q: Tensor
    """[R I, factors]."""
    x: Tensor
    """[R U, half the first width], or no columns."""
    y: Tensor
    """[R I, half the first width]."""
    W: list[Tensor]
    """[R, inputs, outputs] of each hidden layer."""
    b: list[Tensor]
    """[R, 1, outputs]."""
    h: Tensor
    """[R, factors + last width, 1]."""
    c: Tensor
    """[R, 1, 1]."""

    def tensors(self) -> list[Tensor]:
        """Every tensor that has entries."""
        found = [self.p, self.q, self.x, self.y, *self.W, *self.b, self.h, self.c]
        return [each for each in found if each.numel()]


def initial(
    name: str,
    U: int,
    I: int,  # noqa: E741
    factors: int,
    layers: tuple[int, ...],
    seeds: Sequence[int],
    device: str = "cpu",
) -> Weights:
    """Return the weights of `gmf`, `mlp` or `neumf`, one run a seed.

    Embeddings are from N(0, 0.01²), layers uniform after Glorot, h uniform after LeCun, biases 0: what the program asks for, or its library's default.
    """
    rngs = [generator("weights", name, seed) for seed in seeds]
    factors = factors if name != "mlp" else 0
    layers = layers if name != "gmf" else (0, 0)

    def embedding(rows: int, columns: int) -> Tensor:
        return torch.cat([0.01 * torch.randn(rows, columns, generator=rng) for rng in rngs]).to(device).requires_grad_()

    def uniform(limit: float, *shape: int) -> Tensor:
        drawn = [limit * (2 * torch.rand(*shape, generator=rng) - 1) for rng in rngs]
        return torch.stack(drawn).to(device).requires_grad_()

    def zeros(n: int) -> Tensor:
        return torch.zeros(len(seeds), 1, n, device=device, requires_grad=True)

    hidden = [pair for pair in pairwise(layers) if pair[0]]
    last = factors + layers[-1]
    return Weights(
        embedding(U, factors),
        embedding(I, factors),
        embedding(U, layers[0] // 2),
        embedding(I, layers[0] // 2),
        [uniform(math.sqrt(6 / (inputs + outputs)), inputs, outputs) for inputs, outputs in hidden],
        [zeros(outputs) for _, outputs in hidden],
        uniform(math.sqrt(3 / last), last, 1),
        zeros(1),
    )


def pretrained(gmf: Weights, mlp: Weights) -> Weights:
    """Return a neumf made of both (section 3.4.1): their predictions count half each."""
    h, c = 0.5 * torch.cat([gmf.h, mlp.h], 1), 0.5 * (gmf.c + mlp.c)
    parts = (gmf.p, gmf.q, mlp.x, mlp.y, mlp.W, mlp.b, h, c)

    def copy(each: Tensor) -> Tensor:
        return each.detach().clone().requires_grad_()

    return Weights(*([copy(t) for t in each] if isinstance(each, list) else copy(each) for each in parts))


def logits(w: Weights, u: Tensor, i: Tensor) -> Tensor:
    """Return ŷ [R, B] of users and items [R, B], numbered by row of the embeddings."""
    last = []
    if w.p.numel():
        last.append(F.embedding(u, w.p) * F.embedding(i, w.q))
    if w.x.numel():
        x = torch.cat([F.embedding(u, w.x), F.embedding(i, w.y)], -1)
        for W, b in zip(w.W, w.b, strict=True):
            x = torch.baddbmm(b, x, W).relu()
        last.append(x)
    return torch.baddbmm(w.c, torch.cat(last, -1), w.h).squeeze(-1)
