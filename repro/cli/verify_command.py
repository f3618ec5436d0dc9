"""`repro verify`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.schema.errors import ReproError

if TYPE_CHECKING:
    from repro.cite.verification.findings import Report


def verify(
    bundles: Annotated[
        list[Path],
        typer.Argument(help="A zip, a directory of published files, or a directory that holds many of either."),
    ],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.verify/1).")] = False,
) -> None:
    """Check evidence: recompute its verdict from its rows.

    And every file from what it is made of. Needs no GPU, no MLflow and no network, and runs nothing that it brings. Each thing that was checked is told
    in a sentence: ✓ it holds, ✗ it does not, ? it cannot be checked here, · nobody but the producer can know.

    Evidence that only agrees with itself may still be made up: compare it with the digest in the citation, or with the
    producer's key, and any change of any byte is found.

    \b
    Examples:
      repro verify evidence.zip --digest sha256:9f2c...
      repro verify evidence.zip --key lab.pub
      repro verify docs/results

    Exit codes: 0 everything that can be checked holds; 1 something does not; 2 it cannot be read, or not be checked here.
    """
    from repro.cite.verification.verify_many import bundles_in, is_collection, verify_place
    from repro.cli.given_key import require_public_key

    for place in bundles:
        if not place.exists() and _names_attempts(str(place)):
            raise ReproError(
                f"There is no file {place}. To check an attempt, make its evidence first: repro evidence {place}"
            )
    require_public_key(key)
    places = bundles_in(bundles)
    if len(places) != 1 and (digest or signature):
        raise ReproError(f"--digest and --signature are of one bundle, and {len(places)} were named. Name one.")
    if len(places) == 1 and not any(map(is_collection, bundles)):
        checked = [(places[0], verify_place(places[0], digest, key, signature))]
        if not as_json:
            from repro.cli.verify_view import print_report

            print_report(*checked[0])
    else:
        checked = _many(bundles, places, digest, key, signature, quiet=as_json)
    if as_json:
        from repro.cli.json_output import print_json

        print_json("verify", bundles=[{"place": str(place), **vars(report)} for place, report in checked])
    codes = {report.exit_code for _, report in checked}
    raise typer.Exit(1 if 1 in codes else max(codes, default=0))


def _names_attempts(name: str) -> bool:
    """Say whether an attempt has this name, or is at a claim of this name."""
    from repro.ledger.fast import known_names

    return any(name in (known, known.partition("@")[0]) for known in known_names())


def _many(
    named: list[Path], places: list[Path], digest: str | None, key: Path | None, signature: Path | None, quiet: bool
) -> "list[tuple[Path, Report]]":
    """Verify many bundles with progress on stderr, a line each as they are done, and a summary."""
    from rich.console import Console
    from rich.progress import Progress

    from repro.cite.verification.verify_many import against_index, verify_many, verify_place
    from repro.cli.verify_view import line, summary

    out, started = Console(highlight=False, quiet=quiet), time.monotonic()
    checked: list[tuple[Path, Report]] = []
    if digest or signature:
        checked = [(place, verify_place(place, digest, key, signature)) for place in places]
    else:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            count = progress.add_task("verifying", total=len(places))
            for item in verify_many(places, key):
                checked.append(item)
                progress.advance(count)
    for place in named:
        checked = against_index(place, checked) if place.is_dir() else checked
    checked.sort(key=lambda item: str(item[0]))
    for item in checked:
        out.print(line(*item))
    out.print(summary(checked, time.monotonic() - started))
    return checked
