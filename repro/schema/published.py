"""A published result as the index of a results directory lists it."""

from dataclasses import dataclass

from repro.schema.claim import Kind
from repro.schema.verdict import Outcome, Reason

INDEX_VERSION = 1


@dataclass(frozen=True)
class PublishedResult:
    """One published attempt: what a listing needs, and where its evidence lies."""

    attempt: str
    claim: str
    paper: str
    protocol: str
    kind: Kind
    scale: str
    outcome: Outcome
    reason: Reason | None
    validity: str
    """`current` or `post_hoc`, as its records show; what has changed since is worked out when it is read."""
    exploratory: bool
    indicative: bool
    started: str
    compute_ratio: float | None
    commit: str | None
    evidence: str
    """sha256 of the evidence bundle that the directory's files make (64 hex digits)."""
    place: str
    """Directory of the files, relative to the results directory."""


@dataclass(frozen=True)
class ResultsIndex:
    """The file `index.json` of a results directory."""

    results: tuple[PublishedResult, ...]
    version: int = INDEX_VERSION
