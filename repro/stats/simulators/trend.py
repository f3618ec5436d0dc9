"""Levels that follow the claimed order, no order, or the reverse, with the noise that the records show.

The truth of a trend is one of order: above 0 the recorded level means stand in the claimed order, below 0 in the reverse,
and at 0 there is no trend. So the size of the trend is the recorded one, whichever way it went.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.levels import points_of, table_of

FloatArray = NDArray[np.float64]
Direction = Literal["decreasing", "increasing"]


def levels(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    x: str,
    y: str,
    direction: Direction = "decreasing",
    runs: Literal["paired", "independent", "rows"] = "paired",
    lower_is_better: bool = True,
) -> list[TrialRecord]:
    """Return runs about level means in the true order; a run that diverged stays so.

    Where all values are positive all this is in logs, so noise grows with the value. The noise is normal:

    - replicates at every level, `paired`: what the runs of one seed share, and what is left to each, alike at all levels
      (two-way analysis of variance);
    - other replicates: with the standard deviation of their level, a level of one run with that of the others pooled;
    - one run a level: the scatter about a straight line over the levels' ranks. What is a curve counts as noise.

    Raises:
        EstimateError: for fewer than three levels, or level means that are all equal, which have no order to give.
    """
    del lower_is_better
    (order,) = truth.values()
    own = [points_of(record, x, y) for record in (records[:1] if runs == "rows" else records)]
    values = np.array([value for points in own for _, value in points], dtype=float)
    names, which = np.unique([level for points in own for level, _ in points], return_inverse=True)
    finite = np.isfinite(values)
    if len(names) < 3 or len(np.unique(which[finite])) < len(names):
        raise EstimateError(f"a trend is drawn from at least three levels with a finite '{y}' each, got {len(names)}.")
    logs = bool((values[finite] > 0).all())
    z = np.log(values, out=np.full_like(values, math.nan), where=finite) if logs else np.where(finite, values, math.nan)
    blocks = [record.replicate for record, points in zip(records, own, strict=False) for _ in points]
    means = np.array([z[finite & (which == k)].mean() for k in range(len(names))])
    counts = np.bincount(which[finite], minlength=len(names))
    sign = 1.0 if direction == "increasing" else -1.0
    in_order(means, order)
    if counts.max() == 1:
        means, noise = _about_a_line(means, which, rng)
    elif runs == "paired":
        noise = _of_blocks(z, which, np.array(blocks), rng)
    else:
        noise = rng.normal(0.0, 1.0, len(z)) * _spreads(z, which, finite)[which]
    drawn = in_order(means, sign * order)[which] + noise
    new = np.where(finite, np.exp(drawn) if logs else drawn, values)
    return _written(records, own, new, y, same=runs == "rows")


def table(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    x: str,
    y: str,
    direction: Direction = "decreasing",
    resolution: float = 0.0,
) -> list[TrialRecord]:
    """Return a table without noise whose values are in the claimed order, or the reverse; at 0 the smallest step alone is reversed."""
    del rng, resolution
    (order,) = truth.values()
    _, _, rows = table_of(records, (x, y))
    values = np.sort([row[1] for row in rows])
    if values[0] == values[-1]:
        raise EstimateError(f"all {len(rows)} values of '{y}' are equal, so they have no order to give.")
    if (np.diff(values) == 0).any():
        values = np.linspace(values[0], values[-1], len(values))
    if direction == "decreasing":
        values = values[::-1]
    if order < 0:
        values = values[::-1]
    elif order == 0:
        at = int(np.argmin(np.abs(np.diff(values))))
        values[[at, at + 1]] = values[[at + 1, at]]
    return _by_level(records, {row[0]: {y: float(value)} for row, value in zip(rows, values, strict=True)}, x)


def estimates(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    x: str,
    y: str,
    se: str,
    dof: str | None = None,
    direction: Direction = "decreasing",
) -> list[TrialRecord]:
    """Return estimates about levels in the true order, with their standard errors; these too are drawn where `dof` is given.

    All steps are claimed, so a claim is false as soon as one is missing: at 0 the least significant step vanishes, which is the
    hardest to notice.
    """
    (order,) = truth.values()
    _, _, rows = table_of(records, (x, y, se, *([dof] if dof else [])))
    errors = np.array([row[2] for row in rows])
    centres = in_order(
        np.array([row[1] for row in rows]), (1.0 if direction == "increasing" else -1.0) * (order or 1.0)
    )
    if order == 0:
        at = int(np.argmin(np.abs(np.diff(centres)) / np.hypot(errors[1:], errors[:-1])))
        centres[at : at + 2] = centres[at : at + 2].mean()
    drawn = rng.normal(centres, errors)
    shrunk = [math.sqrt(rng.chisquare(row[3]) / row[3]) if dof else 1.0 for row in rows]
    return _by_level(
        records,
        {row[0]: {y: float(v), se: row[2] * s} for row, v, s in zip(rows, drawn, shrunk, strict=True)},
        x,
    )


def in_order(means: FloatArray, order: float) -> FloatArray:
    """Return the level means rising (order above 0), falling (below 0), or all at their mean (0).

    Raises:
        EstimateError: if they are all equal and an order is wanted.
    """
    if order == 0:
        return np.full(len(means), means.mean())
    if means.min() == means.max():
        raise EstimateError("all level means are equal, so they have no order to give.")
    return np.sort(means)[:: 1 if order > 0 else -1].copy()


def _about_a_line(
    means: FloatArray, which: NDArray[np.intp], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return the straight line over the ranks of the levels, and scatter about it as recorded (ν = levels − 2)."""
    ranks = np.arange(len(means), dtype=float)
    line = np.polyval(np.polyfit(ranks, means, 1), ranks)
    scatter = math.sqrt(float(((means - line) ** 2).sum()) / (len(means) - 2))
    return line, rng.normal(0.0, scatter, len(which))


