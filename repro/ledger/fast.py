"""The last verdict of every protocol, in the ledger and among published results, quickly enough for a listing.

Neither mlflow nor pandas is imported where the store allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from repro.ledger import names
from repro.ledger.published import name_with_digest, published_results
from repro.ledger.runs import find_runs


@dataclass(frozen=True)
class LatestVerdict:
    """What one protocol came to at one scale the last time it was tried."""

    claim: str
    protocol: str
    """Empty for a claim that was recorded as blocked."""
    scale: str
    outcome: str | None
    reason: str | None
    validity: str
    execution: str
    started: str
    attempt: str
    exploratory: bool = False
    published: bool = False
    """Whether it is read from the published results, not from the ledger."""
    counts: bool = True
    """False for somebody else's attempt whose origin nothing proves: no claim stands or falls with it."""

    @property
    def theirs(self) -> bool:
        """Whether somebody else ran it and it was imported here."""
        return "~" in self.attempt and not self.published


def latest_verdicts() -> list[LatestVerdict]:
    """Return the latest attempt of every claim, protocol and scale, ours and theirs apart, sorted by them.

    An exploratory attempt counts only where there is no other; an imported one whose origin is unproven never does. A local
    SQLite store of a known schema is read with `sqlite3` alone; any other store through MLflow's client, which takes seconds to
    import. Of published results only the index is read.

    Raises:
        StoreError: if the store is corrupt or does not answer.
    """
    latest: dict[tuple[str, str, str, bool], LatestVerdict] = {}
    ledger = _of_the_ledger()
    for found in [*ledger, *_of_the_published({each.attempt: each for each in ledger})]:
        what = (found.claim, found.protocol, found.scale, found.theirs)
        if found.counts and (what not in latest or _rank(found) > _rank(latest[what])):
            latest[what] = found
    return [latest[what] for what in sorted(latest)]


def verdicts_by_attempt() -> dict[str, LatestVerdict]:
    """Return every attempt in the ledger or published by its id, also those that newer ones replaced; cheap as a listing."""
    ledger = {each.attempt: each for each in _of_the_ledger() if each.protocol}
    return {**{each.attempt: each for each in _of_the_published(ledger)}, **ledger}


def known_names() -> list[str]:
    """Return the name of every attempt in the ledger or published, sorted, as cheaply as a listing; blocked claims are none."""
    ledger = {each.attempt: each for each in _of_the_ledger() if each.protocol}
    return sorted({*ledger, *(each.attempt for each in _of_the_published(ledger))})


_TAGS = (
    names.ATTEMPT, names.CLAIM, names.PROTOCOL, names.SCALE, names.VERDICT, names.REASON, names.VALIDITY, names.EXECUTION,
    names.STARTED, names.EXPLORATORY, names.ORIGIN_CHECKED,
)  # fmt: skip


def _of_the_ledger() -> list[LatestVerdict]:
    """Return the attempts of the ledger; without imported ones that are published here: they are one attempt."""
    published = {name_with_digest(result.attempt, result.evidence) for result in published_results()}
    return [
        LatestVerdict(
            claim=row.tags.get(names.CLAIM, ""),
            protocol=row.tags.get(names.PROTOCOL, ""),
            scale=row.tags.get(names.SCALE, ""),
            outcome=row.tags.get(names.VERDICT) or None,
            reason=row.tags.get(names.REASON) or None,
            validity=row.tags.get(names.VALIDITY, ""),
            execution=row.tags.get(names.EXECUTION, ""),
            started=row.tags.get(names.STARTED, ""),
            attempt=row.tags[names.ATTEMPT],
            exploratory=row.tags.get(names.EXPLORATORY) == "true",
            counts=row.tags.get(names.ORIGIN_CHECKED) != "nothing",
        )
        for row in find_runs(names.PAPER_PREFIX, names.ATTEMPT, only=_TAGS)
        if row.tags[names.ATTEMPT] not in published
    ]


def _of_the_published(ledger: Mapping[str, LatestVerdict]) -> list[LatestVerdict]:
    """Return the published results, under the names that `repro.ledger.read` gives them; without those that the ledger has.

    What the index says is compared, not the records: an attempt of ours that started at the same moment with the same
    outcome says the same in a list.
    """
    found: dict[str, LatestVerdict] = {}
    for result in published_results():
        name, ours = result.attempt, ledger.get(result.attempt)
        if ours is not None and (ours.started, ours.outcome) == (result.started, result.outcome):
            continue
        if ours is not None or name in found:
            name = name_with_digest(name, result.evidence)
        found[name] = LatestVerdict(
            claim=result.claim,
            protocol=result.protocol,
            scale=result.scale,
            outcome=result.outcome,
            reason=result.reason,
            validity=result.validity,
            execution="completed",
            started=result.started,
            attempt=name,
            exploratory=result.exploratory,
            published=True,
        )
    return list(found.values())


def _rank(verdict: LatestVerdict) -> tuple[bool, str, int]:
    counter = verdict.attempt.partition("~")[0].rpartition("-")[2]
    return not verdict.exploratory, verdict.started, int(counter) if counter.isdigit() else 0
