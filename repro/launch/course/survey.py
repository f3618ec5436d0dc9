"""How far trials are, what they took and what is left: from sealed outlines and one look at the records. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from repro.launch.course.expected import Expected, expectation
from repro.launch.planning.outlines import Outline, PlannedTrial
from repro.launch.records.glimpses import Glimpse, Look, Running

LATELY = 50
"""Trials that ended last: by them it is judged how many run side by side, and how many end in a minute."""
LATELY_S = 600.0
"""How long before the last end counts as lately."""

State = Literal["done", "running", "failed", "to judge", "stopped", "elsewhere", "planned"]


@dataclass(frozen=True)
class Failure:
    """A trial that failed and has no finished record since."""

    key: str
    label: str
    times: int
    error: str
    """Of the last time."""


@dataclass(frozen=True)
class Tally:
    """How far some trials are. `done`, `running`, `failed`, `spared` and `waiting` add up to `trials`."""

    trials: int
    done: int
    diverged: int
    """Of those that are done."""
    running: tuple[Running, ...]
    """The furthest first."""
    failures: tuple[Failure, ...]
    spared: int
    """Not to be run any more: an earlier look decided."""
    waiting: int
    stopped: int
    """Of those that wait: stopped for want of time."""
    damaged: int
    """Files that were set aside, of whatever trial."""
    since: float | None
    """When the first of their runs began, Unix time."""
    last: float | None
    """When the last of their runs ended."""
    seconds: float
    """That devices were busy with them, failed runs included."""
    gpu_seconds: float
    """Of these, GPUs."""
    left_s: float | None
    """Expected device seconds of what is not done; None if nothing is known of any such trial."""
    left_gpu_s: float | None
    """Of these, GPUs; None if unknown, 0 if none needs one."""
    unknown: int
    """Trials not done of which no time is known: `left_s` is without them."""
    ends_in_s: float | None
    """Seconds by the clock until all are done; None where none runs or nothing is known."""
    a_minute: float | None
    """Trials that ended a minute lately; None before the second has."""

    @property
    def failed(self) -> int:
        """How many trials failed and are neither done nor running again."""
        return len(self.failures)

    @property
    def wall_s(self) -> float | None:
        """Seconds by the clock from the first start to the last end."""
        return None if self.since is None or self.last is None else max(0.0, self.last - self.since)


@dataclass(frozen=True)
class Course:
    """How far one attempt is."""

    outline: Outline
    state: State
    tally: Tally
    again: str
    """The command that goes on with it; empty where nothing is left or nobody knows."""


def survey(outlines: Iterable[Outline], look: Look, judged: Mapping[str, str]) -> tuple[list[Course], Tally]:
    """Return how far attempts are, each and all together.

    Args:
        outlines: the attempts.
        look: at their record directory.
        judged: `completed` or `failed`, by the attempts that the ledger has.
    """
    outlines = list(outlines)
    expected = expectation(look, missing(outlines, look))
    found = courses(outlines, look, judged, expected)
    return found, total(outlines, found, look, expected)


def courses(outlines: Sequence[Outline], look: Look, judged: Mapping[str, str], expected: Expected) -> list[Course]:
    """Return how far attempts are; arguments as for `survey`, and how long a trial is expected to take."""
    going = {outline.command for outline in outlines if not look.running.keys().isdisjoint(outline.trials)}
    found = [_course(outline, outlines, look, judged.get(outline.attempt), expected) for outline in outlines]
    # Whoever runs another attempt of the same command comes to this one, or comes back to what failed.
    return [replace(course, again="") if course.outline.command in going else course for course in found]


def missing(outlines: Iterable[Outline], look: Look) -> list[PlannedTrial]:
    """Return the trials without a finished record, each once."""
    trials = {key: trial for outline in outlines for key, trial in outline.trials.items() if key not in look.ended}
    return list(trials.values())


def _course(
    outline: Outline, outlines: Sequence[Outline], look: Look, judged: str | None, expected: Expected
) -> Course:
    decided = judged == "completed"
    tally = tally_of(outline.trials, look, expected, decided)
    state = _state(outline, tally, decided)
    place = outline.attempt.rpartition("@")[0], _scale(outline), outline.seeds
    older = any(
        _counter(other) < _counter(outline)
        for other in outlines
        if (other.attempt.rpartition("@")[0], _scale(other), other.seeds) == place
    )
    return Course(outline, state, tally, "" if state in ("done", "running") else outline.again(older))


def _scale(outline: Outline) -> str:
    return outline.attempt.rpartition("@")[2].rsplit("-", 2)[0]


def _counter(outline: Outline) -> int:
    return int(outline.attempt.rpartition("-")[2])


def _state(outline: Outline, tally: Tally, decided: bool) -> State:
    if tally.running:
        return "running"
    if decided and tally.done + tally.spared == tally.trials:
        return "done"
    if tally.failures:
        return "failed"
    if tally.done == tally.trials:
        return "to judge"
    if outline.elsewhere:
        return "elsewhere"
    return "stopped" if tally.since is not None else "planned"


def tally_of(trials: Mapping[str, PlannedTrial], look: Look, expected: Expected, decided: bool = False) -> Tally:
    """Count trials and add up their times.

    Args:
        trials: by key.
        look: at their records.
        expected: how long a trial will take.
        decided: an attempt that was judged needs none of those that are missing.
    """
    ended = [each for key in trials for each in look.ended.get(key, ())]
    failed = [each for key in trials for each in look.failed.get(key, ())]
    # A timing that runs again on this machine is running, although another machine has done it.
    running = sorted((look.running[key] for key in trials if key in look.running), key=lambda each: -each.done)
    busy = {each.key for each in running}
    done = {key for key in trials if key in look.ended} - busy
    failures = tuple(
        Failure(key, trial.label, len(look.failed[key]), look.failed[key][-1].error)
        for key, trial in trials.items()
        if key in look.failed and key not in done and key not in busy
    )
    rest = len(trials) - len(done) - len(busy) - len(failures)
    to_run = [] if decided else [trial for key, trial in trials.items() if key not in done]
    left, left_gpu, unknown = _left(to_run, look, expected)
    starts = [each.started for each in (*ended, *failed)] + [each.since for each in running if each.since is not None]
    latest = sorted(ended, key=lambda each: each.ended)[-LATELY:]
    return Tally(
        trials=len(trials),
        done=len(done),
        diverged=sum(any(each.status == "diverged" for each in look.ended[key]) for key in done),
        running=tuple(running),
        failures=failures,
        spared=rest if decided else 0,
        waiting=0 if decided else rest,
        stopped=sum(key in look.stopped and key not in done and key not in busy for key in trials),
        damaged=sum(look.damaged.get(key, 0) for key in trials),
        since=min(starts, default=None),
        last=max((each.ended for each in (*ended, *failed)), default=None),
        seconds=math.fsum(each.seconds for each in (*ended, *failed)),
        gpu_seconds=math.fsum(each.seconds for each in (*ended, *failed) if each.device == "cuda"),
        left_s=left,
        left_gpu_s=left_gpu,
        unknown=unknown,
        ends_in_s=_ends_in(running, left, unknown, latest, look.at),
        a_minute=_a_minute(latest, look.at if running else None),
    )


def _left(to_run: Sequence[PlannedTrial], look: Look, expected: Expected) -> tuple[float | None, float | None, int]:
    seconds, gpu, unknown, gpu_unknown = 0.0, 0.0, 0, 0
    for trial in to_run:
        running = look.running.get(trial.key)
        whole = left = expected(trial)
        if running is not None:
            # Of trials side by side each has but a share of the device, which its own pace does not show.
            left = left_of(running, look.at) if whole is None else whole * (1 - running.done)
        if left is None:
            unknown += 1
            gpu_unknown += trial.device == "cuda"
            continue
        seconds += left
        gpu += left if trial.device == "cuda" else 0.0
    known = unknown < len(to_run) or not to_run
    return (seconds if known else None), (gpu if gpu or not gpu_unknown else None), unknown


def left_of(running: Running, now: float) -> float | None:
    """Return the seconds that a running trial needs by its own pace; None before it is far enough to tell."""
    if running.since is None or running.done < 0.02:
        return None
    return max(0.0, now - running.since) * (1 - running.done) / running.done


def _side_by_side(latest: Sequence[Glimpse], running: int) -> float:
    """Return how many seconds of trials pass in a second by the clock, by those that ended last.

    Trials that were measured side by side on one device count as one, for each has but its share of the seconds. Where none
    has ended, every running trial counts.
    """
    if not latest:
        return float(max(running, 1))
    busy, end = 0.0, -math.inf
    for each in sorted(latest, key=lambda each: each.started):
        busy += max(0.0, each.ended - max(end, each.started))
        end = max(end, each.ended)
    return max(1.0, math.fsum(each.seconds for each in latest) / busy) if busy > 0 else 1.0


def _ends_in(
    running: Sequence[Running], left: float | None, unknown: int, latest: Sequence[Glimpse], now: float
) -> float | None:
    if not running or left is None or unknown:
        return None
    own = [seconds for each in running if (seconds := left_of(each, now)) is not None]
    return max(left / _side_by_side(latest, len(running)), *own, 0.0)


def _a_minute(latest: Sequence[Glimpse], now: float | None) -> float | None:
    """Return how many trials ended a minute in the ten minutes before the last one did, or until now while others run."""
    latest = [each for each in latest if latest[-1].ended - each.ended <= LATELY_S]
    if len(latest) < 2:
        return None
    first, last = latest[0].ended, latest[-1].ended
    wall = max(last, now or last) - first
    return 60 * (len(latest) - 1) / wall if wall > 0 else None


def total(outlines: Sequence[Outline], found: Sequence[Course], look: Look, expected: Expected) -> Tally:
    """Return how far all attempts are together; a trial that several of them read counts once."""
    trials: dict[str, PlannedTrial] = {}
    needed: set[str] = set()
    for outline, course in zip(outlines, found, strict=True):
        trials |= outline.trials
        if not course.tally.spared:
            needed |= set(outline.trials)
    spared = {key for key in trials if key not in needed and key not in look.ended}
    kept = {key: trial for key, trial in trials.items() if key not in spared}
    return tally_of(kept, look, expected)
