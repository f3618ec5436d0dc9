"""`repro cite`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_attempts, complete_claims
from repro.schema.claim import SCALES

if TYPE_CHECKING:
    from repro.cite.citation.facts import Citation

FORMAT_NAMES = ("bibtex", "cff", "csl", "ris", "markdown", "sentence")


def _complete_formats(incomplete: str) -> list[str]:
    return [name for name in FORMAT_NAMES if name.startswith(incomplete)]


def _complete_scales(incomplete: str) -> list[str]:
    return [name for name in SCALES if name.startswith(incomplete)]


def cite(
    claim: Annotated[
        str,
        typer.Argument(help="A claim, as `repro list` names it, or one attempt at it.", autocompletion=complete_claims),
    ],
    format_name: Annotated[
        str,
        typer.Option(
            "--format", help=", ".join(FORMAT_NAMES) + ".", metavar="FORMAT", autocompletion=_complete_formats
        ),
    ] = "bibtex",
    attempt: Annotated[
        str | None, typer.Option(help="Cite this attempt.", metavar="ID", autocompletion=complete_attempts)
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="Cite an attempt of this protocol.", metavar="P")] = None,
    scale: Annotated[
        str | None, typer.Option(help="Cite an attempt of this scale.", metavar="S", autocompletion=_complete_scales)
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Where the evidence lies, if not among the published results.", metavar="URL")
    ] = None,
    by: Annotated[str, typer.Option(help="Whose result it is: a person or a group.", metavar="NAME")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.cite/1).")] = False,
) -> None:
    """Cite a paper and its verified result together.

    Cited is the last decision at the largest scale. Only a verified result can be cited, a mismatch as well as a match;
    of anything else it says what is missing, and exits with 1. The citation names what came out otherwise.

    \b
    Formats:
      bibtex    two entries for LaTeX, the paper and the result
      cff       a CITATION.cff; its references can be copied into yours
      csl       CSL-JSON for Zotero, pandoc and citation processors
      ris       for EndNote, Mendeley and Zotero
      markdown  a paragraph for a README or a review
      sentence  plain text for a paper
    \b
    Examples:
      repro cite chinchilla/tokens_14x_gpt3 >> refs.bib
      repro cite chinchilla/tokens_14x_gpt3 --format sentence
      repro cite gpt3/training_flops --address https://example.org/evidence.zip
    """
    from repro.cite.citation.formats import FORMATS, all_formats
    from repro.schema.errors import ConfigError, nearest

    if format_name not in FORMATS:
        raise ConfigError(f"There is no format '{format_name}'.{nearest(format_name, FORMATS)}")
    name, at, _ = claim.partition("@")
    if at:
        if attempt not in (None, claim):
            raise ConfigError(f"Two attempts are named, {claim} and {attempt}. Name one.")
        attempt = claim
    made = _made(name, attempt, protocol, scale, address, by)
    if as_json:
        from repro.cli.json_output import print_json

        print_json("cite", citation=made, formats=all_formats(made))
        return
    sys.stdout.write(FORMATS[format_name](made))
    _remark(made)


def _made(
    claim: str, attempt: str | None, protocol: str | None, scale: str | None, address: str | None, by: str
) -> "Citation":
    from repro.catalog.index import load_index
    from repro.cite.citation.citable import checked_address
    from repro.cite.citation.facts import cite_claim
    from repro.cite.citation.known import known_of, with_evidence
    from repro.launch.staleness import stale_attempts
    from repro.ledger.read import load_known
    from repro.review.addresses import claim_address
    from repro.schema.errors import ConfigError

    address = None if address is None else checked_address(address)
    found = load_known(claim)
    if not found:
        named = load_index().expand(claim)  # names the nearest claim where there is none of this name
        if named != (claim,):
            raise ConfigError(f"'{claim}' means {len(named)} claims; a citation is of one, such as {named[0]}.")
    known = known_of(claim, claim_address(claim), found, stale_attempts(each.attempt for each in found))
    known = with_evidence(known, found, attempt=attempt, protocol=protocol, scale=scale, address=address)
    return cite_claim(known, attempt=attempt, protocol=protocol, scale=scale, by=by)


def _remark(made: "Citation") -> None:
    """Say beside the citation what a person should know who pastes it."""
    print(f"cited: {made.attempt} ({made.outcome}: {made.verdict})", file=sys.stderr)
    for text in made.contrary:
        print(f"came out otherwise: {text}", file=sys.stderr)
    if not made.web_address:
        print(
            f"its evidence is cited by its place in the repository, {made.address}; name the site of the published pages in "
            f"REPRO_SITE, or where the evidence lies with --address URL, to cite a web page",
            file=sys.stderr,
        )
    unchecked = sum("not yet checked" in part.source for part in made.parts)
    if unchecked:
        print(
            f"{unchecked} of {len(made.parts)} published values not yet checked against the paper; the citation says so. To change "
            f'that: repro source {made.claim} --verified "WHO, WHERE"',
            file=sys.stderr,
        )
