"""Who runs which trial: a lock a trial, held while it runs. Standard library only: the worker holds it.

The system takes a lock back from a process that dies, however it dies, so that whether a trial runs is known at once and without
a clock.
"""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from repro.schema.errors import StoreError

_open: set[int] = set()
_told: set[Path] = set()


def _close_in_child() -> None:
    # A child that a recipe forks must not go on holding the lock of a worker that was killed.
    for handle in list(_open):
        with contextlib.suppress(OSError):
            os.close(handle)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


@dataclass
class Lock:
    """A lock that this process holds, until it is released or the process ends."""

    file: Path
    handle: int | None
    """None where the file system has no locks: nobody else is kept away then."""

    @property
    def holds(self) -> bool:
        """Whether others see it."""
        return self.handle is not None

    def release(self) -> None:
        """Give the lock back; its file goes too."""
        if self.handle is not None:
            with contextlib.suppress(OSError):
                self.file.unlink()
            _open.discard(self.handle)
            os.close(self.handle)
            self.handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take(file: Path) -> Lock | None:
    """Take a lock without waiting; None if another holds it.

    Where the file system cannot lock (some network directories), that is said once, and the lock returned holds nobody off.

    Raises:
        StoreError: if the lock file cannot be made.
    """
    while True:
        handle = _open_file(file)
        try:
            got = _flock(handle)
        except OSError as error:
            os.close(handle)
            with contextlib.suppress(OSError):
                file.unlink()
            _tell_once(file.parent, error)
            return Lock(file, None)
        if not got:
            os.close(handle)
            return None
        if _is_still(handle, file):
            _open.add(handle)
            return Lock(file, handle)
        os.close(handle)  # its holder removed it in between; the next one counts


def is_held(file: Path) -> bool:
    """Say whether some process, this one included, holds the lock."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _flock(handle, shared=True)
    except OSError:
        return False
    finally:
        os.close(handle)


def _open_file(file: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT
    try:
        try:
            return os.open(file, flags, 0o666)
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
            return os.open(file, flags, 0o666)
    except OSError as error:
        raise StoreError(
            f"{file}, which keeps others from running the same trial, could not be made ({error.strerror}). Free some space, make the "
            f"directory writable, or name another in REPRO_HOME or --out; then run again: finished trials are kept."
        ) from error


def _flock(handle: int, shared: bool = False) -> bool:
    try:
        import fcntl  # not everywhere
    except ImportError as error:
        raise OSError("this system has no flock") from error
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(handle: int, file: Path) -> bool:
    try:
        there = os.stat(file)
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


def _tell_once(directory: Path, error: OSError) -> None:
    if directory not in _told:
        _told.add(directory)
        print(
            f"warning: {directory} cannot hold locks ({error.strerror or error}). Trials run all the same, but let one launcher at a time "
            f"use this directory: two would run the same trials.",
            file=sys.stderr,
        )
