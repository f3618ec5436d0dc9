"""One writer at a time for a file that several processes append to. Standard library only."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repro.schema.errors import StoreError

LOCK_TIMEOUT_S = 60.0


@contextmanager
def one_writer(file: Path) -> Iterator[None]:
    """Keep every other process of this machine that asks the same from the files beside `file` meanwhile.

    The lock is on the directory, which is made if it is not there; so nothing is left behind, in a repository least of all.
    The system takes it back from a process that dies.

    Raises:
        StoreError: if the directory cannot be made or opened, or another process holds it for too long.
    """
    import fcntl  # not everywhere, and needed by writers alone

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise StoreError(
            f"{file} could not be written ({error.strerror}). Make its directory writable, then run again."
        ) from error
    try:
        end = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StoreError(
                        f"{file.parent} has been held by another process for more than {LOCK_TIMEOUT_S:.0f} s. Wait for it or "
                        f"end it, then run again: nothing is lost."
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)
