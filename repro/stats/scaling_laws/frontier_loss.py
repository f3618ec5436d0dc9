"""How the lowest loss at every compute falls: L* = (C_c/C)^α_C along the best size, under any bookkeeping of the same runs.

Kaplan et al. 2020 (arXiv 2001.08361), Equation 1.3 and Table 5, who count C = 6ND without embeddings.
"""

import math
from collections.abc import Sequence

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import MIN_DRAWS, at_least
from repro.stats.scaling_laws.budgets import jackknife_se
from repro.stats.scaling_laws.counted_surface import Counted, count
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.law import Array

__all__ = ["frontier_loss_exponent"]

COEFFICIENTS = 6
"""Of the surface."""

MIN_BUDGETS = 4
"""Without one of three, a surface has no curvature in ln C."""

REFUSED_DRAWS = 0.05
"""Share of noise draws without a valley, above which the estimate is `heavy_tailed`."""


@estimator(unit="budget")
def frontier_loss_exponent(
    records: Sequence[TrialRecord], *, counting: str, bootstrap: int = 1000, seed: int = 0
) -> Estimate:
    """Return α_C: how fast ln L* falls on average from the smallest to the largest budget, as compute is counted.

    L*(C) is the valley of the quadratic surface ln L(ln N, ln C) through all runs (`counted_surface`),

        ln L*(y) = c₀ + c₂y + c₅y² − (c₁ + c₄y)²/4c₃,   y = ln C,

    and α_C the slope of its chord between the mean y of the runs of the smallest and of the largest budget. The standard error is the wider of
    a bootstrap of the runs' scatter about the surface and a jackknife over budgets; ν = budgets − 2.

    Args:
        records: training runs with the columns `params`, `params_non_embedding`, `tokens`, `flops`, `budget` and `loss`.
        counting: what N and C include; `none` as Kaplan et al.
        bootstrap: draws.
        seed: of the bootstrap.

    Returns:
        The exponent. In `extras`: L* and C at both ends, the local exponents there (`exponent_low`, `exponent_high`; equal for a power
        law), and both errors.

    Raises:
        EstimateError: for fewer than four budgets or eight runs, a missing column, or a surface without a valley over N.
    """
    at_least("bootstrap", bootstrap, MIN_DRAWS)
    runs = count(records, counting)
    budgets = np.unique(runs.budget)
    if len(budgets) < MIN_BUDGETS or len(runs.budget) < COEFFICIENTS + 2:
        raise EstimateError(
            f"A frontier over compute with a standard error needs {MIN_BUDGETS} budgets and {COEFFICIENTS + 2} runs, got "
            f"{len(budgets)} and {len(runs.budget)}."
        )
    ends = np.array([runs.log_flops[runs.budget == budget].mean() for budget in (budgets[0], budgets[-1])])
    without = np.array([_fall(runs.rows(runs.budget != budget), ends) for budget in budgets])
    valley, slopes = _valley(runs, runs.log_loss, ends)
    value = float((valley[0] - valley[1]) / (ends[1] - ends[0]))
    if not np.isfinite([value, *without]).all():
        raise EstimateError(
            "The surface through the runs, or through those of all budgets but one, has no valley over N. Train sizes on both "
            "sides of the best."
        )
    terms = _terms(runs)
    fitted = terms @ np.linalg.lstsq(terms, runs.log_loss, rcond=None)[0]
    sd = math.sqrt(float(((runs.log_loss - fitted) ** 2).sum()) / (len(terms) - COEFFICIENTS))
    noise = np.random.default_rng(seed).normal(size=(len(terms), bootstrap))
    heights, _ = _valley(runs, fitted[:, None] + sd * noise, ends)
    drawn = (heights[0] - heights[1]) / (ends[1] - ends[0])
    kept = drawn[np.isfinite(drawn)]
    heavy = len(kept) < (1 - REFUSED_DRAWS) * bootstrap
    by_noise, by_budget = float(kept.std(ddof=1)) if len(kept) > 1 else math.inf, jackknife_se(without)
    found = Estimate(
        value,
        se=max(by_noise, by_budget) if math.isfinite(by_noise) else None,
        dof=len(budgets) - 2,
        n=len(budgets),
        unit="budget",
        flags=(*diverged(records), *(("heavy_tailed",) if heavy else ())),
        extras={
            **dict(zip(("lowest_loss_low", "lowest_loss_high"), np.exp(valley).tolist(), strict=True)),
            **dict(zip(("flops_low", "flops_high"), np.exp(ends).tolist(), strict=True)),
            **dict(zip(("exponent_low", "exponent_high"), (-slopes).tolist(), strict=True)),
            "se_noise": by_noise if math.isfinite(by_noise) else None,
            "se_leave_one_out": by_budget,
        },
        note=f"valley of a quadratic surface through {len(finished(records))} runs, counting '{counting}'",
    )
    return with_epochs(found, records)


def _terms(runs: Counted) -> Array:
    """Return the surface's terms 1, x, y, x², xy, y² at each run, `[n, 6]`, with x and y less their means."""
    x, y = runs.log_params - runs.log_params.mean(), runs.log_flops - runs.log_flops.mean()
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _fall(runs: Counted, ends: Array) -> float:
    """Return minus the slope of the chord of these runs' valley between the two ends."""
    valley, _ = _valley(runs, runs.log_loss, ends)
    return float((valley[0] - valley[1]) / (ends[1] - ends[0]))


def _valley(runs: Counted, log_loss: Array, at: Array) -> tuple[Array, Array]:
    """Return ln L* and its slope at ln C `[2]` for losses `[n]` or `[n, R]`: each `[2]` or `[2, R]`; NaN without a valley."""
    c, _, rank, _ = np.linalg.lstsq(_terms(runs), log_loss, rcond=1e-9)
    y = (at - runs.log_flops.mean()).reshape(-1, *(1,) * (log_loss.ndim - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        # At the valley the derivative by ln N is 0, so along it only that by ln C counts.
        place = -(c[1] + c[4] * y) / (2 * c[3])
        height = c[0] + c[1] * place + c[2] * y + c[3] * place**2 + c[4] * place * y + c[5] * y**2
        slope = c[2] + c[4] * place + 2 * c[5] * y
        valid = (c[3] > 0) & (rank == COEFFICIENTS)
        return np.where(valid, height, np.nan), np.where(valid, slope, np.nan)
