"""Independent runs with normal noise of the recorded spread: means over seeds, and differences paired by seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord


def runs(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    column: str,
    noise: str = "skewed",
) -> list[TrialRecord]:
    """Return runs ~ N(truth, s²), s the recorded standard deviation; with noise `lognormal` in logs.

    `skewed` guards against noise up to an exponential's skewness, but the noise simulated is normal: three or five runs
    cannot show its shape. What skewed noise does to the rule is tabled by `repro.judge.error_rates`.

    Raises:
        EstimateError: if fewer than two runs finished, or they show no spread.
    """
    (value,) = truth.values()
    finished = _values(records, column)
    if noise == "lognormal":
        if value <= 0 or min(finished) <= 0:
            raise EstimateError(f"noise 'lognormal' needs positive values of '{column}'; the truth is {value:g}.")
        spread = _spread(np.log(finished), column)
        drawn = value * np.exp(rng.normal(0.0, spread, len(records)))
    else:
        drawn = rng.normal(value, _spread(np.array(finished), column), len(records))
    return [_with(record, column, float(x)) for record, x in zip(records, drawn, strict=True)]


def pairs(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    column: str,
    by: str,
    better: Any,
    worse: Any,
    lower_is_better: bool = True,
) -> list[TrialRecord]:
    """Return pairs of runs whose mean difference in favour of `better` is the truth.

    What two runs of one seed share is drawn as well: both arms are bivariate normal with the recorded covariance.

    Raises:
        EstimateError: if fewer than two pairs finished, or their differences show no spread.
    """
    (value,) = truth.values()
    arms = {
        name: {r.replicate: r for r in records if r.config.get(by) == arm}
        for name, arm in (("better", better), ("worse", worse))
    }
    both = sorted(arms["better"].keys() & arms["worse"].keys())
    recorded = np.array(
        [[_value(arms[name][r], column) for name in ("better", "worse")] for r in both], dtype=float
    ).reshape(-1, 2)
    recorded = recorded[np.isfinite(recorded).all(axis=1)]
    _spread(recorded[:, 1] - recorded[:, 0], f"{column} between the arms")
    covariance = np.cov(recorded.T)
    base = float(recorded[:, 0].mean())
    means = [base, base + value if lower_is_better else base - value]
    drawn = dict(zip(both, rng.multivariate_normal(means, covariance, len(both)), strict=True))
    place = {"better": 0, "worse": 1}
    new = {(name, r): _with(arms[name][r], column, float(drawn[r][place[name]])) for name in place for r in both}
    return [new["better" if record.config.get(by) == better else "worse", record.replicate] for record in records]


def _values(records: Sequence[TrialRecord], column: str) -> list[float]:
    values = [_value(record, column) for record in records]
    return [value for value in values if math.isfinite(value)] or [math.nan]


def _value(record: TrialRecord, column: str) -> float:
    """Return the measurement of a trial with one row; NaN if it is not finite."""
    value = record.rows[0].get(column) if len(record.rows) == 1 else None
    return math.nan if value is None else float(value)


def _spread(values: np.ndarray[Any, np.dtype[np.float64]], what: str) -> float:
    if len(values) < 2 or not np.isfinite(values).all() or values.min() == values.max():
        raise EstimateError(
            f"no noise can be simulated: {what} was measured by {len(values)} finished runs that show no spread; two "
            f"different values are required."
        )
    return float(np.std(values, ddof=1))


def _with(record: TrialRecord, column: str, value: float) -> TrialRecord:
    """Return the record with one value changed; a diverged trial stays diverged."""
    if record.status == "diverged" or len(record.rows) != 1:
        return record
    return replace(record, rows=({**record.rows[0], column: value},))
