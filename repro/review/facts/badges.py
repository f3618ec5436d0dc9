"""Badges of claims and papers as the book has them."""

from repro.cite.results.badge import Badge, claim_badge, paper_badge
from repro.review.book import STATES, Book, attempts_of, standings, stands, state_of, validity
from repro.schema.claim import Claim
from repro.schema.verdict import Attempt

_WHOLE = ("paper", "full")


def claim_badge_of(book: Book, claim: Claim) -> Badge:
    """Return the badge of a claim: by the attempt that decides, or where none counts by the latest that was judged."""
    attempt = deciding(book, claim) or next((a for a in attempts_of(book, claim.id) if a.verdict is not None), None)
    today = validity(book, attempt) if attempt else "current"
    return claim_badge(state_of(book, claim), attempt, today)


def paper_badge_of(book: Book, paper: str) -> Badge:
    """Return the badge of a paper: how many of its claims came to what."""
    claims = [claim for claim in book.claims.values() if claim.paper == paper]
    states = [state_of(book, claim) for claim in claims]
    reduced = sum(
        state == "match" and all(attempt.scale not in _WHOLE for attempt in _of_state(book, claim, state))
        for claim, state in zip(claims, states, strict=True)
    )
    return paper_badge({state: states.count(state) for state in STATES}, reduced)


def deciding(book: Book, claim: Claim) -> Attempt | None:
    """Return the attempt by which a claim is what it is; None where nothing that counts was run."""
    return next(iter(_of_state(book, claim, state_of(book, claim))), None)


def _of_state(book: Book, claim: Claim, state: str) -> tuple[Attempt, ...]:
    return tuple(
        standing.attempt
        for standing in standings(book, claim.id)
        if stands(book, standing.attempt) and standing.attempt.verdict and standing.attempt.verdict.outcome == state
    )
