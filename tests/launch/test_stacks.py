"""Trials side by side: what is put together, in which order, and that records are those of single trials."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

from repro.launch.attempt import carry_out
from repro.launch.executors import execute
from repro.launch.planning.layout import lay_out
from repro.launch.planning.plan import Plan
from repro.launch.records.store import RecordStore
from repro.launch.running.pace import Pace, mark_stopped, when_stopped
from repro.launch.running.stacks import cut, stacks
from repro.launch.running.trials import run_together, run_trial
from repro.schema.study import Design, Scale, ScaleDelta, Study
from repro.schema.trial import TrialRecord, TrialSpec

RECIPE = '''"""Runs of a size and a length; those of one size can run side by side.

Serves: nothing
"""

import time
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    size: int = 1
    lr: float = 1.0
    seconds: float = 0.0
    trouble: str = ""
    journal: str = "journal"
    seed: int = 0


def cost(config):
    return 10.0 * config.size


def stack_of(config):
    if config.trouble == "stack_of":
        raise ValueError("no such stack")
    return config.size


def run(config, context):
    return run_batch([config], [context])[0]


def run_batch(configs, contexts):
    with Path(configs[0].journal).open("a") as stream:
        stream.write(f"{[(c.size, c.lr, c.seed) for c in configs]}\\n")
    if len(configs) > 1 and any(c.trouble == "together" for c in configs):
        raise RuntimeError("out of memory")
    if any(c.trouble == "always" for c in configs):
        raise RuntimeError("broken")
    end = time.monotonic() + max(c.seconds for c in configs)
    while time.monotonic() < end:
        time.sleep(0.002)
    rows = []
    for config, context in zip(configs, contexts):
        context.progress(1.0)
        context.log(1, loss=config.lr)
        rows.append({"loss": float("nan") if config.trouble == "nan" else config.lr + config.seed, "flops": cost(config)})
    return rows[:-1] if any(c.trouble == "short" for c in configs) and len(configs) > 1 else rows


def sizes(config):
    return [{"size": size, "lr": lr} for size in (1, 4, 2) for lr in (1.0, 2.0)]
'''
SIZED = RECIPE + "\n\ndef stack_size(configs, context):\n    return 3\n"
SWEEP = Study("toys/sweep", "recipes.toys.sweep", {"cpu": ScaleDelta()}, design=Design(function="sizes"))
CPU = Scale("cpu", "cpu", "float32", 60.0, "")


@pytest.fixture
def sweep(write_claims):
    """Return a function that lays out the trials of the toy sweep."""

    def lay(
        recipe: str = RECIPE, seeds: Sequence[int] = (0,), study: Study = SWEEP, **params: object
    ) -> list[TrialSpec]:
        write_claims(extra={"recipes/toys/sweep.py": recipe})
        return lay_out(replace(study, params=params), CPU, seeds)

    return lay


def calls() -> list[list[tuple[int, float, int]]]:
    """Return what the recipe was called with, call by call."""
    return [eval(line) for line in Path("journal").read_text().splitlines()]


def told(record: TrialRecord) -> tuple[object, ...]:
    """Return what must not depend on neighbours."""
    return record.key, record.status, record.rows, record.curves, record.config, record.label, record.error


def test_trials_of_one_shape_are_together_and_the_most_expensive_come_first(sweep) -> None:
    found = stacks(sweep(seeds=(0, 1)))
    assert [[(s.config["size"], s.replicate) for s in stack] for stack in found] == [
        [(4, 0), (4, 0), (4, 1), (4, 1)],
        [(2, 0), (2, 0), (2, 1), (2, 1)],
        [(1, 0), (1, 0), (1, 1), (1, 1)],
    ]


def test_records_of_a_stack_are_those_of_single_trials(sweep) -> None:
    specs = sweep(seeds=(0, 1))
    together = [r for stack in stacks(specs) for r in run_together(stack, ("seal",), RecordStore(Path("together")))]
    alone = {spec.key: run_trial(spec, ("seal",), RecordStore(Path("alone"))) for spec in specs}
    assert len(calls()) == 3 + 12
    assert [told(record) for record in together] == [told(alone[record.key]) for record in together]
    for spec in specs:
        stored = RecordStore(Path("together")).find(spec, "")
        assert stored is not None
        assert stored.seals == ("seal",)
    assert not list(Path("together/running").iterdir())


def test_a_trial_has_its_share_of_the_seconds_and_the_stack_its_time(sweep) -> None:
    begun = datetime.now().astimezone()
    records = run_together(stacks(sweep(seeds=(0, 1), seconds=0.2))[0], (), RecordStore(Path("records")))
    ended = datetime.now().astimezone()
    assert len({record.seconds for record in records}) == 1
    assert 0.2 <= sum(record.seconds for record in records) < 2
    starts = [datetime.fromisoformat(record.started) for record in records]
    ends = [start + timedelta(seconds=record.seconds) for start, record in zip(starts, records, strict=True)]
    assert begun - timedelta(seconds=0.01) <= starts[0]
    assert ends[-1] <= ended + timedelta(seconds=0.01)
    for end, start in zip(ends, starts[1:], strict=False):
        assert abs((start - end).total_seconds()) < 0.002


@pytest.mark.parametrize("trouble", ["together", "short"])
def test_a_stack_that_fails_runs_one_by_one_and_says_so(sweep, trouble: str) -> None:
    stack = stacks(sweep(trouble=trouble))[0]
    with pytest.warns(UserWarning, match=r"2 trials of recipes\.toys\.sweep failed side by side and run one by one"):
        records = run_together(stack, (), RecordStore(Path("records")))
    assert [record.status for record in records] == ["finished", "finished"]
    assert [len(call) for call in calls()] == [2, 1, 1]
    assert not Path("records/failed").exists()


def test_in_a_broken_stack_every_trial_has_a_failure_of_its_own(sweep) -> None:
    with pytest.warns(UserWarning, match="RuntimeError: broken"):
        records = run_together(stacks(sweep(trouble="always"))[0], (), RecordStore(Path("records")))
    assert [record.status for record in records] == ["failed", "failed"]
    assert len(list(Path("records/failed").iterdir())) == 2


def test_one_run_that_diverges_leaves_its_neighbours_alone(sweep) -> None:
    first, second = stacks(sweep())[0]
    ill = replace(first, config={**first.config, "trouble": "nan"})
    records = run_together((ill, second), (), RecordStore(Path("records")))
    assert [record.status for record in records] == ["diverged", "finished"]
    assert records[0].rows[0]["loss"] is None


def test_a_stack_has_the_time_limits_of_its_trials_together(sweep) -> None:
    stack = tuple(replace(spec, time_limit_s=0.2) for spec in stacks(sweep(seconds=0.3))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [r.status for r in run_together(stack, (), RecordStore(Path("records")))] == ["finished", "finished"]
    slow = tuple(replace(spec, time_limit_s=0.1) for spec in stack)
    with pytest.warns(UserWarning, match="longer than its limit"):
        records = run_together(slow, (), RecordStore(Path("slow")))
    assert [record.status for record in records] == ["failed", "failed"]


def test_what_measures_time_or_wants_a_process_of_its_own_is_alone_and_in_order(sweep) -> None:
    specs = sweep(seeds=(0, 1))
    timed = [replace(spec, measures="time") for spec in specs]
    assert stacks(timed) == [(spec,) for spec in timed]
    assert all(len(stack) == 1 for stack in stacks(replace(spec, own_process=True) for spec in specs))


def test_what_differs_in_device_precision_data_or_sources_is_apart(sweep) -> None:
    first, second = stacks(sweep())[0]
    for change in ({"device": "cuda"}, {"precision": "bfloat16"}, {"sources": "0"}):
        assert len(stacks([first, replace(second, **change)])) == 2
    assert len(stacks([first, second])) == 1


def test_a_recipe_that_cannot_name_the_stack_runs_the_trial_alone(sweep) -> None:
    specs = sweep(trouble="stack_of")
    assert [len(stack) for stack in stacks(specs)] == [1] * 6


def test_a_stack_is_cut_evenly_to_the_size_that_was_measured(sweep) -> None:
    stack = stacks(sweep(SIZED, seeds=(0, 1)))[0]
    assert [len(piece) for piece in cut(stack)] == [2, 2]
    assert [len(piece) for piece in cut((*stack, stack[0], stack[1], stack[2]))] == [2, 3, 2]
    assert [len(piece) for piece in cut(stack, at_most=1)] == [1] * 4
    assert [spec for piece in cut(stack) for spec in piece] == list(stack)


def test_a_measurement_that_fails_is_said_and_cuts_nothing(sweep) -> None:
    broken = RECIPE + "\n\ndef stack_size(configs, context):\n    raise RuntimeError('no device')\n"
    stack = stacks(sweep(broken))[0]
    with pytest.warns(UserWarning, match="stack_size of .* failed.*no device"):
        assert cut(stack) == [stack]


@pytest.mark.parametrize(("jobs", "longest"), [(1, 160.0), (2, 80.0), (4, 40.0), (64, 40.0)])
def test_no_worker_is_left_with_more_than_its_share(sweep, jobs: int, longest: float) -> None:
    specs = sweep(seeds=(0, 1))
    found = stacks(specs, jobs)
    costs = [sum(spec.cost or 0 for spec in stack) for stack in found]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == longest
    assert sorted(spec.key for stack in found for spec in stack) == sorted(spec.key for spec in specs)


@pytest.mark.parametrize("settings", [{"kind": "inline"}, {"kind": "processes", "jobs": 2}])
def test_executors_run_stacks_and_each_trial_once(sweep, settings: dict) -> None:
    specs, store = sweep(seeds=(0, 1)), RecordStore(Path("records"))
    get_reusable_executor().shutdown(wait=True)  # workers of an earlier test know the recipes of its directory
    records = list(execute(specs, Plan((), tuple(specs), ""), store, settings))
    assert sorted(record.key for record in records) == sorted(spec.key for spec in specs)
    assert len({record.key for record in records}) == len(records)
    assert sum(len(call) for call in calls()) == len(specs)
    assert max(len(call) for call in calls()) > 1


def test_a_sweep_goes_on_where_it_was_and_runs_nothing_twice(sweep) -> None:
    specs, store = sweep(seeds=(0, 1)), RecordStore(Path("records"))
    run_together(stacks(specs)[0][:3], (), store)
    plan = Plan((), tuple(specs), "")
    carry_out(plan, store, {"kind": "inline"})  # nobody asked for an attempt: nothing runs
    assert [len(call) for call in calls()] == [3]


def seen(flops: float, seconds: float, spec: TrialSpec) -> TrialRecord:
    record = run_trial(spec, (), RecordStore(Path("seen")))
    return replace(record, rows=({"flops": flops},), seconds=seconds)


def test_the_most_that_a_stack_may_take_comes_from_the_nearest_trials(sweep) -> None:
    (spec, *_) = sweep()
    pace = Pace()
    stack = (replace(spec, cost=1e9),)
    assert pace.most(stack) is None
    pace.add(seen(1e9, 10.0, spec))
    assert pace.most(stack) == pytest.approx(10)
    assert pace.most(stack * 3) == pytest.approx(30)
    assert pace.most((replace(spec, cost=4e9),)) == pytest.approx(40)
    assert pace.most((replace(spec, cost=2.5e8),)) == pytest.approx(5), "a small run is as slow as its root"
    pace.add(seen(1e9, 14.0, spec))
    pace.add(seen(1e6, 1.0, spec))
    assert pace.most(stack) == pytest.approx(14), "the slowest of equals"
    assert pace.most((replace(spec, cost=4e6),)) == pytest.approx(4)
    assert pace.most((replace(spec, cost=None),)) == pytest.approx(14)
    assert pace.most((replace(spec, device="cuda"),)) is None


def test_what_was_stopped_is_remembered_and_a_damaged_mark_is_none(sweep) -> None:
    first, second, *_ = sweep()
    store = RecordStore(Path("records"))
    assert when_stopped((first, second), store).seconds == 0
    mark_stopped((first, second), store, 5.0)
    assert (when_stopped((first,), store).seconds, when_stopped((first,), store).side_by_side) == (5.0, 2)
    mark_stopped((second,), store, 3.0)
    assert when_stopped((first, second), store).side_by_side == 1
    (store.directory / "stopped" / f"{second.key}.json").write_text("{")
    assert when_stopped((second,), store).seconds == 0
    assert list(store.all()) == []
    assert json.loads((store.directory / "stopped" / f"{first.key}.json").read_text())["side_by_side"] == 2
