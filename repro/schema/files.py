"""Files that are there whole or not at all. Standard library only: the worker writes records with it."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from repro.schema.errors import StoreError


def write_atomically(path: Path, text: str | Iterable[str]) -> None:
    """Write a file so that it is there whole or not at all, also after a power cut.

    Args:
        path: of the file; its directory is made.
        text: its content, or pieces of it, which are asked for one by one.

    Raises:
        StoreError: if the disk is full or the place cannot be written; nothing half-written stays behind.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines([text] if isinstance(text, str) else text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "Free some space" if full else "Make the directory writable, or name another in REPRO_HOME"
        raise StoreError(
            f"{path} could not be written ({error.strerror}). {cure} and run again: finished trials are kept."
        ) from error
