"""Fits at any width δ of the Huber loss, down to δ = 0: least absolute deviations.

A narrow Huber loss has a minimum in a narrow valley, so δ is narrowed by tens from that of Appendix D.2, each fit starting
where the wider one ended. A least-absolute-deviations fit of five constants passes through five runs; at the end those five
are met exactly, which is where the sum of absolute deviations is stationary.
"""

import numpy as np

from repro.stats.scaling_laws.huber import DELTA, Runs, gradient_of_log_loss, log_loss, summed_loss
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.newton import COLD, WARM, minimise

_NARROWEST = 1e-9
"""δ from which the runs to pass through can be told from the others."""


def fit(
    starts: Array, runs: Runs, weights: Array | None = None, delta: float = DELTA, damping: float = COLD
) -> tuple[Array, Array]:
    """Minimise the summed Huber loss of any δ ≥ 0 from every start: as `newton.minimise`, which it narrows towards δ.

    Returns:
        The θ reached `[R, 5]` and their objectives `[R]`; for δ = 0 the sums of absolute deviations of ln L.
    """
    if delta >= DELTA:
        return minimise(starts, runs, weights, delta, damping=damping)
    theta, width = minimise(starts, runs, weights, DELTA, damping=damping)[0], DELTA
    while width > max(delta, _NARROWEST):
        width = max(width / 10, delta, _NARROWEST)
        theta = minimise(theta, runs, weights, width, damping=WARM)[0]
    if delta == 0:
        theta = _through_five(theta, runs, weights)
    return theta, summed_loss(theta, runs, weights, delta)


def _through_five(theta: Array, runs: Runs, weights: Array | None) -> Array:
    """Return the θ that pass exactly through the five nearest runs of each fit, where that lowers the objective."""
    absent = np.zeros((1, len(runs)), dtype=bool) if weights is None else weights == 0
    away = np.where(absent, np.inf, np.abs(runs.log_loss - log_loss(theta, runs.log_params, runs.log_tokens)))
    nearest = np.argsort(away, axis=1, kind="stable")[:, :5]
    polished, rows = theta.copy(), np.arange(len(theta))[:, None]
    for _ in range(4):
        gap = (runs.log_loss - log_loss(polished, runs.log_params, runs.log_tokens))[rows, nearest]
        jacobian = gradient_of_log_loss(polished, runs)[rows, :, nearest]
        # Five runs that hardly determine five constants leave the step to the pseudo-inverse.
        polished = polished + (np.linalg.pinv(jacobian, rcond=1e-13) @ gap[:, :, None])[:, :, 0]
    better = summed_loss(polished, runs, weights, 0.0) < summed_loss(theta, runs, weights, 0.0)
    return np.asarray(np.where(better[:, None], polished, theta))
