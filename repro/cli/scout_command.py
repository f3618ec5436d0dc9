"""`repro scout`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repro.cli.complete import complete_scout

if TYPE_CHECKING:
    from repro.launch.scouting.findings import Budget, Rates
    from repro.launch.scouting.scout import Scouting
    from repro.schema.trial import TrialRecord


def scout(
    words: Annotated[
        list[str],
        typer.Argument(
            help="A study; budgets in FLOPs (default: all); scale=, executor=, and fields of its recipe, as lr=0.04",
            autocompletion=complete_scout,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run nothing: write the runs to this plan file, for a worker elsewhere."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="With --out: write the data that the runs need into this directory.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option("--records", help="Where the runs' records are (default: .repro/scout).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.scout/1).")] = False,
) -> None:
    """Scout a study's sizes and learning rate on unsealed runs.

    At each budget a coarse grid of sizes shows N*, the size of lowest loss, and whether the study's own grid is centred on
    it: the minimum inside, two sizes or more on each side. A sweep at the smallest budget shows whether the best learning
    rate is at its edge. Then come the lines to put into the study. Do this before anything is sealed.

    Scout runs have seeds from 1000, which no sealed trial has, and records of their own: they are no evidence and
    never reach the ledger. Run again to resume.

    \b
    Examples:
      repro scout scaling_laws/isoflop scale=cpu executor=processes
      repro scout scaling_laws/isoflop scale=cpu 5e10 1.5e11 lr=0.04
      repro scout scaling_laws/isoflop scale=gpu --out scout.json --data data/
        there:     REPRO_DATA=data/ python -m repro.launch.worker scout.json --out records/
        back here: repro scout scaling_laws/isoflop scale=gpu --records records/
    """
    from rich.console import Console

    from repro.launch.records.store import RecordStore
    from repro.launch.scouting.scout import scouting_of
    from repro.schema.errors import PlanError
    from repro.schema.places import home_dir

    study, scale, budgets, rest = _sorted(words)
    if data is not None and out is None:
        raise PlanError("--data goes with --out: the data are taken along with the plan file.")
    with Console(stderr=True).status("laying out"):
        scouting = scouting_of(study, scale, budgets, rest)
    if out is not None:
        _write(scouting, out, data, " ".join(words))
        return
    store = RecordStore(records or home_dir() / "scout")
    _train(scouting, store)
    found = [record for spec in scouting.trials if (record := store.find(spec, "")) is not None]
    if as_json:
        _print_json(scouting, found)
    else:
        _print_findings(scouting, found)
    if len(found) < len(scouting.trials):
        typer.echo(f"error: {len(scouting.trials) - len(found)} runs failed; run again to retry them.", err=True)
        raise typer.Exit(3)


def _sorted(words: Sequence[str]) -> tuple[str, str | None, list[float], list[str]]:
    """Return study, scale, budgets, and the words that remain."""
    from repro.catalog.load import config_files
    from repro.schema.errors import ConfigError, nearest

    study: str | None = None
    scale: str | None = None
    budgets: list[float] = []
    rest: list[str] = []
    for word in words:
        if word.startswith("scale="):
            scale = word.removeprefix("scale=")
        elif "=" in word:
            rest.append(word)
        elif (budget := _number(word)) is not None:
            budgets.append(budget)
        elif study is None:
            study = word
        else:
            raise ConfigError(f"'{word}' is no budget in FLOPs; one study is scouted at a time, and '{study}' is it.")
    studies = config_files("study")
    if study is None or study not in studies:
        said = (
            f"There is no study '{study}'.{nearest(study, studies)}"
            if study
            else "Name a study, as scaling_laws/isoflop."
        )
        raise ConfigError(said)
    return study, scale, budgets, rest


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _write(scouting: "Scouting", out: Path, data: Path | None, words: str) -> None:
    from repro.cli.plan_command import carry
    from repro.launch.planning.planfile import write_plan

    write_plan(scouting.plan, out)
    carried = carry(scouting.trials, data) if data is not None else ""
    there = f"REPRO_DATA={data.name}/ " if data is not None and carried else ""
    print(f"{len(scouting.trials)} scout runs written to {out}; nothing is sealed.{carried} Where they shall run:")
    print(f"  {there}python -m repro.launch.worker {out.name} --out records/")
    print(f"Back here:\n  repro scout {words} --records records/")


def _train(scouting: "Scouting", store: Any) -> None:
    """Run what has no record yet, showing how far it is."""
    from repro.cli.progress import watching
    from repro.launch.executors import execute
    from repro.launch.running.trials import check_spec
    from repro.launch.session import fetch_data

    missing = scouting.missing(store)
    if not missing:
        return
    for spec in missing:
        check_spec(spec)
    fetch_data(scouting.plan)
    with watching(store, missing, "To go on, run the same command again") as on_record:
        for record in execute(missing, scouting.plan, store, scouting.executor):
            on_record(record)


def _print_findings(scouting: "Scouting", records: "Sequence[TrialRecord]") -> None:
    from rich.console import Console
    from rich.table import Table

    from repro.judge.numbers import significant
    from repro.launch.scouting.findings import budgets_of, rates_of

    console = Console()
    study, scale = scouting.study.id, scouting.scale.name
    console.print(f"[bold]{study}[/bold] at {scale}: {len(records)} scout runs, unsealed and no evidence\n")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("budget", "sizes tried", "N*", "the study's sizes", "below N*", "above", "centred"):
        table.add_column(name, justify="right" if name in ("N*", "below N*", "above") else "left", overflow="fold")
    budgets = budgets_of(scouting, records)
    for budget in budgets:
        known = budget.optimum is not None
        table.add_row(
            significant(budget.flops, 3),
            _range(budget.tried),
            _round(budget.optimum),
            _range(budget.grid),
            str(budget.smaller) if known else "",
            str(budget.larger) if known else "",
            "yes" if budget.centred else "no",
        )
    console.print(table)
    for line in filter(None, map(_what_is_wrong, budgets)):
        console.print(line, highlight=False)
    sweeps = rates_of(records)
    for sweep in sweeps:
        console.print(_rate_line(sweep), highlight=False)
    lines = _yaml_lines(scouting, budgets, sweeps)
    if lines:
        console.print(f"\nFor conf/study/{study}.yaml, under scales.{scale}.params:", highlight=False)
        for line in lines:
            console.print(f"  {line}", highlight=False, soft_wrap=True, markup=False)


def _range(sizes: Sequence[float]) -> str:
    return f"{len(sizes)}: {_round(sizes[0])} to {_round(sizes[-1])}" if sizes else "none"


def _round(size: float | None) -> str:
    """Return a number of parameters to three digits, for people."""
    from repro.judge.numbers import significant

    return significant(None if size is None else float(f"{size:.3g}"))


def _what_is_wrong(budget: "Budget") -> str:
    """Say what keeps a budget's grid from being centred; empty where nothing does."""
    from repro.judge.numbers import significant
    from repro.launch.scouting.findings import BESIDE

    wrong = []
    if budget.optimum is None:
        wrong.append(f"N* is unknown, for {budget.problem.replace('of the grid', 'that was tried')}")
    elif not budget.centred:
        sides = [side for side, sizes in (("below", budget.smaller), ("above", budget.larger)) if sizes < BESIDE]
        wrong.append(f"the study has fewer than {BESIDE} sizes {' and '.join(sides)} N*")
    if budget.diverged:
        wrong.append(f"{budget.diverged} run{'' if budget.diverged == 1 else 's'} diverged")
    return f"At {significant(budget.flops, 3)} FLOPs {'; '.join(wrong)}." if wrong else ""


