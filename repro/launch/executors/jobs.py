"""What SLURM and Ray are given to place: jobs that run the one worker over a plan file on a directory that all machines share."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from repro.launch.executors.lost import failure_or_lost, record_lost
from repro.launch.executors.needs import Needs, needs_of
from repro.launch.planning.keys import by_key, key_of
from repro.launch.planning.planfile import write_plan
from repro.launch.records.store import RecordStore
from repro.launch.running.stacks import stacks
from repro.schema.canonical import digest_of
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec


@dataclass(frozen=True)
class Bundle:
    """Trials that one job runs, and what it needs."""

    trials: tuple[TrialSpec, ...]
    needs: Needs
    alone: bool
    """They measure time, so nothing else may run on their machine."""


def bundles(trials: Sequence[TrialSpec], asked: Mapping[str, Resources], at_once: int, per_job: int) -> list[Bundle]:
    """Share trials out to jobs.

    Args:
        trials: to run.
        asked: what each asks of its machine.
        at_once: jobs side by side; no stack of trials is left with more than a fair share.
        per_job: stacks that one job runs, one after the other. A trial that needs a process of its own has its own job.

    Returns:
        One bundle a job; all trials that measure time are one, because only timings of one machine can be compared.
    """
    values = [spec for spec in trials if spec.measures == "value"]
    apart = [(spec,) for spec in values if spec.own_process]
    together = stacks((spec for spec in values if not spec.own_process), at_once)
    lots = [sum(together[i : i + per_job], ()) for i in range(0, len(together), per_job)]
    found = [Bundle(lot, needs_of(lot, asked), False) for lot in (*lots, *apart)]
    timed = tuple(spec for spec in trials if spec.measures == "time")
    return [*found, Bundle(timed, needs_of(timed, asked), True)] if timed else found


def refuse_second_machine(trials: Sequence[TrialSpec], plan: Plan, store: RecordStore) -> list[TrialRecord]:
    """Return failed records of the trials whose study has timings already: a job could not be sure to get the same machine."""
    running = {key_of(spec) for spec in trials}
    measured = {
        spec.study
        for spec in plan.trials
        if spec.measures == "time" and key_of(spec) not in running and store.find(spec, "") is not None
    }
    why = (
        "it measures time, others of its study have been timed on one machine, and a job may land on another, whose timings "
        "cannot be compared. Run it on that machine with executor=inline, or move the study's records away and time all anew."
    )
    return [
        record_lost(
            spec, plan.seals, store, f"Trial {spec.label or key_of(spec)[:8]} of {spec.study} was not placed: {why}"
        )
        for spec in trials
        if spec.measures == "time" and spec.study in measured
    ]


@dataclass(frozen=True)
class Work:
    """What a job does, wherever it is placed: run trials of a plan file, those without a record.

    Doing it again is doing the rest of it, so that a job may be killed, preempted and started again.
    """

    plan: Path
    records: Path
    keys: tuple[str, ...]
    place: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(
        default_factory=lambda: {name: value for name, value in os.environ.items() if name.startswith("REPRO_")}
    )

    def __call__(self) -> int:
        """Run the worker; return its exit code."""
        from repro.launch.worker import main

        os.environ.update(self.environment)
        os.chdir(self.place)
        only = [word for key in self.keys for word in ("--only", key)]
        return main([str(self.plan), "--out", str(self.records), *only])

    def checkpoint(self) -> Any:
        """Return what submitit starts when the job was preempted or its time was over: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def work_of(plan: Plan, store: RecordStore) -> Callable[[Bundle], Work]:
    """Write the plan beside the records, and return what makes the work of a bundle."""
    records = store.directory.resolve()
    name = digest_of([plan.created, list(plan.seals), [key_of(spec) for spec in plan.trials]])[:12]
    file = records / "jobs" / f"plan-{name}.json"
    if not file.exists():
        write_plan(plan, file)
    return lambda bundle: Work(file, records, tuple(map(key_of, bundle.trials)))


class Job(Protocol):
    """A job that was placed."""

    def over(self) -> bool:
        """Say whether it has ended, however."""

    def last_words(self) -> str:
        """Return what is known of why it ended."""

    def cancel(self) -> None:
        """Take it back."""


def records_of(
    starts: Iterable[tuple[Bundle, Callable[[], Job]]],
    seals: Sequence[str],
    store: RecordStore,
    look_every_s: float,
    at_once: float = math.inf,
) -> Iterator[TrialRecord]:
    """Start jobs and yield the records of their trials as they come, in whatever order.

    A trial whose job ended without a record of it is a failed one, with the job's last words. Whoever stops listening
    takes the jobs back that have not ended.

    Args:
        starts: each bundle with what starts its job.
        seals: those that stand.
        store: where the workers put the records.
        look_every_s: how often to look there.
        at_once: jobs that may be open at a time.
    """
    waiting, going = list(reversed(list(starts))), list[_Going]()
    try:
        while waiting or going:
            while waiting and len(going) < at_once:
                bundle, start = waiting.pop()
                missing = by_key(bundle.trials)
                before = {key: len(store.failures(key)) for key in missing}
                going.append(_Going(start(), missing, before))
            quiet = True
            # Asked before the look, so that what an ended job wrote is seen by it.
            ended = [each for each in going if each.job.over()]
            here = store.keys()  # one listing, however many are waited for
            for each in going:
                for key in [key for key in each.missing if key in here]:
                    record = store.find(each.missing[key], "")
                    if record is not None:
                        del each.missing[key]
                        quiet = False
                        yield record
            for each in ended:
                # On a shared file system a record may show a moment after its job has ended: one more look.
                if each.missing and not each.seen_over:
                    each.seen_over = True
                    continue
                going.remove(each)
                quiet = False
                for key, spec in each.missing.items():
                    yield failure_or_lost(spec, seals, store, each.before[key], each.job.last_words())
            if going and quiet:
                time.sleep(look_every_s)
    finally:
        for each in going:
            each.job.cancel()


@dataclass
class _Going:
    job: Job
    missing: dict[str, TrialSpec]
    """Trials of which nothing was heard yet."""
    before: Mapping[str, int]
    """Failures that each trial had."""
    seen_over: bool = False
