"""The history of a claim's verdicts: every attempt in the order in which they were made, and what changed from one to the next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from repro.judge.staleness import differences
from repro.review.book import Book, attempts_of, decided_parts, is_theirs
from repro.review.wording.labels import part_label
from repro.review.wording.words import short_text, word
from repro.schema.claim import Claim
from repro.schema.errors import ReproError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

MOST_PARTS = 6
"""Parts whose values are named; of more they are counted."""
MOST_LETTERS = 400
"""Of a sentence: an argument may be a long list."""


@dataclass(frozen=True)
class Step:
    """One attempt, and how it differs from the one that it follows."""

    attempt: Attempt
    before: Attempt | None
    """The latest earlier attempt of the same protocol at the same scale, else of the same protocol, else at the claim."""
    verdict: str
    """What became of the verdict, in words; empty for the first attempt."""
    values: tuple[str, ...]
    """What became of each part that moved."""
    sealed: tuple[str, ...]
    """What changed of that which the seals cover, in sentences."""
    made_with: tuple[str, ...]
    """What else changed: code, packages, machine."""


def history(book: Book, claim: Claim) -> tuple[Step, ...]:
    """Return every attempt at a claim with what changed, the latest first."""
    in_time = attempts_of(book, claim.id)[::-1]
    steps = [_step(book, claim, attempt, _before(attempt, in_time[:i])) for i, attempt in enumerate(in_time)]
    return tuple(steps[::-1])


def _before(attempt: Attempt, earlier: Sequence[Attempt]) -> Attempt | None:
    def kinship(other: Attempt) -> tuple[bool, bool, bool]:
        same = other.protocol == attempt.protocol
        return same and other.scale == attempt.scale, same, is_theirs(other) == is_theirs(attempt)

    # Of equals the last: `max` takes the first it meets.
    return max(reversed(earlier), key=kinship, default=None)


def _step(book: Book, claim: Claim, attempt: Attempt, before: Attempt | None) -> Step:
    if before is None:
        return Step(attempt, None, "", (), (), ())
    then, now = (_records(book, each) for each in (before, attempt))
    sealed = differences(before.sealed, attempt.sealed, then, now)
    return Step(
        attempt,
        before,
        _verdict(before, attempt),
        tuple(_values(claim, before, attempt)),
        tuple(map(_cut, sealed)),
        tuple(_made_with(before, attempt, list(then.values()), list(now.values()))),
    )


def _records(book: Book, attempt: Attempt) -> Mapping[str, TrialRecord]:
    """Return the records of an attempt by key; none where they cannot be read, which its own page says."""
    try:
        return {record.key: record for record in book.trials(attempt.id)}
    except ReproError:
        return {}


def _outcome(attempt: Attempt) -> str:
    return attempt.verdict.outcome if attempt.verdict else word(attempt.execution)


def _verdict(before: Attempt, attempt: Attempt) -> str:
    was, now = _outcome(before), _outcome(attempt)
    return f"{now}, as before" if was == now else f"{was} before, {now} now"


def _values(claim: Claim, before: Attempt, attempt: Attempt) -> Iterator[str]:
    """Say what became of the estimates: those that moved one by one if they are few, else counted."""
    was, now = decided_parts(claim, before), decided_parts(claim, attempt)
    moved = []
    for name in now:
        if name not in was:
            continue
        old, new = was[name], now[name]
        if (old.estimate.value, old.low, old.high, old.outcome) != (new.estimate.value, new.low, new.high, new.outcome):
            turned = "" if old.outcome == new.outcome else f" ({old.outcome} → {new.outcome})"
            texts = short_text(before.sealed.parts[name], old), short_text(attempt.sealed.parts[name], new)
            moved.append((f"{part_label(claim, name)}: {texts[0]} → {texts[1]}{turned}", bool(turned)))
    both = [name for name in now if name in was]
    if both and not moved:
        yield "The same values to the last digit."
    shown = sorted(moved, key=lambda each: not each[1])[:MOST_PARTS] if len(moved) > MOST_PARTS else moved
    yield from (text for text, _ in shown)
    if len(moved) > len(shown):
        yield f"{len(moved) - len(shown)} more of {len(both)} parts moved."


def _made_with(
    before: Attempt, attempt: Attempt, then: Sequence[TrialRecord], now: Sequence[TrialRecord]
) -> Iterator[str]:
    """Say what changed that no seal covers."""
    old, new = (each.provenance.get("commit") for each in (before, attempt))
    if old != new and old and new:
        yield f"Commit {str(old)[:8]} → {str(new)[:8]}."
    if attempt.provenance.get("dirty") and not before.provenance.get("dirty"):
        yield "The working tree had uncommitted changes."
    was, now_with = (each.provenance.get("packages") for each in (before, attempt))
    if isinstance(was, Mapping) and isinstance(now_with, Mapping):
        for name in sorted({*was, *now_with}, key=str):
            if was.get(name) != now_with.get(name):
                yield f"{name} {was.get(name, 'not installed')} → {now_with.get(name, 'not installed')}."
    machines = [list(dict.fromkeys(record.machine.processor for record in records)) for records in (then, now)]
    if all(machines) and machines[0] != machines[1]:
        yield f"Processor {', '.join(machines[0])} → {', '.join(machines[1])}."


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1].rstrip()}…"
