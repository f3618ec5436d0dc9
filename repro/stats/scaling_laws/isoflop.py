"""Approach 2 on a sweep: the exponent of the compute-optimal size, with its errors, its bias and its checks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach2 import (
    MIN_BUDGETS,
    Profile,
    cells_of,
    find_optimum,
    fit_exponent,
    pooled_sd,
    scatter,
    slope_of,
)
from repro.stats.scaling_laws.approach3 import MIN_DRAWS, at_least, one_of
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.isoflop_checks import asymmetry, parabola_bias, quartic_shift
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.scaling_laws.sweep import Sweep

REFUSED_DRAWS = 0.05
"""Share of noise draws without an interior minimum, above which the estimate is `heavy_tailed`."""


def approach2(
    sweep: Sweep,
    *,
    of: str = "params",
    window: float = 0.15,
    min_points: int = 5,
    bootstrap: int = 1000,
    seed: int = 0,
    checks: bool = True,
) -> Estimate:
    """Return the exponent of the compute-optimal size over compute, d ln N* / d ln C, from IsoFLOP profiles.

    The standard error is the widest of a parametric noise bootstrap of whole runs (noise from repeats of a cell, else from the
    scatter about the parabolas), a jackknife over budgets, and the scatter about the line; ν = budgets − 2.

    >>> from repro.stats.scaling_laws import approach2, read_sweep
    >>> budgets, sizes = [1e18, 1e19, 1e20], [0.25, 0.5, 1, 2, 4]
    >>> N = [(c / 120) ** 0.5 * s for c in budgets for s in sizes]
    >>> C = [c for c in budgets for s in sizes]
    >>> D = [c / 6 / n for c, n in zip(C, N)]
    >>> L = [1.7 + 400 / n**0.34 + 1200 / d**0.34 for n, d in zip(N, D)]
    >>> found = approach2(read_sweep({"params": N, "tokens": D, "budget": C, "loss": L}, counting="none"))
    >>> round(found.value, 3), found.dof, found.n
    (0.5, 1, 3)

    Args:
        sweep: with budgets; runs of equal budget, N and D are seeds of one cell and are averaged.
        of: `params` for the exponent a of N*, `tokens` for b of D*.
        window: nats (or whatever unit the losses have) above the lowest loss of a budget within which cells enter its parabola.
        min_points: cells that enter in any case, if there are as many.
        bootstrap: draws of the noise bootstrap.
        seed: of the bootstrap.
        checks: whether to measure the parabola's bias and the quartic's and cubic's difference; they cost a parametric fit.

    Returns:
        The exponent; without a value if a budget's optimum is refused (see `find_optimum`) or there is one budget; without a
        standard error, flagged `too_few_budgets`, below three. In `extras`: optima, standard errors, seed noise, and from the checks
        `bias_bar` (how far the parabola's exponent lies from that of the fitted law on the same grid without noise),
        `intercept_bias_percent` (the same of the optima themselves), `quartic_shift`, `quartic_intercept_percent`, `cubic_asymmetry`.

    Raises:
        EstimateError: if the sweep has no budgets, or `of` is neither.
    """
    one_of("of", of, ("params", "tokens"))
    at_least("min_points", min_points, 3)
    at_least("bootstrap", bootstrap, MIN_DRAWS)
    if not window >= 0:
        raise EstimateError(f"window must be a width of 0 or more in the unit of the losses, not {window}.")
    if sweep.budget is None:
        raise EstimateError(
            "IsoFLOP profiles need budgets: a column 'budget' with the nominal FLOPs of each run, or FLOPs that budget_tolerance groups."
        )
    cells = _cells(sweep, of)
    profiles = [Profile(*cell[:-1]) for cell in cells]
    optima = [find_optimum(profile, window, min_points) for profile in profiles]
    thin = [f"{p.budget:.3g}" for p, o in zip(profiles, optima, strict=True) if len(o.used) < min_points]
    flags = (*sweep.flags, *(("few_points",) if thin else ()))
    extras: dict[str, float | None] = {
        f"optimal_{of}_{p.budget:.3g}": None if o.problem else math.exp(o.log_size)
        for p, o in zip(profiles, optima, strict=True)
    }
    notes = [f"{sweep.diverged} runs diverged and are left out"] * bool(sweep.diverged)
    notes += [f"fewer than {min_points} sizes at {', '.join(thin)} FLOPs"] * bool(thin)
    counted = f"{sweep.counting} (N from column '{sweep.params_column}')"
    refused = [f"at {p.budget:.3g} FLOPs {o.problem}" for p, o in zip(profiles, optima, strict=True) if o.problem]
    refused += ["one budget gives no slope"] * (len(profiles) < 2)
    if len(profiles) > len(sweep) / 3:
        refused.append("budgets that differ a little are different budgets unless budget_tolerance groups them")
    if refused:
        note = "; ".join([*refused, *notes, counted])
        return Estimate(None, n=len(profiles), unit="budget", flags=flags, extras=extras, note=note)
    repeats = pooled_sd([losses for cell in cells for losses in cell[-1]])
    seed_sd = scatter(profiles, optima) if repeats is None else repeats
    extras["seed_sd"] = seed_sd
    if len(profiles) < MIN_BUDGETS:
        x, y = np.log([p.budget for p in profiles]), np.array([o.log_size for o in optima])
        note = "; ".join([*notes, "two budgets give no standard error", counted])
        value = float(slope_of(x, y, np.ones(2)))
        return Estimate(value, n=2, unit="budget", flags=(*flags, "too_few_budgets"), extras=extras, note=note)
    slope = fit_exponent(profiles, optima, seed_sd, bootstrap, seed)
    extras |= {
        name: getattr(slope, name) for name in ("se_noise", "se_leave_one_out", "se_regression", "refused_draws")
    }
    if checks:
        bias, missing = parabola_bias(sweep, of, window, min_points, slope.weights)
        shift, percent = quartic_shift(profiles, optima, slope.weights)
        extras |= {**bias, "quartic_shift": shift, "quartic_intercept_percent": percent}
        extras["cubic_asymmetry"] = asymmetry(profiles, optima)
        notes += [missing] * bool(missing)
        if (bias["bias_bar"] or 0.0) > slope.se:
            flags = (*flags, "systematic_error")
            notes.append(
                f"parabolas on these grids are off by {bias['exponent_bias']:+.2g}, more than the standard error"
            )
    if slope.refused_draws > REFUSED_DRAWS:
        flags = (*flags, "heavy_tailed")
    notes.append(f"noise of one run from {'repeats' if repeats is not None else 'the scatter about the parabolas'}")
    return Estimate(
        slope.value,
        se=slope.se,
        dof=len(profiles) - 2,
        n=len(profiles),
        unit="budget",
        flags=flags,
        extras=extras,
        note="; ".join([*notes, counted]),
    )


@estimator(unit="budget", simulator="repro.stats.simulators.isoflop.profiles")
def isoflop_exponent(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    budget_tolerance: float = 0.0,
    of: str = "params",
    window: float = 0.15,
    min_points: int = 5,
    bootstrap: int = 1000,
    seed: int = 0,
    checks: bool = True,
) -> Estimate:
    """Return the exponent of the compute-optimal size from trained IsoFLOP runs: `approach2` on the trials' sweep.

    Args:
        records: training runs, one row each, or trials that read one table of runs; see `read_sweep` for the columns.
        counting: what N and C include, such as `embedding+head+attention`, `none` or `unstated`.
        columns: the table's own column names by role.
        derive: `flops` or `tokens`, where the table lacks them.
        budget_tolerance: of budgets that form one profile.
        of: `params` for the exponent a, `tokens` for b.
        window: see `approach2`, as for the rest.
        min_points: cells that enter a parabola in any case.
        bootstrap: draws of the noise bootstrap.
        seed: of the bootstrap.
        checks: whether to measure bias and asymmetry.

    Raises:
        EstimateError: if there is no finished run, a column is missing, or the sweep is otherwise unusable.
    """
    sweep, flags = sweep_of(
        records, counting=counting, columns=columns, derive=derive, budget_tolerance=budget_tolerance
    )
    found = approach2(sweep, of=of, window=window, min_points=min_points, bootstrap=bootstrap, seed=seed, checks=checks)
    return replace(found, flags=tuple(dict.fromkeys((*flags, *found.flags))))


Cells = tuple[float, Array, Array, Array, Array | None, list[Array]]


def _cells(sweep: Sweep, of: str) -> list[Cells]:
    """Return the fields of a `Profile` and the losses of each cell's seeds, for each budget in order."""
    assert sweep.budget is not None
    log_size = np.log(sweep.params if of == "params" else sweep.tokens)
    shared = sweep.runs < len(sweep)
    found = []
    for budget in np.unique(sweep.budget):
        rows = np.flatnonzero(sweep.budget == budget)
        own = [rows[cell] for cell in cells_of(np.log(sweep.params[rows]))]
        own.sort(key=lambda cell: float(log_size[cell].mean()))
        members = np.zeros((len(own), int(sweep.run.max()) + 1)) if shared else None
        losses = []
        for i, cell in enumerate(own):
            runs, which, rows_of_run = np.unique(sweep.run[cell], return_inverse=True, return_counts=True)
            losses.append(
                np.bincount(which, weights=sweep.loss[cell]) / rows_of_run
            )  # checkpoints of one run are no repeats
            if members is not None:
                members[i, runs] = 1 / len(runs)
        found.append(
            (
                float(budget),
                np.array([log_size[cell].mean() for cell in own]),
                np.array([loss.mean() for loss in losses]),
                np.array([len(loss) for loss in losses], dtype=float),
                members,
                losses,
            )
        )
    return found
