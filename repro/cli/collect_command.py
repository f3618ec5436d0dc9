"""`repro collect`."""

from pathlib import Path
from typing import Annotated

import typer


def collect(
    records: Annotated[Path, typer.Argument(help="Directory of records that a worker wrote.")],
    plan: Annotated[Path, typer.Option("--plan", help="The plan file that the worker ran.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 unless every verdict is a match.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.run/1).")] = False,
) -> None:
    """Bring home and judge records of another machine.

    Records that were edited, or that belong to another plan, are refused, and nothing is taken over.

    \b
    Example:
      repro collect records/ --plan plan.json
    """
    from repro.cli.run_command import report
    from repro.launch.collect import take_over
    from repro.launch.session import conclude_plan
    from repro.review.pictures.figures import interval_figure

    taken = take_over(records, plan)
    concluded = conclude_plan(taken, interval_figure)
    report([item.attempt for item in concluded], as_json, strict)
