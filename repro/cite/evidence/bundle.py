"""The container of evidence: one canonical zip, or a directory of the same files. Nothing in it is trusted or run.

Equal files make equal bytes: names are sorted, nothing is compressed (compressors differ between machines), and no time, owner or
mode is kept. So the sha256 of the zip is also the digest of a directory that holds the same files.

Whatever is read may come from anybody. Its size is bounded before it is read, links are not followed, a pipe is not waited for, and
names are refused that any system could take for another place, another file or a device.
"""

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from repro.cite.evidence import stored_zip
from repro.schema.errors import ReproError

MAX_BYTES = 256 * 2**20
"""Largest bundle that is read, all files together."""
MAX_FILES = 500
_MAX_HEADERS = 2**20
"""What the headers of a zip may take beside its files."""
_NAME = re.compile(r"(?!-)[A-Za-z0-9_.@+=~-]{1,200}(?<!\.)")
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""Names that Windows keeps for devices, with whatever ending."""
_OPEN = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY"))
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class EvidenceError(ReproError):
    """A bundle that cannot be made, read or trusted to be unpacked."""


@dataclass(frozen=True)
class Bundle:
    """The files of a bundle by name, each as bytes."""

    files: Mapping[str, bytes]
    canonical: bool = True
    """Whether the zip that was read has exactly the bytes that its files make."""

    @cached_property
    def packed(self) -> bytes:
        """The zip."""
        return pack(self.files)

    @cached_property
    def digest(self) -> str:
        """sha256 of the zip: what citations and signatures name (64 hex digits)."""
        return hashlib.sha256(self.packed).hexdigest()


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the canonical zip of the files.

    Raises:
        EvidenceError: if a name cannot be unpacked safely everywhere, or the files are too large or too many.
    """
    _check([(name, len(content)) for name, content in files.items()], "the bundle")
    return stored_zip.write(files)


def read_bundle(place: Path) -> Bundle:
    """Read a bundle from a zip, or from a directory that holds its files.

    Raises:
        EvidenceError: if it is missing or no bundle, or holds what no bundle holds: links, devices, paths that lead out, names that
            differ in case only, compressed or encrypted files, bytes that belong to no file, too much.
    """
    try:
        return _from_directory(place) if place.is_dir() else _from_zip(place)
    except FileNotFoundError:
        raise EvidenceError(
            f"There is no bundle {place}. Name an evidence.zip, or a directory of published results."
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise EvidenceError(f"{place} cannot be read ({reason}).") from error


def _from_zip(file: Path) -> Bundle:
    raw = _read(file, MAX_BYTES + _MAX_HEADERS, _OPEN)
    try:
        entries = stored_zip.entries(raw, MAX_FILES)
        _check([(entry.name, entry.size) for entry in entries], str(file))
        files = {entry.name: stored_zip.content(raw, entry) for entry in entries}
    except stored_zip.NotStored as error:
        raise EvidenceError(
            f"{file} is no evidence bundle, or was damaged: {error}. Get the file again from whoever made it."
        ) from error
    return Bundle(files, canonical=stored_zip.write(files) == raw)


def _from_directory(directory: Path) -> Bundle:
    if directory.is_symlink():
        raise EvidenceError(f"{directory} is a link. Name the directory that it leads to.")
    found = dict(_plain_files(directory))
    _check([(name, size) for name, (_, size) in found.items()], str(directory))
    left, files = MAX_BYTES, {}
    for name, (path, _) in found.items():
        files[name] = _read(path, left, _OPEN | _NO_LINK)
        left -= len(files[name])
    return Bundle(files)


def _plain_files(directory: Path) -> Iterator[tuple[str, tuple[Path, int]]]:
    """Yield name, place and size of each file, and stop early in a directory that is no bundle."""
    waiting, seen = [(directory, "")], 0
    while waiting:
        place, prefix = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                seen += 1
                name = prefix + entry.name
                if seen > 2 * MAX_FILES:
                    raise _too_much(str(directory))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{name}/"))
                elif entry.is_file(follow_symlinks=False):
                    yield name, (Path(entry.path), entry.stat(follow_symlinks=False).st_size)
                else:
                    raise EvidenceError(
                        f"{directory} holds {name!r:.200}, a link or device; a bundle holds plain files."
                    )


def _read(file: Path, most: int, flags: int) -> bytes:
    """Return the bytes of a plain file; one that is no plain file, or changes its size meanwhile, is refused."""
    try:
        handle = os.open(file, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise EvidenceError(f"{file} is a link; a bundle holds plain files.") from error
        raise
    with open(handle, "rb") as stream:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise EvidenceError(f"{file} is no plain file but a pipe, device or socket, so it is no bundle.")
        if found.st_size > most:
            raise _too_much(str(file))
        content = stream.read(found.st_size + 1)
    if len(content) != found.st_size:
        raise EvidenceError(f"{file} changed while it was read. Wait until it is whole, and try again.")
    return content


def _check(entries: Iterable[tuple[str, int]], where: str) -> None:
    """Refuse names and sizes that no bundle has."""
    listed = list(entries)
    if len(listed) > MAX_FILES or sum(size for _, size in listed) > MAX_BYTES:
        raise _too_much(where)
    files: set[str] = set()
    folders: dict[str, str] = {}
    for name, _ in listed:
        steps = name.split("/")
        if len(name) > 400 or not all(_NAME.fullmatch(step) and not _DEVICE.fullmatch(step) for step in steps):
            raise EvidenceError(
                f"{where} holds a file named {name!r:.200}, which could be unpacked to another place. It is refused."
            )
        above = ["/".join(steps[:i]) for i in range(1, len(steps))]
        if name.lower() in files or any(folders.setdefault(path.lower(), path) != path for path in above):
            raise EvidenceError(f"{where} holds {name!r:.200} twice, or in two spellings of its case. It is refused.")
        files.add(name.lower())
    if both := files & folders.keys():
        raise EvidenceError(f"{where} holds {min(both)!r:.200} both as a file and as a directory. It is refused.")


def _too_much(where: str) -> EvidenceError:
    return EvidenceError(f"{where} holds more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB: no bundle does.")
