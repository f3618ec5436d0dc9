"""Approach 2: IsoFLOP profiles. At each compute budget a parabola in ln N finds the size of lowest loss; a line through
those optima in logs gives the exponent a of N* ∝ C^a (Hoffmann et al. 2022, arXiv 2203.15556, section 3.2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.stats.bootstrap import leave_one_out_se
from repro.stats.regression import weighted_line
from repro.stats.scaling_laws.law import Array

MIN_BUDGETS = 3
"""Two budgets always lie on a line: they give a slope, but nothing to tell how uncertain it is."""


_SAME_SIZE = 1e-6
"""Difference of ln N below which sizes are one."""


@dataclass(frozen=True)
class Profile:
    """The runs of one compute budget, one cell a size, sizes increasing."""

    budget: float
    """C in FLOPs."""
    log_size: Array
    """ln N or ln D of each cell, `[m]`."""
    loss: Array
    """Held-out loss in nats per token, averaged over the cell's seeds, `[m]`."""
    seeds: Array
    """Seeds averaged, `[m]`."""
    members: Array | None = None
    """How much of each run of the sweep a cell's mean holds, `[m, runs]`, rows adding up to 1: a run with checkpoints at several
    budgets brings its noise to all of them. None if every cell has runs of its own."""


@dataclass(frozen=True)
class Optimum:
    """The vertex of one profile's parabola, or why there is none."""

    log_size: float
    """ln of the size of lowest loss; NaN if refused."""
    used: NDArray[np.intp]
    """Cells the parabola was fitted to."""
    residuals: Array
    """Loss minus parabola at those cells."""
    problem: str = ""


@dataclass(frozen=True)
class Slope:
    """The exponent, with three standard errors of which the widest counts."""

    value: float
    se_noise: float | None
    """Parametric bootstrap of the losses; None if nothing tells their noise."""
    se_leave_one_out: float
    """Jackknife over budgets."""
    se_regression: float
    """From the scatter of the optima about the line."""
    refused_draws: float
    """Share of the bootstrap draws in which some parabola had no interior minimum."""
    weights: Array
    """Of the budgets in the line, `[budgets]`."""

    @property
    def se(self) -> float:
        """The widest of the three."""
        return max(self.se_noise or 0.0, self.se_leave_one_out, self.se_regression)


def cells_of(log_params: Array) -> list[NDArray[np.intp]]:
    """Return the rows of each size, sizes increasing. Sizes that differ by rounding are one: three seeds are not three points."""
    order = np.argsort(log_params, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(log_params[order]) > _SAME_SIZE) + 1)


def near_minimum(loss: Array, window: float, min_points: int) -> NDArray[np.intp]:
    """Return the cells within `window` nats of the lowest loss, or the lowest `min_points` if those are fewer."""
    order = np.argsort(loss, kind="stable")
    count = max(int((loss <= loss.min() + window).sum()), min(min_points, len(loss)))
    return np.sort(order[:count])


def parabola(log_size: Array, seeds: Array) -> Array:
    """Return the matrix `[3, m]` that maps losses to the least-squares c₀ + c₁x + c₂x², x = ln size minus its mean.

    Cells weigh by their number of seeds.
    """
    root = np.sqrt(seeds)
    powers = np.vander(log_size - log_size.mean(), 3, increasing=True)
    return np.asarray(np.linalg.pinv(powers * root[:, None]) * root)


def find_optimum(profile: Profile, window: float = 0.15, min_points: int = 5) -> Optimum:
    """Fit the parabola and take its vertex, refusing what would be an extrapolation.

    Refused: fewer than three cells; a lowest loss in the first or last cell of the grid; a parabola that opens
    downwards; a vertex outside the sizes that it was fitted to.
    """
    if len(profile.loss) < 3:
        return Optimum(math.nan, np.arange(0), np.zeros(0), f"only {len(profile.loss)} sizes, a parabola needs 3")
    used = near_minimum(profile.loss, window, min_points)
    if len(used) < 3:
        return Optimum(
            math.nan, used, np.zeros(0), f"only {len(used)} sizes are near the lowest loss, a parabola needs 3"
        )
    x, loss = profile.log_size[used], profile.loss[used]
    c = parabola(x, profile.seeds[used]) @ loss
    centred = x - x.mean()
    residuals = loss - (c[0] + c[1] * centred + c[2] * centred**2)
    lowest = int(profile.loss.argmin())
    if lowest in (0, len(profile.loss) - 1):
        end = "smallest" if lowest == 0 else "largest"
        return Optimum(math.nan, used, residuals, f"the lowest loss is at the {end} size of the grid")
    vertex = float(_vertex(c, centred))
    if math.isnan(vertex):
        problem = "the parabola has no minimum" if c[2] <= 0 else "the minimum of the parabola lies beyond the sizes"
        return Optimum(math.nan, used, residuals, problem)
    return Optimum(vertex + float(x.mean()), used, residuals)


