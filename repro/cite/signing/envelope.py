"""The form of a signature: an in-toto Statement v1 in a DSSE envelope, read strictly, for nothing in it is trusted.

Importing this reads cryptography and protobuf; command files import it late.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor  # type: ignore[import-untyped]
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement  # type: ignore[import-untyped]
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature as DsseSignature  # type: ignore[attr-defined]
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from repro.cite.signing.keys import SignatureError, key_id, load_public_key, public_pem
from repro.schema.canonical import canonical_json

PREDICATE_TYPE = "urn:repro-tracker:verdict:1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 256 * 2**10
"""Largest envelope that is read."""
MAX_SIGNATURES = 16
MAX_NAME = 200
"""Longest name of a signer or of the signed file, in characters."""


def envelope_place(bundle: Path) -> Path:
    """Return where the signature of a bundle lies: `NAME.zip.dsse.json`, or `NAME.dsse.json` beside a directory."""
    whole = bundle if bundle.name not in ("", "..") else bundle.resolve()
    return whole.with_name(whole.name + ".dsse.json")


def read_envelope(file: Path) -> bytes:
    """Return the content of an envelope file, unchecked.

    Raises:
        SignatureError: if it cannot be read or is too large.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        raise SignatureError(f"The signature {file} cannot be read ({error.strerror or error}).") from error
    if len(content) > MAX_ENVELOPE_BYTES:
        raise SignatureError(_no_envelope(f"it is larger than {MAX_ENVELOPE_BYTES >> 10} KiB"))
    return content


def write_envelope(envelope: Mapping[str, Any], file: Path) -> None:
    """Write an envelope whole or not at all.

    Raises:
        SignatureError: if it cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(envelope, indent=2) + "\n")
        partial.replace(file)
    except OSError as error:
        raise SignatureError(f"The signature {file} cannot be written ({error.strerror or error}).") from error


def make_statement(name: str, digest: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statement about a bundle; in-toto's own class checks it.

    Args:
        name: file name of the bundle.
        digest: sha256 of the bundle.
        predicate: what is said of it (docs/attestation.md).
    """
    subject = {"name": name, "digest": {"sha256": digest}}
    Statement([ResourceDescriptor(**subject).pb], PREDICATE_TYPE, dict(predicate)).validate()
    # Written out by hand: in-toto's own JSON goes by way of protobuf, where every integer becomes a float.
    return {
        "_type": STATEMENT_TYPE_URI,
        "subject": [subject],
        "predicateType": PREDICATE_TYPE,
        "predicate": dict(predicate),
    }


def parse_envelope(envelope: Mapping[str, Any] | bytes) -> Envelope:
    """Read an envelope strictly: bounded, one spelling of base64, no key twice.

    Raises:
        SignatureError: if it is anything else; says what.
    """
    if not isinstance(envelope, bytes):
        envelope = json.dumps(dict(envelope)).encode()
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise SignatureError(_no_envelope(f"it is larger than {MAX_ENVELOPE_BYTES >> 10} KiB"))
    content = _object(envelope, "the file")
    if content.get("payloadType") != PAYLOAD_TYPE:
        raise SignatureError(_no_envelope(f"its payloadType is not {PAYLOAD_TYPE}"))
    listed = content.get("signatures")
    if not isinstance(listed, list) or not listed:
        raise SignatureError(_no_envelope("it holds no signature"))
    if len(listed) > MAX_SIGNATURES:
        raise SignatureError(_no_envelope(f"it holds {len(listed)} signatures, more than {MAX_SIGNATURES}"))
    signatures: dict[str, DsseSignature] = {}
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("keyid"), str):
            raise SignatureError(_no_envelope("a signature has no key id"))
        identity = entry["keyid"]
        if len(identity) != 64 or not set(identity) <= set("0123456789abcdef"):
            raise SignatureError(_no_envelope("a key id is not the sha256 of a public key (64 lower-case hex digits)"))
        if identity in signatures:
            raise SignatureError(_no_envelope(f"two signatures bear the same key id {identity}"))
        raw = _base64(entry.get("sig"), "a signature")
        rest = {field: value for field, value in entry.items() if field not in ("keyid", "sig")}
        signatures[identity] = DsseSignature(identity, raw.hex(), rest)
    return Envelope(_base64(content.get("payload"), "the payload"), PAYLOAD_TYPE, signatures)


