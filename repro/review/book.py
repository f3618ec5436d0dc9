"""Everything the pages show, in one frozen object, and the pure questions they ask of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.judge.validity import validity_today
from repro.schema.annotation import Annotation, SourceCheck
from repro.schema.calibration import Calibration
from repro.schema.claim import SCALES, Claim, Paper, Target
from repro.schema.planned import PlannedCost
from repro.schema.published import PublishedResult
from repro.schema.study import Study
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt, PartVerdict, Validity

if TYPE_CHECKING:
    from repro.review.facts.comparison import Comparison

State = Literal["match", "mismatch", "inconclusive", "blocked", "not_run"]
STATES: tuple[State, ...] = ("match", "mismatch", "inconclusive", "blocked", "not_run")
"""What a claim can amount to, in the order in which it is counted."""

_LARGEST_FIRST = ("full", "paper", "gpu", "cpu", "smoke")


def no_evidence(attempt_id: str) -> Bundle:
    """Refuse: a book without published results has no evidence to show.

    Raises:
        EvidenceError: always.
    """
    raise EvidenceError(f"No evidence of {attempt_id} is published.")


@dataclass(frozen=True)
class Book:
    """Claims as they stand in the catalogue, attempts as they stand in the ledger and among the published results, and
    what people added to them."""

    claims: Mapping[str, Claim]
    papers: Mapping[str, Paper]
    studies: Mapping[str, Study]
    attempts: tuple[Attempt, ...]
    trials: Callable[[str], Sequence[TrialRecord]]
    """Records of an attempt by its id; they are read only when a page shows them."""
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    """Error rates of protocols by the seal they were measured for."""
    annotations: Mapping[str, tuple[Annotation, ...]] = field(default_factory=dict)
    """What people added to an attempt, by its id, the oldest first."""
    stale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What has changed of that which an attempt's seal covers, by its id; current attempts are not here."""
    published: Mapping[str, PublishedResult] = field(default_factory=dict)
    """Published results by the attempt's id."""
    source_checks: Mapping[str, Mapping[str, SourceCheck]] = field(default_factory=dict)
    """Who compared a published value with the paper, by claim and part."""
    evidence: Callable[[str], Bundle] = no_evidence
    """The published evidence of an attempt by its id; read only when a page shows it."""
    envelope: Callable[[str], bytes | None] = lambda attempt_id: None
    """The signature that lies beside the published evidence of an attempt, as it is stored; None if there is none."""
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What could not be read, by the id of the attempt or the name of the thing that it belongs to."""
    distrusted: frozenset[str] = frozenset()
    """Attempts whose annotations cannot be read, so that nobody knows whether they still hold: none of them counts."""
    planned: Mapping[str, PlannedCost] = field(default_factory=dict)
    """What an attempt would take, by `claim@protocol@scale`, as far as that was worked out."""
    comparisons: Mapping[str, "Comparison"] = field(default_factory=dict)
    """Quantities that have a page of all their published values, by name."""
    tutorials: Mapping[str, str] = field(default_factory=dict)
    """Texts whose numbers the pages fill in, as Markdown, by name."""

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

    @cached_property
    def standings_by_claim(self) -> Mapping[str, tuple["Standing", ...]]:
        """What each protocol of a claim has come to at each scale, by claim; `standings` says in which order."""
        return {claim: _standings(self, attempts) for claim, attempts in self.attempts_by_claim.items()}

    @cached_property
    def amounts(self) -> Mapping[str, State]:
        """What the attempts at each claim amount to; `state_of` says how."""
        return {claim: _amounts_to(self, found) for claim, found in self.standings_by_claim.items()}


def validity(book: Book, attempt: Attempt) -> Validity:
    """Return the validity of an attempt today: what its records show, what people added, and what has changed since."""
    return validity_today(attempt, book.annotations.get(attempt.id, ()), attempt.id in book.stale)


def stands(book: Book, attempt: Attempt) -> bool:
    """Return whether an attempt counts: completed, judged, valid today, nothing overridden by hand; of somebody else's
    also whether its origin was proven."""
    return (
        attempt.execution == "completed"
        and attempt.verdict is not None
        and not attempt.exploratory
        and attempt.id not in book.distrusted
        and (not is_theirs(attempt) or origin_is_proven(attempt))
        and validity(book, attempt) == "current"
    )


def is_theirs(attempt: Attempt) -> bool:
    """Return whether an attempt was imported from somebody else's evidence."""
    return bool(attempt.provenance.get("origin"))


