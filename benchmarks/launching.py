"""Ten thousand trials of ten milliseconds each, planned, run in two processes and judged, against joblib's own rate.

Ours is the whole way of a launch but for the ledger, which `tracking` measures: lay out and seal, store the plan, run with
`executor=processes jobs=2`, write a record of every trial, read all of them back, estimate and judge. Theirs is
`joblib.Parallel(n_jobs=2)` doing the same work as often and keeping nothing: half of it before ours and half after, so that a
machine that grows busier favours neither. Imports and the start of the processes are in neither. A trial works until its own thread has had ten milliseconds of the processor: asleep it
would leave the processor to whatever surrounds it, and its cost would not show.

Run: python -m benchmarks launching, or python -m benchmarks.launching TRIALS for another number (a multiple of 200).
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import psutil

from benchmarks.planning import own_environment, write_claims

T = TypeVar("T")

TRIALS, SEEDS, SECONDS, JOBS = 10_000, 100, 0.01, 2
WORDS = ["many/slope", "scale=cpu", "executor=processes", f"executor.jobs={JOBS}"]
LEAST = 0.8
"""Share of joblib's rate that the project asks of itself."""


def timed(work: Callable[[], T]) -> tuple[float, float, T]:
    """Return the seconds that `work` takes, those of the processor in this process and its workers, and what it returns."""
    start, before = time.perf_counter(), processor_seconds()
    done = work()
    return time.perf_counter() - start, processor_seconds() - before, done


def processor_seconds() -> float:
    """Return the processor time of this process and of the workers that it started, those that have ended included."""
    this = psutil.Process()
    running = sum(sum(process.cpu_times()[:2]) for process in this.children(recursive=True))
    return running + sum(this.cpu_times()[:4])


def bare(trials: int) -> None:
    """Have joblib do the work of so many trials, as it batches them itself."""
    from joblib import Parallel, delayed, parallel_config

    work = import_module("recipes.many.sizes").work
    with parallel_config(backend="loky", inner_max_num_threads=1):
        Parallel(n_jobs=JOBS)(delayed(work)(SECONDS) for _ in range(trials))


def looked_at() -> None:
    """Look at a plan of three seeds, and store nothing."""
    from repro.catalog.index import load_index
    from repro.launch.session import prepare

    prepare([*WORDS, "replicates=3"], load_index(), store=False)


def launched(trials: int) -> dict[str, float]:
    """Plan, run and judge so many trials; return the seconds of each."""
    from repro.catalog.index import load_index
    from repro.launch.attempt import carry_out, conclude
    from repro.launch.records.store import RecordStore
    from repro.launch.session import Wishes, prepare
    from repro.schema.places import records_dir

    start = time.perf_counter()
    prepared = prepare(WORDS, load_index(), wishes=Wishes(indicative=True))
    store = RecordStore(records_dir())
    planned = time.perf_counter()
    carry_out(prepared.plan, store, prepared.requests[0].executor)
    ran = time.perf_counter()
    (attempt,) = [attempt for attempt in prepared.plan.attempts if attempt.requested]
    concluded = conclude(attempt, prepared.plan, store, {}, None, attempt.sealed.digest)
    judged = time.perf_counter()
    verdict = concluded.attempt.verdict
    assert len(concluded.records) == trials
    assert verdict is not None
    assert verdict.parts["value"].estimate.value is not None
    return {"plan": planned - start, "run": ran - planned, "judge": judged - ran}


def main(trials: int = TRIALS) -> None:
    """Measure in turn and print the share of joblib's rate."""
    with tempfile.TemporaryDirectory() as directory, chdir(directory), patch.dict(os.environ):
        home = Path(directory)
        os.environ.update(own_environment(home))
        write_claims(home / "claims", trials, SEEDS, SECONDS)
        sys.path.append(str(home / "claims"))
        bare(200)  # starts the processes and imports the recipe
        looked_at()  # imports what composes and seals
        before, cpu_before, _ = timed(lambda: bare(trials // 2))
        total, cpu_ours, ours = timed(lambda: launched(trials))
        bare(200)  # a launch ends its processes
        after, cpu_after, _ = timed(lambda: bare(trials // 2))
    theirs, cpu_theirs = before + after, cpu_before + cpu_after
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in ours.items())
    print(
        f"launching {trials:,} trials of {1000 * SECONDS:g} ms in {JOBS} processes: {theirs / total:.2f} of joblib's rate (at least "
        f"{LEAST:g}); {trials / total:.0f} a second ({parts}) against {trials / theirs:.0f}; joblib before and after "
        f"{before:.1f} s and {after:.1f} s; the processor's time a trial {1000 * cpu_ours / trials:.1f} ms against "
        f"{1000 * cpu_theirs / trials:.1f} ms: {cpu_theirs / cpu_ours:.2f}"
    )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
