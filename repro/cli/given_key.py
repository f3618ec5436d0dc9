"""A public key that a reader gives, looked at before anything is checked with it."""

from pathlib import Path


def require_public_key(file: Path | None) -> None:
    """Refuse a file that is no public key: a slip of the reader says nothing against the evidence.

    Raises:
        SignatureError: if it is missing, private, of another kind, or no key.
    """
    if file is None:
        return
    try:
        from repro.cite.signing.keys import load_public_key, read_key_file
    except ImportError:
        return  # whoever checks says which packages are missing
    load_public_key(read_key_file(file), str(file))