def origin_is_proven(attempt: Attempt) -> bool:
    """Return whether the evidence of an imported attempt was checked against a known digest or key."""
    origin = attempt.provenance.get("origin")
    return isinstance(origin, Mapping) and origin.get("checked_against") in ("digest", "key")


def source_of(book: Book, claim_id: str, name: str, target: Target) -> str:
    """Return how sure the published value of a part is: `checked` once somebody has compared it with the paper."""
    checked = name in book.source_checks.get(claim_id, {}) and target.source in ("unverified", "secondary")
    return "checked" if checked else target.source


def sources_of(book: Book, claim: Claim) -> Mapping[str, str]:
    """Return how sure the published value of every part is."""
    return {name: source_of(book, claim.id, name, part.target) for name, part in claim.parts.items()}


def problems_of(book: Book, claim_id: str) -> tuple[str, ...]:
    """Return what could not be read of a claim: all that belongs to it or to one of its attempts."""
    mine = (name for name in book.problems if name == claim_id or name.startswith(f"{claim_id}@"))
    return tuple(problem for name in mine for problem in book.problems[name])


def latest_first(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Return attempts by their start, the latest first."""
    return tuple(sorted(attempts, key=lambda a: (a.started, a.counter, a.id), reverse=True))


def attempts_of(book: Book, claim_id: str) -> tuple[Attempt, ...]:
    """Return every attempt at a claim, the latest first."""
    return book.attempts_by_claim.get(claim_id, ())


@dataclass(frozen=True)
class Standing:
    """What one protocol has come to at one scale, here or with somebody else."""

    protocol: str
    scale: str
    attempt: Attempt
    """The latest attempt that counts; where none counts, the latest one."""
    newer: Attempt | None
    """A later attempt that does not count (running, failed, exploratory, ...), if there is one."""
    disagreeing: tuple[Attempt, ...]
    """Earlier attempts that count and came out otherwise."""


def standings(book: Book, claim_id: str) -> tuple[Standing, ...]:
    """Return what each protocol of a claim has come to at each scale: what decided first, then ours before theirs, then by
    protocol, largest scale first."""
    return book.standings_by_claim.get(claim_id, ())


def _standings(book: Book, attempts: Sequence[Attempt]) -> tuple[Standing, ...]:
    groups: dict[tuple[str, str, bool], list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault((attempt.protocol, attempt.scale, is_theirs(attempt)), []).append(attempt)
    found = [_standing(book, protocol, scale, attempts) for (protocol, scale, _), attempts in groups.items()]

    def order(standing: Standing) -> tuple[bool, bool, str, int]:
        size = _LARGEST_FIRST.index(standing.scale) if standing.scale in SCALES else len(_LARGEST_FIRST)
        return not decided(book, standing.attempt), is_theirs(standing.attempt), standing.protocol, size

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

    Each protocol speaks by its largest scale that decided, as run here and as run by others. A claim is a mismatch if
    any of them says so, else a match if any says so, else inconclusive if anything that counts was run. Attempts that
    do not count (`stands`) are ignored.
    """
    return "blocked" if claim.blocked is not None else book.amounts.get(claim.id, "not_run")


def state_at(book: Book, claim: Claim, scale: str) -> State:
    """Return what a claim amounts to by what was run at one scale alone, as `state_of` does by all."""
    return _amounts_to(book, [standing for standing in standings(book, claim.id) if standing.scale == scale])


def _amounts_to(book: Book, standings: Sequence[Standing]) -> State:
    verdicts: dict[tuple[str, bool], str] = {}
    for standing in standings:
        voice = standing.protocol, is_theirs(standing.attempt)
        if stands(book, standing.attempt) and verdicts.get(voice) not in ("match", "mismatch"):
            verdicts[voice] = _outcome(standing.attempt)
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
    """Return attempts at claims that are not in the catalogue here, the latest first."""
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
