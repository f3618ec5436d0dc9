"""The trend tests against SciPy, against every permutation, and at their level."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
from scipy import stats

from repro.stats.trend_tests import concordance, jonckheere_p, kendall_tau, page_p


def test_page_agrees_with_scipy_exact():
    rng = np.random.default_rng(0)
    for n, k in ((2, 5), (3, 3), (5, 4), (10, 5), (4, 7)):
        values = rng.standard_normal((n, k)) + 0.3 * np.arange(k)
        theirs = stats.page_trend_test(values, method="exact")
        assert page_p(values) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_page_with_ties_counts_every_arrangement_of_every_block():
    blocks = np.array([[1, 1, 2], [3, 1, 3], [0, 5, 5]])
    ranks = stats.rankdata(blocks, axis=1)
    orders = [np.array(order) for order in permutations(range(3))]
    weights = np.array([1, 2, 3])
    sums = [
        a[o] @ weights + b[p] @ weights + c[q] @ weights
        for a, b, c in [ranks]
        for o in orders
        for p in orders
        for q in orders
    ]
    assert page_p(blocks) == pytest.approx(np.mean(np.array(sums) >= (ranks @ weights).sum() - 1e-9))


def test_page_of_many_levels_is_nearly_scipys_asymptotic():
    values = np.random.default_rng(1).standard_normal((6, 12)) + 0.1 * np.arange(12)
    theirs = stats.page_trend_test(values, method="asymptotic").pvalue
    assert page_p(values) == pytest.approx(theirs, rel=0.05)  # SciPy's has no correction for continuity


def test_one_value_a_level_agrees_with_kendalls_exact_test():
    rng = np.random.default_rng(2)
    for k in (3, 5, 8, 11):
        values = rng.standard_normal(k) + 0.2 * np.arange(k)
        theirs = stats.kendalltau(np.arange(k), values, method="exact", alternative="greater")
        assert jonckheere_p([[v] for v in values]) == pytest.approx(theirs.pvalue, abs=1e-12)
        assert kendall_tau([[v] for v in values]) == pytest.approx(theirs.statistic)


@pytest.mark.parametrize(
    "levels",
    [
        [[1.0, 2.0], [3.0, 0.5], [4.0, 5.0]],
        [[1.0, 1.0], [1.0, 2.0, 2.0], [2.0, 3.0]],
        [[1.0, math.inf], [math.inf, math.inf], [3.0]],
        [[5.0, 5.0], [5.0, 5.0]],
    ],
)
def test_jonckheere_agrees_with_every_permutation(levels: list[list[float]]):
    flat = [v for level in levels for v in level]
    ends = np.cumsum([0, *(len(level) for level in levels)])
    observed = concordance(levels)
    all_j = np.array([concordance([order[a:b] for a, b in pairwise(ends)]) for order in permutations(flat)])
    assert jonckheere_p(levels) == pytest.approx((all_j >= observed - 1e-9).mean())


def test_two_levels_are_mann_and_whitneys_test():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(6), rng.standard_normal(9) + 0.5
    theirs = stats.mannwhitneyu(b, a, alternative="greater", method="exact").pvalue
    assert jonckheere_p([a.tolist(), b.tolist()]) == pytest.approx(theirs)


def test_the_normal_approximation_of_jonckheere_is_that_of_its_permutations():
    """Six levels of ten runs, heavily tied: against 4,000 random permutations."""
    rng = np.random.default_rng(4)
    levels = [np.round(rng.normal(0.08 * i, 1, 10)).tolist() for i in range(6)]
    flat, observed = np.array([v for level in levels for v in level]), concordance(levels)
    drawn = [concordance(rng.permutation(flat).reshape(6, 10).tolist()) for _ in range(4000)]
    assert jonckheere_p(levels) == pytest.approx(np.mean(np.array(drawn) >= observed - 1e-9), abs=0.025)


@pytest.mark.parametrize("levels", [3, 5])
@pytest.mark.parametrize("n", [3, 5])
def test_both_hold_their_level(n: int, levels: int):
    """Exponential noise, no trend, 1,000 and 100 draws: at most 5 % plus 3 Monte Carlo standard errors, and not far below."""
    rng = np.random.default_rng(n)
    draws = rng.exponential(size=(1000, n, levels))
    page = np.mean([page_p(draw) <= 0.05 for draw in draws])
    assert 0.02 < page < 0.05 + 3 * 0.007
    few = draws[:100]
    assert np.mean([jonckheere_p(draw.T.tolist()) <= 0.05 for draw in few]) < 0.05 + 3 * 0.022
