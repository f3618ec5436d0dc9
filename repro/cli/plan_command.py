"""`repro plan`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_words

if TYPE_CHECKING:
    from repro.schema.trial import TrialSpec

IndicativeOption = Annotated[
    bool, typer.Option("--indicative", help="Seal also what can hardly decide; the seal says so for ever.")
]
MaxGpuHoursOption = Annotated[
    float | None, typer.Option("--max-gpu-hours", help="Refuse a plan that needs more GPU-hours.", metavar="H")
]
PilotOption = Annotated[
    str | None,
    typer.Option(
        "--pilot", help="Where the spread is from: sd of one seed, directory of records, or attempt.", metavar="P"
    ),
]
PeakOption = Annotated[
    float | None, typer.Option("--peak-flops", help="Peak FLOP/s of the device, where no speed is known.", metavar="F")
]
UtilisationOption = Annotated[
    float | None, typer.Option("--utilisation", help="Share of that peak to assume, 0 to 1.", metavar="U")
]


def plan(
    words: Annotated[
        list[str],
        typer.Argument(
            help="Claims or globs, and overrides: scale=, replicates=, study.params.x=", autocompletion=complete_words
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the sealed plan to this file, for a worker on another machine.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="With --out: write the data that the trials need into this directory, to take along."
        ),
    ] = None,
    new_seeds: Annotated[
        bool, typer.Option("--new-seeds", help="Plan a new attempt with seeds that none has used.")
    ] = False,
    pilot: PilotOption = None,
    price: Annotated[
        float | None,
        typer.Option("--price", help="Of one GPU-hour, for the cost.", envvar="REPRO_GPU_PRICE", metavar="P"),
    ] = None,
    max_gpu_hours: MaxGpuHoursOption = None,
    peak_flops: PeakOption = None,
    utilisation: UtilisationOption = None,
    indicative: IndicativeOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.plan/1).")] = False,
) -> None:
    """Show what would run, what it can decide and would cost.

    Power is the probability of a match if the claim is exactly true, by the rule that will judge. The spread comes from
    --pilot, from earlier attempts here, or from the paper. With --out, as with `repro run`, a plan that can hardly decide
    is refused unless --indicative; see docs/planning.md.

    \b
    Examples:
      repro plan chinchilla/isoflop_params_exponent scale=gpu
      repro plan CLAIM scale=gpu replicates=12 --pilot 0.02
      repro plan CLAIM scale=gpu --price 3 --peak-flops 9.9e14 --utilisation 0.4
      repro plan CLAIM scale=gpu --out plan.json --data data/ --max-gpu-hours 2
        there:     REPRO_DATA=data/ python -m repro.launch.worker plan.json --out records/
        back here: repro collect records/ --plan plan.json
    """
    from repro.catalog.index import load_index
    from repro.launch.attempt import to_run
    from repro.launch.planning.cost import Budget
    from repro.launch.planning.planfile import write_plan
    from repro.launch.records.store import RecordStore
    from repro.launch.session import Wishes, prepare, sealing_provenance
    from repro.schema.errors import PlanError
    from repro.schema.places import records_dir

    if data is not None and out is None:
        raise PlanError("--data goes with --out: the data are taken along with the plan file.")
    wishes = Wishes(indicative, pilot, Budget(price, max_gpu_hours, peak_flops, utilisation))
    elsewhere = out is not None
    prepared = prepare(
        words, load_index(), new_seeds, store=elsewhere, wishes=wishes, command="plan", need_data=elsewhere
    )
    missing = {spec.key for spec in to_run(prepared.plan, RecordStore(records_dir()), all_looks=True)}
    if out is not None:
        write_plan(prepared.plan, out, sealing_provenance(prepared.plan))
    carried = carry(prepared.plan.trials, data) if data is not None else None
    from repro.cli.plan_view import plan_rows, plan_text

    rows = plan_rows(prepared, missing)
    if as_json:
        from repro.cli.json_output import print_json

        print_json("plan", attempts=rows, file=str(out) if out else None, data=str(data) if data else None)
        return
    from rich.console import Console

    Console().print(plan_text(rows, prepared, missing))
    if out is not None:
        there = f"REPRO_DATA={data.name}/ " if data is not None and carried else ""
        print(f"\nSealed and written to {out}.{carried or ''} Where it shall run:")
        print(f"  {there}python -m repro.launch.worker {out.name} --out records/")
        print(f"Back here:\n  repro collect records/ --plan {out}")


def carry(trials: Sequence["TrialSpec"], directory: Path) -> str:
    """Write the data that trials need into a directory, and say what is there now; empty where none is needed."""
    from rich.console import Console

    from repro.launch.planning.data_needs import carry_data

    with Console(stderr=True).status(f"writing data to {directory}"):
        files = carry_data(trials, directory)
    if not files:
        return ""
    size = sum(file.stat().st_size for file in files) / 2**20
    return (
        f" Its data, {len(files)} file{'' if len(files) == 1 else 's'} of {size:,.1f} MiB in all, are in {directory}."
    )