def _of_blocks(
    z: FloatArray, which: NDArray[np.intp], blocks: NDArray[np.int_], rng: np.random.Generator
) -> FloatArray:
    """Return what the runs of one seed share, and what is left to each: variances of the complete recorded blocks."""
    names, block = np.unique(blocks, return_inverse=True)
    grid = np.full((len(names), int(which.max()) + 1), math.nan)
    grid[block, which] = z
    complete = grid[np.isfinite(grid).all(axis=1)]
    n, k = complete.shape
    if n < 2:
        raise EstimateError(f"no noise can be simulated: {n} seeds were measured at every level; two are required.")
    left_over = complete - complete.mean(axis=0)
    shared = left_over.mean(axis=1)
    own = float(((left_over - shared[:, None]) ** 2).sum()) / ((n - 1) * (k - 1))
    between = max(float(shared @ shared) / (n - 1) - own / k, 0.0)
    return np.asarray(
        rng.normal(0.0, math.sqrt(between), len(names))[block] + rng.normal(0.0, math.sqrt(own), len(block))
    )


def _spreads(z: FloatArray, which: NDArray[np.intp], finite: NDArray[np.bool_]) -> FloatArray:
    """Return the standard deviation of a run at each level; pooled where a level has one run."""
    groups = [z[finite & (which == k)] for k in range(int(which.max()) + 1)]
    squares = sum(float(((g - g.mean()) ** 2).sum()) for g in groups)
    pooled = math.sqrt(squares / sum(len(g) - 1 for g in groups))
    return np.array([float(g.std(ddof=1)) if len(g) > 1 else pooled for g in groups])


def _written(
    records: Sequence[TrialRecord],
    own: Sequence[Sequence[tuple[float, float]]],
    new: FloatArray,
    y: str,
    same: bool,
) -> list[TrialRecord]:
    """Return the records with the new values, row by row; every record has those of the first where they are replicates."""
    written, place = [], 0
    for i, record in enumerate(records):
        place = 0 if same else place
        values = new[place : place + len(own[0 if same else i])]
        place += len(values)
        rows = (
            {**row, y: float(value)} if math.isfinite(value) else row
            for row, value in zip(record.rows, values, strict=False)
        )
        written.append(replace(record, rows=tuple(rows)))
    return written


def _by_level(records: Sequence[TrialRecord], values: Mapping[float, Mapping[str, float]], x: str) -> list[TrialRecord]:
    def new(row: Mapping[str, float | None]) -> dict[str, float | None]:
        level = row.get(x)
        return {**row, **(values[level] if level is not None else {})}

    return [replace(record, rows=tuple(new(row) for row in record.rows)) for record in records]
