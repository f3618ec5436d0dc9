"""Optimal tokens per parameter, on the terms of the runs themselves, and how far an extrapolation could be off.

Hoffmann et al. 2022 (arXiv 2203.15556): N* ∝ C^a and D* ∝ C^b with a ≈ b, so D*/N* hardly changes with compute. How large it is hangs
on the tokens: a byte is no word piece, so only the slope of ln(D*/N*) compares across vocabularies.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import t as student

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.regression import weighted_line
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.isoflop import approach2
from repro.stats.scaling_laws.sweep import read_sweep

__all__ = ["tokens_per_parameter_slope"]

LEVEL = 0.95
"""One-sided, of the extrapolation's 90 % interval."""

LARGEST_LOG = 700.0
"""Beyond e to this, a number has left double precision."""


@estimator(unit="budget")
def tokens_per_parameter_slope(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    extrapolate_to: float = 5.76e23,
    window: float = 0.15,
    min_points: int = 5,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Return d ln(D*/N*) / d ln C, the exponent of D* less that of N* by IsoFLOP profiles.

    The same noise moves both exponents, in opposite directions, so their standard errors add; ν = budgets − 2.

    Args:
        records: training runs in budgets.
        counting: what N and C include; see `read_sweep`.
        extrapolate_to: FLOPs at which the line through the budgets is read as well; 5.76e23 is Gopher's budget.
        window: see `approach2`, as for the rest.
        min_points: cells that enter a parabola in any case.
        bootstrap: draws of the noise bootstrap.
        seed: of the bootstrap.

    Returns:
        The slope; without a value where a budget has no optimum. In `extras` D*/N* at each budget, `tokens_per_parameter_<C>`;
        and what the line gives far off, `extrapolated_<C>` with the ends of its 90 % interval, `…_low` and `…_high`, and
        `orders_of_magnitude_beyond`, how far it lies beyond the largest budget.

    Raises:
        EstimateError: if the sweep has no budgets, or is otherwise unusable.
    """
    sweep = read_sweep([dict(record.rows[0]) for record in finished(records)], counting=counting)
    size, data = (
        approach2(sweep, of=of, window=window, min_points=min_points, bootstrap=bootstrap, seed=seed, checks=False)
        for of in ("params", "tokens")
    )
    flags = tuple(dict.fromkeys((*size.flags, *data.flags, *diverged(records))))
    if size.value is None or data.value is None or size.se is None or data.se is None or size.dof is None:
        return replace(data if size.value is not None else size, value=None, se=None, dof=None, flags=flags)
    if sweep.budget is None:
        raise EstimateError("Optimal tokens per parameter need budgets.")
    budgets = np.unique(sweep.budget)
    ratio = np.log([_optimum(data, "tokens", c) / _optimum(size, "params", c) for c in budgets])
    se = size.se + data.se
    x = np.log(budgets)
    line = weighted_line(x, ratio, np.ones(len(x)))
    far = math.log(extrapolate_to) - x.mean()
    middle = ratio.mean() + line.slope * far
    reach = float(student.ppf(LEVEL, size.dof)) * math.hypot(se * far, line.residual_sd / math.sqrt(len(x)))
    name = f"extrapolated_{extrapolate_to:.3g}"
    extras: dict[str, float | None] = {
        f"tokens_per_parameter_{c:.3g}": math.exp(value) for c, value in zip(budgets, ratio, strict=True)
    }
    extras |= {
        name: _exp(middle),
        f"{name}_low": _exp(middle - reach),
        f"{name}_high": _exp(middle + reach),
        "orders_of_magnitude_beyond": (math.log(extrapolate_to) - float(x.max())) / math.log(10),
    }
    beyond = extras["orders_of_magnitude_beyond"]
    note = (
        f"at {extrapolate_to:.3g} FLOPs the line is an extrapolation by {beyond:.0f} orders of magnitude, in tokens of this "
        f"vocabulary; {size.note}"
    )
    found = Estimate(
        data.value - size.value, se=se, dof=size.dof, n=size.n, unit="budget", flags=flags, extras=extras, note=note
    )
    return with_epochs(found, records)


def _optimum(found: Estimate, of: str, budget: float) -> float:
    return float(found.extras[f"optimal_{of}_{budget:.3g}"] or math.nan)


def _exp(log: float) -> float | None:
    return math.exp(log) if abs(log) < LARGEST_LOG else None
