"""Calibrations kept by seal: as files of this directory, and as what of them goes to MLflow. Nothing here knows MLflow."""

import json
from collections.abc import Sequence
from pathlib import Path

from repro.schema import documents
from repro.schema.calibration import Calibration, Scenario
from repro.schema.canonical import digest_of
from repro.schema.errors import RecordError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.places import calibrations_dir

CALIBRATION_FILE = "calibration.json"

METRICS = ("sensitivity", "specificity_margin", "false_match_margin", "specificity_rival", "inconclusive_rate")
"""What the metrics of a calibration are called, up to a dot."""


def cached(seal: str) -> Calibration | None:
    """Return the calibration of a seal that this directory holds, or None.

    Raises:
        RecordError: if the file is damaged, belongs to another seal, or was written by a newer version.
    """
    file = _file(seal)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{file} cannot be read ({error}). Remove it and run `repro calibrate` again.") from error
    return read_calibration(text, seal, str(file))


def cached_or_none(seal: str) -> Calibration | None:
    """Return the calibration of a seal that this directory holds; a file that cannot be used counts as none."""
    try:
        return cached(seal)
    except RecordError:
        return None


def read_calibration(text: str, seal: str, where: str) -> Calibration:
    """Read a calibration and check that it is this seal's.

    Raises:
        RecordError: if it is damaged, belongs to another seal, or was written by a newer version.
    """
    calibration = documents.read_calibration(text, where)
    if calibration.seal != seal:
        raise RecordError(
            f"{where} is the calibration of the seal {calibration.seal[:8]}, not of {seal[:8]}. Remove it and run `repro calibrate` "
            f"again: error rates hold for the protocol they were measured on alone."
        )
    return calibration


def keep(calibration: Calibration) -> Path:
    """Write a calibration to this directory, whole or not at all, and return its file.

    Raises:
        StoreError: if it cannot be written.
    """
    file = _file(calibration.seal)
    write_atomically(file, calibration_text(calibration))
    return file


def calibration_text(calibration: Calibration) -> str:
    """Return the JSON text of a calibration, as files and artifacts hold it."""
    return json.dumps(to_json(calibration), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def calibration_digest(calibration: Calibration) -> str:
    """Return the digest of a calibration's content."""
    return digest_of(to_json(calibration))


def calibration_metrics(calibration: Calibration) -> dict[str, float]:
    """Return the rates of a calibration as metrics.

    `sensitivity` is P(match | true); `specificity_margin` and `specificity_rival.<name>` are P(mismatch | false), `false_match_margin`
    is P(match | false by the margin), the worse of above and below; `inconclusive_rate.<truth>` is what is left.
    """
    of: dict[str, list[Scenario]] = {}
    for scenario in calibration.scenarios:
        of.setdefault(scenario.truth, []).append(scenario)
    metrics = {}
    for scenario in of.get("true", ()):
        metrics["sensitivity"] = scenario.match / scenario.draws
    if margins := of.get("margin"):
        metrics["specificity_margin"] = min(s.mismatch / s.draws for s in margins)
        metrics["false_match_margin"] = max(s.match / s.draws for s in margins)
    for scenario in of.get("rival", ()):
        metrics[f"specificity_rival.{scenario.name}"] = scenario.mismatch / scenario.draws
    for truth, scenarios in of.items():
        metrics[f"inconclusive_rate.{truth}"] = _share_undecided(scenarios)
    return metrics


def is_calibration_metric(name: str) -> bool:
    """Say whether a metric of an attempt's run is one of a calibration."""
    return name.partition(".")[0] in METRICS


def _share_undecided(scenarios: Sequence[Scenario]) -> float:
    return max(scenario.inconclusive / scenario.draws for scenario in scenarios)


def _file(seal: str) -> Path:
    return calibrations_dir() / f"{seal}.json"
