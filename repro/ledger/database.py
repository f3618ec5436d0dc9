"""A ledger in PostgreSQL: connections, its tables made once, one writer at a time, and the rows of a statement.

Whichever driver the URI names is used (`postgresql+psycopg://` is the one that the extra `team` brings).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from repro.ledger.turn import Busy
from repro.schema.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine

LOCKS = 0x7265_7072
"""First number of our advisory locks, which every program that uses the database shares: `repr` in ASCII."""
WRITING, CREATING = 1, 2
"""Second numbers: to write to the ledger, to make its tables."""


def is_postgres(uri: str) -> bool:
    """Say whether a tracking URI names a PostgreSQL database."""
    return uri.startswith(("postgresql://", "postgresql+", "postgres://"))


@cache
def _engine(uri: str, *, pooled: bool) -> "Engine":
    """Return an engine that keeps a connection open, or none: a lock would last as long as its connection.

    Raises:
        StoreError: if the driver is not installed, or the URI is none.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        return create_engine(uri, pool_size=1, pool_pre_ping=True) if pooled else create_engine(uri, poolclass=NullPool)
    except (ImportError, NoSuchModuleError, ArgumentError) as error:
        # The URI holds a password, so it is not said again.
        raise StoreError(
            f"MLFLOW_TRACKING_URI names a PostgreSQL database that cannot be opened ({type(error).__name__}: {error}). Install "
            f"the driver with pip install 'repro-tracker[team]', and write the address as "
            f"postgresql+psycopg://USER@HOST:5432/DATABASE."
        ) from error


@contextmanager
def alone(uri: str, what: int, timeout_s: float) -> Iterator[None]:
    """Hold an advisory lock of the database: it keeps everybody on every machine apart, and ends with whoever holds it.

    Args:
        uri: of the database.
        what: `WRITING` or `CREATING`.
        timeout_s: how long to wait for it.

    Raises:
        Busy: if it is held longer.
    """
    from sqlalchemy.exc import OperationalError

    with _engine(uri, pooled=False).connect() as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {max(1, round(1000 * timeout_s))}")
        # An idle connection that holds a lock must not be cut off by a setting meant for forgotten ones.
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        connection.commit()
        try:
            connection.exec_driver_sql("SELECT pg_advisory_lock(%s, %s)", (LOCKS, what))
        except OperationalError as error:
            if "lock timeout" not in str(error):
                raise
            raise Busy from error
        connection.commit()  # the lock is the session's: no transaction stays open, which would keep old rows alive
        yield


@cache
def prepare(uri: str) -> None:
    """Let MLflow make its tables in an empty database, once however many processes ask.

    Raises:
        StoreError: if the database holds other tables, which are left alone.
    """
    if revision(uri):
        return
    with alone(uri, CREATING, timeout_s=120.0):
        if revision(uri):
            return
        (tables,) = rows(
            uri, "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()", ()
        )[0]
        if tables:
            raise StoreError(
                f"The database that MLFLOW_TRACKING_URI names is no MLflow tracking store, and holds {tables} tables of something "
                f"else, so nothing was written to it. Create one for the ledger alone: createdb ledger."
            )
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)


def revision(uri: str) -> str:
    """Return the revision of the database's schema; empty if MLflow has made no tables there."""
    there = rows(uri, "SELECT to_regclass('alembic_version') IS NOT NULL", ())[0][0]
    found = rows(uri, "SELECT version_num FROM alembic_version", ()) if there else []
    return str(found[0][0]) if found else ""


def rows(uri: str, statement: str, arguments: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the rows of one statement, whose placeholders are `%s`."""
    with _engine(uri, pooled=True).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement, tuple(arguments)).fetchall()]
