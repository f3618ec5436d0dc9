"""Runs and artifacts of the ledger, wherever it is: by SQL on a local store we know, else through MLflow's client."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.ledger import sql
from repro.ledger.database import is_postgres
from repro.ledger.names import RECORD, TRIALS, read_list
from repro.ledger.sql import RunRow
from repro.ledger.store import database_errors, reading, sqlite_file, store_exists, tracking_uri
from repro.schema.documents import read_record
from repro.schema.errors import RecordError, StoreError
from repro.schema.trial import TrialRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORD_FILE = "record.json"
PAGE = 1000
"""Runs a request; ids a request as well."""


@dataclass(frozen=True)
class RecordedTrial:
    """A trial's record and the run that holds it."""

    record: TrialRecord
    run_id: str
    experiment_id: str


def find_runs(
    prefix: str, tag: str, values: Sequence[str] | None = None, only: tuple[str, ...] | None = None
) -> list[RunRow]:
    """Return the active runs of the ledger that carry a tag, oldest first; none where there is no store yet.

    Args:
        prefix: of the names of the experiments to look in.
        tag: the key.
        values: any of them; None takes every value.
        only: the tags that are wanted, and no metrics: a local store answers so much faster. None for everything.

    Raises:
        StoreError: if the store cannot be read.
    """
    file = sqlite_file(tracking_uri())
    if file is not None and not store_exists(file):
        return []
    with _known_place() as place:
        if place is not None:
            return sql.runs_by_tag(place, prefix, tag, values, only)
    filters = [f"tags.`{tag}` LIKE '%'"] if values is None else [f"tags.`{tag}` = '{value}'" for value in values]
    with reading() as client:
        experiments = _experiments(client, prefix)
        return [row for condition in filters for row in _search(client, experiments, condition)]


def runs_by_id(run_ids: Sequence[str]) -> list[RunRow]:
    """Return the active runs with these ids, in any order.

    Raises:
        StoreError: if the store cannot be read.
    """
    with _known_place() as place:
        if place is not None:
            return sql.runs_by_id(place, run_ids)
    with reading() as client:
        experiments = _experiments(client, "")
        pages = [run_ids[i : i + PAGE] for i in range(0, len(run_ids), PAGE)]
        conditions = [f"attributes.run_id IN ({', '.join(repr(run_id) for run_id in page)})" for page in pages]
        return [row for condition in conditions for row in _search(client, experiments, condition)]


@contextmanager
def _known_place() -> Iterator[sql.Place | None]:
    """Give the store if its tables can be read straight, else None."""
    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None:
        yield file if store_exists(file) and sql.is_known(file) else None
    elif is_postgres(uri):
        with database_errors(uri):
            yield uri if sql.is_known(uri) else None
    else:
        yield None


def _experiments(client: "MlflowClient", prefix: str) -> list[str]:
    return [item.experiment_id for item in _pages(client.search_experiments, filter_string=f"name LIKE '{prefix}%'")]


def _search(client: "MlflowClient", experiments: list[str], condition: str) -> list[RunRow]:
    if not experiments:
        return []
    order = ["attributes.start_time ASC"]
    runs = _pages(client.search_runs, experiment_ids=experiments, filter_string=condition, order_by=order)
    return [
        RunRow(
            run_id=run.info.run_id,
            experiment_id=run.info.experiment_id,
            status=run.info.status,
            artifact_uri=run.info.artifact_uri,
            tags=run.data.tags,
            metrics={name: value for name, value in run.data.metrics.items() if not math.isnan(value)},
        )
        for run in runs
    ]


def _pages(search: Any, **arguments: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


@lru_cache(maxsize=20_000)  # every part of a page asks, of every attempt
def local_place(artifact_uri: str) -> Path | None:
    """Return the directory of a run's artifacts, or None if it is not on a local disk."""
    from urllib.parse import unquote, urlparse

    if artifact_uri.startswith("/"):
        return Path(artifact_uri)
    place = urlparse(artifact_uri)
    if place.scheme == "file":
        return Path(unquote(place.path))
    return None if place.scheme else Path(artifact_uri)


def behind_the_server(artifact_uri: str) -> str:
    """Return where the server that this process belongs to keeps what it gives out as `mlflow-artifacts:`; else the same URI."""
    kept = os.environ.get("_MLFLOW_SERVER_ARTIFACT_DESTINATION")  # MLflow sets it for its workers
    if not kept or not artifact_uri.startswith("mlflow-artifacts:/"):
        return artifact_uri
    return f"{kept.rstrip('/')}/{artifact_uri.removeprefix('mlflow-artifacts:').lstrip('/')}"


def read_artifact(run: RunRow, name: str) -> str:
    """Return the text of a run's artifact.

    Raises:
        StoreError: if it is not there or cannot be fetched.
    """
    import tempfile

    uri = behind_the_server(run.artifact_uri)
    place = local_place(uri)
    if place is None:
        with reading() as client, tempfile.TemporaryDirectory() as directory:
            if uri == run.artifact_uri:
                file = client.download_artifacts(run.run_id, name, directory)
            else:
                from mlflow.artifacts import download_artifacts

                file = download_artifacts(artifact_uri=f"{uri}/{name}", dst_path=directory)
            return Path(file).read_text(encoding="utf-8")
    try:
        with open(f"{place}/{name}", encoding="utf-8") as stream:  # thousands of times: a path is slower than its text
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The artifact {name} of run {run.run_id} cannot be read at {place} ({error}). MLflow stores the absolute "
            f"place of artifacts: if the directory was moved, move it back; if the files are lost, record the attempt "
            f"again from its trial records."
        ) from error


def linked_trials(attempt: RunRow) -> list[RecordedTrial]:
    """Return the trials that an attempt's run names, in its order, each checked against its digest.

    Raises:
        StoreError: if a trial's run was deleted.
        RecordError: if a stored record was edited.
    """
    run_ids = read_list(attempt.tags, TRIALS)
    if not run_ids:
        return []
    rows = {row.run_id: row for row in runs_by_id(run_ids)}
    gone = [run_id for run_id in run_ids if run_id not in rows]
    if gone:
        raise StoreError(
            f"{len(gone)} of the {len(run_ids)} trial runs of this attempt were deleted from MLflow, the first is {gone[0]}. "
            f"Restore them (mlflow runs restore --run-id {gone[0]}), or record the attempt again from its trial records."
        )
    return [RecordedTrial(_record(rows[run_id]), run_id, rows[run_id].experiment_id) for run_id in run_ids]


def _record(row: RunRow) -> TrialRecord:
    where = f"{RECORD_FILE} of run {row.run_id}"
    record = read_record(read_artifact(row, RECORD_FILE), where)
    if record.digest != row.tags.get(RECORD):
        raise RecordError(
            f"{where} was edited after it was written: its digest is no longer the one in the tag {RECORD}."
        )
    return record
