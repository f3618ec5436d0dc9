"""The record store: one file a trial, complete or absent.

Standard library only: a worker on another machine writes it, the launching process reads it.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.launch.planning.keys import key_of
from repro.launch.provenance.origin import fingerprint as fingerprint_of
from repro.launch.records.damaged import is_gone, reasons, require_damage, set_aside
from repro.launch.running.trial_lock import is_held, take
from repro.schema import documents
from repro.schema.errors import RecordError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec

PROGRESS_STALE_S = 600.0
"""Where nothing can be locked, a progress file this far from now belongs to a worker that is gone."""

_NAME = re.compile(r"[0-9a-f]{40}(\.[0-9a-f]{12})?\.json")


@dataclass(frozen=True)
class RecordStore:
    """A directory of trial records: `<key>.json`, failures in `failed/`, damaged files in `damaged/`, locks in `locks/`."""

    directory: Path

    def write(self, record: TrialRecord) -> Path:
        """Store one record atomically and return its file; a failed trial is kept apart and never counts as done."""
        name = record.file_name
        if record.status == "failed":
            count = len(list((self.directory / "failed").glob(f"{record.key}*")))
            name = f"failed/{record.key}.{count + 1}.json"
        path = self.directory / name
        write_atomically(path, json.dumps(to_json(record), indent=1, sort_keys=True, allow_nan=False) + "\n")
        return path

    def find(self, spec: TrialSpec, fingerprint: str) -> TrialRecord | None:
        """Return the finished record of a trial, or None.

        A trial that measures time counts as done here only if this machine ran it; another machine's record is
        returned when this machine has none, so that collected records can be judged. A damaged file is set aside, and that is
        said on stderr; while somebody runs the trial it is left to them.

        Raises:
            StoreError: if a record cannot be read or moved.
            RecordError: if a newer version wrote it.
        """
        return self._find(spec, fingerprint, mine=False)

    def _find(self, spec: TrialSpec, fingerprint: str, mine: bool) -> TrialRecord | None:
        if spec.measures == "time":
            here = self.directory / f"{_name(spec, fingerprint)}.json"
            files = [here] if here.exists() else sorted(self.directory.glob(f"{spec.key}.*.json"))
        else:
            files = [self.directory / f"{key_of(spec)}.json"]
        for file in files:
            if file.exists() and (record := self._sound(file, spec, mine)) is not None:
                return record
        return None

    def _sound(self, file: Path, spec: TrialSpec, mine: bool) -> TrialRecord | None:
        try:
            return read_record(file, spec)
        except RecordError as error:
            if is_gone(error):
                return None
            require_damage(error, file)
            if mine:
                set_aside(file, str(error))
                return None
        # Whoever runs the trial may just have mended it: look again when nobody does.
        lock = take(self._lock(file.stem))
        if lock is None:
            return None
        with lock:
            return self._sound(file, spec, mine=True) if file.exists() else None

    def ran_here(self, spec: TrialSpec, fingerprint: str) -> bool:
        """Say whether the trial need not run again on this machine."""
        record = self.find(spec, fingerprint)
        return record is not None and (spec.measures == "value" or record.machine.fingerprint == fingerprint)

    def keys(self) -> set[str]:
        """Return the keys of all trials that have a file here, finished or damaged: one look for many trials."""
        try:
            with os.scandir(self.directory) as entries:
                return {entry.name.partition(".")[0] for entry in entries if entry.name.endswith(".json")}
        except FileNotFoundError:
            return set()

    def failed_keys(self) -> set[str]:
        """Return the keys of all trials that have failed runs here: one look for many trials."""
        return RecordStore(self.directory / "failed").keys()

    def failures(self, key: str) -> list[TrialRecord]:
        """Return the failed runs of a trial, oldest first."""
        found = []
        for file in sorted((self.directory / "failed").glob(f"{key}.*.json")):
            with contextlib.suppress(RecordError):
                found.append(read_record(file))
        return found

    @contextlib.contextmanager
    def reserved(self, specs: Sequence[TrialSpec]) -> Iterator[tuple[list[TrialSpec], list[TrialRecord]]]:
        """Keep other launchers from trials while they run here.

        Yields:
            The trials to run: nobody else runs them, and they have no record. And the records of those that another launcher
            has finished meanwhile. Those in neither list are running elsewhere.

        Raises:
            StoreError: if no lock file can be made.
        """
        mine: list[TrialSpec] = []
        done: list[TrialRecord] = []
        with contextlib.ExitStack() as locks:
            for spec in specs:
                place = _here(spec)
                lock = take(self._lock(_name(spec, place)))
                if lock is None:
                    continue
                locks.enter_context(lock)
                record = self._find(spec, place, mine=lock.holds)
                if record is not None and (spec.measures == "value" or record.machine.fingerprint == place):
                    lock.release()
                    done.append(record)
                else:
                    mine.append(spec)
            yield mine, done

    def is_reserved(self, spec: TrialSpec) -> bool:
        """Say whether somebody, on this machine or one that shares the directory, runs the trial at this moment."""
        return is_held(self._lock(_name(spec, _here(spec))))

    def lock_name(self, spec: TrialSpec) -> str | None:
        """Return the name of the lock under which a trial runs, or None if it runs under none."""
        return _name(spec, _here(spec)) if self.is_reserved(spec) else None

    def _lock(self, name: str) -> Path:
        return self.directory / "locks" / f"{name}.lock"

    def running(self) -> dict[str, tuple[str, float]]:
        """Return label and done share of each trial that runs, by key.

        A trial runs while its lock is held, whatever clocks say. Where there are no locks, it runs if it was reported on lately. A
        file that is just being written or removed says nothing.
        """
        found = {}
        for file in (self.directory / "running").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                content = json.loads(file.read_text(encoding="utf-8"))
                name = content.get("lock")
                lately = abs(time.time() - content["at"]) < PROGRESS_STALE_S
                if is_held(self._lock(name)) if name else lately:
                    found[file.stem] = (str(content["label"]), float(content["done"]))
        return found

    def cut_short(self, specs: Sequence[TrialSpec]) -> list[TrialSpec]:
        """Return those of the trials whose process died while they ran."""
        running = self.directory / "running"
        return [spec for spec in specs if (running / f"{key_of(spec)}.json").exists() and not self.is_reserved(spec)]

    def damaged(self) -> dict[str, str]:
        """Return why each file in `damaged/` was set aside, by its name."""
        return reasons(self.directory)

    def set_strays_aside(self) -> list[Path]:
        """Move records away that lie under a name no record has, such as copies; return where they lie now.

        Other files are left alone: whoever chose the directory may keep them there.
        """
        moved = []
        for file in sorted(self.directory.glob("*.json")):
            if _NAME.fullmatch(file.name):
                continue
            with contextlib.suppress(RecordError):
                record = read_record(file)
                why = f"{file} is a second copy of the record of trial {record.key[:8]}, which is kept in {record.file_name}."
                if (place := set_aside(file, why)) is not None:
                    moved.append(place)
        return moved

    def all(self) -> Iterator[TrialRecord]:
        """Yield every readable finished record, each once: one under another trial's name is none."""
        for file in sorted(self.directory.glob("*.json")):
            with contextlib.suppress(RecordError):
                record = read_record(file)
                if record.file_name == file.name:
                    yield record


