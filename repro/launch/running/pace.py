"""How long trials may take, judged by those that ran: for who has so many minutes and no more."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from repro.launch.records.store import RecordStore
from repro.launch.running.stacks import Stack
from repro.schema.errors import RecordError
from repro.schema.files import write_atomically
from repro.schema.jsonform import from_json, to_json
from repro.schema.trial import TrialRecord, TrialSpec


class Pace:
    """Seconds of the trials that ran, by recipe, device and FLOPs."""

    def __init__(self, records: Iterable[TrialRecord] = ()) -> None:
        self._seen: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
        for record in records:
            self.add(record)

    def add(self, record: TrialRecord) -> None:
        """Learn from one record."""
        flops = math.fsum(row.get("flops") or 0.0 for row in record.rows)
        self._seen.setdefault(_kind(record), []).append((flops, record.seconds))

    def most(self, stack: Stack) -> float | None:
        """Return the seconds that a stack takes at most, by the trials of its recipe that were nearest in FLOPs.

        A cheaper trial is taken to be as slow as the square root of its share, because small models and starting up reach
        fewer FLOP/s; a more expensive one to reach as many. None where no trial of the recipe has run on such a device.
        """
        each = [self._most(spec) for spec in stack]
        known = [seconds for seconds in each if seconds is not None]
        return math.fsum(known) if len(known) == len(each) else None

    def _most(self, spec: TrialSpec) -> float | None:
        seen = self._seen.get(_kind(spec), [])
        counted = [(flops, seconds) for flops, seconds in seen if flops > 0]
        if spec.cost is None or spec.cost <= 0 or not counted:
            return max((seconds for _, seconds in seen), default=None)
        cost = spec.cost
        flops, _ = min(counted, key=lambda pair: abs(math.log(cost / pair[0])))
        seconds = max(seconds for other, seconds in counted if math.isclose(other, flops, rel_tol=0.01))
        share = cost / flops
        return seconds * (share if share > 1 else math.sqrt(share))


def _kind(trial: TrialSpec | TrialRecord) -> tuple[str, str, str]:
    return trial.recipe, trial.device, trial.precision


@dataclass(frozen=True)
class Stopped:
    """That a trial did not end in the time there was."""

    seconds: float = 0.0
    """For which it ran; 0 if it never was stopped."""
    side_by_side: int = 1
    """Trials of its stack."""


def when_stopped(stack: Stack, store: RecordStore) -> Stopped:
    """Return when a trial of a stack was last stopped unfinished: the longest time, among the fewest side by side."""
    found = [stopped for spec in stack if (stopped := _read(_mark(store, spec))).seconds]
    return min(found, key=lambda stopped: (stopped.side_by_side, -stopped.seconds), default=Stopped())


def mark_stopped(stack: Stack, store: RecordStore, seconds: float) -> None:
    """Remember that the trials of a stack did not end within so many seconds."""
    for spec in stack:
        write_atomically(_mark(store, spec), json.dumps(to_json(Stopped(seconds, len(stack)))) + "\n")


def _mark(store: RecordStore, spec: TrialSpec) -> Path:
    return store.directory / "stopped" / f"{spec.key}.json"


def _read(file: Path) -> Stopped:
    try:
        return from_json(Stopped, json.loads(file.read_text(encoding="utf-8")), str(file))
    except (OSError, ValueError, RecordError):
        return Stopped()
