"""Matrix factorisation with biases, trained one example at a time. Shared by the recipes of this folder.

Rendle et al. 2020, arXiv 2005.09683, section 2, with the details of the authors' `mf_simple.py` (google-research, commit 0c1bbe5):

    ŷ(u, i) = b + b_u + b_i + ⟨p_u, q_i⟩,     loss = ln(1 + exp(−ŷ)) for a positive, ln(1 + exp(ŷ)) for a negative.

An embedding of d dimensions spends its first on the bias, so p and q have d − 1. In an epoch every positive comes once, and with it some
negatives drawn uniformly from all items: one may be a positive, or come twice. All examples are shuffled. The program's arrays are
views, so that q_i moves along the p_u that has just been changed; here as well.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from repro.lab.seeding import generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Factors:
    """What is learned; training changes it in place."""

    b: Floats
    """[1]."""
    b_u: Floats
    """[U]."""
    b_i: Floats
    """[I]."""
    p: Floats
    """[U, d − 1]."""
    q: Floats
    """[I, d − 1]."""


def initial(U: int, I: int, d: int, sd: float, rng: torch.Generator) -> Factors:  # noqa: E741
    """Return embeddings from N(0, sd²) and biases 0."""
    p, q = (sd * torch.randn(n, d - 1, generator=rng, dtype=torch.float64).numpy() for n in (U, I))
    return Factors(np.zeros(1), np.zeros(U), np.zeros(I), p, q)


@njit(nogil=True)
def sgd_epoch(
    b: Floats, b_u: Floats, b_i: Floats, p: Floats, q: Floats,
    users: Ints, items: Ints, negatives: Ints, order: Ints, eta: float, lam: float,
):  # fmt: skip
    """Take one step of rate η, shrinking what it touches by η λ, for each example; return their mean loss.

    `users` and `items` [N] are the positives, `negatives` [N, m] those of each. Example e belongs to positive e // (m + 1); it is that
    positive where the remainder is 0, else a negative of it. `order` [N (m + 1)] says which comes when.
    """
    m = negatives.shape[1]
    total = 0.0
    for e in order:
        n, slot = e // (m + 1), e % (m + 1)
        u = users[n]
        i = items[n] if slot == 0 else negatives[n, slot - 1]
        label = 1.0 if slot == 0 else 0.0
        score = b[0] + b_u[u] + b_i[i]
        for f in range(p.shape[1]):
            score += p[u, f] * q[i, f]
        # Of exp the argument is never positive, so that nothing overflows.
        small = np.exp(-abs(score))
        sigmoid = 1 / (1 + small) if score > 0 else small / (1 + small)
        total += np.log1p(small) + (max(score, 0.0) - label * score)
        g = label - sigmoid
        for f in range(p.shape[1]):
            p[u, f] += eta * (g * q[i, f] - lam * p[u, f])
            q[i, f] += eta * (g * p[u, f] - lam * q[i, f])
        b_u[u] += eta * (g - lam * b_u[u])
        b_i[i] += eta * (g - lam * b_i[i])
        b[0] += eta * (g - lam * b[0])
    return total / len(order)


@njit(nogil=True)
def scores_of(b: Floats, b_u: Floats, b_i: Floats, p: Floats, q: Floats, candidates: Ints):
    """Return ŷ of each user's candidates [U, C]."""
    scores = np.empty(candidates.shape)
    for u in range(candidates.shape[0]):
        for c in range(candidates.shape[1]):
            i = candidates[u, c]
            scores[u, c] = b[0] + b_u[u] + b_i[i]
            for f in range(p.shape[1]):
                scores[u, c] += p[u, f] * q[i, f]
    return scores


def parts(w: Factors) -> tuple[Floats, ...]:
    """Return the arrays in the order in which the compiled functions take them."""
    return w.b, w.b_u, w.b_i, w.p, w.q


class Training:
    """One factorisation and the draws of its epochs."""

    def __init__(self, users: Tensor, items: Tensor, U: int, I: int, d: int, sd: float, seed: int) -> None:  # noqa: E741
        self.users, self.items, self.I = users.numpy(), items.numpy(), I
        self.rng = generator("factorisation", seed)
        self.w = initial(U, I, d, sd, self.rng)

    def epoch(self, negatives: int, eta: float, lam: float) -> float:
        """Train one epoch with `negatives` for each positive; return the mean loss."""
        N = len(self.users)
        drawn = torch.randint(self.I, (N, negatives), generator=self.rng)
        order = torch.randperm(N * (negatives + 1), generator=self.rng)
        return float(sgd_epoch(*parts(self.w), self.users, self.items, drawn.numpy(), order.numpy(), eta, lam))

    def scores(self, candidates: Tensor) -> Tensor:
        """Return ŷ of each user's candidates [U, C]."""
        return torch.from_numpy(scores_of(*parts(self.w), candidates.numpy()))
