import math

import numpy as np
import pytest
import statsmodels.api as sm

from repro.schema.errors import EstimateError
from repro.stats.bootstrap import bootstrap_se, leave_one_out_se, resamples

VALUES = np.array([1.0, 2.0, 4.0, 8.0, 9.0, 3.0])


def test_leave_one_out_of_a_mean_is_exactly_its_standard_error():
    se = leave_one_out_se(6, lambda i: VALUES[i].mean())
    assert se == pytest.approx(VALUES.std(ddof=1) / math.sqrt(6), rel=1e-12)


def test_bootstrap_of_a_mean_approaches_its_standard_error():
    for n in (3, 6):
        values = VALUES[:n]
        se = bootstrap_se(n, lambda i, v=values: v[i].mean(), draws=20_000)
        assert se == pytest.approx(values.std(ddof=1) / math.sqrt(n), rel=0.02)


def test_slopes_agree_with_the_robust_standard_errors_of_statsmodels():
    """Resampling pairs allows for unequal noise, as White's HC errors do; HC3 is an approximate jackknife."""
    rng = np.random.default_rng(5)
    x = np.linspace(-1, 1, 60)
    y = 2 * x + rng.standard_normal(60)
    reference = sm.OLS(y, sm.add_constant(x)).fit()

    def slope(i):
        return np.polyfit(x[i], y[i], 1)[0]

    assert leave_one_out_se(60, slope, fitted=2) == pytest.approx(reference.HC3_se[1], rel=0.02)
    assert bootstrap_se(60, slope, fitted=2, draws=4000) == pytest.approx(reference.HC3_se[1], rel=0.05)


def test_vector_statistics_give_a_vector():
    se = bootstrap_se(6, lambda i: (VALUES[i].mean(), 2 * VALUES[i].mean()), draws=200)
    assert se.shape == (2,)
    assert se[1] == pytest.approx(2 * se[0])
    assert leave_one_out_se(6, lambda i: (VALUES[i].mean(), 1.0))[1] == 0


def test_resamples_repeat_with_the_seed_and_hold_enough_distinct_units():
    drawn = resamples(3, 500, seed=4, fitted=2)
    assert drawn.shape == (500, 3)
    assert (drawn == resamples(3, 500, seed=4, fitted=2)).all()
    assert min(len(set(row)) for row in drawn.tolist()) == 2
    assert {0, 1, 2} == set(drawn.ravel().tolist())


@pytest.mark.parametrize("method", [bootstrap_se, leave_one_out_se])
def test_as_many_parameters_as_units_are_refused(method):
    with pytest.raises(EstimateError, match="more independent units than the 2 fitted parameters, got 2"):
        method(2, lambda i: 0.0, fitted=2)


def test_a_fit_that_often_fails_is_refused():
    with pytest.raises(EstimateError, match="found no value in"):
        bootstrap_se(4, lambda i: math.nan if 0 in i else 1.0, draws=200)
    with pytest.raises(EstimateError, match="hangs on that unit"):
        leave_one_out_se(4, lambda i: math.nan if 0 not in i else 1.0)


def test_a_fit_that_seldom_fails_uses_the_other_draws():
    drawn = resamples(6, 1000, seed=0)
    rare = [row for row in drawn.tolist() if (VALUES[row] == VALUES[row][0]).sum() >= 5]
    assert 0 < len(rare) < 50
    se = bootstrap_se(6, lambda i: math.nan if (i == i[0]).sum() >= 5 else VALUES[i].mean(), draws=1000)
    assert se == pytest.approx(VALUES.std(ddof=1) / math.sqrt(6), rel=0.1)


def test_parts_of_a_large_bootstrap_are_drawn_as_one(monkeypatch):
    whole = resamples(9, 50, 3, fitted=5)
    monkeypatch.setattr("repro.stats.bootstrap._SORTED", 20)
    assert (resamples(9, 50, 3, fitted=5) == whole).all()
    assert (np.array([len(set(row)) for row in whole.tolist()]) >= 5).all()


@pytest.mark.parametrize("draws", [0, -3])
def test_a_bootstrap_without_draws_is_refused(draws):
    with pytest.raises(EstimateError, match="needs resamples to draw"):
        resamples(5, draws, 0)
