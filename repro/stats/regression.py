"""Straight lines through measured points, and the exponent of a power law read from the top octaves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator

__all__ = ["log_log_slope", "weighted_line"]

FloatArray = NDArray[np.float64]

MEDIAN_OVER_MEAN = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, for normal noise and many values."""


@dataclass(frozen=True)
class Line:
    """y = intercept + slope·x, fitted by weighted least squares."""

    intercept: float
    slope: float
    intercept_se: float
    slope_se: float
    residual_sd: float
    """Of a point with weight 1."""
    dof: int
    """Points − 2."""


def weighted_line(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Line:
    """Fit a straight line; the scatter about it gives the standard errors, with ν = k − 2.

    Args:
        x: [k] abscissae, at least two of them different.
        y: [k] ordinates.
        weights: [k] weights in proportion to 1/variance; equal if None.

    Raises:
        EstimateError: with fewer than three points, or with all x equal: neither leaves a scatter to measure.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    if len(x) < 3 or x.min() == x.max():
        raise EstimateError(
            f"a line with a standard error needs three points and two different x, got x = {x.tolist()}."
        )
    total, mean_x, mean_y = w.sum(), np.average(x, weights=w), np.average(y, weights=w)
    sum_xx = (w * (x - mean_x) ** 2).sum()
    slope = (w * (x - mean_x) * (y - mean_y)).sum() / sum_xx
    residuals = y - mean_y - slope * (x - mean_x)
    variance = (w * residuals**2).sum() / (len(x) - 2)
    return Line(
        intercept=float(mean_y - slope * mean_x),
        slope=float(slope),
        intercept_se=float(np.sqrt(variance * (1 / total + mean_x**2 / sum_xx))),
        slope_se=float(np.sqrt(variance / sum_xx)),
        residual_sd=float(np.sqrt(variance)),
        dof=len(x) - 2,
    )


@estimator(unit="length", simulator="repro.stats.simulators.slope.tilt")
def log_log_slope(records: Sequence[TrialRecord], *, x: str, y: str, octaves: float = 3.0) -> Estimate:
    """Return the exponent p of y ∝ x^p over the top octaves of x: the slope of ln y on ln x.

    At each x the median over the passes (replicates) is taken; the line goes through all x with
    x ≥ x_max / 2^octaves. Its standard error has two parts, SE² = SE_noise² + SE_window².

    - SE_noise is the larger of the line's own (scatter of the medians about it, ν = lengths − 2) and, with several
      passes, the one between the slopes of single passes, which sees a machine that drifts from pass to pass.
    - SE_window is the largest difference between the slope and that of any window: any run of neighbouring x that spans
      at least half of the fitted octaves. As t > 1, the interval holds the slope of every window, so the choice of
      window cannot decide; curvature (overhead at small x, caches) shows here.

    Args:
        records: trials of one arm; one point each, or one row a point.
        x: a config field, or a column, that is varied; positive.
        y: the measured column; positive.
        octaves: how many factors of two below the largest x are fitted.

    Returns:
        The slope with n = lengths and ν = lengths − 2, in `extras` the local slopes between neighbours. The flag
        `systematic_error` says that SE_window is the larger part: more lengths in the same octaves will not shrink it.

    Raises:
        EstimateError: if timings come from several machines, fewer than three lengths lie in the window, or a value is not
            positive.
    """
    _require_one_machine(records)
    table = _passes(records, x, y)
    if any(not math.isfinite(value) for row in table.values() for value in row.values()):
        note = f"A trial gave no finite {y}."
        return Estimate(
            None,
            n=len({length for row in table.values() for length in row}),
            unit="length",
            flags=("diverged",),
            note=note,
        )
    longest = max(length for row in table.values() for length in row)
    lengths = sorted(
        {length for row in table.values() for length in row if length >= longest / 2**octaves * (1 - 1e-9)}
    )
    if len(lengths) < 3:
        raise EstimateError(
            f"the top {octaves:g} octaves of {x} hold {len(lengths)} values ({', '.join(f'{v:g}' for v in lengths)}); a slope "
            f"with a standard error needs three. Measure more {x}, or fit more octaves."
        )
    log_x = np.log(lengths)
    log_y = np.log([np.median([row[length] for row in table.values() if length in row]) for length in lengths])
    line = weighted_line(log_x, log_y)
    complete = [row for row in table.values() if set(lengths) <= row.keys()]
    single = [weighted_line(log_x, np.log([row[length] for length in lengths])).slope for row in complete]
    se_passes = MEDIAN_OVER_MEAN * float(np.std(single, ddof=1)) / math.sqrt(len(single)) if len(single) > 1 else 0.0
    se_window = float(np.abs(_window_slopes(log_x, log_y) - line.slope).max())
    se_noise = max(line.slope_se, se_passes)
    se = math.hypot(se_noise, se_window)
    local = np.diff(log_y) / np.diff(log_x)
    names = [f"local_slope_{low:g}_{high:g}" for low, high in pairwise(lengths)]
    return Estimate(
        value=line.slope,
        se=se,
        dof=line.dof,
        n=len(lengths),
        unit="length",
        flags=("systematic_error",) if se_window > se_noise else (),
        extras={
            "se_line": line.slope_se,
            "se_passes": se_passes,
            "se_window": se_window,
            **dict(zip(names, map(float, local), strict=True)),
        },
        note=f"Fitted to {len(lengths)} values of {x} from {lengths[0]:g} to {longest:g}, {len(table)} passes.",
    )


def _window_slopes(log_x: FloatArray, log_y: FloatArray) -> FloatArray:
    """Slopes of all runs of neighbouring points that span at least half of the whole, the whole included."""
    half = (log_x[-1] - log_x[0]) / 2 * (1 - 1e-9)
    runs = [(i, j) for i in range(len(log_x)) for j in range(i + 1, len(log_x)) if log_x[j] - log_x[i] >= half]
    return np.array([np.polyfit(log_x[i : j + 1], log_y[i : j + 1], 1)[0] for i, j in runs])


def _passes(records: Sequence[TrialRecord], x: str, y: str) -> dict[int, dict[float, float]]:
    """Measurements by replicate and by x; NaN where a trial diverged."""
    table: dict[int, dict[float, float]] = {}
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    for record in records:
        known = {name for row in record.rows for name in row}
        if record.status == "diverged" and y not in known:
            xs, ys = (float(record.config.get(x, math.nan)),), (math.nan,)
        elif y not in known or (x not in record.config and x not in known):
            name, valid = (y, known) if y not in known else (x, known | set(record.config))
            raise EstimateError(f"'{record.study}' has no '{name}'.{nearest(name, valid)}")
        else:
            ys = record.column(y)
            xs = (float(record.config[x]),) * len(ys) if x in record.config else record.column(x)
        for length, value in zip(xs, ys, strict=True):
            row = table.setdefault(record.replicate, {})
            if length in row:
                raise EstimateError(f"replicate {record.replicate} measured {y} twice at {x} = {length:g}; once each.")
            if length <= 0 or value <= 0:
                raise EstimateError(f"a log-log slope needs positive values, got {y} = {value:g} at {x} = {length:g}.")
            row[length] = value
    return table


def _require_one_machine(records: Sequence[TrialRecord]) -> None:
    if not records:
        raise EstimateError("a slope needs records, got none.")
    machines = {record.machine.fingerprint for record in records if record.measures == "time"}
    if len(machines) > 1:
        raise EstimateError(
            f"timings of {len(machines)} machines ({', '.join(sorted(m[:8] for m in machines))}) cannot be mixed in one "
            f"slope. Measure all lengths again on one machine."
        )
