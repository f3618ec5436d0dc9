"""Where the ledger lies: the tracking URI, a store created once, and errors that people read."""

import logging
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from repro.ledger import database
from repro.ledger.no_room import no_room
from repro.ledger.turn import refused
from repro.schema.dataset import cache_dir
from repro.schema.errors import StoreError

if TYPE_CHECKING:
    from filelock import FileLock
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
"""MLflow's own default: what `mlflow ui` opens in the working directory, with artifacts in ./mlruns."""

LOCK_TIMEOUT_S = 120.0
READ_TIMEOUT_S = 5.0
"""A reader waits this long for a writer of a SQLite store; MLflow writes for milliseconds."""
REACH_TIMEOUT_S = 10.0


class LedgerUnusable(StoreError):
    """The ledger as a whole cannot be used, whatever is asked of it."""


def tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, else `sqlite:///mlflow.db` in the working directory.

    Switches MLflow's telemetry off unless `MLFLOW_DISABLE_TELEMETRY` already says otherwise, and a progress bar for every file.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def sqlite_file(uri: str) -> Path | None:
    """Return the absolute path of a SQLite store, or None for any other kind of store."""
    if not uri.startswith("sqlite:///"):
        return None
    name = uri.removeprefix("sqlite:///").partition("?")[0]
    return None if name in ("", ":memory:") else Path(name).absolute()


def shown(uri: str) -> str:
    """Return a text with the user and password of every URL in it masked."""
    return re.sub(r"(password=)[^&\s]+", r"\1***", re.sub(r"//[^/@\s]+@", "//***@", uri))


def store_exists(file: Path) -> bool:
    """Say whether a SQLite store has been created; SQLite itself leaves an empty file behind when it only looks.

    Raises:
        StoreError: if the place cannot be looked at.
    """
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(str(file), error) from error


def unusable(uri: str, error: object) -> LedgerUnusable:
    """Return the error that says in one paragraph which store failed, why, and what to do."""
    first_lines = " ".join(str(error).split("\n(Background", maxsplit=1)[0].split())
    if "database is locked" in first_lines:
        return LedgerUnusable(
            f"The ledger at {shown(uri)} is locked: another process writes to it and does not let go. Wait for that process "
            f"or end it; nothing is lost."
        )
    if (refusal := no_room(error)) is not None:
        return LedgerUnusable(f"The ledger at {shown(uri)} cannot be written: {refusal}")
    for status in (401, 403):
        if uri.startswith("http") and f"error code {status}" in first_lines:
            return LedgerUnusable(f"The ledger at {shown(uri)} cannot be used. {refused(status)}")
    return LedgerUnusable(
        f"The ledger at {shown(uri)} cannot be used ({shown(first_lines)[:400]}). It must be an MLflow tracking store that this "
        f"MLflow ({version('mlflow')}) can open, read and write. Repair it or move it aside, or name another in MLFLOW_TRACKING_URI."
    )


@contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """Turn whatever MLflow, its database or its server raises into a `StoreError`; keep its logs off the terminal."""
    from alembic.util import CommandError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # MLflow logs the traceback of a database error before raising it, and every migration of a new store.
    logger = logging.getLogger("mlflow.store.db.utils")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    # requests' errors are OSErrors
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
        raise unusable(uri, error) from error
    finally:
        logger.setLevel(level)


