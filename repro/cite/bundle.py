"""The container of evidence: one canonical zip, or a directory of the same files. Nothing in it is trusted or run.

Equal files make equal bytes: names are sorted, nothing is compressed (compressors differ between machines), and no time, owner or
mode is kept. So the sha256 of the zip is also the digest of a directory that holds the same files.
"""

import hashlib
import io
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from repro.schema.errors import ReproError

MAX_BYTES = 256 * 2**20
"""Largest bundle that is read, all files together."""
MAX_FILES = 500
_NAME = re.compile(r"(?!-)[A-Za-z0-9_.@+=~-]{1,200}")
_EPOCH = (1980, 1, 1, 0, 0, 0)


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
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name])
    return stream.getvalue()


def read_bundle(place: Path) -> Bundle:
    """Read a bundle from a zip, or from a directory that holds its files.

    Raises:
        EvidenceError: if it is missing or no bundle, or holds what no bundle holds: links, paths that lead out, names that differ
            in case only, compressed or encrypted files, too much.
    """
    try:
        return _from_directory(place) if place.is_dir() else _from_zip(place)
    except FileNotFoundError:
        raise EvidenceError(
            f"There is no bundle {place}. Name an evidence.zip, or a directory of published results."
        ) from None
    except OSError as error:
        raise EvidenceError(f"{place} cannot be read ({error.strerror or error}).") from error


def _from_zip(file: Path) -> Bundle:
    if file.stat().st_size > MAX_BYTES + 2**20:
        raise EvidenceError(f"{file} is larger than {MAX_BYTES >> 20} MiB, the most that a bundle may hold.")
    raw = file.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            for entry in entries:
                if entry.flag_bits & 1 or entry.compress_type != zipfile.ZIP_STORED:
                    raise EvidenceError(
                        f"{file}: {entry.filename!r} is compressed or encrypted; a bundle stores its files plainly."
                    )
                if entry.is_dir() or stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                    raise EvidenceError(
                        f"{file}: {entry.filename!r} is a directory, link or device; a bundle holds plain files."
                    )
            _check([(entry.filename, entry.file_size) for entry in entries], str(file))
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError) as error:
        raise EvidenceError(f"{file} is no evidence bundle, or was damaged: {error}. Get the file again.") from error
    return Bundle(files, canonical=pack(files) == raw)


def _from_directory(directory: Path) -> Bundle:
    found = sorted(directory.rglob("*"))
    for path in found:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise EvidenceError(f"{path} is a link or device; a bundle holds plain files.")
    plain = [path for path in found if path.is_file()]
    _check([(path.relative_to(directory).as_posix(), path.stat().st_size) for path in plain], str(directory))
    return Bundle({path.relative_to(directory).as_posix(): path.read_bytes() for path in plain})


def _check(entries: list[tuple[str, int]], where: str) -> None:
    if len(entries) > MAX_FILES or sum(size for _, size in entries) > MAX_BYTES:
        raise EvidenceError(f"{where} holds more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB: no bundle does.")
    folded = [name.casefold() for name, _ in entries]
    for name, _ in entries:
        steps = name.split("/")
        if len(name) > 400 or any(step in (".", "..") or not _NAME.fullmatch(step) for step in steps):
            raise EvidenceError(
                f"{where} holds a file named {name!r:.120}, which could be unpacked to another place. It is refused."
            )
        if folded.count(name.casefold()) > 1:
            raise EvidenceError(f"{where} holds {name!r} twice, or in two spellings of its case. It is refused.")
