"""`repro demo`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from repro.catalog.index import ClaimEntry


def demo(
    out: Annotated[Path, typer.Option("--pages", help="Directory to write the pages to.")] = Path("pages"),
) -> None:
    """Judge real published claims in a few minutes.

    Ends with a table of verdicts and the address of the pages.

    Nothing is downloaded: claims whose data are not on this machine are named and left out. Run it again to see that
    finished trials are not run twice.

    \b
    Example:
      repro demo --pages site
    """
    from rich.console import Console

    from repro.catalog.index import load_index
    from repro.catalog.parse import read_yaml
    from repro.catalog.roots import config_roots
    from repro.cli.calibrate_command import calibrate_all, table
    from repro.cli.progress import prepare_with_status, run_with_progress
    from repro.cli.render import summary
    from repro.launch.calibration.calibrate import find
    from repro.launch.session import record_blocked_claims
    from repro.launch.staleness import write_stale
    from repro.ledger.write import record_calibrations
    from repro.review.load import open_book
    from repro.review.site import write_site

    console = Console()
    index = load_index()
    left_out = _without_data(index.claims)
    attempts = []
    tour = read_yaml(config_roots()[0].directory / "demo.yaml")
    for entry in tour["runs"]:
        overrides = entry["overrides"]
        named = [name for pattern in entry["claims"] for name in index.expand(pattern)]
        skipped = {*left_out, *entry.get("leave_out", ())}
        names = [name for name in named if name not in skipped and _runs_at(index.claims[name], overrides)]
        console.print(
            f"\n[bold]repro run {' '.join(map(repr, entry['claims']))} {' '.join(overrides)}[/bold]  ({len(names)} claims)"
        )
        concluded = run_with_progress(prepare_with_status([*names, *overrides], index))
        attempts += [item.attempt for item in concluded]
    console.print(f"\n[bold]repro calibrate {' '.join(map(repr, tour['calibrate']))}[/bold]")
    wanted, _ = find(tour["calibrate"], index)
    calibrated, _ = calibrate_all(wanted, tour["draws"], again=False)
    record_calibrations([calibration for calibration, _ in calibrated])
    with Console(stderr=True).status("drawing the pages"):
        record_blocked_claims(index)
        write_stale()
        write_site(open_book(), out)
    console.print()
    console.print(summary(attempts))
    console.print("\nWould they notice, were the claims false?")
    console.print(table([calibration for calibration, _ in calibrated if calibration.method != "exact"]))
    exact = sum(calibration.method == "exact" for calibration, _ in calibrated)
    console.print(f"{exact} more protocols have nothing random in them; their pages say what they notice.\n")
    for files in dict.fromkeys(left_out.values()):
        without = ", ".join(name for name, needed in left_out.items() if needed == files)
        console.print(
            f"not run, for want of {files}: {without}. `repro run` fetches it, or says how to get it.", markup=False
        )
    for name, entry in index.claims.items():
        if entry.blocked:
            console.print(f"blocked: {name}: {entry.blocked}", markup=False)
    print(f"\nThe pages: {(out / 'index.html').resolve().as_uri()}\nLive, beside MLflow: repro serve")


def _without_data(claims: Mapping[str, "ClaimEntry"]) -> dict[str, str]:
    """Return the claims whose data are not on this machine, with the files they need; a tour runs on no GPU."""
    from repro.catalog.load import load_dataset, load_study
    from repro.schema.dataset import find

    absent: dict[str, str] = {}
    for name, entry in claims.items():
        studies = [load_study(protocol.study) for protocol in entry.protocols.values()]
        scales = [(study, scale) for study in studies for scale in study.scales if scale not in ("gpu", "paper")]
        sets = [load_dataset(data) for study, scale in scales for data in study.data_at(scale)]
        files = [data.file for data in sets if find(data) is None]
        if files:
            absent[name] = ", ".join(sorted(set(files)))
    return absent


def _runs_at(entry: "ClaimEntry", overrides: list[str]) -> bool:
    scale = next((word.removeprefix("scale=") for word in overrides if word.startswith("scale=")), None)
    return any(scale in protocol.scales for protocol in entry.protocols.values())
