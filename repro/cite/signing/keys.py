"""ed25519 keys in PEM files, as `openssl genpkey -algorithm ed25519` makes and reads them.

Importing this reads cryptography and protobuf; command files import it late.
"""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from repro.cite.evidence.bundle import EvidenceError

MAX_KEY_BYTES = 16 * 2**10
"""Largest key file that is read."""


class SignatureError(EvidenceError):
    """A key that cannot be used, or a signature that does not hold."""


def make_key_pair(name: Path, passphrase: str | None) -> tuple[Path, Path, str]:
    """Write `NAME.key` (PKCS8 PEM, mode 0600) and `NAME.pub`, and overwrite neither.

    Args:
        name: path without suffix.
        passphrase: encrypts the private key; None or empty leaves it plain.

    Returns:
        The private file, the public file, and the key id.

    Raises:
        SignatureError: if one of the files exists or cannot be written.
    """
    private, public = new_pair(name)
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    _write_new(private, secret, 0o600)
    _write_new(public, public_pem(key.public_key()), 0o644)
    return private, public, key_id(key.public_key())


def new_pair(name: Path) -> tuple[Path, Path]:
    """Return the files that a new pair will have.

    Raises:
        SignatureError: if one of them exists.
    """
    private, public = (name.with_name(name.name + suffix) for suffix in (".key", ".pub"))
    for file in (private, public):
        if file.exists() or file.is_symlink():
            raise SignatureError(
                f"{file} exists already and is not overwritten: a lost private key cannot be made again. "
                "Choose another name, or move the old pair away."
            )
    return private, public


def is_encrypted(pem: bytes) -> bool:
    """Return whether a private key needs a passphrase."""
    return b"ENCRYPTED" in pem


def load_private_key(pem: bytes, where: str, passphrase: str | None = None) -> Ed25519PrivateKey:
    """Read a private key.

    Args:
        pem: content of the key file.
        where: name of the file, for the error.
        passphrase: used only where the key is encrypted.

    Raises:
        SignatureError: if it is no ed25519 private key, or the passphrase is missing or wrong.
    """
    if b"PUBLIC KEY" in pem:
        raise SignatureError(f"{where} holds a public key. Sign with the private one, NAME.key.")
    encrypted = is_encrypted(pem)
    if encrypted and not passphrase:
        raise SignatureError(f"{where} is encrypted. Give its passphrase at the prompt or in REPRO_KEY_PASSWORD.")
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        wrong = "the passphrase is wrong, or the file is damaged" if encrypted else "it is no private key in PEM"
        raise SignatureError(f"{where} cannot be used: {wrong}. Make a key with repro keygen NAME.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(_other_kind(where, type(key).__name__))
    return key


def load_public_key(pem: bytes, where: str) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        SignatureError: if it is no ed25519 public key.
    """
    if b"PRIVATE KEY" in pem:
        raise SignatureError(
            f"{where} holds a private key. Verifying needs the public one, NAME.pub; the private key stays with its owner."
        )
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{where} is no public key in PEM: get NAME.pub from the signer again.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(_other_kind(where, type(key).__name__))
    return key


def read_key_file(file: Path) -> bytes:
    """Return the content of a key file.

    Raises:
        SignatureError: if it is missing, unreadable, or too large to be a key.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise SignatureError(
            f"The key {file} cannot be read ({error.strerror or error}). repro keygen NAME makes a pair to sign with; the key to "
            f"verify with comes from whoever signed."
        ) from error
    if len(content) > MAX_KEY_BYTES:
        raise SignatureError(f"{file} is larger than any key ({MAX_KEY_BYTES >> 10} KiB): it is another file.")
    return content


def public_pem(key: Ed25519PublicKey) -> bytes:
    """Return the one PEM spelling of a public key."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the sha256 of the public key in DER, as `openssl pkey -pubin -in NAME.pub -outform DER | sha256sum` prints it."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _write_new(file: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise SignatureError(f"{file} cannot be written ({error.strerror or error}).") from error


def _other_kind(where: str, name: str) -> str:
    kind = name.removesuffix("PrivateKey").removesuffix("PublicKey")
    return f"{where} holds a key of kind {kind}; signatures of evidence are ed25519 alone. Make a pair with repro keygen NAME."
