"""Trials of milliseconds, some dozens a call of a worker process: by themselves they would spend their time on being handed over.

A record waits for the disk twice, for longer than such a trial takes. Here threads wait, while the next trial runs: the system
joins what several of them wait for. No guarantee changes: a record is there whole or not at all, nobody is told of a trial
before its record is on the disk, and its lock is held until then.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from repro.launch.records.store import RecordStore
from repro.launch.running.stacks import Stack, cut
from repro.launch.running.trials import run_together, run_trial
from repro.schema.trial import TrialRecord

QUICK_S = 0.1
"""Trials that take longer go to the worker processes one by one."""
ROW_S = 0.5
"""What the trials of a row take together: as much may be lost if a worker is killed that had time to write nothing."""
WRITERS = 4

Row = tuple[Stack, ...]


class Rows:
    """Stacks in rows for worker processes, asked for one by one while their predecessors run: what these took says how long a row is.

    The first of each recipe go alone. A row is never so long that another worker would wait for its end with nothing to do.
    """

    def __init__(self, stacks: Iterable[Stack], jobs: int) -> None:
        self._waiting, self._jobs = deque(stacks), jobs
        self._seconds: dict[str, float] = {}

    def learn(self, records: Iterable[TrialRecord]) -> None:
        """Take note of what trials took."""
        for recipe, seconds in [(record.recipe, record.seconds) for record in records]:
            self._seconds[recipe] = max(seconds, 0.9 * self._seconds.get(recipe, seconds))

    def __iter__(self) -> Iterator[Row]:
        while self._waiting:
            row = [self._waiting.popleft()]
            recipe = row[0][0].recipe
            each = self._seconds.get(recipe, ROW_S)
            most = min(ROW_S / max(each, 1e-3), len(self._waiting) / (2 * self._jobs)) if each < QUICK_S else 1
            while len(row) < most and _can_join(self._waiting, recipe) and len(row[0]) == 1:
                row.append(self._waiting.popleft())
            yield tuple(row)


def _can_join(waiting: Sequence[Stack], recipe: str) -> bool:
    return bool(waiting) and len(waiting[0]) == 1 and waiting[0][0].recipe == recipe


def run_row(row: Row, seals: Sequence[str], store: RecordStore) -> list[TrialRecord]:
    """Run the trials of a row and return their records, all of them on the disk.

    Raises:
        PlanError, StoreError: as `repro.launch.running.trials.run_together`.
    """
    if len(row) == 1:
        return [record for piece in cut(row[0]) for record in run_together(piece, seals, store)]
    with store.reserved([spec for stack in row for spec in stack]) as (mine, done):
        with ThreadPoolExecutor(WRITERS) as pool:
            behind = _Behind(store.directory, pool)
            ran = [run_trial(spec, seals, behind) for spec in mine]
        for written in behind.waiting:
            written.result()
    return done + ran


@dataclass(frozen=True)
class _Behind(RecordStore):
    """A record store that writes in threads."""

    pool: ThreadPoolExecutor
    waiting: list[Future[Path]] = field(default_factory=list)

    def write(self, record: TrialRecord) -> Path:
        """Have a record written; one of a failed trial after all others and at once: the process may end then, as of a trial that hangs."""
        if record.status == "failed":
            wait(self.waiting)
            return super().write(record)
        self.waiting.append(self.pool.submit(super().write, record))
        return self.directory / record.file_name
