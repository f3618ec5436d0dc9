"""Everything the pages show, in one frozen object, and the pure questions they ask of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from repro.schema.calibration import Calibration
from repro.schema.claim import SCALES, Claim, Paper
from repro.schema.study import Study
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt, PartVerdict, Validity

State = Literal["match", "mismatch", "inconclusive", "blocked", "not_run"]
STATES: tuple[State, ...] = ("match", "mismatch", "inconclusive", "blocked", "not_run")
"""What a claim can amount to, in the order in which it is counted."""

_LARGEST_FIRST = ("full", "paper", "gpu", "cpu", "smoke")


@dataclass(frozen=True)
class Book:
    """Claims as they stand in the catalogue, and attempts as they stand in the ledger."""

    claims: Mapping[str, Claim]
    papers: Mapping[str, Paper]
    studies: Mapping[str, Study]
    attempts: tuple[Attempt, ...]
    trials: Callable[[str], Sequence[TrialRecord]]
    """Records of an attempt by its id; they are read only when a page shows them."""
    current_seals: Mapping[str, str]
    """The seal of every attempt as it would be made now, by `claim@protocol@scale-number`."""
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    """Error rates of protocols by the seal they were measured for."""

    def attempt(self, attempt_id: str) -> Attempt | None:
        """Return the attempt with this id, or None."""
        return self._by_id.get(attempt_id)

    @cached_property
    def _by_id(self) -> Mapping[str, Attempt]:
        return {attempt.id: attempt for attempt in self.attempts}

    @cached_property
    def attempts_by_claim(self) -> Mapping[str, tuple[Attempt, ...]]:
        """Every attempt by its claim, the latest first."""
        groups: dict[str, list[Attempt]] = {}
        for attempt in self.attempts:
            groups.setdefault(attempt.claim, []).append(attempt)
        return {claim: latest_first(attempts) for claim, attempts in groups.items()}


def validity(book: Book, attempt: Attempt) -> Validity:
    """Return the validity of an attempt today: `stale` if its protocol would be sealed differently now."""
    now = book.current_seals.get(f"{attempt.claim}@{attempt.protocol}@{attempt.scale}-{attempt.counter}")
    if attempt.validity == "current" and not attempt.exploratory and now not in (None, attempt.sealed.digest):
        return "stale"
    return attempt.validity


def stands(book: Book, attempt: Attempt) -> bool:
    """Return whether an attempt counts: completed, judged, valid today, nothing overridden by hand."""
    return (
        attempt.execution == "completed"
        and attempt.verdict is not None
        and not attempt.exploratory
        and validity(book, attempt) == "current"
    )


def latest_first(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Return attempts by their start, the latest first."""
    return tuple(sorted(attempts, key=lambda a: (a.started, a.counter, a.id), reverse=True))


def attempts_of(book: Book, claim_id: str) -> tuple[Attempt, ...]:
    """Return every attempt at a claim, the latest first."""
    return book.attempts_by_claim.get(claim_id, ())


@dataclass(frozen=True)
class Standing:
    """What one protocol has come to at one scale."""

    protocol: str
    scale: str
    attempt: Attempt
    """The latest attempt that counts; where none counts, the latest one."""
    newer: Attempt | None
    """A later attempt that does not count (running, failed, exploratory, ...), if there is one."""
    disagreeing: tuple[Attempt, ...]
    """Earlier attempts that count and came out otherwise."""


def standings(book: Book, claim_id: str) -> tuple[Standing, ...]:
    """Return what each protocol of a claim has come to at each scale: what decided first, then by protocol, largest scale first."""
    groups: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts_of(book, claim_id):
        groups.setdefault((attempt.protocol, attempt.scale), []).append(attempt)
    found = [_standing(book, protocol, scale, attempts) for (protocol, scale), attempts in groups.items()]

    def order(standing: Standing) -> tuple[bool, str, int]:
        size = _LARGEST_FIRST.index(standing.scale) if standing.scale in SCALES else len(_LARGEST_FIRST)
        return not decided(book, standing.attempt), standing.protocol, size

    return tuple(sorted(found, key=order))


