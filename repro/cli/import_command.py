"""`repro import`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.schema.plain_text import plain

if TYPE_CHECKING:
    from repro.cite.importing import Imported


def import_bundle(
    bundle: Annotated[Path, typer.Argument(help="Somebody's evidence: a zip, or a directory of its files.")],
    digest: Annotated[
        str | None, typer.Option("--digest", metavar="SHA256", help="The digest that a citation or badge names.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The producer's public key, from the producer.")
    ] = None,
    signature: Annotated[
        Path | None,
        typer.Option("--signature", metavar="FILE", help="The signature; by default BUNDLE.dsse.json, if it is there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.import/1).")] = False,
) -> None:
    """Take somebody else's evidence into the ledger.

    It is verified first, as repro verify does, and refused unless everything holds. Then it stands beside your own attempts,
    named ID~DIGEST and marked as theirs. It never counts as run here: none of its trials stands in for one of yours.

    Evidence that nothing vouches for, neither the digest in a citation nor the producer's key, is taken in but does not count for
    the state of its claim. Import it again with --digest or --key to change that; importing the same again changes nothing.

    \b
    Examples:
      repro import evidence.zip --digest sha256:9f2c...
      repro import evidence.zip --key lab.pub

    Exit codes: 0 it is in the ledger, or was; 2 it was refused.
    """
    from rich.console import Console

    from repro.cite.importing import import_bundle as take_in
    from repro.cite.signing.envelope import envelope_place, read_envelope
    from repro.cite.verification.verify_many import bundles_in, is_collection
    from repro.cli.given_key import require_public_key
    from repro.review.pictures.figures import interval_figure
    from repro.schema.errors import ReproError

    require_public_key(key)
    if is_collection(bundle) and (inside := bundles_in([bundle])):
        raise ReproError(
            f"{bundle} holds {len(inside)} bundles. Import one at a time, such as: repro import {inside[0]}"
        )
    beside = envelope_place(bundle)
    envelope = read_envelope(signature or beside) if signature or beside.is_file() else None
    with Console(stderr=True).status("Checking the evidence, then writing to the ledger …"):
        taken = take_in(bundle, digest=digest, public_key=key, envelope=envelope, figure=interval_figure)
    if as_json:
        _print_json(taken)
    else:
        _print(taken, bundle)


def _print_json(taken: "Imported") -> None:
    from repro.cli.json_output import attempt_json, print_json

    print_json(
        "import",
        standing=taken.standing,
        counts=taken.counts,
        evidence=taken.evidence,
        attempt=attempt_json([taken.attempt])[0],
        departures=taken.departures,
        claim_known=taken.claim_known,
        report=taken.report,
    )


def _print(taken: "Imported", bundle: Path) -> None:
    from repro.judge.reading import reading

    attempt = taken.attempt
    told = {
        "new": "Taken into the ledger as theirs:",
        "proven": "It was in the ledger as theirs, and its origin is proven now:",
        "known": "It is in the ledger as theirs already; nothing was changed:",
        "own": "This is your own attempt, to the last record; nothing was written:",
        "published": "It is among the published results that are read here; nothing was written:",
    }[taken.standing]
    print(f"{told} {plain(attempt.id)}")
    print(f"  verdict   {plain(reading(attempt))}")
    print(f"  evidence  sha256:{taken.evidence}")
    if taken.standing in ("new", "proven", "known"):
        print(f"  origin    {plain(_origin(taken, bundle))}")
    for number, departure in enumerate(taken.departures):
        print(f"  {'' if number else 'differs':<9} {plain(departure)}")
    if taken.departures:
        print("  It was judged by their seal, and is shown with it.")
    shown = f"repro show {shlex.quote(attempt.claim)}" if taken.claim_known else "repro pages"
    print(f"\nNext: {shown}")


def _origin(taken: "Imported", bundle: Path) -> str:
    origin = taken.attempt.provenance["origin"]
    if origin["checked_against"] == "key":
        return f'signed by "{origin["signed_by"]}" with the key that was given; it counts for the claim'
    if origin["checked_against"] == "digest":
        return "it is the evidence whose digest was given; it counts for the claim"
    name = shlex.quote(str(bundle))
    return f"unproven, so it does not count for the claim. To change that: repro import {name} --digest SHA256, or --key FILE"
