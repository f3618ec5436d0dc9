"""Executor `processes`: worker processes of this machine side by side (joblib, loky); trials that measure time one by one."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.launch.executors import inline
from repro.launch.executors.needs import require_gpus_here
from repro.launch.executors.settings import whole_number
from repro.launch.executors.survivors import outliving
from repro.launch.records.store import RecordStore
from repro.launch.running.rows import Rows, run_row
from repro.launch.running.stacks import stacks
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec


def check(settings: Mapping[str, Any]) -> None:
    """Refuse a number of processes that is none."""
    whole_number(settings, "jobs", os.cpu_count() or 1)


def run(
    trials: Sequence[TrialSpec],
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    asked: Mapping[str, Resources],
) -> Iterator[TrialRecord]:
    """Run trials side by side, and after them those that must not have neighbours; see `repro.launch.executors.execute`."""
    require_gpus_here(trials, asked)
    side_by_side = [spec for spec in trials if not spec.own_process and spec.measures != "time"]
    rest = [spec for spec in trials if spec.own_process or spec.measures == "time"]
    if side_by_side:
        jobs = whole_number(settings, "jobs", os.cpu_count() or 1)
        yield from outliving(lambda left: _in_processes(left, plan, store, jobs), side_by_side, plan, store)
    yield from inline.run(rest, plan, store, settings, asked)


def _in_processes(trials: Sequence[TrialSpec], plan: Plan, store: RecordStore, jobs: int) -> Iterator[TrialRecord]:
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky import get_reusable_executor

    # A worker that has grown by much is replaced between two trials. That is as it should be, and nothing is lost.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    # One thread each: two trials of two threads on two cores take many times as long as one thread each.
    with parallel_config(backend="loky", inner_max_num_threads=1):
        runner = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch=jobs, batch_size=1)
        rows = Rows(stacks(trials, jobs), jobs)
        for records in runner(delayed(run_row)(row, plan.seals, store) for row in rows):
            rows.learn(records)
            yield from records
    # joblib would keep them for the next launch, which may find other recipes and another environment.
    get_reusable_executor().shutdown()
