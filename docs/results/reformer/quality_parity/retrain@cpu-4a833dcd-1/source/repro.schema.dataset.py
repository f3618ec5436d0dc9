"""A registered data set, and where its file may already lie."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repro.schema.errors import DataError


@dataclass(frozen=True)
class DataSet:
    """One file of published data: where it comes from and what its bytes must be."""

    id: str
    file: str
    """Path below a mirror directory (`REPRO_DATA`) or the cache."""
    url: str
    sha256: str
    licence: str = ""
    note: str = ""
    derived: bool = False
    """Whether the file is made from what `url` shows, so that no address serves its bytes; `note` says how."""


def mirror_dir(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the directory named by `REPRO_DATA`, if there is one."""
    place = environment.get("REPRO_DATA")
    return Path(place) if place else None


def cache_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's cache: `REPRO_CACHE`, else `$XDG_CACHE_HOME/repro`, else `~/.cache/repro`."""
    if environment.get("REPRO_CACHE"):
        return Path(environment["REPRO_CACHE"])
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "repro"


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find(data: DataSet) -> Path | None:
    """Return the file of `data` in the mirror or the cache, or None.

    Raises:
        DataError: if a file lies there whose bytes are not the registered ones.
    """
    for place in (mirror_dir(), cache_dir() / "data"):
        path = place / data.file if place else None
        if path and path.is_file():
            got = file_sha256(path)
            if got != data.sha256:
                raise DataError(
                    f"{path} is not the registered data set '{data.id}': its sha256 must be {data.sha256}, got {got}. "
                    f"Remove the file, or fetch it again from {data.url}."
                )
            return path
    return None


def require(data: DataSet) -> Path:
    """Return the file of `data`, or say where to get it.

    Raises:
        DataError: if it is neither in the mirror nor in the cache.
    """
    path = find(data)
    if path is None and data.derived:
        raise DataError(
            f"Data set '{data.id}' ({data.file}) is not on this machine, and no address serves it: it is derived from "
            f"{data.url}. {data.note} Put it at {data.file} below a directory named in the variable REPRO_DATA."
        )
    if path is None:
        raise DataError(
            f"Data set '{data.id}' ({data.file}) is not on this machine. Put the file from {data.url} below a directory "
            f"named in the variable REPRO_DATA, or run once with a network so that it is fetched into the cache."
        )
    return path
