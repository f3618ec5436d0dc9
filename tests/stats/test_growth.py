import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from repro.schema.errors import EstimateError
from repro.stats.growth import growth_parts, log_linear_growth, log_linear_rate
from trial_records import make_record


def table(years, values, **columns):
    """Two replicates of a deterministic trial whose rows are a table."""
    rows = [
        {"year": t, "value": v, **{name: column[i] for name, column in columns.items()}}
        for i, (t, v) in enumerate(zip(years, values, strict=True))
    ]
    return [make_record(0, *rows), make_record(1, *rows)]


@pytest.fixture
def noisy():
    rng = np.random.default_rng(5)
    t = np.sort(rng.uniform(2010, 2024, 60))
    return t, 1e18 * np.exp(0.8 * (t - 2010) + rng.normal(0, 0.7, 60))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_line_is_that_of_statsmodels(noisy, weighted: bool) -> None:
    t, y = noisy
    w = np.random.default_rng(1).uniform(0.5, 2, 60) if weighted else np.ones(60)
    reference = sm.WLS(np.log(y), sm.add_constant(t - 2017), weights=w).fit()
    fit = log_linear_rate(t, y, w)
    assert fit.rate == pytest.approx(reference.params[1], rel=1e-10)
    assert fit.se == pytest.approx(reference.bse[1], rel=1e-10)
    assert fit.r_squared == pytest.approx(reference.rsquared, rel=1e-10)
    assert fit.dof == 58


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("growth", 4.6),
        ("orders", math.log10(4.6)),
        ("doubling_time", math.log(2) / math.log(4.6)),
        ("tenfold_time", 1 / math.log10(4.6)),
        ("count", 5.0),
        ("r_squared", 1.0),
    ],
)
def test_exact_growth_is_found_however_it_is_told(report: str, expected: float) -> None:
    years = [2010.0, 2011.5, 2014.0, 2019.0, 2020.0]
    found = log_linear_growth(table(years, [3.0 * 4.6 ** (t - 2010) for t in years]), y="value", report=report)
    assert found.value == pytest.approx(expected)
    assert found.deterministic
    assert found.se == 0.0


@given(
    rate=st.floats(-1.5, 1.5).filter(lambda r: abs(r) > 1e-3),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-50, 50),
)
def test_units_of_value_and_origin_of_time_change_nothing(rate: float, scale: float, shift: float) -> None:
    t = np.array([0.0, 0.7, 1.1, 2.5, 4.0, 4.2])
    y = np.exp(rate * t + np.array([0.1, -0.2, 0.05, 0.2, -0.1, 0.0]))
    assert log_linear_rate(t + shift, scale * y).rate == pytest.approx(log_linear_rate(t, y).rate, abs=1e-9)


def test_months_are_a_twelfth_of_years() -> None:
    records = table([2010.0, 2011.0, 2012.0], [1.0, 2.0, 4.0])
    assert log_linear_growth(records, y="value", report="doubling_time", months=True).value == pytest.approx(12)


def test_the_interval_is_that_of_student_on_the_rate(noisy) -> None:
    t, y = noisy
    low, high = (
        log_linear_growth(table(t, y), y="value", report=end, of="growth", level=0.9).value for end in ("low", "high")
    )
    reference = np.exp(sm.OLS(np.log(y), sm.add_constant(t - 2017)).fit().conf_int(0.1)[1])
    assert (low, high) == pytest.approx(tuple(reference), rel=1e-9)


def test_a_doubling_time_falls_where_growth_rises_and_its_ends_stay_in_order(noisy) -> None:
    t, y = noisy
    records = table(t, y)
    low, middle, high = (
        log_linear_growth(records, y="value", report=report, of="doubling_time").value
        for report in ("low", "doubling_time", "high")
    )
    assert low < middle < high


def test_ranges_choose_rows_with_their_ends_included() -> None:
    records = table([2010.0, 2011.0, 2012.0, 2013.0], [1.0, 2.0, 4.0, 1.0], notable=[1.0, 1.0, 1.0, 0.0])
    assert log_linear_growth(records, y="value", where={"year": [2010, 2012]}).value == pytest.approx(2)
    assert log_linear_growth(records, y="value", where={"notable": [1, 1]}).extras["rows"] == 3


def test_the_bootstrap_error_is_that_of_the_regression_for_even_noise(noisy) -> None:
    t, y = noisy
    found = log_linear_growth(table(t, y), y="value", report="orders", uncertainty="bootstrap", bootstrap=4000)
    assert found.se == pytest.approx(log_linear_rate(t, y).se / math.log(10), rel=0.12)
    assert (found.dof, found.n, found.deterministic) == (58, 60, False)


@pytest.mark.parametrize("report", ["growth", "doubling_time", "tenfold_time"])
def test_errors_follow_by_the_derivative(noisy, report: str) -> None:
    t, y = noisy
    records = table(t, y)
    orders = log_linear_growth(records, y="value", report="orders", uncertainty="bootstrap")
    other = log_linear_growth(records, y="value", report=report, uncertainty="bootstrap")
    rate, rate_se = orders.value * math.log(10), orders.se * math.log(10)
    factor = {"growth": math.exp(rate), "doubling_time": math.log(2) / rate**2, "tenfold_time": math.log(10) / rate**2}
    assert other.se == pytest.approx(factor[report] * rate_se)
    assert other.log_se == pytest.approx(other.se / other.value)


