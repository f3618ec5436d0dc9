"""The Huber loss read as a likelihood with a free scale σ.

The density of a log residual r is exp(−Huber_δ(r/σ)) / (Z σ) with
Z = √(2π) (2Φ(δ) − 1) + 2 exp(−δ²/2) / δ: a Gaussian core and Laplace tails (Besiroglu et al. 2024,
arXiv 2404.10102, their notebook). Maximising over σ leaves δσ, some 5e-9 on the Chinchilla runs, as the width of the
core: in effect a least-absolute-deviations fit.
"""

import math

import numpy as np

from repro.stats.scaling_laws.huber import DELTA, Runs, huber, residuals
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.newton import minimise


def best_scale(r: Array, delta: float = DELTA) -> float:
    """Return the σ of greatest likelihood for the residuals r `[n]`: the root of Σ (r/σ) clip(r/σ, −δ, δ) = n."""
    size = np.abs(r)
    low, high = 1e-3 * delta * size.mean(), math.sqrt(float((r**2).mean()))
    for _ in range(200):  # the sum falls as σ grows: bisection in ln σ
        middle = math.sqrt(low * high)
        if (size / middle) @ np.minimum(size / middle, delta) > len(r):
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def log_likelihood(r: Array, delta: float = DELTA) -> float:
    """Return the log-likelihood of the residuals r `[n]` at the best scale."""
    scale = best_scale(r, delta)
    Z = math.sqrt(2 * math.pi) * math.erf(delta / math.sqrt(2)) + 2 * math.exp(-(delta**2) / 2) / delta
    return -float(huber(r / scale, delta).sum()) - len(r) * math.log(Z * scale)


def maximise(start: Array, runs: Runs, delta: float = DELTA) -> Array:
    """Return the θ `[5]` of greatest likelihood over θ and σ, reached from `start` `[5]`.

    At a given σ the likelihood is greatest where the Huber loss of width δσ is least, so the width is narrowed in steps
    of ten from δ to δσ, and then follows σ until it stands still.
    """
    theta, width = start, delta
    for _ in range(100):
        theta = minimise(theta[None], runs, delta=width)[0][0]
        goal = delta * best_scale(residuals(theta, runs), delta)
        if abs(width / goal - 1) < 1e-9:
            break
        width = max(width / 10, goal) if width > goal else goal
    return theta
