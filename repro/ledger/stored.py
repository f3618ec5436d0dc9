"""The runs and files of attempts as they were last read, so that nothing is looked up or parsed twice while it stays as it is."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from repro.ledger import names, sql
from repro.ledger.content import ATTEMPT_FILE
from repro.ledger.quick import quick_attempt
from repro.ledger.runs import find_runs, local_place, read_artifact
from repro.ledger.sql import RunRow
from repro.ledger.store import sqlite_file, store_exists, tracking_uri
from repro.schema.documents import read_attempt
from repro.schema.verdict import Attempt

_run_ids: dict[tuple[str, str], str] = {}
"""Run ids by store and attempt."""


@dataclass(frozen=True)
class _File:
    """The file of an attempt in one state; a change of the file is another."""

    place: str
    modified_ns: int
    size: int
    run: RunRow = field(compare=False)


def remember(runs: Iterable[RunRow]) -> None:
    """Keep in mind which run holds which attempt."""
    file = sqlite_file(tracking_uri())
    if file is not None:
        _run_ids.update({(str(file), run.tags[names.ATTEMPT]): run.run_id for run in runs})


def run_of(attempt_id: str) -> RunRow | None:
    """Return the run of an attempt, or None; one that is kept in mind is found at once, however large the ledger.

    Raises:
        StoreError: if the store cannot be read.
    """
    file = sqlite_file(tracking_uri())
    run_id = _run_ids.get((str(file), attempt_id))
    if file is not None and run_id is not None and store_exists(file) and sql.is_known(file):
        for run in sql.runs_by_id(file, [run_id]):
            if run.tags.get(names.ATTEMPT) == attempt_id:
                return run
    return next(iter(find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt_id])), None)


def attempt_of(run: RunRow) -> Attempt:
    """Return the attempt that a run holds; its file is read again only once it has changed.

    Raises:
        StoreError: if the file cannot be read.
        RecordError: if it is damaged.
    """
    place = local_place(run.artifact_uri)
    if place is not None:
        with contextlib.suppress(OSError):  # reading it says what is wrong
            status = os.stat(f"{place}/{ATTEMPT_FILE}")  # thousands of times: a path is slower than its text
            return _parsed(_File(run.artifact_uri, status.st_mtime_ns, status.st_size, run))
    return _read(run)


@lru_cache(maxsize=20_000)
def _parsed(file: _File) -> Attempt:
    return _read(file.run)


def _read(run: RunRow) -> Attempt:
    text = read_artifact(run, ATTEMPT_FILE)
    where = f"{ATTEMPT_FILE} of attempt {run.tags[names.ATTEMPT]} (run {run.run_id})"
    return quick_attempt(text) or read_attempt(text, where)
