"""What a citation of a verified result says, as facts. The formats (`repro.cite.citation.formats`) only arrange them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repro.cite.citation.authors import short_authors
from repro.cite.citation.citable import Chosen, Known, choose
from repro.cite.citation.cited_part import CitedPart, cited_part
from repro.cite.citation.plain import capitalised, one_line
from repro.cite.citation.works import is_web_address
from repro.judge.numbers import share
from repro.judge.reading import reading
from repro.schema.annotation import Annotation, SourceCheck, settled
from repro.schema.claim import TERMS, Claim, Kind, Paper
from repro.schema.verdict import Attempt, Outcome, Validity

PROGRAM = "repro-tracker"
"""Stands as the author of a result where nobody says whose it is: who ran a trial is not recorded."""
SHOWN_CONTRARY = 3
"""Attempts that came out otherwise and are named; more are counted."""

_ENTRIES = {
    "confirmed": "Confirmed",
    "disputed": "Disputed",
    "invalidated": "Withdrawn",
    "author_reply": "Reply of an author",
}


@dataclass(frozen=True)
class Citation:
    """All that a citation names. Every text is on one line and without control characters."""

    key: str
    """Of the result, for reference managers."""
    paper: Paper
    authors: str
    """Of the paper, as a text names them."""
    claim: str
    statement: str
    locator: str
    symbol: str
    attempt: str
    protocol: str
    kind: Kind
    kind_terms: str
    """The kind with its terms of ACM (v1.1) and NASEM (2019)."""
    scale: str
    compute_ratio: float | None
    compute: str
    """The scale with the ratio of compute to the paper's."""
    outcome: Outcome
    verdict: str
    """The verdict as people read it."""
    indicative: bool
    parts: tuple[CitedPart, ...]
    sample: str
    """On how many independent units it rests."""
    controls: tuple[str, ...]
    seal: str
    version: str
    """Of repro-tracker, that it ran with; empty if unknown."""
    commit: str
    finished: str
    """ISO 8601 date; empty if unknown."""
    digest: str
    """sha256 of the evidence, 64 hex digits."""
    address: str
    by: str
    """Whose result it is."""
    annotations: tuple[str, ...]
    contrary: tuple[str, ...]
    """Attempts that came out otherwise, in words."""

    @property
    def year(self) -> int | None:
        """Year in which the result was obtained."""
        return int(self.finished[:4]) if self.finished else None

    @property
    def title(self) -> str:
        """Title of the result."""
        locator = f", {self.locator}" if self.locator else ""
        return (
            f"{capitalised(self.verdict)}: {self.authors} ({self.paper.year}), “{one_line(self.paper.title)}”{locator}"
        )

    @property
    def software(self) -> str:
        """Program, version and commit."""
        version = f"{PROGRAM} {self.version}" if self.version else f"{PROGRAM} of unknown version"
        return version + (f", commit {self.commit}" if self.commit else "")

    @property
    def web_address(self) -> str:
        """The address if it is one of the web; empty for a place in a repository."""
        return self.address if is_web_address(self.address) else ""

    @property
    def evidence(self) -> str:
        """The digest as it is written: `sha256:` and 64 hex digits."""
        return f"sha256:{self.digest}"


def cite_claim(
    known: Known, *, attempt: str | None = None, protocol: str | None = None, scale: str | None = None, by: str = ""
) -> Citation:
    """Return the citation of a claim: of its last decision at the largest scale, unless another is asked for.

    Args:
        known: everything that is known of the claim, read beforehand.
        attempt: id of the attempt to cite.
        protocol: cite an attempt of this protocol.
        scale: cite an attempt of this scale.
        by: whose result it is, where nobody else's is recorded.

    Raises:
        NotCitable: if nothing asked for may be cited, with what is missing, a line each.
        ReproError: if there is no such attempt or protocol.
    """
    return cite_chosen(known, choose(known, attempt=attempt, protocol=protocol, scale=scale), by=by)


def cite_chosen(known: Known, chosen: Chosen, *, by: str = "") -> Citation:
    """Return the citation of an attempt that was chosen (`repro.cite.citation.citable.choose`)."""
    cited = chosen.attempt
    evidence = known.evidence[cited.id]
    return cite(
        cited,
        known.claim,
        known.paper,
        evidence_digest=evidence.digest,
        address=evidence.address,
        annotations=known.annotations.get(cited.id, ()),
        checks=known.checks,
        contrary=[(each, known.validity_of(each)) for each in chosen.contrary],
        by=by,
    )


