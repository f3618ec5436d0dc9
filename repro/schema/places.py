"""Where the project keeps what it makes, below the working directory."""

import os
from pathlib import Path


def home_dir() -> Path:
    """Return `REPRO_HOME`, else `.repro` in the working directory: trial records, seals and plans."""
    return Path(os.environ.get("REPRO_HOME") or ".repro")


def records_dir() -> Path:
    """Return the directory of trial records, one JSON file a trial."""
    return home_dir() / "records"


def stale_file() -> Path:
    """Return the file that says which attempts are stale and why, as `repro.judge.staleness.read_stale` reads it."""
    return home_dir() / "stale.json"


def planned_file() -> Path:
    """Return the file that says what attempts would take that nobody has run, as `repro.schema.planned.read_planned` reads it."""
    return home_dir() / "planned.json"


def calibrations_dir() -> Path:
    """Return the directory of calibrations, one JSON file a seal."""
    return home_dir() / "calibrations"


def results_dirs() -> tuple[Path, ...]:
    """Return the directories of published results: those named in `REPRO_RESULTS`, else `docs/results` of this checkout.

    New results are published in the first. There is none for an installed package without the variable.
    """
    named = os.environ.get("REPRO_RESULTS")
    if named:
        return tuple(Path(place) for place in named.split(os.pathsep) if place)
    own = Path(__file__).resolve().parents[2] / "docs" / "results"
    return (own,) if own.is_dir() else ()


def tutorials_dir() -> Path | None:
    """Return `docs/tutorials` of this checkout, the texts whose numbers the pages fill in; None for an installed package."""
    own = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
    return own if own.is_dir() else None
