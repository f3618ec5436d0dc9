"""The exponent of a cost curve: a log-log slope without launch-bound points, beside y = a + b·x + c·x² and a pure power."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.levels import points_of
from repro.stats.regression import log_log_slope

__all__ = ["cost_exponent"]

FloatArray = NDArray[np.float64]


@estimator(unit="length", simulator="repro.stats.simulators.cost_curve.tilt")
def cost_exponent(
    records: Sequence[TrialRecord], *, x: str, y: str, octaves: float = 3.0, floor: float = 0.0, batch: str = ""
) -> Estimate:
    """Return the exponent p of y ∝ x^p over the top octaves of x, without the points whose y lies below a floor.

    A call that is over before the machine has been launched at full speed costs the same at every x. Every x whose median y
    over the passes is below `floor` is therefore left out. The floor is an argument, so it is sealed before the first
    timing. What is left goes to `repro.stats.regression.log_log_slope`: its checks, its window, its standard error.

    Beside the slope, over the same x, two models are fitted to the medians by least squares of relative errors: the sum
    y = a + b·x + c·x² with a, b, c ≥ 0, and the pure power y = a·x^p. Their BIC counts three coefficients and two. They
    decide nothing.

    Args:
        records: trials of one arm; one point each, or one row a point.
        x: a config field, or a column, that is varied; positive.
        y: the measured column; positive.
        octaves: how many factors of two below the largest x are fitted.
        floor: least median y of an x that counts, in the unit of y; 0 keeps all.
        batch: the column that says of how many a call consisted, where y is the share of one: the floor then holds for the
            whole call, y·batch, which is what a launch bounds. Without it the floor holds for y.

    Returns:
        The estimate of `log_log_slope`, with these `extras` added: `left_out` (x below the floor, in or out of the
        window), `fitted_octaves` (log2 of the largest over the smallest fitted x), `bic_sum`, `bic_power` (the lower is
        the better model; None for fewer than four x), `quadratic_share` (share of c·x² in the fitted sum at the largest
        x) and `linear_share` (of b·x).

    Raises:
        EstimateError: as `log_log_slope`, and if fewer than three x of the window reach the floor.
    """
    whole = log_log_slope(records, x=x, y=y, octaves=octaves)
    if whole.value is None:
        return whole
    medians, low = _medians(records, x, y), _below(records, x, y, floor, batch)
    kept = {at: value for at, value in medians.items() if at not in low}
    window = [at for at in sorted(kept) if at >= max(kept) / 2**octaves * (1 - 1e-9)]
    what = f"{y}·{batch}" if batch else y
    if len(window) < 3:
        raise EstimateError(
            f"{len(low)} of {len(medians)} {x} have a median {what} below the floor {floor:g}, and {len(window)} of the top "
            f"{octaves:g} octaves are left; a slope needs three. The largest median is {max(low.values()):.3g} among those. "
            f"Measure larger {x}, or give each call more work."
        )
    fitted = log_log_slope(above_floor(records, x, y, floor, batch), x=x, y=y, octaves=octaves) if low else whole
    note = f" {len(low)} {x} left out, their median {what} is below {floor:g}." if low else ""
    return replace(
        fitted,
        extras={
            **fitted.extras,
            "left_out": float(len(low)),
            "fitted_octaves": math.log2(window[-1] / window[0]),
            **_models(np.array(window), np.array([kept[at] for at in window])),
        },
        note=fitted.note + note,
    )


def above_floor(records: Sequence[TrialRecord], x: str, y: str, floor: float, batch: str = "") -> list[TrialRecord]:
    """Return the records without the rows at every x whose median y (or y·batch) is below the floor."""
    low = _below(records, x, y, floor, batch)
    kept = []
    for record in records:
        of_row = [at for at, _ in points_of(record, x, y)]
        rows = tuple(row for row, at in zip(record.rows, of_row, strict=True) if at not in low)
        if rows:
            kept.append(replace(record, rows=rows))
    return kept


def _below(records: Sequence[TrialRecord], x: str, y: str, floor: float, batch: str) -> Mapping[float, float]:
    """The x whose median lies below the floor, and that median."""
    calls = _medians(records, x, y, batch)
    return {at: value for at, value in calls.items() if value < floor}


def _medians(records: Sequence[TrialRecord], x: str, y: str, batch: str = "") -> Mapping[float, float]:
    """Median y over the passes, by x; of y·batch where a batch is named."""
    values: dict[float, list[float]] = {}
    for record in records:
        points = points_of(record, x, y)
        sizes = [size for _, size in points_of(record, x, batch)] if batch else [1.0] * len(points)
        for (at, value), size in zip(points, sizes, strict=True):
            values.setdefault(at, []).append(value * size)
    return {at: float(np.median(of_all)) for at, of_all in values.items()}


def _models(x: FloatArray, y: FloatArray) -> dict[str, float | None]:
    """Return both BICs, and the shares of the terms of a + b·x + c·x² at the largest x."""
    u = x / x[-1]  # at most 1, so that the three columns are of one size; at the largest x a term is its coefficient
    terms, _ = optimize.nnls(np.stack([u**0, u, u**2], axis=1) / y[:, None], np.ones_like(y))
    of_sum = (terms @ np.stack([u**0, u, u**2]) - y) / y
    start = np.polynomial.polynomial.polyfit(np.log(u), np.log(y), 1)

    def of_power(p: FloatArray) -> FloatArray:
        return np.asarray(np.exp(p[0] + p[1] * np.log(u)) / y - 1)

    power = optimize.least_squares(of_power, start)
    enough = len(x) > 3
    return {
        "bic_sum": _bic(of_sum, 3) if enough else None,
        "bic_power": _bic(power.fun, 2) if enough else None,
        "linear_share": float(terms[1] / terms.sum()),
        "quadratic_share": float(terms[2] / terms.sum()),
    }


def _bic(relative_errors: FloatArray, coefficients: int) -> float:
    """n·ln(RSS/n) + k·ln n for normal errors (Schwarz 1978); no mean square below what float arithmetic resolves."""
    n = len(relative_errors)
    mean_square = max(float(np.mean(relative_errors**2)), float(np.finfo(float).eps) ** 2)
    return n * math.log(mean_square) + coefficients * math.log(n)
