"""`repro run`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_words
from repro.cli.plan_command import IndicativeOption, MaxGpuHoursOption, PeakOption, PilotOption, UtilisationOption

if TYPE_CHECKING:
    from repro.launch.executors.detached import HandedOver
    from repro.launch.session import Prepared
    from repro.schema.verdict import Attempt


def run(
    words: Annotated[
        list[str],
        typer.Argument(
            help="Claims or globs, and overrides: scale=cpu replicates=12 executor=processes",
            autocompletion=complete_words,
        ),
    ],
    new_seeds: Annotated[
        bool, typer.Option("--new-seeds", help="Make a new attempt with seeds that none has used.")
    ] = False,
    indicative: IndicativeOption = False,
    max_gpu_hours: MaxGpuHoursOption = None,
    pilot: PilotOption = None,
    peak_flops: PeakOption = None,
    utilisation: UtilisationOption = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Ask torch for deterministic algorithms; what has none is kept beside each record."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 unless every verdict is a match.")] = False,
    cfg: Annotated[str | None, typer.Option("--cfg", help="Print the composed config (`job`) and run nothing.")] = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Accepted for Hydra's users; sweeps expand anyway.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.run/1).")] = False,
) -> None:
    """Seal, run and judge claims; run again to resume.

    No finished trial runs twice, and every verdict goes to the ledger (MLflow).

    Without scale=, a claim runs at `full` where it needs no compute, else at `cpu`. Overrides of what is sealed make
    the attempt exploratory: recorded and shown, never citable; replicates= does not, it is chosen before the first
    trial. A plan that can hardly decide is refused unless --indicative; `repro plan` says what it needs.

    executor= says where trials run: inline (the default, one after the other), processes (side by side on this machine),
    slurm (jobs, docs/slurm.md), ray (a Ray cluster, docs/ray.md), or detached (nothing runs, the plan and its data are
    written to executor.directory to take along, docs/run_elsewhere.md). Its settings, as executor.jobs=4, are not sealed.

    \b
    Examples:
      repro run bayes/positive_predictive_value
      repro run 'chinchilla/*' scale=full
      repro run claim=attention/quadratic_time scale=cpu
      repro run chinchilla/isoflop_params_exponent scale=smoke,cpu executor=processes
      repro run CLAIM scale=gpu replicates=12 --max-gpu-hours 2
      repro run CLAIM scale=gpu executor=slurm executor.partition=gpu executor.jobs=16
      repro run CLAIM scale=gpu executor=detached executor.directory=along/
      repro run chinchilla/isoflop_params_exponent scale=smoke study.params.lr=1e-3,3e-3   (exploratory sweep)
    """
    del multirun
    from repro.catalog.index import load_index

    index = load_index()
    if cfg is not None:
        from repro.cli.config_command import print_config

        print_config(words, index, cfg)
        return
    if deterministic:
        from repro.launch.running.determinism import ask_for_determinism

        ask_for_determinism()
    from repro.cli.progress import prepare_with_status, run_with_progress
    from repro.launch.planning.cost import Budget
    from repro.launch.session import Wishes, detach, is_detached

    wishes = Wishes(indicative, pilot, Budget(None, max_gpu_hours, peak_flops, utilisation))
    prepared = prepare_with_status(words, index, new_seeds, wishes)
    report_indicative(prepared)
    if is_detached(prepared.requests[0].executor):
        report_detached(detach(prepared), as_json)
        return
    concluded = run_with_progress(prepared)
    report([item.attempt for item in concluded], as_json, strict)


def report_indicative(prepared: "Prepared") -> None:
    """Say on stderr which attempts are sealed as indicative only."""
    for attempt in prepared.plan.attempts:
        if attempt.requested and attempt.sealed.indicative:
            print(f"{attempt.id} is sealed as indicative: it can hardly decide, and says so for ever.", file=sys.stderr)


def report_detached(written: "HandedOver", as_json: bool) -> None:
    """Say what was written and what is left to do: nothing ran, so nothing is judged."""
    if as_json:
        from repro.cli.json_output import print_json

        data = str(written.data) if written.data else None
        print_json("run", attempts=[], plan=str(written.plan), data=data, there=written.there, back=written.back)
        return
    carried = f", with its data in {written.data}" if written.data else ""
    print(f"Sealed and written to {written.plan}{carried}. Nothing ran here, and nothing is judged yet.")
    print(f"In that directory, wherever it is taken; run it again to resume:\n  {written.there}")
    print(f"When it is back here with its records:\n  {written.back}")


def report(attempts: list["Attempt"], as_json: bool, strict: bool) -> None:
    """Print attempts as panels or JSON, and exit with the code they deserve."""
    if as_json:
        from repro.cli.json_output import attempt_json, print_json

        print_json("run", attempts=attempt_json(attempts))
    else:
        from rich.console import Console

        from repro.catalog.load import load_claim
        from repro.cli.render import result_panel, summary

        console = Console()
        if len(attempts) <= 6:
            for attempt in attempts:
                console.print(result_panel(load_claim(attempt.claim), attempt))
        if len(attempts) > 1:
            console.print(summary(attempts))
    failed = [attempt for attempt in attempts if attempt.execution == "failed"]
    for attempt in failed:
        print(
            f"error: {attempt.id} did not complete. {attempt.message} Run the same command again to retry.",
            file=sys.stderr,
        )
    if failed:
        raise typer.Exit(3)
    if strict and not all(attempt.verdict and attempt.verdict.outcome == "match" for attempt in attempts):
        raise typer.Exit(1)
