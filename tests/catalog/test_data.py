import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from repro.catalog.data import fetch
from repro.catalog.load import config_files, load
from repro.schema.dataset import DataSet
from repro.schema.errors import ConfigError, DataError

MIRROR = os.environ.get("REPRO_DATA", "")
CONTENT = bytes(range(256)) * 2000


@dataclass
class Server:
    """A web server on this machine that can be told to misbehave."""

    content: bytes = CONTENT
    resumes: bool = True
    """Whether it understands `Range`."""
    says_length: bool = True
    cut_after: list[int] = field(default_factory=list)
    """Of the next requests: the bytes after which the connection breaks."""
    asked: list[str] = field(default_factory=list)
    """Each request's `Range`, or empty."""
    url: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.resumes else 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if state.says_length:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def log_message(self, *_: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{http.server_port}/points.csv"
    yield state
    http.shutdown()
    http.server_close()


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("REPRO_DATA", raising=False)
    return tmp_path / "cache/data/scaling"


def points(url: str, content: bytes = CONTENT) -> DataSet:
    return DataSet("points", "scaling/points.csv", url, hashlib.sha256(content).hexdigest())


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.suffix != ".lock")


def test_a_file_is_downloaded_once_into_the_cache(server: Server, empty_cache: Path) -> None:
    file = fetch(points(server.url))
    assert file == empty_cache / "points.csv"
    assert file.read_bytes() == CONTENT
    assert fetch(points("http://127.0.0.1:9/closed")) == file
    assert left(empty_cache) == ["points.csv"]
    assert server.asked == [""]


def test_a_cut_connection_is_taken_up_where_it_broke(server: Server, empty_cache: Path) -> None:
    server.cut_after = [100_000, 50_000]
    assert fetch(points(server.url)).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=100000-", "bytes=150000-"]
    assert left(empty_cache) == ["points.csv"]


def test_what_came_before_the_network_went_is_gone_on_from_the_next_time(server: Server, empty_cache: Path) -> None:
    server.cut_after = [100_000, 0]
    with pytest.raises(DataError, match="could not be fetched.*100000 bytes of it are here, and the next try goes on"):
        fetch(points(server.url))
    assert left(empty_cache) == ["points.csv.partial"]
    assert fetch(points(server.url)).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=100000-", "bytes=100000-"]


def test_a_server_that_cannot_resume_starts_over(server: Server) -> None:
    server.resumes, server.cut_after = False, [100_000]
    assert fetch(points(server.url)).read_bytes() == CONTENT


def test_a_transfer_without_a_length_is_told_by_its_digest(server: Server, empty_cache: Path) -> None:
    server.says_length = False
    assert fetch(points(server.url)).read_bytes() == CONTENT
    (empty_cache / "points.csv").unlink()
    server.cut_after = [100_000]
    with pytest.raises(DataError, match="not the registered file"):
        fetch(points(server.url))
    assert left(empty_cache) == []


def test_a_part_of_another_file_is_thrown_away(server: Server, empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    for stale in (b"other" * 1000, b"longer" * 200_000):
        (empty_cache / "points.csv.partial").write_bytes(stale)
        assert fetch(points(server.url)).read_bytes() == CONTENT
        (empty_cache / "points.csv").unlink()


def test_a_part_that_is_the_whole_is_taken(server: Server, empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    (empty_cache / "points.csv.partial").write_bytes(CONTENT)
    assert fetch(points(server.url)).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_of_many_at_once_one_downloads(server: Server) -> None:
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(fetch(points(server.url)).read_bytes())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [CONTENT] * 5
    assert server.asked == [""]


def test_a_derived_table_is_not_downloaded_but_explained(server: Server) -> None:
    data = replace(points(server.url), derived=True, note="Columns a and b of the page, as CSV.")
    with pytest.raises(DataError, match="derived from http.*Columns a and b.*REPRO_DATA"):
        fetch(data)
    assert server.asked == []


TERMS = "https://example.org/terms.html"


def registered(url: str, terms: str) -> dict[str, str]:
    data = points(url)
    text = f"file: {data.file}\nurl: {url}\nsha256: {data.sha256}\nterms: {terms}\n"
    return {f"data/{data.id}.yaml": text}


def test_a_file_with_terms_to_accept_is_not_fetched_for_anybody(
    server: Server, write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims(extra=registered(server.url, TERMS))
    data = load("data", points(server.url).id)
    with pytest.raises(DataError, match=f"terms, so it is not fetched for you. Read {TERMS}.*REPRO_DATA"):
        fetch(data)
    assert server.asked == []
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "own"))
    placed = tmp_path / "own" / data.file
    placed.parent.mkdir(parents=True)
    placed.write_bytes(CONTENT)
    assert fetch(data) == placed, "who has put it there has it"


def test_terms_are_an_address(server: Server, write_claims) -> None:
    write_claims(extra=registered(server.url, "ask them"))
    with pytest.raises(ConfigError, match="'terms' must be the address.*'ask them'"):
        load("data", points(server.url).id)


def test_what_has_another_digest_is_refused_and_not_kept(server: Server, empty_cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        fetch(points(server.url, b"other bytes"))
    for word in (
        "not the registered file",
        hashlib.sha256(b"other bytes").hexdigest(),
        hashlib.sha256(CONTENT).hexdigest(),
    ):
        assert word in str(caught.value)
    assert left(empty_cache) == []


def test_without_a_network_the_error_names_file_address_and_variable() -> None:
    url = "http://127.0.0.1:9/points.csv"
    with pytest.raises(DataError) as caught:
        fetch(points(url))
    for word in ("scaling/points.csv", url, "REPRO_DATA"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_is_not_there_is_said_so(server: Server) -> None:
    server.content = b""
    with pytest.raises(DataError, match=r"could not be fetched \(HTTP Error 416"):
        fetch(points(server.url))


def test_every_data_set_is_registered_by_a_whole_sha256_and_derived_ones_say_how() -> None:
    for name in config_files("data"):
        data = load("data", name)
        assert len(data.sha256) == 64, name
        assert int(data.sha256, 16) > 0, name
        assert data.licence, name
        assert data.url.startswith("https://"), name
        assert not data.derived or "erived" in data.note, name


@pytest.mark.parametrize("name", ["books_train", "books_validation"])
def test_the_books_of_a_mirror_are_the_registered_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("data", name)
    if not (Path(MIRROR) / data.file).is_file():
        pytest.skip("REPRO_DATA names no mirror with the books")
    monkeypatch.setenv("REPRO_DATA", MIRROR)
    assert fetch(data) == Path(MIRROR) / data.file
