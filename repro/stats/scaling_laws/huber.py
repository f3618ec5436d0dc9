"""The objective of the parametric fit, and the starting grid of its authors.

The objective is Hoffmann et al. 2022, Equation 3 and Appendix D.2 (arXiv 2203.15556):

    min over (a, b, e, α, β) of  Σ_i c_i Huber_δ( ln L_i − LSE(a − α ln N_i, b − β ln D_i, e) ),    δ = 1e-3,

with A = e^a, B = e^b, E = e^e, LSE the log-sum-exp and c_i = 1 (or, in a bootstrap, how often run i was drawn).
δ = 0 stands for its limit after division by δ, the least absolute deviations Σ_i c_i |…|.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from repro.stats.scaling_laws.law import Array

DELTA = 1e-3
"""δ of the Huber loss on ln L (Appendix D.2)."""

STARTS_ALPHA = STARTS_BETA = (0.0, 0.5, 1.0, 1.5, 2.0)
STARTS_E = (-1.0, -0.5, 0.0, 0.5, 1.0)
STARTS_A = STARTS_B = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
"""Initial values of α, β, e = ln E, a = ln A and b = ln B (Appendix D.2)."""


@dataclass(frozen=True)
class Runs:
    """Training runs in logs: ln N, ln D and ln L, each `[n]`."""

    log_params: Array
    log_tokens: Array
    log_loss: Array

    def __len__(self) -> int:
        return len(self.log_loss)


def starting_grid() -> Array:
    """Return the 4,500 starting points θ = (a, b, e, α, β) of Appendix D.2, `[4500, 5]`."""
    return np.array(list(product(STARTS_A, STARTS_B, STARTS_E, STARTS_ALPHA, STARTS_BETA)))


def huber(residuals: Array, delta: float) -> Array:
    """Return r²/2 where |r| ≤ δ, and δ (|r| − δ/2) beyond, elementwise; |r| if δ = 0."""
    size = np.abs(residuals)
    if delta == 0:
        return np.asarray(size)
    return np.asarray(np.where(size <= delta, 0.5 * residuals**2, delta * (size - 0.5 * delta)))


def log_loss(theta: Array, log_params: Array, log_tokens: Array) -> Array:
    """Return ln L(N, D) under each θ: `[R, 5]`, `[n]`, `[n]` to `[R, n]`."""
    return _terms(theta, log_params, log_tokens)[0]


def residuals(theta: Array, runs: Runs) -> Array:
    """Return ln L_i − ln L(N_i, D_i) under one θ `[5]`: `[n]`."""
    return np.asarray(runs.log_loss - log_loss(theta[None], runs.log_params, runs.log_tokens)[0])


def summed_loss(theta: Array, runs: Runs, weights: Array | None = None, delta: float = DELTA) -> Array:
    """Return the summed Huber loss of each θ: `[R, 5]` to `[R]`; `weights` (c_i) is `[R, n]`."""
    loss = huber(runs.log_loss - log_loss(theta, runs.log_params, runs.log_tokens), delta)
    return np.asarray((loss if weights is None else weights * loss).sum(axis=1), dtype=np.float64)


def loss_and_gradient(theta: Array, runs: Runs, delta: float = DELTA) -> tuple[float, Array]:
    """Return the unweighted summed loss at one θ `[5]` and its gradient `[5]`."""
    m, p_a, p_b, p_e = (row[0] for row in _terms(theta[None], runs.log_params, runs.log_tokens))
    r = runs.log_loss - m
    psi = np.clip(r, -delta, delta)
    by_params, by_tokens = psi * p_a, psi * p_b
    slope = [-by_params.sum(), -by_tokens.sum(), -psi @ p_e, by_params @ runs.log_params, by_tokens @ runs.log_tokens]
    return float(huber(r, delta).sum()), np.array(slope)


def gradient_of_log_loss(theta: Array, runs: Runs) -> Array:
    """Return J = ∂ ln L(N_i, D_i) / ∂θ of each θ: `[R, 5]` to `[R, 5, n]`."""
    _, p_a, p_b, p_e = _terms(theta, runs.log_params, runs.log_tokens)
    return np.stack([p_a, p_b, p_e, -p_a * runs.log_params, -p_b * runs.log_tokens], axis=1)


def _terms(theta: Array, log_params: Array, log_tokens: Array) -> tuple[Array, Array, Array, Array]:
    """Return ln L `[R, n]` and the shares of A/N^α, B/D^β and E in L (the softmax of the three logs)."""
    a, b, e, alpha, beta = theta.T[:, :, None]
    by_params, by_tokens = a - alpha * log_params, b - beta * log_tokens
    largest = np.maximum(np.maximum(by_params, by_tokens), e)
    share_a, share_b, share_e = np.exp(by_params - largest), np.exp(by_tokens - largest), np.exp(e - largest)
    total = share_a + share_b + share_e
    return largest + np.log(total), share_a / total, share_b / total, share_e / total
