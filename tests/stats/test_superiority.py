"""P(A > B): against SciPy, statsmodels, and its level by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.nonparametric import rank_compare_2indep

from repro.stats.superiority import paired_superiority, unpaired_superiority


def test_the_share_of_pairs_with_ties_as_half():
    won = paired_superiority([1.0, 0.5, -2.0, 0.0, math.inf])
    assert won is not None
    assert won.value == pytest.approx(3.5 / 5)


def test_the_paired_bound_is_clopper_and_pearsons():
    for wins, n in ((5, 5), (4, 5), (9, 10), (11, 11), (3, 20)):
        won = paired_superiority([1.0] * wins + [-1.0] * (n - wins))
        assert won is not None
        theirs = stats.binomtest(wins, n, alternative="greater").proportion_ci(0.95, method="exact").low
        assert won.low == pytest.approx(theirs)
    assert paired_superiority([-1.0, -2.0]).low == 0  # type: ignore[union-attr]
    assert paired_superiority([]) is None


def test_eleven_wins_show_more_than_three_quarters():
    assert [paired_superiority([1.0] * n).low > 0.75 for n in (10, 11)] == [False, True]  # type: ignore[union-attr]


@pytest.mark.parametrize("ties", [False, True])
def test_the_unpaired_value_and_bound_agree_with_statsmodels(ties: bool):
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, b = rng.normal(0.4, 1, 9), rng.normal(0, 2, 12)
        if ties:
            a, b = np.round(a), np.round(b)
        ours = unpaired_superiority(a.tolist(), b.tolist())
        theirs = rank_compare_2indep(a, b)
        assert ours is not None
        assert ours.value == pytest.approx(theirs.prob1)
        assert ours.low == pytest.approx(min(_logit_low(theirs), 0.05 ** (1 / 9)))
        assert ours.value == pytest.approx(sum((a[:, None] > b).ravel() + (a[:, None] == b).ravel() / 2) / 108)


def _logit_low(result: Any) -> float:
    """Lower end of a 95 % one-sided interval on the logit scale, from the variance and degrees of freedom of statsmodels."""
    p, se = result.prob1, math.sqrt(result.var_prob)
    half = stats.t.ppf(0.95, result.df) * se / (p * (1 - p))
    return 1 / (1 + math.exp(-(math.log(p / (1 - p)) - half)))


def test_brunner_munzel_p_is_reached_where_the_bound_on_the_linear_scale_is_one_half():
    """The variance and the degrees of freedom behind the bound are those of SciPy's test."""
    a, b = [1.1, 2.0, 3.5, 4.0, 2.2], [0.5, 1.0, 2.1, 1.9, 3.0, 0.1]
    test = stats.brunnermunzel(b, a, alternative="less")
    ours = rank_compare_2indep(np.array(a), np.array(b))
    assert stats.t.sf((ours.prob1 - 0.5) / math.sqrt(ours.var_prob), ours.df) == pytest.approx(test.pvalue)


def test_arms_that_do_not_overlap_have_the_exact_bound():
    won = unpaired_superiority([5.0, 6.0, math.inf], [1.0, 2.0, 3.0, 4.0])
    assert won is not None
    assert (won.value, won.low) == (1.0, pytest.approx(0.05 ** (1 / 3)))
    lost = unpaired_superiority([1.0, 2.0], [3.0, 4.0])
    assert lost is not None
    assert (lost.value, lost.low) == (0.0, 0.0)
    assert unpaired_superiority([1.0], [2.0, 3.0]) is None
    assert unpaired_superiority([1.0, 1.0], [1.0, 1.0]).low == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("n", [5, 10, 20])
def test_the_unpaired_bound_holds_its_level(n: int, quiet: bool):
    """Exponential noise against the same or a quiet arm, P(A > B) = 0.5 and 0.75: at most 5 % plus three standard errors."""
    rng = np.random.default_rng(n)
    draws = 1000
    pool = rng.exponential(size=100_000) - (
        0.1 * rng.standard_normal(100_000) if quiet else rng.exponential(size=100_000)
    )
    for truth in (0.5, 0.75):
        shift = -float(np.quantile(pool, 1 - truth))
        a = rng.exponential(size=(draws, n)) + shift
        b = 0.1 * rng.standard_normal((draws, n)) if quiet else rng.exponential(size=(draws, n))
        bounds = [unpaired_superiority(x.tolist(), y.tolist()) for x, y in zip(a, b, strict=True)]
        assert np.mean([bound is not None and bound.low > truth for bound in bounds]) < 0.05 + 3 * 0.007
