"""Reference convergence points: MLPerf's own worked examples, SciPy's pooled and Yuen's t, pruning, bad data."""

import math

import numpy as np
import pytest
from scipy import stats

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.reference_convergence import (
    ReferencePoint,
    max_speedup,
    min_epochs,
    olympic,
    point_at,
    prune,
    reference_convergence,
    reference_point,
    too_fast_p,
    trimmed_error,
)
from trial_records import make_record

# MLPerf Training rules, "Appendix: RCP Examples": N = 5.
BATCH_128 = [16, 14, 16, 17, 16, 16, 15, 16, 15, 16]
BATCH_256 = [20, 21, 21, 20, 22, 22, 21, 21, 20, 20]


@pytest.mark.parametrize(
    ("runs", "mean", "sd", "speedup", "least"),
    [(BATCH_128, 15.75, 0.43, 3.53, 15.21), (BATCH_256, 20.75, 0.66, 4.12, 19.93)],
)
def test_the_published_examples(runs: list[float], mean: float, sd: float, speedup: float, least: float):
    point = reference_point(128, runs)
    assert point.mean == mean
    assert round(point.sd, 2) == sd
    assert round(100 * (max_speedup(point, 3) - 1), 2) == speedup
    assert round(min_epochs(point, 3), 2) == least


def test_the_published_example_of_interpolation():
    point = point_at([reference_point(128, BATCH_128), reference_point(256, BATCH_256)], 192, 5)
    assert (point.mean, round(point.sd, 3), point.n) == (18.25, 0.547, 10)
    assert round(100 * (max_speedup(point, 3) - 1), 2) == 3.68


def test_the_pooled_t_is_scipys():
    point = reference_point(128, BATCH_128)
    theirs = stats.ttest_ind_from_stats(
        15.0, point.sd, 3, point.mean, point.sd, point.n, equal_var=True, alternative="less"
    )
    assert too_fast_p(point, 15.0, 3) == pytest.approx(theirs.pvalue)
    assert too_fast_p(point, min_epochs(point, 3), 3) == pytest.approx(0.05)


def test_yuens_error_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.exponential(size=10), rng.exponential(size=20)
    theirs = stats.ttest_ind(a, b, equal_var=False, trim=0.1)  # 1 of 10 and 2 of 20
    difference = np.mean(olympic(a)) - np.mean(olympic(b, 2))
    assert difference / math.hypot(trimmed_error(a), trimmed_error(b, 2)) == pytest.approx(theirs.statistic)


def point(batch_size: float, mean: float) -> ReferencePoint:
    return ReferencePoint(batch_size, mean, 1.0, 0.3, 18)


@pytest.mark.parametrize(
    ("means", "kept"),
    [
        ({1: 10, 2: 12, 4: 16}, [1, 2, 4]),
        ({1: 11, 2: 10, 4: 16}, [2, 4]),  # smaller than the fastest
        ({1: 10, 2: 15, 4: 16}, [1, 4]),  # slower than the line between its neighbours
        ({1: 10, 2: 12, 3: 14}, [1, 2, 3]),  # on the line
        ({1: 10, 2: 20, 3: 21, 4: 16}, [1, 4]),  # one after the other
        ({8: 30}, [8]),
    ],
)
def test_slow_points_are_pruned(means: dict[int, float], kept: list[int]):
    shuffled = sorted(means, key=lambda size: -size)
    assert [p.batch_size for p in prune(point(size, means[size]) for size in shuffled)] == kept


def test_a_smaller_batch_is_held_to_the_smallest_point_and_a_larger_one_refused():
    points = [point(8, 10), point(16, 12)]
    assert point_at(points, 4, 5) == points[0]
    with pytest.raises(EstimateError, match="Run the reference with batch size 32"):
        point_at(points, 32, 5)


def test_a_reference_without_scatter_allows_nothing():
    flat = reference_point(1, [9.0] * 6)
    assert (min_epochs(flat, 3), max_speedup(flat, 3)) == (9.0, 1.0)
    assert [too_fast_p(flat, mean, 3) for mean in (8.9, 9.0, 9.1)] == [0.0, 1.0, 1.0]


def test_a_wild_reference_allows_everything():
    wild = reference_point(1, [1.0, 1.0, 1.0, 90.0, 95.0, 100.0])
    assert min_epochs(wild, 3) < 0
    assert max_speedup(wild, 3) == math.inf


