"""Which two attempts are worth a page side by side."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from repro.review.book import Book, attempts_of
from repro.schema.claim import SCALES
from repro.schema.verdict import Attempt

Pair = tuple[Attempt, Attempt]


def pairs_of(book: Book, claim_id: str) -> tuple[Pair, ...]:
    """Return the pairs of attempts at a claim that have a page.

    Of one protocol and scale each with the next one, the earlier first; of the last ones of every protocol and scale those of one
    protocol, and of one scale; and the last attempts at each two scales whatever their protocol, the smaller scale first.
    """
    attempts = attempts_of(book, claim_id)
    if len(attempts) < 2:
        return ()
    return tuple({(one.id, other.id): (one, other) for one, other in _pairs(attempts)}.values())


def _pairs(latest_first: Sequence[Attempt]) -> Iterator[Pair]:
    groups: dict[tuple[str, str], list[Attempt]] = {}
    last_at: dict[str, Attempt] = {}
    for attempt in reversed(latest_first):
        groups.setdefault((attempt.protocol, attempt.scale), []).append(attempt)
        last_at[attempt.scale] = attempt
    for attempts in groups.values():
        yield from pairwise(attempts)
    last = sorted((attempts[-1] for attempts in groups.values()), key=_size)
    for one, other in combinations(last, 2):
        at_scales = one is last_at[one.scale] and other is last_at[other.scale]
        if one.protocol == other.protocol or one.scale == other.scale or at_scales:
            yield one, other


def _size(attempt: Attempt) -> tuple[int, str, str]:
    size = SCALES.index(attempt.scale) if attempt.scale in SCALES else len(SCALES)
    return size, attempt.scale, attempt.protocol


def pairs_with(book: Book, attempt: Attempt) -> Sequence[Pair]:
    """Return the pairs that an attempt is in; none at a claim that is not in the catalogue here."""
    if attempt.claim not in book.claims:
        return ()
    return [pair for pair in pairs_of(book, attempt.claim) if attempt.id in (pair[0].id, pair[1].id)]