def fit_exponent(
    profiles: Sequence[Profile], optima: Sequence[Optimum], seed_sd: float | None, draws: int, seed: int
) -> Slope:
    """Regress ln N* on ln C, each optimum weighted by the inverse of its noise variance.

    Args:
        profiles: at least three budgets.
        optima: their optima, none refused.
        seed_sd: standard deviation of one run's loss in nats; None if unknown.
        draws: draws of the noise bootstrap.
        seed: of the bootstrap.
    """
    x = np.log([profile.budget for profile in profiles])
    y = np.array([optimum.log_size for optimum in optima])
    rng = np.random.default_rng(seed)
    of_runs = _noise_of_runs(profiles, draws, rng)
    noisy = np.array(
        [_redraw(p, o, seed_sd or 0.0, draws, rng, of_runs) for p, o in zip(profiles, optima, strict=True)]
    )
    noisy = noisy[:, np.isfinite(noisy).all(axis=0)]
    variance = noisy.var(axis=1) if noisy.shape[1] > 1 else np.zeros(len(x))
    weights = 1 / variance if (variance > 1e-24).all() else np.ones(len(x))
    line = weighted_line(x, y, weights)
    drawn = slope_of(x, noisy, weights)
    return Slope(
        line.slope,
        se_noise=float(drawn.std(ddof=1)) if seed_sd is not None and len(drawn) > 1 else None,
        se_leave_one_out=float(leave_one_out_se(len(x), lambda k: slope_of(x[k], y[k], weights[k]), fitted=2)),
        se_regression=line.slope_se,
        refused_draws=1 - noisy.shape[1] / draws,
        weights=weights,
    )


def pooled_sd(cells: Sequence[Array]) -> float | None:
    """Return the standard deviation of one run pooled over cells with repeats, or None if no cell has any."""
    dof = sum(len(cell) - 1 for cell in cells)
    return math.sqrt(sum(float(((cell - cell.mean()) ** 2).sum()) for cell in cells) / dof) if dof else None


def _noise_of_runs(profiles: Sequence[Profile], draws: int, rng: np.random.Generator) -> Array | None:
    """Return one standard normal number for each run of the sweep, `[draws, runs]`; None if runs are not shared."""
    shared = [profile.members for profile in profiles if profile.members is not None]
    return rng.normal(size=(draws, shared[0].shape[1])) if shared else None


def _redraw(
    profile: Profile,
    optimum: Optimum,
    seed_sd: float,
    draws: int,
    rng: np.random.Generator,
    of_runs: Array | None = None,
) -> Array:
    """Return ln N* with fresh noise on every run, `[draws]`; NaN where a draw has no interior minimum."""
    used = optimum.used
    x, seeds = profile.log_size[used], profile.seeds[used]
    if profile.members is not None and of_runs is not None:
        noise = seed_sd * of_runs @ profile.members[used].T
    else:
        noise = rng.normal(size=(draws, len(used))) * seed_sd / np.sqrt(seeds)
    return np.asarray(_vertex(parabola(x, seeds) @ (profile.loss[used] + noise).T, x - x.mean()) + x.mean())


def _vertex(coefficients: Array, centred: Array) -> Array:
    """Return −c₁ / 2c₂ of each parabola `[3, ...]`, NaN unless it is a minimum strictly inside the sizes."""
    _, linear, square = coefficients
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = -linear / (2 * square)
    inside = (square > 0) & (vertex > centred.min()) & (vertex < centred.max())
    return np.asarray(np.where(inside, vertex, math.nan))


def slope_of(x: Array, y: Array, weights: Array) -> Array:
    """Return the least-squares slope of y `[k]` or `[k, R]` on x `[k]`: `[]` or `[R]`."""
    centred = weights * (x - np.average(x, weights=weights))
    return np.asarray(centred @ y / (centred @ x))


def scatter(profiles: Sequence[Profile], optima: Sequence[Optimum]) -> float | None:
    """Return the noise of one run from the residuals of the parabolas, or None if they leave no degree of freedom."""
    dof = sum(len(o.used) - 3 for o in optima)
    total = sum(float((p.seeds[o.used] * o.residuals**2).sum()) for p, o in zip(profiles, optima, strict=True))
    return math.sqrt(total / dof) if dof > 0 else None
