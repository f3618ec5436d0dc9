"""A file from an address, whole or not at all: resumed after a cut, checked against its sha256, seen only when right."""

import contextlib
import http.client
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from repro.schema.dataset import file_sha256

TIMEOUT_S = 60
"""Longest silence of a server."""
SHOWN_FROM = 5_000_000
"""Bytes from which on a terminal sees a bar."""
_CHUNK = 2**18
# Some hosts turn away what calls itself Python.
_HEADERS = {"User-Agent": "repro-tracker", "Accept-Encoding": "identity"}


class WrongDigest(Exception):
    """What the address serves is not the file that was asked for; carries the sha256 that it has."""


def download(url: str, target: Path, sha256: str) -> None:
    """Fetch `url` into `target`, unless another process has just done so.

    What has come stays in `<target>.partial`, so that the next call goes on from there. Within a call a cut connection is
    taken up again as long as each attempt brings something.

    Raises:
        WrongDigest: if the whole file has another sha256; nothing is kept.
        OSError: if the address cannot be reached or breaks off without a byte, or the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with FileLock(target.with_name(f"{target.name}.lock")):
        if target.is_file() and file_sha256(target) == sha256:
            return
        resumed = partial.is_file() and partial.stat().st_size > 0
        _complete(url, partial)
        got = file_sha256(partial)
        if got != sha256 and resumed:  # the earlier part may have been of another file
            partial.unlink()
            _complete(url, partial)
            got = file_sha256(partial)
        if got != sha256:
            partial.unlink()
            raise WrongDigest(got)
        partial.replace(target)


def _complete(url: str, partial: Path) -> None:
    """Append to `partial` until it is as long as the server says."""
    while True:
        before = partial.stat().st_size if partial.is_file() else 0
        try:
            if _receive(url, partial, before):
                return
        except (http.client.HTTPException, OSError) as error:
            if _size(partial) <= before:
                raise error if isinstance(error, OSError) else OSError(f"the transfer broke off: {error!r}") from error
        else:
            if _size(partial) <= before:
                raise OSError(f"the transfer broke off after {before} bytes")


def _receive(url: str, partial: Path, have: int) -> bool:
    """Make one request for what is missing after `have` bytes; return whether all has come."""
    request = urllib.request.Request(url, headers=_HEADERS | ({"Range": f"bytes={have}-"} if have else {}))
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if (
            error.code == 416 and have
        ):  # nothing after that: it was whole, or is of another file, which its digest tells
            return True
        raise
    with response:
        goes_on = response.status == 206
        length = response.headers.get("Content-Length")
        start = have if goes_on else 0
        total = start + int(length) if length else None
        with partial.open("ab" if goes_on else "wb") as file, _bar(partial, start, total) as advance:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                advance(len(chunk))
        return total is None or _size(partial) >= total


@contextlib.contextmanager
def _bar(partial: Path, start: int, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far it is and how long it still takes, where somebody watches and there is something to wait for."""
    if not sys.stderr.isatty() or (total is not None and total - start < SHOWN_FROM):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(partial.name.removesuffix(".partial"), total=total, completed=start)
        yield lambda size: progress.advance(task, size)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
