"""Record files that are not what they should be: told from those that only cannot be read, moved away, and said aloud.

Standard library only: the worker does this.
"""

import contextlib
import errno
import json
import os
import sys
from pathlib import Path

from repro.schema.errors import RecordError, StoreError
from repro.schema.trial import RECORD_VERSION

GONE = (FileNotFoundError, NotADirectoryError)


def is_gone(error: RecordError) -> bool:
    """Say whether a record could not be read because another process has just moved it."""
    return isinstance(error.__cause__, GONE)


def require_damage(error: RecordError, file: Path) -> None:
    """Return if a record is damaged, edited or another trial's; else what is on the disk is left alone, for it may be sound.

    Raises:
        StoreError: if the system does not let anyone read it.
        RecordError: if a newer version wrote it.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, IsADirectoryError):
        raise StoreError(
            f"The record {file} cannot be read ({cause.strerror or cause}). It was left as it is: let this user read it, or mend the "
            f"disk, then run again."
        ) from cause
    if not isinstance(cause, OSError) and _is_newer(file):
        raise error


def _is_newer(file: Path) -> bool:
    try:
        version = json.loads(file.read_bytes())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return type(version) is int and version > RECORD_VERSION


def set_aside(file: Path, why: str) -> Path | None:
    """Move a file to `damaged/`, write the reason beside it and say so on stderr; None if another process was quicker.

    Raises:
        StoreError: if it cannot be moved.
    """
    directory = file.parent / "damaged"
    try:
        directory.mkdir(exist_ok=True)
        place, count = directory / file.name, 1
        while place.exists():
            count += 1
            place = directory / f"{file.stem}.{count}{file.suffix}"
        os.replace(file, place)
    except GONE:
        return None
    except OSError as error:
        refused = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        raise StoreError(
            f"{why} It could not be moved to {directory} ({error.strerror}), so its trial cannot run again. "
            f"{'Make the directory writable' if refused else 'Free some space'}, or move the file away by hand, then run again."
        ) from error
    _note(place, why)
    print(f"warning: {why} It was moved to {place}, and counts for nothing.", file=sys.stderr)
    return place


def _note(place: Path, why: str) -> None:
    with contextlib.suppress(OSError):  # it was said, and the file is there to look at
        place.with_name(f"{place.name}.why").write_text(f"{why}\n", encoding="utf-8")


def reasons(directory: Path) -> dict[str, str]:
    """Return why each file in `damaged/` was set aside, by its name; empty where that was not kept."""
    found = {}
    for file in sorted((directory / "damaged").glob("*.json")):
        try:
            found[file.name] = file.with_name(f"{file.name}.why").read_text(encoding="utf-8").strip()
        except OSError:
            found[file.name] = ""
    return found
