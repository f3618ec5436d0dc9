import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from experiments.speedruns import final_losses, record_times, softcap_losses
from experiments.speedruns.final_losses_estimators import (
    below_target,
    mean_of_latest,
    p_value,
    share_significant,
    spread_of_runs,
    t_tests,
)
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

RUNS = [
    ("track_1_short", "2025-01-01_A", "records/track_1_short/2025-01-01_A/a.txt", "3.2790", "100", "True"),
    ("track_1_short", "2025-01-01_A", "records/track_1_short/2025-01-01_A/b.txt", "3.2780", "101", "True"),
    ("track_1_short", "2025-01-01_B", "records/track_1_short/2025-01-01_B/this_pr/c.txt", "3.2770", "90", "True"),
    ("track_1_short", "2025-01-01_B", "records/track_1_short/2025-01-01_B/baseline/d.txt", "3.2760", "99", "True"),
    ("track_1_short", "2025-02-01_C", "records/track_1_short/2025-02-01_C/a.txt", "3.2790", "100", "True"),
    ("track_1_short", "2025-02-01_C", "records/track_1_short/2025-02-01_C/e.txt", "3.4000", "10", "False"),
    ("track_2_medium", "2025-01-01_Z", "records/track_2_medium/2025-01-01_Z/f.txt", "2.9200", "1500", "True"),
]


@pytest.fixture
def context(tmp_path: Path):
    def build(runs=RUNS, columns=final_losses.COLUMNS) -> Context:
        path = tmp_path / "runs.csv"
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(
                (track, record, log, 1750, 1750, loss, time, done) for track, record, log, loss, time, done in runs
            )
        return Context(files={"modded_nanogpt_runs": path})

    return build


def test_complete_runs_of_one_track_without_copies(context) -> None:
    rows = final_losses.run(final_losses.Config(), context())
    assert [row["val_loss"] for row in rows] == [3.279, 3.278, 3.277, 3.276]
    assert [row["record"] for row in rows] == [20250101.0, 20250101.0, 20250101.1, 20250101.1]
    assert [row["own"] for row in rows] == [1, 1, 1, 0]
    assert len({row["folder"] for row in rows}) == 3
    assert len(final_losses.run(final_losses.Config(complete_only=False, drop_copies=False), context())) == 6


def test_logs_that_share_a_name_but_not_a_result_are_no_copies(context) -> None:
    other = [*RUNS[:4], (*RUNS[4][:3], "3.2791", "100", "True")]
    assert len(final_losses.run(final_losses.Config(), context(other))) == 5


def test_a_bad_table_of_runs_is_refused(context) -> None:
    with pytest.raises(ValueError, match="lacks 'val_loss'"):
        final_losses.run(
            final_losses.Config(), context(columns=[c.replace("val_loss", "loss") for c in final_losses.COLUMNS])
        )
    with pytest.raises(ValueError, match="no run of the track 'track_9'"):
        final_losses.run(final_losses.Config(track="track_9"), context())
    with pytest.raises(ValueError, match="at least one row"):
        final_losses.run(final_losses.Config(), context([]))


def runs(*groups, **columns):
    """Two replicates of a table; a group is (record, own, steps, losses, time)."""
    rows = [
        {"record": record, "folder": float(i), "own": own, "steps": steps, "val_loss": loss, "train_s": time + j / 10}
        for i, (record, own, steps, losses, time) in enumerate(groups)
        for j, loss in enumerate(losses)
    ]
    return [make_record(0, *rows, **columns), make_record(1, *rows, **columns)]


LOW = (3.2779, 3.2781, 3.2780, 3.2778, 3.2782)
EDGE = (3.2790, 3.2812, 3.2770, 3.2801, 3.2799)


def test_p_is_the_one_sided_t_test_by_hand() -> None:
    loss = np.array(LOW)
    t = (loss.mean() - 3.28) / (loss.std(ddof=1) / np.sqrt(5))
    assert p_value(loss, 3.28) == pytest.approx(stats.t.cdf(t, 4))


@pytest.mark.parametrize("bad", [(3.28,), (3.27, 3.27, 3.27)])
def test_runs_without_scatter_have_no_p(bad: tuple[float, ...]) -> None:
    with pytest.raises(EstimateError, match="two runs that differ"):
        p_value(np.array(bad), 3.28)


