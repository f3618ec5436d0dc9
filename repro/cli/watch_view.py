"""What `repro watch` shows at one moment: a frame for a terminal, and a line for a pipe."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from repro.cli.course_view import clock, counts, failure_lines, left_text, state_text, sum_lines, trouble_lines
from repro.judge.numbers import duration, significant
from repro.launch.course.survey import Course, Tally, left_of
from repro.launch.records.glimpses import Glimpse, Look
from repro.ledger.fast import LatestVerdict
from repro.schema.plain_text import plain

BAR = 20
RUNNING_SHOWN, ENDED_SHOWN, ATTEMPTS_SHOWN = 8, 4, 6


@dataclass(frozen=True)
class Frame:
    """Everything that is shown of one moment."""

    look: Look
    found: Sequence[Course]
    whole: Tally
    verdicts: Mapping[str, LatestVerdict]
    price: float | None = None


def share(tally: Tally) -> float:
    """Return the share of the trials that is done, with the parts of those that run."""
    needed = tally.trials - tally.spared
    return (tally.done + sum(each.done for each in tally.running)) / needed if needed else 1.0


def bar(part: float, width: int, ascii_only: bool) -> str:
    """Return a bar of so many characters.

    >>> bar(0.5, 4, True)
    '##..'
    """
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    count = min(width, max(0, int(part * width + 1e-9)))
    return full * count + empty * (width - count)


def frame_text(frame: Frame, width: int, height: int, ascii_only: bool = False) -> Text:
    """Return the frame, cut to a terminal's width and about its height.

    Args:
        frame: what is shown.
        width: characters in a line.
        height: lines; the lists are shortened to fit.
        ascii_only: the terminal cannot show blocks.
    """
    room = max(3, height - 12)
    lists = (
        _running(frame, ascii_only, min(RUNNING_SHOWN, room // 2)),
        _ended(frame, min(ENDED_SHOWN, room // 4)),
        _attempts(frame, min(ATTEMPTS_SHOWN, room // 3)),
    )
    lines = [*_head(frame, width, ascii_only)]
    for part in lists:
        shown = list(part)
        lines += [Text(""), *shown] if shown else []
    text = Text("\n", no_wrap=True, overflow="ellipsis").join(_cut(line, width) for line in lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _head(frame: Frame, width: int, ascii_only: bool) -> Iterator[Text]:
    done = share(frame.whole)
    pace = frame.whole.a_minute
    said = f" {100 * done:3.0f} %" + (
        f"  {significant(pace, 3)} trials a minute" if pace and frame.whole.running else ""
    )
    yield Text.assemble((bar(done, min(40, width - 36), ascii_only), "cyan"), said)
    for number, line in enumerate(sum_lines(frame.whole, frame.look.at, frame.price)):
        yield Text(line, style="bold" if number == 0 else "")
    if not frame.whole.running and (frame.whole.waiting or frame.whole.failed):
        yield Text("nothing runs now", style="yellow")


def _running(frame: Frame, ascii_only: bool, most: int) -> Iterator[Text]:
    running = frame.whole.running
    for each in running[:most]:
        left = left_of(each, frame.look.at)
        label = plain(each.label) or each.key[:8]
        yield Text.assemble(
            "… ",
            (bar(each.done, BAR, ascii_only), "cyan"),
            f" {100 * each.done:3.0f} %  {label}"
            + (f"  {duration(left)} left" if left is not None else _for(each.since, frame)),
        )
    if len(running) > most:
        yield Text(f"… {len(running) - most} more running", style="dim")


def _for(since: float | None, frame: Frame) -> str:
    return "" if since is None else f"  for {duration(max(0.0, frame.look.at - since))}"


def _ended(frame: Frame, most: int) -> Iterator[Text]:
    keys = {key for course in frame.found for key in course.outline.trials}
    ended = [each for key in keys for each in frame.look.ended.get(key, ())]
    for each in sorted(ended, key=lambda each: each.ended, reverse=True)[:most]:
        yield Text(f"✓ {ended_line(each)}, at {clock(each.ended, frame.look.at)}", style="dim")


def ended_line(each: Glimpse) -> str:
    """Return what became of a trial, in one line."""
    return f"{plain(each.label) or each.key[:8]}: {each.status} in {duration(each.seconds)}"


def _attempts(frame: Frame, most: int) -> Iterator[Text]:
    going = [course for course in frame.found if course.state != "done"] or list(frame.found)
    going.sort(key=lambda course: (course.state != "running", not course.tally.failures, course.outline.attempt))
    for course in going[:most]:
        tally, state = course.tally, state_text(course, frame.verdicts.get(course.outline.attempt))
        yield Text(plain(course.outline.attempt), style="bold")
        left = left_text(tally) if course.state != "done" else ""
        rest = f", {tally.done} of {tally.trials} done" + (f", left {left}" if left else "")
        yield Text("  ").append_text(state).append(rest)
        for line in trouble_lines(course):
            yield Text(f"  {line}", style="red" if line.startswith("failed") else "")
    if len(going) > most:
        yield Text(f"and {len(going) - most} more: repro status", style="dim")


def pipe_lines(frame: Frame, before: Frame | None) -> Iterator[str]:
    """Yield what is new since the last line: counts when they change, and each failure once."""
    known = {(each.key, each.times) for each in before.whole.failures} if before else set()
    new = tuple(each for each in frame.whole.failures if (each.key, each.times) not in known)
    if before is None or counts(before.whole) != counts(frame.whole):
        left = frame.whole.left_s
        ends = frame.whole.ends_in_s
        said = f"; ends in about {duration(ends)}" if ends else f"; left about {duration(left)}" if left else ""
        yield f"{clock(frame.look.at, frame.look.at)} {counts(frame.whole)}{said}"
    yield from (f"  {line}" for line in failure_lines(new, most=len(new)))
