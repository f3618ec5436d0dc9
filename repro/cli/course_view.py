"""How far attempts are, for people and as JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from repro.judge.numbers import duration, significant
from repro.launch.course.survey import Course, Failure, Tally
from repro.ledger.fast import LatestVerdict
from repro.schema.plain_text import plain

SIGNS: Mapping[str, tuple[str, str]] = {
    "match": ("✓", "green"),
    "mismatch": ("✗", "red"),
    "inconclusive": ("?", "yellow"),
    "running": ("…", "cyan"),
    "failed": ("!", "bold red"),
    "stopped": ("–", "yellow"),
    "to judge": ("–", "yellow"),
    "elsewhere": ("○", ""),
    "planned": ("○", ""),
}
"""Sign and colour of each outcome and state; the colour only repeats the word."""

WORDS: Mapping[str, str] = {"elsewhere": "planned elsewhere", "stopped": "nothing runs", "to judge": "to be judged"}
FAILURES_SHOWN = 3


def course_json(course: Course, now: float, price: float | None, verdict: LatestVerdict | None) -> dict[str, Any]:
    """Return one attempt as `repro status --json` prints it."""
    return {
        "attempt": course.outline.attempt,
        **tally_json(course.tally, now, price),
        "verdict": verdict.outcome if verdict else None,
        "execution": verdict.execution if verdict else ("running" if course.tally.running else "planned"),
        "state": course.state.replace(" ", "_"),
        "elsewhere": course.outline.elsewhere,
        "created": course.outline.created,
        "again": course.again or None,
    }


def tally_json(tally: Tally, now: float, price: float | None) -> dict[str, Any]:
    """Return counts, times and costs of some trials."""
    left_gpu = None if tally.left_gpu_s is None else tally.left_gpu_s / 3600
    return {
        "done": tally.done,
        "trials": tally.trials,
        "running": len(tally.running),
        "failed": tally.failed,
        "waiting": tally.waiting,
        "spared": tally.spared,
        "diverged": tally.diverged,
        "stopped": tally.stopped,
        "damaged": tally.damaged,
        "since": _moment(tally.since),
        "last": _moment(tally.last),
        "seconds": tally.seconds,
        "wall_seconds": tally.wall_s,
        "gpu_hours": tally.gpu_seconds / 3600,
        "money": None if price is None else price * tally.gpu_seconds / 3600,
        "left": {
            "seconds": tally.left_s,
            "gpu_hours": left_gpu,
            "money": None if price is None or left_gpu is None else price * left_gpu,
            "unknown": tally.unknown,
            "ends": None if tally.ends_in_s is None else _moment(now + tally.ends_in_s),
        },
        "trials_a_minute": tally.a_minute,
        "running_trials": [
            {"key": each.key, "label": each.label, "done": each.done, "since": _moment(each.since)}
            for each in tally.running
        ],
        "failures": [
            {"key": each.key, "label": each.label, "times": each.times, "error": each.error} for each in tally.failures
        ],
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def status_view(
    found: Sequence[Course], whole: Tally, verdicts: Mapping[str, LatestVerdict], now: float, price: float | None
) -> Text:
    """Return the status of attempts, the oldest first, each with what is to be done about it, and the sum at the end."""
    rows = sorted(found, key=lambda course: course.outline.created)
    cells = [_cells(course, verdicts.get(course.outline.attempt)) for course in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    text = Text()
    for course, row in zip(rows, cells, strict=True):
        tally = course.tally
        text.append(plain(course.outline.attempt), style="bold")
        text.append(f"  since {clock(tally.since, now)}\n" if tally.since is not None else "\n", style="dim")
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            cell.pad_right(width - len(cell) if number < len(row) - 1 else 0)
            text.append("  ").append_text(cell)
        text.rstrip()
        text.append("\n")
        if course.state != "done" and _needs_gpu(tally):
            text.append(f"  {_gpu_line(tally, price)}\n")
        for line in trouble_lines(course):
            style = "red" if line.startswith("failed") else "cyan" if line.startswith("to go on") else ""
            text.append(f"  {line}\n", style=style)
    return text.append("\n" + "\n".join(sum_lines(whole, now, price)))


def _cells(course: Course, verdict: LatestVerdict | None) -> tuple[Text, ...]:
    tally = course.tally
    took = f"took {duration(tally.seconds)}" if tally.seconds else ""
    left = "" if course.state == "done" else left_text(tally)
    done = f"{tally.done} of {tally.trials} done"
    return state_text(course, verdict), Text(done), Text(took), Text(f"left {left}" if left else "")


def state_text(course: Course, verdict: LatestVerdict | None) -> Text:
    """Return what goes on, or what it came to, with how many trials run or failed."""
    tally, name = course.tally, course.state
    if name == "done":
        name_shown = (verdict.outcome or "done") if verdict else "done"
        sign, style = SIGNS.get(name_shown, ("✓", ""))
        text = Text(f"{sign} {name_shown}", style=style)
    elif name == "running":
        text = Text(f"… {len(tally.running)} running", style=SIGNS["running"][1])
    elif name == "failed":
        text = Text()
    else:
        sign, style = SIGNS[name]
        text = Text(f"{sign} {WORDS.get(name, name)}", style=style)
    if tally.failed:
        text.append(", " if text else "")
        text.append(f"! {tally.failed} failed", style=SIGNS["failed"][1])
    return text


def left_text(tally: Tally) -> str:
    """Return what is expected to be left in device time, marked where part of it is unknown."""
    if tally.left_s is None:
        return "unknown"
    return f"{'over ' if tally.unknown else ''}{duration(tally.left_s)}" if tally.left_s or tally.unknown else ""


def sum_lines(whole: Tally, now: float, price: float | None) -> list[str]:
    """Return the sum over all attempts in one to four lines."""
    lines = [counts(whole)]
    took = f"took {duration(whole.seconds)} of device time" if whole.seconds else ""
    if took and whole.wall_s is not None:
        took += f" since {clock(whole.since, now)}"
    left = ""
    if whole.waiting or whole.running or whole.failed:
        left = "what is left will take an unknown time"
        if whole.left_s is not None:
            left = f"left {'more than' if whole.unknown else 'about'} {duration(whole.left_s)}"
    if whole.ends_in_s is not None:
        left += f", ends about {clock(now + whole.ends_in_s, now)} (in {duration(whole.ends_in_s)})"
    lines += [line for line in (took, left) if line]
    if _needs_gpu(whole):
        lines.append(_gpu_line(whole, price))
    return lines


def _needs_gpu(tally: Tally) -> bool:
    return bool(tally.gpu_seconds or tally.left_gpu_s is None or tally.left_gpu_s)


def _gpu_line(whole: Tally, price: float | None) -> str:
    so_far = whole.gpu_seconds / 3600
    left = None if whole.left_gpu_s is None else whole.left_gpu_s / 3600
    over = "more than " if whole.unknown else ""
    line = f"{significant(so_far, 3)} GPU-hours so far"
    line += ", left unknown" if left is None else f", left {over}{significant(left, 3)}" if left else ""
    if price is not None:
        line += f"; {so_far * price:,.2f} at {price:g} a GPU-hour so far"
        line += f", left {over}{left * price:,.2f}" if left else ""
    return line


def counts(tally: Tally) -> str:
    """Return how many trials are in which state."""
    said = [f"{tally.done} of {tally.trials} trials done"]
    for count, word in (
        (len(tally.running), "running"),
        (tally.failed, "failed"),
        (tally.waiting, "waiting"),
        (tally.diverged, "diverged"),
    ):
        said += [f"{count} {word}"] if count else []
    return ", ".join(said)


def trouble_lines(course: Course) -> list[str]:
    """Return what failed, what was set aside and what stands still, with the command that goes on with it."""
    tally = course.tally
    lines = failure_lines(tally.failures)
    if tally.damaged:
        files = "1 record was" if tally.damaged == 1 else f"{tally.damaged} records were"
        lines.append(f"{files} damaged: set aside in damaged/, and run again")
    if tally.stopped:
        lines.append(f"{tally.stopped} ran out of time and wait for a longer call")
    if course.state == "to judge":
        lines.append("all its trials are done, and it was not judged")
    if course.again and (lines or course.state in ("stopped", "planned")):
        lines.append(f"to go on: {course.again}")
    return lines


def failure_lines(failures: Sequence[Failure], most: int = FAILURES_SHOWN) -> list[str]:
    """Return the trials that failed with their last reason, and how many more there are."""
    lines = []
    for each in failures[:most]:
        times = f" ({each.times} times)" if each.times > 1 else ""
        lines.append(f"failed: {plain(each.label) or each.key[:8]}{times}: {plain(each.error)}")
    more = len(failures) - most
    return lines + ([f"failed: {more} more"] if more > 0 else [])


def clock(at: float | None, now: float) -> str:
    """Return a moment by the local clock, with its day where that is not today."""
    if at is None:
        return ""
    moment, today = datetime.fromtimestamp(at), datetime.fromtimestamp(now)
    return moment.strftime("%H:%M" if moment.date() == today.date() else "%b %d %H:%M")
