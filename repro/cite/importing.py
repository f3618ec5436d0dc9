"""Somebody else's evidence, taken into the ledger as theirs: checked first, and never mixed with what was run here.

Their attempt stands under `<id>~<first 8 digits of the evidence digest>`, with their records as runs of their own. Nothing of it is
written to the records of this directory, so no trial of theirs counts as run here. Their picture is not shown: it is drawn again.
Importing the same bundle again changes nothing, but that proof of its origin, once given, is kept.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from repro.cite.evidence.bundle import Bundle, EvidenceError, read_bundle
from repro.cite.evidence.dossier import Dossier, counting, read_dossier
from repro.cite.evidence.plain_markdown import plain
from repro.cite.verification.findings import Report
from repro.cite.verification.origin import check_origin
from repro.cite.verification.verify import verify
from repro.judge.reading import printed_text, rule_text
from repro.schema.canonical import canonical_json
from repro.schema.claim import Claim, Paper
from repro.schema.errors import ReproError
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt, Sealed

Envelope = Mapping[str, Any] | bytes
Standing = Literal["new", "proven", "known", "own", "published"]
Draw = Callable[[Claim, Attempt], str]
"""Draws the figure of an attempt, as SVG."""

_PATH = re.compile(r"(?![./-])[A-Za-z0-9_.+/-]{1,200}")
_STEP = re.compile(r"(?![.-])[A-Za-z0-9_.+-]{1,200}")
_KEY = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Imported:
    """An attempt of somebody else's, and what came of taking it in."""

    attempt: Attempt
    """As it stands in the ledger; ours, where it is our own."""
    standing: Standing
    """`proven`: it was here, and its origin is proven now. `known`: it was here. `own`: it was run here. `published`: it is among the
    published results that are read here. Nothing is written for the last three, but what a crash had cut short."""
    evidence: str
    """sha256 of the bundle."""
    report: Report
    departures: tuple[str, ...]
    """Where its seal decides otherwise than the claim does here."""
    claim_known: bool = True
    """Whether this installation has the claim."""

    @property
    def counts(self) -> bool:
        """Whether it counts for the state of its claim: its origin is proven, or it is no stranger's."""
        origin = self.attempt.provenance.get("origin")
        return not isinstance(origin, Mapping) or origin.get("checked_against") is not None


def import_bundle(
    place: Path,
    *,
    digest: str | None = None,
    public_key: bytes | Path | None = None,
    envelope: Envelope | None = None,
    figure: Draw | None = None,
) -> Imported:
    """Check evidence and take it into the ledger as somebody else's.

    Args:
        place: a zip, or a directory of its files.
        digest: sha256 that the reader knows from elsewhere, such as a citation.
        public_key: of the producer, in PEM or its file, that the reader has from elsewhere.
        envelope: a signature that lies beside the bundle; not trusted.
        figure: draws the picture that the pages show.

    Raises:
        EvidenceError: if it is no bundle, anything in it does not hold or could not be checked, or it names things in a way that the
            ledger could mistake.
        StoreError: if the ledger cannot be read or written.
    """
    bundle = read_bundle(place)
    report = verify(bundle, digest=digest, public_key=public_key, envelope=envelope)
    if not report.ok:
        wrong = [finding.sentence for finding in report.findings if finding.status in ("fails", "unknown")]
        more = f" (and {len(wrong) - 3} more: repro verify {place})" if len(wrong) > 3 else ""
        raise EvidenceError(
            f"{place} is not taken into the ledger. {report.conclusion} {' '.join(wrong[:3])}{more} Ask whoever made it for "
            f"their evidence as they wrote it."
        )
    dossier = read_dossier(bundle)
    _require_importable(dossier, place)
    claim = _claim_here(dossier.attempt.claim)
    attempt, standing = _here(dossier, bundle.digest) or _take_in(
        dossier, _origin(bundle, digest, public_key, envelope), figure
    )
    departed = departures(dossier.attempt.sealed, claim)
    return Imported(attempt, standing, bundle.digest, report, departed, claim_known=claim is not None)


def theirs(attempt: Attempt, origin: Mapping[str, Any]) -> Attempt:
    """Return an attempt as it stands in the ledger of others than those who made it."""
    provenance = {**attempt.provenance, "origin": dict(origin)}
    return replace(attempt, id=f"{attempt.id}~{origin['evidence'][:8]}", provenance=provenance)