def test_the_spread_is_unbiased_for_normal_runs() -> None:
    rng = np.random.default_rng(0)
    groups = [(20250101.0 + i, 1.0, 100.0, rng.normal(3.278 + i * 1e-3, 0.0013, 5), 60.0) for i in range(400)]
    found = spread_of_runs(runs(*groups))
    assert found.value == pytest.approx(0.0013, rel=0.05)
    assert found.extras["pooled_sd"] == pytest.approx(0.0013, rel=0.05)
    # sd of ln s over groups is √(ψ₁(ν/2))/2.
    assert found.log_se == pytest.approx(np.sqrt(special.polygamma(1, 2.0)) / 2 / 20, rel=0.15)
    assert (found.n, found.dof) == (400, 399)


def test_slips_that_the_spread_must_not_be_mistaken_for() -> None:
    rng = np.random.default_rng(1)
    groups = [(20250101.0 + i, 1.0, 100.0, rng.normal(3.27 + i * 0.01, 0.001, 16), 60.0) for i in range(8)]
    right, heap, mean = (spread_of_runs(runs(*groups), **slip) for slip in ({}, {"within": False}, {"of_mean": True}))
    assert heap.value > 10 * right.value
    assert mean.value == pytest.approx(right.value / 4)


def test_groups_too_few_or_without_scatter_are_refused() -> None:
    groups = [(20250101.0 + i, 1.0, 100.0, LOW, 60.0) for i in range(3)]
    assert spread_of_runs(runs(*groups)).n == 3
    with pytest.raises(EstimateError, match="three groups of at least 6 runs, got 0"):
        spread_of_runs(runs(*groups), least_runs=6)
    with pytest.raises(EstimateError, match="three groups"):
        spread_of_runs(runs(*groups), since=20250102)
    with pytest.raises(EstimateError, match="same loss"):
        spread_of_runs(runs(*groups[:2], (20250103.0, 1.0, 100.0, (3.278,) * 5, 60.0)))


def test_named_t_tests() -> None:
    records = runs(
        (20250101.0, 1.0, 100.0, LOW, 60.0), (20250102.0, 1.0, 90.0, EDGE, 60.0), (20250102.0, 0.0, 90.0, LOW, 60.0)
    )
    found = t_tests(records, parts={"a": {"record": 20250101}, "b": {"record": 20250102, "own": 1}})
    assert found["a"].value == pytest.approx(p_value(np.array(LOW), 3.28))
    assert found["b"].value > 0.01
    assert all(estimate.deterministic for estimate in found.values())
    assert t_tests(records, parts={"a": {"record": 20250101}}, report="sd")["a"].value == pytest.approx(
        np.std(LOW, ddof=1)
    )
    with pytest.raises(EstimateError, match="names 2"):
        t_tests(records, parts={"b": {"record": 20250102}})
    with pytest.raises(EstimateError, match="key 'stesp'"):
        t_tests(records, parts={"b": {"record": 20250102, "stesp": 1}})
    with pytest.raises(EstimateError, match="reports p or sd"):
        t_tests(records, parts={}, report="mean")


@pytest.mark.parametrize(("single", "printed"), [(True, "0.0007057"), (False, "0.0007058")])
def test_the_printed_spread_is_that_of_single_precision(single: bool, printed: str) -> None:
    # records/track_1_short/2025-09-29_PolarExpress/README.md prints 0.0007057.
    losses = (3.2789, 3.2792, 3.2796, 3.2776, 3.2797, 3.2787, 3.2792)
    records = runs((20250929.0, 1.0, 1670.0, losses, 148.0))
    found = t_tests(records, parts={"a": {"record": 20250929}}, report="sd", single_precision=single)["a"].value
    assert f"{found:.7f}" == printed


