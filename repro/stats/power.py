"""Power of the decisions: how often a rule finds a match, at one look or several, and the units that would reach it.

D̂ is normal around the true deviation with standard error SE. The test's own S has a part that is estimated with ν degrees
of freedom, and a part that is known (the published value's variance v₀): S² = (SE² − v₀)·χ²(ν)/ν + v₀.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

POWER = 0.8
LARGEST = 100_000
"""No number of units beyond this is proposed to anyone."""
DRAWS = 20_000
"""Simulated studies behind the power of several looks: a Monte Carlo standard error of at most 0.4 points."""

_POINTS = (np.arange(2000) + 0.5) / 2000


def equivalence_power(
    deviation: float, se: float, dof: float | None, critical: float, room: float, known: float = 0.0
) -> float:
    """Return P(|D̂| + c·S < room) where D̂ ~ N(deviation, se²).

    Args:
        deviation: the true deviation D.
        se: true standard error, everything in it.
        dof: ν of its estimated part; None if all of it is known.
        critical: c of the test.
        room: Δ − h.
        known: the part of `se` that is known, √v₀.
    """
    estimated = se * _relative_se(dof, known / se if se > 0 else 0.0)
    if se == 0:
        return float(abs(deviation) < room)
    upper = (room - critical * estimated - deviation) / se
    lower = (-room + critical * estimated - deviation) / se
    return float(np.maximum(stats.norm.cdf(upper) - stats.norm.cdf(lower), 0).mean())


def one_sided_power(distance: float, se: float, dof: float | None, critical: float, known: float = 0.0) -> float:
    """Return P(D̂ − c·S > 0) where D̂ ~ N(distance, se²); the survival function of the noncentral t where nothing is known."""
    if se == 0:
        return float(distance > 0)
    return float(stats.norm.cdf(distance / se - critical * _relative_se(dof, known / se)).mean())


def units_needed(power_at: Callable[[int], float], more_than: int, power: float = POWER, step: int = 1) -> int | None:
    """Return the least n above `more_than` with the wanted power (80 %), or None if there is none up to 100,000.

    Args:
        power_at: power with n units; must not fall with n.
        more_than: the number there is; a multiple of `step`.
        power: wanted.
        step: n comes in multiples of this.
    """
    low = more_than // step
    high, largest = low + 1, LARGEST // step
    while power_at(high * step) < power:
        if high >= largest:
            return None
        low, high = high, min(2 * high, largest)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_at(middle * step) >= power else (middle, high)
    return high * step


@dataclass(frozen=True)
class LookPower:
    """How often a mean over units is found to match, look by look."""

    at: tuple[float, ...]
    """P(match at this look), whatever the others said."""
    by: tuple[float, ...]
    """P(match at this look or an earlier one): the last is the power."""


def look_power(
    *,
    looks: int,
    units: int,
    sd: float,
    critical_at: Callable[[int], float],
    room: float,
    deviation: float = 0.0,
    two_sided: bool = True,
    target_se: float = 0.0,
    borrowed: bool = False,
) -> LookPower:
    """Return the power of deciding at several looks, by simulation with a fixed seed.

    Sums and sums of squares are drawn look by look, so that the cost does not depend on the number of units.

    Args:
        looks: how many, with as many units each.
        units: added by one look.
        sd: of one unit.
        critical_at: critical value with so many units, at the level of one look.
        room: Δ − h.
        deviation: the true D.
        two_sided: match if |D̂| + c·S < room; else if D̂ + room > c·S.
        target_se: √v₀; the published value's error is the same at every look.
        borrowed: whether v₀ is estimated from the units themselves (√v₀ = sd/√n₀) instead of known.
    """
    random = np.random.default_rng(0)
    shift = random.normal(0.0, target_se, DRAWS)
    mean, squares, found = np.zeros(DRAWS), np.zeros(DRAWS), np.zeros(DRAWS, bool)
    at, by = [], []
    for look in range(1, looks + 1):
        n = look * units
        step = random.normal(deviation, sd / math.sqrt(units), DRAWS) - mean
        mean = mean + step / look
        squares += step**2 * units * (look - 1) / look
        squares += sd**2 * random.chisquare(units - 1, DRAWS) if units > 1 else 0.0
        variance = squares / max(n - 1, 1)
        target = variance * (target_se / sd) ** 2 if borrowed and sd > 0 else target_se**2
        reach = critical_at(n) * np.sqrt(variance / n + target)
        distance = mean - shift
        match = np.abs(distance) + reach < room if two_sided else distance + room > reach
        match &= n > 1
        found |= match
        at.append(float(match.mean()))
        by.append(float(found.mean()))
    return LookPower(tuple(at), tuple(by))


def _relative_se(dof: float | None, known: float = 0.0) -> NDArray[np.float64]:
    """S/SE at 2,000 equally likely values of a chi-square with ν degrees of freedom; `known` is the known share of SE."""
    if dof is None:
        return np.ones(1)
    return np.sqrt((1 - known**2) * _chi_square(dof) / dof + known**2)


@cache
def _chi_square(dof: float) -> NDArray[np.float64]:
    return np.asarray(stats.chi2.ppf(_POINTS, dof))
