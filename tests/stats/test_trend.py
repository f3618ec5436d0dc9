"""Estimators of a trend: layouts, ties, divergence, bad data."""

import math

import numpy as np
import pytest
from scipy import stats

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.trend import estimated_trend, exact_trend, monotone_trend
from trial_records import make_record


def grid(table: list[list[float]], column: str = "loss") -> list[TrialRecord]:
    """One trial a seed (row) and level (column): size 1, 2, 3, ..."""
    return [
        make_record(seed, {column: value}, size=level)
        for seed, row in enumerate(table)
        for level, value in enumerate(row, start=1)
    ]


def published(rows: list[dict[str, float | None]]) -> list[TrialRecord]:
    """A deterministic trial, run twice."""
    return [make_record(0, *rows, process="p0"), make_record(1, *rows, process="p1")]


FALLING = [[4.0, 3.0, 2.0], [4.1, 3.2, 2.5], [3.9, 3.3, 2.1]]


def test_blocks_are_judged_by_pages_test():
    got = monotone_trend(grid(FALLING), x="size", y="loss")
    theirs = stats.page_trend_test(-np.array(FALLING), method="exact").pvalue
    assert got.value == 1
    assert got.n == 3
    assert got.extras["trend_p"] == pytest.approx(theirs)
    assert got.extras["trend_least_p"] == pytest.approx(theirs)
    assert got.extras["trend_reverse_p"] == pytest.approx(1)
    assert got.extras["trend_reversals"] == 0
    assert got.extras["trend_step_p"] == 1


def test_the_other_direction_is_the_mirror_image():
    down = monotone_trend(grid(FALLING), x="size", y="loss")
    up = monotone_trend(grid(FALLING), x="size", y="loss", direction="increasing")
    assert up.value == -1
    assert up.extras["trend_p"] == down.extras["trend_reverse_p"]
    assert up.extras["trend_reversals"] == 2


def test_one_trial_may_give_a_row_for_each_level():
    rows = [make_record(seed, *({"d": d, "loss": v} for d, v in enumerate(row))) for seed, row in enumerate(FALLING)]
    assert monotone_trend(rows, x="d", y="loss").extras == monotone_trend(grid(FALLING), x="size", y="loss").extras


def test_a_single_seed_is_mann_and_kendalls_test():
    row = [9.0, 7.0, 8.0, 5.0, 4.0, 1.0]
    got = monotone_trend(grid([row]), x="size", y="loss")
    theirs = stats.kendalltau(range(6), row, method="exact", alternative="less")
    assert got.extras["trend_p"] == pytest.approx(theirs.pvalue)
    assert got.value == pytest.approx(-theirs.statistic)
    assert got.extras["trend_step_p"] is None
    assert got.extras["trend_reversals"] == 1
    assert got.n == 6


def test_independent_runs_may_be_unequally_many():
    records = [
        make_record(i, {"loss": v}, size=s)
        for i, (s, v) in enumerate([(1, 5.0), (1, 6.0), (2, 4.0), (3, 1.0), (3, 2.0)])
    ]
    got = monotone_trend(records, x="size", y="loss", runs="independent")
    assert got.extras["trend_p"] == pytest.approx(1 / 30)
    assert got.extras["superiority"] == 1
    assert got.extras["trend_least_p"] == pytest.approx(1 / 30)


def test_rows_of_a_published_table_are_independent_runs():
    rows = [{"batch": b, "epochs": e} for b, e in ((1, 5.0), (1, 6.0), (2, 7.0), (2, 8.0), (4, 9.0), (4, 10.0))]
    got = monotone_trend(published(rows), x="batch", y="epochs", direction="increasing", runs="rows")
    assert got.n == 6
    assert got.extras["trend_p"] == pytest.approx(1 / 90)
    assert got.flags == ()
    once = monotone_trend(published(rows)[:1], x="batch", y="epochs", direction="increasing", runs="rows")
    assert once.flags == ("not_deterministic",)


def test_a_diverged_run_ranks_last():
    table = [row[:] for row in FALLING]
    table[0][0] = math.nan
    got = monotone_trend(grid(table), x="size", y="loss")
    assert got.value == 1
    assert got.extras["diverged"] == 1
    assert "rank last" in got.note
    accuracy = monotone_trend(grid(table), x="size", y="loss", direction="decreasing", lower_is_better=False)
    assert accuracy.value is not None
    assert accuracy.value < 1
    crashed = grid(FALLING)
    crashed[0] = make_record(0, status="diverged", size=1)
    assert monotone_trend(crashed, x="size", y="loss").value == 1


