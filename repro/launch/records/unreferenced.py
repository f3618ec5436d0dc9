"""Files in this directory's store that no plan, no attempt of the ledger and no published one refers to.

Whatever cannot be read stops the search: what it refers to is unknown then.
"""

import contextlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from repro.launch.records.glimpses import glimpse_of
from repro.launch.records.store import RecordStore
from repro.launch.running.trial_lock import is_held
from repro.schema.errors import PlanError, StoreError

GRACE_S = 600.0
"""What is younger is left alone: somebody may be about to refer to it."""
_RECORD = re.compile(r"[0-9a-f]{40}(\.[0-9a-f]{12})?\.json")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Leftover:
    """A file or directory that nothing refers to."""

    path: Path
    kind: str
    """What it is and why nothing needs it, in words."""
    size: int
    """Bytes."""
    changed: float
    """When, Unix time."""


@dataclass(frozen=True)
class Known:
    """What the ledger and published results refer to."""

    attempts: frozenset[str] = frozenset()
    """Ids."""
    trials: frozenset[str] = frozenset()
    """Keys."""


@dataclass
class _Store:
    """The store as it was found."""

    home: Path
    plans: Mapping[str, frozenset[str]]
    """Trial keys by file name."""
    pointers: Mapping[Path, str]
    """Name of the plan by file."""
    done: frozenset[str]
    """Names of records."""
    referred: frozenset[str] = field(default_factory=frozenset)
    """Keys of the trials that something refers to."""

    @property
    def records(self) -> Path:
        return self.home / "records"

    def finished(self, key: str) -> bool:
        """Say whether a trial has a record that can be read: what is cut short runs again, from its checkpoint if there is one."""
        names = [name for name in (f"{key}.json", *self.timed.get(key, ())) if name in self.done]
        return any(glimpse_of(self.records / name) is not None for name in names)

    @cached_property
    def timed(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.done:
            if name.count(".") > 1:
                found.setdefault(name.partition(".")[0], []).append(name)
        return found


def leftovers(home: Path, known: Callable[[], Known], now: float) -> tuple[list[Leftover], int]:
    """Find what nothing refers to, in the order in which it may be removed.

    Args:
        home: of the store, with `plans/`, `attempts/` and `records/`.
        known: asks the ledger and the published results.
        now: Unix time.

    Returns:
        What was found, and how many files more are too young to be sure.

    Raises:
        PlanError, StoreError: if a plan, a pointer or the ledger cannot be read.
    """
    pointers = pointers_in(home / "attempts")
    plans = {file.name: _keys(file) for file in sorted((home / "plans").glob("*.json"))}
    done = frozenset(entry.name for entry in entries(home / "records") if _RECORD.fullmatch(entry.name))
    store = _Store(home, plans, pointers, done)
    told = known()
    kept = {plans[name] for name in pointers.values() if name in plans}
    store.referred = told.trials.union(*kept)
    found = list(_found(store, told))
    old = [each for each in found if now - each.changed >= GRACE_S]
    return old, len(found) - len(old)


def _found(store: _Store, known: Known) -> Iterator[Leftover]:
    records, referred = store.records, store.referred
    finished = store.finished
    yield from _temporary(store.home)
    yield from _still(records)
    for entry in entries(records / "stopped"):
        yield from _of_trial(entry.path, "time mark", referred, finished)
    for entry in entries(records / "checkpoints"):
        yield from _of_trial(entry.path, "checkpoints", referred, finished)
    for entry in entries(records / "damaged"):
        yield from _of_trial(entry.path, "damaged record", referred, finished, "ran again")
    for entry in entries(records / "failed"):
        yield from _of_trial(entry.path, "failure", referred)
    for entry in entries(records / "jobs"):
        if entry.name.endswith(".json") and all(map(finished, _keys(Path(entry.path)) & referred)):
            yield _leftover(entry.path, "plan of jobs that are done")
    yield from _provenance(store)
    for name in sorted(store.done):
        yield from _of_trial(records / name, "record", referred)
    for name in sorted(set(store.plans) - set(store.pointers.values())):
        yield _leftover(store.home / "plans" / name, "plan of no attempt")
    for file, plan in store.pointers.items():
        attempt = f"{file.parent.relative_to(store.home / 'attempts').as_posix()}-{file.name}"
        if plan not in store.plans and attempt not in known.attempts:
            yield _leftover(file, "attempt whose plan is gone")


def _of_trial(
    path: str | Path,
    what: str,
    referred: Collection[str],
    finished: Callable[[str], bool] = lambda key: False,
    why: str = "is done",
) -> Iterator[Leftover]:
    """Yield a file of a trial that nothing refers to, or that is finished where that is enough."""
    key = Path(path).name.partition(".")[0]
    if not re.fullmatch(r"[0-9a-f]{40}", key):
        return  # not ours
    if key not in referred:
        yield _leftover(path, f"{what} of no plan")
    elif finished(key):
        yield _leftover(path, f"{what} of a trial that {why}")


def _temporary(home: Path) -> Iterator[Leftover]:
    """Yield what writers that were killed left: names that only a file that is being written has."""
    for file in sorted(home.rglob(".*.tmp")):
        yield _leftover(file, "half-written file")


def _still(records: Path) -> Iterator[Leftover]:
    running = RecordStore(records).running()
    for entry in entries(records / "running"):
        if entry.name.endswith(".json") and entry.name.partition(".")[0] not in running:
            yield _leftover(entry.path, "progress of a trial that does not run")
    for entry in entries(records / "locks"):
        if entry.name.endswith(".lock") and not is_held(Path(entry.path)):
            yield _leftover(entry.path, "lock that nobody holds")


def _provenance(store: _Store) -> Iterator[Leftover]:
    """Yield provenances of records that are not there or go, then the environments that no other provenance and no attempt names."""
    place, kept = store.records / "provenance", []
    for entry in entries(place):
        if _RECORD.fullmatch(entry.name):
            gone = list(_of_trial(entry.path, "provenance", store.referred))
            if not gone and entry.name not in store.done:
                gone = [_leftover(entry.path, "provenance without its record")]
            yield from gone
            kept += [] if gone else [Path(entry.path)]
    for entry in entries(place / "failed"):
        gone = list(_of_trial(entry.path, "provenance", store.referred))
        yield from gone
        kept += [] if gone else [Path(entry.path)]
    environments = list(entries(place / "environments"))
    if environments:
        named = {digest for file in (*kept, *store.pointers) for digest in _DIGEST.findall(_text(file))}
        for entry in environments:
            if entry.name.removesuffix(".json") not in named and _DIGEST.fullmatch(entry.name.removesuffix(".json")):
                yield _leftover(entry.path, "environment of no trial")


def entries(directory: Path) -> list["os.DirEntry[str]"]:
    """Return what a directory holds by name, without hidden files; nothing if it is not there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as found:
        return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    return []


def _leftover(path: str | Path, kind: str) -> Leftover:
    """Measure a file, or a directory with all that is in it."""
    path, size, changed = Path(path), 0, 0.0
    for file in (path, *(path.rglob("*") if path.is_dir() else ())):
        with contextlib.suppress(FileNotFoundError):
            state = file.lstat()
            size += state.st_size if not file.is_dir() else 0
            changed = max(changed, state.st_mtime)
    return Leftover(path, kind, size, changed)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} cannot be read ({error}), so what it refers to is unknown. {_CURE}") from error


_CURE = "Nothing was removed. Mend it, or move it away, then run again."


def _keys(file: Path) -> frozenset[str]:
    """Return the keys of all trials of a plan, whether or not the plan is otherwise sound."""
    try:
        return frozenset(map(str, json.loads(file.read_bytes())["keys"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlanError(f"The plan {file} cannot be read, so what it refers to is unknown. {_CURE}") from error


def pointers_in(directory: Path) -> dict[Path, str]:
    """Return the plan that each attempt names."""
    found = {}
    for file in sorted(directory.rglob("*")):
        if file.is_dir() or file.name.startswith("."):
            continue
        text = _text(file).strip()
        try:
            found[file] = str(json.loads(text)["plan"]) if text.startswith("{") else text
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{file} cannot be read, so which plan it names is unknown. {_CURE}") from error
    return found
