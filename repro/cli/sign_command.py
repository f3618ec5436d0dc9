"""`repro sign`."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def sign(
    bundle: Annotated[Path, typer.Argument(help="An evidence zip, or a directory of published results.")],
    key: Annotated[Path, typer.Option("--key", help="Your private key, from repro keygen or openssl.")],
    who: Annotated[str, typer.Option("--as", help="Your name, as readers shall see it.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write the signature; else beside the bundle, BUNDLE.dsse.json."),
    ] = None,
) -> None:
    """Sign evidence and its verdict.

    Writes an in-toto statement in a DSSE envelope beside the bundle (docs/attestation.md). Evidence that repro verify finds
    wrong is not signed. Where a signature lies there already, yours is added to the same statement if it bears the same
    name. A signature proves who signed, not that the verdict is true.

    \b
    Example:
      repro keygen ada
      repro evidence bayes/positive_predictive_value --out evidence.zip
      repro sign evidence.zip --key ada.key --as "Ada Lovelace"
      repro verify evidence.zip --key ada.pub
    """
    from repro.cite.evidence.bundle import read_bundle
    from repro.cite.signing.attest import sign as sign_bundle
    from repro.cite.signing.envelope import envelope_place, read_envelope, write_envelope

    place = out or envelope_place(bundle)
    existing = read_envelope(place) if place.exists() else None
    content = read_bundle(bundle)
    envelope = sign_bundle(
        content, key, who, passphrase=_passphrase(key), name=bundle.resolve().name, existing=existing
    )
    write_envelope(envelope, place)
    signatures = len(envelope["signatures"])
    print(f"Signed sha256:{content.digest}")
    print(f"Wrote {place}{f' (now {signatures} signatures)' if signatures > 1 else ''}")
    own = () if out is None else ("--signature", str(place))
    print(f"Check it: {shlex.join(('repro', 'verify', str(bundle), '--key', str(key.with_suffix('.pub')), *own))}")


def _passphrase(key: Path) -> str | None:
    """Return the passphrase of a key file; None where it needs none, or nobody can be asked."""
    from repro.cite.signing.keys import is_encrypted, read_key_file

    if not is_encrypted(read_key_file(key)):
        return None
    given = os.environ.get("REPRO_KEY_PASSWORD")
    if given or sys.stdin is None or not sys.stdin.isatty():
        return given
    asked: str = typer.prompt(f"Passphrase of {key}", hide_input=True)
    return asked
