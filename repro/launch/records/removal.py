"""Removes what nothing refers to. Each removal stands by itself: one that was cut short leaves less to the next, and nothing half there."""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from repro.launch.records.store import RecordStore
from repro.launch.records.unreferenced import Leftover, entries, pointers_in
from repro.launch.running.trial_lock import is_held, take
from repro.schema.errors import StoreError


def require_idle(records: Path) -> None:
    """Refuse to go on while trials run: what they are about to write is not there yet.

    Raises:
        StoreError: with how many.
    """
    held = sum(is_held(Path(entry.path)) for entry in entries(records / "locks"))
    running = max(held, len(RecordStore(records).running()))
    if running:
        trials = "1 trial runs" if running == 1 else f"{running} trials run"
        raise StoreError(
            f"{trials} on {records} now. Nothing more was removed; run `repro gc` again when they are done."
        )


def remove(found: Collection[Leftover], home: Path) -> int:
    """Remove leftovers one by one, in their order, and return how many are gone.

    Raises:
        StoreError: if a trial was started or a plan stored meanwhile, or a file cannot be removed; the rest is still there.
    """
    plans, gone = _names(home / "plans"), 0
    before: list[int | None] | None = None
    for each in found:
        # A launch begins with a plan, a trial with a lock and a progress file: where these lie nothing changed, none began.
        now = [_stamp(home / place) for place in ("plans", "records/locks", "records/running")]
        new_plan = False
        if now != before:
            require_idle(home / "records")
            new_plan, before = not _names(home / "plans") <= plans, now
        if each.path.parent == home / "plans":
            new_plan |= each.path.name in pointers_in(home / "attempts").values()
        if new_plan:
            raise StoreError(f"A plan was stored meanwhile. {gone} of {len(found)} are gone; run `repro gc` again.")
        try:
            _remove(each.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(
                f"{each.path} could not be removed ({error.strerror}). {gone} of {len(found)} are gone; make its directory writable "
                f"and run `repro gc` again."
            ) from error
        gone += 1
    return gone


def _stamp(directory: Path) -> int | None:
    return directory.stat().st_mtime_ns if directory.is_dir() else None


def _names(directory: Path) -> set[str]:
    return {entry.name for entry in entries(directory)}


def _remove(path: Path) -> None:
    if path.name.endswith(".lock"):
        lock = take(path)  # so that nobody who just opened it comes to hold a file that is not there
        if lock is not None:
            lock.release()
    elif path.is_dir():
        aside = path.with_name(f".{path.name}.tmp")
        os.replace(path, aside)
        shutil.rmtree(aside)
    else:
        path.unlink()
