"""Standard errors by resampling independent units. They give the standard error only; the interval uses t.

Percentile intervals of 3 to 10 units are too short: they would declare false matches 8 to 20 % of the time.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from repro.schema.errors import EstimateError

_SORTED = 4_000_000
"""Numbers sorted at a time: large tables are worked off in parts."""

Statistic = Callable[[NDArray[np.intp]], ArrayLike]
"""Indices of the units to use, some of them repeated, to a value or a vector of values."""


def resamples(units: int, draws: int, seed: int, fitted: int = 1) -> NDArray[np.intp]:
    """Return `draws` resamples with replacement, [draws, units], each with at least `fitted` distinct units.

    A resample with fewer distinct units than fitted parameters determines no fit, and is drawn again.

    Raises:
        EstimateError: if there are no more units than fitted parameters, or nothing is to be drawn.
    """
    _require_units(units, fitted, "bootstrap")
    if draws < 1:
        raise EstimateError(f"A bootstrap needs resamples to draw, got {draws}.")
    rng = np.random.default_rng(seed)
    kept, found = np.empty((draws, units), dtype=np.intp), 0
    while found < draws:
        drawn = rng.integers(0, units, size=(draws, units))
        for part in np.array_split(drawn, max(1, drawn.size // _SORTED)):
            distinct = (np.diff(np.sort(part, axis=1), axis=1) > 0).sum(axis=1) + 1
            good = part[distinct >= fitted][: draws - found]
            kept[found : found + len(good)] = good
            found += len(good)
    return kept


def bootstrap_se(
    units: int, statistic: Statistic, *, fitted: int = 1, draws: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Return the bootstrap standard error of a statistic of independent units.

    The standard deviation over the draws is multiplied by √(n / (n − p)): for a mean (p = 1) the expectation is then s/√n,
    where the plain bootstrap is short by √((n − 1)/n), 18 % at n = 3.

    Args:
        units: number n of independent units.
        statistic: maps indices [n] to a value or to a vector [P].
        fitted: number p of fitted parameters; ν = n − p belongs to the result.
        draws: number of resamples.
        seed: of the resampling.

    Returns:
        Standard error, [] or [P].

    Raises:
        EstimateError: if n ≤ p, or if the statistic is not finite on more than one draw in twenty.
    """
    values = np.array([statistic(indices) for indices in resamples(units, draws, seed, fitted)], dtype=float)
    finite = np.isfinite(values).reshape(draws, -1).all(axis=1)
    if (~finite).mean() > 0.05:
        raise EstimateError(
            f"The bootstrap found no value in {(~finite).sum()} of {draws} resamples; at most one in twenty may fail. "
            f"The fit hangs on single {units} units: add units, or simplify the fit."
        )
    return np.asarray(values[finite].std(axis=0, ddof=1) * np.sqrt(units / (units - fitted)))


def leave_one_out_se(units: int, statistic: Statistic, *, fitted: int = 1) -> NDArray[np.float64]:
    """Return the jackknife standard error: the statistic without each unit in turn; for a mean it is exactly s/√n.

    Args:
        units: number n of independent units.
        statistic: maps indices [n − 1] to a value or to a vector [P].
        fitted: number p of fitted parameters.

    Returns:
        Standard error, [] or [P].

    Raises:
        EstimateError: if n ≤ p, or if the statistic is not finite without one of them.
    """
    _require_units(units, fitted, "leave-one-out")
    every = np.arange(units)
    values = np.array([statistic(np.delete(every, left_out)) for left_out in range(units)], dtype=float)
    if not np.isfinite(values).all():
        raise EstimateError(
            f"Leaving out one of {units} units leaves a fit without a value: the estimate hangs on that unit. Add units."
        )
    deviations = values - values.mean(axis=0)
    return np.asarray(np.sqrt((units - 1) / units * (deviations**2).sum(axis=0)))


def _require_units(units: int, fitted: int, method: str) -> None:
    if units <= fitted:
        raise EstimateError(
            f"A {method} standard error needs more independent units than the {fitted} fitted parameters, got {units}."
        )
