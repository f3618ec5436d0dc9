"""The container of evidence against whoever means harm: refused in one paragraph, quickly, or read exactly."""

import io
import os
import random
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repro.cite.evidence import bundle as container
from repro.cite.evidence.bundle import MAX_FILES, Bundle, EvidenceError, pack, read_bundle

FILES = {
    "attempt.json": b'{"id":"toy"}\n',
    ".hydra/config.yaml": b"a: 1\n",
    "source/recipes.toys.py": b"print('never run')\n" * 20,
    "empty": b"",
    "a@b=c+d~e-f_g": b"\x00\xff",
}
EPOCH = (1980, 1, 1, 0, 0, 0)


def written(raw: bytes, name: str = "evidence.zip") -> Path:
    file = Path(name)
    file.write_bytes(raw)
    return file


def zipped(files: Iterable[tuple[str, bytes]], **changes: object) -> bytes:
    """Return a zip as Python writes it, each entry changed as asked."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files:
            entry = zipfile.ZipInfo("x", EPOCH)
            entry.filename = name  # the constructor would cut it at a NUL
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            for key, value in changes.items():
                setattr(entry, key, value)
            archive.writestr(entry, content)
    return stream.getvalue()


def refused(place: Path, within_s: float = 10.0) -> str:
    """Return what is said of a place that is refused: one paragraph, within so many seconds of processor time."""
    begun = time.process_time()
    with pytest.raises(EvidenceError) as error:
        read_bundle(place)
    assert time.process_time() - begun < within_s
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 800
    return message


def patched(raw: bytes, at: int, layout: str, value: int) -> bytes:
    content = bytearray(raw)
    struct.pack_into(layout, content, at, value)
    return bytes(content)


def central(raw: bytes, name: bytes) -> int:
    """Return where the directory's header of an entry begins."""
    return raw.rindex(name) - 46


def local(raw: bytes, name: bytes) -> int:
    return raw.index(name) - 30


END = -22


# What is packed is read


def test_the_bytes_are_those_of_a_plain_zip_and_any_tool_reads_them() -> None:
    raw = pack(FILES)
    assert raw == zipped(sorted(FILES.items()))
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_the_digest_is_what_sha256sum_says_and_the_same_for_a_directory() -> None:
    file = written(pack(FILES))
    for name, content in FILES.items():
        place = Path("unpacked") / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    said = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout.split()[0]
    packed, unpacked = read_bundle(file), read_bundle(Path("unpacked"))
    assert packed.digest == unpacked.digest == said == Bundle(FILES).digest
    assert packed.files == unpacked.files == FILES
    assert packed.canonical


def test_the_digest_of_a_known_bundle_never_changes() -> None:
    digest = Bundle({"a": b"1", "b/c": b""}).digest
    assert digest == "82582c47f909f04645e5fac448a0b2072db668d587fe60e7126bea42e2fec7e6"


STEP = st.text(st.sampled_from("abcXYZ019_.@+=~-"), min_size=1, max_size=12)
NAME = st.lists(STEP, min_size=1, max_size=3).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAME, st.binary(max_size=200), max_size=8))
def test_what_can_be_packed_is_read_back_the_same(files: dict[str, bytes]) -> None:
    try:
        raw = pack(files)
    except EvidenceError:
        return
    read = read_bundle(written(raw))
    assert (read.files, read.canonical, read.packed) == (files, True, raw)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAME, st.binary(max_size=20)), max_size=6), st.randoms())
def test_the_order_of_packing_does_not_matter(files: list[tuple[str, bytes]], chance: random.Random) -> None:
    one = dict(files)
    other = dict(chance.sample(list(one.items()), len(one)))
    try:
        assert pack(one) == pack(other)
    except EvidenceError:
        with pytest.raises(EvidenceError):
            pack(other)


