"""Where the project keeps what it makes, below the working directory."""

import os
from pathlib import Path


def home_dir() -> Path:
    """Return `REPRO_HOME`, else `.repro` in the working directory: trial records, seals and plans."""
    return Path(os.environ.get("REPRO_HOME") or ".repro")


def records_dir() -> Path:
    """Return the directory of trial records, one JSON file a trial."""
    return home_dir() / "records"


def current_seals_file() -> Path:
    """Return the file that holds the seal of every attempt as it would be made now, by
    `claim@protocol@scale-number`."""
    return home_dir() / "current_seals.json"


def calibrations_dir() -> Path:
    """Return the directory of calibrations, one JSON file a seal."""
    return home_dir() / "calibrations"
