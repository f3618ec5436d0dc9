"""Trials in one process of their own, by the worker's command: the second seed of a deterministic study needs that."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.launch.executors.lost import failure_or_lost
from repro.launch.planning.keys import key_of
from repro.launch.planning.planfile import write_plan
from repro.launch.records.store import RecordStore
from repro.schema.trial import Plan, TrialRecord, TrialSpec


def in_one_other_process(trials: Sequence[TrialSpec], plan: Plan, store: RecordStore) -> Iterator[TrialRecord]:
    """Run trials by a worker process and yield their records; one that left none is a failed one, with the process's last words."""
    if not trials:
        return
    before = {key_of(spec): len(store.failures(key_of(spec))) for spec in trials}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "plan.json"
        write_plan(plan, file)
        only = [word for spec in trials for word in ("--only", key_of(spec))]
        command = [sys.executable, "-m", "repro.launch.worker", str(file), "--out", str(store.directory), *only]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    for spec in trials:
        why = f"the worker process ended with code {done.returncode} before the trial did: {done.stderr.strip()[-600:]}"
        yield store.find(spec, "") or failure_or_lost(spec, plan.seals, store, before[key_of(spec)], why)
