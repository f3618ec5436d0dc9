"""What runs now, from the files that workers leave in the record directory: no database is asked.

Only a server shows it; a static site has no now.
"""

import contextlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from repro.review.pages import macro, render
from repro.review.server.underway import (
    Arrival,
    Going,
    Look,
    Running,
    Wanted,
    arrival_of,
    progress,
    said,
    shortened,
    time_left,
    wanted_of,
)
from repro.schema import documents
from repro.schema.errors import RecordError
from repro.schema.places import home_dir, records_dir

RUNNING_PAGE = "running.html"
RUNNING_JSON = "running.json"
FRESH_S = 1.0
"""Readers share one look at the files for this long."""
RECENT_S = 60.0
"""Between two trials an attempt runs on for this long, and one whose trials have all arrived is shown for this long."""
RECORDS_KEPT = 200
ARRIVALS_SHOWN = 5
ARRIVALS_TIMED = 20


class Watch:
    """Looks at the files of this directory's runs; remembers what it read of those that do not change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked = -FRESH_S
        self._look = Look()
        self._plans: dict[Path, tuple[tuple[int, int], tuple[Wanted, ...] | str]] = {}
        self._records: OrderedDict[tuple[str, int, int], Arrival | None] = OrderedDict()

    def look(self) -> Look:
        """Return how far the attempts are that run now or have just ended."""
        with self._lock:
            if time.monotonic() - self._looked >= FRESH_S:
                self._look = self._read(time.time())
                self._looked = time.monotonic()
            return self._look

    def _read(self, now: float) -> Look:
        directory = records_dir()
        going = progress(directory, now)
        try:
            changed = directory.stat().st_mtime
        except OSError:
            return Look()
        # A record is put in its place by renaming, which the directory remembers: an idle look costs nothing more.
        if not going and now - changed > RECENT_S:
            return Look(any_records=True)
        records, failed = _files(directory), set(_files(directory / "failed"))
        attempts: dict[str, Running] = {}
        problems = []
        for file in sorted((home_dir() / "plans").glob("*.json"), key=_age):
            plan = self._plan(file)
            if isinstance(plan, str):
                problems.append(plan)
                continue
            for wanted in plan:
                if wanted.attempt not in attempts:
                    found = self._how_far(wanted, going, records, failed, now)
                    attempts |= {} if found is None else {wanted.attempt: found}
        return Look(tuple(attempts.values()), tuple(problems), True)

    def _how_far(
        self,
        wanted: Wanted,
        going: Mapping[str, Going],
        records: Mapping[str, "os.DirEntry[str]"],
        failed: set[str],
        now: float,
    ) -> Running | None:
        """Return how far an attempt is; None if nothing of it runs or has just arrived."""
        # A trial that runs has not arrived: a record of it is another machine's.
        there = {
            key: state
            for key in wanted.labels
            if key in records and key not in going and (state := _stat(records[key]))
        }
        latest = sorted(there, key=lambda key: there[key].st_mtime, reverse=True)[:ARRIVALS_TIMED]
        mine = {key: going[key] for key in wanted.labels if key in going}
        if not mine and not (latest and now - there[latest[0]].st_mtime < RECENT_S):
            return None
        read = [self._arrival(records[key], there[key]) for key in latest]
        arrivals = tuple(each for each in read if each is not None)
        return Running(
            wanted,
            done=len(there),
            failed=sum(key in failed and key not in there for key in wanted.labels),
            going=tuple(mine.values()),
            arrivals=arrivals[:ARRIVALS_SHOWN],
            left_s=time_left(wanted.weights, there, arrivals, {key: one.done for key, one in mine.items()}),
        )

    def _plan(self, file: Path) -> tuple[Wanted, ...] | str:
        """Return the attempts that a plan file asks for, or why it cannot be read."""
        try:
            state = file.stat()
        except OSError:
            return ()
        stamp = state.st_mtime_ns, state.st_size
        try:
            if file not in self._plans or self._plans[file][0] != stamp:
                plan, _ = documents.read_plan(file.read_text(encoding="utf-8"), file.name)
                self._plans[file] = stamp, wanted_of(plan)
        except (OSError, UnicodeDecodeError, RecordError) as error:
            self._plans[file] = stamp, f"The plan {file.name} cannot be read: {shortened(str(error))}"
        return self._plans[file][1]

    def _arrival(self, entry: "os.DirEntry[str]", state: os.stat_result) -> Arrival | None:
        """Return what a record says; None if it cannot be read, which the run itself will find out."""
        what = entry.path, state.st_mtime_ns, state.st_size
        if what not in self._records:
            self._records[what] = None
            with contextlib.suppress(OSError, UnicodeDecodeError, RecordError, ValueError):
                record = documents.read_record(Path(entry.path).read_text(encoding="utf-8"), entry.name)
                self._records[what] = arrival_of(record, state.st_mtime)
            while len(self._records) > RECORDS_KEPT:
                self._records.popitem(last=False)
        self._records.move_to_end(what)
        return self._records[what]


def running_page(look: Look) -> str:
    """Return the page of what runs now."""
    return render("live.html", RUNNING_PAGE, True, look=look, said=said(look))


def running_json(look: Look) -> str:
    """Return the same for the script of the page: a sentence, and each attempt's part of the page by its id."""
    parts = {each.wanted.attempt: macro("live_parts.html", "progress_of", each) for each in look.attempts}
    return json.dumps({"running": look.running, "said": said(look), "attempts": parts}, ensure_ascii=False) + "\n"


def _files(directory: Path) -> dict[str, "os.DirEntry[str]"]:
    """Return the record files of a directory by trial key."""
    try:
        with os.scandir(directory) as entries:
            return {entry.name.partition(".")[0]: entry for entry in entries if entry.name.endswith(".json")}
    except OSError:
        return {}


def _stat(entry: "os.DirEntry[str]") -> os.stat_result | None:
    with contextlib.suppress(OSError):
        return entry.stat()
    return None


def _age(file: Path) -> float:
    """Return what puts the newest file first."""
    with contextlib.suppress(OSError):
        return -file.stat().st_mtime
    return 0.0
