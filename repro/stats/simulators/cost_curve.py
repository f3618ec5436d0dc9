"""Points of a cost curve whose exponent is another, above the same floor."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from repro.schema.trial import TrialRecord
from repro.stats.cost_curve import above_floor
from repro.stats.simulators import slope


def tilt(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    x: str,
    y: str,
    octaves: float = 3.0,
    floor: float = 0.0,
    batch: str = "",
) -> list[TrialRecord]:
    """Return what `repro.stats.simulators.slope.tilt` makes of the points above the floor, lifted so that all stay above it.

    A common factor changes no exponent; without it a flatter curve could sink below a floor that its own points reached.

    Raises:
        EstimateError: if the recorded points give no slope.
    """
    drawn = slope.tilt(above_floor(records, x, y, floor, batch), truth, rng, x=x, y=y, octaves=octaves)
    lowest = min((row[y] or 0.0) * (row[batch] or 1.0 if batch else 1.0) for record in drawn for row in record.rows)
    lift = max(1.0, floor / lowest)
    return [replace(record, rows=tuple({**row, y: (row[y] or 0.0) * lift} for row in record.rows)) for record in drawn]
