"""Several bookkeepings of the same runs: what the exponent of N* becomes when N and C are counted otherwise.

Runs that share a budget under one counting do not under another, so no parabola at fixed C can be drawn for both. Instead one
quadratic surface (a response surface, Box and Wilson 1951) goes through all runs,

    ln L = c₀ + c₁x + c₂y + c₃x² + c₄xy + c₅y²,   x = ln N, y = ln C as counted,

whose valley is x*(y) = −(c₁ + c₄y)/2c₃, so that a = −c₄/2c₃. It is Approach 2 of Hoffmann et al. 2022 (arXiv 2203.15556) with one
curvature and one line of optima for all budgets. On laws L(N, D) without noise it gives the exponent to within 0.02, 0.03 without
embeddings. Flanks of unequal steepness bend it, so a term c₆x³ is tried as well, and what it changes is part of the standard error.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import LOST_DRAWS, MIN_DRAWS, at_least
from repro.stats.scaling_laws.budgets import jackknife_se
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.law import Array

__all__ = ["counting_fall", "exponents_by_counting"]

COEFFICIENTS = 6
"""Of the surface."""

MIN_BUDGETS = 4
"""Without one of three, a surface has no curvature in ln C."""


@dataclass(frozen=True)
class Counted:
    """The runs as one bookkeeping has them, each `[n]`."""

    log_params: Array
    log_flops: Array
    log_loss: Array
    budget: Array
    """Nominal FLOPs, which group the runs whatever is counted."""

    def rows(self, kept: NDArray[np.bool_]) -> "Counted":
        """Return these runs alone."""
        return Counted(self.log_params[kept], self.log_flops[kept], self.log_loss[kept], self.budget[kept])

    def terms(self) -> Array:
        """Return the surface's terms at each run, `[n, 7]`, with x and y less their means; the last is x³."""
        x, y = self.log_params - self.log_params.mean(), self.log_flops - self.log_flops.mean()
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y, x**3], axis=1)


@dataclass(frozen=True)
class Exponent:
    """An exponent, with fresh noise on every run and without each budget in turn."""

    value: float
    noisy: Array
    """`[draws]`."""
    without: Array
    """`[budgets]`."""
    skewed: float
    """With the term x³."""

    def minus(self, other: "Exponent") -> "Exponent":
        """Return the difference, draw by draw and budget by budget."""
        return Exponent(
            self.value - other.value,
            self.noisy - other.noisy,
            self.without - other.without,
            self.skewed - other.skewed,
        )