def decided_first(book: Book, attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Return attempts with those that count and decided before the others, else in the order they had."""
    return tuple(sorted(attempts, key=lambda attempt: not decided(book, attempt)))


def decided(book: Book, attempt: Attempt) -> bool:
    """Return whether an attempt counts and came to a match or a mismatch."""
    return stands(book, attempt) and _outcome(attempt) in ("match", "mismatch")


def _standing(book: Book, protocol: str, scale: str, attempts: list[Attempt]) -> Standing:
    counting = [attempt for attempt in attempts if stands(book, attempt)]
    shown = counting[0] if counting else attempts[0]
    disagreeing = tuple(a for a in counting[1:] if _outcome(a) != _outcome(shown))
    return Standing(protocol, scale, shown, attempts[0] if attempts[0] is not shown else None, disagreeing)


def _outcome(attempt: Attempt) -> str:
    return attempt.verdict.outcome if attempt.verdict else "none"


def state_of(book: Book, claim: Claim) -> State:
    """Return what a claim amounts to.

    Each protocol speaks by its largest scale that decided. A claim is a mismatch if any protocol says so, else a
    match if any says so, else inconclusive if anything that counts was run. Attempts that do not count
    (`stands`) are ignored.
    """
    if claim.blocked is not None:
        return "blocked"
    verdicts: dict[str, str] = {}
    for standing in standings(book, claim.id):
        outcome = _outcome(standing.attempt)
        if stands(book, standing.attempt) and verdicts.get(standing.protocol) not in ("match", "mismatch"):
            verdicts[standing.protocol] = outcome
    outcomes: tuple[State, ...] = ("mismatch", "match", "inconclusive")
    return next((outcome for outcome in outcomes if outcome in verdicts.values()), "not_run")


def tally(book: Book) -> Mapping[State, int]:
    """Return how many claims there are of each state; every state is a key."""
    states = [state_of(book, claim) for claim in book.claims.values()]
    return {state: states.count(state) for state in STATES}


def uncounted(book: Book) -> int:
    """Return how many claims count as not run although attempts at them exist."""
    return sum(
        state_of(book, claim) == "not_run" and bool(attempts_of(book, claim.id)) for claim in book.claims.values()
    )


def indicative(book: Book) -> int:
    """Return how many claims are decided by nothing but attempts that were sealed as indicative."""
    return sum(_only_indicative(book, claim) for claim in book.claims.values())


def _only_indicative(book: Book, claim: Claim) -> bool:
    state = state_of(book, claim)
    deciding = [
        s.attempt for s in standings(book, claim.id) if stands(book, s.attempt) and _outcome(s.attempt) == state
    ]
    return state in ("match", "mismatch") and all(attempt.sealed.indicative for attempt in deciding)


def by_paper(book: Book) -> tuple[tuple[Paper, tuple[Claim, ...]], ...]:
    """Return every paper that has claims with its claims, both in order of their ids."""
    groups: dict[str, list[Claim]] = {}
    for claim_id in sorted(book.claims):
        groups.setdefault(book.claims[claim_id].paper, []).append(book.claims[claim_id])
    return tuple((paper_of(book, name), tuple(groups[name])) for name in sorted(groups))


def paper_of(book: Book, name: str) -> Paper:
    """Return a paper; one without bibliography is shown under its id."""
    return book.papers.get(name) or Paper(id=name, title=name, authors=(), year=0)


def orphans(book: Book) -> tuple[Attempt, ...]:
    """Return attempts at claims that are no longer in the catalogue, the latest first."""
    return latest_first([attempt for attempt in book.attempts if attempt.claim not in book.claims])


def decided_parts(claim: Claim | None, attempt: Attempt) -> Mapping[str, PartVerdict]:
    """Return the verdicts on the parts of an attempt in the order in which the claim names them; none if unjudged."""
    if attempt.verdict is None:
        return {}
    decided = attempt.verdict.parts
    names = [name for name in (claim.parts if claim else ()) if name in decided]
    return {name: decided[name] for name in dict.fromkeys([*names, *decided])}


def arm_of(attempt: Attempt, key: str) -> str:
    """Return the arms of an attempt that read the trial `key`, in words."""
    return ", ".join(arm for arm, keys in attempt.arms.items() if key in keys)
