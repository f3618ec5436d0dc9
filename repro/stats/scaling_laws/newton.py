"""Many fits of the parametric law at once, each by damped Newton steps of its own.

With residuals several times δ the Huber loss is nearly a sum of absolute values: quasi-Newton methods crawl on it and, with
a loose tolerance, stop early. Here every step has the exact Hessian, damped by the diagonal of the quadratic that majorises
the Huber loss (the weights δ/|r| of iteratively reweighted least squares).
"""

import numpy as np
from numpy.typing import NDArray

from repro.stats.scaling_laws.huber import DELTA, Runs
from repro.stats.scaling_laws.law import Array

_NUMBERS = 80_000
"""Numbers in an array, fits under way times runs: large enough that the arithmetic outweighs the calls, small enough for the cache."""

_MOST = 2048
"""Fits under way at a time at most."""

SCRATCH = 9
"""Arrays `[R, n]` that one evaluation works in."""

_RIDGE = 1e-2
"""Least curvature of a damped step, in units of λ."""

_UNDAMPED = 1e-3
"""Damping below which a step is Newton's but for a thousandth."""

_LARGEST = 600.0
"""Bound on the log of a term over E, which keeps exp finite."""

COLD, WARM = 1.0, 1e-2
"""Damping λ of the first step: far from the minimum, and from the minimum of nearly the same runs."""

Derivatives = tuple[Array, Array, Array, Array]


def minimise(
    starts: Array,
    runs: Runs,
    weights: Array | None = None,
    delta: float = DELTA,
    max_steps: int = 500,
    damping: float = COLD,
) -> tuple[Array, Array]:
    """Minimise the summed Huber loss from every starting point, each descending on its own.

    A step that lowers the objective is taken, and the next is damped five times less; one that does not is repeated with ten
    times the damping. A fit ends when its objective no longer falls by more than rounding.

    Args:
        starts: θ = (a, b, e, α, β), `[R, 5]`.
        runs: the n training runs.
        weights: c_i of each fit, `[R, n]`; ones if left out.
        delta: δ > 0 of the Huber loss.
        max_steps: steps after which a fit is left where it is.
        damping: of the first step, `COLD` or `WARM`.

    Returns:
        The θ reached `[R, 5]` and their objectives `[R]`. A start may end in a local minimum, or where a term of the
        law has vanished; compare several.
    """
    # Centred ln N and ln D decouple a from α and b from β; the map is affine, so nothing else changes.
    middle_n, middle_d = runs.log_params.mean(), runs.log_tokens.mean()
    centred = Runs(runs.log_params - middle_n, runs.log_tokens - middle_d, runs.log_loss)
    theta = starts.astype(np.float64)
    theta[:, 0] -= theta[:, 3] * middle_n
    theta[:, 1] -= theta[:, 4] * middle_d
    value = _descend(theta, centred, weights, delta, max_steps, damping)
    theta[:, 0] += theta[:, 3] * middle_n
    theta[:, 1] += theta[:, 4] * middle_d
    return theta, value


