"""The published evidence of an attempt: its digest, where it lies, what can be fetched, and who signed it."""

import shlex
from dataclasses import dataclass

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.review.book import Book
from repro.review.wording.words import day, straight
from repro.schema.errors import ReproError
from repro.schema.verdict import Attempt


@dataclass(frozen=True)
class Evidence:
    """The evidence of a published attempt as its page shows it."""

    digest: str
    """The one that the index of published results names (64 hex digits)."""
    place: str
    """Directory of the files, relative to the results directory."""
    files: tuple[tuple[str, int], ...]
    """Name and size in bytes of each file, by name; none where they cannot be read."""
    size: int
    """Bytes of the zip."""
    problem: str
    """Why nobody should rely on it, in a sentence; empty if it is as published."""
    signature: str
    """Who signed it, in a sentence; empty without a signature."""
    signature_problem: str
    """Why the signature beside it means nothing; empty if it holds, or there is none."""

    @property
    def whole(self) -> bool:
        """Whether the files make the digest that was published."""
        return not self.problem


def evidence_of(book: Book, attempt: Attempt) -> Evidence | None:
    """Return the published evidence of an attempt; None where none is published.

    Damage never raises: `problem` and `signature_problem` say what is wrong, so that no other page suffers.
    """
    result = book.published.get(attempt.id)
    if result is None:
        return None
    bundle, problem = None, ""
    try:
        bundle = book.evidence(attempt.id)
        if bundle.digest != result.evidence:
            problem = (
                f"The files in {result.place} make the digest {bundle.digest}, not the one that was published. "
                f"They were changed after they were published; restore them from version control."
            )
    except ReproError as error:
        problem = f"The published files cannot be read: {error}"
    files = tuple((name, len(content)) for name, content in sorted(bundle.files.items())) if bundle else ()
    size = len(bundle.packed) if bundle else 0
    return Evidence(result.evidence, result.place, files, size, problem, *_signature(book, attempt.id, bundle))


def packed(book: Book, attempt_id: str) -> bytes:
    """Return the zip of an attempt's published evidence.

    Raises:
        EvidenceError: if it cannot be read, or is no longer what was published.
    """
    bundle = book.evidence(attempt_id)
    result = book.published.get(attempt_id)
    if result is None or bundle.digest != result.evidence:
        raise EvidenceError(f"The published files of {attempt_id} no longer make the digest that was published.")
    return bundle.packed


def envelope(book: Book, attempt_id: str) -> bytes:
    """Return the signature beside an attempt's published evidence, as it is stored.

    Raises:
        EvidenceError: if there is none.
    """
    said = book.envelope(attempt_id)
    if said is None:
        raise EvidenceError(f"No signature lies beside the evidence of {attempt_id}.")
    return said


def verify_command(attempt_id: str, digest: str) -> str:
    """Return the command that checks a fetched zip against the digest that this page names."""
    return f"repro verify {shlex.quote(file_name(attempt_id))} --digest {digest}"


def file_name(attempt_id: str) -> str:
    """Return the name under which the zip of an attempt is saved."""
    return f"{attempt_id.rpartition('/')[2]}.evidence.zip"


def _signature(book: Book, attempt_id: str, bundle: "Bundle | None") -> tuple[str, str]:
    """Return who signed the evidence, or what is wrong with the signature beside it."""
    try:
        said = book.envelope(attempt_id)
        if said is None:
            return "", ""
        if bundle is None:
            return (
                "",
                "A signature lies beside it, and cannot be checked: there is nothing left that it is a signature of.",
            )
        from repro.cite.signing.attest import check

        signed = check(said, bundle)
    except ImportError:
        return "", "A signature lies beside it, and was not checked: it takes pip install 'repro-tracker[cite]'."
    except ReproError as error:
        return "", f"A signature lies beside it that means nothing. {error}"
    named = (
        f"in the name of {straight(signed.who)} on {day(signed.when)}, by their own clock, with the key {signed.key_id}"
    )
    if not signed.holds:
        return "", f"A signature lies beside it {named}. It brings no public key, so it was not checked."
    return (
        f"Signed {named}. A signature proves who signed, not that the verdict is true; get the public key from the signer and "
        f"name it with --key."
    ), ""
