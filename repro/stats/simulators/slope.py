"""Points of a power law whose slope is another: the recorded curve tilted, with the noise between its passes redrawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.regression import log_log_slope


def tilt(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    x: str,
    y: str,
    octaves: float = 3.0,
) -> list[TrialRecord]:
    """Return points whose median curve is the recorded one times x^(truth − p), p the recorded slope.

    Curvature and bumps stay: they are what the error of the window measures. The noise is that between passes: each new
    pass takes the deviations of a drawn pass from the medians, with a drawn sign, times √(R/(R − 1)) for R passes. A single
    pass shows no such noise; its points then scatter about the straight line as the recorded ones do.

    Raises:
        EstimateError: if the recorded points give no slope.
    """
    recorded = log_log_slope(records, x=x, y=y, octaves=octaves)
    if recorded.value is None:
        raise EstimateError(f"no slope can be simulated from records that give none. {recorded.note}")
    (wanted,) = truth.values()
    points = [_points(record, x, y) for record in records]
    lengths = sorted({length for own in points for length, _ in own})
    passes = sorted({record.replicate for record in records})
    table = np.full((len(passes), len(lengths)), math.nan)
    for record, own in zip(records, points, strict=True):
        for length, value in own:
            table[passes.index(record.replicate), lengths.index(length)] = math.log(value)
    log_x = np.log(lengths)
    if len(passes) > 1:
        curve = np.nanmedian(table, axis=0)
        deviations = np.nan_to_num(table - curve) * math.sqrt(len(passes) / (len(passes) - 1))
        drawn = deviations[rng.integers(len(passes), size=len(passes))] * rng.choice((-1.0, 1.0), (len(passes), 1))
        curve = curve + (wanted - recorded.value) * log_x
    else:
        line = np.polyfit(log_x, table[0], 1)
        scatter = float(np.std(table[0] - np.polyval(line, log_x), ddof=2)) if len(lengths) > 2 else 0.0
        curve = float(np.mean(table[0])) + wanted * (log_x - log_x.mean())
        drawn = rng.normal(0.0, scatter, (1, len(lengths)))
    new = np.exp(curve + drawn)
    return [
        replace(
            record,
            rows=tuple(
                {**row, y: float(new[passes.index(record.replicate), lengths.index(length)])}
                for row, (length, _) in zip(record.rows, own, strict=True)
            ),
        )
        for record, own in zip(records, points, strict=True)
    ]


def _points(record: TrialRecord, x: str, y: str) -> list[tuple[float, float]]:
    """Return (x, y) of each row."""
    ys = record.column(y)
    xs = (float(record.config[x]),) * len(ys) if x in record.config else record.column(x)
    return list(zip(xs, ys, strict=True))