def published(submitted: list[float | None], **columns: float) -> list[TrialRecord]:
    rows: list[dict[str, float | None]] = [
        {"batch_size": size, "is_reference": 1.0, "epochs": float(value)}
        for size, runs in ((128.0, BATCH_128), (256.0, BATCH_256))
        for value in runs
    ]
    rows += [{"batch_size": columns.get("at", 256.0), "is_reference": 0.0, "epochs": value} for value in submitted]
    return [make_record(0, *rows, process="p0"), make_record(1, *rows, process="p1")]


@pytest.mark.parametrize(
    ("submitted", "at", "passes"),
    [([15, 15, 15, 16, 16], 128.0, True), ([19, 19, 19, 20, 21], 256.0, False), ([17, 18, 18, 18, 20], 192.0, True)],
)
def test_the_published_submissions(submitted: list[float | None], at: float, passes: bool):
    got = reference_convergence(published(submitted, at=at), batch_size=at, runs=5)
    assert (got.extras["rcp_p"] > 0.05) is passes  # type: ignore[operator]
    assert got.n == 5
    assert ("interpolated" in got.flags) is (at == 192.0)


def test_own_runs_against_a_given_reference():
    records = [make_record(i, {"epochs": value}) for i, value in enumerate([19.0, 19.0, 19.0, 20.0, 21.0])]
    got = reference_convergence(records, batch_size=256, runs=5, reference={"128": BATCH_128, "256": BATCH_256})  # type: ignore[dict-item]
    assert got.value == pytest.approx(58 / 3 / 20.75)
    records[0] = make_record(0, status="diverged")
    assert reference_convergence(records, batch_size=256, runs=5, reference={"256": BATCH_256}).value == pytest.approx(  # type: ignore[dict-item]
        60 / 3 / 20.75
    )


def test_more_than_one_run_that_did_not_converge_is_no_submission():
    got = reference_convergence(published([19.0, None, None, 19.0, 19.0]), batch_size=256.0, runs=5)
    assert got.value is None
    assert got.flags == ("diverged",)
    assert "at most 1 may" in got.note


def test_a_single_run_left_has_a_mean_but_no_error():
    """GPT-3 of MLPerf: N = 3."""
    got = reference_convergence(published([19.0, 20.0, 22.0]), batch_size=256.0, runs=3)
    assert got.value == pytest.approx(20 / 20.75)
    assert got.extras["rcp_log_se"] is None
    assert got.extras["rcp_p"] is not None


def test_no_run_left_is_refused():
    with pytest.raises(EstimateError, match="needs at least 3 runs"):
        olympic([1.0, 2.0])


def test_too_few_runs_are_no_submission():
    assert reference_convergence(published([19.0] * 4), batch_size=256.0, runs=5).flags == ("too_few",)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (published([]), "got 20 and 0"),
        (
            [make_record(i, {"epochs": 1.0, "batch_size": 256.0}, process=f"p{i}") for i in (0, 1)],
            "column 'is_reference'",
        ),
        ([], "got 0 different ones"),
    ],
)
def test_bad_data_is_refused(records: list[TrialRecord], message: str):
    with pytest.raises(EstimateError, match=message):
        reference_convergence(records, batch_size=256.0, runs=5)


@pytest.mark.parametrize(
    "runs", [[1.0, 2.0, 3.0], [1.0, 2.0, math.nan, 4.0], [1.0, -2.0, 3.0, 4.0], [1.0, 2.0, math.inf, 4.0]]
)
def test_a_bad_reference_is_refused(runs: list[float]):
    with pytest.raises(EstimateError, match=r"at least 4 show|positive and finite"):
        reference_point(1, runs)


@pytest.mark.parametrize(("deviation", "low", "high"), [("kept", 0.07, 0.12), ("all", 0.02, 0.05)])
def test_how_often_an_honest_submission_is_called_too_fast(deviation: str, low: float, high: float):
    """N = 5, normal noise, nominal 5 %: the rules' examples err almost twice as often, because dropping runs hides scatter."""
    rng = np.random.default_rng(0)
    fast = []
    for reference, submission in zip(rng.normal(30, 1, (2000, 10)), rng.normal(30, 1, (2000, 5)), strict=True):
        here = reference_point(1, reference, deviation=deviation)  # type: ignore[arg-type]
        fast.append(too_fast_p(here, float(np.mean(olympic(submission))), 3) <= 0.05)
    assert low < np.mean(fast) < high
