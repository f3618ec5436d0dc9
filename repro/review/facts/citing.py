"""How a claim's verified result is cited, or what is missing before it can be."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from repro.cite.citation.citable import Chosen, Evidence, Known, NotCitable, choose, contrary, published_address
from repro.review.addresses import claim_address
from repro.review.book import Book, attempts_of, decided_first, paper_of, validity
from repro.schema.claim import Claim
from repro.schema.verdict import Attempt


@dataclass(frozen=True)
class Form:
    """A citation in one format."""

    name: str
    """As `repro cite --format` takes it."""
    label: str
    suffix: str
    """Of the file that holds it, beside the attempt's page."""
    text: str


LABELS: Mapping[str, tuple[str, str]] = {
    "sentence": ("A sentence for a paper", ".cite.txt"),
    "bibtex": ("BibTeX", ".bib"),
    "markdown": ("Markdown", ".cite.md"),
    "cff": ("CFF", ".cff"),
    "csl": ("CSL-JSON", ".csl.json"),
    "ris": ("RIS", ".ris"),
}
"""Label and file of each format, the most wanted first."""


@dataclass(frozen=True)
class Citing:
    """An attempt that may be cited, or the one of its claim that lacks least."""

    book: Book
    known: Known
    attempt: Attempt
    missing: tuple[str, ...]
    """What is missing before it can be cited, in sentences; empty if it can."""

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """The citation in every format, the most wanted first; none while something is missing."""
        if self.missing:
            return ()
        from repro.cite.citation.facts import cite_chosen
        from repro.cite.citation.formats import FORMATS

        made = cite_chosen(self.known, Chosen(self.attempt, contrary(self.known, self.attempt)))
        return tuple(Form(name, *LABELS[name], FORMATS[name](made)) for name in LABELS if name in FORMATS)

    def text(self, name: str) -> str:
        """Return the citation in one format."""
        return next(form.text for form in self.forms if form.name == name)


def site_address() -> str | None:
    """Return where the pages are published, as `REPRO_SITE` says, without a slash at its end; None if it says nothing."""
    return os.environ.get("REPRO_SITE", "").rstrip("/") or None


def known_of(book: Book, claim: Claim) -> Known:
    """Return what a book knows of a claim, as `repro.cite` asks for it."""
    attempts = attempts_of(book, claim.id)
    evidence = {
        attempt.id: Evidence(result.evidence, published_address(result, claim_address(claim.id)))
        for attempt in attempts
        if (result := book.published.get(attempt.id))
    }
    return Known(
        claim=claim,
        paper=paper_of(book, claim.paper),
        attempts=attempts,
        validity={attempt.id: validity(book, attempt) for attempt in attempts},
        annotations={attempt.id: book.annotations.get(attempt.id, ()) for attempt in attempts},
        evidence=evidence,
        checks=book.source_checks.get(claim.id, {}),
        stale=book.stale,
    )


def missing_of(book: Book, known: Known, attempt: Attempt) -> tuple[str, ...]:
    """Return in sentences what is missing before an attempt can be cited; nothing if it can be."""
    damaged = (
        "What is stored of it is damaged, so that nobody can rely on it. Restore it from version control or a backup."
    )
    return (*((damaged,) * (attempt.id in book.distrusted)), *known.missing_of(attempt))


def citing(book: Book, claim: Claim) -> tuple[Citing, ...]:
    """Return what is cited for a claim: one attempt, or one for each protocol where they disagree.

    Where none can be cited the one that lacks least stands there, with what it lacks; nothing for a claim that was never run.
    """
    known = known_of(book, claim)
    lacking = {attempt.id: missing_of(book, known, attempt) for attempt in known.attempts}
    trusted = tuple(attempt for attempt in known.attempts if not lacking[attempt.id])
    if not trusted:
        found = [Citing(book, known, a, lacking[a.id]) for a in decided_first(book, known.attempts)]
        return tuple(sorted(found, key=lambda each: len(each.missing))[:1])
    among = Known(
        claim, known.paper, trusted, known.validity, known.annotations, known.evidence, known.checks, known.stale
    )
    try:
        chosen = [choose(among).attempt]
    except NotCitable:
        names = sorted({attempt.protocol for attempt in trusted})
        chosen = [choose(among, protocol=name).attempt for name in names]
    return tuple(Citing(book, known, attempt, ()) for attempt in chosen)


def citing_attempt(book: Book, attempt: Attempt) -> Citing | None:
    """Return how one attempt is cited, or what it lacks; None where its claim is not in the catalogue here."""
    if attempt.claim not in book.claims:
        return None
    known = known_of(book, book.claims[attempt.claim])
    return Citing(book, known, attempt, missing_of(book, known, attempt))


def citable(book: Book, claim: Claim | None = None) -> tuple[Attempt, ...]:
    """Return every attempt in the book, or at one claim, that can be cited."""
    found: list[Attempt] = []
    for each in book.claims.values() if claim is None else (claim,):
        # Only what is published can be, and to say what the others lack takes long.
        published = [attempt for attempt in attempts_of(book, each.id) if attempt.id in book.published]
        if published:
            known = known_of(book, each)
            found += [attempt for attempt in published if not missing_of(book, known, attempt)]
    return tuple(found)
