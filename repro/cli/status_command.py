"""`repro status`."""

import sys
from typing import Annotated

import typer

from repro.cli.complete import complete_claims


def status(
    pattern: Annotated[
        str, typer.Argument(help="A glob over claim names, in quotes.", autocompletion=complete_claims)
    ] = "*",
    stale: Annotated[
        bool, typer.Option("--stale", help="List what has changed since it was sealed, why, and how to run it again.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (schema repro.status/1; with --stale, repro.stale/1).")
    ] = False,
) -> None:
    """Show how far attempts are, or which have become stale.

    Trials done, running and failed, and the verdict, of every attempt launched from this directory. With --stale, of every
    attempt in the ledger and every published one: those whose claim, study, data or code have changed since.

    \b
    Examples:
      repro status
      repro status 'attention/*'
      repro status --stale
    """
    if stale:
        _stale(pattern, as_json)
        return
    from repro.cli.status_view import stale_line, status_rows, status_table
    from repro.ledger.fast import latest_verdicts

    rows, unreadable = status_rows(pattern, latest_verdicts())
    for error in unreadable:
        print(f"error: {error}", file=sys.stderr)
    if as_json:
        from repro.cli.json_output import print_json

        print_json("status", attempts=rows)
    elif rows:
        from rich.console import Console

        Console().print(status_table(rows))
    elif not unreadable:
        which = "Nothing" if pattern == "*" else f"No attempt of {pattern}"
        print(f"{which} was launched from this directory yet. Start with: repro demo")
    if not as_json and (line := stale_line(pattern)):
        print(line)
    if unreadable:
        raise typer.Exit(max(error.exit_code for error in unreadable))


def _stale(pattern: str, as_json: bool) -> None:
    from rich.console import Console

    from repro.cli.status_view import stale_rows, stale_view

    with Console(stderr=True).status("comparing every seal with the one that would be made today"):
        rows, known = stale_rows(pattern)
    if as_json:
        from repro.cli.json_output import print_json

        print_json("stale", attempts=rows, known=known)
    else:
        Console().print(stale_view(rows, known, pattern), soft_wrap=True)
