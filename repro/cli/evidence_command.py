"""`repro evidence`."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from repro.cite.evidence.plain_markdown import one_line
from repro.cli.complete import complete_attempts


def evidence(
    attempt: Annotated[
        str,
        typer.Argument(
            help="An attempt's id, or a claim: then its latest attempt that was judged here.",
            autocompletion=complete_attempts,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The zip to write, or a directory that is there already; else a name from the attempt."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.evidence/1).")] = False,
) -> None:
    """Write the evidence of an attempt as one zip.

    It holds what a stranger needs to judge again: the claim as it was sealed, every trial (failed ones too), the recipe's source,
    estimate, verdict, controls, figure, and a page that explains it all. The same attempt gives the same bytes,
    so its sha256 can be cited (docs/evidence.md).

    \b
    Examples:
      repro evidence bayes/positive_predictive_value
      repro evidence 'toy/mean@replicate@cpu-1a2b3c4d-1' --out evidence.zip
      repro verify evidence.zip
    """
    from rich.console import Console

    from repro.cite.evidence.content import evidence_of, homes_named, read_dossier
    from repro.cli.json_output import print_json
    from repro.judge.reading import reading

    with Console(stderr=True).status("Gathering the trials …"):
        name = _attempt_named(attempt)
        bundle = evidence_of(name)
        verdict = reading(read_dossier(bundle).attempt)
        imported = "~" in name
        place = _place(out, name)
        new = _write(place, bundle.packed)
    homes = homes_named(bundle)
    if as_json:
        print_json(
            "evidence",
            attempt=name,
            file=str(place),
            bytes=len(bundle.packed),
            sha256=bundle.digest,
            files=sorted(bundle.files),
            names_home_directories=homes,
        )
        return
    print(f"{'Wrote' if new else 'There already, with the same bytes:'} {place}")
    print(f"  attempt  {one_line(name)}")
    print(f"  verdict  {one_line(verdict)}")
    print(f"  size     {_size(len(bundle.packed))}, {len(bundle.files)} files")
    print(f"  sha256   {bundle.digest}")
    if homes:
        print(
            f"\nNote: {', '.join(homes)} names a home directory, in the error of a trial or in a config. It cannot be cut "
            f"out, because records carry digests. Look at it before you give this away.",
        )
    file = shlex.quote(str(place))
    print("\nNext:")
    print(f"  repro verify {file}")
    print("      judges it again from its trials; anyone can, without GPU, store or network")
    if imported:
        print("  It was imported: hand it on as it is, with the signature that came with it.")
        return
    print(f'  repro sign {file} --key YOU.key --as "Your Name"')
    print("      says who vouches for it; repro keygen makes a key")
    print(f"  repro publish {shlex.quote(name)}")
    print("      puts it among the published results, where pages and citations find it")


def _attempt_named(name: str) -> str:
    """Return the id of the attempt that a word names: an id, or a claim's latest attempt that was judged and not imported.

    Raises:
        StoreError: if the claim has none.
    """
    from repro.ledger.read import load_attempts
    from repro.schema.errors import StoreError

    if "@" in name:
        return name
    found = load_attempts(name)
    judged = [attempt for attempt in found if attempt.verdict is not None]
    ours = [attempt for attempt in judged if "origin" not in attempt.provenance]
    if ours:
        return ours[-1].id
    if judged:
        raise StoreError(
            f"Nobody judged {name} here; there are imported attempts. Name one to have its evidence again: "
            f"repro evidence '{judged[-1].id}'"
        )
    from repro.catalog.index import load_index

    (claim,) = load_index().expand(name)  # names the nearest if there is none
    tried = f"none of its {len(found)} attempts was judged" if found else "nobody tried it here"
    raise StoreError(f"There is no evidence of {claim}: {tried}. Run it: repro run {claim}.")


def _place(out: Path | None, name: str) -> Path:
    """Return the file to write: the one that was named, in the directory that was named, or named after the attempt."""
    own = f"{name.replace('/', '.')}.zip"
    if out is None:
        return Path(own)
    return out / own if out.is_dir() else out


def _write(place: Path, content: bytes) -> bool:
    """Write a file whole or not at all; say whether it was not there yet.

    Raises:
        StoreError: if another file has its name: a signature may lie beside it.
    """
    from repro.schema.errors import StoreError

    if place.exists():
        if place.is_file() and place.read_bytes() == content:
            return False
        raise StoreError(
            f"{place} is there already and holds something else. Remove it, or name another place: --out FILE."
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.new")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