def test_a_reversed_step_is_seen():
    rng = np.random.default_rng(0)
    table = np.array([5.0, 3.0, 4.0, 1.0]) + 0.01 * rng.standard_normal((8, 4))
    got = monotone_trend(grid(table.tolist()), x="size", y="loss")
    assert got.extras["trend_reversals"] == 1
    assert got.extras["trend_step_p"] == pytest.approx(1 / 2**8)
    assert got.extras["trend_p"] < 0.01  # type: ignore[operator]


@pytest.mark.parametrize(
    ("records", "arguments", "message"),
    [
        ([], {}, "no trial that measured"),
        (grid([[1.0, 2.0]]), {}, "at least three levels"),
        (grid(FALLING)[1:], {}, "no value at size = 1"),
        (grid(FALLING) + grid([[1.0]]), {}, "two values at size = 1"),
        (grid(FALLING), {"y": "los"}, "Did you mean 'loss'"),
        (grid(FALLING), {"direction": "down"}, "no direction 'down'"),
        (grid(FALLING), {"runs": "pairs"}, "Did you mean 'paired'"),
        (grid(FALLING), {"x": "seeds"}, "measured no 'seeds'"),
        ([make_record(0, {"loss": 1.0}, size="large")], {}, "finite numbers"),
        ([make_record(0, {"loss": 1.0}, size=True)], {}, "finite numbers"),
        (published([{"size": 1.0, "loss": None}, {"size": 2.0, "loss": 1.0}]), {"runs": "rows"}, "no finite 'loss'"),
        (grid(FALLING), {"runs": "rows"}, "rows of one trial"),
        ([make_record(0, status="diverged")], {}, "level is unknown"),
    ],
)
def test_bad_data_is_refused(records: list[TrialRecord], arguments: dict[str, str], message: str):
    with pytest.raises(EstimateError, match=message):
        monotone_trend(records, **{"x": "size", "y": "loss", **arguments})  # type: ignore[arg-type]


def test_exact_steps():
    rows = [{"step": 2.0, "a": 0.6}, {"step": 1.0, "a": 0.87}, {"step": 3.0, "a": 0.5}]
    got = exact_trend(published(rows), x="step", y="a")
    assert got.value == pytest.approx(0.1)
    assert got.deterministic
    assert exact_trend(published(rows), x="step", y="a", direction="increasing").extras["trend_reversals"] == 2


def test_every_estimated_step_is_tested_by_itself():
    rows = [
        {"step": 1.0, "a": 0.9, "se": 0.02, "dof": 5.0},
        {"step": 2.0, "a": 0.7, "se": 0.03, "dof": 9.0},
        {"step": 3.0, "a": 0.65, "se": 0.02, "dof": 7.0},
    ]
    got = estimated_trend(published(rows), x="step", y="a", se="se", dof="dof")
    theirs = stats.ttest_ind_from_stats(0.7, 0.03 * math.sqrt(10), 10, 0.65, 0.02 * math.sqrt(8), 8, equal_var=False)
    assert got.extras["trend_p"] == pytest.approx(theirs.pvalue / 2)
    assert got.extras["trend_step_p"] == pytest.approx(1 - theirs.pvalue / 2)
    assert got.value == pytest.approx(0.05)
    known = estimated_trend(published(rows), x="step", y="a", se="se")
    assert known.extras["trend_p"] == pytest.approx(stats.norm.sf(0.05 / math.hypot(0.03, 0.02)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"step": 1.0, "a": 1.0, "se": 0.1}], "at least two levels"),
        ([{"step": 1.0, "a": 1.0, "se": 0.1}, {"step": 1.0, "a": 2.0, "se": 0.1}], "one row for each"),
        ([{"step": 1.0, "a": 1.0, "se": 0.0}, {"step": 2.0, "a": 2.0, "se": 0.1}], "positive 'se'"),
        ([{"step": 1.0, "a": None, "se": 0.1}, {"step": 2.0, "a": 2.0, "se": 0.1}], "finite"),
        ([{"step": 1.0, "b": 1.0, "se": 0.1}, {"step": 2.0, "b": 2.0, "se": 0.1}], "measured no 'a'"),
    ],
)
def test_bad_tables_are_refused(rows: list[dict[str, float | None]], message: str):
    with pytest.raises(EstimateError, match=message):
        estimated_trend(published(rows), x="step", y="a", se="se")
