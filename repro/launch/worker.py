"""Runs the trials of a plan file: standard library, the recipes, and what these import.

On a machine without MLflow, Hydra or network:

    python -m repro.launch.worker plan.json --out records/
"""

import argparse
import contextlib
import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repro.launch.planning.keys import by_key, key_of
from repro.launch.planning.planfile import read_plan
from repro.launch.provenance.origin import fingerprint
from repro.launch.records.store import RecordStore
from repro.launch.running.determinism import ask_for_determinism
from repro.launch.running.interrupts import exit_code, stoppable
from repro.launch.running.limits import OutOfTime, hung_before, start_anew_if_hung
from repro.launch.running.pace import Pace, Stopped, mark_stopped, when_stopped
from repro.launch.running.resuming import can_go_on
from repro.launch.running.sharing import wait_for_one
from repro.launch.running.stacks import Stack, cut, stacks
from repro.launch.running.trials import check_spec, run_together
from repro.schema.errors import PlanError, ReproError, TrialFailed
from repro.schema.trial import Plan, TrialRecord, TrialSpec

TELL_EVERY_S = 30.0
WORTH_A_START_S = 30.0
"""With less time left no trial goes on from its checkpoint: starting up takes as long."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials of a plan file that have no record yet; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m repro.launch.worker",
        description="Run the trials of a plan and write one record each, the longest first, those of one shape side by side. "
        "Needs neither MLflow nor Hydra nor a network.",
        epilog="Afterwards, where the plan was made: repro collect RECORDS --plan PLAN",
    )
    parser.add_argument("plan", type=Path, help="a plan file, made by `repro plan ... --out plan.json`")
    parser.add_argument("--out", type=Path, required=True, help="directory of the records; run again to resume")
    parser.add_argument("--only", action="append", default=[], metavar="KEY", help="run only this trial (repeatable)")
    parser.add_argument("--looks", type=int, metavar="N", help="run only the seeds of the first N looks")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="end within M minutes: start nothing that would take longer than what is left of them, and exit with 0",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="ask torch for deterministic algorithms; what has none is kept beside each record",
    )
    given = parser.parse_args(arguments)
    if given.deterministic:
        ask_for_determinism()
    try:
        if given.minutes is not None and not 0 < given.minutes < math.inf:
            raise PlanError(f"--minutes must be a number above 0, not {given.minutes:g}.")
        if arguments is None and given.minutes is None:
            start_anew_if_hung()  # else the minutes would begin again
        with stoppable():
            return _run_plan(given.plan, given.out, given.only, given.looks, given.minutes)
    except ReproError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as reason:
        print("\nStopped. Finished trials are kept; run the same command again to resume.", file=sys.stderr)
        return exit_code(reason)


def _run_plan(file: Path, out: Path, only: Sequence[str], looks: int | None, minutes: float | None) -> int:
    started = time.monotonic()
    plan = read_plan(file)
    store = RecordStore(out)
    wanted = set(only) or {key_of(spec) for spec in plan.trials}
    if looks is not None:
        wanted &= _keys_of_looks(plan, looks)
    trials = [spec for spec in plan.trials if key_of(spec) in wanted]
    for spec in trials:
        check_spec(spec)
    store.set_strays_aside()
    done = [spec for spec in trials if store.ran_here(spec, fingerprint(spec.device))]
    for number, spec in enumerate(done, start=1):
        print(f"[{number}/{len(trials)}] {spec.study} {spec.label}: already done", flush=True)
    keys = {key_of(spec) for spec in done}
    hung = [spec for spec in trials if key_of(spec) not in keys and key_of(spec) in hung_before()]
    keys |= {key_of(spec) for spec in hung}
    until = None if minutes is None else started + 60 * minutes
    run = _Run(plan, store, len(trials), len(done), until, failed=len(hung))
    run.work(stacks(spec for spec in trials if key_of(spec) not in keys))
    if run.elsewhere:
        print(f"{_trials(len(run.elsewhere))} run by another launcher; waiting for it.", flush=True)
    while run.elsewhere and run.seconds_left() > 0:
        run.work_off_others()
    if run.elsewhere:
        print(f"{_trials(len(run.elsewhere))} still run by another launcher, run again.", flush=True)
    if run.left:
        print(_what_is_left(run, minutes or 0.0), flush=True)
    if run.failed:
        raise TrialFailed(
            f"{run.failed} of {len(trials)} trials failed; their errors are in {out / 'failed'}. Run again to retry them."
        )
    if run.left and len(run.too_long) == len(run.left):
        raise TrialFailed(
            f"Nothing more can be done in {minutes:g} minutes a call: give --minutes more, or leave it out."
        )
    return 0


def _what_is_left(run: "_Run", minutes: float) -> str:
    said = f"{_trials(len(run.left))} left, run again: they would not have ended in time."
    if run.too_long:
        names = ", ".join(spec.label or key_of(spec)[:8] for spec in run.too_long[:3])
        said += f" {len(run.too_long)} of them need more than {minutes:g} minutes: {names}."
    return said


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


@dataclass
class _Run:
    """The course of one call of the worker."""

    plan: Plan
    store: RecordStore
    total: int
    ended: int
    """Trials that have a record or failed."""
    until: float | None
    """When the time is over, by `time.monotonic`."""
    failed: int = 0
    left: list[TrialSpec] = field(default_factory=list)
    """Trials that were not started, or stopped, for want of time."""
    too_long: list[TrialSpec] = field(default_factory=list)
    """Those of them that no call of as many minutes could end."""
    hopeless: dict[str, float] = field(default_factory=dict)
    """By recipe, the FLOPs of the cheapest trial that had such a call for itself and did not end."""
    begun: bool = False
    elsewhere: list[TrialSpec] = field(default_factory=list)
    """Trials that another launcher ran when their turn came."""

    def __post_init__(self) -> None:
        self.whole = self.seconds_left()

    def work(self, waiting: Sequence[Stack]) -> None:
        """Run stacks in their order; where time is short, those that would end in it."""
        pace = Pace(self.store.all()) if self.until is not None else Pace()
        for spec in (spec for stack in waiting for spec in stack if spec.cost):
            if not can_go_on(self.store.directory, key_of(spec)) and _alone_for(
                when_stopped((spec,), self.store), self.whole
            ):
                self.hopeless[spec.recipe] = min(spec.cost or 0.0, self.hopeless.get(spec.recipe, math.inf))
        for stack in waiting:
            for piece in self._pieces(stack, pace, self.whole):
                started = time.monotonic()
                self.begun = True
                try:
                    with _told_how_far(piece, self.store):
                        records = run_together(piece, self.plan.seals, self.store, self.until)
                except OutOfTime:
                    mark_stopped(piece, self.store, time.monotonic() - started)
                    self.left += piece
                    continue
                ours = {record.key for record in records}
                self.elsewhere += [spec for spec in piece if key_of(spec) not in ours]
                for record in records:
                    pace.add(record)
                    self._report(record, len(piece))

    def work_off_others(self) -> None:
        """Wait until one of the trials that run elsewhere is over there; take its record, or run it if there is none."""
        waiting, self.elsewhere = self.elsewhere, []
        over = wait_for_one(waiting, self.store, math.inf if self.until is None else self.until)
        self.elsewhere = [spec for spec in waiting if spec not in over]
        self.work(stacks(over))

    def seconds_left(self) -> float:
        """Return the seconds that are left."""
        return math.inf if self.until is None else self.until - time.monotonic()

    def _pieces(self, stack: Stack, pace: Pace, whole: float) -> Iterator[Stack]:
        """Yield the parts of a stack that may start, each when it is its turn; put the others aside."""
        if self.until is None:
            yield from cut(stack)
            return
        if len(stack) == 1 and can_go_on(self.store.directory, stack[0].key):
            if self.seconds_left() > WORTH_A_START_S or not self.begun:
                yield stack  # it goes on where it was stopped, and is nearer to its end each time
            else:
                self.left += stack
            return
        stopped = when_stopped(stack, self.store)
        if (stack[0].cost or 0.0) >= self.hopeless.get(stack[0].recipe, math.inf) or _alone_for(stopped, whole):
            self.too_long += stack
            self.left += stack
        elif self._would_end(stack[:1], pace, stopped):
            # Half as many as when they were stopped.
            for piece in cut(stack, max(1, stopped.side_by_side // 2) if stopped.seconds else len(stack)):
                if self._would_end(piece, pace, stopped):
                    yield piece
                else:
                    self.left += piece
        else:
            self.left += stack

    def _would_end(self, piece: Stack, pace: Pace, stopped: Stopped) -> bool:
        """Say whether there is time; the first of a call may try, for it will never have more."""
        if not self.begun:
            return True
        least = stopped.seconds * len(piece) / stopped.side_by_side if stopped.seconds else 0.0
        return self.seconds_left() > max(least, pace.most(piece) or 0.0)

    def _report(self, record: TrialRecord, side_by_side: int) -> None:
        self.ended += 1
        self.failed += record.status == "failed"
        stacked = f", 1 of {side_by_side} side by side" if side_by_side > 1 else ""
        print(
            f"[{self.ended}/{self.total}] {record.study} {record.label}: {record.status} in {record.seconds:.1f} s{stacked}"
            f"{'. ' + record.error if record.error else ''}",
            flush=True,
        )


@contextlib.contextmanager
def _told_how_far(piece: Stack, store: RecordStore) -> Iterator[None]:
    """Print how far each running trial is, every half minute."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(TELL_EVERY_S):
            running = store.running()
            shares = [
                f"{running[key_of(spec)][1]:.0%} of {spec.label or key_of(spec)[:8]}"
                for spec in piece
                if key_of(spec) in running
            ]
            if shares:
                print(f"  {'; '.join(shares)}", flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _alone_for(stopped: Stopped, seconds: float) -> bool:
    return stopped.side_by_side == 1 and stopped.seconds > 0.95 * seconds


def _keys_of_looks(plan: Plan, looks: int) -> set[str]:
    """Return the trials that the first so many looks of the requested attempts read."""
    specs, keys = by_key(plan.trials), set()
    for attempt in plan.attempts:
        if attempt.requested:
            sealed = attempt.sealed
            seeds = sealed.replicates[: max(looks, 1) * (len(sealed.replicates) // sealed.looks)]
            first = seeds if looks < sealed.looks else sealed.replicates
            keys |= {key for arm in attempt.arms.values() for key in arm if specs[key].replicate in first}
    return keys


if __name__ == "__main__":
    sys.exit(main())
