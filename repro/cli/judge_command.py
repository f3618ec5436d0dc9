"""`repro judge`."""

import sys
from typing import Annotated

import typer

from repro.cli.complete import complete_claims


def judge(
    claims: Annotated[list[str], typer.Argument(help="Claims or globs.", autocompletion=complete_claims)],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 unless every verdict is a match.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.run/1).")] = False,
) -> None:
    """Judge stored attempts again; run nothing.

    From their records, by the rule that was sealed.

    \b
    Examples:
      repro judge attention/quadratic_time
      repro judge 'chinchilla/*'
    """
    from repro.catalog.index import load_index
    from repro.cli.run_command import report
    from repro.launch.planning.stored import has_attempts
    from repro.launch.session import judge_again
    from repro.review.pictures.figures import interval_figure
    from repro.schema.errors import PlanError, ReproError
    from repro.schema.verdict import Attempt

    index = load_index()
    names = sorted({name for pattern in claims for name in index.expand(pattern)})
    launched = [name for name in names if has_attempts(name)]
    if not launched:
        raise PlanError(
            f"No attempt of {', '.join(claims)} was launched from this directory. Launch one: repro run {names[0]}"
        )
    attempts: list[Attempt] = []
    refused: list[ReproError] = []
    for name in launched:
        try:
            attempts += [item.attempt for item in judge_again(name, interval_figure)]
        except ReproError as error:
            refused.append(error)
    if attempts:
        report(attempts, as_json, strict)
    for refusal in refused:
        print(f"error: {refusal}", file=sys.stderr)
    if refused:
        raise typer.Exit(max(error.exit_code for error in refused))