def test_any_flipped_bit_is_an_error_or_shows() -> None:
    raw = pack({"a": b"12", "d/b": b""})
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            try:
                read = read_bundle(written(bytes(changed)))
            except EvidenceError:
                continue
            assert not read.canonical, f"bit {bit} of byte {place}"


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_edit_of_the_bytes_is_an_error_or_shows(data: st.DataObject) -> None:
    raw = pack(FILES)
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 40)))
    put = data.draw(st.binary(max_size=40))
    changed = raw[:start] + put + raw[end:]
    try:
        read = read_bundle(written(changed))
    except EvidenceError:
        return
    assert changed == raw or not read.canonical


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_an_error(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        read_bundle(written(raw))


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_what_was_cut_short_is_an_error(length: int) -> None:
    refused(written(pack(FILES)[:length]))


# Names


HOSTILE_NAMES = {
    "parent": "../evil",
    "parent inside": "a/../../evil",
    "here": "./a",
    "here inside": "a/./b",
    "root": "/etc/passwd",
    "double": "a//b",
    "trailing slash inside": "a/b/",
    "empty": "",
    "backslash": "..\\evil",
    "backslash inside": "a\\b",
    "drive": "C:evil",
    "drive path": "C:/evil",
    "share": "//server/share",
    "stream": "a:hidden",
    "nul": "a\x00.json",
    "newline": "a\nb",
    "escape": "\x1b[31mred",
    "space": "a b",
    "leading space": " a",
    "trailing space": "a ",
    "trailing dot": "a.",
    "trailing dot of a directory": "a./b",
    "three dots": ".../a",
    "dash": "-rf",
    "dash in a directory": "a/-rf",
    "device": "con",
    "device in capitals": "NUL",
    "device with an ending": "aux.json",
    "device in a directory": "a/Com1.txt",
    "device as a directory": "prn/a",
    "umlaut": "ä",
    "full-width dots": "．．/a",
    "one-dot leader": "․․/a",
    "slash that is none": "a∕b",
    "right to left": "a\u202egpj.exe",
    "zero width": "a\u200bb",
    "half a character": "a\udcff",
    "home": "$HOME",
    "glob": "*",
    "quote": "'",
    "long step": "a" * 201,
    "long path": "/".join(["a" * 100] * 5),
}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(EvidenceError, match="refused"):
        pack({"good": b"", name: b""})
    if "\udcff" not in name:
        message = refused(written(zipped([("good", b""), (name, b"x")])))
        assert "could be unpacked to another place" in message or "directory, link or device" in message
        assert "\x1b" not in message


@pytest.mark.parametrize(
    "name",
    [name for name in HOSTILE_NAMES.values() if name and "/" not in name and "\x00" not in name and len(name) < 250],
)
def test_such_a_name_in_a_directory_is_refused(name: str) -> None:
    Path("dir").mkdir()
    (Path("dir") / name).write_text("x")
    message = refused(Path("dir"))
    assert "refused" in message
    assert "\x1b" not in message
    message.encode()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "pair",
    [("a", "a"), ("a", "A"), ("d/a", "D/a"), ("d/a", "D/b"), ("a", "a/b"), ("A", "a/b"), ("x/Y/z", "x/y/w")],
    ids="/".join,
)
def test_names_that_some_systems_take_for_the_same_are_refused(pair: tuple[str, str]) -> None:
    assert "refused" in refused(written(zipped([(name, b"") for name in pair])))
    if len(set(pair)) == 2:
        with pytest.raises(EvidenceError, match="refused"):
            pack(dict.fromkeys(pair, b""))


# Kinds of entries


@pytest.mark.parametrize(
    "kind",
    [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR],
    ids=["link", "pipe", "character device", "block device", "socket", "directory"],
)
def test_an_entry_that_is_no_plain_file_is_refused(kind: int) -> None:
    raw = zipped([("a", b"/etc/passwd")], external_attr=(kind | 0o777) << 16)
    assert "directory, link or device" in refused(written(raw))


