"""How large the effect of wrong labels is, measured in the scatter from seed to seed."""

import math
from collections.abc import Sequence

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.distribution import heavy_tailed, multimodal
from repro.stats.estimator import estimator

__all__ = ["effect_in_seed_deviations"]


@estimator(unit="seed")
def effect_in_seed_deviations(
    records: Sequence[TrialRecord], *, flips: float, column: str = "error", baseline: str = "error"
) -> Estimate:
    """Return g = mean(e − e₀) / s₀: the rise of the error from no flips to some, in standard deviations of e₀ over seeds.

    SE² = s_d² / (n s₀²) + g² / (2 (n − 1)), with s_d the standard deviation of the paired differences: the first term is the scatter
    of the mean, the second that of s₀ itself (the delta method, for normal noise); ν = n − 1.

    Args:
        records: one trial a seed with one row a share of flips.
        flips: the share whose error is compared.
        column: its error.
        baseline: column of the error at 0 flips.

    Raises:
        EstimateError: if there are fewer than two seeds, one counts twice, or one lacks a row or a column.
    """
    if len({record.replicate for record in records}) < max(2, len(records)):
        raise EstimateError(f"the effect takes at least two seeds, each once; got {len(records)} records.")
    e = np.array([_at(record, flips, column) for record in records])
    clean = np.array([_at(record, 0.0, baseline) for record in records])
    n, d = len(records), e - clean
    if not np.isfinite(d).all():
        return Estimate(None, n=n, unit="seed", flags=("diverged",), note="At least one network diverged.")
    s0, sd = float(clean.std(ddof=1)), float(d.std(ddof=1))
    extras = {"error_without_flips": float(clean.mean()), "rise": float(d.mean()), "seed_deviation": s0}
    if s0 == 0:
        return Estimate(None, n=n, unit="seed", flags=("no_spread",), extras=extras)
    g = float(d.mean()) / s0
    flags: tuple[str, ...] = ("heavy_tailed",) if heavy_tailed(d.tolist(), symmetric=True) else ()
    flags += ("multimodal",) if multimodal(d.tolist()) else ()
    return Estimate(
        g,
        se=math.sqrt(sd**2 / (n * s0**2) + g**2 / (2 * (n - 1))),
        dof=n - 1,
        n=n,
        unit="seed",
        units=tuple((d / s0).tolist()),
        flags=flags,
        extras=extras,
    )


def _at(record: TrialRecord, flips: float, column: str) -> float:
    found = [row for row in record.rows if row.get("flips") == flips]
    if len(found) != 1 or column not in found[0]:
        raise EstimateError(f"replicate {record.replicate} has no single row with flips = {flips:g} and '{column}'.")
    measured = found[0][column]
    return math.nan if measured is None else float(measured)
