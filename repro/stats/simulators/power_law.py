"""Runs of a power law with another exponent: the recorded losses tilted, with fresh noise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.levels import points_of
from repro.stats.power_law import power_law_exponent


def tilt(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    x: str,
    loss: str = "loss",
) -> list[TrialRecord]:
    """Return runs on the straight line in logs whose exponent is the truth, about the middle of the recorded ones.

    A level is off the line by as much as the recorded levels are (normal, with their standard deviation), and its runs scatter about
    it as recorded repeats do.

    Raises:
        EstimateError: if the recorded runs give no exponent.
    """
    (wanted,) = truth.values()
    recorded = power_law_exponent(records, x=x, loss=loss)
    if recorded.value is None:
        raise EstimateError(f"no exponent can be simulated from records that give none. {recorded.note}")
    points = {
        i: (math.log(level), math.log(value))
        for i, record in enumerate(records)
        if record.status == "finished"
        for level, value in points_of(record, x, loss)
        if math.isfinite(value)
    }
    levels = sorted({level for level, _ in points.values()})
    means = np.array([np.mean([y for level, y in points.values() if level == own]) for own in levels])
    line = np.polyfit(levels, means, 1)
    off_line = float(np.std(means - np.polyval(line, levels), ddof=2)) if len(levels) > 2 else 0.0
    middle, height = float(np.mean(levels)), float(means.mean())
    shifts = dict(zip(levels, rng.normal(0.0, off_line, len(levels)), strict=True))
    run_sd = recorded.extras["run_sd"] or 0.0
    new = {
        i: math.exp(height - wanted * (level - middle) + shifts[level] + rng.normal(0.0, run_sd))
        for i, (level, _) in points.items()
    }
    return [
        replace(record, rows=({**record.rows[0], loss: new[i]},)) if i in new else record
        for i, record in enumerate(records)
    ]
