"""A made-up book of published, imported, annotated, stale, checked and damaged attempts."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from review_book import (
    EXPONENT,
    FACTOR,
    HOSTILE,
    MACHINE,
    ORDERING,
    PAPERS,
    RATIOS,
    STUDIES,
    attempt,
    part_verdict,
    ratio_verdict,
    record,
    verdict,
)

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.review.book import Book
from repro.schema.annotation import Annotation, AnnotationKind, SourceCheck, continued
from repro.schema.published import PublishedResult
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt, Verdict


def annotated(attempt_id: str, *entries: tuple[AnnotationKind, str, str]) -> tuple[Annotation, ...]:
    """Return a whole chain of entries, a day apart."""
    chain: list[Annotation] = []
    for day, (kind, who, why) in enumerate(entries, start=1):
        chain.append(continued(chain, Annotation(attempt_id, kind, who, f"2024-06-{day:02d}T08:00:00+00:00", why)))
    return tuple(chain)


def bundle_of(tried: Attempt) -> Bundle:
    return Bundle({"README.md": b"# Evidence\n", "attempt.json": tried.id.encode(), "trials.jsonl": b"{}\n" * 400})


def published(tried: Attempt, **changes: Any) -> PublishedResult:
    decided = tried.verdict
    fields: dict[str, Any] = {
        "evidence": bundle_of(tried).digest,
        "place": f"{tried.claim}/{tried.id.partition('@')[2]}",
        "commit": tried.provenance.get("commit"),
    }
    return PublishedResult(
        attempt=tried.id, claim=tried.claim, paper=tried.claim.split("/")[0], protocol=tried.protocol,
        kind=tried.sealed.kind, scale=tried.scale, outcome=decided.outcome if decided else "inconclusive", reason=None,
        validity="current", exploratory=False, indicative=False, started=tried.started, compute_ratio=tried.compute_ratio,
        **{**fields, **changes},
    )  # fmt: skip


def measured(value: float, outcome: str = "match", half: float = 0.03) -> Verdict:
    return verdict(part_verdict(0.49, outcome, value, half), outcome)


def imported(tried: Attempt, **origin: Any) -> Attempt:
    """Return an attempt as it comes from somebody else's evidence."""
    digest = hashlib.sha256(tried.id.encode()).hexdigest()
    said = {"evidence": digest, "signed_by": None, "checked_against": None, **origin}
    return replace(tried, id=f"{tried.id}~{digest[:8]}", provenance={**tried.provenance, "origin": said})


OURS = attempt(EXPONENT, "retrain", "gpu", measured(0.513), ("t1", "t2"), counter=2, compute_ratio=0.008)
THEIRS = imported(
    attempt(
        EXPONENT, "retrain", "gpu", measured(0.488, half=0.05), ("u1", "u2"), counter=3, compute_ratio=0.011,
        arms={"main": ("u1", "u2"), "untuned": ("u9",)},
    ),
    signed_by="Grace Example", checked_against="key",
)  # fmt: skip
UNPROVEN = imported(
    attempt(
        EXPONENT, "retrain", "gpu", measured(0.8, "mismatch"), ("v1",), counter=4, compute_ratio=0.01,
        arms={"main": ("v1",), "untuned": ("v9",)},
    )
)  # fmt: skip
DISPUTED = attempt(
    RATIOS,
    "count",
    "full",
    ratio_verdict(),
    counter=1,
)
MISS = attempt(
    FACTOR, "time", "cpu",
    verdict(part_verdict(20.0, "mismatch", 85.0, margin=0.693, low=71.0, high=101.0, scale="log", deviation=1.447), "mismatch"),
    counter=1, compute_ratio=0.4,
)  # fmt: skip
CHANGED = attempt(
    ORDERING, "paired", "cpu", verdict(part_verdict(0.0, "match", 0.03, 0.02, margin=0.0), "match"), counter=1
)
_DISPUTE = annotated(
    DISPUTED.id,
    (
        "disputed",
        "A. Reader <a@example.org>",
        "The 1.1B model has another vocabulary than the table says.\n\nSee its Appendix D.",
    ),
    ("author_reply", "Ada Example", "The vocabulary in Appendix D is the right one; Table 3 has a typing error."),
)
SETTLED = (
    *_DISPUTE,
    continued(
        _DISPUTE,
        Annotation(
            DISPUTED.id,
            "confirmed",
            "R. Viewer",
            "2024-07-01T09:00:00+00:00",
            "Counted again with Appendix D.",
            _DISPUTE[0].digest,
        ),
    ),
)
OPEN = _DISPUTE
TAMPERED_CHAIN = (replace(_DISPUTE[0], why="Nothing to see here."), _DISPUTE[1])


def trials_of(attempt_id: str) -> Sequence[TrialRecord]:
    if "~" in attempt_id:
        there = replace(MACHINE, processor="Other CPU 3.1 GHz", device="NVIDIA Example 80GB", torch="2.11.0+cu128")
        return [replace(record("u1"), machine=there).with_digest()]
    return [record("t1"), record("t2", replicate=1)]


def evidence_of(attempt_id: str) -> Bundle:
    for tried in (OURS, MISS, DISPUTED):
        if tried.id == attempt_id:
            return bundle_of(tried)
    raise EvidenceError(f"There is no bundle of {attempt_id}. Get the files again (git checkout).")


def evidence_book(**changes: Any) -> Book:
    """Return a book with everything that people and time add to an attempt."""
    claims = (EXPONENT, RATIOS, FACTOR, ORDERING)
    fields: dict[str, Any] = {
        "claims": {claim.id: claim for claim in claims},
        "papers": {paper.id: paper for paper in PAPERS},
        "studies": {study.id: study for study in STUDIES},
        "attempts": (OURS, THEIRS, UNPROVEN, DISPUTED, MISS, CHANGED),
        "trials": trials_of,
        "annotations": {DISPUTED.id: OPEN},
        "stale": {CHANGED.id: ("The seeds were 0 to 2, now 0 to 4.", "The margin was ± 0.01, now none.")},
        "published": {tried.id: published(tried) for tried in (OURS, MISS, DISPUTED)},
        "source_checks": {
            ORDERING.id: {
                "value": SourceCheck(ORDERING.id, "value", "0", "A. Reader", "Table 3 on page 7", "2024-08-09")
            }
        },
        "evidence": evidence_of,
    }
    return Book(**{**fields, **changes})


def hostile_evidence_book() -> Book:
    """Return the same with text in every place that others fill, which must mean nothing."""
    chain = annotated(
        OURS.id, ("disputed", HOSTILE, HOSTILE), ("author_reply", HOSTILE, HOSTILE), ("confirmed", HOSTILE, HOSTILE)
    )
    theirs = imported(replace(THEIRS, id=THEIRS.id.partition("~")[0]), signed_by=HOSTILE, checked_against=HOSTILE)
    return evidence_book(
        attempts=(OURS, theirs, CHANGED, MISS),
        annotations={OURS.id: chain, MISS.id: annotated(MISS.id, ("author_reply", HOSTILE, HOSTILE))},
        stale={CHANGED.id: (HOSTILE,)},
        source_checks={ORDERING.id: {"value": SourceCheck(ORDERING.id, "value", "0", HOSTILE, HOSTILE, HOSTILE)}},
        problems={OURS.id: (HOSTILE,), f"{HOSTILE}@x": (HOSTILE,)},
        papers={paper.id: replace(paper, title=f"{HOSTILE} \\input{{/etc/passwd}} @article{{x}}") for paper in PAPERS},
        published={tried.id: published(tried, place=f"{HOSTILE}/x") for tried in (OURS, MISS)},
    )
