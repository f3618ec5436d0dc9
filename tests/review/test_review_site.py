"""The static site: complete, relative, the same bytes each time, and written in whole files."""

import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from test_review_pages import Page

from repro.review.book import Book
from repro.review.site import site, write_site
from repro.schema.errors import StoreError


def test_every_relative_link_and_picture_exists(book: Book, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "pages"
    written = write_site(book, out)
    assert out / "index.html" in written
    checked = 0
    for file in (path for path in written if path.suffix == ".html"):
        page = Page(file.read_text())
        anchors = {a["id"] for _, a in page.elements if "id" in a}
        for tag, attributes in page.elements:
            for name in ("href", "src", "srcset"):
                address = attributes.get(name)
                if address is None or address.startswith("https://"):
                    continue
                parts = urlsplit(address)
                assert not parts.scheme, f"<{tag}> in {file.name} points outside: {address}"
                assert not parts.path.startswith("/"), f"{address} is not relative"
                if parts.path:
                    target = file.parent / unquote(parts.path)
                    assert target.is_file(), f"{file.relative_to(out)} points to {address}, which is not there"
                    assert target.resolve().is_relative_to(out.resolve())
                elif parts.fragment:
                    assert parts.fragment in anchors
                checked += 1
    assert checked > 100


def test_every_claim_and_attempt_has_its_page_and_every_verdict_its_pictures(book: Book, tmp_path: Path) -> None:
    names = {path.relative_to(tmp_path).as_posix() for path in write_site(book, tmp_path)}
    assert {f"claim/{claim}.html" for claim in book.claims} <= names
    for attempt in book.attempts:
        assert {f"attempt/{attempt.id}.html", f"attempt/{attempt.id}.csv"} <= names
        assert (f"attempt/{attempt.id}.svg" in names) is (attempt.verdict is not None)
        assert (f"attempt/{attempt.id}.narrow.svg" in names) is (attempt.verdict is not None)
    assert {"static/style.css", "static/table.js", "static/icon.svg"} <= names


def test_the_same_book_gives_the_same_bytes(book: Book, tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    write_site(book, first)
    for path in write_site(book, second):
        assert path.read_bytes() == (first / path.relative_to(second)).read_bytes()


def test_writing_again_replaces_pages_and_leaves_no_rubbish(book: Book, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("old")
    (tmp_path / "mine.txt").write_text("not yours")
    written = write_site(book, tmp_path)
    assert "Published claims" in (tmp_path / "index.html").read_text()
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {*written, tmp_path / "mine.txt"}


def test_a_page_that_cannot_be_replaced_leaves_the_old_one_whole(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StoreError, match="cannot be written to .*No space left on device.*Name a directory"):
        write_site(book, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "old"


def test_a_file_in_the_place_of_the_directory_is_an_error(book: Book, tmp_path: Path) -> None:
    place = tmp_path / "pages"
    place.write_text("a file")
    with pytest.raises(StoreError, match="need a directory, and .*pages is a file"):
        write_site(book, place)


def test_a_file_above_the_directory_is_an_error(book: Book, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        write_site(book, tmp_path / "file" / "pages")


def test_only_live_pages_link_to_mlflow(book: Book) -> None:
    assert "MLflow</a>" in site(book, live=True)["index.html"]()
    assert '<a href="../../../">MLflow</a>' in site(book, live=True)["claim/widgets/exponent.html"]()
    assert "MLflow</a>" not in site(book)["index.html"]()


def test_no_text_leaves_the_machine(book: Book) -> None:
    """Nothing on a page or in its style or script is fetched from elsewhere."""
    for address, make in site(replace(book, attempts=book.attempts[:2])).items():
        if address.endswith((".css", ".js")):
            assert "http" not in make()