def _descend(
    theta: Array, runs: Runs, weights: Array | None, delta: float, max_steps: int, first_damping: float
) -> Array:
    """Move every θ `[R, 5]`, in place, to where its descent ends; return the objectives. As fits end, others enter."""
    fits, moments = len(theta), _moments(runs)
    batch = max(1, min(fits, _NUMBERS // len(runs), _MOST))
    equal = np.ones((1, len(runs)))

    def evaluate(points: Array, which: NDArray[np.intp]) -> Derivatives:
        return derivatives(points, runs, equal if weights is None else weights[which], delta, moments, scratch)

    scratch = np.empty((SCRATCH, batch, len(runs)))
    value, slope = np.empty(fits), np.empty((fits, 5))
    hessian, metric = np.empty((fits, 5, 5)), np.empty((fits, 5))
    damping, steps = np.full(fits, first_damping), np.zeros(fits, dtype=np.intp)
    kept = (value, slope, hessian, metric)
    for low in range(0, fits, batch):
        first = np.arange(low, min(fits, low + batch))
        for own, found in zip(kept, evaluate(theta[first], first), strict=True):
            own[first] = found
    active, entered = np.arange(0), 0
    while len(active) or entered < fits:
        active = np.concatenate([active, np.arange(entered, min(fits, entered + batch - len(active)))])
        entered = max(entered, int(active[-1]) + 1)
        step = _step(slope[active], hessian[active], metric[active], damping[active])
        candidate = theta[active] + step
        new = evaluate(candidate, active)
        better = np.isfinite(new[0]) & (new[0] < value[active])
        gain = np.where(better, value[active] - new[0], 0.0)
        # Done: a step that is all but undamped gains next to nothing (the next would gain its square), or the objective no longer falls
        # in double precision, or a step was no better that would not have gained that much, and shorter ones would gain less.
        least = np.where(damping[active] < _UNDAMPED, 1e-12, 1e-15) * value[active]
        hoped = -0.5 * np.einsum("ri,ri->r", step, slope[active])
        done = np.where(better, gain <= least, (hoped <= 1e-16 * value[active]) | (damping[active] > 1e9))
        damping[active] = np.where(better, np.maximum(damping[active] / 5, 1e-10), damping[active] * 10)
        steps[active] += 1
        taken = active[better]
        theta[taken] = candidate[better]
        for own, found in zip(kept, new, strict=True):
            own[taken] = found[better]
        active = active[~done & (steps[active] < max_steps)]
    return value


def _step(slope: Array, hessian: Array, metric: Array, damping: Array) -> Array:
    """Return −|H + λM|⁻¹ g: where the damped matrix is not positive definite, absolute eigenvalues make the step a descent.

    Units in which the diagonals of H and M are at most one keep the step independent of the scales of θ.
    """
    unit = 1 / np.sqrt(np.maximum(np.maximum(np.abs(np.einsum("rii->ri", hessian)), metric), 1e-200))
    damped = hessian * unit[:, :, None] * unit[:, None, :]
    np.einsum("rii->ri", damped)[:] += damping[:, None] * metric * unit**2
    along, definite = _solve(damped, slope * unit, _RIDGE * damping + 1e-14)
    odd = np.flatnonzero(~definite)
    if len(odd):
        # A vanished term may overflow its units: such a step is no better and is damped away.
        curvature, axes = np.linalg.eigh(np.nan_to_num(damped[odd], posinf=0.0, neginf=0.0))
        # A term that has vanished leaves M singular: the damping then bounds the step by itself.
        curvature = np.maximum(np.abs(curvature), _RIDGE * damping[odd, None])
        projected = np.einsum("rij,ri->rj", axes, (slope * unit)[odd]) / curvature
        along[odd] = np.einsum("rij,rj->ri", axes, projected)
    return np.asarray(-along * unit)


def _solve(matrices: Array, right: Array, least_pivot: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Solve symmetric systems `[R, 5, 5]`, `[R, 5]` by elimination, all at once; tell which had all pivots above the least.

    Far quicker than a LAPACK call for each of the small matrices.
    """
    rows, x = np.ascontiguousarray(matrices.transpose(1, 2, 0)), np.ascontiguousarray(right.T)
    size = len(x)
    definite = np.ones(x.shape[1], dtype=bool)
    with np.errstate(all="ignore"):
        for k in range(size):
            definite &= rows[k, k] > least_pivot
            for i in range(k + 1, size):
                factor = rows[i, k] / rows[k, k]
                rows[i, k + 1 :] -= factor * rows[k, k + 1 :]
                x[i] -= factor * x[k]
        for k in reversed(range(size)):
            for j in range(k + 1, size):
                x[k] -= rows[k, j] * x[j]
            x[k] /= rows[k, k]
    return np.ascontiguousarray(x.T), definite


def _moments(runs: Runs) -> Array:
    """Return 1, x, x², z, z² and xz of each run, `[6, n]`, with x = ln N and z = ln D."""
    x, z = runs.log_params, runs.log_tokens
    return np.stack([np.ones_like(x), x, x * x, z, z * z, x * z])


def derivatives(
    theta: Array, runs: Runs, weights: Array, delta: float, moments: Array | None = None, scratch: Array | None = None
) -> Derivatives:
    """Return the objective `[R]`, its gradient `[R, 5]`, its Hessian `[R, 5, 5]` and the diagonal of the metric M `[R, 5]`.

    With m = ln L, r = ln L_i − m, ψ = c clip(r, −δ, δ), J = ∂m/∂θ, shares p_k of the three terms and features φ_k of their
    logs u_k = φ_k·θ: ∇²m = Σ_k p_k φ_k φ_kᵀ − J Jᵀ; H = Σ [c 1(|r| ≤ δ) + ψ] J Jᵀ − Σ ψ p_k φ_k φ_kᵀ;
    M = Σ c min(1, δ/|r|) J Jᵀ. All are sums over runs of products of shares times 1, x, x², z, z² or xz: products of a matrix and
    a vector, which are quicker one by one than as one product with a matrix of six columns.

    Everything is written into `scratch` `[SCRATCH, ≥ R, n]`: memory that is asked for anew at each step costs more than the arithmetic.
    """
    fits, n = len(theta), len(runs)
    moments = _moments(runs) if moments is None else moments
    scratch = np.empty((SCRATCH, fits, n)) if scratch is None else scratch[:, :fits]
    p_a, p_b, p_e, r, size, psi, curved, product, other = scratch
    a, b, e, alpha, beta = theta.T[:, :, None]
    np.multiply(-alpha, runs.log_params, out=p_a)
    np.multiply(-beta, runs.log_tokens, out=p_b)
    p_a += a - e
    p_b += b - e
    logs = scratch[:2]
    np.exp(np.minimum(logs, _LARGEST, out=logs), out=logs)
    np.add(p_a, p_b, out=p_e)
    p_e += 1
    np.log(p_e, out=r)
    np.subtract(runs.log_loss - e, r, out=r)
    np.divide(1, p_e, out=p_e)
    p_a *= p_e
    p_b *= p_e

    np.clip(r, -delta, delta, out=psi)
    np.multiply(psi, -0.5, out=curved)
    curved += r
    curved *= psi  # the Huber loss of each run
    value = np.einsum("ri,ri->r", np.broadcast_to(weights, r.shape), curved)
    psi *= weights
    np.abs(r, out=size)
    np.multiply(weights, size <= delta, out=curved)
    curved += psi
    np.maximum(size, delta, out=size)
    np.divide(delta, size, out=size)
    size *= weights  # the weights of iterative reweighting

    one, x, xx, z, zz, xz = moments
    hessian, metric, slope = np.empty((fits, 5, 5)), np.empty((fits, 5)), np.empty((fits, 5))
    for k, power, share, feature, square in ((0, 3, p_a, x, xx), (1, 4, p_b, z, zz)):
        np.multiply(share, share, out=product)
        np.multiply(size, product, out=other)
        metric[:, k], metric[:, power] = other @ one, other @ square
        np.multiply(psi, share, out=other)
        slope[:, k], slope[:, power] = -(other @ one), other @ feature
        product *= curved
        product -= other
        hessian[:, k, k], hessian[:, power, power] = product @ one, product @ square
        hessian[:, k, power] = hessian[:, power, k] = -(product @ feature)
        np.multiply(share, p_e, out=product)
        product *= curved
        hessian[:, k, 2] = hessian[:, 2, k] = product @ one
        hessian[:, power, 2] = hessian[:, 2, power] = -(product @ feature)
    np.multiply(p_e, p_e, out=product)
    np.multiply(size, product, out=other)
    metric[:, 2] = other @ one
    np.multiply(psi, p_e, out=other)
    slope[:, 2] = -(other @ one)
    product *= curved
    product -= other
    hessian[:, 2, 2] = product @ one
    np.multiply(p_a, p_b, out=product)
    product *= curved
    for i, j, moment in ((0, 1, one), (1, 3, -x), (0, 4, -z), (3, 4, xz)):
        hessian[:, i, j] = hessian[:, j, i] = product @ moment
    return value, slope, hessian, metric
