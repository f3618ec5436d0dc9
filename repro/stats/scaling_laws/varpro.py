"""Variable projection: at given exponents α and β the law is linear in E, A and B, so only two unknowns are left to search.

Golub and Pereyra 1973 (doi 10.1137/0710036) project linear unknowns out of a least-squares problem. Here the projected problem
is the Huber loss of ln L, solved by iteratively reweighted linear least squares with E, A, B ≥ 0. No step, derivative or start is
shared with `newton`, which makes the two a check of each other; and a map of the projected objective over (α, β) shows every
basin at once.
"""

from dataclasses import dataclass

import numpy as np

from repro.stats.scaling_laws.huber import Runs, huber
from repro.stats.scaling_laws.law import Array

EXPONENTS = np.geomspace(0.02, 2.5, 25)
"""α and β of the map: published exponents lie between 0.05 and 1."""

_ROWS = 200_000
"""Numbers per array: larger maps are worked off in parts."""


@dataclass(frozen=True)
class Projection:
    """The projected objective over a map of exponents."""

    objective: Array
    """Least Huber loss found at each (α, β), `[k]`."""
    theta: Array
    """The law there, `[k, 5]`; a term that is not wanted has ln −700."""
    basins: Array
    """Laws at the local minima of the map, best first, `[m, 5]`, with no term left out: starts for descents."""
    interior: bool
    """Whether the lowest point is not on the map's edge."""


def project(alpha: Array, beta: Array, runs: Runs, delta: float, rounds: int = 30) -> tuple[Array, Array]:
    """Return the least Huber loss at each pair of exponents `[k]`, over E, A, B ≥ 0, and its θ `[k, 5]`.

    The rounds are of iteratively reweighted least squares; they end close to the minimum, never below it.
    """
    part = max(1, _ROWS // len(runs))
    found = [
        _project(alpha[low : low + part, None], beta[low : low + part, None], runs, delta, rounds)
        for low in range(0, len(alpha), part)
    ]
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def map_exponents(runs: Runs, delta: float) -> Projection:
    """Project at every pair of `EXPONENTS` and find the local minima among neighbours."""
    size = len(EXPONENTS)
    alpha, beta = (grid.ravel() for grid in np.meshgrid(EXPONENTS, EXPONENTS, indexing="ij"))
    objective, theta = project(alpha, beta, runs, delta, rounds=12)
    framed = np.pad(objective.reshape(size, size), 1, constant_values=np.inf)
    around = [np.roll(framed, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    lowest = np.flatnonzero((framed < np.min(around, axis=0))[1:-1, 1:-1].ravel())
    lowest = lowest[np.argsort(objective[lowest], kind="stable")]
    row, column = divmod(int(objective.argmin()), size)
    inside = 0 < row < size - 1 and 0 < column < size - 1
    return Projection(objective, theta, _present(theta[lowest], runs), inside)


def _present(theta: Array, runs: Runs) -> Array:
    """Return the laws with every term at least e^−8 of the loss in the middle of the sweep: a descent cannot raise a term from nothing."""
    present, least = theta.copy(), float(np.median(runs.log_loss)) - 8
    present[:, 0] = np.maximum(theta[:, 0], least + theta[:, 3] * np.median(runs.log_params))
    present[:, 1] = np.maximum(theta[:, 1], least + theta[:, 4] * np.median(runs.log_tokens))
    present[:, 2] = np.maximum(theta[:, 2], least)
    return present


def zoom(theta: Array, runs: Runs, delta: float, rounds: int = 14, reweighted: int = 60) -> tuple[float, Array]:
    """Return the least projected objective near θ's exponents, and its θ `[5]`, by ever finer maps of 7 × 7 exponents.

    Args:
        theta: where to begin.
        runs: the n runs.
        delta: δ of the Huber loss.
        rounds: of finer maps.
        reweighted: rounds of reweighting at each pair of exponents; where few runs bear the fit, hundreds are needed.
    """
    centre, step = theta[3:5], np.log(EXPONENTS[1] / EXPONENTS[0])
    offsets = np.array(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4))).reshape(2, -1) / 3
    best, found = np.inf, theta
    for _ in range(rounds):
        pairs = centre[:, None] * np.exp(step * offsets)
        objective, laws = project(pairs[0], pairs[1], runs, delta, rounds=reweighted)
        k = int(objective.argmin())
        if objective[k] < best:
            best, found = float(objective[k]), laws[k]
        inside = np.abs(offsets[:, k]).max() < 1
        centre = pairs[:, k]
        step = step / 2.5 if inside else step
    return best, found


def _project(alpha: Array, beta: Array, runs: Runs, delta: float, rounds: int) -> tuple[Array, Array]:
    # Terms are scaled to 1 at the middle of the sweep, so that the normal equations are of one size.
    middle = np.array([[np.median(runs.log_params)], [np.median(runs.log_tokens)]])
    loss = np.exp(runs.log_loss)
    design = np.stack(
        [
            np.exp(-alpha * (runs.log_params - middle[0])),
            np.exp(-beta * (runs.log_tokens - middle[1])),
            np.ones((len(alpha), len(runs))),
        ],
        axis=1,
    )  # [k, 3, n]
    fitted = np.tile(loss, (len(alpha), 1))
    best = np.full(len(alpha), np.inf)
    kept = np.zeros((len(alpha), 3))
    weights = np.ones_like(fitted)
    target = fitted
    for _ in range(rounds):
        scaled = weights / fitted**2
        coefficients = _non_negative(design, scaled, target)
        fitted = np.maximum((coefficients[:, None, :] @ design)[:, 0], 1e-3 * loss)
        r = runs.log_loss - np.log(fitted)
        value = huber(r, delta).sum(axis=1)
        better = value < best
        best[better], kept[better] = value[better], coefficients[better]
        weights = 1 / np.maximum(np.abs(r), max(delta, 1e-6))
        target = fitted * (1 + r)  # ln L̂ linearised about the last fit
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(kept), -700.0)
    logs[:, 0] += alpha[:, 0] * middle[0]
    logs[:, 1] += beta[:, 0] * middle[1]
    return best, np.column_stack([logs, alpha[:, 0], beta[:, 0]])


def _non_negative(design: Array, weights: Array, target: Array) -> Array:
    """Return weighted least-squares coefficients `[k, 3]`, those that come out negative set to zero and the rest refitted."""
    weighted = design * weights[:, None, :]
    normal, right = weighted @ design.transpose(0, 2, 1), (weighted @ target[:, :, None])[:, :, 0]
    dropped = np.zeros(right.shape, dtype=bool)
    size = np.einsum("kii->ki", normal)
    for _ in range(3):
        system = normal.copy()
        np.einsum("kii->ki", system)[:] += np.where(dropped, 1e30, 1e-13) * size
        solved = np.linalg.solve(system, np.where(dropped, 0.0, right)[:, :, None])[:, :, 0]
        negative = (solved < 0) & ~dropped
        if not negative.any():
            break
        dropped |= negative
    return np.asarray(np.maximum(np.where(dropped, 0.0, solved), 0.0))