@contextmanager
def database_errors(uri: str) -> Iterator[None]:
    """Turn what a database raises into a `StoreError`, without MLflow."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise unusable(uri, error) from error


def open_uri() -> str:
    """Return the URI to open: of a SQLite file that is an MLflow store, or of anything else that answers.

    An empty PostgreSQL database is given MLflow's tables.

    The path of a SQLite file is absolute in it, because MLflow keeps one connection pool a URI whatever the
    working directory.

    Raises:
        StoreError: if there is no such store, or the server does not answer.
    """
    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None:
        if not store_exists(file):
            raise unusable(str(file), "there is no such file")
        schema_revision(file)  # refuses somebody else's database before MLflow adds its tables to it
        return f"sqlite:///{file}"
    if database.is_postgres(uri):
        with mlflow_errors(uri):
            database.prepare(uri)
    elif is_server(uri):
        _reach(uri)
    return uri


def is_server(uri: str) -> bool:
    """Say whether a tracking URI names a server."""
    return uri.startswith(("http://", "https://"))


@contextmanager
def reading() -> Iterator["MlflowClient"]:
    """Give MLflow's client for a store that exists.

    Raises:
        StoreError: if the store is corrupt, of another version, or cannot be reached.
    """
    uri = open_uri()
    from mlflow import MlflowClient

    with mlflow_errors(uri):
        yield MlflowClient(uri)


def file_lock(file: Path) -> "FileLock":
    """Return the lock of a file that can be written, which keeps the processes of its machine apart."""
    from filelock import FileLock

    file.touch()  # fails at once where nothing can be written; the lock would keep trying
    return FileLock(file, timeout=LOCK_TIMEOUT_S)


def create_store(file: Path) -> None:
    """Create a SQLite store unless it exists: atomically, once however many processes ask, from a template.

    A new store costs MLflow seconds of migrations; a copy of one that was made before costs milliseconds.
    """
    if store_exists(file):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(Path(f"{file}.lock")):
        if store_exists(file):
            return
        temporary = file.with_name(f"{file.name}.{os.getpid()}.new")
        try:
            _copy_template(temporary)
            _place_default_experiment(temporary)
            os.replace(temporary, file)
        except sqlite3.Error as error:
            raise unusable(str(file), error) from error
        finally:
            temporary.unlink(missing_ok=True)


def _copy_template(to: Path) -> None:
    """Copy an empty store of the installed MLflow, made once in the user's cache, or on the spot where there is no cache."""
    import tempfile

    template = cache_dir() / "mlflow" / f"template-{version('mlflow')}.db"
    try:
        template.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(Path(f"{template}.lock")):
            if not _is_sound(template):
                with tempfile.TemporaryDirectory(dir=template.parent) as directory:
                    os.replace(_migrate(Path(directory)), template)
    except OSError:
        with tempfile.TemporaryDirectory() as directory:
            shutil.copyfile(_migrate(Path(directory)), to)
    else:
        shutil.copyfile(template, to)


def _migrate(directory: Path) -> Path:
    """Let MLflow create a store in a directory."""
    from mlflow import MlflowClient

    file = directory / "mlflow.db"
    uri = f"sqlite:///{file}"
    with mlflow_errors(uri):
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    return file


def _is_sound(template: Path) -> bool:
    if not template.is_file():
        return False
    try:
        with closing(sqlite3.connect(template)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check").fetchone()
            return bool(answer == "ok" and connection.execute("SELECT 1 FROM alembic_version").fetchone())
    except sqlite3.Error:
        return False


def _place_default_experiment(file: Path) -> None:
    """Give the copy's `Default` experiment the artifact place and the time that MLflow would have given it."""
    now = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "UPDATE experiments SET artifact_location = ?, creation_time = ?, last_update_time = ? WHERE experiment_id = 0",
            (str(Path("mlruns").absolute() / "0"), now, now),
        )


@contextmanager
def opened(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a SQLite store for reading.

    It is opened for writing too, where the file allows that: otherwise SQLite could not undo the half of a
    transaction that a killed process left in the journal.

    Raises:
        LedgerUnusable: for whatever SQLite cannot read.
    """
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=READ_TIMEOUT_S)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise unusable(str(file), error) from error


def schema_revision(file: Path) -> str:
    """Return the revision of a store's schema; empty if MLflow was stopped before it had made one.

    Raises:
        StoreError: if the file is no MLflow store.
    """
    with opened(file) as connection:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found[0]) if found else ""


@cache
def _reach(uri: str) -> None:
    """Ask a tracking server once whether it is there: MLflow itself would retry for minutes.

    Raises:
        StoreError: if nothing answers; any answer at all will do here.
    """
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=REACH_TIMEOUT_S).close()
    except urllib.error.HTTPError as answer:
        answer.close()
    except (OSError, ValueError) as error:
        raise StoreError(
            f"The tracking server {shown(uri)} does not answer ({shown(str(error))[:200]}). Start it, or name another in "
            f"MLFLOW_TRACKING_URI; without that variable the ledger is {DEFAULT_URI} in the working directory."
        ) from error
