"""Several independent attempts at one value, combined by random effects."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from repro.review.book import Book
from repro.review.facts.independent import decisive_attempts, share_data
from repro.schema.claim import Claim
from repro.schema.verdict import Attempt, PartVerdict

if TYPE_CHECKING:
    from repro.stats.meta import Combined


@dataclass(frozen=True)
class Single:
    """What one attempt measured, with its own 95 % interval, in the units of the value."""

    attempt: Attempt
    part: PartVerdict
    low: float
    high: float


@dataclass(frozen=True)
class Together:
    """Independent attempts at one part of a claim, and what they come to."""

    name: str
    singles: tuple[Single, ...]
    combined: "Combined"
    """In the units of the value, save for `se`, `tau` and `q`, which are of logs where `log` says so."""
    log: bool


def together(book: Book, claim: Claim) -> tuple[Together, ...]:
    """Return the combination of every part that two or more independent attempts measured with an error of their own.

    Combined are attempts that count at a scale that may decide, whatever came out; of those that read the same trials
    or the same data only the latest.
    """
    chosen = independent(book, claim.id)
    return tuple(
        _combine(name, singles)
        for name in claim.parts
        if len(singles := [single for attempt in chosen for single in _single(attempt, name)]) > 1
    )


def independent(book: Book, claim_id: str) -> tuple[Attempt, ...]:
    """Return the attempts that count and decide, the latest first, without those that repeat a later one.

    Conceptual replications are not among them: what they measured is another system's value.
    """
    chosen: list[Attempt] = []
    for attempt in _of_one_system(book, claim_id):
        if not any(share_data(book, attempt, other) for other in chosen):
            chosen.append(attempt)
    return tuple(chosen)


def left_out(book: Book, claim_id: str) -> Mapping[str, str]:
    """Return which attempt each of those that were passed over repeats, by their ids."""
    chosen = independent(book, claim_id)
    return {
        attempt.id: next(other.id for other in chosen if share_data(book, attempt, other))
        for attempt in _of_one_system(book, claim_id)
        if attempt not in chosen
    }


def _of_one_system(book: Book, claim_id: str) -> tuple[Attempt, ...]:
    return tuple(a for a in decisive_attempts(book, claim_id) if a.sealed.kind != "conceptual_replication")


def _single(attempt: Attempt, name: str) -> tuple[Single, ...]:
    """Return what an attempt measured of a part; nothing where it gives no value or no error."""
    part = attempt.verdict.parts.get(name) if attempt.verdict else None
    if part is None or part.estimate.value is None:
        return ()
    centre, se = _measured(part)
    if se is None or se <= 0 or not math.isfinite(centre + se):
        return ()
    half = _critical(part.estimate.dof) * se
    low, high = centre - half, centre + half
    return (Single(attempt, part, *((math.exp(low), math.exp(high)) if part.scale == "log" else (low, high))),)


def _measured(part: PartVerdict) -> tuple[float, float | None]:
    """Return value and standard error on the scale that decides."""
    value, se = part.estimate.value, part.estimate.se
    assert value is not None  # the caller asked
    if part.scale != "log":
        return value, se
    if value <= 0:
        return math.nan, None
    return math.log(value), part.estimate.log_se or (None if se is None else se / value)


def _combine(name: str, singles: list[Single]) -> Together:
    from repro.stats.meta import combine

    log = any(single.part.scale == "log" for single in singles)
    points = [_measured(single.part) for single in singles]
    found = combine([value for value, _ in points], [se for _, se in points if se is not None])
    if log:
        found = replace(
            found,
            value=_exp(found.value),
            low=_exp(found.low),
            high=_exp(found.high),
            prediction_low=None if found.prediction_low is None else _exp(found.prediction_low),
            prediction_high=None if found.prediction_high is None else _exp(found.prediction_high),
        )
    return Together(name, tuple(singles), found, log)


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


def _critical(dof: float | None) -> float:
    from scipy import stats

    return float(stats.norm.ppf(0.975) if dof is None else stats.t.ppf(0.975, dof))
