"""Random-effects combination of estimates of one quantity from independent attempts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from repro.schema.errors import EstimateError

__all__ = ["Combined", "combine"]

LEVEL = 0.95


@dataclass(frozen=True)
class Combined:
    """The mean of the distribution from which the attempts' true values come, with 95 % intervals."""

    value: float
    se: float
    """Of the mean, by Hartung and Knapp."""
    dof: int
    """k − 1 for k attempts."""
    low: float
    high: float
    tau: float
    """Standard deviation τ of the true values between attempts, beyond what their standard errors explain."""
    i_squared: float
    """Share of the scatter between attempts that their standard errors do not explain (Higgins & Thompson 2002)."""
    q: float
    """Cochran's Q."""
    q_p: float
    """Its p under χ²(k − 1): small where one common value does not fit."""
    prediction_low: float | None
    """95 % prediction interval of the next attempt's true value; None for fewer than three attempts."""
    prediction_high: float | None
    n: int
    """Attempts."""


def combine(values: Sequence[float], ses: Sequence[float]) -> Combined:
    """Combine independent estimates xᵢ ± sᵢ of one quantity whose true value may differ between attempts.

    - τ² by Paule & Mandel (1982): the least τ² ≥ 0 at which Σ wᵢ(xᵢ − μ)² ≤ k − 1, with wᵢ = 1 / (sᵢ² + τ²) and μ the mean
      weighted by wᵢ. Recommended by Veroniki et al. (2016).
    - SE² = q / Σ wᵢ with q = Σ wᵢ(xᵢ − μ)² / (k − 1), and t with k − 1 degrees of freedom (Hartung & Knapp 2001; Sidik &
      Jonkman 2002); q is taken as at least 1 (Röver, Knapp & Friede 2015), because two or three attempts that agree by
      luck would otherwise give an interval narrower than their own errors allow.
    - Prediction interval μ ± t(0.975, k − 2)·√(τ² + SE²) (Higgins, Thompson & Spiegelhalter 2009).

    Args:
        values: estimates xᵢ, one an attempt.
        ses: their standard errors, all positive.

    Raises:
        EstimateError: for fewer than two attempts, unequal lengths, or a standard error that is not positive and finite.
    """
    x, s = np.asarray(values, dtype=float), np.asarray(ses, dtype=float)
    if x.ndim != 1 or x.shape != s.shape or len(x) < 2:
        raise EstimateError(
            f"combining attempts takes at least two values, each with its standard error; got {len(x)} and {len(s)}."
        )
    if not (np.isfinite(x).all() and np.isfinite(s).all() and (s > 0).all()):
        raise EstimateError(
            "combining attempts needs finite values with positive standard errors. An exact value is not combined: it is "
            "compared."
        )
    k = len(x)
    tau_squared = _paule_mandel(x, s)
    weights = 1 / (s**2 + tau_squared)
    value = float(weights @ x / weights.sum())
    scale = max(1.0, float(weights @ (x - value) ** 2) / (k - 1))
    se = math.sqrt(scale / weights.sum())
    half = float(stats.t.ppf((1 + LEVEL) / 2, k - 1)) * se
    q = _scatter(x, s, 0.0)
    ends: tuple[float | None, float | None] = (None, None)
    if k > 2:
        reach = float(stats.t.ppf((1 + LEVEL) / 2, k - 2)) * math.sqrt(tau_squared + se**2)
        ends = (value - reach, value + reach)
    return Combined(
        value=value,
        se=se,
        dof=k - 1,
        low=value - half,
        high=value + half,
        tau=math.sqrt(tau_squared),
        i_squared=max(0.0, 1 - (k - 1) / q) if q > 0 else 0.0,
        q=q,
        q_p=float(stats.chi2.sf(q, k - 1)),
        prediction_low=ends[0],
        prediction_high=ends[1],
        n=k,
    )


def _paule_mandel(x: NDArray[np.float64], s: NDArray[np.float64]) -> float:
    """Return τ²: 0 where the standard errors alone explain the scatter, else the root of Q(τ²) = k − 1, which falls in τ²."""
    excess = _scatter(x, s, 0.0) - (len(x) - 1)
    if excess <= 0:
        return 0.0
    # At τ² = Σ(x − mean)² all weights are at most its inverse, so Q ≤ 1 ≤ k − 1.
    upper = float(((x - x.mean()) ** 2).sum())
    root = optimize.brentq(lambda tau: _scatter(x, s, tau) - (len(x) - 1), 0.0, upper, xtol=1e-14 * upper, rtol=1e-14)
    return float(root)


def _scatter(x: NDArray[np.float64], s: NDArray[np.float64], tau_squared: float) -> float:
    """Return Q(τ²) = Σ w(x − μ)²."""
    weights = 1 / (s**2 + tau_squared)
    mean = weights @ x / weights.sum()
    return float(weights @ (x - mean) ** 2)
