"""One writer of the ledger at a time: a lock beside a SQLite file, in a PostgreSQL database, or a turn that a server lends."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from repro.ledger import database, store
from repro.ledger.store import (
    create_store,
    database_errors,
    file_lock,
    is_server,
    mlflow_errors,
    open_uri,
    shown,
    sqlite_file,
    tracking_uri,
    unusable,
)
from repro.ledger.turn import Busy, NotOffered, turn_at
from repro.schema.dataset import cache_dir
from repro.schema.errors import StoreError


@dataclass(frozen=True)
class Held:
    """A ledger that nobody else writes to."""

    uri: str
    keep: Callable[[], None] = lambda: None
    """To be called before a run is created: raises a `StoreError` if others may write by now."""


@contextmanager
def locked() -> Iterator[Held]:
    """Give a store to one writer at a time; a SQLite store is created if it does not exist.

    The lock of a SQLite store lies beside it, that of PostgreSQL in the database, and a server that serves our pages
    lends turns: all these keep everybody apart, on whatever machine. For any other store the lock lies in the
    user's cache, so there it only keeps the processes of one user on one machine apart.

    Raises:
        StoreError: if the store cannot be created, locked or opened.
    """
    from filelock import Timeout

    uri = tracking_uri()
    file = sqlite_file(uri)
    try:
        if file is not None:
            create_store(file)
            with file_lock(Path(f"{file}.lock")):
                yield Held(open_uri())
        elif database.is_postgres(uri):
            with database_errors(uri), database.alone(uri, database.WRITING, store.LOCK_TIMEOUT_S):
                yield Held(open_uri())
        else:
            with _locked_elsewhere(open_uri()) as held:
                yield held
    except (Timeout, Busy) as error:
        raise StoreError(
            f"The ledger at {shown(uri)} is being written by another process, which has held "
            f"{error.lock_file if isinstance(error, Timeout) else 'its lock'} for more than {store.LOCK_TIMEOUT_S:.0f} s. Wait for it "
            f"or end it, then run again: nothing is lost."
        ) from error
    except OSError as error:
        raise unusable(uri, error) from error


@contextmanager
def _locked_elsewhere(uri: str) -> Iterator[Held]:
    with ExitStack() as locks:
        if is_server(uri):
            with mlflow_errors(uri), suppress(NotOffered):
                turn = locks.enter_context(turn_at(uri, store.LOCK_TIMEOUT_S))
                yield Held(uri, turn.keep)
                return
        lock = cache_dir() / "locks" / f"{hashlib.sha256(uri.encode()).hexdigest()[:16]}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        locks.enter_context(file_lock(lock))
        yield Held(uri)