def test_a_directory_entry_is_refused_however_it_is_marked() -> None:
    assert "directory" in refused(written(zipped([("d/", b"")])))
    assert "directory" in refused(written(zipped([("d", b"")], create_system=0, external_attr=0x10)))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_entry_is_refused(method: int) -> None:
    assert "compressed" in refused(written(zipped([("a", b"0" * 10_000)], compress_type=method)))


def test_a_compression_bomb_is_refused_before_it_goes_off() -> None:
    bomb = zipped([(f"f{i}", bytes(4_000_000)) for i in range(20)], compress_type=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    assert "compressed" in refused(written(bomb))


@pytest.mark.parametrize("header", [6, 8], ids=["local", "central"])
def test_an_encrypted_entry_is_refused(header: int) -> None:
    raw = pack({"a": b"1"})
    at = (local(raw, b"a") + 6) if header == 6 else (central(raw, b"a") + 8)
    assert refused(written(patched(raw, at, "<H", 1)))


def test_a_streamed_entry_is_refused() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, chunk: bytes) -> int:  # type: ignore[override]
            self.content += chunk
            return len(chunk)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[arg-type]
        archive.writestr("a", b"1")
    assert "streamed" in refused(written(bytes(pipe.content)))


# Headers that lie


def test_sizes_that_the_two_headers_tell_differently_are_refused() -> None:
    raw = pack({"a": b"12345678", "b": b"x" * 100})
    for at in (local(raw, b"a") + 18, local(raw, b"a") + 22, central(raw, b"a") + 20, central(raw, b"a") + 24):
        refused(written(patched(raw, at, "<L", 7)))
        refused(written(patched(raw, at, "<L", 0xFFFFFFFF)))
    both = patched(patched(raw, central(raw, b"a") + 20, "<L", 60), central(raw, b"a") + 24, "<L", 60)
    refused(written(both))
    everywhere = patched(patched(both, local(raw, b"a") + 18, "<L", 60), local(raw, b"a") + 22, "<L", 60)
    assert "overlap" in refused(written(everywhere))


def test_two_names_for_one_content_are_refused() -> None:
    raw = pack({"a": b"12345678", "b": b"12345678"})
    assert "overlap" in refused(written(patched(raw, central(raw, b"b") + 42, "<L", 0)))


def test_an_overlapping_bomb_of_many_names_is_refused() -> None:
    """As in the zip bombs that quote one kernel under many names."""
    kernel = b"k" * 1_000_000
    raw = pack({f"f{i:03}": (kernel if i == 0 else b"") for i in range(400)})
    for i in range(400):
        at = raw.rindex(b"f%03d" % i) - 46
        raw = patched(patched(patched(raw, at + 20, "<L", 1_000_000), at + 24, "<L", 1_000_000), at + 42, "<L", 0)
    refused(written(raw))


def test_another_name_in_the_local_header_is_refused() -> None:
    raw = pack({"good": b"1"})
    at = raw.index(b"good")
    assert "two ways" in refused(written(raw[:at] + b"evil" + raw[at + 4 :]))


def test_a_content_that_does_not_fit_its_crc_is_refused() -> None:
    raw = pack({"a": b"content"})
    assert "CRC" in refused(written(raw.replace(b"content", b"Content")))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"#!/bin/sh\n" + raw,
        lambda raw: raw + b"more",
        lambda raw: raw + raw,
        lambda raw: raw + raw[END:],
        lambda raw: patched(raw, len(raw) - 2, "<H", 4) + b"note",
        lambda raw: patched(raw, len(raw) - 2, "<H", 1),
        lambda raw: patched(raw, len(raw) - 18, "<H", 1),
        lambda raw: patched(raw, len(raw) - 14, "<H", 1),
        lambda raw: patched(patched(raw, len(raw) - 14, "<H", 1), len(raw) - 12, "<H", 1),
        lambda raw: patched(raw, len(raw) - 10, "<L", 0),
        lambda raw: patched(raw, len(raw) - 6, "<L", 0xFFFFFFFF),
        lambda raw: raw[:END] + b"PK\x06\x07" + bytes(16) + raw[END:],
        lambda raw: b"PK\x03\x04" + raw,
    ],
    ids=[
        "prepended", "appended", "twice", "two ends", "comment", "comment that is not there", "second disk", "one fewer here",
        "one fewer", "no directory", "directory far away", "zip64", "half a header before",
    ],
)  # fmt: skip
def test_bytes_that_belong_to_no_file_are_refused(change: Callable[[bytes], bytes]) -> None:
    refused(written(change(pack(FILES))))


