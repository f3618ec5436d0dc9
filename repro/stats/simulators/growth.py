"""A table whose columns grow at another rate: every line tilted, and the scatter about it redrawn by unit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord

FloatArray = NDArray[np.float64]

EXPRESSIONS = ("growth", "orders", "doubling_time", "tenfold_time")


def rate(
    records: Sequence[TrialRecord], truth: Mapping[str, float], rng: np.random.Generator, **arguments: Any
) -> list[TrialRecord]:
    """Return the table with the true growth, for `repro.stats.growth.log_linear_growth`; see `rates`."""
    return rates(records, truth, rng, parts={next(iter(truth)): arguments})


def rates(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    parts: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any] | None = None,
) -> list[TrialRecord]:
    """Return the table with the true growth of each part, for `repro.stats.growth.growth_parts`.

    Parts may share rows, as all chips and those used for ML do. A row's residual is that about the line of the smallest part
    that it is in; what is left is changed by as many tilts as there are parts, so that without residuals every part has its true
    rate. With `uncertainty: bootstrap` the residuals then change their sign at random, those of one unit together, times
    √(n/(n − 2)) (the wild bootstrap: Liu 1988), so dates, unequal scatter and what a unit's columns share stay as
    recorded. With `none` they stay as they are.

    Raises:
        EstimateError: for a part that reports no rate (an end of an interval, R², a count), a truth that no rate has, or parts
            that hold the same rows.
    """
    common = shared or {}
    table = {
        name: np.array([row.get(name, None) for row in records[0].rows], dtype=float) for name in records[0].rows[0]
    }
    lines = [
        _Line(name, {**common, **own, "where": {**(common.get("where") or {}), **(own.get("where") or {})}}, table)
        for name, own in parts.items()
        if name in truth
    ]
    moved: dict[str, FloatArray] = {}
    signs: dict[str, FloatArray] = {}
    for column in dict.fromkeys(line.y for line in lines):
        here = [line for line in lines if line.y == column]
        z = np.log(table[column], out=np.full(len(table[column]), math.nan), where=table[column] > 0)
        left_over, noise = np.zeros(len(z)), np.zeros(len(z))
        for line in sorted(here, key=lambda line: -int(line.kept.sum())):
            residuals = z - line.intercept(z) - line.slope(z) * line.t
            left_over[line.kept] = residuals[line.kept] if line.sampled else 0.0
            noise[line.kept] = left_over[line.kept] * math.sqrt(line.units / (line.units - 2))
        tilts = np.array([np.where(line.kept, line.t - line.middle, 0.0) for line in here])
        smooth = z - left_over
        wanted = [line.rate_of(truth[line.name]) - line.slope(smooth) for line in here]
        response = np.array([[line.slope(tilt) for tilt in tilts] for line in here])
        try:
            amounts = np.linalg.solve(response, wanted)
        except np.linalg.LinAlgError:
            raise EstimateError(
                f"parts {', '.join(line.name for line in here)} hold the same rows, so they cannot differ."
            ) from None
        sign = signs.setdefault(here[0].unit, _signs(here[0], table, len(z), rng))
        new = smooth + amounts @ tilts + sign * noise
        moved[column] = np.where(np.isfinite(z), np.exp(new), table[column])
    return [
        replace(
            record,
            rows=tuple(
                {**row, **{name: float(column[i]) for name, column in moved.items() if row.get(name) is not None}}
                for i, row in enumerate(record.rows)
            ),
        )
        for record in records
    ]


class _Line:
    """One part: which rows it is fitted to, over which times, and what it reports."""

    def __init__(self, name: str, arguments: Mapping[str, Any], table: Mapping[str, FloatArray]) -> None:
        self.name, self.y = name, str(arguments["y"])
        self.report, self.months = str(arguments.get("report", "growth")), bool(arguments.get("months", False))
        if self.report not in EXPRESSIONS:
            raise EstimateError(
                f"part '{name}' reports {self.report}, which is no rate of growth, so no table can be drawn for it."
            )
        self.sampled = arguments.get("uncertainty", "none") == "bootstrap"
        self.t, self.unit = table[str(arguments.get("x", "year"))], str(arguments.get("unit") or "")
        self.kept = np.ones(len(self.t), dtype=bool)
        for column, (least, greatest) in (arguments.get("where") or {}).items():
            self.kept &= (table[column] >= least) & (table[column] <= greatest)
        self.units = len(np.unique(table[self.unit][self.kept])) if self.unit else int(self.kept.sum())
        if self.units < 3:
            raise EstimateError(
                f"part '{name}' has {self.units} units; no noise can be simulated from fewer than three."
            )
        weight = arguments.get("weight")
        self._w = np.where(self.kept, table[weight] if weight else 1.0, 0.0)
        self.middle = float(np.average(self.t[self.kept], weights=self._w[self.kept]))
        self._lever = self._w[self.kept] * (self.t[self.kept] - self.middle)

    def slope(self, z: FloatArray) -> float:
        """Return the weighted least-squares slope of these logarithms."""
        return float(self._lever @ z[self.kept] / (self._lever @ (self.t[self.kept] - self.middle)))

    def intercept(self, z: FloatArray) -> float:
        """Return the line at time 0."""
        return float(np.average(z[self.kept], weights=self._w[self.kept])) - self.slope(z) * self.middle

    def rate_of(self, value: float) -> float:
        """Return r of what is reported."""
        if self.report == "orders":
            return value * math.log(10)
        if value <= 0:
            raise EstimateError(f"no rate of growth has a {self.report.replace('_', ' ')} of {value:g}.")
        if self.report == "growth":
            return math.log(value)
        return math.log(2 if self.report == "doubling_time" else 10) * (12 if self.months else 1) / value


def _signs(line: _Line, table: Mapping[str, FloatArray], rows: int, rng: np.random.Generator) -> FloatArray:
    """Return a random sign of each row, the same within a unit."""
    _, unit = np.unique(table[line.unit], return_inverse=True) if line.unit else (None, np.arange(rows))
    return np.asarray(rng.choice((-1.0, 1.0), int(unit.max()) + 1)[unit])
