"""The record store: one file a trial, complete or absent.

Standard library only: a worker on another machine writes it, the launching process reads it.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.schema import documents
from repro.schema.errors import RecordError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec

PROGRESS_STALE_S = 600.0
"""A progress file older than this belongs to a worker that is gone."""


@dataclass(frozen=True)
class RecordStore:
    """A directory of trial records: `<key>.json`, failures in `failed/`, damaged files in `damaged/`."""

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
        returned when this machine has none, so that collected records can be judged. A damaged file is set aside.
        """
        if spec.measures == "time":
            here = self.directory / f"{spec.key}.{fingerprint[:12]}.json"
            files = [here] if here.exists() else sorted(self.directory.glob(f"{spec.key}.*.json"))
        else:
            files = [self.directory / f"{spec.key}.json"]
        for file in files:
            if not file.exists():
                continue
            try:
                return read_record(file, spec)
            except RecordError:
                set_aside(file)
        return None

    def ran_here(self, spec: TrialSpec, fingerprint: str) -> bool:
        """Say whether the trial need not run again on this machine."""
        record = self.find(spec, fingerprint)
        return record is not None and (spec.measures == "value" or record.machine.fingerprint == fingerprint)

    def failures(self, key: str) -> list[TrialRecord]:
        """Return the failed runs of a trial, oldest first."""
        found = []
        for file in sorted((self.directory / "failed").glob(f"{key}.*.json")):
            with contextlib.suppress(RecordError):
                found.append(read_record(file))
        return found

    def running(self) -> dict[str, tuple[str, float]]:
        """Return label and done share of each trial that a worker reported on lately, by key.

        A file that is just being written or removed says nothing; one that a killed worker left behind grows old.
        """
        found = {}
        for file in (self.directory / "running").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                content = json.loads(file.read_text(encoding="utf-8"))
                if time.time() - content["at"] < PROGRESS_STALE_S:
                    found[file.stem] = (str(content["label"]), float(content["done"]))
        return found

    def all(self) -> Iterator[TrialRecord]:
        """Yield every readable finished record."""
        for file in sorted(self.directory.glob("*.json")):
            with contextlib.suppress(RecordError):
                yield read_record(file)


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
        "key": spec.key,
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
        got = to_json(getattr(record, name))
        if got != value:
            raise RecordError(
                f"{where} does not belong to this plan: {name} must be {value!r:.120}, the record says {got!r:.120}."
            )


def set_aside(file: Path) -> Path:
    """Move a damaged or foreign record to `damaged/`, so that its trial runs again and the file can be looked at."""
    place = file.parent / "damaged" / file.name
    place.parent.mkdir(exist_ok=True)
    os.replace(file, place)
    return place
