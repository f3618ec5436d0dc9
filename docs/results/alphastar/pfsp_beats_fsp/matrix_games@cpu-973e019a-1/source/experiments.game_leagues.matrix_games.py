"""Symmetric zero-sum matrix games: payoffs M [n, n] of the row player, M = −Mᵀ, from −1 (lost) to 1 (won).

The value of such a game is 0, so the exploitability of a mixed strategy π [n] is what the best pure reply earns against it,
max (Mπ). An agent's win rate against another is half of one plus its payoff: a draw counts one half.
"""

import itertools

import torch
from torch import Tensor

from repro.lab.seeding import generator

NAMES = ("rps", "blotto", "mixed")
"""Rock, paper, scissors; Blotto; a game of random ratings and random cycles."""


def rock_paper_scissors() -> Tensor:
    """Each strategy beats the one before it."""
    return torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], dtype=torch.float64)


def blotto(units: int, fields: int) -> Tensor:
    """Colonel Blotto: all ways to place `units` on `fields`; who has more units on more fields wins."""
    placed = [p for p in itertools.product(range(units + 1), repeat=fields) if sum(p) == units]
    a = torch.tensor(placed)
    return (a[:, None] - a[None]).sign().sum(-1).sign().double()


def transitive(n: int, seed: int) -> Tensor:
    """n strategies with a rating r each: the win probability is σ(rᵢ − rⱼ), and the best strategy beats all others."""
    r = 2 * torch.randn(n, generator=generator("ratings", seed), dtype=torch.float64)
    return torch.tanh((r[:, None] - r[None]) / 2)


def mixed(n: int, seed: int, cyclic: float) -> Tensor:
    """n strategies whose logit of winning is rᵢ − rⱼ + cyclic · (uᵢvⱼ − vᵢuⱼ): ratings, and a plane in which strategies chase each other."""
    r, u, v = torch.randn(3, n, generator=generator("strategies", seed), dtype=torch.float64)
    logit = r[:, None] - r[None] + cyclic * (u[:, None] * v[None] - v[:, None] * u[None])
    return torch.tanh(logit / 2)


def exploitability(M: Tensor, pi: Tensor) -> Tensor:
    """Return max (Mπ) for games M [..., n, n] and strategies π [..., n]."""
    return (M @ pi[..., None]).squeeze(-1).amax(-1)
