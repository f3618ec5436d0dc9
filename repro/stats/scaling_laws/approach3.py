"""Approach 3: the parametric law fitted to the losses of all runs.

Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3 and Appendix D.2; reanalysed by Besiroglu et al. 2024
(arXiv 2404.10102). Two analyses of one table share the sampling error of its runs. So where a published number was computed
from the very runs that we read, only the optimiser (`uncertainty: none`) separates it from ours; the sampling error
(`uncertainty: bootstrap`) enters where constants are judged that were fitted to other runs, as Hoffmann et al. fitted theirs
to more than Figure 4 shows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import resamples
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.budgets import jackknife_se, lawful, leave_one_budget_out
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.huber import DELTA, Runs, residuals, summed_loss
from repro.stats.scaling_laws.lad import fit
from repro.stats.scaling_laws.law import Array, tokens_per_parameter
from repro.stats.scaling_laws.likelihood import maximise
from repro.stats.scaling_laws.newton import WARM
from repro.stats.scaling_laws.optimum import FITTED, Optimum, find_optimum, require_identified, require_spread
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.scaling_laws.sweep import Sweep

MIN_DRAWS = 20
"""Resamples below which their scatter says nothing."""

_COUNTS = 4_000_000
"""How often runs were drawn, held at a time: a bootstrap of a large table goes in parts."""

LOST_DRAWS = 0.05
"""Share of resamples without an acceptable fit, above which the estimate is `heavy_tailed`."""


def best_fit(runs: Runs, delta: float = DELTA) -> Array:
    """Return the θ `[5]` of least summed Huber loss (`find_optimum`), refusing runs that do not identify it.

    Raises:
        EstimateError: if the five constants are not identified.
    """
    return _identified_optimum(runs, delta, every_start=False)[0].theta


def bootstrap_fits(
    runs: Runs, theta: Array, draws: int, seed: int, delta: float = DELTA, unit: NDArray[np.intp] | None = None
) -> Array:
    """Return the θ of `draws` resamples, `[draws, 5]`, each minimised from the full-sample θ.

    Args:
        runs: the n rows.
        theta: θ of all rows.
        draws: resamples.
        seed: of the resampling.
        delta: δ of the Huber loss.
        unit: number of the run each row belongs to, `[n]`; rows of one run are drawn together. Each row by itself if None.
    """
    unit = np.arange(len(runs)) if unit is None else unit
    units = int(unit.max()) + 1
    drawn = resamples(units, draws, seed, fitted=FITTED)
    fits = np.empty((draws, FITTED))
    for low in range(0, draws, part := max(1, _COUNTS // len(runs))):
        some = drawn[low : low + part]
        counts = np.array([np.bincount(rows, minlength=units) for rows in some], dtype=np.float64)
        fits[low : low + part] = fit(np.tile(theta, (len(some), 1)), runs, counts[:, unit], delta, damping=WARM)[0]
    return fits


def _identified_optimum(runs: Runs, delta: float, every_start: bool) -> tuple[Optimum, float]:
    require_spread(runs)
    optimum = find_optimum(runs, delta, every_start)
    return optimum, require_identified(optimum.theta, runs)


def named_constants(theta: Array) -> dict[str, Array]:
    """Return E, A, B, α, β and a = β / (α + β) of each θ `[R, 5]`, by part name, each `[R]`."""
    a, b, e, alpha, beta = theta.T
    with np.errstate(over="ignore", divide="ignore"):
        natural = {"E": np.exp(e), "A": np.exp(a), "B": np.exp(b)}
        return {**natural, "alpha": alpha, "beta": beta, "a": beta / (alpha + beta)}


def approach3(
    sweep: Sweep,
    *,
    delta: float = DELTA,
    objective: str = "huber",
    uncertainty: str = "bootstrap",
    bootstrap: int = 4000,
    seed: int = 0,
    every_start: bool = False,
) -> dict[str, Estimate]:
    """Fit L(N, D) = E + A/N^α + B/D^β; return the parts E, A, B, alpha, beta and a = β / (α + β).

    The standard error is the wider of two: a bootstrap over whole runs (with all their checkpoints), with ν = runs − 5, and, where
    the sweep has budgets, a jackknife that leaves out one budget at a time, with ν = budgets − 2.

    >>> from repro.stats.scaling_laws import approach3, read_sweep
    >>> N, D = [1e7, 3e7, 1e8, 3e8] * 3, [1e9] * 4 + [1e10] * 4 + [1e11] * 4
    >>> L = [1.8 + 480 / n**0.35 + 2000 / d**0.37 for n, d in zip(N, D)]
    >>> fit = approach3(read_sweep({"params": N, "tokens": D, "loss": L}, counting="none"), uncertainty="none")
    >>> round(fit["alpha"].value, 4), round(fit["beta"].value, 4), fit["E"].extras["certified"]
    (0.35, 0.37, 1.0)

    Args:
        sweep: at least six runs.
        delta: δ ≥ 0 of the Huber loss on ln L; 0 for least absolute deviations.
        objective: `huber`, summed with a fixed δ (Appendix D.2), or `likelihood`, the same with a free scale.
        uncertainty: `bootstrap`: standard errors of the value and of its ln (only for `huber`). `none`: the value is compared with
            one computed from the same runs, so nothing random separates the two, and se = 0.
        bootstrap: resamples.
        seed: of the resampling.
        every_start: follow all 4,500 starts of Appendix D.2 to their end, instead of screening them.

    Raises:
        EstimateError: if the runs do not identify the constants, or an argument has no such value.
    """
    one_of("objective", objective, ("huber", "likelihood"))
    one_of("uncertainty", uncertainty, ("bootstrap", "none"))
    if not 0 <= delta < math.inf:
        raise EstimateError(f"delta must be 0 (least absolute deviations) or above, not {delta}.")
    runs = sweep.logs
    optimum, condition = _identified_optimum(runs, delta, every_start)
    theta = optimum.theta
    if objective == "likelihood":
        theta = maximise(theta, runs, delta)
    values = {name: float(value[0]) for name, value in named_constants(theta[None]).items()}
    extras = quality(theta, runs, delta) | optimum.extras | {"condition": condition}
    flags = sweep.flags if optimum.certified else (*sweep.flags, "uncertified_optimum")
    note = f"{objective} fit (δ = {delta:g}) to {len(runs)} rows of {sweep.runs} runs; {sweep.note}"
    note += f"; optimum not certified: {optimum.problem}" if optimum.problem else ""
    if uncertainty == "none":
        return {name: from_table(value, flags, extras, note) for name, value in values.items()}
    if objective == "likelihood":
        raise EstimateError("The bootstrap resamples the Huber fit; use objective: huber, or uncertainty: none.")
    at_least("bootstrap", bootstrap, MIN_DRAWS)
    dof = sweep.runs - FITTED
    if dof < 1:
        raise EstimateError(f"A bootstrap of five constants needs more than five independent runs, got {sweep.runs}.")
    fits = bootstrap_fits(runs, theta, bootstrap, seed, delta, sweep.run)
    kept = lawful(fits)
    lost = float(1 - kept.mean())
    extras["lost_draws"] = lost
    if lost > LOST_DRAWS:
        flags = (*flags, "heavy_tailed")
    if kept.sum() < MIN_DRAWS / 2:
        raise EstimateError(
            f"{kept.sum()} of {bootstrap} resamples of the runs give a law with both exponents above zero: the fit hangs on single runs."
        )
    draws = named_constants(fits[kept])
    without, needed = leave_one_budget_out(sweep, theta, delta)
    if needed:
        flags = (*flags, "heavy_tailed")
        note += f"; without the budget of {needed} FLOPs the runs give no law with two exponents above zero: the fit hangs on it"
    left_out = None if without is None else named_constants(without)
    widen = math.sqrt(sweep.runs / dof)  # as in `repro.stats.bootstrap`
    return {
        name: _with_error(value, draws[name], None if left_out is None else left_out[name], widen, dof, sweep.runs, flags, extras, note)
        for name, value in values.items()
    }  # fmt: skip


def _with_error(
    value: float,
    draws: Array,
    without: Array | None,
    widen: float,
    dof: int,
    runs: int,
    flags: tuple[str, ...],
    extras: Mapping[str, float | None],
    note: str,
) -> Estimate:
    """Return the estimate with the wider of the bootstrap's and the jackknife's standard error, of the value and of its ln."""
    by_runs, log_by_runs = float(draws.std(ddof=1)) * widen, float(np.log(draws).std(ddof=1)) * widen
    by_budget = log_by_budget = 0.0
    if without is not None:
        by_budget, log_by_budget = (jackknife_se(some) for some in (without, np.log(without)))
        extras = {**extras, "se_leave_one_budget_out": finite(by_budget)}
        note += f"; {len(without)} budgets left out in turn"
    wider = by_budget > by_runs or log_by_budget > log_by_runs
    return Estimate(
        value,
        se=finite(max(by_runs, by_budget)),
        log_se=finite(max(log_by_runs, log_by_budget)),
        dof=min(dof, len(without) - 2) if wider and without is not None else dof,
        n=runs,
        unit="run",
        flags=flags,
        extras={**extras, "se_runs": finite(by_runs), **_ends(draws)},
        note=f"{note}; standard error from {'leaving out budgets' if wider else f'{len(draws)} bootstrap resamples of whole runs'}",
    )


@estimator(unit="run", simulator="repro.stats.simulators.law.refit")
def parametric_fit(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    budget_tolerance: float = 0.0,
    objective: str = "huber",
    uncertainty: str = "bootstrap",
    bootstrap: int = 4000,
    seed: int = 0,
    delta: float = DELTA,
    every_start: bool = False,
) -> dict[str, Estimate]:
    """Return the parts E, A, B, alpha, beta and a = β / (α + β) of the law fitted to trials: `approach3` on their sweep.

    Args:
        records: training runs, or trials that read one table of runs; see `read_sweep` for the columns.
        counting: what N and C include, such as `embedding+head+attention`, `none` or `unstated`.
        columns: the table's own column names by role.
        derive: `flops` or `tokens`, where the table lacks them.
        budget_tolerance: of budgets that count as one.
        objective: see `approach3`, as for the rest.
        uncertainty: `bootstrap` or `none`.
        bootstrap: resamples.
        seed: of the resampling.
        delta: δ of the Huber loss on ln L.
        every_start: follow all 4,500 starts to their end.

    Raises:
        EstimateError: if the records hold no usable sweep, or as `approach3`.
    """
    sweep, flags = sweep_of(
        records, counting=counting, columns=columns, derive=derive, budget_tolerance=budget_tolerance
    )
    found = approach3(
        sweep,
        delta=delta,
        objective=objective,
        uncertainty=uncertainty,
        bootstrap=bootstrap,
        seed=seed,
        every_start=every_start,
    )
    return {
        name: replace(estimate, flags=tuple(dict.fromkeys((*flags, *estimate.flags))))
        for name, estimate in found.items()
    }


def quality(theta: Array, runs: Runs, delta: float) -> dict[str, float | None]:
    """How well θ fits: summed Huber loss, mean residual in nats; and the optimal tokens per parameter it implies."""
    left_over = np.exp(runs.log_loss) * -np.expm1(-residuals(theta, runs))
    found = {
        "huber_loss": float(summed_loss(theta[None], runs, delta=delta)[0]),
        "mean_residual": float(left_over.mean()),
    }
    if theta[3] > 0 and theta[4] > 0:
        found |= {f"tokens_per_parameter_{c:.0e}": tokens_per_parameter(theta, c) for c in (1e20, 1e22, 1e24)}
    return {name: finite(value) for name, value in found.items()}


def from_table(
    value: float, flags: tuple[str, ...], extras: Mapping[str, float | None] | None = None, note: str = ""
) -> Estimate:
    """Return the estimate of a quantity that the table determines without any draw: se = 0 and n = 1."""
    return Estimate(
        finite(value), se=0.0, unit="table", deterministic=True, flags=flags, extras=extras or {}, note=note
    )


def _ends(draws: Array) -> dict[str, float | None]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"percentile_2.5": finite(low), "percentile_97.5": finite(high)}


def finite(value: float) -> float | None:
    """Return the value, or None where JSON has no word for it."""
    return float(value) if math.isfinite(value) else None


def at_least(name: str, value: int, least: int) -> None:
    """Raise `EstimateError` unless the argument `name` is a whole number of at least `least`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise EstimateError(f"{name} must be a whole number of at least {least}, not {value!r}.")


def one_of(name: str, value: str, valid: Sequence[str]) -> None:
    """Raise `EstimateError` unless the argument `name` has one of the valid values."""
    if value not in valid:
        raise EstimateError(f"{name} must be one of {', '.join(valid)}, not '{value}'.{nearest(value, valid)}")
