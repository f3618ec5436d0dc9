"""Exponential growth over time: how fast a quantity grows a year, from a straight line through its logarithm.

    ln y = c + r·t,    growth a year e^r,    doubling time ln 2 / r,    tenfold time ln 10 / r

Whether the error counts is the claim's to say. That a number follows from a table is a question about that very table: nothing
is sampled (`uncertainty: none`). That another table shows the same growth is a question about what its rows were drawn
from: the chips or models are then resampled.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import resamples
from repro.stats.estimator import estimator
from repro.stats.summary import agreed, cell_of

__all__ = ["Growth", "growth_parts", "log_linear_growth", "log_linear_rate"]

FloatArray = NDArray[np.float64]
Uncertainty = Literal["none", "bootstrap"]
Ends = Literal["regression", "bootstrap"]
Report = Literal["growth", "orders", "doubling_time", "tenfold_time", "low", "high", "count", "r_squared"]

EXPRESSIONS = ("growth", "orders", "doubling_time", "tenfold_time")
REPORTS = (*EXPRESSIONS, "low", "high", "count", "r_squared")
UNCERTAINTIES = ("none", "bootstrap")
ENDS = ("regression", "bootstrap")
SPREAD_LIMIT = 1e-12
"""Share of Σt² below which the spread of the times of a resample is float arithmetic."""


@dataclass(frozen=True)
class Growth:
    """A line through ln y over t."""

    rate: float
    """r, a year."""
    se: float
    """Standard error of r from the scatter about the line; ν = n − 2."""
    dof: int
    r_squared: float


def log_linear_rate(t: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> Growth:
    """Fit ln y = c + r·t by weighted least squares.

    Args:
        t: [n] times in years.
        y: [n] positive values.
        weights: [n] in proportion to 1/variance of ln y; equal if None.

    Raises:
        EstimateError: with fewer than three rows, one time only, or a value, time or weight that has no place in the fit.
    """
    t, y = np.asarray(t, dtype=float), np.asarray(y, dtype=float)
    w = np.ones_like(t) if weights is None else np.asarray(weights, dtype=float)
    _require_usable(t, y, w)
    z = np.log(y)
    mean_t, mean_z = np.average(t, weights=w), np.average(z, weights=w)
    s_tt = (w * (t - mean_t) ** 2).sum()
    s_zz = (w * (z - mean_z) ** 2).sum()
    rate = (w * (t - mean_t) * (z - mean_z)).sum() / s_tt
    scatter = (w * (z - mean_z - rate * (t - mean_t)) ** 2).sum()
    return Growth(
        rate=float(rate),
        se=float(np.sqrt(scatter / (len(t) - 2) / s_tt)),
        dof=len(t) - 2,
        r_squared=float(1 - scatter / s_zz) if s_zz > 0 else 0.0,
    )


@estimator(unit="chip or model", simulator="repro.stats.simulators.growth.rate")
def log_linear_growth(
    records: Sequence[TrialRecord],
    *,
    y: str,
    x: str = "year",
    where: Mapping[str, Sequence[float]] | None = None,
    unit: str | None = None,
    weight: str | None = None,
    report: Report = "growth",
    of: Report = "growth",
    level: float = 0.90,
    ends: Ends = "regression",
    uncertainty: Uncertainty = "none",
    months: bool = False,
    bootstrap: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return how fast a column grows over time, in a table with one row an item.

    Args:
        records: a deterministic study of one cell, whose rows are the table.
        y: column of the growing quantity; positive.
        x: column of the time, in years.
        where: ranges `{column: [least, greatest]}`, ends included, that a row must meet to count.
        unit: column that tells which rows belong to one chip or model; those are resampled together. Each row alone if None.
        weight: column in proportion to 1/variance of ln y; equal if None.
        report: `growth` (factor a year), `orders` (orders of magnitude a year), `doubling_time`, `tenfold_time` (years), the
            `low` or `high` end of the interval of `of`, the `count` of rows, or `r_squared`.
        of: which of the first four the interval is of.
        level: of that interval.
        ends: whence it comes: `regression`, the scatter about the line and Student's t, or `bootstrap`, percentiles over
            resampled units.
        uncertainty: `none`: the table itself is asked about, so its value is exact. `bootstrap`: units are resampled, which
            gives the standard error, √(n/(n − 2)) included; ν = units − 2.
        months: times in months instead of years.
        bootstrap: number of resamples.
        seed: of the resampling.

    Whatever is reported, `extras` hold the number of rows and units, R², the growth a year, the doubling time and its ends.

    Raises:
        EstimateError: for a missing column, values that have no logarithm, one time only, or fewer than three rows.
    """
    choices: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        ("report", report, REPORTS),
        ("of", of, EXPRESSIONS),
        ("ends", ends, ENDS),
        ("uncertainty", uncertainty, UNCERTAINTIES),
    )
    for name, choice, valid in choices:
        if choice not in valid:
            raise EstimateError(f"log_linear_growth has no {name} '{choice}'.{nearest(str(choice), valid)}")
    if not 0 < level < 1:
        raise EstimateError(f"level must lie between 0 and 1, got {level}.")
    same, columns = _table(records, [x, y, *(where or {}), *filter(None, (unit, weight))])
    kept = _kept(columns, where)
    t, values = columns[x][kept], columns[y][kept]
    weights = columns[weight][kept] if weight else None
    fit = log_linear_rate(t, values, weights)
    groups = _groups(columns[unit][kept]) if unit else [np.array([i]) for i in range(len(t))]
    resampled = (
        _bootstrap_rates(t, values, weights, groups, bootstrap, seed) if "bootstrap" in (ends, uncertainty) else None
    )
    if ends == "bootstrap" and resampled is not None:
        low, high = (float(q) for q in np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]))
    else:
        half = float(stats.t.ppf((1 + level) / 2, fit.dof)) * fit.se
        low, high = fit.rate - half, fit.rate + half
    interval = sorted(_express(rate, of, months) for rate in (low, high))
    extras = {
        "rows": float(len(t)),
        "units": float(len(groups)),
        "r_squared": fit.r_squared,
        "growth": math.exp(fit.rate),
        "growth_low": math.exp(low),
        "growth_high": math.exp(high),
        "doubling_time": _express(fit.rate, "doubling_time", months),
    }
    value = {"low": interval[0], "high": interval[1], "count": float(len(t)), "r_squared": fit.r_squared}.get(report)
    if value is None:
        value = _express(fit.rate, report, months)
    if not math.isfinite(value):
        raise EstimateError(f"'{y}' does not change with '{x}', so it has no {report.replace('_', ' ')}.")
    exact = Estimate(
        value=value, se=0.0, n=1, unit="none", deterministic=True, flags=same.flags, extras=extras, note=same.note
    )
    if uncertainty == "none" or resampled is None or report not in EXPRESSIONS:
        return exact
    rate_se = float(resampled.std(ddof=1)) * math.sqrt(len(groups) / (len(groups) - 2))
    return replace(
        exact,
        se=_slope(fit.rate, report, months) * rate_se,
        dof=len(groups) - 2,
        n=len(groups),
        unit="chip or model",
        deterministic=False,
        log_se=_slope(fit.rate, report, months) / abs(value) * rate_se if value > 0 else None,
    )


