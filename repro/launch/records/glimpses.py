"""What a record directory shows of the course of trials, without what they measured: quick with many thousand records.

Standard library only. Nothing is checked against digests here, and nothing is moved: whoever judges does that.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from repro.launch.records.store import RecordStore


@dataclass(frozen=True, slots=True)
class Glimpse:
    """One run of a trial that ended."""

    key: str
    status: str
    """`finished`, `diverged` or `failed`."""
    started: float
    """Unix time, by the clock of the machine that ran it."""
    seconds: float
    recipe: str
    device: str
    precision: str
    config: Mapping[str, Any]
    flops: float
    """As counted; 0 where the recipe counts none."""
    label: str
    error: str
    where: str
    """Fingerprint of its machine."""

    @property
    def ended(self) -> float:
        """Unix time."""
        return self.started + self.seconds


@dataclass(frozen=True, slots=True)
class Running:
    """A trial that a worker is at."""

    key: str
    label: str
    done: float
    """Share, 0 to 1, as the recipe reports it."""
    since: float | None
    """Unix time; None where the worker does not say."""


@dataclass(frozen=True)
class Look:
    """A record directory at one moment."""

    at: float
    """Unix time."""
    ended: Mapping[str, tuple[Glimpse, ...]]
    """Records by trial key; more than one where several machines timed the same."""
    failed: Mapping[str, tuple[Glimpse, ...]]
    """Failed runs by trial key, oldest first."""
    running: Mapping[str, Running]
    damaged: Mapping[str, int]
    """Files that were set aside, or would be, by trial key."""
    stopped: frozenset[str]
    """Trials that were stopped for want of time."""


@dataclass
class Watcher:
    """Looks at a record directory again and again, and reads each file once."""

    directory: Path
    _seen: dict[str, tuple[tuple[int, int], Glimpse | None]] = field(default_factory=dict)
    """By file name: modification time and size, and what it says; None for one that is not whole."""

    def look(self, now: float) -> Look:
        """Return what the directory shows.

        Args:
            now: Unix time.
        """
        names: set[str] = set()
        ended = self._read("", names)
        failed = self._read("failed", names)
        damaged: dict[str, int] = {}
        for name, (_, glimpse) in self._seen.items():
            if glimpse is None and name in names and "/" not in name:
                _count(damaged, name)
        for entry in _files(self.directory / "damaged"):
            _count(damaged, entry.name)
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        return Look(
            now,
            {key: tuple(found) for key, found in ended.items()},
            {key: tuple(sorted(found, key=lambda each: each.started)) for key, found in failed.items()},
            running_in(self.directory),
            damaged,
            frozenset(_key(entry.name) for entry in _files(self.directory / "stopped")),
        )

    def _read(self, place: str, names: set[str]) -> dict[str, list[Glimpse]]:
        found: dict[str, list[Glimpse]] = {}
        for entry in _files(self.directory / place):
            name = f"{place}/{entry.name}" if place else entry.name
            with contextlib.suppress(OSError):  # it was moved meanwhile
                state = entry.stat()
                stamp = (state.st_mtime_ns, state.st_size)
                before = self._seen.get(name)
                if before is None or before[0] != stamp:
                    before = self._seen[name] = (stamp, glimpse_of(Path(entry.path)))
                names.add(name)
                if before[1] is not None:
                    found.setdefault(before[1].key, []).append(before[1])
        return found


def _files(directory: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        yield from (entry for entry in entries if entry.name.endswith(".json") and not entry.name.startswith("."))


def _key(name: str) -> str:
    return name.partition(".")[0]


def _count(damaged: dict[str, int], name: str) -> None:
    damaged[_key(name)] = damaged.get(_key(name), 0) + 1


def glimpse_of(file: Path) -> Glimpse | None:
    """Return what a record says, or None if it is cut short, none, or another trial's."""
    try:
        content = json.loads(file.read_bytes())
        if content["key"] != _key(file.name):
            return None
        return Glimpse(
            key=_key(file.name),
            status=str(content["status"]),
            started=datetime.fromisoformat(content["started"]).timestamp(),
            seconds=float(content["seconds"]),
            recipe=content["recipe"],
            device=content["device"],
            precision=content["precision"],
            config=dict(content["config"]),
            flops=math.fsum(row.get("flops") or 0.0 for row in content["rows"]),
            label=str(content["label"]),
            error=str(content["error"] or ""),
            where=content["machine"]["fingerprint"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def running_in(directory: Path) -> dict[str, Running]:
    """Return the trials that workers are at, with since when."""
    found = {}
    for key, (label, done) in RecordStore(directory).running().items():
        since = None
        with contextlib.suppress(OSError, ValueError, TypeError):
            content = json.loads((directory / "running" / f"{key}.json").read_text(encoding="utf-8"))
            since = None if content.get("since") is None else float(content["since"])
        found[key] = Running(key, label, done, since)
    return found