def test_bytes_between_the_files_are_refused() -> None:
    one, other = pack({"a": b"1"}), pack({"a": b"1", "b": b"2"})
    start = struct.unpack_from("<L", one, len(one) - 6)[0]
    gap = other[:start] + b"hidden" + other[start:]
    at = central(gap, b"b")
    gap = patched(patched(gap, at + 42, "<L", start + 6), len(gap) - 6, "<L", len(other) - 22 - 94 + 6)
    assert "belong to no entry" in refused(written(gap))


def test_what_other_tools_pack_plainly_is_read_and_is_not_canonical() -> None:
    files = [("b", b"2"), ("a", b"1")]
    for raw in (
        zipped(files),
        zipped(sorted(files), date_time=(2024, 5, 1, 10, 0, 0)),
        zipped(sorted(files), external_attr=(stat.S_IFREG | 0o755) << 16),
        zipped(sorted(files), extra=b"UT\x05\x00\x01abcd"),
        zipped(sorted(files), comment=b"note"),
        zipped(sorted(files), create_system=0, external_attr=0x20),
    ):
        read = read_bundle(written(raw))
        assert (read.files, read.canonical) == (dict(files), False)
        assert read.digest == Bundle(dict(files)).digest


# Size


def test_ten_thousand_entries_are_refused_at_once() -> None:
    raw = zipped([(f"f{i}", b"") for i in range(10_000)])
    assert "10000 entries" in refused(written(raw), within_s=2.0)
    begun = time.process_time()
    with pytest.raises(EvidenceError, match="more than 500 files"):
        pack({f"f{i}": b"" for i in range(10_000)})
    assert time.process_time() - begun < 2.0


def test_a_directory_of_a_hundred_thousand_files_is_left_early() -> None:
    Path("dir").mkdir()
    for i in range(3000):
        (Path("dir") / f"f{i}").touch()
    assert "more than 500 files" in refused(Path("dir"), within_s=2.0)
    deep = Path("deep")
    for i in range(200):
        deep = deep / f"d{i}"
    os.makedirs(deep)
    (deep / "a").write_text("x")
    assert "another place" in refused(Path("deep"))


def test_as_many_files_as_are_allowed_are_read() -> None:
    files = {f"d{i % 20}/f{i}": b"%d" % i for i in range(MAX_FILES)}
    assert read_bundle(written(pack(files))).files == files
    with pytest.raises(EvidenceError, match="more than 500 files"):
        pack({**files, "more": b""})


def test_a_huge_file_is_refused_without_reading_it() -> None:
    with open("huge.zip", "wb") as stream:
        stream.truncate(50 * 2**30)  # it takes no room on the disk
    tracemalloc.start()
    try:
        assert "256 MiB" in refused(Path("huge.zip"), within_s=2.0)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    Path("dir").mkdir()
    os.rename("huge.zip", "dir/attempt.json")
    assert "256 MiB" in refused(Path("dir"), within_s=2.0)


def test_huge_sizes_in_a_tiny_zip_take_no_memory() -> None:
    raw = pack({"a": b"1", "b": b"2"})
    for name in (b"a", b"b"):
        for at in (local(raw, name) + 18, local(raw, name) + 22, central(raw, name) + 20, central(raw, name) + 24):
            raw = patched(raw, at, "<L", 0xFFFFFFF0)
    tracemalloc.start()
    try:
        refused(written(raw), within_s=2.0)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_directory_of_headers_alone_takes_no_memory() -> None:
    """A million headers are 46 MB of file, and were a gigabyte of objects."""
    header = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    directory = header * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    tracemalloc.start()
    try:
        assert "65535 entries" in refused(written(directory + end), within_s=1)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(directory)
    finally:
        tracemalloc.stop()


