"""The made-up book as fixtures, with and without hostile strings."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from review_book import made_book

from repro.review.book import Book

CHROMIUM = Path(os.environ.get("REPRO_CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture
def book() -> Book:
    return made_book()


@pytest.fixture
def decent_book(book: Book) -> Book:
    """The same without hostile strings, for eyes and browsers."""
    keep = {name: claim for name, claim in book.claims.items() if claim.paper != "hostile"}
    return replace(book, claims=keep, attempts=tuple(a for a in book.attempts if not a.claim.startswith("hostile")))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser, one a file of page tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM} (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()
