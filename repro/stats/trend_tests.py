"""Exact tests of a monotone trend: Page's for blocks, Jonckheere and Terpstra's for independent runs (Mann and Kendall's
where there is one value a level). Ties share their mean rank; infinite values rank beyond all others.

Each returns the one-sided p of an increasing trend: the share of equally likely arrangements whose statistic is at least
the observed one. Where these are too many to count, the normal approximation with the variance of those very ties.
"""

import math
from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["jonckheere_p", "kendall_tau", "page_p"]

MOST_LEVELS = 7
"""Page's test counts all k! orders of a block up to here (5,040); beyond, k is large enough for the normal."""

MOST_STATES = 5000
"""Jonckheere's test counts arrangements through at most this many states: 12 single values, 4 levels of 7, 3 of 16."""


def page_p(blocks: ArrayLike) -> float:
    """Return p of Page's (1963) L = Σⱼ j·Rⱼ, Rⱼ the rank sum of level j.

    Args:
        blocks: [blocks, levels], levels in the claimed increasing order.
    """
    values = np.asarray(blocks, dtype=float)
    ranks = np.rint(2 * stats.rankdata(values, axis=1)).astype(int)
    k = ranks.shape[1]
    scores = np.arange(1, k + 1)
    observed = int((ranks @ scores).sum())
    if k > MOST_LEVELS:
        # Of Σ cⱼ r_π(j) over all permutations π: the mean is k·c̄·r̄, the variance Σ(c − c̄)² Σ(r − r̄)² / (k − 1).
        variance = float(((scores - scores.mean()) ** 2).sum() * ranks.var(axis=1).sum() * k / (k - 1))
        return _normal_p(observed, float(scores.sum() * ranks.mean(axis=1).sum()), variance)
    orders = np.array(list(permutations(range(k))))
    shares = np.ones(1)
    for block in ranks:
        of_block = np.bincount(block[orders] @ scores) / len(orders)
        shares = np.convolve(shares, of_block)
    return float(min(1.0, shares[observed:].sum()))


def jonckheere_p(levels: Sequence[Sequence[float]]) -> float:
    """Return p of Jonckheere (1954) and Terpstra's (1952) J: the pairs of runs from two levels that are in order, ties half.

    With one value a level this is Mann (1945) and Kendall's test. Counted exactly, ties included, by placing the values
    from the smallest to the largest: how many of each level have been placed is all that later values need to know.

    Args:
        levels: runs of each level, levels in the claimed increasing order.
    """
    sizes = tuple(len(level) for level in levels)
    observed = round(2 * concordance(levels))
    _, ties = np.unique(np.concatenate([np.asarray(level, dtype=float) for level in levels]), return_counts=True)
    if math.prod(size + 1 for size in sizes) > MOST_STATES:
        return _normal_p(observed, *_jonckheere_moments(sizes, ties))
    most = 2 * _pairs(sizes) + 1
    states: dict[tuple[int, ...], NDArray[np.float64]] = {(0,) * len(sizes): np.eye(1, most)[0]}
    for tie in ties:
        states = _place(int(tie), states, sizes)
    (counts,) = states.values()
    return float(min(1.0, counts[observed:].sum() / counts.sum()))


def concordance(levels: Sequence[Sequence[float]]) -> float:
    """Return J: pairs of runs of two levels that are in increasing order, ties counting half."""
    arrays = [np.asarray(level, dtype=float) for level in levels]
    total = 0.0
    for i, low in enumerate(arrays):
        for high in arrays[i + 1 :]:
            total += float((low[:, None] < high[None, :]).sum() + (low[:, None] == high[None, :]).sum() / 2)
    return total


def kendall_tau(levels: Sequence[Sequence[float]]) -> float:
    """Return (pairs in order − pairs reversed) / all pairs of runs of two levels: 1 if every pair increases."""
    return 2 * concordance(levels) / _pairs(tuple(len(level) for level in levels)) - 1


def _place(
    tie: int, states: dict[tuple[int, ...], NDArray[np.float64]], sizes: tuple[int, ...]
) -> dict[tuple[int, ...], NDArray[np.float64]]:
    """Place the next group of equal values in every possible way; 2J grows by the pairs that this puts in order."""
    after: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for placed, counts in states.items():
        free = [range(min(tie, size - here) + 1) for size, here in zip(sizes, placed, strict=True)]
        for added in product(*free) if tie > 1 else _singles(placed, sizes):
            if sum(added) != tie:
                continue
            below, equal, ordered = 0, 0, 0
            for here, new in zip(placed, added, strict=True):
                ordered += 2 * below * new + equal * new
                below, equal = below + here, equal + new
            ways = math.factorial(tie) // math.prod(math.factorial(new) for new in added)
            state = tuple(here + new for here, new in zip(placed, added, strict=True))
            target = after.setdefault(state, np.zeros_like(counts))
            target[ordered:] += ways * counts[: len(counts) - ordered]
    return after


def _singles(placed: tuple[int, ...], sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [tuple(int(i == j) for i in range(len(sizes))) for j in range(len(sizes)) if placed[j] < sizes[j]]


def _jonckheere_moments(sizes: tuple[int, ...], ties: NDArray[np.int_]) -> tuple[float, float]:
    """Return mean and variance of 2J given the ties (Hollander, Wolfe & Chicken 2014, equation 6.19)."""
    n, groups = sum(sizes), (np.array(sizes, dtype=float), ties.astype(float))
    mean = (n**2 - (groups[0] ** 2).sum()) / 4
    first = n * (n - 1) * (2 * n + 5) - sum(float((g * (g - 1) * (2 * g + 5)).sum()) for g in groups)
    second = math.prod(float((g * (g - 1) * (g - 2)).sum()) for g in groups)
    third = math.prod(float((g * (g - 1)).sum()) for g in groups)
    variance = first / 72 + (second / (36 * n * (n - 1) * (n - 2)) if n > 2 else 0.0) + third / (8 * n * (n - 1))
    return 2 * mean, 4 * variance


def _normal_p(observed: float, mean: float, variance: float) -> float:
    """Return P(statistic ≥ observed), with the continuity of a statistic that moves in steps of 2 where nothing ties."""
    if variance <= 0:
        return 1.0
    return float(stats.norm.sf((observed - 1 - mean) / math.sqrt(variance)))


def _pairs(sizes: tuple[int, ...]) -> int:
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
