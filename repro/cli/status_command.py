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
    price: Annotated[
        float | None,
        typer.Option("--price", help="Of one GPU-hour, for the cost.", envvar="REPRO_GPU_PRICE", metavar="P"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (schema repro.status/1; with --stale, repro.stale/1).")
    ] = False,
) -> None:
    """Show how far attempts are, or which have become stale.

    Trials done, running and failed, time and cost so far and left, and the verdict, of every attempt launched from this
    directory; what failed, why, and the command that goes on. `repro watch` shows the same live. With --stale, of every
    attempt in the ledger and every published one: those whose claim, study, data or code have changed since.

    \b
    Examples:
      repro status
      repro status 'attention/*'
      repro status --price 3
      repro status --stale
    """
    if stale:
        _stale(pattern, as_json)
        return
    import time

    from repro.cli.course_view import course_json, status_view, tally_json
    from repro.cli.status_view import stale_line
    from repro.launch.course.survey import survey
    from repro.launch.planning.outlines import outlines_here
    from repro.launch.records.glimpses import Watcher
    from repro.ledger.fast import verdicts_by_attempt
    from repro.schema.places import records_dir

    now, verdicts = time.time(), verdicts_by_attempt()
    outlines, unreadable = outlines_here(pattern)
    look = Watcher(records_dir()).look(now)
    found, whole = survey(outlines.values(), look, {name: each.execution for name, each in verdicts.items()})
    for error in unreadable:
        print(f"error: {error}", file=sys.stderr)
    if as_json:
        from repro.cli.json_output import print_json

        rows = [course_json(course, now, price, verdicts.get(course.outline.attempt)) for course in found]
        print_json("status", attempts=rows, total=tally_json(whole, now, price))
    elif found:
        from rich.console import Console

        Console().print(status_view(found, whole, verdicts, now, price), soft_wrap=True)
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
