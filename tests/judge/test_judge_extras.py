"""Figures beside a verdict, against independent computations."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from sealed_claims import decide, make_part, mean

from repro.judge.extras import extras_of
from repro.schema.verdict import Estimate


def runs(values: np.ndarray) -> Estimate:
    sd = float(values.std(ddof=1))
    return mean(float(values.mean()), sd / math.sqrt(len(values)), n=len(values), spread=sd)


def test_the_prediction_interval_is_that_of_a_regression_on_a_constant():
    values = np.random.default_rng(0).normal(3, 0.2, 7)
    ends = sm.OLS(values, np.ones(7)).fit().get_prediction(np.ones(1)).conf_int(obs=True, alpha=0.05)[0]
    extras = decide(make_part(printed="3.0", absolute=0.1), runs(values)).extras
    assert [extras["prediction_low"], extras["prediction_high"]] == pytest.approx(list(ends))
    assert extras["prediction_covers"] == float(ends[0] <= 3.0 <= ends[1])


def test_in_logs_the_prediction_interval_is_that_of_the_logarithms():
    logs = np.random.default_rng(1).normal(1, 0.3, 6)
    sd, value = float(logs.std(ddof=1)), math.exp(logs.mean())
    estimate = mean(value, value * sd / math.sqrt(6), n=6, spread=value * sd, log_se=sd / math.sqrt(6))
    ends = sm.OLS(logs, np.ones(6)).fit().get_prediction(np.ones(1)).conf_int(obs=True, alpha=0.05)[0]
    extras = decide(make_part(printed="2.7", factor=1.5), estimate).extras
    assert [extras["prediction_low"], extras["prediction_high"]] == pytest.approx(list(np.exp(ends)))


@pytest.mark.parametrize(("n", "original"), [(3, 1), (5, 1), (5, 5), (10, 3)])
def test_the_prediction_interval_covers_the_original(n: int, original: int):
    """Normal noise, 1,000 pairs of an original of n₀ runs and its replication: 95 % within three standard errors."""
    rng = np.random.default_rng(n)
    covered = 0.0
    for _ in range(1000):
        part = make_part(printed=f"{100 + rng.standard_normal(original).mean():.12f}", n=original, absolute=1.0)
        covered += extras_of(part, runs(100 + rng.standard_normal(n)), None, None)["prediction_covers"] or 0.0
    assert abs(covered / 1000 - 0.95) < 3 * 0.0069


def test_an_ordering_says_how_often_the_better_arm_wins():
    part = make_part("ordering", "0", approximate=True)
    extras = decide(part, mean(0.4, 0.1, n=5, units=(0.5, 0.4, 0.6, -0.1, 0.6))).extras
    assert extras["superiority"] == pytest.approx(0.8)
    assert extras["superiority_low"] == pytest.approx(0.3426, abs=1e-4)
    ranked = mean(None, None, n=5, units=(5.0, 4.0, 3.0, 2.0, 1.0), flags=("ranked",))
    assert decide(part, ranked).extras["superiority_low"] == pytest.approx(0.05**0.2)
    assert "superiority" not in decide(make_part(absolute=0.1), mean(0.4, units=(0.4, 0.5))).extras
