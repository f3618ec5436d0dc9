"""The parametric fit without each budget in turn: what a budget trained or tuned otherwise than the rest does to it."""

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws.huber import DELTA
from repro.stats.scaling_laws.lad import fit
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.newton import WARM
from repro.stats.scaling_laws.optimum import require_spread
from repro.stats.scaling_laws.sweep import Sweep

MIN_BUDGETS = 3
"""Budgets below which leaving one out tells nothing."""

_LARGEST = 600.0
"""Constants of θ beyond this have left double precision: a term has vanished."""


def leave_one_budget_out(sweep: Sweep, theta: Array, delta: float = DELTA) -> tuple[Array | None, str]:
    """Return the θ without each budget in turn, `[budgets, 5]`; None for fewer than three budgets, or, with the budget, if one is
    indispensable.
    """
    budgets = np.unique(sweep.budget) if sweep.budget is not None else np.zeros(0)
    if len(budgets) < MIN_BUDGETS:
        return None, ""
    weights = np.array([sweep.budget != budget for budget in budgets], dtype=float)
    for budget, row in zip(budgets, weights, strict=True):
        try:
            require_spread(sweep.rows(row > 0).logs)
        except EstimateError:
            return None, f"{budget:.3g}"
    found = fit(np.tile(theta, (len(budgets), 1)), sweep.logs, weights, delta, damping=WARM)[0]
    lawless = ~lawful(found)
    return (None, f"{budgets[lawless.argmax()]:.3g}") if lawless.any() else (found, "")


def lawful(theta: Array) -> NDArray[np.bool_]:
    """Tell which θ `[R, 5]` are laws: finite, both exponents above zero, no term vanished."""
    inside = np.isfinite(theta) & (np.abs(theta) < _LARGEST)
    return np.asarray(inside.all(axis=1) & (theta[:, 3:] > 0).all(axis=1))


def jackknife_se(values: Array) -> float:
    """Return √((k − 1)/k Σ (value − mean)²) of the k leave-one-out values."""
    return float(np.sqrt((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()))