def departures(sealed: Sealed, claim: Claim | None) -> tuple[str, ...]:
    """Say where a seal decides otherwise than a claim of today does; they are judged by their seal all the same.

    Args:
        sealed: by others, or earlier.
        claim: as it stands here; None if it is unknown here.
    """
    if claim is None:
        return (
            f"The claim {sealed.claim} is unknown to this installation: it stands here as their evidence gives it.",
        )
    found = [_of_part(name, sealed, claim) for name in dict.fromkeys((*sealed.parts, *claim.parts))]
    protocol = claim.protocols.get(sealed.protocol)
    if protocol is None:
        found.append(f"The claim has no protocol '{sealed.protocol}' here.")
    else:
        estimator = (sealed.estimator, dict(sealed.arguments))
        pairs = {
            "kind": (sealed.kind, protocol.kind),
            "estimator": (estimator, (protocol.estimator.target, dict(protocol.estimator.arguments))),
            "decisive scales": (sealed.decisive, protocol.decisive),
            "exclusions": (sealed.exclusions, protocol.exclusions),
            "controls": (
                {name: control.expect for name, control in sealed.controls.items()},
                {name: control.expect for name, control in protocol.controls.items()},
            ),
        }
        found += [f"The {name} of the protocol {_theirs(*pair)}." for name, pair in pairs.items() if _differ(*pair)]
    return tuple(filter(None, found))


def _of_part(name: str, sealed: Sealed, claim: Claim) -> str:
    if name not in claim.parts or name not in sealed.parts:
        who = "They judged the part" if name in sealed.parts else "Here the claim has the part"
        return f"{who} '{name}', which {'the claim lacks here' if name in sealed.parts else 'they did not judge'}."
    old, new = sealed.parts[name], claim.parts[name]
    if old.target.printed != new.target.printed:
        return f"The target of '{name}' is {printed_text(old.target)} in theirs and {printed_text(new.target)} here."
    if _differ(old.rule.kind, new.rule.kind) or _differ(old.rule.margin, new.rule.margin):
        return f"A match of '{name}' is {rule_text(old)} in theirs and {rule_text(new)} here."
    return f"The target or rule of '{name}' is described otherwise in theirs." if _differ(old, new) else ""


def _differ(one: Any, other: Any) -> bool:
    return canonical_json(to_json(one)) != canonical_json(to_json(other))


def _theirs(one: Any, other: Any) -> str:
    return f"is {canonical_json(to_json(one)):.200} in theirs and {canonical_json(to_json(other)):.200} here"


def _require_importable(dossier: Dossier, place: Path) -> None:
    """Refuse what is itself an import, and names that a ledger or a page could take for something else."""
    attempt, claim, paper = dossier.attempt, dossier.claim, dossier.paper
    if "~" in attempt.id or "origin" in attempt.provenance:
        raise EvidenceError(
            f"{place} was made from an attempt that its maker had imported. Ask for the evidence of those who ran it."
        )
    sealed = attempt.sealed
    paths = (attempt.claim, sealed.study, *(record.study for record in dossier.records))
    wrong = [name for name in paths if not _PATH.fullmatch(name) or ".." in name or "//" in name]
    wrong += [name for name in (paper.id, attempt.protocol, attempt.scale) if not _STEP.fullmatch(name)]
    wrong += [record.key for record in dossier.records if not _KEY.fullmatch(record.key)]
    expected = f"{attempt.claim}@{attempt.protocol}@{attempt.scale}-{sealed.digest[:8]}-{attempt.counter}"
    if attempt.id != expected or (sealed.claim, sealed.protocol, sealed.scale) != (
        attempt.claim,
        attempt.protocol,
        attempt.scale,
    ):
        wrong.append(attempt.id)
    if (claim.id, claim.paper) != (attempt.claim, paper.id):
        wrong.append(claim.id)
    if wrong:
        raise EvidenceError(
            f"{place} names something {wrong[0]!r:.120}, which no attempt, claim, study or trial is called. It is refused."
        )


def _claim_here(claim: str) -> Claim | None:
    from repro.catalog.load import config_files, load_claim

    try:
        return load_claim(claim) if claim in config_files("claim") else None
    except ReproError:
        return None  # a claim here that cannot be read hides nobody's result


def _paper_here(paper: Paper) -> Paper | None:
    from repro.catalog.load import config_files, load

    try:
        found: Paper | None = load("paper", paper.id) if paper.id in config_files("paper") else None
    except ReproError:
        return None
    return found


