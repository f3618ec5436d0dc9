"""A zip of plainly stored files, written and read strictly: one way to write it, and no two ways to read it.

Python's `zipfile` reads archives leniently: bytes before, between and after the entries, sizes that two headers tell differently,
entries that overlap. Here every byte has one meaning or the archive is refused. And since the sha256 of what is written is cited,
no library's next version may write it otherwise. The layout is that of PKWARE's APPNOTE 6.3.3, sections 4.3.7, 4.3.12 and 4.3.16.
"""

import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _UNIX = 20, 3
_DATE = 33
"""1 January 1980, the first day that a zip can say."""
_PLAIN_FILE = (stat.S_IFREG | 0o644) << 16
_UTF8 = 1 << 11


class NotStored(ValueError):
    """Bytes that are no zip of plainly stored files; says what is wrong with them."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive, as both of its headers describe it."""

    name: str
    size: int
    start: int
    """Where its content begins."""
    crc: int


def write(files: Mapping[str, bytes]) -> bytes:
    """Return the one archive of these files: sorted by name, without time, owner or compression.

    Args:
        files: content by name, in ASCII.
    """
    body, directory = bytearray(), bytearray()
    for name in sorted(files):
        content, written = files[name], name.encode("ascii")
        about = (0, 0, 0, _DATE, zlib.crc32(content), len(content), len(content), len(written), 0)
        offset = len(body)
        body += _LOCAL.pack(_LOCAL_MARK, _VERSION, *about) + written + content
        directory += _CENTRAL.pack(_CENTRAL_MARK, _UNIX << 8 | _VERSION, _VERSION, *about, 0, 0, 0, _PLAIN_FILE, offset)
        directory += written
    end = _END.pack(_END_MARK, 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + end)


def entries(raw: bytes, most: int) -> list[Entry]:
    """Return what an archive holds, in the order of its bytes. Nothing of the content is copied.

    Args:
        raw: the archive.
        most: entries that are read; more are refused before any is looked at.

    Raises:
        NotStored: unless its bytes are exactly the entries, their directory and its end.
    """
    if len(raw) < _END.size or raw[-_END.size :][:4] != _END_MARK:
        raise NotStored("it does not end as a zip without a comment does, or was cut short")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack(raw[-_END.size :])
    if disk or first_disk or comment or here != count:
        raise NotStored("its end speaks of several disks, or of a comment")
    if count > most:
        raise NotStored(f"it holds {count} entries, more than {most}")
    if start + size + _END.size != len(raw):
        raise NotStored("its directory does not lie where its end says")
    found = sorted(_central(raw, start, size, count), key=lambda item: item[1])
    expected = 0
    listed = []
    for (name, about, length), offset in found:
        if offset != expected:
            raise NotStored("it has bytes that belong to no entry, or entries that overlap")
        begins, expected = _local(raw, offset, start, name, about, length)
        listed.append(Entry(_decoded(name), length, begins, about[4]))
    if expected != start:
        raise NotStored("it has bytes that belong to no entry")
    return listed


def content(raw: bytes, entry: Entry) -> bytes:
    """Return the content of an entry.

    Raises:
        NotStored: if it is damaged.
    """
    found = raw[entry.start : entry.start + entry.size]
    if zlib.crc32(found) != entry.crc:
        raise NotStored(f"{entry.name!r:.200} was damaged: its CRC is another")
    return found


_About = tuple[int, int, int, int, int]
"""Flags, method, time, date, CRC."""


def _central(raw: bytes, start: int, size: int, count: int) -> Iterator[tuple[tuple[bytes, _About, int], int]]:
    """Yield name, description, length and offset of each entry of the directory."""
    position, end = start, start + size
    for _ in range(count):
        if position + _CENTRAL.size > end:
            raise NotStored("its directory ends before its last entry")
        fields = _CENTRAL.unpack_from(raw, position)
        mark, _, _, flags, method, time, date, crc, stored, length = fields[:10]
        named, extra, comment, disk, _, attributes, offset = fields[10:]
        name = raw[position + _CENTRAL.size : position + _CENTRAL.size + named]
        shown = _decoded(name)
        position += _CENTRAL.size + named + extra + comment
        if mark != _CENTRAL_MARK or position > end or disk:
            raise NotStored("its directory is damaged")
        if flags & ~_UTF8 or method or stored != length:
            raise NotStored(f"{shown!r:.200} is compressed, encrypted or streamed; a bundle stores its files plainly")
        if name.endswith(b"/") or stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG) or attributes & 0x10:
            raise NotStored(f"{shown!r:.200} is a directory, link or device; a bundle holds plain files")
        yield (name, (flags, method, time, date, crc), length), offset
    if position != end:
        raise NotStored("its directory is longer than its entries")


def _local(raw: bytes, offset: int, before: int, name: bytes, about: _About, length: int) -> tuple[int, int]:
    """Check that the header before the content tells the same; return where the content begins and ends."""
    if offset + _LOCAL.size > before:
        raise NotStored("an entry lies outside the archive")
    mark, _, *rest, crc, stored, real, named, extra = _LOCAL.unpack_from(raw, offset)
    begins = offset + _LOCAL.size + named + extra
    told = (mark, (*rest, crc), stored, real, raw[offset + _LOCAL.size : offset + _LOCAL.size + named])
    if told != (_LOCAL_MARK, about, length, length, name):
        raise NotStored(f"{_decoded(name)!r:.200} is told of in two ways by its two headers")
    if begins + length > before:
        raise NotStored(f"{_decoded(name)!r:.200} is longer than the archive")
    return begins, begins + length


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", errors="backslashreplace")