def test_the_share_counts_records_by_their_fastest_group() -> None:
    records = runs(
        (20250101.0, 1.0, 100.0, LOW, 60.0),
        (20250102.0, 1.0, 100.0, EDGE, 50.0),  # faster than the same record's passing group
        (20250102.0, 1.0, 110.0, LOW, 55.0),
        (20250103.0, 0.0, 100.0, LOW, 50.0),  # an earlier version: no test of this record
        (20250104.0, 1.0, 100.0, LOW[:2], 50.0),
        (20240101.0, 1.0, 100.0, EDGE, 50.0),
    )
    found = share_significant(records, since=20250101)
    assert (found["fastest_group"].value, found["any_group"].value) == (0.5, 1.0)
    assert found["any_group"].extras == {"tested": 2.0, "passing": 2.0, "too_few_logs": 1.0}
    with pytest.raises(EstimateError, match="No record since"):
        share_significant(records, since=20260101)


def test_the_distance_below_the_target_is_a_mean_over_records() -> None:
    groups = [(20250101.0 + i, 1.0, 100.0, tuple(x - i * 1e-3 for x in LOW), 60.0) for i in range(3)]
    found = below_target(runs(*groups), since=20250101)
    assert found["least"] == found["most"]
    assert found["least"].value == pytest.approx(0.003)
    assert found["least"].se == pytest.approx(0.001 / np.sqrt(3))
    with pytest.raises(EstimateError, match="three records, got 2"):
        below_target(runs(*groups[:2]), since=20250101)


def test_the_latest_record_is_timed() -> None:
    records = runs(
        (20250101.0, 1.0, 100.0, LOW, 60.0), (20250102.0, 1.0, 100.0, LOW, 50.0), (20250102.0, 1.0, 90.0, LOW, 40.0)
    )
    assert mean_of_latest(records).value == pytest.approx(40.2)
    assert mean_of_latest(records, slowest=True).value == pytest.approx(60.2)
    assert mean_of_latest(records, column="loss").value == pytest.approx(3.278)
    with pytest.raises(EstimateError, match="no column 'steps'"):
        mean_of_latest(records, column="steps")


@pytest.mark.parametrize("bad", [float("nan"), -3.0])
def test_a_run_without_a_loss_is_refused(bad: float) -> None:
    with pytest.raises(EstimateError, match="1 of 5 lack one, the first in row 4"):
        share_significant(runs((20250101.0, 1.0, 100.0, (*LOW[:4], bad), 60.0)), since=0)


def test_tables_that_are_none_are_refused() -> None:
    with pytest.raises(EstimateError, match="one table of runs"):
        share_significant([], since=0)
    with pytest.raises(EstimateError, match="no column 'record'"):
        share_significant([make_record(0, {"x": 1.0}), make_record(1, {"x": 1.0})], since=0)


def test_eighty_printed_losses() -> None:
    found = softcap_losses.run(softcap_losses.Config(), Context())
    assert found["count"] == 80
    assert round(found["mean"], 4) == 3.2791
    assert found["p"] < 0.01 < softcap_losses.run(softcap_losses.Config(target=3.279), Context())["p"]


@pytest.fixture
def records_file(tmp_path: Path):
    def build(*rows: str) -> Context:
        path = tmp_path / "records.csv"
        path.write_text("\n".join(["section,record,time,unit,description,date", *rows]))
        return Context(files={"modded_nanogpt_records": path})

    return build


WR = "World record history"


def test_a_record_must_beat_the_last_timing_of_the_one_before(records_file) -> None:
    context = records_file(
        f"{WR},1,45,minutes,x,2024-05-28",
        f"{WR},2,3.0,minutes,x,2025-01-01",
        f"{WR},2,3.2,minutes,again,2025-02-01",
        f"{WR},3,3.1,minutes,x,2025-03-01",
        "Other,1,5.8,hours,x,2025-03-01",
    )
    found = record_times.run(record_times.Config(), context)
    assert (found["first_minutes"], found["slower_than_prior"], found["records"]) == (45, 0, 3)
    assert found["latest_seconds"] == pytest.approx(186)
    assert record_times.run(record_times.Config(against_latest_timing=False), context)["slower_than_prior"] == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least two records"),
        ([f"{WR},1,45,minutes,x,2024-05-28", f"{WR},2,-1,minutes,x,2024-05-29"], "positive time"),
        ([f"{WR},1,45,minutes,x,2024-05-28", f"{WR},2,3,days,x,2024-05-29"], "got 3 days"),
    ],
)
def test_a_bad_table_of_records_is_refused(rows, message: str, records_file) -> None:
    with pytest.raises(ValueError, match=message):
        record_times.run(record_times.Config(), records_file(*rows))