@estimator(unit="chip or model", simulator="repro.stats.simulators.growth.rates")
def growth_parts(
    records: Sequence[TrialRecord],
    *,
    parts: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any] | None = None,
) -> dict[str, Estimate]:
    """Return several growth rates of one table, one a part.

    Args:
        records: as for `log_linear_growth`.
        parts: for each part the arguments of `log_linear_growth` that are its own.
        shared: arguments of `log_linear_growth` that all parts share; a part's own win, but for `where`, whose ranges join.

    Raises:
        EstimateError: as `log_linear_growth`; the part is named.
    """
    common, estimates = shared or {}, {}
    for name, own in parts.items():
        arguments = {**common, **own, "where": {**(common.get("where") or {}), **(own.get("where") or {})}}
        try:
            estimates[name] = log_linear_growth(records, **arguments)
        except EstimateError as error:
            raise EstimateError(f"Part '{name}': {error}") from error
        except TypeError as error:
            raise EstimateError(f"Part '{name}' does not fit log_linear_growth: {error}.") from error
    return estimates


def _require_usable(t: FloatArray, y: FloatArray, w: FloatArray) -> None:
    if len(t) < 3:
        raise EstimateError(f"A growth rate with a standard error needs three rows, got {len(t)}.")
    for name, values, good in (
        ("time", t, np.isfinite(t)),
        ("value", y, np.isfinite(y) & (y > 0)),
        ("weight", w, np.isfinite(w) & (w > 0)),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            wanted = "finite" if name == "time" else "finite and positive"
            raise EstimateError(
                f"Every {name} must be {wanted}, but {(~good).sum()} of {len(good)} are not; the first is {values[row]:g} in "
                f"row {row}. Leave such rows out in the recipe, and say so under exclusions."
            )
    if t.min() == t.max():
        raise EstimateError(f"All {len(t)} rows have the time {t.min():g}: growth needs at least two dates.")


def _table(records: Sequence[TrialRecord], wanted: Sequence[str]) -> tuple[Any, dict[str, FloatArray]]:
    """Return the columns that are wanted of a deterministic study of one cell."""
    if not records:
        raise EstimateError("There are no records.")
    cells = {cell_of(record) for record in records}
    if len(cells) != 1:
        raise EstimateError(f"This estimator reads one table, got {len(cells)} cells. Let the study have one cell.")
    same = agreed(records)
    record = same.records[0]
    if not record.rows:
        raise EstimateError(f"The table of '{record.study}' has no rows. {same.note}".strip())
    known = sorted({name for row in record.rows for name in row})
    for name in wanted:
        if name not in known:
            raise EstimateError(f"The table of '{record.study}' has no column '{name}'.{nearest(name, known)}")
    return same, {name: np.array(record.column(name)) for name in set(wanted)}


def _kept(columns: Mapping[str, FloatArray], where: Mapping[str, Sequence[float]] | None) -> NDArray[np.bool_]:
    kept = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for name, bounds in (where or {}).items():
        if len(bounds) != 2:
            raise EstimateError(f"where.{name} must be [least, greatest], got {list(bounds)}.")
        kept &= (columns[name] >= bounds[0]) & (columns[name] <= bounds[1])
    return kept


def _groups(labels: FloatArray) -> list[NDArray[np.intp]]:
    """Return the rows of each unit."""
    if not np.isfinite(labels).all():
        raise EstimateError("Every row must say which unit it belongs to; at least one does not.")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _bootstrap_rates(
    t: FloatArray,
    y: FloatArray,
    weights: FloatArray | None,
    groups: Sequence[NDArray[np.intp]],
    draws: int,
    seed: int,
) -> FloatArray:
    """Return r of each resample of units, from the sums that each unit adds to the normal equations."""
    w = np.ones_like(t) if weights is None else weights
    t0, z = t - np.average(t, weights=w), np.log(y)
    z = z - np.average(z, weights=w)
    sums = np.array(
        [[(w * f)[rows].sum() for f in (np.ones_like(t), t0, z, t0 * t0, t0 * z)] for rows in groups]
    )  # [units, 5]
    drawn = resamples(len(groups), draws, seed, fitted=2)
    s, s_t, s_z, s_tt, s_tz = (sums[:, i][drawn].sum(axis=1) for i in range(5))
    spread = s_tt - s_t**2 / s
    usable = spread > SPREAD_LIMIT * s_tt
    if usable.mean() < 0.95:
        raise EstimateError(
            f"Of {draws} resamples of {len(groups)} units, {(~usable).sum()} have one date only. Add dates, or ask about the "
            f"table itself (uncertainty: none)."
        )
    return np.asarray((s_tz - s_t * s_z / s)[usable] / spread[usable])


def _express(rate: float, report: str, months: bool) -> float:
    """Return a rate as what is reported of it."""
    if report == "growth":
        return math.exp(rate)
    if report == "orders":
        return rate / math.log(10)
    factor = math.log(2 if report == "doubling_time" else 10) * (12 if months else 1)
    return factor / rate if rate else math.inf


def _slope(rate: float, report: str, months: bool) -> float:
    """Return |d report / d r|."""
    if report == "growth":
        return math.exp(rate)
    if report == "orders":
        return 1 / math.log(10)
    return abs(_express(rate, report, months) / rate)
