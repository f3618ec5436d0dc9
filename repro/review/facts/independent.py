"""Which attempts at a claim tell something of their own, and which repeat each other."""

from collections.abc import Callable, Sequence

from repro.review.book import Book, attempts_of, stands
from repro.schema.claim import Kind
from repro.schema.verdict import Attempt

_OF_GIVEN_DATA: tuple[Kind, ...] = ("reanalysis", "recomputation")


def decisive_attempts(book: Book, claim_id: str) -> tuple[Attempt, ...]:
    """Return the attempts at a claim that count and ran at a scale that may decide, the latest first.

    Their outcome plays no part: leaving out the undecided ones would bend whatever is made of the others.
    """
    return tuple(a for a in attempts_of(book, claim_id) if stands(book, a) and a.scale in a.sealed.decisive)


def groups(attempts: Sequence[Attempt], alike: Callable[[Attempt, Attempt], bool]) -> tuple[tuple[Attempt, ...], ...]:
    """Return the attempts in groups: two that are alike, or linked by others that are, share one; order is kept."""
    found: list[list[Attempt]] = []
    for attempt in attempts:
        joined = [group for group in found if any(alike(attempt, other) for other in group)]
        merged = [member for group in joined for member in group] + [attempt]
        found = [group for group in found if group not in joined] + [merged]
    ordered = [tuple(sorted(group, key=attempts.index)) for group in found]
    return tuple(sorted(ordered, key=lambda group: attempts.index(group[0])))


def share_data(book: Book, one: Attempt, other: Attempt) -> bool:
    """Return whether two attempts read the same numbers: common trials, the same given data, or nothing random at all."""
    if {key for keys in one.arms.values() for key in keys} & {key for keys in other.arms.values() for key in keys}:
        return True
    if one.sealed.study == other.sealed.study and (one.sealed.deterministic or other.sealed.deterministic):
        return True
    given = [
        set(book.studies[a.sealed.study].data)
        for a in (one, other)
        if a.sealed.kind in _OF_GIVEN_DATA and a.sealed.study in book.studies
    ]
    return len(given) == 2 and bool(given[0] & given[1])


def correlated(book: Book, one: Attempt, other: Attempt) -> bool:
    """Return whether two attempts may err together: they share data, or seeds of the same study."""
    same_seeds = bool(set(one.sealed.replicates) & set(other.sealed.replicates))
    return share_data(book, one, other) or (one.sealed.study == other.sealed.study and same_seeds)
