"""What people added to an attempt, and what has changed since it was sealed, in words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repro.review.book import Book, is_theirs, origin_is_proven, validity
from repro.review.wording.words import day, straight
from repro.schema.annotation import Annotation, AnnotationKind, SourceCheck, broken_at, settled
from repro.schema.verdict import Attempt

KINDS: Mapping[AnnotationKind, str] = {
    "confirmed": "confirmed",
    "disputed": "disputed",
    "invalidated": "invalidated",
    "author_reply": "the authors reply",
}
"""How each kind of entry is announced."""


@dataclass(frozen=True)
class Entry:
    """One annotation as a reader sees it."""

    kind: AnnotationKind
    label: str
    who: str
    when: str
    why: str
    settles: str
    """Which dispute it answers, in words; empty for none."""
    settled: bool
    """Of a dispute: whether a later confirmation answers it."""
    broken: bool
    """Whether it does not follow the entry before: something was edited, removed or moved."""

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """The reason, paragraph by paragraph."""
        return tuple(part.strip() for part in re.split(r"\n\s*\n", self.why) if part.strip())


def entries(annotations: Sequence[Annotation]) -> tuple[Entry, ...]:
    """Return annotations as readers see them, the oldest first."""
    named = {entry.digest: entry for entry in annotations if entry.digest}
    answered, broken = settled(annotations), broken_at(annotations)
    return tuple(
        Entry(
            entry.kind,
            KINDS.get(entry.kind, entry.kind),
            straight(entry.who),
            day(entry.when),
            straight(entry.why),
            _settles(named.get(entry.settles)) if entry.settles else "",
            entry.kind == "disputed" and entry.digest in answered,
            place == broken,
        )
        for place, entry in enumerate(annotations)
    )


def count_text(annotations: Sequence[Annotation]) -> str:
    """Return how many entries of each kind there are, in words."""
    words: Mapping[AnnotationKind, tuple[str, str]] = {
        "confirmed": ("confirmation", "confirmations"),
        "disputed": ("dispute", "disputes"),
        "invalidated": ("withdrawal", "withdrawals"),
        "author_reply": ("reply of the authors", "replies of the authors"),
    }
    counts = {kind: sum(entry.kind == kind for entry in annotations) for kind in words}
    told = [f"{n} {words[kind][n > 1]}" for kind, n in counts.items() if n]
    return ", ".join(told)


def _settles(dispute: Annotation | None) -> str:
    if dispute is None:
        return "settles a dispute that is not on record here"
    return f"settles the dispute by {straight(dispute.who)} of {day(dispute.when)}"


def checked_text(check: SourceCheck) -> str:
    """Return who compared a published value with the paper, where and when."""
    return straight(f"checked by {check.who}, {check.where}, {day(check.when)}")


def marks(book: Book, attempt: Attempt) -> tuple[str, ...]:
    """Return the one-word marks that stand beside an attempt wherever it is listed, the gravest first."""
    today = validity(book, attempt)
    origin = "theirs" if origin_is_proven(attempt) else "theirs, origin unproven"
    found = {
        "annotations unreadable": attempt.id in book.distrusted,
        today.replace("_", " "): today != "current",
        "stale": attempt.id in book.stale,
        "exploratory": attempt.exploratory,
        "indicative": attempt.sealed.indicative,
        origin: is_theirs(attempt),
        "published": attempt.id in book.published,
    }
    return tuple(mark for mark, holds in found.items() if holds)


def origin_text(attempt: Attempt, digits: int = 64) -> str:
    """Return where an imported attempt comes from and what vouches for it, in sentences; empty for one of ours.

    Args:
        attempt: any.
        digits: how many of its evidence digest are shown.
    """
    origin = attempt.provenance.get("origin")
    if not isinstance(origin, Mapping):
        return ""
    signed = f", signed by {origin['signed_by']}" if origin.get("signed_by") else ""
    vouched = {
        "digest": "Its evidence has the digest that was named beforehand, so it counts.",
        "key": "Its signature was checked with a key that was named beforehand, so it counts.",
    }.get(
        str(origin.get("checked_against")),
        "Nothing vouches for its origin, neither a digest nor a key, so it does not count.",
    )
    digest = str(origin.get("evidence", "unknown"))
    shown = digest if len(digest) <= digits else f"{digest[:digits]}…"
    return straight(f"Not run here, but imported (evidence sha256:{shown}{signed}). {vouched}")
