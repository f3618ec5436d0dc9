"""What is known of a claim, read from the catalogue, the ledger and the published results."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from repro.cite.citation.citable import Evidence, Known, NotCitable, choose, published_address
from repro.judge.validity import validity_today
from repro.ledger.read import Known as Found
from repro.schema.claim import Claim, Paper
from repro.schema.errors import ConfigError

_TO_BE_READ = "0" * 64


def known_of(claim: str, claim_page: str, found: Sequence[Found], stale: Mapping[str, tuple[str, ...]]) -> Known:
    """Return everything that decides what may be said of a claim.

    Args:
        claim: its id.
        claim_page: address of its page from the root of the site.
        found: its attempts, as `repro.ledger.read.load_known` returns them.
        stale: why attempts are stale, by attempt; others are not.

    Raises:
        ReproError: if the claim, an attempt's entries or the checks of published values cannot be read.
    """
    from repro.catalog.source_checks import source_checks
    from repro.ledger.annotations import annotations

    entries = annotations(claim) if found else {}
    loaded, paper, in_catalogue = _claim(claim, found)
    return Known(
        claim=loaded,
        paper=paper,
        attempts=tuple(each.attempt for each in found),
        validity={
            each.attempt.id: validity_today(each.attempt, entries.get(each.attempt.id, ()), each.attempt.id in stale)
            for each in found
        },
        annotations=entries,
        evidence={
            each.attempt.id: Evidence(
                each.evidence, published_address(each.published, claim_page) if each.published else ""
            )
            for each in found
            if each.evidence is not None
        },
        checks=source_checks(loaded) if in_catalogue else {},
        stale=stale,
    )


def with_evidence(
    known: Known,
    found: Sequence[Found],
    *,
    attempt: str | None = None,
    protocol: str | None = None,
    scale: str | None = None,
    address: str | None = None,
) -> Known:
    """Return the same, with the evidence of the attempt that would be cited read from its files and its digest worked out.

    Args:
        known: of the claim.
        found: what it was made of.
        attempt: asked for, as are protocol and scale.
        protocol: see attempt.
        scale: see attempt.
        address: where the evidence lies, if somebody says so; then it need not be published.

    Raises:
        NotCitable: if nothing asked for may be cited, or the published files cannot be read.
    """
    from repro.cite.evidence.bundle import EvidenceError, read_bundle
    from repro.cite.evidence.content import evidence_of
    from repro.ledger.published import directory_of

    if address is not None:
        placed = {
            each.attempt.id: replace(known.evidence.get(each.attempt.id, Evidence(_TO_BE_READ)), address=address)
            for each in found
        }
        known = replace(known, evidence=placed)
    cited = choose(known, attempt=attempt, protocol=protocol, scale=scale).attempt
    place = next(each for each in found if each.attempt.id == cited.id)
    listed = known.evidence[cited.id]
    if place.published is not None:
        try:
            read = read_bundle(directory_of(place.published)).digest
        except EvidenceError as error:
            raise NotCitable(
                f"{cited.id} cannot be cited: its published evidence cannot be read.\n- {error}"
            ) from error
        listed = Evidence(read, listed.address, indexed=place.published.evidence)
    elif listed.digest == _TO_BE_READ:
        origin = cited.provenance.get("origin") or {}
        # Evidence of others is what they handed over; made again here, its figure may be another drawing.
        listed = Evidence(origin.get("evidence") or evidence_of(cited.id).digest, listed.address)
    return replace(known, evidence={**known.evidence, cited.id: listed})


def _claim(claim: str, found: Sequence[Found]) -> tuple[Claim, Paper, bool]:
    """Return claim and paper, and whether the catalogue still has them; else as they stand in published evidence."""
    from repro.catalog.load import load, load_claim
    from repro.ledger.content import CLAIM_FILE
    from repro.ledger.published import directory_of
    from repro.schema.documents import read_claim_file

    try:
        loaded = load_claim(claim)
        return loaded, load("paper", loaded.paper), True
    except ConfigError:
        for result in (each.published for each in found if each.published):
            file = directory_of(result) / CLAIM_FILE
            paper, kept, _ = read_claim_file(file.read_text(encoding="utf-8"), str(file))
            return kept, paper, False
        raise
