"""What a server keeps between two readers, and what makes it read again."""

import gc
import sqlite3
from pathlib import Path

import pytest
from trust_book import trust_book

from repro.ledger.store import create_store
from repro.review.book import Book
from repro.review.server import shelf as kept
from repro.review.server.shelf import FRESH_S, KEPT_S, Shelf
from repro.schema.errors import StoreError


class Reader:
    """Reads a book and counts how often it was asked to."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.readings = 0

    def __call__(self) -> Book:
        self.readings += 1
        return self.book


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(kept, "time", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("REPRO_RESULTS", str(tmp_path / "results"))
    create_store(tmp_path / "mlflow.db")
    return tmp_path / "mlflow.db"


@pytest.fixture
def reader(book: Book) -> Reader:
    return Reader(book)


def write_to(store: Path) -> None:
    connection = sqlite3.connect(store)
    with connection:
        connection.execute("UPDATE experiments SET last_update_time = last_update_time + 1")
    connection.close()


def test_a_page_and_its_pictures_share_one_reading(reader: Reader, store: Path, clock: Clock) -> None:
    shelf = Shelf(reader)
    assert shelf.content("index.html")
    write_to(store)
    assert shelf.content("claim/widgets/exponent.html")
    assert reader.readings == 1


def test_nothing_is_read_again_while_nothing_changes(reader: Reader, store: Path, clock: Clock) -> None:
    shelf = Shelf(reader)
    first = shelf.content("index.html")
    for _ in range(5):
        clock.now += FRESH_S
        assert shelf.content("index.html") is first
    assert reader.readings == 1


@pytest.mark.parametrize("change", ["the store", "a published result", "what is stale", "a removed file"])
def test_a_change_is_read(reader: Reader, store: Path, clock: Clock, tmp_path: Path, change: str) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "old.json").write_text("{}")
    shelf = Shelf(reader)
    shelf.content("index.html")
    if change == "the store":
        write_to(store)
    elif change == "a published result":
        (results / "some" / "claim").mkdir(parents=True)
        (results / "some" / "claim" / "annotations.jsonl").write_text("{}\n")
    elif change == "what is stale":
        Path(".repro").mkdir()
        Path(".repro/stale.json").write_text("{}")
    else:
        (results / "old.json").unlink()
    assert shelf.content("index.html")
    assert reader.readings == 1
    clock.now += FRESH_S
    assert shelf.content("index.html")
    assert reader.readings == 2


def test_what_nobody_could_see_change_is_read_after_a_while(reader: Reader, store: Path, clock: Clock) -> None:
    shelf = Shelf(reader)
    shelf.content("index.html")
    clock.now += KEPT_S
    shelf.content("index.html")
    assert reader.readings == 2


def test_a_ledger_on_a_server_is_asked_each_time(
    reader: Reader, store: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    shelf = Shelf(reader)
    for _ in range(3):
        shelf.content("index.html")
        clock.now += FRESH_S
    assert reader.readings == 3


def test_an_error_is_not_kept(reader: Reader, store: Path, clock: Clock) -> None:
    def broken() -> Book:
        reader()
        if reader.readings == 1:
            raise StoreError("The ledger is locked.")
        return reader.book

    shelf = Shelf(broken)
    with pytest.raises(StoreError, match="locked"):
        shelf.content("index.html")
    assert gc.isenabled()
    assert shelf.content("index.html")
    assert shelf.content("none.html") is None
    assert "index.html" in shelf.pages()


def test_a_typed_prior_is_answered_and_not_kept(store: Path, clock: Clock) -> None:
    shelf, address = Shelf(trust_book), "claim/widgets/slope.html"
    before = shelf.content(address)
    typed = shelf.content(address, "0.3")
    assert typed is not None
    assert typed != before
    assert shelf.content(address) is before
    assert shelf.content("none.html", "0.3") is None
