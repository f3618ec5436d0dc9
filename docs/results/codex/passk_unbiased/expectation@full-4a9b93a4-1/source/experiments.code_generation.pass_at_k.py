"""Is the pass@k estimator unbiased? The expectation over the binomial distribution, in exact rational arithmetic.

Paper: Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (Codex), section 2.1, equation 1,
Figure 3 and Appendix A. Serves the claim `codex/passk_unbiased`.

A model solves a problem with probability p on each independent sample, so

    pass@k = 1 − (1 − p)^k.

The paper draws n ≥ k samples, counts the c that pass the unit tests, and estimates

    unbiased (equation 1):  1 − C(n−c, k) / C(n, k)
    plug-in (Appendix A):   1 − (1 − c/n)^k,  "a consistent underestimate".

c is binomial, so the expectation of either is a finite sum of rational numbers: no sampling, no rounding, and
"unbiased" means a difference of exactly zero.

Hardware and time: any CPU, about a second. Deviations: none in the estimators; the paper proves the statement
for all n, k, p, this checks it on a grid, whose success rates are ours (the paper names none).
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import comb, prod

from repro.schema.context import Context

IDENTITY = (20, 7, Fraction(3, 17))
"""One more (n, k, p), off the grid and with a denominator that no cell of it has."""


@dataclass(frozen=True)
class Config:
    """Which estimator is tested, and on which cells."""

    estimator: str = "unbiased"
    """`unbiased` (equation 1) or `plug_in` (Appendix A)."""
    n: tuple[int, ...] = (10, 50, 200)
    """Samples drawn for a problem; the paper draws 200."""
    k_max: int = 100
    """Largest k; k never exceeds n. The paper's largest is 100."""
    p: tuple[str, ...] = ("1/100", "1/10", "3/10", "1/2", "9/10")
    """Success rates of one sample, as fractions."""
    seed: int = 0
    """Unused: nothing is drawn. It lets two processes repeat the calculation."""


def unbiased(n: int, c: int, k: int) -> Fraction:
    """Equation 1: one minus the share of k-subsets of the n samples that hold none of the c correct ones."""
    return 1 - Fraction(comb(n - c, k), comb(n, k))


def plug_in(n: int, c: int, k: int) -> Fraction:
    """Appendix A: the empirical success rate c/n put into 1 − (1 − p)^k."""
    return 1 - (1 - Fraction(c, n)) ** k


def unbiased_in_floats(n: int, c: int, k: int) -> float:
    """Equation 1 in float64 as Figure 3 computes it, without large binomials: 1 − ∏_{i=n−c+1}^{n} (1 − k/i)."""
    if n - c < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def binomial(n: int, p: Fraction) -> list[Fraction]:
    """P(c) for c = 0 … n; adds up to exactly one."""
    return [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]


def bias(weights: list[Fraction], estimates: list[Fraction], p: Fraction, k: int) -> Fraction:
    """E[estimate] − pass@k, where `weights` is P(c) and `estimates` the estimate at c, both for c = 0 … n."""
    expectation = sum((w * e for w, e in zip(weights, estimates, strict=True)), Fraction(0))
    return expectation - (1 - (1 - p) ** k)


def biases(estimator: Callable[[int, int, int], Fraction], config: Config) -> dict[tuple[int, int, Fraction], Fraction]:
    """The bias of `estimator` by cell (n, k, p), for k = 1 … min(n, k_max)."""
    rates = [Fraction(p) for p in config.p]
    cells = {}
    for n in config.n:
        weights = {p: binomial(n, p) for p in rates}
        for k in range(1, min(n, config.k_max) + 1):
            estimates = [estimator(n, c, k) for c in range(n + 1)]
            cells |= {(n, k, p): bias(weights[p], estimates, p, k) for p in rates}
    return cells


def largest_float_error(config: Config) -> float:
    """max |Figure 3's float64 product − equation 1| over every n, k and c."""
    return max(
        abs(unbiased_in_floats(n, c, k) - float(unbiased(n, c, k)))
        for n in config.n
        for k in range(1, min(n, config.k_max) + 1)
        for c in range(n + 1)
    )


def run(config: Config, context: Context) -> dict[str, float]:
    """Compute the bias in every cell.

    Returns:
        `largest_bias`: max |E[estimate] − pass@k| over the cells (probability).
        `biased_cells`: cells whose bias is not exactly zero (count): a bias too small for a float still counts.
        `identity_bias`: |bias| at n = 20, k = 7, p = 3/17 (probability).
        `cells`: number of cells (count).
        `cells_below`: cells where the expectation lies below pass@k (count).
        `largest_bias_above_5k`: max |bias| over the cells with n > 5k (probability).
        `largest_float_error`: how far Figure 3's product in float64 is from equation 1 (probability).
    """
    estimator = {"unbiased": unbiased, "plug_in": plug_in}[config.estimator]
    cells = biases(estimator, config)

    n, k, p = IDENTITY
    identity = bias(binomial(n, p), [estimator(n, c, k) for c in range(n + 1)], p, k)
    return {
        "largest_bias": float(max(abs(b) for b in cells.values())),
        "biased_cells": float(sum(b != 0 for b in cells.values())),
        "identity_bias": float(abs(identity)),
        "cells": float(len(cells)),
        "cells_below": float(sum(b < 0 for b in cells.values())),
        "largest_bias_above_5k": float(max((abs(b) for (n, k, _), b in cells.items() if n > 5 * k), default=0)),
        "largest_float_error": largest_float_error(config),
    }


if __name__ == "__main__":
    for name in ("unbiased", "plug_in"):
        print(name, run(Config(estimator=name), Context()))
