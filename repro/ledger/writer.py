"""The calls that write to MLflow: as few as its limits allow, and in a database many of them in one transaction.

MLflow commits several times a call, and each commit waits for the disk. So a store of our own, on SQLite or PostgreSQL,
joins all its sessions into one transaction: what was written is there whole or not at all, after one wait.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.entities import Dataset, DatasetInput, ExperimentTag, InputTag, Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking._tracking_service.utils import _get_store
from sqlalchemy.orm import Session, sessionmaker

from repro.ledger.content import Point, milliseconds
from repro.ledger.database import is_postgres
from repro.ledger.locking import Held, locked
from repro.ledger.names import MAX_NAME, NOTE, TERMINAL, cut
from repro.ledger.runs import local_place
from repro.ledger.sql import RunRow
from repro.ledger.store import mlflow_errors
from repro.schema.errors import StoreError

METRICS_A_BATCH, PARAMS_A_BATCH, TAGS_A_BATCH = 800, 100, 100
"""MLflow takes 1,000 metrics, 100 params and 100 tags a call, and 1,000 of all together."""


@dataclass(frozen=True)
class Writer:
    """A store of MLflow's, open for writing."""

    uri: str
    store: Any
    """MLflow's `AbstractStore`."""
    transaction: Callable[[], AbstractContextManager[None]]
    """Writes what is written inside at once, where the store can; nothing may read the store by other means meanwhile."""
    keep: Callable[[], None]
    """Raises a `StoreError` if others may write by now."""
    experiments: dict[str, str] = field(default_factory=dict)
    """Ids of the experiments that were looked up, by name."""

    def experiment(self, name: str, note: str, tags: Mapping[str, str]) -> str:
        """Return the id of an experiment, which is created, or whose description is brought up to date.

        Raises:
            StoreError: if somebody deleted it.
        """
        if name not in self.experiments:
            self.experiments[name] = self._experiment(name, note, tags)
        return self.experiments[name]

    def _experiment(self, name: str, note: str, tags: Mapping[str, str]) -> str:
        # The kind keeps MLflow's pages from asking whether this is training or generative-AI work.
        wanted = {**tags, NOTE: note, "mlflow.experimentKind": "custom_model_development"}
        found = self.store.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self.store.create_experiment(name, tags=[ExperimentTag(*tag) for tag in wanted.items()]))
            except MlflowException:
                found = self.store.get_experiment_by_name(name)  # another machine may just have created it
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise StoreError(
                f"The experiment '{name}' was deleted from MLflow, so nothing can be recorded in it. Restore it: "
                f"mlflow experiments restore --experiment-id {found.experiment_id}."
            )
        for key, value in wanted.items():
            if found.tags.get(key) != value:
                self.store.set_experiment_tag(found.experiment_id, ExperimentTag(key, value))
        return str(found.experiment_id)

    def create_run(self, experiment_id: str, name: str, started: str, tags: Mapping[str, str]) -> RunRow:
        """Create a run with all its tags in one call. Its user is unknown: records name no people."""
        self.keep()
        title = cut(name, MAX_NAME, "the tags")
        marks = [RunTag(*tag) for tag in tags.items()]
        info = self.store.create_run(experiment_id, "unknown", milliseconds(started), marks, title).info
        return RunRow(info.run_id, info.experiment_id, info.status, info.artifact_uri, tags, {})

    def log(
        self,
        run: RunRow,
        points: Sequence[Point],
        params: Mapping[str, str],
        tags: Mapping[str, str],
        timestamp: int,
    ) -> None:
        """Log metrics, params and tags; the last tags come last, for they say that all the rest is there.

        Args:
            run: to log to.
            points: of metrics.
            params: none of which the run may have with another value.
            tags: which replace those of the same name.
            timestamp: of every point, in milliseconds.
        """
        metrics = [Metric(name, value, timestamp, step) for name, value, step in points]
        settings = [Param(*param) for param in params.items()]
        marks = [RunTag(*tag) for tag in tags.items()]
        while metrics or settings or marks:
            last = len(metrics) <= METRICS_A_BATCH and len(settings) <= PARAMS_A_BATCH
            now = marks[:TAGS_A_BATCH] if last else []
            self.store.log_batch(run.run_id, metrics[:METRICS_A_BATCH], settings[:PARAMS_A_BATCH], now)
            metrics, settings, marks = metrics[METRICS_A_BATCH:], settings[PARAMS_A_BATCH:], marks[len(now) :]

    def log_data(self, run: RunRow, data: Mapping[str, str]) -> None:
        """Log data sets, sha256 by name; MLflow's own digest has 8 characters, so the whole one stands in a tag."""
        inputs = [
            DatasetInput(
                Dataset(name, sha256[:8], "code", CodeDatasetSource({"repro.data": name}).to_json()),
                [InputTag("repro.sha256", sha256), InputTag("mlflow.data.context", "input")],
            )
            for name, sha256 in data.items()
        ]
        if inputs:
            self.store.log_inputs(run.run_id, inputs)

    def log_files(self, run: RunRow, files: Mapping[str, str]) -> None:
        """Write the artifacts of a run, text by name: straight to their place where that is local, else through MLflow."""
        place = local_place(run.artifact_uri)
        if place is not None:
            _write_files(place, files)
        else:
            with tempfile.TemporaryDirectory() as directory:
                _write_files(Path(directory), files)
                MlflowClient(self.uri).log_artifacts(run.run_id, directory)

    def set_status(self, run: RunRow, status: str, ended: int) -> None:
        """Set the status of a run, and when it ended (milliseconds) if the status is terminal."""
        end = ended if status in TERMINAL else None
        self.store.update_run_info(run.run_id, RunStatus.from_string(status), end, None)