def _here(spec: TrialSpec) -> str:
    """Return this machine's fingerprint where it is part of the trial's name."""
    return fingerprint_of(spec.device) if spec.measures == "time" else ""


def _name(spec: TrialSpec, fingerprint: str) -> str:
    """Return what record and lock of a trial are called: each machine times for itself."""
    return f"{key_of(spec)}.{fingerprint[:12]}" if spec.measures == "time" else key_of(spec)


def read_record(file: Path, spec: TrialSpec | None = None) -> TrialRecord:
    """Read one record and check it against its own digest and, if given, against what was planned.

    Raises:
        RecordError: if it is damaged, edited, of a newer version, or of another trial.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{file} cannot be read ({error}).") from error
    record = documents.read_record(text, str(file))
    if spec is not None:
        check_belongs(record, spec, str(file))
    return record


def check_belongs(record: TrialRecord, spec: TrialSpec, where: str) -> None:
    """Refuse a record that is not of the planned trial.

    Raises:
        RecordError: names the first thing that differs.
    """
    expected = {
        "key": key_of(spec),
        "recipe": spec.recipe,
        "config": to_json(spec.config),
        "replicate": spec.replicate,
        "sources": spec.sources,
        "device": spec.device,
        "precision": spec.precision,
        "measures": spec.measures,
        "data": {data.id: data.sha256 for data in spec.data},
    }
    for name, value in expected.items():
        got = getattr(record, name)
        if got != value and (got := to_json(got)) != value:
            raise RecordError(
                f"{where} does not belong to this plan: {name} must be {value!r:.120}, the record says {got!r:.120}."
            )
