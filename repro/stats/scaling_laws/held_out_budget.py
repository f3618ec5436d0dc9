"""Approach 2 on our own runs, with a forecast that is checked: what the smaller budgets say of the largest."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach2 import MIN_BUDGETS
from repro.stats.scaling_laws.approach3 import best_fit
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.huber import residuals
from repro.stats.scaling_laws.isoflop import approach2
from repro.stats.scaling_laws.sweep import Sweep, read_sweep

__all__ = ["trained_isoflop_exponent"]


@estimator(unit="budget", simulator="repro.stats.simulators.isoflop.profiles")
def trained_isoflop_exponent(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    of: str = "params",
    window: float = 0.15,
    min_points: int = 5,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Return the exponent of the compute-optimal size from our own IsoFLOP runs: `approach2`, and checks beside it.

    In `extras`, beside those of `approach2`: `held_out_size_percent` and `held_out_loss_percent` (see `forecast_errors`) and
    `most_epochs`. Runs on text seen more than four times set the flag `repeated_data`.

    Args:
        records: training runs, one row each.
        counting: what N and C include, such as `embedding+head+attention`.
        of: `params` for the exponent a, `tokens` for b.
        window: see `approach2`, as for the rest.
        min_points: cells that enter a parabola in any case.
        bootstrap: draws of the noise bootstrap.
        seed: of the bootstrap.

    Raises:
        EstimateError: if there is no finished run, a column is missing, or the sweep is otherwise unusable.
    """
    finished(records)
    sweep = read_sweep(records, counting=counting)
    found = approach2(sweep, of=of, window=window, min_points=min_points, bootstrap=bootstrap, seed=seed)
    extras = {**found.extras, **forecast_errors(sweep, of, window, min_points)}
    flags = tuple(dict.fromkeys((*found.flags, *diverged(records))))
    return with_epochs(replace(found, extras=extras, flags=flags), records)


def forecast_errors(sweep: Sweep, of: str, window: float, min_points: int) -> dict[str, float | None]:
    """Return how far the largest budget lies from what the smaller ones forecast, in per cent.

    `held_out_size_percent`: its optimum above the one on the line through the optima of the smaller budgets.
    `held_out_loss_percent`: losses of its runs above those of the parametric law fitted to the runs of the smaller budgets, mean. Either is
    None where the smaller budgets give no line (three are needed), or no law.
    """
    errors: dict[str, float | None] = {"held_out_size_percent": None, "held_out_loss_percent": None}
    budgets = np.unique(sweep.budget) if sweep.budget is not None else np.zeros(0)
    if len(budgets) <= MIN_BUDGETS or sweep.budget is None:
        return errors
    top = budgets[-1]
    smaller, largest = sweep.rows(sweep.budget < top), sweep.rows(sweep.budget == top)
    whole, part = (
        approach2(some, of=of, window=window, min_points=min_points, bootstrap=100, checks=False)
        for some in (sweep, smaller)
    )
    optima = [whole.extras.get(f"optimal_{of}_{c:.3g}") for c in budgets]
    if part.value is not None and all(optima):
        x, y = np.log(budgets), np.log(np.array(optima, dtype=float))
        forecast = y[:-1].mean() + part.value * (x[-1] - x[:-1].mean())
        errors["held_out_size_percent"] = 100 * math.expm1(y[-1] - forecast)
    try:
        theta = best_fit(smaller.logs)
    except EstimateError:
        return errors
    errors["held_out_loss_percent"] = 100 * float(np.expm1(residuals(theta, largest.logs)).mean())
    return errors