def test_rows_of_one_chip_are_resampled_together(noisy) -> None:
    t, y = noisy
    alone = log_linear_growth(table(t, y), y="value", uncertainty="bootstrap")
    t4, y4, chip = np.repeat(t, 4), np.repeat(y, 4), np.repeat(np.arange(60.0), 4)
    together = log_linear_growth(table(t4, y4, chip=chip), y="value", unit="chip", uncertainty="bootstrap")
    careless = log_linear_growth(table(t4, y4), y="value", uncertainty="bootstrap")
    assert (together.n, together.se) == (60, pytest.approx(alone.se, rel=1e-6))
    assert careless.se < 0.6 * alone.se


def test_the_same_seed_draws_the_same_resamples(noisy) -> None:
    t, y = noisy
    one, two, other = (
        log_linear_growth(table(t, y), y="value", uncertainty="bootstrap", seed=seed).se for seed in (0, 0, 1)
    )
    assert one == two != other


@pytest.mark.slow
def test_ninety_per_cent_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held, draws = 0, 600
    for _ in range(draws):
        t = rng.uniform(0, 14, 40)
        found = log_linear_growth(
            table(t, np.exp(0.3 * t + rng.standard_t(5, 40))),
            y="value",
            report="orders",
            uncertainty="bootstrap",
            bootstrap=300,
        )
        held += abs(found.value - 0.3 / math.log(10)) < 1.686 * found.se
    assert held / draws == pytest.approx(0.90, abs=0.03)


def test_parts_join_the_shared_ranges() -> None:
    records = table([2010.0, 2011.0, 2012.0, 2013.0], [1.0, 2.0, 4.0, 8.0], ml=[1.0, 1.0, 1.0, 0.0])
    found = growth_parts(
        records,
        shared={"y": "value", "where": {"year": [2010, 2013]}, "report": "count"},
        parts={"all": {}, "ml": {"where": {"ml": [1, 1]}}, "rate": {"report": "growth"}},
    )
    assert {name: estimate.value for name, estimate in found.items()} == {"all": 4, "ml": 3, "rate": pytest.approx(2)}


@pytest.mark.parametrize(
    ("years", "values", "message"),
    [
        ([2010.0, 2011.0, 2012.0], [1.0, math.nan, 4.0], "must be finite and positive"),
        ([2010.0, 2011.0, 2012.0], [1.0, -2.0, 4.0], "first is -2 in row 1"),
        ([2010.0, 2011.0, 2012.0], [1.0, 0.0, 4.0], "must be finite and positive"),
        ([2010.0, math.inf, 2012.0], [1.0, 2.0, 4.0], "Every time must be finite"),
        ([2010.0, 2010.0, 2010.0], [1.0, 2.0, 4.0], "at least two dates"),
        ([2010.0, 2011.0], [1.0, 2.0], "needs three rows, got 2"),
    ],
)
def test_values_without_a_place_in_the_fit_are_refused(years, values, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        log_linear_growth(table(years, values), y="value")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": "valeu"}, "no column 'valeu'. Did you mean 'value'"),
        ({"y": "value", "report": "groth"}, "Did you mean 'growth'"),
        ({"y": "value", "uncertainty": "some"}, "no uncertainty 'some'"),
        ({"y": "value", "level": 1.0}, "between 0 and 1"),
        ({"y": "value", "where": {"year": [2010]}}, r"must be \[least, greatest\]"),
        ({"y": "value", "where": {"year": [1900, 1950]}}, "needs three rows, got 0"),
        ({"y": "value", "weight": "year", "where": {"tear": [0, 1]}}, "no column 'tear'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        log_linear_growth(table([2010.0, 2011.0, 2012.0], [1.0, 2.0, 4.0]), **arguments)


def test_tables_that_are_none_are_refused() -> None:
    with pytest.raises(EstimateError, match="no records"):
        log_linear_growth([], y="value")
    with pytest.raises(EstimateError, match="no rows"):
        log_linear_growth([make_record(0), make_record(1)], y="value")
    with pytest.raises(EstimateError, match="one table, got 2 cells"):
        log_linear_growth([make_record(0, {"year": 1.0}, k=1), make_record(1, {"year": 1.0}, k=2)], y="value")
    with pytest.raises(EstimateError, match="Part 'a': .*no column"):
        growth_parts(table([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), parts={"a": {"y": "z"}})
    with pytest.raises(EstimateError, match="does not fit"):
        growth_parts(table([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), parts={"a": {"y": "value", "colour": 1}})


def test_a_table_that_differs_between_processes_is_flagged() -> None:
    one, other = table([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])[0], table([1.0, 2.0, 3.0], [1.0, 2.0, 5.0])[1]
    assert log_linear_growth([one, other], y="value").flags == ("not_deterministic",)


def test_constant_values_have_no_doubling_time() -> None:
    with pytest.raises(EstimateError, match="no doubling time"):
        log_linear_growth(table([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]), y="value", report="doubling_time")
