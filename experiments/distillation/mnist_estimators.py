"""How much of a teacher's advantage a distilled student recovers, and what students know of classes they never saw."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.distribution import heavy_tailed, multimodal
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds

__all__ = ["means_of_columns", "recovered_gap"]


@estimator(unit="seed")
def recovered_gap(
    records: Sequence[TrialRecord],
    *,
    teacher: str = "teacher",
    alone: str = "alone",
    distilled: str = "distilled",
    parts: Sequence[str] = ("value",),
) -> dict[str, Estimate]:
    """Return g = (a − d) / (a − t) of the mean errors of the student alone (a), distilled (d) and the teacher (t).

    SE² = s²/n / (a − t)² with s the standard deviation of aᵢ − dᵢ − g (aᵢ − tᵢ) over trials (the delta method), ν = n − 1. Plain t:
    these are differences of arms of much the same noise. Where a − t is not clearly above 0 (t test at 5 %) there is no gap and no value.

    Args:
        records: replicates of one cell.
        teacher: column of the teacher's errors.
        alone: of the student trained on labels.
        distilled: of the student trained on soft targets.
        parts: names of the claim's parts, which all get this estimate.

    Raises:
        EstimateError: if a record lacks a column or is not finite.
    """
    t, a, d = (_column(records, name) for name in (teacher, alone, distilled))
    n, gap = len(a), a - t
    # One-sided 5 % critical values of t lie below 2.92 from two degrees of freedom on.
    clear = float(gap.mean()) > (2.92 * float(gap.std(ddof=1)) / math.sqrt(n) if n > 1 else 0)
    means = {f"mean_{name}": float(column.mean()) for name, column in (("t", t), ("a", a), ("d", d))}
    if not clear:
        none = Estimate(
            None, n=n, unit="seed", extras=means, note="The teacher is not clearly better than the student."
        )
        return dict.fromkeys(parts, none)
    g = float((a - d).mean() / gap.mean())
    residuals = (a - d - g * gap) / gap.mean()
    spread = float(residuals.std(ddof=1)) if n > 1 and residuals.min() < residuals.max() else None
    flags = ("no_spread",) if spread is None and n > 1 else ()
    flags += ("heavy_tailed",) if heavy_tailed(residuals.tolist(), symmetric=True) else ()
    flags += ("multimodal",) if multimodal(residuals.tolist()) else ()
    estimate = Estimate(
        g,
        se=None if spread is None else spread / math.sqrt(n),
        dof=None if spread is None else n - 1,
        n=n,
        unit="seed",
        units=tuple((g + residuals).tolist()),
        spread=spread,
        flags=flags,
        extras=means,
    )
    return dict.fromkeys(parts, estimate)


@estimator(unit="seed")
def means_of_columns(
    records: Sequence[TrialRecord], *, columns: Mapping[str, str], divide: Mapping[str, float] | None = None
) -> dict[str, Estimate]:
    """Return the geometric mean over seeds of several counts, by part, as `mean_over_seeds` with lognormal noise.

    Args:
        records: replicates of one cell.
        columns: measurement by part.
        divide: what a count is divided by, for parts in other units; a count of 0 is taken for ½.

    Raises:
        EstimateError: as `mean_over_seeds`.
    """
    estimates = {}
    for part, column in columns.items():
        scale = (divide or {}).get(part, 1.0)
        counts = [
            replace(record, rows=({"count": max(value, 0.5) / scale},))
            for record, value in zip(records, _column(records, column), strict=True)
        ]
        estimates[part] = mean_over_seeds(counts, column="count", noise="lognormal")
    return estimates


def _column(records: Sequence[TrialRecord], name: str) -> NDArray[np.float64]:
    found = []
    for record in records:
        value = record.rows[0].get(name) if record.rows else None
        if value is None or not math.isfinite(value):
            raise EstimateError(
                f"replicate {record.replicate} measured no '{name}'.{nearest(name, record.rows[0] if record.rows else ())}"
            )
        found.append(value)
    if not found:
        raise EstimateError("there are no records.")
    return np.array(found)
