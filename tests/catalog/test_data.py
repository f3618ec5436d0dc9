import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from repro.catalog.data import fetch
from repro.schema.dataset import DataSet
from repro.schema.errors import DataError

CONTENT = b"N,loss\n1,2\n"


@pytest.fixture
def address() -> Iterator[str]:
    """Serve CONTENT on this machine, whatever is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/points.csv"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("REPRO_DATA", raising=False)


def points(url: str, content: bytes = CONTENT) -> DataSet:
    return DataSet("points", "scaling/points.csv", url, hashlib.sha256(content).hexdigest())


def test_a_file_is_downloaded_once_into_the_cache(address: str, tmp_path: Path) -> None:
    file = fetch(points(address))
    assert file == tmp_path / "cache/data/scaling/points.csv"
    assert file.read_bytes() == CONTENT
    assert fetch(points("http://127.0.0.1:9/closed")) == file


def test_a_derived_table_is_not_downloaded_but_explained(address: str) -> None:
    data = replace(points(address), derived=True, note="Columns a and b of the page, as CSV.")
    with pytest.raises(DataError, match="derived from http.*Columns a and b.*REPRO_DATA"):
        fetch(data)


def test_what_has_another_digest_is_refused_and_not_kept(address: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the registered file"):
        fetch(points(address, b"other bytes"))
    assert not (tmp_path / "cache/data/scaling/points.csv").exists()


def test_without_a_network_the_error_names_file_address_and_variable() -> None:
    url = "http://127.0.0.1:9/points.csv"
    with pytest.raises(DataError) as caught:
        fetch(points(url))
    for word in ("scaling/points.csv", url, "REPRO_DATA"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
