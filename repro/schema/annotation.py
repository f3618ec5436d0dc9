"""What people add to an attempt or a target later: entries that are appended and never rewritten."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from repro.schema.canonical import digest_of
from repro.schema.jsonform import to_json

AnnotationKind = Literal["confirmed", "disputed", "invalidated", "author_reply"]

ANNOTATION_VERSION = 1
SOURCE_CHECK_VERSION = 1


@dataclass(frozen=True)
class Annotation:
    """One entry on an attempt. Entries of an attempt form a chain: each names the digest of the one before."""

    attempt: str
    """Id of the attempt."""
    kind: AnnotationKind
    """`author_reply` is a word of the paper's authors; it changes no validity."""
    who: str
    when: str
    """ISO 8601, UTC."""
    why: str
    settles: str = ""
    """Of a confirmation: digest of the dispute that it answers; the attempt is no longer disputed for that."""
    previous: str = ""
    """Digest of the entry before; empty for the first."""
    version: int = ANNOTATION_VERSION
    digest: str = ""
    """Digest of all the rest."""

    def with_digest(self) -> "Annotation":
        """Return the entry with its digest filled in."""
        return replace(self, digest=self.content_digest())

    def content_digest(self) -> str:
        """Return the digest that the content deserves."""
        content = to_json(self)
        del content["digest"]
        return digest_of(content)


@dataclass(frozen=True)
class SourceCheck:
    """Somebody compared the published value of a part with the paper and found it as it is printed here."""

    claim: str
    part: str
    printed: str
    """The value that was checked; a target that is printed otherwise later is unchecked again."""
    who: str
    where: str
    """Where in the paper, or in its authors' own artefact, the value stands."""
    when: str
    """ISO 8601 date."""
    version: int = SOURCE_CHECK_VERSION


def continued(entries: Sequence[Annotation], entry: Annotation) -> Annotation:
    """Return an entry as it follows the others: with the digest of the last of them, and its own."""
    return replace(entry, previous=entries[-1].digest if entries else "").with_digest()


def broken_at(entries: Sequence[Annotation]) -> int | None:
    """Return the place (from 0) of the first entry that does not follow the one before, or None for a whole chain.

    An entry that was edited has another digest than its content deserves; where one was removed, inserted or moved, the
    next names the digest of another than the one before it.
    """
    previous = ""
    for place, entry in enumerate(entries):
        if entry.previous != previous or entry.digest != entry.content_digest():
            return place
        previous = entry.digest
    return None


def settled(entries: Sequence[Annotation]) -> frozenset[str]:
    """Return the digests of the disputes that a later confirmation answers."""
    found: set[str] = set()
    open_disputes: set[str] = set()
    for entry in entries:
        if entry.kind == "disputed":
            open_disputes.add(entry.digest)
        elif entry.kind == "confirmed" and entry.settles in open_disputes:
            found.add(entry.settles)
    return frozenset(found)


def standing(entries: Sequence[Annotation]) -> Literal["invalidated", "disputed"] | None:
    """Return what the entries make of an attempt: withdrawn for ever, contested until that is settled, or nothing."""
    if any(entry.kind == "invalidated" for entry in entries):
        return "invalidated"
    answered = settled(entries)
    contested = any(entry.kind == "disputed" and entry.digest not in answered for entry in entries)
    return "disputed" if contested else None
