import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.schema.errors import EstimateError
from repro.stats.cost_curve import above_floor, cost_exponent
from repro.stats.regression import log_log_slope
from repro.stats.simulators import cost_curve as simulator
from trial_records import make_record

LENGTHS = (256, 512, 1024, 2048, 4096, 8192)


def timings(law, lengths=LENGTHS, passes=3, noise=0.0, seed=0, **changed):
    rng = np.random.default_rng(seed)
    arguments = {"measures": "time"} | changed
    return [
        make_record(r, {"seconds": law(n) * math.exp(noise * rng.standard_normal())}, n=n, **arguments)
        for r in range(passes)
        for n in lengths
    ]


@given(st.floats(0.5, 2.5), st.floats(0.0, 0.2), st.integers(0, 100))
def test_without_a_floor_it_is_the_log_log_slope(power, noise, seed):
    records = timings(lambda n: 1e-9 * n**power, noise=noise, seed=seed)
    ours, plain = (f(records, x="n", y="seconds", octaves=4) for f in (cost_exponent, log_log_slope))
    assert (ours.value, ours.se, ours.dof, ours.n, ours.flags) == (
        plain.value,
        plain.se,
        plain.dof,
        plain.n,
        plain.flags,
    )
    assert plain.extras.items() <= ours.extras.items()
    assert ours.extras["left_out"] == 0


def launch_bound(n):
    return max(1e-3, 1e-3 * (n / 1024) ** 2)


def test_launch_bound_points_are_left_out_by_the_floor():
    records = timings(launch_bound)
    bent = cost_exponent(records, x="n", y="seconds", octaves=5)
    straight = cost_exponent(records, x="n", y="seconds", octaves=5, floor=1.1e-3)
    assert bent.value < 1.7
    assert straight.value == pytest.approx(2)
    assert (straight.n, straight.extras["left_out"], straight.extras["fitted_octaves"]) == (3, 3, 2)
    assert "3 n left out, their median seconds is below 0.0011" in straight.note
    assert "local_slope_512_1024" not in straight.extras
    assert straight.extras["local_slope_4096_8192"] == pytest.approx(2)


def test_the_median_of_the_passes_meets_the_floor():
    low = make_record(0, {"seconds": 1e-5}, measures="time", n=256)  # one slow pass of three does not lift the point
    records = [low, *[r for r in timings(lambda n: 1e-9 * n**2) if (r.replicate, r.config["n"]) != (0, 256)]]
    assert cost_exponent(records, x="n", y="seconds", octaves=5, floor=6e-5).n == 6
    assert cost_exponent(records, x="n", y="seconds", octaves=5, floor=7e-5).n == 5


def test_the_floor_of_a_batch_holds_for_the_whole_call():
    records = [
        make_record(p, {"seconds": 1e-9 * n**2, "batch": 8192.0 / n}, measures="time", n=n)
        for p in (0, 1)
        for n in LENGTHS
    ]
    result = cost_exponent(records, x="n", y="seconds", octaves=5, floor=3e-3, batch="batch")  # calls of 8.2e-6·n
    assert (result.n, result.extras["left_out"]) == (5, 1)
    assert "their median seconds·batch is below 0.003" in result.note
    drawn = simulator.tilt(
        records, {"value": 1.0}, np.random.default_rng(0), x="n", y="seconds", octaves=5, floor=3e-3, batch="batch"
    )
    again = cost_exponent(drawn, x="n", y="seconds", octaves=5, floor=3e-3, batch="batch")
    assert (again.value, again.n) == (pytest.approx(1.0), 5)


def test_rows_may_carry_the_lengths():
    rows = [{"n": float(n), "bytes": 3.0 * n} for n in LENGTHS]
    result = cost_exponent([make_record(i, *rows) for i in (0, 1)], x="n", y="bytes", octaves=5, floor=1000.0)
    assert result.value == pytest.approx(1)
    assert (result.n, result.extras["left_out"]) == (5, 1)


def test_too_few_lengths_above_the_floor_are_refused():
    with pytest.raises(EstimateError, match=r"4 of 6 n .* below the floor 0.01, and 2 of the top 3 octaves are left"):
        cost_exponent(timings(launch_bound), x="n", y="seconds", floor=1e-2)
    with pytest.raises(EstimateError, match=r"6 of 6 n .* 0 of the top .* largest median is 0.064"):
        cost_exponent(timings(launch_bound), x="n", y="seconds", floor=1.0)


def test_the_checks_of_the_slope_hold():
    mixed = timings(launch_bound, passes=1) + timings(launch_bound, lengths=(16384,), passes=1, machine="b" * 12)
    with pytest.raises(EstimateError, match="timings of 2 machines"):
        cost_exponent(mixed, x="n", y="seconds")
    diverged = [*timings(launch_bound), make_record(0, status="diverged", n=16384)]
    assert cost_exponent(diverged, x="n", y="seconds").flags == ("diverged",)


@pytest.mark.parametrize(
    ("law", "better", "quadratic", "linear"),
    [
        (lambda n: 2.0 + 3e-3 * n + 4e-6 * n**2, "sum", 4e-6 * 8192**2, 3e-3 * 8192),
        (lambda n: 1e-3 * n**1.5, "power", None, None),
    ],
)
def test_the_two_models_are_told_apart(law, better, quadratic, linear):
    extras = cost_exponent(timings(law), x="n", y="seconds", octaves=5).extras
    worse = {"sum": "power", "power": "sum"}[better]
    assert extras[f"bic_{better}"] < extras[f"bic_{worse}"] - 10
    if quadratic is not None:
        assert extras["quadratic_share"] == pytest.approx(quadratic / law(8192))
        assert extras["linear_share"] == pytest.approx(linear / law(8192))


def test_bic_on_a_literal():
    """Points on y = x² but for one twice as high: the fits are solved by hand."""
    lengths, y = (1, 2, 4, 8), np.array([1.0, 4.0, 16.0, 128.0])
    extras = cost_exponent(timings(lambda n: dict(zip(lengths, y, strict=True))[n], lengths), x="n", y="seconds").extras
    # No sum of 1, n and n² bends so much; n² alone is the best of them: Σ(c·n²/y − 1)² has its minimum at c = 3.5/3.25.
    c = 3.5 / 3.25
    rss = 3 * (c - 1) ** 2 + (c / 2 - 1) ** 2
    assert extras["quadratic_share"] == 1
    assert extras["bic_sum"] == pytest.approx(4 * math.log(rss / 4) + 3 * math.log(4))


def test_few_points_give_no_bic():
    extras = cost_exponent(timings(lambda n: n**2, LENGTHS[-3:]), x="n", y="seconds").extras
    assert (extras["bic_sum"], extras["bic_power"]) == (None, None)
    assert extras["quadratic_share"] == pytest.approx(1)


@pytest.mark.parametrize("truth", [1.5, 2.5])
def test_simulated_points_have_the_true_slope_and_stay_above_the_floor(truth):
    records = timings(launch_bound, noise=0.01)
    drawn = simulator.tilt(
        records, {"value": truth}, np.random.default_rng(0), x="n", y="seconds", octaves=5, floor=1.5e-3
    )
    result = cost_exponent(drawn, x="n", y="seconds", octaves=5, floor=1.5e-3)
    assert result.value == pytest.approx(truth, abs=0.05)
    assert (result.n, result.extras["left_out"]) == (3, 0)


def test_no_floor_keeps_every_record():
    records = timings(launch_bound)
    assert above_floor(records, "n", "seconds", 0.0) == records
