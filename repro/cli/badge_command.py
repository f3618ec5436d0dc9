"""`repro badge`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from repro.cite.results.badge import Badge


def _complete(incomplete: str) -> list[str]:
    from repro.catalog.index import load_index

    claims = load_index().claims
    names = [*claims, *sorted({entry.paper for entry in claims.values()} - set(claims))]
    return [name for name in names if name.startswith(incomplete)]


def badge(
    name: Annotated[str, typer.Argument(metavar="CLAIM|PAPER", help="A claim, or a paper.", autocompletion=_complete)],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what a shields server asks for (endpoint schema 1), not SVG.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file.", dir_okay=False)] = None,
) -> None:
    """Draw a badge of what a claim or a paper has come to.

    Green and red are decided verdicts that hold today; all else is grey: inconclusive, not run, blocked, stale, disputed. The
    pages hold the badge of every claim and paper under badge/ (`repro pages`), for READMEs to link to.

    \b
    Examples:
      repro badge chinchilla/tokens_per_parameter --out tokens.svg
      repro badge chinchilla > chinchilla.svg
      repro badge chinchilla --json
    """
    import json

    from repro.cite.results.badge import endpoint, svg
    from repro.schema.files import write_atomically

    drawn = _badge(name)
    text = json.dumps(endpoint(drawn), indent=2) + "\n" if as_json else svg(drawn)
    if out is not None:
        write_atomically(out, text)
        print(f"wrote {out}: {drawn.label}, {drawn.message}")
    else:
        sys.stdout.write(text)


def _badge(name: str) -> "Badge":
    from repro.catalog.index import load_index
    from repro.catalog.load import load_claim, load_papers, load_studies
    from repro.review.facts.badges import claim_badge_of, paper_badge_of
    from repro.review.load import book_of
    from repro.schema.errors import ConfigError, nearest

    known = load_index().claims
    of_paper = [claim for claim, entry in known.items() if entry.paper == name]
    if name not in known and not of_paper:
        papers = {entry.paper for entry in known.values()}
        raise ConfigError(f"There is no claim and no paper '{name}'.{nearest(name, [*known, *papers])}")
    wanted = [name] if name in known else of_paper
    book = book_of(
        [load_claim(claim) for claim in wanted], load_papers(), load_studies(), name if name in known else None
    )
    for problem in (text for problems in book.problems.values() for text in problems):
        print(f"error: {problem}", file=sys.stderr)
    return claim_badge_of(book, book.claims[name]) if name in known else paper_badge_of(book, name)
