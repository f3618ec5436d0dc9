"""Executor `detached`: the sealed plan and its data into a directory to take along; nothing runs, nothing is judged."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.launch.planning.data_needs import carry_data
from repro.launch.planning.planfile import Provenance, write_plan
from repro.launch.records.store import RecordStore
from repro.schema.errors import ConfigError
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec


@dataclass(frozen=True)
class HandedOver:
    """What was written, and the two commands that are left to do."""

    plan: Path
    data: Path | None
    """None where no trial reads any."""
    there: str
    """Run in the directory, wherever it was taken."""
    back: str
    """Run where the plan was sealed, when the directory is back with its records."""


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings that name no directory."""
    _directory(settings)


def hand_over(plan: Plan, provenance: Provenance, settings: Mapping[str, Any]) -> HandedOver:
    """Write the plan and what its trials read into the directory of the settings.

    Raises:
        ConfigError: if no directory is named.
        DataError, StoreError: if data cannot be had, or the directory cannot be written.
    """
    directory = _directory(settings)
    file, data = directory / "plan.json", directory / "data"
    write_plan(plan, file, provenance)
    carried = bool(carry_data(plan.trials, data))
    if not carried:
        data.rmdir()
    return HandedOver(
        plan=file,
        data=data if carried else None,
        there=f"{'REPRO_DATA=data/ ' if carried else ''}python -m repro.launch.worker plan.json --out records/",
        back=f"repro collect {shlex.quote(str(directory / 'records'))} --plan {shlex.quote(str(file))}",
    )


def run(
    trials: Sequence[TrialSpec],
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    asked: Mapping[str, Resources],
) -> Iterator[TrialRecord]:
    """Refuse to run: only sealed claims can be detached, and `repro run` hands them over instead.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        "executor=detached runs nothing here: it is for `repro run`, which seals a plan and writes it out. Others have an option "
        "for it, as `repro scout ... --out plan.json`."
    )


def _directory(settings: Mapping[str, Any]) -> Path:
    named = settings.get("directory")
    if not isinstance(named, str) or not named:
        raise ConfigError(
            "executor=detached needs a directory to write the plan and its data into: executor.directory=DIR."
        )
    return Path(named)
