"""Executor `inline`: one trial, or one stack of them, after the other, in this process."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.launch.executors.needs import require_gpus_here
from repro.launch.executors.one_process import in_one_other_process
from repro.launch.records.store import RecordStore
from repro.launch.running.stacks import cut, stacks
from repro.launch.running.trials import run_together
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec


def check(settings: Mapping[str, Any]) -> None:
    """Nothing can be wrong with these settings."""


def run(
    trials: Sequence[TrialSpec],
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    asked: Mapping[str, Resources],
) -> Iterator[TrialRecord]:
    """Run trials one after the other; see `repro.launch.executors.execute`."""
    del settings
    require_gpus_here(trials, asked)
    for stack in stacks(spec for spec in trials if not spec.own_process):
        for piece in cut(stack):
            yield from run_together(piece, plan.seals, store)
    yield from in_one_other_process([spec for spec in trials if spec.own_process], plan, store)
