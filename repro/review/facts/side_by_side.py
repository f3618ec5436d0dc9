"""Our attempts at a claim and those of others, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from repro.judge.reading import status
from repro.review.book import Book, attempts_of, is_theirs, stands
from repro.review.facts.independent import correlated, share_data
from repro.schema.errors import ReproError
from repro.schema.trial import Machine
from repro.schema.verdict import Attempt

MOST_PARTS = 6
"""Parts that a row lists; of more it is counted how many match."""


@dataclass(frozen=True)
class Row:
    """One attempt in the comparison."""

    attempt: Attempt
    theirs: bool
    counts: bool
    machines: tuple[str, ...]
    """On what it ran, in a few words; none where the trials cannot be read."""
    said: str
    """Of one of theirs: whether it is evidence of its own beside ours."""


def side_by_side(book: Book, claim_id: str) -> tuple[Row, ...]:
    """Return attempts of ours and of others that were judged, protocol by protocol, ours first; nothing unless there are both.

    Of ours those are taken that ran a protocol and scale which others ran too, or where there are none, all.
    """
    judged = [attempt for attempt in attempts_of(book, claim_id) if attempt.verdict is not None]
    theirs = [attempt for attempt in judged if is_theirs(attempt)]
    ours = [attempt for attempt in judged if not is_theirs(attempt)]
    if not theirs or not ours:
        return ()
    places = {(attempt.protocol, attempt.scale) for attempt in theirs}
    beside = [attempt for attempt in ours if (attempt.protocol, attempt.scale) in places] or ours
    rows = [Row(a, False, stands(book, a), _machines(book, a), "") for a in beside]
    rows += [Row(a, True, stands(book, a), _machines(book, a), _said(book, a, ours)) for a in theirs]
    return tuple(sorted(rows, key=lambda row: (row.attempt.protocol, row.attempt.scale, row.theirs)))


def parts_matched(attempt: Attempt) -> str:
    """Return how many parts of an attempt match, in words."""
    parts = attempt.verdict.parts if attempt.verdict else {}
    return f"{sum(part.outcome == 'match' for part in parts.values())} of {len(parts)} parts match"


def agreement(rows: Sequence[Row]) -> str:
    """Return in words whether those of ours and of theirs that count came to the same."""
    ours = sorted({status(row.attempt) for row in rows if row.counts and not row.theirs})
    theirs = sorted({status(row.attempt) for row in rows if row.counts and row.theirs})
    if ours == theirs and len(ours) == 1:
        return f"Ours and theirs came to the same: {ours[0]}."
    if not ours or not theirs:
        return f"None of {'ours' if not ours else 'theirs'} counts, so there is nothing to compare with."
    return f"Ours came to {' and '.join(ours)}, theirs to {' and '.join(theirs)}."


def _said(book: Book, attempt: Attempt, ours: Sequence[Attempt]) -> str:
    if any(share_data(book, attempt, other) for other in ours):
        return "It read the same trials or data as ours: it shows that the result repeats elsewhere, and is no further evidence."
    if any(correlated(book, attempt, other) for other in ours):
        return "It shares seeds with ours, so the two count as one."
    return "It shares neither trials, seeds nor given data with ours."


def _machines(book: Book, attempt: Attempt) -> tuple[str, ...]:
    try:
        trials = book.trials(attempt.id)
    except ReproError:
        return ()
    return tuple(dict.fromkeys(_machine(trial.machine) for trial in trials))


def _machine(machine: Machine) -> str:
    torch = f", torch {machine.torch}" if machine.torch else ""
    return f"{machine.processor}, {machine.device}, {machine.system}, Python {machine.python}{torch}"
