"""Where trials run: here, in processes side by side, or placed by SLURM or Ray. All of them run the one worker's stacks."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repro.launch.records.store import RecordStore
from repro.schema.errors import ConfigError, nearest
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec

_MODULES = {
    "inline": "inline",
    "processes": "processes",
    "slurm": "slurm",
    "ray": "ray_cluster",
    "detached": "detached",
}

EXECUTORS = tuple(_MODULES)

ELSEWHERE = ("slurm", "ray")
"""Executors whose trials run on machines that this one cannot tell beforehand."""


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings with which nothing could run, before anything is sealed.

    Raises:
        ConfigError: for an unknown kind, a part that is not installed, or a setting that is missing or makes no sense.
    """
    _module(settings).check(settings)


def execute(
    trials: Sequence[TrialSpec],
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    asked: Mapping[str, Resources] | None = None,
) -> Iterator[TrialRecord]:
    """Run trials and yield their records as they finish, failed ones included: the most expensive first, those of one shape together.

    Trials that measure time run one after the other whatever the executor, and alone on their machine where it is
    another one, because neighbours disturb a clock. The second seed of a deterministic study runs in a process of its own.

    Args:
        trials: those still to run.
        plan: they belong to; its seals go into every record.
        store: takes the records. Where trials run elsewhere, its directory is one that all machines share.
        settings: the executor's config, as in `conf/executor/<kind>.yaml`.
        asked: what each trial asks of its machine, by key; what is left out follows from the trial.

    Raises:
        ConfigError: as `check`.
        PlanError: if there is no machine as the trials ask for.
    """
    module = _module(settings)
    module.check(settings)
    yield from module.run(trials, plan, store, settings, asked or {})


def _module(settings: Mapping[str, Any]) -> Any:
    kind = str(settings.get("kind"))
    if kind not in EXECUTORS:
        raise ConfigError(f"There is no executor '{kind}'.{nearest(kind, EXECUTORS)}")
    return importlib.import_module(f"{__name__}.{_MODULES[kind]}")
