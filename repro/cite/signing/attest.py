"""Signatures of evidence: an in-toto statement of the verdict in a DSSE envelope, ed25519, offline (docs/attestation.md).

A signature proves who signed (the holder of a key) and what they signed. That the verdict is true it does not prove.
Importing this reads cryptography and protobuf; command files import it late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.cite.signing.envelope import (
    MAX_SIGNATURES,
    PAYLOAD_TYPE,
    carried_keys,
    make_statement,
    parse_envelope,
    require_holds,
    require_name,
    said_of,
)
from repro.cite.signing.keys import SignatureError, key_id, load_private_key, load_public_key, public_pem, read_key_file
from repro.schema.canonical import canonical_json
from repro.schema.documents import read_attempt
from repro.schema.jsonform import parse_json

NOT_TRUTH = "A signature proves who signed and when they say they did, not that the verdict is true."


@dataclass(frozen=True)
class Signature:
    """What a checked envelope says of the evidence it lies beside."""

    who: str
    """The signer's name, as they gave it."""
    when: str
    """The time of signing by the signer's own clock, RFC 3339, UTC."""
    key_id: str
    """sha256 of the signer's public key in DER: of the key that was given, else of the first signature."""
    vouched: bool
    """Whether it was checked with a public key that the reader brought."""
    holds: bool
    """Whether a public key was at hand to check it with: the one given, or one that the envelope carries."""
    others: tuple[str, ...]
    """Key ids of the other signatures under the same statement that hold by the key each carries; nobody vouched for them."""
    verdict: Mapping[str, Any]
    """The signed fields of the verdict, equal to the evidence's."""

    @property
    def sentence(self) -> str:
        """Who signed what, and what that proves."""
        what = f"this evidence and its verdict ({self.verdict['outcome'] or 'none'} of {self.verdict['attempt']})"
        if self.vouched:
            told = f'"{self.who}" signed {what} on {self.when}, by their own clock, with the key that you gave (key id {self.key_id}).'
        else:
            unseen = "" if self.holds else " Without the public key it cannot even be checked."
            told = (
                f'Somebody who calls themselves "{self.who}" signed {what}, and dates it {self.when}. It is signed with key id '
                f"{self.key_id}, which nobody vouched for: anyone can sign in any name.{unseen} Get the public key from the signer "
                "by another way and give it with --key."
            )
        also = f" Keys that nobody vouched for signed the same: {', '.join(self.others)}." if self.others else ""
        return f"{told}{also} {NOT_TRUTH}"


def verdict_of(bundle: Bundle) -> dict[str, Any]:
    """Return what a statement says of the evidence: claim, protocol, scale, kind, attempt, seal, outcome, ...

    Raises:
        EvidenceError: if the bundle lacks the files it takes from, or they cannot be read.
    """
    try:
        attempt = read_attempt(bundle.files["attempt.json"].decode(), "attempt.json")
        version = parse_json(bundle.files["claim.json"].decode(), "claim.json")["bundle_version"]
    except KeyError as error:
        raise EvidenceError(f"The bundle lacks {error}; it is no evidence of an attempt.") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise EvidenceError(f"The bundle's attempt.json or claim.json cannot be read: {error}") from error
    if not isinstance(version, int):
        raise EvidenceError(f"The bundle's claim.json has the bundle_version {version!r:.40}, which is no number.")
    parts = attempt.verdict.parts if attempt.verdict else {}
    commit = attempt.provenance.get("commit")
    return {
        "claim": attempt.claim,
        "protocol": attempt.protocol,
        "scale": attempt.scale,
        "kind": attempt.sealed.kind,
        "attempt": attempt.id,
        "seal": attempt.sealed.digest,
        "outcome": attempt.verdict.outcome if attempt.verdict else None,
        "reason": attempt.verdict.reason if attempt.verdict else None,
        "n": {name: part.estimate.n for name, part in parts.items()},
        "compute_ratio": attempt.compute_ratio,
        "commit": commit if isinstance(commit, str) else None,
        "bundle_version": version,
    }