def open_writer(held: Held) -> Writer:
    """Open a store that is held by this writer."""
    if held.uri.startswith("sqlite:"):
        store = _own_store(held.uri, str(Path(DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).absolute()))
        store.engine.dispose()  # pooled connections would still write to a file that was deleted meanwhile
        return Writer(held.uri, store, lambda: _one_transaction(store), held.keep)
    if is_postgres(held.uri):
        # MLflow's server takes the same variable.
        root = os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or str(
            Path(DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).absolute()
        )
        store = _own_store(held.uri, root)
        return Writer(held.uri, store, lambda: _one_transaction(store), held.keep)
    return Writer(held.uri, _get_store(held.uri), nullcontext, held.keep)  # type: ignore[no-untyped-call]


@cache
def _own_store(uri: str, artifacts: str) -> Any:
    """Return a store beside the one that MLflow shares in this process: others must not join our transactions."""
    return SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call]


@contextmanager
def _one_transaction(store: Any) -> Iterator[None]:
    """Let every session of a database be a savepoint in one transaction, which an error rolls back."""
    with store.engine.connect() as connection:
        if store.db_type == "sqlite":
            # What MLflow sets in each session; inside a transaction SQLite ignores the first.
            for setting in ("foreign_keys = ON", "busy_timeout = 20000", "case_sensitive_like = true"):
                connection.exec_driver_sql(f"PRAGMA {setting}")
            connection.commit()
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.begin()
        sessions = sessionmaker(bind=connection, join_transaction_mode="create_savepoint")

        @contextmanager
        def session(read_only: bool = True) -> Iterator[Session]:
            with sessions() as joined:
                yield joined
                joined.commit()

        own, store.ManagedSessionMaker = store.ManagedSessionMaker, session
        try:
            yield
            connection.commit()
        finally:
            store.ManagedSessionMaker = own


def _write_files(directory: Path, files: Mapping[str, str]) -> None:
    """Write each file whole or not at all."""
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.new")
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, file)


@contextmanager
def writing() -> Iterator[Writer]:
    """Give the ledger to one writer at a time; a SQLite store is created if it does not exist.

    Raises:
        StoreError: if the store cannot be created, locked, reached, read or written.
    """
    with locked() as held, mlflow_errors(held.uri):
        yield open_writer(held)
