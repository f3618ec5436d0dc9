"""`repro status`."""

import sys
from typing import Annotated

import typer

from repro.cli.complete import complete_claims


def status(
    pattern: Annotated[
        str, typer.Argument(help="A glob over claim names, in quotes.", autocompletion=complete_claims)
    ] = "*",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.status/1).")] = False,
) -> None:
    """Show how far the launched attempts are.

    Trials done, running and failed, and the verdict, of every attempt launched from this directory.

    \b
    Examples:
      repro status
      repro status 'attention/*'
    """
    from repro.cli.status_view import status_rows, status_table
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
    if unreadable:
        raise typer.Exit(max(error.exit_code for error in unreadable))
