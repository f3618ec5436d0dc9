"""How far a run is, from what its workers leave in files: pure answers for `live.py`, which reads them."""

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from repro.schema.plain_text import plain
from repro.schema.trial import Plan, PlannedAttempt, TrialRecord, TrialSpec

GONE_S = 600.0
"""A progress file older than this belongs to a worker that is gone."""
PAUSE_S = 60.0
"""Trials further apart than this were not run one after the other, and do not tell the pace together."""
POINTS_SHOWN = 3
LABEL_LENGTH = 200
"""Characters of a label, an error or a curve's name that are shown."""


@dataclass(frozen=True)
class Going:
    """A trial that a worker reported on lately."""

    label: str
    done: float
    """Share of it that is done, 0 to 1."""


@dataclass(frozen=True)
class Arrival:
    """A trial whose record has arrived."""

    key: str
    label: str
    status: str
    seconds: float
    started: float
    """Unix time."""
    arrived: float
    """Unix time."""
    curves: Mapping[str, tuple[tuple[int, float | None], ...]]
    """The last points of each curve."""


@dataclass(frozen=True)
class Wanted:
    """An attempt of a stored plan: its trials and what share of the work each is."""

    attempt: str
    claim: str
    protocol: str
    scale: str
    labels: Mapping[str, str]
    """By trial key."""
    weights: Mapping[str, float]
    """By trial key: expected FLOPs where the recipe says so of every trial, else 1 each."""
    may_end_early: bool
    """Whether several looks were sealed, so that an early one may decide."""


@dataclass(frozen=True)
class Running:
    """How far an attempt is."""

    wanted: Wanted
    done: int
    failed: int
    """Trials that failed and have no record yet."""
    going: tuple[Going, ...]
    arrivals: tuple[Arrival, ...]
    """The latest first."""
    left_s: float | None
    """Seconds left at the pace so far; None while nothing tells."""

    @property
    def trials(self) -> int:
        """How many trials there are, those of all looks."""
        return len(self.wanted.labels)

    @property
    def complete(self) -> bool:
        """Whether every trial has arrived."""
        return self.done == self.trials


@dataclass(frozen=True)
class Look:
    """What the files said at one moment."""

    attempts: tuple[Running, ...] = ()
    problems: tuple[str, ...] = ()
    any_records: bool = False
    """Whether anything was ever run from here."""

    @property
    def running(self) -> bool:
        """Whether an attempt still waits for trials."""
        return any(not attempt.complete for attempt in self.attempts)


def progress(directory: Path, now: float) -> dict[str, Going]:
    """Return the trials that workers reported on lately, by key; a file that is just being written says nothing."""
    found = {}
    for file in sorted((directory / "running").glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(file.read_text(encoding="utf-8"))
            if now - content["at"] < GONE_S:
                found[file.stem] = Going(shortened(str(content["label"])), min(max(float(content["done"]), 0.0), 1.0))
    return found


def wanted_of(plan: Plan) -> tuple[Wanted, ...]:
    """Return the attempts that a plan asks for."""
    specs = {spec.key: spec for spec in plan.trials}
    return tuple(_wanted(attempt, specs) for attempt in plan.attempts if attempt.requested)


def _wanted(attempt: PlannedAttempt, specs: Mapping[str, TrialSpec]) -> Wanted:
    keys = list(dict.fromkeys(key for arm in attempt.arms.values() for key in arm if key in specs))
    costs = {key: specs[key].cost for key in keys}
    counted = all(costs.values())
    return Wanted(
        attempt.id,
        attempt.claim,
        attempt.protocol,
        attempt.scale,
        {key: shortened(specs[key].label) for key in keys},
        {key: (cost or 1.0) if counted else 1.0 for key, cost in costs.items()},
        attempt.sealed.looks > 1,
    )


def time_left(
    weights: Mapping[str, float], arrived: Iterable[str], latest: Sequence[Arrival], going: Mapping[str, float]
) -> float | None:
    """Return the seconds that the rest takes at the pace of the trials that arrived last.

    Args:
        weights: share of the work by trial key, of all trials.
        arrived: keys of the trials that have arrived.
        latest: arrivals, the latest first; those before a pause are left out.
        going: done share by key of the trials that run.

    Returns:
        Seconds; 0 if nothing is left, None if no arrival tells.
    """
    done = set(arrived)
    rest = sum(weight * (1 - going.get(key, 0.0)) for key, weight in weights.items() if key not in done)
    if rest == 0 or not latest:
        return 0.0 if rest == 0 else None
    start, work = latest[0].started, 0.0
    for arrival in latest:
        if start - arrival.arrived > PAUSE_S:
            break
        start, work = min(start, arrival.started), work + weights[arrival.key]
    took = latest[0].arrived - start
    return rest * took / work if took > 0 else None


def said(look: Look) -> str:
    """Return in one sentence what runs; it changes when a trial arrives, not with every second."""
    going = [attempt for attempt in look.attempts if not attempt.complete]
    if not going:
        return "All trials have arrived." if look.attempts else "Nothing runs from here now."
    trials = f"{sum(each.done for each in going)} of {sum(each.trials for each in going)} trials have arrived."
    return f"{len(going)} attempts run: {trials}" if len(going) > 1 else f"1 attempt runs: {trials}"


def shortened(text: str) -> str:
    """Return a text of a reasonable length on one line, without what is not seen."""
    return plain(text) if len(text) <= LABEL_LENGTH else f"{plain(text[:LABEL_LENGTH])}…"


def arrival_of(record: TrialRecord, arrived: float) -> Arrival:
    """Return what a record says of its trial; `arrived` is the time of its file."""
    return Arrival(
        record.key,
        shortened(record.label or record.key[:8]),
        record.status,
        record.seconds,
        datetime.fromisoformat(record.started).timestamp(),
        arrived,
        {shortened(name): points[-POINTS_SHOWN:] for name, points in list(record.curves.items())[:4] if points},
    )
