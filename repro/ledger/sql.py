"""Runs read straight from the tables of a store, many times faster than through MLflow.

A local SQLite store needs the standard library only. The statements are SQLite's; `of_postgres` says them in PostgreSQL's words.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from repro.ledger import database
from repro.ledger.store import opened, schema_revision, unusable

KNOWN_SCHEMAS: Mapping[str, str] = {
    "da6fb0208061": "3.13",
    "b7e4c1a90f23": "3.14",
    "6f8d9c3b2a1e": "3.15",
    "b7e2c1a4d9f3": "3.16",
    "dc11669786a5": "3.17",
}
"""Schema revisions whose tables were compared with the queries below, and the MLflow that has them."""


Place = Path | str
"""A SQLite file, or the URI of a PostgreSQL database."""
Execute = Callable[[str, Sequence[str]], list[tuple[Any, ...]]]
"""Returns the rows of a statement with its arguments."""


@dataclass(frozen=True)
class RunRow:
    """One MLflow run: its tags and the latest finite value of each metric."""

    run_id: str
    experiment_id: str
    status: str
    artifact_uri: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]


def is_known(place: Place) -> bool:
    """Say whether the schema of a store is one that this module reads.

    Raises:
        StoreError: if the file is no MLflow store.
    """
    return (schema_revision(place) if isinstance(place, Path) else database.revision(place)) in KNOWN_SCHEMAS


def runs_by_tag(
    place: Place, prefix: str, tag: str, values: Sequence[str] | None, only: tuple[str, ...] | None = None
) -> list[RunRow]:
    """Return the active runs that carry a tag, with one of the values if given, oldest first.

    Args:
        place: a store of a known schema.
        prefix: of the names of the experiments they are in.
        tag: the key.
        values: any of them; None takes every value.
        only: the tags that are wanted, and no metrics; None for everything.
    """
    # MLflow's primary key of tags begins with the key: this way only runs that carry the tag are looked at, however many others
    # there are.
    condition = "r.run_uuid IN (SELECT run_uuid FROM tags WHERE key = ?"
    arguments = [tag]
    if values is not None:
        condition += " AND value IN (SELECT value FROM json_each(?))"
        arguments.append(json.dumps(list(values)))
    return _runs(place, f"e.name LIKE ? AND {condition})", [f"{prefix}%", *arguments], only)


def runs_by_id(place: Place, run_ids: Sequence[str]) -> list[RunRow]:
    """Return the active runs with these ids, in any order."""
    return _runs(place, "r.run_uuid IN (SELECT value FROM json_each(?))", [json.dumps(list(run_ids))], None)


def _runs(place: Place, condition: str, arguments: Sequence[str], only: tuple[str, ...] | None) -> list[RunRow]:
    if isinstance(place, Path):
        return list(_runs_of(place, state(place), condition, tuple(arguments), only))
    uri = place
    return _select(
        lambda statement, given: database.rows(uri, of_postgres(statement), given), condition, arguments, only
    )


def of_postgres(statement: str) -> str:
    """Return a statement of this module as PostgreSQL takes it."""
    listed = statement.replace("SELECT value FROM json_each(?)", "SELECT json_array_elements_text(CAST(? AS json))")
    return listed.replace("+run_uuid", "run_uuid").replace("?", "%s")


def state(file: Path) -> tuple[int | bytes, ...]:
    """Return what tells whether a store was written since: SQLite counts transactions in its header, or adds to its journal.

    Raises:
        StoreError: if the store cannot be read.
    """
    found: list[int | bytes] = []
    try:
        with file.open("rb") as stream:
            status = file.stat()
            found += [stream.read(100), status.st_ino, status.st_mtime_ns, status.st_size]
        with contextlib.suppress(FileNotFoundError):
            status = file.with_name(f"{file.name}-wal").stat()
            found += [status.st_mtime_ns, status.st_size]
    except OSError as error:
        raise unusable(str(file), error) from error
    return tuple(found)


def forget() -> None:
    """Read everything again the next time, as a new process would."""
    _runs_of.cache_clear()


# Few, for one answer may hold all attempts: what the parts of one page ask, one after another.
@lru_cache(maxsize=8)
def _runs_of(
    file: Path,
    written: tuple[int | bytes, ...],
    condition: str,
    arguments: tuple[str, ...],
    only: tuple[str, ...] | None,
) -> tuple[RunRow, ...]:
    del written  # a store that was written since is another question
    with opened(file) as connection:
        return tuple(_select(lambda *query: connection.execute(*query).fetchall(), condition, arguments, only))


def _select(execute: Execute, condition: str, arguments: Sequence[str], only: tuple[str, ...] | None) -> list[RunRow]:
    runs = execute(
        "SELECT r.run_uuid, r.experiment_id, r.status, r.artifact_uri FROM runs r "
        "JOIN experiments e ON e.experiment_id = r.experiment_id "
        f"WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active' AND {condition} "
        "ORDER BY r.start_time, r.run_uuid",
        arguments,
    )
    ids = json.dumps([run[0] for run in runs])
    tags: dict[str, dict[str, str]] = {run[0]: {} for run in runs}
    metrics: dict[str, dict[str, float]] = {run[0]: {} for run in runs}
    for run_id, key, value in execute(*_tags(ids, only)):
        tags[run_id][key] = value
    for run_id, key, number in execute(_METRICS, [ids]) if only is None else ():
        metrics[run_id][key] = number
    return [
        RunRow(run_id, str(experiment), status, place, tags[run_id], metrics[run_id])
        for run_id, experiment, status, place in runs
    ]


_METRICS = (
    "SELECT run_uuid, key, value FROM latest_metrics WHERE NOT is_nan AND run_uuid IN (SELECT value FROM json_each(?))"
)


def _tags(run_ids: str, only: tuple[str, ...] | None) -> tuple[str, list[str]]:
    """Return the statement that reads the tags of runs, whose ids are given as JSON, and its arguments."""
    select = "SELECT run_uuid, key, value FROM tags WHERE"
    if only is None:
        return f"{select} key != 'mlflow.note.content' AND run_uuid IN (SELECT value FROM json_each(?))", [run_ids]
    # The plus keeps SQLite from going through all the tags of each run: few keys are found sooner by the key.
    wanted = "key IN (SELECT value FROM json_each(?)) AND +run_uuid IN (SELECT value FROM json_each(?))"
    return f"{select} {wanted}", [json.dumps(only), run_ids]
