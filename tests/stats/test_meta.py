"""Random-effects combination against statsmodels, a published example, and simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from repro.schema.errors import EstimateError
from repro.stats.meta import combine

# BCG vaccine against tuberculosis, 13 trials (Colditz et al. 1994): ill and not ill, vaccinated and not. The example of
# van Houwelingen, Arends & Stijnen (2002) and of metafor's `dat.bcg`.
BCG = [
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
]


def log_risk_ratios() -> tuple[list[float], list[float]]:
    values = [math.log(a / (a + b) / (c / (c + d))) for a, b, c, d in BCG]
    ses = [math.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)) for a, b, c, d in BCG]
    return values, ses


def test_it_agrees_with_statsmodels():
    rng = np.random.default_rng(0)
    checked = 0
    for _ in range(50):
        k = int(rng.integers(2, 9))
        ses = rng.uniform(0.05, 0.4, k)
        values = rng.normal(1, 0.5, k)
        ours = combine(values, ses)
        theirs = combine_effects(values, ses**2, method_re="iterated", use_t=True)
        assert ours.tau**2 == pytest.approx(theirs.tau2, abs=1e-5)
        assert ours.q == pytest.approx(theirs.q)
        assert ours.i_squared == pytest.approx(max(0, theirs.i2))
        if theirs.scale_hksj_re > 1:  # below 1 ours stays at 1
            checked += 1
            assert ours.value == pytest.approx(theirs.mean_effect_re, abs=1e-4)
            assert ours.se == pytest.approx(theirs.sd_eff_w_re_hksj, rel=1e-3)
    assert checked > 5


def test_a_published_example():
    """13 BCG trials, computed here from the counts: Q = 152.233 with 12 degrees of freedom, as published."""
    values, ses = log_risk_ratios()
    ours = combine(values, ses)
    assert ours.q == pytest.approx(152.233, abs=0.001)
    assert ours.value == pytest.approx(-0.7150, abs=0.0005)
    # Paule and Mandel's equation, solved by halving an interval.
    low, high = 0.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        w = [1 / (s**2 + middle) for s in ses]
        mu = sum(a * b for a, b in zip(w, values, strict=True)) / sum(w)
        q = sum(a * (b - mu) ** 2 for a, b in zip(w, values, strict=True))
        low, high = (middle, high) if q > 12 else (low, middle)
    assert ours.tau**2 == pytest.approx(low, rel=1e-9)
    assert ours.low == pytest.approx(mu - stats.t.ppf(0.975, 12) * math.sqrt(q / 12 / sum(w)), rel=1e-9)
    half = stats.t.ppf(0.975, 11) * math.sqrt(low + q / 12 / sum(w))
    assert ours.prediction_high == pytest.approx(mu + half, rel=1e-9)
    assert ours.q_p < 1e-20


def test_agreement_by_luck_does_not_narrow_the_interval():
    ours = combine([1.0, 1.0001, 1.0], [0.1, 0.1, 0.1])
    assert ours.tau == 0
    assert ours.se == pytest.approx(0.1 / math.sqrt(3))
    assert ours.high - ours.value == pytest.approx(stats.t.ppf(0.975, 2) * ours.se)


def test_two_attempts_have_no_prediction_interval():
    ours = combine([1.0, 2.0], [0.1, 0.1])
    assert ours.prediction_low is None
    assert ours.n == 2
    assert ours.dof == 1


@pytest.mark.parametrize("tau", [0.0, 0.3])
@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_interval_covers(tau: float, k: int):
    """95 % intervals of the mean, unequal standard errors, 2,000 draws: at least 93.5 % (3 standard errors below)."""
    rng = np.random.default_rng(k)
    ses = np.linspace(0.1, 0.4, k)
    covered = 0
    for _ in range(2000):
        values = rng.normal(0, np.sqrt(tau**2 + ses**2))
        ours = combine(values, ses)
        covered += ours.low <= 0 <= ours.high
    assert covered / 2000 > 0.935


@pytest.mark.parametrize(
    ("values", "ses"),
    [
        ([1.0], [0.1]),
        ([], []),
        ([1.0, 2.0], [0.1]),
        ([1.0, 2.0], [0.1, 0.0]),
        ([1.0, math.nan], [0.1, 0.1]),
        ([1.0, 2.0], [0.1, -1.0]),
        ([1.0, 2.0], [0.1, math.inf]),
    ],
)
def test_what_cannot_be_combined_is_refused(values: list[float], ses: list[float]):
    with pytest.raises(EstimateError, match="combining attempts"):
        combine(values, ses)
