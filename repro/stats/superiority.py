"""P(A > B): how often one arm beats the other, with an exact or nearly exact lower bound. Ties count as half.

Reported beside an ordering, as Bouthillier et al. (2021, "Accounting for variance in machine learning benchmarks", §5)
recommend: a mean difference may be real and yet too small for anyone to meet it; they call P(A > B) above γ = 0.75 meaningful.
Their bound is a percentile bootstrap, which at 5 runs errs far above its level; the bounds here do not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["Superiority", "paired_superiority", "unpaired_superiority"]

MEANINGFUL = 0.75
"""γ of Bouthillier et al. (2021), §5."""


@dataclass(frozen=True)
class Superiority:
    """P(A > B) + ½ P(A = B), and what it is at least."""

    value: float
    low: float
    """One-sided lower bound."""


def paired_superiority(differences: Sequence[float], level: float = 0.95) -> Superiority | None:
    """Return the share of pairs that A wins, with Clopper and Pearson's (1934) exact lower bound; None without pairs.

    The bound is that of P(A > B) alone, ties counted as losses: with ties it holds too, and is then conservative. Only
    signs count, so that signed ranks and infinite differences (a diverged run) serve as well. Five wins in five give
    0.549, and no fewer than 11 wins without a loss show more than 0.75.

    Args:
        differences: one a pair, positive where A wins; finite or infinite, not NaN.
        level: of the one-sided bound.
    """
    n = len(differences)
    if n == 0:
        return None
    wins = sum(d > 0 for d in differences)
    ties = sum(d == 0 for d in differences)
    low = float(stats.beta.ppf(1 - level, wins, n - wins + 1)) if wins else 0.0
    return Superiority((wins + ties / 2) / n, low)


def unpaired_superiority(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Superiority | None:
    """Return the share of all pairs (aᵢ, bⱼ) that A wins, for independent arms; None for fewer than two runs an arm.

    The bound is that of Brunner & Munzel (2000) on the logit scale: the variance of the relative effect from placements,
    Satterthwaite's degrees of freedom, t. Where the arms do not overlap that variance is 0; P(no overlap) is at
    most P(A > B)^m with m the smaller arm, so that (1 − level)^(1/m) is an exact bound there, and nothing exceeds it.

    Args:
        a: runs of A, larger wins; infinities allowed.
        b: runs of B.
        level: of the one-sided bound.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        return None
    both = stats.rankdata(np.concatenate([np.asarray(a, dtype=float), np.asarray(b, dtype=float)]))
    # Placements: the share of the other arm that each run beats.
    of_a = (both[:n] - stats.rankdata(a)) / m
    of_b = (both[n:] - stats.rankdata(b)) / n
    value = float(of_a.mean())
    separated = (1 - level) ** (1 / min(n, m))
    if value in (0.0, 1.0):
        return Superiority(value, separated if value == 1 else 0.0)
    shares = float(of_a.var(ddof=1)) / n, float(of_b.var(ddof=1)) / m
    variance = sum(shares)
    if variance == 0:  # all runs tie
        return Superiority(value, 0.0)
    dof = variance**2 / (shares[0] ** 2 / (n - 1) + shares[1] ** 2 / (m - 1))
    step = float(stats.t.ppf(level, dof)) * math.sqrt(variance) / (value * (1 - value))
    low = 1 / (1 + (1 - value) / value * math.exp(min(step, 700.0)))
    return Superiority(value, min(low, separated))
