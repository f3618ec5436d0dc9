"""`repro calibrate`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_claims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.progress import TaskID

    from repro.launch.calibration.calibrate import Wanted
    from repro.schema.calibration import Calibration, Scenario
    from repro.schema.errors import ReproError
    from repro.schema.verdict import Sealed

MOST_IN_WORDS = 4
"""Calibrations that are told in sentences; of more there is the table alone."""


def calibrate(
    words: Annotated[
        list[str], typer.Argument(help="CLAIM[@PROTOCOL[@SCALE]], with globs.", autocompletion=complete_claims)
    ],
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws", min=1, help="Simulated attempts a case; by default 40 to 400, as many as ten seconds allow."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Compute anew what was computed before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.calibrate/1).")] = False,
) -> None:
    """Measure how often a protocol decides rightly.

    Simulates attempts in which the claim is true, false by its margin, and false by each rival's value, with the noise and the
    number of runs of the last attempt, and lets the very estimator and rule decide that judged it. The rates go to the
    ledger, and to the claim's page.

    \b
    Examples:
      repro calibrate attention/quadratic_time
      repro calibrate chinchilla/isoflop_params_exponent@retrain@gpu --draws 400
      repro calibrate 'chinchilla/*'
    """
    from rich.console import Console

    from repro.catalog.index import load_index
    from repro.launch.calibration.calibrate import find
    from repro.ledger.write import record_calibrations

    wanted, unreadable = find(words, load_index())
    found, refused = calibrate_all(wanted, draws, again)
    refused = [*unreadable, *refused]
    if found:
        record_calibrations([calibration for calibration, _ in found])
    if as_json:
        from repro.cli.json_output import print_json

        print_json("calibrate", calibrations=[calibration for calibration, _ in found])
    elif found:
        console = Console()
        console.print(view(found))
    for refusal in refused:
        print(f"error: {refusal}", file=sys.stderr)
    if refused:
        raise typer.Exit(max(error.exit_code for error in refused))


def calibrate_all(
    wanted: "Sequence[Wanted]", draws: int | None, again: bool
) -> "tuple[list[tuple[Calibration, Sealed]], list[ReproError]]":
    """Calibrate protocols one after the other, showing on stderr how far it is and the time left.

    Args:
        wanted: the protocols.
        draws: simulated attempts a scenario; None for as many as ten seconds allow.
        again: compute anew what was computed before.

    Returns:
        What was calibrated, and the errors of what could not be.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from repro.launch.calibration.calibrate import calibration_of
    from repro.schema.errors import EstimateError, ReproError

    found: list[tuple[Calibration, Sealed]] = []
    refused: list[ReproError] = []
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %")
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        for item in wanted:
            task = progress.add_task(item.name, total=None)
            try:
                template = item.template()

                def on_draw(done: int, total: int, task: "TaskID" = task) -> None:
                    progress.update(task, completed=done, total=total)

                calibration, _ = calibration_of(template, draws, again, on_draw)
                found.append((calibration, template.sealed))
                progress.update(task, completed=1, total=1)
            except EstimateError as error:
                refused.append(EstimateError(f"{item.name} cannot be calibrated: {error}"))
            except ReproError as error:
                refused.append(error)
            except KeyboardInterrupt:
                progress.console.print(
                    "Stopped. What was finished is kept; with --draws a calibration takes as long as you like.",
                    markup=False,
                )
                raise typer.Exit(130) from None
            finally:
                progress.remove_task(task)
    return found, refused


def view(found: "Sequence[tuple[Calibration, Sealed]]") -> "RenderableType":
    """Return calibrations as people read them: sentences for a few, and a table for several."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from repro.review.facts.rates import made_of, sentences

    parts: list[RenderableType] = []
    if len(found) <= MOST_IN_WORDS:
        for calibration, sealed in found:
            parts.append(Text(_name(calibration), style="bold"))
            parts += [Padding(Text(sentence), (0, 0, 0, 2)) for _, sentence in sentences(calibration, sealed)]
            made = " ".join(filter(None, (made_of(calibration), calibration.note)))
            parts += [Padding(Text(made, style="dim"), (0, 0, 0, 2)), Text("")]
    if len(found) > 1:
        parts.append(table([calibration for calibration, _ in found]))
    return Group(*parts)


def table(calibrations: "Sequence[Calibration]") -> "RenderableType":
    """Return the rates of several protocols, the worse of above and below, and of several rivals."""
    from rich.table import Column, Table

    shown = Table(
        Column("of 100 attempts", overflow="fold"),
        "true:\nmatches",
        "margin:\nmatches",
        "margin:\nnotices",
        "rival:\nnotices",
        "true:\nundecided",
        box=None,
        header_style="dim",
        caption="true: the claim is true; margin: it is false by just its margin; rival: by a rival's value. In brackets 95 % "
        "intervals.",
        caption_justify="left",
    )
    for calibration in calibrations:
        of = {truth: [s for s in calibration.scenarios if s.truth == truth] for truth in ("true", "margin", "rival")}
        shown.add_row(
            f"{calibration.claim}\n  {calibration.protocol}@{calibration.scale}",
            _most(of["true"], "match"),
            _most(of["margin"], "match"),
            _least(of["margin"], "mismatch"),
            _least(of["rival"], "mismatch") or "no rival",
            _most(of["true"], "inconclusive"),
        )
    return shown


def _most(scenarios: "Sequence[Scenario]", outcome: str) -> str:
    return _cell(max(scenarios, key=lambda s: _share(s, outcome)), outcome) if scenarios else ""


def _least(scenarios: "Sequence[Scenario]", outcome: str) -> str:
    return _cell(min(scenarios, key=lambda s: _share(s, outcome)), outcome) if scenarios else ""


def _share(scenario: "Scenario", outcome: str) -> float:
    return float(getattr(scenario, outcome)) / scenario.draws


def _cell(scenario: "Scenario", outcome: str) -> str:
    """Return a rate out of 100 with its interval; `always` or `never` where one draw tells all."""
    from repro.judge.calibrate import rate_interval

    count = int(getattr(scenario, outcome))
    if scenario.draws == 1:
        return "always" if count else "never"
    rate, low, high = (100 * x for x in (count / scenario.draws, *rate_interval(count, scenario.draws)))
    return f"{_hundreds(rate)}\n({_hundreds(low)}–{_hundreds(high)})"


def _hundreds(rate: float) -> str:
    """Return a rate without decimals, unless it would then read as never or always."""
    return f"{rate:.{1 if 0 < rate < 1.5 or 98.5 < rate < 100 else 0}f}".removesuffix(".0")


def _name(calibration: "Calibration") -> str:
    return f"{calibration.claim}@{calibration.protocol}@{calibration.scale}"
