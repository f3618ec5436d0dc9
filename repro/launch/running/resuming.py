"""The worker's side of checkpoints: where they lie, what earlier starts of a trial count for, and when they go. No torch.

A trial whose recipe uses `repro.lab.checkpoint` gets a directory `checkpoints/<key>/` beside the records. It stays until the
trial's record is written, whoever stops the worker.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from repro.catalog.recipe import sources_of
from repro.lab import checkpoint_files as files
from repro.schema.files import write_atomically
from repro.schema.trial import TrialSpec

CHECKPOINT_MODULE = "repro.lab.checkpoint"
DIRECTORY = "REPRO_CHECKPOINTS"
UNTIL = "REPRO_CHECKPOINT_UNTIL"
BEGUN = "begun.json"
"""When the trial first began, and under which seals."""


@dataclass(frozen=True)
class Earlier:
    """What the earlier starts of a trial count for in its record."""

    started: datetime | None = None
    """When the first of them began; None if this is the first."""
    seconds: float = 0.0
    """That they had spent when they wrote the checkpoint that was resumed."""
    seals: tuple[str, ...] | None = None
    """That stood then. A seal that came later did not come before the trial."""

    def sealed_before(self, seals: Sequence[str]) -> tuple[str, ...]:
        """Return those of `seals` that stood when the trial first began."""
        return tuple(seal for seal in seals if self.seals is None or seal in self.seals)


def place_of(records: Path, key: str) -> Path:
    """Return the directory of a trial's checkpoints, in the directory of its record."""
    return records / "checkpoints" / key


def can_go_on(records: Path, key: str) -> bool:
    """Say whether a trial has a checkpoint to go on from."""
    return files.exist(place_of(records, key))


@contextmanager
def resuming(spec: TrialSpec, seals: Sequence[str], records: Path, until: float | None = None) -> Iterator[None]:
    """Tell the recipe, which runs inside, where the trial's checkpoints lie; afterwards put back what it set.

    Args:
        spec: the trial.
        seals: those that stand.
        records: directory of the records.
        until: when the caller's time is over, by `time.monotonic`.
    """
    if not _uses_checkpoints(spec.recipe, spec.sources):
        yield
        return
    place = place_of(records, spec.key)
    (place / files.RESUMED).unlink(missing_ok=True)
    if not files.exist(place):
        begun = {"started": datetime.now(UTC).isoformat(), "seals": list(seals)}
        write_atomically(place / BEGUN, json.dumps(begun) + "\n")
    told = {DIRECTORY: str(place.resolve()), UNTIL: "" if until is None else repr(until)}
    before = {name: os.environ.get(name) for name in told}
    handler = signal.getsignal(signal.SIGTERM)
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def earlier(records: Path, key: str) -> Earlier:
    """Return what counts of a trial's earlier starts, once its recipe has resumed one of their checkpoints."""
    place = place_of(records, key)
    if not (place / files.RESUMED).is_file():
        return Earlier()
    try:
        begun = json.loads((place / BEGUN).read_text(encoding="utf-8"))
        return Earlier(
            datetime.fromisoformat(begun["started"]), files.seconds_before(place), tuple(map(str, begun["seals"]))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Earlier(None, files.seconds_before(place), ())  # nobody can say what stood then


def forget(records: Path, key: str) -> None:
    """Remove the checkpoints of a trial whose record is written."""
    place = place_of(records, key)
    if place.exists():
        shutil.rmtree(place, ignore_errors=True)


@cache
def _uses_checkpoints(recipe: str, sources: str) -> bool:
    """Say whether a recipe imports the lab's checkpoints; `sources`, its digest, is what the answer hangs on."""
    return CHECKPOINT_MODULE in sources_of(recipe)
