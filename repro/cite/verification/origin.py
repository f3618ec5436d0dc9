"""Whether evidence is what somebody outside of it says it is: a digest in a citation, or a signature by a known key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.cite.verification.findings import ORIGIN, Finding, Vouched
from repro.schema.errors import ReproError


@dataclass(frozen=True)
class Origin:
    """What is known of the origin of a bundle."""

    findings: tuple[Finding, ...]
    vouched: tuple[Vouched, ...]
    """What the reader brought that fits; empty where nothing outside the bundle vouches for it."""


def read_digest(text: str) -> str:
    """Return a digest as people copy it, with or without `sha256:`, as 64 lower-case hex digits.

    Raises:
        EvidenceError: if it is no sha256.
    """
    digest = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise EvidenceError(
            f"'{text:.80}' is no sha256: give all 64 hex digits, as the citation or the badge has them."
        )
    return digest


def check_origin(
    bundle: Bundle,
    digest: str | None,
    public_key: bytes | Path | None,
    envelope: Mapping[str, Any] | bytes | None,
) -> Origin:
    """Hold a bundle against the digest and the key that a reader brought."""
    found: list[Finding] = []
    vouched: list[Vouched] = []
    if digest is not None:
        if read_digest(digest) == bundle.digest:
            found.append(Finding("holds", "It is the evidence that was cited: its sha256 is the one given.", ORIGIN))
            vouched.append("digest")
        else:
            told = f"It is not the evidence that was cited: its sha256 is {bundle.digest}, not {read_digest(digest)}."
            found.append(Finding("fails", told, ORIGIN))
    if envelope is not None:
        finding, by_key = _signed(bundle, public_key, envelope)
        found.append(finding)
        vouched += ["key"] if by_key else []
    elif public_key is not None:
        told = "There is no signature to check with that key: ask for the file NAME.dsse.json that belongs beside it."
        found.append(Finding("fails", told, ORIGIN))
    if not vouched and not any(finding.status == "fails" for finding in found):
        found.append(Finding("stated", "Nothing outside of it says that it is the evidence it claims to be.", ORIGIN))
    return Origin(tuple(found), tuple(vouched))


def _signed(
    bundle: Bundle, public_key: bytes | Path | None, envelope: Mapping[str, Any] | bytes
) -> tuple[Finding, bool]:
    """Return what a signature says, and whether it is by the key that the reader brought."""
    try:
        from repro.cite.signing.attest import check
    except ImportError:
        told = (
            "There is a signature, and the packages to check it are not installed: pip install 'repro-tracker[cite]'."
        )
        return Finding("stated" if public_key is None else "unknown", told, ORIGIN), False
    try:
        signature = check(envelope, bundle, public_key)
    except ReproError as error:
        return Finding("fails", str(error), ORIGIN), False
    except Exception as error:  # an envelope is a stranger's too
        return Finding("fails", f"The signature cannot be read ({type(error).__name__}: {error}).", ORIGIN), False
    return Finding("holds" if signature.vouched else "stated", signature.sentence, ORIGIN), signature.vouched
