"""The pages as a server keeps them: readers share one book, and the pages made of it, until something that it was read from changes."""

import gc
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from repro.review.book import Book
from repro.review.load import open_book
from repro.review.server.nearest import page_addresses
from repro.review.site import Content, site
from repro.schema.places import planned_file, results_dirs, stale_file, tutorials_dir

FRESH_S = 3.0
"""For this long nobody looks whether anything has changed."""
KEPT_S = 60.0
"""After this long a book is read again though no change was seen: an artifact of MLflow's may have been edited by hand."""
PAGES_KEPT = 128


@dataclass(frozen=True)
class _Reading:
    """A book, and the pages made of it so far."""

    book: Book
    state: Hashable
    """Of what it was read from; None where only reading it again tells of a change."""
    began: float
    paths: Mapping[str, Callable[[], Content]]
    made: dict[str, Content] = field(default_factory=dict)


class Shelf:
    """Reads the book when it must, and answers from it."""

    def __init__(self, read: Callable[[], Book] = open_book) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._looked = 0.0

    def content(self, address: str, prior: str | None = None) -> Content | None:
        """Return what stands at an address of the site, or None if nothing does.

        Args:
            address: relative to the root of the site.
            prior: what a reader typed as a prior for a claim, if anything.

        Raises:
            ReproError: if the book cannot be read, or what stands there cannot be made.
        """
        with self._lock:
            reading = self._refreshed()
        if prior is not None:
            make = site(reading.book, live=True, prior=prior).get(address)
            return make() if make else None
        if address in reading.made:
            return reading.made[address]
        make = reading.paths.get(address)
        content = make() if make else None
        # Pages and pictures take time; evidence takes memory.
        if isinstance(content, str) and len(reading.made) < PAGES_KEPT:
            reading.made[address] = content
        return content

    def pages(self) -> list[str]:
        """Return the addresses of the pages of the book that was read last, those that a reader may mean."""
        with self._lock:
            return [] if self._reading is None else page_addresses(self._reading.book)

    def _refreshed(self) -> _Reading:
        now, last = time.monotonic(), self._reading
        if last is not None and now - self._looked < FRESH_S:
            return last
        state = _state()  # before reading: what is written meanwhile is seen the next time
        if last is None or state is None or state != last.state or now - last.began >= KEPT_S:
            with _uncollected():
                book = self._read()
            last = self._reading = _Reading(book, state, now, site(book, live=True))
        self._looked = time.monotonic()
        return last


def _state() -> Hashable:
    """Return what tells whether anything has changed that a book is read from; None where only reading it tells.

    Raises:
        ReproError: if the store or a directory of claims cannot be looked at.
    """
    # Late: pages.py and figures.py are imported where neither a catalogue nor a ledger is needed.
    from repro.catalog.roots import config_roots
    from repro.ledger import sql
    from repro.ledger.store import sqlite_file, store_exists, tracking_uri

    store = sqlite_file(tracking_uri())
    if store is None:
        return None
    directories = [*(root.directory for root in config_roots()), *results_dirs(), *filter(None, [tutorials_dir()])]
    files = [str(stale_file()), str(planned_file()), *(file for directory in directories for file in _files(directory))]
    return sql.state(store) if store_exists(store) else (), tuple(map(_stamp, files))


def _files(directory: Path) -> Iterator[str]:
    for parent, _, names in os.walk(directory):
        yield from (f"{parent}/{name}" for name in names)


def _stamp(file: str) -> tuple[str, int, int]:
    try:
        status = os.stat(file)
    except OSError:
        return file, 0, 0
    return file, status.st_mtime_ns, status.st_size


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from walking again and again through what grows to a million objects and stays."""
    gc.disable()
    gc.unfreeze()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