def _here(dossier: Dossier, digest: str) -> tuple[Attempt, Standing] | None:
    """Return the attempt if it was run here, or is read here from published results."""
    from repro.ledger.published import load_published_attempt, published_results, same_attempt

    ours = _in_ledger(dossier.attempt.id)
    if ours is not None and same_attempt(ours[0], dossier.attempt):
        records = {record.digest for record in ours[1] if record.status != "failed"}
        if records == {record.digest for record in counting(dossier.records).values()}:
            return ours[0], "own"
    for result in published_results():
        if result.evidence == digest:
            return load_published_attempt(result), "published"
    return None


def _in_ledger(attempt_id: str) -> tuple[Attempt, Sequence[TrialRecord]] | None:
    from repro.ledger import names
    from repro.ledger.content import ATTEMPT_FILE
    from repro.ledger.runs import find_runs, linked_trials, read_artifact
    from repro.schema.documents import read_attempt

    for run in find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt_id]):
        if run.tags.get(names.SEAL):
            where = f"{ATTEMPT_FILE} of attempt {attempt_id} (run {run.run_id})"
            return read_attempt(read_artifact(run, ATTEMPT_FILE), where), [t.record for t in linked_trials(run)]
    return None


def _origin(
    bundle: Bundle, digest: str | None, public_key: bytes | Path | None, envelope: Envelope | None
) -> dict[str, Any]:
    """Return what is known of where a bundle comes from. A key says more than a digest: it says who."""
    vouched = check_origin(bundle, digest, public_key, envelope).vouched
    signed_by = None
    if "key" in vouched and envelope is not None:
        from repro.cite.signing.attest import check

        signed_by = check(envelope, bundle, public_key).who
    by = "key" if "key" in vouched else "digest" if "digest" in vouched else None
    return {"evidence": bundle.digest, "signed_by": signed_by, "checked_against": by}


def _take_in(dossier: Dossier, origin: Mapping[str, Any], figure: Draw | None) -> tuple[Attempt, Standing]:
    """Write somebody else's attempt to the ledger; return it as it stands there, and whether it was there."""
    from repro.ledger.content import (
        CLAIM_FILE,
        PROVENANCE_FILE,
        SOURCES_FILE,
        claim_text,
        provenance_text,
        sources_text,
    )
    from repro.ledger.write import record_attempts

    attempt = theirs(dossier.attempt, origin)
    before = _in_ledger(attempt.id)
    standing: Standing = "new"
    if before is not None:
        known = before[0].provenance.get("origin")
        if not isinstance(known, Mapping) or known.get("evidence") != origin["evidence"]:
            raise EvidenceError(
                f"The ledger holds another attempt called {attempt.id}, imported from other evidence whose digest begins alike. "
                f"That does not happen by chance. Compare both digests with those that their makers published."
            )
        standing = "proven" if origin["checked_against"] and not known.get("checked_against") else "known"
        if standing == "known":
            attempt = theirs(dossier.attempt, known)
    paper = _paper_here(dossier.paper) or _harmless(dossier.paper)
    claim = replace(
        dossier.claim,
        statement=plain(dossier.claim.statement),
        locator=plain(dossier.claim.locator),
        quantity=replace(dossier.claim.quantity, definition=plain(dossier.claim.quantity.definition)),
    )
    kept = {
        CLAIM_FILE: claim_text(dossier.paper, dossier.claim, dossier.data),
        SOURCES_FILE: sources_text(dossier.sources),
    }
    if dossier.provenance is not None:
        kept[PROVENANCE_FILE] = provenance_text(dossier.provenance)
    drawn = {attempt.id: figure(dossier.claim, dossier.attempt)} if figure and attempt.verdict else {}
    failures = [record for record in dossier.records if record.status == "failed"]
    record_attempts(
        [(attempt, paper, claim)], counting(dossier.records), drawn, failures, {attempt.id: kept}, theirs=True
    )
    return attempt, standing


def _harmless(paper: Paper) -> Paper:
    """Return a stranger's paper so that MLflow, which shows its words as Markdown, shows nothing but words."""
    return replace(
        paper,
        title=plain(paper.title),
        authors=tuple(plain(author) for author in paper.authors),
        venue=plain(paper.venue),
        note=plain(paper.note),
        arxiv=paper.arxiv if paper.arxiv and re.fullmatch(r"[A-Za-z0-9./-]{1,40}", paper.arxiv) else None,
        doi=paper.doi if paper.doi and re.fullmatch(r"10\.[A-Za-z0-9./()_-]{1,100}", paper.doi) else None,
        url=paper.url if paper.url and re.fullmatch(r"https?://[^\s<>\"`|{}\\^\[\]()]{1,200}", paper.url) else None,
    )
