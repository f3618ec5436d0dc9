import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from repro.schema.errors import EstimateError
from repro.stats.equivalence import critical_value
from repro.stats.regression import log_log_slope, weighted_line
from trial_records import make_record

LENGTHS = (256, 512, 1024, 2048, 4096)


def timings(law, lengths=LENGTHS, passes=3, noise=0.0, seed=0, **changed):
    rng = np.random.default_rng(seed)
    arguments = {"measures": "time"} | changed
    return [
        make_record(r, {"seconds": law(n) * math.exp(noise * rng.standard_normal())}, n=n, **arguments)
        for r in range(passes)
        for n in lengths
    ]


def test_line_against_statsmodels():
    rng = np.random.default_rng(3)
    x, w = rng.random(12), rng.random(12) + 0.1
    y = 1 + 2 * x + rng.standard_normal(12) / np.sqrt(w)
    reference = sm.WLS(y, sm.add_constant(x), weights=w).fit()
    line = weighted_line(x, y, w)
    assert (line.intercept, line.slope) == pytest.approx(tuple(reference.params))
    assert (line.intercept_se, line.slope_se) == pytest.approx(tuple(reference.bse))
    assert line.residual_sd == pytest.approx(math.sqrt(reference.scale))
    assert line.dof == reference.df_resid


def test_line_on_a_literal():
    line = weighted_line([0, 1, 2], [0, 2, 2])
    assert (line.intercept, line.slope, line.dof) == pytest.approx((1 / 3, 1, 1))
    assert line.slope_se == pytest.approx(math.sqrt(2 / 3 / 2))


@pytest.mark.parametrize("x", [[1, 2], [1, 1, 1]])
def test_a_line_without_scatter_is_refused(x):
    with pytest.raises(EstimateError, match="needs three points and two different x"):
        weighted_line(x, x)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
def test_an_exact_power_law_gives_its_exponent(power):
    result = log_log_slope(timings(lambda n: 1e-9 * n**power), x="n", y="seconds", octaves=4)
    assert result.value == pytest.approx(power)
    assert result.se < 1e-12
    assert (result.n, result.dof, result.unit) == (5, 3, "length")
    assert result.extras["local_slope_2048_4096"] == pytest.approx(power)


def test_only_the_top_octaves_are_fitted():
    def law(n):
        return 1e-3 if n < 1024 else 1e-3 * (n / 1024) ** 2

    result = log_log_slope(timings(law), x="n", y="seconds", octaves=2)
    assert result.n == 3
    assert result.value == pytest.approx(2)
    assert "local_slope_256_512" not in result.extras


@given(st.floats(0.0, 3.0), st.integers(1, 4), st.integers(0, 1000))
def test_the_interval_holds_the_slope_of_every_window(overhead, passes, seed):
    records = timings(lambda n: 1e-9 * n**2 + overhead * 1e-4, passes=passes, noise=0.05, seed=seed)
    result = log_log_slope(records, x="n", y="seconds", octaves=4)
    x = np.log(LENGTHS)
    y = np.log([np.median([r.value("seconds") for r in records if r.config["n"] == n]) for n in LENGTHS])
    windows = [np.polyfit(x[i:j], y[i:j], 1)[0] for i in range(3) for j in range(i + 3, 6)]
    assert len(windows) == 6
    assert np.abs(np.array(windows) - result.value).max() <= critical_value(0.05, result.dof) * result.se


def test_the_standard_error_joins_line_passes_and_window():
    result = log_log_slope(timings(lambda n: n**2, noise=0.1, passes=4), x="n", y="seconds", octaves=4)
    e = result.extras
    assert result.se == pytest.approx(math.hypot(max(e["se_line"], e["se_passes"]), e["se_window"]))
    assert min(e["se_line"], e["se_passes"], e["se_window"]) > 0
    one = log_log_slope(timings(lambda n: n**2, noise=0.1, passes=1), x="n", y="seconds", octaves=4)
    assert one.extras["se_passes"] == 0
    assert one.se >= one.extras["se_line"] > 0


def test_an_error_that_more_lengths_would_not_shrink_is_flagged():
    curved = log_log_slope(timings(lambda n: n**2 + 300 * n), x="n", y="seconds", octaves=4)
    assert curved.extras["se_window"] > curved.extras["se_line"]
    assert curved.flags == ("systematic_error",)
    drifting = [
        make_record(p, {"seconds": n ** (2 + p / 10)}, measures="time", n=n) for p in (-1, 0, 1) for n in LENGTHS
    ]
    assert log_log_slope(drifting, x="n", y="seconds", octaves=4).flags == ()


def test_drift_from_pass_to_pass_widens_the_interval():
    def drifting(pass_number):
        return timings(lambda n: n ** (2 + 0.1 * pass_number), passes=1)

    records = [make_record(p, *r.rows, measures="time", n=r.config["n"]) for p in (-1, 0, 1) for r in drifting(p)]
    result = log_log_slope(records, x="n", y="seconds", octaves=4)
    assert result.value == pytest.approx(2)
    assert result.extras["se_passes"] == pytest.approx(0.1 / math.sqrt(3) * math.sqrt(math.pi / 2))
    assert result.extras["se_line"] < 1e-9


def test_rows_may_carry_the_lengths():
    rows = [{"n": float(n), "bytes": 3.0 * n} for n in LENGTHS]
    result = log_log_slope([make_record(i, *rows) for i in (0, 1)], x="n", y="bytes")
    assert result.value == pytest.approx(1)
    assert result.n == 4


def test_machines_are_not_mixed():
    records = timings(lambda n: n, passes=1) + timings(lambda n: n, lengths=(8192,), passes=1, machine="b" * 12)
    with pytest.raises(EstimateError, match="timings of 2 machines"):
        log_log_slope(records, x="n", y="seconds")
    memory = [make_record(r.replicate, *r.rows, n=r.config["n"], machine=r.machine.fingerprint) for r in records]
    assert log_log_slope(memory, x="n", y="seconds").value == pytest.approx(1)


def test_a_diverged_trial_leaves_no_slope():
    records = [*timings(lambda n: n), make_record(0, status="diverged", n=8192)]
    result = log_log_slope(records, x="n", y="seconds")
    assert (result.value, result.flags, result.n) == (None, ("diverged",), 6)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "got none"),
        (timings(lambda n: n, lengths=(256, 4096)), "hold 1 values"),
        (timings(lambda n: -n), "needs positive values"),
        (timings(lambda n: n) + timings(lambda n: n), "twice at n = 256"),
        ([make_record(0, {"second": 1.0}, n=1)], "no 'seconds'. Did you mean 'second'"),
        ([make_record(0, {"seconds": 1.0}, m=1)], "no 'n'."),
    ],
)
def test_unusable_records_are_refused(records, message):
    with pytest.raises(EstimateError, match=message):
        log_log_slope(records, x="n", y="seconds")


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.02, 0.2])
@pytest.mark.parametrize("passes", [1, 3])
def test_the_slope_of_noisy_timings_keeps_its_level(noise, passes):
    """With a true power law, the one-sided error is at most 5 % (far less: the window widens the interval)."""
    misses = []
    for seed in range(800):
        result = log_log_slope(
            timings(lambda n: 1e-9 * n**2, noise=noise, passes=passes, seed=seed), x="n", y="seconds", octaves=4
        )
        misses.append(result.value + critical_value(0.05, result.dof) * result.se < 2)
    assert np.mean(misses) <= 0.05