def carried_keys(envelope: Envelope) -> dict[str, SSlibKey]:
    """Return the public keys that signatures bring with them, by key id.

    Raises:
        SignatureError: if one is no ed25519 key, or not the one its key id names.
    """
    keys = {}
    for identity, signature in envelope.signatures.items():
        pem = signature.unrecognized_fields.get("publicKey")
        if pem is None:
            continue
        if not isinstance(pem, str) or not pem.isascii():
            raise SignatureError(_no_envelope("a publicKey is not PEM"))
        key = load_public_key(pem.encode(), "A publicKey of the envelope")
        if key_id(key) != identity or public_pem(key) != pem.encode():
            raise SignatureError(_no_envelope(f"the publicKey beside key id {identity} is another key"))
        keys[identity] = SSlibKey.from_crypto(key, identity, "ed25519")
    return keys


def require_holds(envelope: Envelope, signature: DsseSignature, key: SSlibKey) -> None:
    """Raise SignatureError unless the signature of the envelope's payload was made with this key."""
    try:
        key.verify_signature(signature, envelope.pae())
    except UnverifiedSignatureError:
        raise SignatureError(
            f"The signature with key id {signature.keyid} does not hold: the statement or the signature was changed after "
            "signing, or the signature was made with another key. Get both files again from the signer."
        ) from None


def said_of(payload: bytes, digest: str) -> dict[str, Any]:
    """Return the predicate of a statement.

    Args:
        payload: the statement as it was signed.
        digest: sha256 of the bundle that it must be about.

    Raises:
        SignatureError: if it is no such statement, or about another bundle.
    """
    statement = _object(payload, "its payload")
    try:
        spelling = canonical_json(statement).encode()
    except ValueError:
        spelling = b""
    if spelling != payload:
        raise SignatureError(
            _no_envelope("its statement is not canonical JSON, so that two readers could read it in two ways")
        )
    if statement.get("_type") != STATEMENT_TYPE_URI or statement.get("predicateType") != PREDICATE_TYPE:
        raise SignatureError(
            _no_envelope(f"its statement is not of type {PREDICATE_TYPE} in an in-toto Statement v1")
            + " It may have been made by another version or another tool."
        )
    subject, predicate = statement.get("subject"), statement.get("predicate")
    if set(statement) != {"_type", "predicate", "predicateType", "subject"} or not isinstance(predicate, dict):
        raise SignatureError(_no_envelope("its statement has other fields than docs/attestation.md lists"))
    if not isinstance(subject, list) or len(subject) != 1 or not isinstance(subject[0], dict):
        raise SignatureError(_no_envelope("its statement must be about exactly one file"))
    if set(subject[0]) != {"name", "digest"} or not isinstance(subject[0]["digest"], dict):
        raise SignatureError(_no_envelope("its subject must have a name and a sha256 digest, and nothing else"))
    require_name(subject[0]["name"], "The name of the signed file")
    require_name(predicate.get("signer"), "The signer's name")
    _require_time(predicate.get("time"))
    if subject[0]["digest"] != {"sha256": digest}:
        signed = str(subject[0]["digest"].get("sha256"))[:64]
        raise SignatureError(
            f"The signature is of other evidence: it names sha256:{signed}, and this is sha256:{digest}. Either the evidence was "
            "changed after signing, or the signature lies beside the wrong file."
        )
    return dict(predicate)


def require_name(name: Any, what: str) -> None:
    """Raise SignatureError unless `name` is one short printable line."""
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise SignatureError(f"{what} must be one line of at most {MAX_NAME} printable characters, not {name!r:.60}.")


def _require_time(time: Any) -> None:
    try:
        if isinstance(time, str) and len(time) <= 30 and time.endswith("Z"):
            datetime.fromisoformat(time)
            return
    except ValueError:
        pass
    raise SignatureError(_no_envelope("its time is not RFC 3339 in UTC"))


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise SignatureError(_no_envelope(f"{what} is not JSON")) from error
    if not isinstance(value, dict):
        raise SignatureError(_no_envelope(f"{what} is not a JSON object"))
    return value


def _base64(text: Any, what: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error) as error:
        raise SignatureError(_no_envelope(f"{what} is not base64")) from error
    if base64.b64encode(raw).decode() != text or not raw:
        raise SignatureError(_no_envelope(f"{what} is not plain base64"))
    return raw


def _no_envelope(why: str) -> str:
    return f"The signature file is no envelope of a signed verdict: {why}. Get it again from the signer."
