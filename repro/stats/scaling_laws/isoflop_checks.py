"""How far a parabola may be trusted as an IsoFLOP profile.

L(N, C/6N) is no parabola in ln N: unless α = β its two flanks differ, and the vertex of a least-squares parabola lies to one side of
the minimum, the more the wider the grid. On grids centred alike at every budget that moves the optima by one factor (the intercept)
and leaves the exponent; grids that drift with the budget move the exponent too (Czech et al. 2026, arXiv 2603.22339).
"""

from collections.abc import Sequence

import numpy as np

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws.approach2 import Optimum, Profile, cells_of, find_optimum, slope_of
from repro.stats.scaling_laws.huber import DELTA
from repro.stats.scaling_laws.lad import fit
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.optimum import require_identified, require_spread
from repro.stats.scaling_laws.sweep import Sweep
from repro.stats.scaling_laws.varpro import map_exponents

_FINE = 4001
"""Points of the grids on which a minimum is located before a parabola through three of them refines it."""


def parabola_bias(
    sweep: Sweep, of: str, window: float, min_points: int, weights: Array | None = None
) -> tuple[dict[str, float | None], str]:
    """Return what Approach 2 makes of the fitted law itself, on the sweep's own grid and without noise; and why not, if it cannot.

    Returns:
        `bias_bar`: |exponent of the parabolas − exponent of the law's own optima|; `exponent_bias`, the same with its sign;
        `intercept_bias_percent`: by how much the parabolas' optima exceed the law's, geometric mean over budgets, in per cent.
        All None if the law cannot be fitted to the sweep, or a parabola has no inner minimum without noise.
    """
    nothing: dict[str, float | None] = {"bias_bar": None, "exponent_bias": None, "intercept_bias_percent": None}
    try:
        runs = sweep.logs
        require_spread(runs)
        basins = map_exponents(runs, DELTA).basins
        if not len(basins):
            return nothing, "no bias bar, because the loss has no minimum over α and β"
        laws, value = fit(basins, runs)
        require_identified(laws[value.argmin()], runs)
    except EstimateError as error:
        return (
            nothing,
            f"no bias bar, because no law can be fitted to the sweep ({str(error).split(':')[0].split('. ')[0]})",
        )
    found = bias_under(laws[value.argmin()], sweep, of, window, min_points, weights)
    if found is None:
        return nothing, "no bias bar, because under the fitted law some budget has no inner minimum"
    return found, ""


def bias_under(
    theta: Array, sweep: Sweep, of: str, window: float, min_points: int, weights: Array | None = None
) -> dict[str, float | None] | None:
    """Return the bias of Approach 2 if the law were exactly θ `[5]`; None if a parabola has no inner minimum."""
    if sweep.budget is None:
        return None
    budgets = np.unique(sweep.budget)
    by_parabola, by_law = [], []
    for budget in budgets:
        rows = np.flatnonzero(sweep.budget == budget)
        cells = cells_of(np.log(sweep.params[rows]))
        n, d = (np.array([np.log(y[rows[cell]]).mean() for cell in cells]) for y in (sweep.params, sweep.tokens))
        size = n if of == "params" else d
        order = np.argsort(size)
        seeds = np.array([len(np.unique(sweep.run[rows[cell]])) for cell in cells], dtype=float)
        found = find_optimum(
            Profile(float(budget), size[order], _loss(theta, n, d)[order], seeds[order]), window, min_points
        )
        truth = _optimum_of_law(theta, n, d, of)
        if found.problem or truth is None:
            return None
        by_parabola.append(found.log_size)
        by_law.append(truth)
    x, shift = np.log(budgets), np.array(by_parabola) - np.array(by_law)
    exponent = float(slope_of(x, shift, np.ones(len(x)) if weights is None else weights)) if len(x) > 1 else 0.0
    return {
        "bias_bar": abs(exponent),
        "exponent_bias": exponent,
        "intercept_bias_percent": 100 * float(np.expm1(shift.mean())),
    }


def quartic_shift(
    profiles: Sequence[Profile], optima: Sequence[Optimum], weights: Array | None = None
) -> tuple[float | None, float | None]:
    """Return how far quartics through the same cells move the exponent, and the optima (geometric mean, per cent).

    None if a budget has fewer than six cells, or its quartic no minimum inside them.
    """
    shifts = []
    for profile, optimum in zip(profiles, optima, strict=True):
        moved = _quartic_minimum(profile, optimum)
        if moved is None:
            return None, None
        shifts.append(moved - optimum.log_size)
    x = np.log([profile.budget for profile in profiles])
    return float(slope_of(x, np.array(shifts), np.ones(len(x)) if weights is None else weights)), 100 * float(
        np.expm1(np.mean(shifts))
    )


def asymmetry(profiles: Sequence[Profile], optima: Sequence[Optimum]) -> float | None:
    """Return the mean over budgets of c₃ h / c₂ of a cubic through the same cells, h half their width in ln size.

    0 is a symmetric profile; ± 0.1 means that one flank rises a tenth more than the parabola and the other a tenth less. None if a
    budget has fewer than five cells.
    """
    found = []
    for profile, optimum in zip(profiles, optima, strict=True):
        x, loss, weight = _used(profile, optimum)
        if len(x) < 5:
            return None
        half = np.ptp(x) / 2
        cubic, square, *_ = np.polyfit((x - optimum.log_size) / half, loss, 3, w=weight)
        found.append(cubic / square)
    return float(np.mean(found))


def _used(profile: Profile, optimum: Optimum) -> tuple[Array, Array, Array]:
    used = optimum.used
    return profile.log_size[used], profile.loss[used], np.sqrt(profile.seeds[used])


def _quartic_minimum(profile: Profile, optimum: Optimum) -> float | None:
    """Return the ln size of the lowest point of a quartic through the cells of the parabola, if it is inside them."""
    x, loss, weight = _used(profile, optimum)
    if len(x) < 6:
        return None
    quartic = np.polyfit(x - optimum.log_size, loss, 4, w=weight)
    fine: Array = np.linspace(x.min(), x.max(), _FINE) - optimum.log_size
    lowest = _refined(fine, np.asarray(np.polyval(quartic, fine), dtype=np.float64))
    return None if lowest is None else lowest + optimum.log_size


def _optimum_of_law(theta: Array, log_params: Array, log_tokens: Array, of: str) -> float | None:
    """Return the law's own ln N* (or ln D*) along the budget, where ln D is a quadratic in ln N; twice the grid is searched."""
    if len(log_params) < 3:
        return None
    middle, half = (log_params.max() + log_params.min()) / 2, np.ptp(log_params) / 2
    along = np.polyfit(log_params - middle, log_tokens, 2)
    fine: Array = np.linspace(-2 * half, 2 * half, _FINE)
    lowest = _refined(fine, _loss(theta, fine + middle, np.asarray(np.polyval(along, fine), dtype=np.float64)))
    if lowest is None:
        return None
    return float(lowest + middle) if of == "params" else float(np.polyval(along, lowest))


def _refined(x: Array, y: Array) -> float | None:
    """Return the minimum of y over an even grid x by the parabola through its three lowest neighbours; None at an end."""
    k = int(y.argmin())
    if k in (0, len(y) - 1):
        return None
    left, centre, right = y[k - 1 : k + 2]
    return float(x[k] + (x[1] - x[0]) * (left - right) / (2 * (left - 2 * centre + right)))


def _loss(theta: Array, log_params: Array, log_tokens: Array) -> Array:
    a, b, e, alpha, beta = theta
    return np.asarray(np.exp(e) + np.exp(a - alpha * log_params) + np.exp(b - beta * log_tokens))