def _rate_line(sweep: "Rates") -> str:
    from repro.judge.numbers import significant

    tried = ", ".join(f"{loss:.4f} at lr={rate:.3g}" for rate, loss in zip(sweep.rates, sweep.losses, strict=True))
    where = f"N = {_round(sweep.params)} at {significant(sweep.flops, 3)} FLOPs: {tried}"
    if not sweep.at_edge:
        return where
    return f"{where}. The best is at the sweep's edge: scout again with lr={sweep.best:.3g}"


def _yaml_lines(scouting: "Scouting", budgets: "Sequence[Budget]", sweeps: "Sequence[Rates]") -> list[str]:
    """Return the lines for the study's file, with a question mark for what these runs do not tell."""
    from repro.launch.scouting.findings import best_rate, first_sizes

    lines = []
    if scouting.ladder:
        firsts = first_sizes(scouting, budgets)
        unknown = firsts.count(None)
        said = ", ".join("?" if first is None else str(first) for first in firsts)
        short = f"   # ? where no {scouting.config.sizes} rungs lie about a known minimum: scout lower or higher, or add rungs"
        lines.append(f"first_size: [{said}]{short if unknown else ''}")
    if sweeps:
        rate = best_rate(sweeps)
        edges = sum(sweep.at_edge for sweep in sweeps)
        noted = f"   # over all sizes; of {edges} of {len(sweeps)} the best is at the sweep's edge" if edges else ""
        lines.append(f"lr: {rate:.2g}{noted}" if rate else "lr: ?   # the best is at the sweep's edge")
    return lines


def _print_json(scouting: "Scouting", records: "Sequence[TrialRecord]") -> None:
    from dataclasses import asdict

    from repro.cli.json_output import print_json
    from repro.launch.scouting.findings import best_rate, budgets_of, first_sizes, rates_of

    budgets, sweeps = budgets_of(scouting, records), rates_of(records)
    print_json(
        "scout",
        study=scouting.study.id,
        scale=scouting.scale.name,
        runs=len(records),
        budgets=[asdict(b) | {"smaller": b.smaller, "larger": b.larger, "centred": b.centred} for b in budgets],
        rates=[asdict(sweep) | {"best": sweep.best, "at_edge": sweep.at_edge} for sweep in sweeps],
        first_size=first_sizes(scouting, budgets),
        lr=best_rate(sweeps),
    )