@estimator(unit="budget")
def exponents_by_counting(
    records: Sequence[TrialRecord], *, countings: Mapping[str, str], bootstrap: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Return the exponent of N* over C under each bookkeeping of the same runs, by part.

    The standard error has two parts, in quadrature: the wider of a bootstrap of the runs' scatter about the surface and a
    jackknife over budgets; and by how much the term x³ moves the exponent. If the latter is the larger, the flag
    `systematic_error` says so. ν = budgets − 2.

    Args:
        records: training runs with the columns `params`, `params_non_embedding`, `tokens`, `flops`, `budget` and `loss`.
        countings: by part, what N and C include, as `Counting.of` reads it; see `count`.
        bootstrap: draws.
        seed: of the bootstrap.

    Raises:
        EstimateError: for fewer than four budgets, a missing column, or runs through which no surface with a valley goes.
    """
    return {
        part: _estimate(exponent(count(records, name), bootstrap, seed), records, f"{Counting.of(name)}")
        for part, name in countings.items()
    }


@estimator(unit="budget")
def counting_fall(
    records: Sequence[TrialRecord], *, less: str, more: str, bootstrap: int = 1000, seed: int = 0
) -> Estimate:
    """Return how far the exponent falls from the counting `less` to the counting `more` of the same runs.

    Both exponents share the runs' noise, so one draw moves both, and a budget is left out of both at once.

    Args:
        records: as for `exponents_by_counting`.
        less: the counting that leaves more out, such as `none`.
        more: the other, such as `embedding+head`.
        bootstrap: draws.
        seed: of the bootstrap.

    Returns:
        a(less) − a(more), and in `extras` both exponents, `exponent_less` and `exponent_more`.

    Raises:
        EstimateError: as `exponents_by_counting`.
    """
    high, low = (exponent(count(records, name), bootstrap, seed) for name in (less, more))
    extras = {"exponent_less": high.value, "exponent_more": low.value}
    return _estimate(high.minus(low), records, f"{Counting.of(less)}, less that of {Counting.of(more)}", extras)


def count(records: Sequence[TrialRecord], counting: str) -> Counted:
    """Return the runs under one bookkeeping.

    Embedding and head of our models are one tied matrix: with either N is the column `params`, with neither
    `params_non_embedding`. C is the column `flops` where `attention` counts, else 6ND with N as counted.

    Raises:
        EstimateError: for an unknown or unstated counting, or a missing column.
    """
    counted = Counting.of(counting)
    if counted.attention is None:
        raise EstimateError("Runs are counted in a way that is stated: name it, such as 'none' or 'embedding+head'.")
    runs = finished(records)
    column = "params" if counted.embedding or counted.head else "params_non_embedding"
    try:
        params, tokens, flops, loss, budget = (
            np.array([record.value(name) for record in runs]) for name in (column, "tokens", "flops", "loss", "budget")
        )
    except KeyError as missing:
        raise EstimateError(f"A training run is counted from its columns, but {missing.args[0]}.") from missing
    compute = flops if counted.attention else 6 * params * tokens
    return Counted(np.log(params), np.log(compute), np.log(loss), budget)


def exponent(counted: Counted, draws: int, seed: int) -> Exponent:
    """Return the exponent of the surface through the runs, its noise draws and its jackknife.

    Raises:
        EstimateError: for fewer than four budgets or eight runs, or where no surface, or none without some budget, has a valley.
    """
    at_least("bootstrap", draws, MIN_DRAWS)
    budgets = np.unique(counted.budget)
    runs = len(counted.budget)
    if len(budgets) < MIN_BUDGETS or runs < COEFFICIENTS + 2:
        raise EstimateError(
            f"A surface over N and C with a standard error needs {MIN_BUDGETS} budgets and {COEFFICIENTS + 2} runs, got "
            f"{len(budgets)} and {runs}."
        )
    value, skewed = _valley(counted, counted.log_loss), _valley_of_cubic(counted)
    without = np.array([_valley(own := counted.rows(counted.budget != b), own.log_loss) for b in budgets])
    if not np.isfinite([value, *without]).all():
        which = (
            "" if not np.isfinite(value) else f" without the budget of {budgets[~np.isfinite(without)][0]:.3g} FLOPs"
        )
        raise EstimateError(
            f"The surface through the runs{which} has no valley over N. Train sizes on both sides of the best."
        )
    terms = counted.terms()[:, :COEFFICIENTS]
    fitted = terms @ np.linalg.lstsq(terms, counted.log_loss, rcond=None)[0]
    sd = math.sqrt(float(((counted.log_loss - fitted) ** 2).sum()) / (runs - COEFFICIENTS))
    noise = np.random.default_rng(seed).normal(size=(runs, draws))
    return Exponent(float(value), _valley(counted, fitted[:, None] + sd * noise), without, skewed)


def _valley(counted: Counted, log_loss: Array) -> Array:
    """Return −c₄/2c₃ for losses `[n]` or `[n, R]`: `[]` or `[R]`; NaN where c₃ is not positive or the terms are not independent."""
    coefficients, _, rank, _ = np.linalg.lstsq(counted.terms()[:, :COEFFICIENTS], log_loss, rcond=1e-9)
    square, mixed = coefficients[3], coefficients[4]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where((square > 0) & (rank == COEFFICIENTS), -mixed / (2 * square), np.nan))


def _valley_of_cubic(counted: Counted) -> float:
    """Return the slope of the valley at the mean ln C with the term c₆x³, −c₄/(2c₃ + 6c₆x*); NaN where there is none."""
    _, linear, _, square, mixed, _, cubic = np.linalg.lstsq(counted.terms(), counted.log_loss, rcond=None)[0]
    inside = square**2 - 3 * cubic * linear
    if inside <= 0:
        return math.nan
    curvature = 2 * math.sqrt(inside)  # 2c₃ + 6c₆x* at the root of c₁ + 2c₃x + 3c₆x² where the surface is convex
    return float(-mixed / curvature)


def _estimate(
    found: Exponent, records: Sequence[TrialRecord], counted: str, extras: Mapping[str, float] | None = None
) -> Estimate:
    noisy = found.noisy[np.isfinite(found.noisy)]
    lost = 1 - len(noisy) / len(found.noisy)
    by_noise, by_budget = float(noisy.std(ddof=1)), jackknife_se(found.without)
    random, skew = max(by_noise, by_budget), abs(found.skewed - found.value)
    if not math.isfinite(skew):
        raise EstimateError("With a term x³ the surface has no valley: the sizes do not show where the optimum lies.")
    flags = [*diverged(records)]
    flags += ["heavy_tailed"] * (lost > LOST_DRAWS) + ["systematic_error"] * (skew > random)
    estimate = Estimate(
        found.value,
        se=math.hypot(random, skew),
        dof=len(found.without) - 2,
        n=len(found.without),
        unit="budget",
        flags=tuple(flags),
        extras={**(extras or {}), "se_noise": by_noise, "se_leave_one_out": by_budget, "se_skew": skew},
        note=f"quadratic surface through {len(finished(records))} runs; {counted}",
    )
    return with_epochs(estimate, records)
