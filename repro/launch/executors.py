"""Where trials run: in this process, or in worker processes side by side. Both run them in stacks, as the worker does."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.launch.planfile import write_plan
from repro.launch.records import RecordStore
from repro.launch.stacks import Stack, cut, stacks
from repro.launch.trials import run_together
from repro.schema.errors import ConfigError, TrialFailed, nearest
from repro.schema.trial import Plan, TrialRecord, TrialSpec

EXECUTORS = ("inline", "processes")


def execute(
    trials: Sequence[TrialSpec], plan: Plan, store: RecordStore, settings: Mapping[str, Any]
) -> Iterator[TrialRecord]:
    """Run trials and yield their records as they finish, failed ones included: the most expensive first, those of one shape together.

    Trials that measure time run one after the other whatever the executor, because neighbours disturb a clock. The
    second seed of a deterministic study runs in a process of its own.

    Args:
        trials: those still to run.
        plan: they belong to; its seals go into every record.
        store: takes the records.
        settings: the executor's config: `kind`, `retries`, and `jobs` for processes.

    Raises:
        ConfigError: for an unknown kind.
    """
    kind = settings.get("kind")
    if kind not in EXECUTORS:
        raise ConfigError(f"There is no executor '{kind}'.{nearest(str(kind), EXECUTORS)}")
    apart = [spec for spec in trials if spec.own_process]
    together = [spec for spec in trials if not spec.own_process]
    one_by_one = [spec for spec in together if kind == "inline" or spec.measures == "time"]
    side_by_side = [spec for spec in together if kind == "processes" and spec.measures != "time"]
    if side_by_side:
        yield from _in_processes(side_by_side, plan, store, int(settings.get("jobs") or os.cpu_count() or 1))
    for stack in stacks(one_by_one):
        for piece in cut(stack):
            yield from run_together(piece, plan.seals, store)
    if apart:
        yield from _in_one_other_process(apart, plan, store)


def _in_processes(trials: Sequence[TrialSpec], plan: Plan, store: RecordStore, jobs: int) -> Iterator[TrialRecord]:
    from joblib import Parallel, delayed, parallel_config

    # One thread each: two trials of two threads on two cores take many times as long as one thread each.
    with parallel_config(backend="loky", inner_max_num_threads=1):
        runner = Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch=jobs, batch_size=1)
        for records in runner(delayed(_run_stack)(stack, plan.seals, store) for stack in stacks(trials, jobs)):
            yield from records


def _run_stack(stack: Stack, seals: Sequence[str], store: RecordStore) -> list[TrialRecord]:
    return [record for piece in cut(stack) for record in run_together(piece, seals, store)]


def _in_one_other_process(trials: Sequence[TrialSpec], plan: Plan, store: RecordStore) -> Iterator[TrialRecord]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "plan.json"
        write_plan(plan, file)
        only = [word for spec in trials for word in ("--only", spec.key)]
        command = [sys.executable, "-m", "repro.launch.worker", str(file), "--out", str(store.directory), *only]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    for spec in trials:
        record = store.find(spec, "")
        if record is None:
            failures = store.failures(spec.key)
            if not failures:
                raise TrialFailed(
                    f"The worker process of trial {spec.key[:8]} ended with code {done.returncode}: {done.stderr.strip()[-600:]}"
                )
            record = failures[-1]
        yield record
