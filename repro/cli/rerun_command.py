"""`repro rerun`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_attempts

if TYPE_CHECKING:
    from rich.table import Table

    from repro.launch.rerun.again import Subject
    from repro.launch.rerun.agreement import Compared
    from repro.launch.rerun.environment_lock import Difference
    from repro.schema.trial import TrialRecord


def rerun(
    attempt: Annotated[
        str,
        typer.Argument(
            help="An attempt's id, here or published; or evidence: a zip, or a directory of its files.",
            autocompletion=complete_attempts,
        ),
    ],
    check: Annotated[bool, typer.Option("--check", help="Compare the environment only; run nothing.")] = False,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, metavar="N", help="Run N of the trials, spread evenly.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Run the recipe of today although it differs from what ran.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Ask torch for deterministic algorithms, and list what has none.")
    ] = False,
    lock: Annotated[
        bool, typer.Option("--lock", help="Print its environment as a requirements file; run nothing.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit 1 unless every trial comes to what its device promises; with --check, if anything differs that can matter.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.rerun/1).")] = False,
) -> None:
    """Run the trials of an attempt again, and compare.

    First it says what differs from then: sources, data, device, packages, and whether that can matter. Then it runs the same trials
    with the same seeds in a directory of their own (.repro/reruns): no new attempt, nothing replaced. Each trial comes out
    equal to the bit, close (a relative difference that another order of sums explains), or different; times as a ratio.
    On a CPU with nothing changed that can matter, equal to the bit is promised; elsewhere, close.

    \b
    Examples:
      repro rerun 'toy/mean@replicate@cpu-1a2b3c4d-1' --check
      repro rerun evidence.zip --trials 3
      repro rerun docs/results/bayes/positive_predictive_value/arithmetic@full-ebc7fa66-1 --strict
      repro rerun ATTEMPT --lock > requirements.lock
    """
    from rich.console import Console

    from repro.cli.json_output import print_json
    from repro.launch.rerun import again
    from repro.launch.running.determinism import ask_for_determinism

    if deterministic:
        ask_for_determinism()
    subject = _subject(attempt)
    if lock:
        print(again.lock_of(subject), end="")
        return
    found = again.compared_with_now(subject)
    console = Console(stderr=as_json)
    if found:
        console.print(_difference_table(found))
    else:
        console.print("Nothing that is known of then differs from now.")
    if subject.provenance is None:
        console.print("How it ran was not kept beside its records: only what the records themselves name was compared.")
    can_matter = any(each.matters != "no" for each in found)
    if check:
        if as_json:
            print_json("rerun", attempt=subject.attempt, differences=found, trials=None)
        raise typer.Exit(1 if strict and can_matter else 0)
    if not anyway:
        again.require_same_sources(subject)
    chosen = replace(subject, records=_sample(subject, trials))
    done = 0

    def tell(compared: "Compared") -> None:
        nonlocal done
        done += 1
        print(
            f"[{done}/{len(chosen.records)}] {compared.label or compared.key[:8]}: {compared.agreement}",
            file=sys.stderr,
            flush=True,
        )

    place, compared = again.run_again(chosen, anyway, tell)
    promises = [again.promised(subject, found, *pair) for pair in zip(chosen.records, compared, strict=True)]
    broken = [each for each, promise in zip(compared, promises, strict=True) if not _kept(each, promise)]
    if as_json:
        print_json(
            "rerun", attempt=subject.attempt, differences=found, trials=compared, promised=promises, records=str(place)
        )
    else:
        console.print(_trial_table(compared))
        counts = {
            name: sum(each.agreement == name for each in compared) for name in ("equal", "close", "different", "timed")
        }
        print(
            ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            + f". The new records are in {place}."
        )
        if broken:
            print(
                f"{len(broken)} of {len(compared)} did not come to what the device promises ({' or '.join(sorted(set(promises)))})."
            )
    if strict and broken:
        raise typer.Exit(1)


def _kept(compared: "Compared", promise: str) -> bool:
    return compared.agreement in ("equal", "timed") or (compared.agreement == "close" and promise == "close")


def _subject(name: str) -> "Subject":
    """Return what an id or a bundle names.

    Raises:
        StoreError, EvidenceError, RecordError: if there is none, or it cannot be read.
    """
    from repro.catalog.estimators import estimator_is_sealed_one
    from repro.cite.evidence.bundle import read_bundle
    from repro.cite.evidence.content import evidence_of, read_dossier
    from repro.launch.rerun.again import Subject
    from repro.schema.errors import RecordError

    place = Path(name)
    dossier = read_dossier(read_bundle(place) if place.exists() else evidence_of(name))
    records = tuple(record for record in dossier.records if record.status != "failed")
    if not records:
        raise RecordError(
            f"{dossier.attempt.id} has no trial that ended, so there is nothing to run again. Launch its claim: repro run."
        )
    return Subject(
        attempt=dossier.attempt.id,
        records=records,
        sources=dossier.sources,
        data=dossier.data,
        provenance=dossier.provenance,
        sealed_at=dossier.attempt.provenance,
        estimator_is_same=estimator_is_sealed_one(dossier.attempt.sealed),
    )


def _sample(subject: "Subject", number: int | None) -> "tuple[TrialRecord, ...]":
    records = subject.records
    if number is None or number >= len(records):
        return records
    return tuple(records[i * len(records) // number] for i in range(number))


def _difference_table(found: "list[Difference]") -> "Table":
    from rich.table import Table

    table = Table("what", "was", "is", "matters", "why", title="What differs from then", title_justify="left")
    shown = [each for each in found if each.matters != "no"]
    rest = [each for each in found if each.matters == "no"]
    for each in [*shown, *rest[:10]]:
        style = {"yes": "red", "can": "yellow"}.get(each.matters, "")
        table.add_row(each.what, each.was, each.now, each.matters, each.why, style=style)
    if len(rest) > 10:
        table.add_row(f"and {len(rest) - 10} more", "", "", "no", "see them with --json")
    return table


def _trial_table(compared: "list[Compared]") -> "Table":
    from rich.table import Table

    table = Table("trial", "seed", "comes out", "most in", "by", title="Then and now", title_justify="left")
    for each in compared:
        table.add_row(each.label or each.key[:8], str(each.replicate), each.agreement, each.worst, _by(each))
    return table


def _by(each: "Compared") -> str:
    told = ""
    if each.relative is None:
        told = "a value is missing" if each.worst else ""
    elif each.agreement == "timed" and each.worst:
        told = f"{each.relative:.3g} × then"
    elif each.worst:
        ulp = f", {each.ulp} ulp" if each.ulp is not None else ""
        told = f"{each.relative:.2g} relative{ulp}"
    return "; ".join(filter(None, (told, each.note)))
