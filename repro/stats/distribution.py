"""What a sample says about the shape of its noise; only with enough units is anything said."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

SKEW_TEST_UNITS = 8
"""D'Agostino's (1970) approximation to the distribution of the sample skewness holds from n = 8 on."""

EXPONENTIAL_SKEWNESS = 3.6
"""Sample skewness that at most one sample in a hundred of exponential noise exceeds."""

CLUSTER_TEST_UNITS = 10

UNEQUAL_LEVEL = 0.05
"""Each way, at which the variances of two arms are said to differ."""


def visibly_skewed(units: ArrayLike) -> NDArray[np.bool_]:
    """Test the skewness of samples [..., n] by D'Agostino's (1970) test at 1 %; n of at least 8."""
    return np.asarray(stats.skewtest(np.asarray(units, dtype=float), axis=-1).pvalue < 0.01)


def heavy_tailed(units: Sequence[float], *, symmetric: bool) -> bool:
    """Say whether the noise is visibly too skewed for the interval that will be used.

    Where the noise was declared symmetric, D'Agostino's test checks that declaration from 8 units on. Where it was not,
    the interval is widened for noise as skewed as an exponential's, and the flag means more than that: a sample
    skewness above 3.6, its 99 % point for exponential noise (n = 30 to 100; smaller below, and out of reach for
    n ≤ 15). Heavy but symmetric tails are not flagged: they make t err less often, not more.
    """
    if len(units) < SKEW_TEST_UNITS or min(units) == max(units):
        return False
    if symmetric:
        return bool(visibly_skewed(units))
    return bool(abs(stats.skew(units)) > EXPONENTIAL_SKEWNESS)


def multimodal(units: Sequence[float]) -> bool:
    """Say whether the units fall into two groups, so that their mean describes neither.

    The statistic is the share of the sum of squares that the best cut into two groups of at least two explains
    (two-means in one dimension). Its 99 % point under a uniform or exponential distribution, the unimodal ones
    easiest to mistake, is 0.75 + 0.65/√n or less for n ≥ 10 (simulated: `tests/stats/test_distribution.py`); below 10
    units nothing is said. Clean groups (gap of six standard deviations) are seen in 6 of 10 samples at n = 15.
    """
    n = len(units)
    values = np.sort(np.asarray(units, dtype=float))
    total = ((values - values.mean()) ** 2).sum()
    if n < CLUSTER_TEST_UNITS or total == 0:
        return False
    left = np.arange(2, n - 1)
    sums = values.cumsum()
    gap = sums[left - 1] / left - (sums[-1] - sums[left - 1]) / (n - left)
    explained = (left * (n - left) / n * gap**2).max() / total
    return bool(explained > 0.75 + 0.65 / np.sqrt(n))


def unequal_arms(a: Sequence[float], b: Sequence[float]) -> bool:
    """Say whether one arm scatters visibly more than the other, by the ratio of variances (F test, one run in ten by chance).

    The difference of two arms with the same noise is symmetric whatever that noise is; if one arm is quiet, the
    difference is as skewed as the other arm, and a plain t interval errs as for a mean.
    """
    if len(a) < 2 or len(b) < 2:
        return False
    (small, n), (large, m) = sorted((float(np.var(arm, ddof=1)), len(arm)) for arm in (a, b))
    return bool(large > small * stats.f.ppf(1 - UNEQUAL_LEVEL, m - 1, n - 1))