def cite(
    attempt: Attempt,
    claim: Claim,
    paper: Paper,
    *,
    evidence_digest: str,
    address: str,
    annotations: Sequence[Annotation] = (),
    checks: Mapping[str, SourceCheck] = {},
    contrary: Sequence[tuple[Attempt, Validity]] = (),
    by: str = "",
) -> Citation:
    """Return the citation of an attempt. Whether it may be cited is for `repro.cite.citation.citable.missing` to say.

    What was published is taken from the seal, as it was judged; statement, locator and symbol from the claim.

    Args:
        attempt: completed and judged.
        claim: that it is an attempt at.
        paper: of the claim.
        evidence_digest: sha256 of its evidence (64 hex digits).
        address: where the evidence can be had.
        annotations: entries on the attempt.
        checks: who compared the published value of a part with the paper.
        contrary: attempts that came out otherwise, with their validity today.
        by: whose result it is; of an imported attempt, its origin says so instead.

    Raises:
        ValueError: if the attempt was not judged, or the digest is none.
    """
    verdict, sealed = attempt.verdict, attempt.sealed
    if verdict is None:
        raise ValueError(f"{attempt.id} was not judged; there is nothing to cite")
    if not re.fullmatch(r"[0-9a-f]{64}", evidence_digest):
        raise ValueError(f"{evidence_digest!r:.80} is no sha256 digest")
    packages = attempt.provenance.get("packages")
    version = packages.get("repro-tracker") if isinstance(packages, Mapping) else None
    return Citation(
        key=citation_key(attempt.id),
        paper=paper,
        authors=short_authors(paper.authors),
        claim=one_line(claim.id),
        statement=one_line(claim.statement),
        locator=one_line(claim.locator),
        symbol=one_line(claim.quantity.symbol),
        attempt=one_line(attempt.id),
        protocol=one_line(attempt.protocol),
        kind=sealed.kind,
        kind_terms=_terms(sealed.kind),
        scale=attempt.scale,
        compute_ratio=attempt.compute_ratio,
        compute=_compute(attempt),
        outcome=verdict.outcome,
        verdict=reading(attempt),
        indicative=sealed.indicative,
        parts=tuple(
            cited_part(name, part, verdict.parts[name], checks.get(name))
            for name, part in sealed.parts.items()
            if name in verdict.parts
        ),
        sample=_sample(attempt),
        controls=tuple(map(one_line, sealed.controls)),
        seal=sealed.digest,
        version=one_line(str(version or "")),
        commit=one_line(str(attempt.provenance.get("commit") or "")),
        finished=_date(attempt.finished or attempt.started),
        digest=evidence_digest,
        address=one_line(address),
        by=_whose(attempt, by),
        annotations=_entries(annotations),
        contrary=_contrary(contrary),
    )


def citation_key(attempt_id: str) -> str:
    """Return the key of an attempt in a bibliography: its id with only letters, digits, underscores and points.

    >>> citation_key("chinchilla/isoflop_params_exponent@retrain@cpu-1a2b3c4d-1")
    'repro:chinchilla.isoflop_params_exponent.retrain.cpu.1a2b3c4d.1'
    """
    return "repro:" + re.sub(r"[^A-Za-z0-9_]+", ".", attempt_id).strip(".")


def _terms(kind: Kind) -> str:
    acm, nasem = TERMS[kind]
    # The badge terms are participles of success; a kind is named by the noun, which holds for a mismatch too.
    noun = acm.replace("reproduced (", "reproducibility, ").replace("replicated (", "replicability, ").rstrip(")")
    acm_term = noun if noun.startswith("outside") else f"ACM v1.1: {noun}"
    return f"{kind.replace('_', ' ')} ({acm_term}; NASEM 2019: {nasem})"


def _compute(attempt: Attempt) -> str:
    if attempt.compute_ratio is not None:
        return f"scale {attempt.scale}, {share(attempt.compute_ratio)} of the paper's compute"
    if attempt.scale == "full":
        return "scale full (it needs no compute to speak of)"
    return f"scale {attempt.scale}, ratio to the paper's compute unknown"


def _sample(attempt: Attempt) -> str:
    estimates = [judged.estimate for judged in attempt.verdict.parts.values()] if attempt.verdict else []
    drawn = [estimate for estimate in estimates if not estimate.deterministic]
    if not drawn:
        return "no random draw enters"
    sizes = sorted({estimate.n for estimate in drawn})
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    units = one_line(" or ".join(sorted({estimate.unit for estimate in drawn})))
    rest = f" for {len(drawn)} of {len(estimates)} values" if len(drawn) < len(estimates) else ""
    return f"n = {n}{rest} (independent unit: {units})"


def _whose(attempt: Attempt, by: str) -> str:
    imported = attempt.provenance.get("origin")
    if isinstance(imported, Mapping):
        return one_line(str(imported.get("signed_by") or "")) or "Others (unsigned evidence)"
    return one_line(by) or PROGRAM


def _date(moment: str) -> str:
    found = re.match(r"\d{4}-\d{2}-\d{2}(?=T|$)", moment)
    return found[0] if found else ""


def _entries(annotations: Sequence[Annotation]) -> tuple[str, ...]:
    answered = settled(annotations)
    return tuple(
        one_line(
            f"{_ENTRIES[note.kind]}{', settled since' if note.digest in answered else ''} "
            f"({note.who}, {_date(note.when) or note.when}): {note.why}"
        )
        for note in annotations
    )


def _contrary(attempts: Sequence[tuple[Attempt, Validity]]) -> tuple[str, ...]:
    named = tuple(
        one_line(f"{each.id}: {each.verdict.outcome if each.verdict else 'no verdict'}, {reading(each)}")
        + (f" ({validity.replace('_', ' ')})" if validity != "current" else "")
        for each, validity in attempts[:SHOWN_CONTRARY]
    )
    rest = len(attempts) - len(named)
    return (*named, f"and {rest} more") if rest > 0 else named