def test_a_large_bundle_takes_a_few_times_its_size() -> None:
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from repro.cite.evidence.bundle import pack, read_bundle\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "Path('big.zip').write_bytes(pack({f'f{i}': bytes(2**20) for i in range(60)}))\n"
        "read = read_bundle(Path('big.zip')); assert read.canonical; read.digest\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 6 * 60 * 1024


def test_the_sum_of_the_files_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_BYTES", 1000)
    files = {f"f{i}": b"x" * 100 for i in range(10)}
    raw = pack(files)
    assert read_bundle(written(raw)).files == files
    with pytest.raises(EvidenceError):
        pack({**files, "more": b"1"})
    Path("dir").mkdir()
    for name, content in files.items():
        (Path("dir") / name).write_bytes(content)
    assert read_bundle(Path("dir")).files == files
    (Path("dir") / "more").write_bytes(b"1")
    refused(Path("dir"))


# Places that are no plain file


def test_a_pipe_is_not_waited_for() -> None:
    os.mkfifo("pipe.zip")
    assert "pipe, device or socket" in refused(Path("pipe.zip"))
    Path("dir").mkdir()
    os.mkfifo("dir/attempt.json")
    assert "link or device" in refused(Path("dir"))


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_not_read(device: str) -> None:
    refused(Path(device))
    Path("dir").mkdir()
    Path("dir/attempt.json").symlink_to(device)
    refused(Path("dir"))


def test_a_socket_is_refused() -> None:
    Path("dir").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("dir/s")
        refused(Path("dir"))


def test_links_are_refused_wherever_they_lead() -> None:
    Path("secret").write_text("of another directory")
    Path("dir/sub").mkdir(parents=True)
    Path("dir/a").write_text("x")
    for target, name in [
        ("../secret", "dir/b"),
        ("nowhere", "dir/b"),
        (".", "dir/b"),
        ("..", "dir/sub/up"),
        ("a", "dir/b"),
    ]:
        Path(name).symlink_to(target)
        assert "link or device" in refused(Path("dir"))
        Path(name).unlink()
    Path("link").symlink_to("dir")
    assert "is a link. Name the directory that it leads to" in refused(Path("link"))


def test_a_file_that_becomes_a_link_meanwhile_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text("of another directory")
    Path("dir").mkdir()
    Path("dir/a").write_text("x")
    found = dict(container._plain_files(Path("dir")))
    Path("dir/a").unlink()
    Path("dir/a").symlink_to("../secret")
    monkeypatch.setattr(container, "_plain_files", lambda directory: found.items())
    assert "is a link" in refused(Path("dir"))


def test_a_file_that_grows_while_it_is_read_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_BYTES", 100_000)
    monkeypatch.setattr(container, "_MAX_HEADERS", 0)
    file = written(b"x" * 90_000)
    stopped = threading.Event()

    def grow() -> None:
        with file.open("ab") as stream:
            while not stopped.is_set() and stream.tell() < 50_000_000:
                stream.write(b"x" * 10_000)
                stream.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(50):
            with pytest.raises(EvidenceError):
                read_bundle(file)
    finally:
        stopped.set()
        writer.join()


def test_a_file_that_nobody_may_read_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(pack(FILES))

    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(container.os, "open", refuse)
    assert refused(file) == f"{file} cannot be read (Permission denied)."


@pytest.mark.parametrize("place", ["missing.zip", "no/such/place", "a\x00b"])
def test_what_is_not_there_says_so(place: str) -> None:
    with pytest.raises(EvidenceError, match="There is no bundle|cannot be read"):
        read_bundle(Path(place))