def sign(
    bundle: Bundle,
    key_file: Path,
    who: str,
    *,
    passphrase: str | None = None,
    name: str = "evidence.zip",
    when: str | None = None,
    existing: bytes | None = None,
) -> dict[str, Any]:
    """Sign evidence and its verdict; evidence that `verify` finds wrong is not signed.

    Args:
        bundle: what is signed.
        key_file: the private key in PEM.
        who: the signer's name as they want it to be read.
        passphrase: of an encrypted key.
        name: file name of the bundle; the statement's subject bears it.
        when: RFC 3339 time in UTC; now, if None.
        existing: an envelope whose statement is signed too, as it stands; its signatures are kept.

    Returns:
        The DSSE envelope.

    Raises:
        SignatureError: if the evidence is wrong, the key cannot be used, or the existing statement says something else.
        EvidenceError: if the bundle is no evidence.
    """
    require_name(who, "The signer's name")
    require_name(name, "The name of the signed file")
    private = load_private_key(read_key_file(key_file), str(key_file), passphrase)
    public = private.public_key()
    _require_right(bundle)
    said = verdict_of(bundle)
    if existing is None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        statement = make_statement(name, bundle.digest, {**said, "signer": who, "time": when or now})
        envelope = Envelope(canonical_json(statement).encode(), PAYLOAD_TYPE, {})
    else:
        envelope = _same_statement(existing, bundle, who, key_id(public))
    signature = envelope.sign(CryptoSigner(private, SSlibKey.from_crypto(public, key_id(public), "ed25519")))
    signature.unrecognized_fields["publicKey"] = public_pem(public).decode()
    return dict(envelope.to_dict())


def check(envelope: Mapping[str, Any] | bytes, bundle: Bundle, public_key: bytes | Path | None = None) -> Signature:
    """Check a signature against the evidence that it is said to be of.

    Every signature that brings its public key must hold, and one must be by the key that is given, if one is. The statement
    must be about these bytes, and must say of the verdict what the evidence says.

    Args:
        envelope: the DSSE envelope, or the bytes of its file. It is not trusted.
        bundle: the evidence.
        public_key: the signer's public key in PEM, or its file; None if the reader has none.

    Raises:
        SignatureError: if anything of this does not hold; says what, and what it may mean.
        EvidenceError: if the bundle is no evidence.
    """
    found = parse_envelope(envelope)
    keys = carried_keys(found)
    given = None
    if public_key is not None:
        pem = read_key_file(public_key) if isinstance(public_key, Path) else public_key
        given = load_public_key(pem, str(public_key) if isinstance(public_key, Path) else "The public key")
        if key_id(given) not in found.signatures:
            raise SignatureError(
                f"The evidence is not signed with the key that was given (key id {key_id(given)}), but with "
                f"{', '.join(found.signatures)}. Either it is another person's signature, or the key is not the signer's."
            )
        keys[key_id(given)] = SSlibKey.from_crypto(given, key_id(given), "ed25519")
    for identity, key in keys.items():
        require_holds(found, found.signatures[identity], key)
    said = said_of(found.payload, bundle.digest)
    signer, time = said.pop("signer"), said.pop("time")
    expected = verdict_of(bundle)
    if canonical_json(said) != canonical_json(expected):
        wrong = sorted(field for field in {*said, *expected} if said.get(field) != expected.get(field))
        raise SignatureError(
            f"The signature is of another verdict than the evidence holds: they differ in {', '.join(wrong)}. "
            "It is a mix-up or a forgery; ask the signer for a signature of this evidence."
        )
    first = key_id(given) if given else next(iter(found.signatures))
    return Signature(
        who=signer,
        when=time,
        key_id=first,
        vouched=given is not None,
        holds=first in keys,
        others=tuple(identity for identity in keys if identity != first),
        verdict=expected,
    )


def _require_right(bundle: Bundle) -> None:
    from repro.cite.verification.verify import verify
    from repro.ledger.published import published_results

    published = any(result.evidence == bundle.digest for result in published_results())
    report = verify(bundle, listed=bundle.digest if published else None)
    if report.ok:
        return
    wrong = [finding.sentence for finding in report.findings if finding.status == "fails"]
    if wrong:
        raise SignatureError(f"This evidence is wrong and is not signed. {' '.join(wrong[:3])}")
    unseen = [finding.sentence for finding in report.findings if finding.status == "unknown"]
    raise SignatureError(f"This evidence cannot be checked here and is not signed. {' '.join(unseen[:3])}")


def _same_statement(existing: bytes, bundle: Bundle, who: str, new_key: str) -> Envelope:
    """Return the envelope that lies there, if what it says is what `who` would say."""
    try:
        before = check(existing, bundle)
    except SignatureError as error:
        raise SignatureError(
            f"A file lies there already to which no signature can be added. {error} Or move it away."
        ) from error
    envelope = parse_envelope(existing)
    if before.who != who:
        raise SignatureError(
            f'The statement that lies beside the bundle says that "{before.who}" signs; a second signature under it cannot say '
            f'"{who}". To sign together, move it away and sign one statement under a common name (--as "Ada and Bob"), each '
            "with their own key; or write a statement of your own with --out FILE."
        )
    if new_key in envelope.signatures:
        raise SignatureError(f"This key (key id {new_key}) has signed the statement already, on {before.when}.")
    if len(envelope.signatures) >= MAX_SIGNATURES:
        raise SignatureError(f"The statement has {MAX_SIGNATURES} signatures, which is the most an envelope may hold.")
    return envelope
