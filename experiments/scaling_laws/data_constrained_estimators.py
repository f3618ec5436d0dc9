"""Fits of the data-constrained scaling law (Muennighoff et al. 2023, arXiv 2305.16264, Equations 5, 6, 16 and Appendix A).

The law is Chinchilla's with decaying returns: of U_D unique tokens seen R_D + 1 times each repetition is worth less, and so is
each parameter beyond the U_N that U_D could feed. All estimators read any table of runs with the columns `params`, `tokens`,
`unique_tokens` and `loss`. Fits minimise the Huber loss (δ = 1e-3) on ln L, summed over runs, by SciPy's trust region.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import resamples
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import from_table, one_of
from repro.stats.scaling_laws.huber import DELTA
from repro.stats.summary import agreed

__all__ = ["equal_compute_penalty", "fit_versions", "repetition_constants", "tied_fit"]

Array = NDArray[np.float64]

COLUMNS = ("params", "tokens", "unique_tokens", "loss")

AUTHORS_STARTS = tuple((d, n) for d in (20 / 3, 40 / 3, 20.0) for n in (20 / 3, 40 / 3, 20.0))
"""Starts (R_D*, R_N*) of the authors' notebook, four values from 0 to 20 each; at 0 the law is undefined."""

WIDE_STARTS = tuple((d, n) for d in np.geomspace(1, 1000, 7) for n in np.geomspace(0.3, 100, 7))
"""Starts over three decades, for the lowest minimum there is."""

TIED_STARTS = ((6.0, 8.0, 0.6, 0.35), (10.0, 10.0, 0.0, 0.5), (5.0, 5.0, 1.0, 0.2), (15.0, 20.0, 0.5, 1.0))
"""Starts (a, b, e, α) of the single-epoch law with β = α."""


@estimator(unit="table")
def tied_fit(
    records: Sequence[TrialRecord], *, max_epochs: float = math.inf, delta: float = DELTA
) -> dict[str, Estimate]:
    """Return the parts a = ln A, b = ln B, e = ln E and alpha of L = E + A / N^α + B / D^α, blind to repetition.

    Args:
        records: trials that read one table of runs.
        max_epochs: leave out runs that see their data more often.
        delta: δ of the Huber loss on ln L.

    Raises:
        EstimateError: if the records hold no usable table of more than four runs.
    """
    table, flags = _table(records, at_least=5)
    table = table[:, table[1] <= max_epochs * table[2]]
    if table.shape[1] < 5:
        raise EstimateError(
            f"Four constants need at least five runs; {table.shape[1]} runs have at most {max_epochs:g} epochs. Raise max_epochs."
        )
    log_n, log_d, _, log_loss = np.log(table)
    theta, value = _lowest(
        lambda t: np.logaddexp(np.logaddexp(t[0] - t[3] * log_n, t[1] - t[3] * log_d), t[2]) - log_loss,
        TIED_STARTS,
        delta,
    )
    extras = {"huber_loss": value, "runs": float(table.shape[1])}
    return {name: from_table(float(x), flags, extras) for name, x in zip(("a", "b", "e", "alpha"), theta, strict=True)}


@estimator(unit="table")
def repetition_constants(
    records: Sequence[TrialRecord],
    *,
    a: float,
    b: float,
    e: float,
    alpha: float,
    search: str,
    bootstrap: int = 100,
    seed: int = 0,
    delta: float = DELTA,
) -> dict[str, Estimate]:
    """Return the parts `R_D` and `R_N`, with the single-epoch law held at ln A = a, ln B = b, ln E = e and β = α.

    A published value from the same runs differs only by the optimiser, so se = 0. How far other runs would move them is
    reported beside: the 2.5th and 97.5th percentiles over resampled runs, each resample searched from all minima of the table.

    Args:
        records: trials that read one table of runs.
        a: ln A.
        b: ln B.
        e: ln E.
        alpha: α = β.
        search: `first_start`: the minimum below the first usable start of the authors' grid, R_D* = R_N* = 20/3.
            `lowest`: the lowest minimum found from their nine usable starts and 49 more over three decades.
        bootstrap: resamples of runs.
        seed: of the resampling.
        delta: δ of the Huber loss on ln L.

    Raises:
        EstimateError: if the records hold no usable table or an argument has no such value.
    """
    one_of("search", search, ("first_start", "lowest"))
    table, flags = _table(records, at_least=3)
    runs = table.shape[1]
    starts = np.log(AUTHORS_STARTS[:1] if search == "first_start" else (*AUTHORS_STARTS, *WIDE_STARTS))
    reached = [_descend(_decayed(table, a, b, e, alpha), start, delta) for start in starts]
    theta, value = min(reached, key=lambda found: found[1])
    minima = np.unique(np.round(np.clip([found[0] for found in reached], -10, 10), 3), axis=0)
    drawn = resamples(runs, bootstrap, seed, fitted=2)
    draws = np.exp([_lowest(_decayed(table[:, kept], a, b, e, alpha), minima, delta)[0] for kept in drawn])
    extras = {"huber_loss": value, "runs": float(runs), "minima": float(len(minima))}
    parts = {}
    for k, name in enumerate(("R_D", "R_N")):
        low, high = np.quantile(draws[:, k], [0.025, 0.975])
        ends = {"percentile_2.5": float(low), "percentile_97.5": float(high)}
        note = f"{search} of {len(starts)} starts; {bootstrap} resamples of runs give the percentiles"
        parts[name] = from_table(float(np.exp(theta[k])), flags, {**extras, **ends}, note)
    return parts


@estimator(unit="table")
def fit_versions(
    records: Sequence[TrialRecord], *, a: float, b: float, e: float, alpha: float, R_D: float, R_N: float
) -> dict[str, Estimate]:
    """Return how well versions of the law describe the losses, with the single-epoch constants held.

    Parts: `R2_no_decay`, `R2_only_data`, `R2_only_params`, `R2_both` (coefficient of determination of L: no decay; only data decays, with its
    own best R_D*; only parameters decay, with their own best R_N*; both decay with the given constants), those constants
    `R_D_only_data` and `R_N_only_params`, and the summed Huber losses `huber_only_data`, `huber_only_params`, `huber_both`.
    """
    table, flags = _table(records, at_least=3)
    residuals = _decayed(table, a, b, e, alpha)
    loss = table[3]

    def determination(theta: Array) -> float:
        predicted = loss * np.exp(residuals(theta))
        return float(1 - ((loss - predicted) ** 2).sum() / ((loss - loss.mean()) ** 2).sum())

    starts = np.log([[star] for star in np.geomspace(0.3, 3000, 9)])
    (d,), huber_d = _lowest(lambda t: residuals(np.array([t[0], np.inf])), starts, DELTA)
    (n,), huber_n = _lowest(lambda t: residuals(np.array([np.inf, t[0]])), starts, DELTA)
    both = np.log([R_D, R_N])
    parts = {
        "R2_no_decay": determination(np.array([np.inf, np.inf])),
        "R2_only_data": determination(np.array([d, np.inf])),
        "R2_only_params": determination(np.array([np.inf, n])),
        "R2_both": determination(both),
        "R_D_only_data": float(np.exp(d)),
        "R_N_only_params": float(np.exp(n)),
        "huber_only_data": huber_d,
        "huber_only_params": huber_n,
        "huber_both": _summed(residuals(both), DELTA),
    }
    return {name: from_table(x, flags, note=f"{len(loss)} runs") for name, x in parts.items()}


@estimator(unit="table")
def equal_compute_penalty(records: Sequence[TrialRecord], *, runs: dict[str, list[float]]) -> dict[str, Estimate]:
    """Return by how many per cent repeating data raises the loss at equal parameters and tokens, one part a comparison.

    Args:
        records: trials that read one table of runs.
        runs: part name to [params, tokens, unique tokens of the repeated data]; it is compared with the run whose tokens
            are all unique. Where several runs qualify, their mean losses are compared.

    Raises:
        EstimateError: if a comparison has no run on one of its sides.
    """
    table, flags = _table(records, at_least=2)
    params, tokens, unique, loss = table

    def mean(size: float, seen: float, distinct: float, name: str) -> tuple[float, int]:
        here = np.isclose(params, size) & np.isclose(tokens, seen) & np.isclose(unique, distinct)
        if not here.any():
            raise EstimateError(
                f"Comparison '{name}' needs a run of {size:g} parameters on {seen:g} tokens, {distinct:g} of them unique; "
                f"the table of {len(loss)} runs has none."
            )
        return float(loss[here].mean()), int(here.sum())

    parts = {}
    for name, (size, seen, distinct) in runs.items():
        repeated, n_repeated = mean(size, seen, distinct, name)
        single, n_single = mean(size, seen, seen, name)
        note = f"{n_repeated} runs at {seen / distinct:.3g} epochs against {n_single} at one"
        parts[name] = from_table(100 * (repeated / single - 1), flags, {"epochs": seen / distinct}, note)
    return parts


def _decayed(table: Array, a: float, b: float, e: float, alpha: float) -> Callable[[Array], Array]:
    """Return the residuals ln L̂ − ln L as a function of (ln R_D*, ln R_N*); an infinite constant means no decay.

    U_N is the parameter count for which U_D is compute-optimal, G² U_D with G = (A/B)^(1/2α), or N if that is less (Eq. 16).
    """
    params, tokens, unique, loss = table
    fed = np.minimum(params, np.exp((a - b) / alpha) * unique)
    excess, repeats = np.maximum(params / fed - 1, 0.0), np.maximum(tokens / unique - 1, 0.0)
    log_fed, log_unique, log_loss = np.log(fed), np.log(unique), np.log(loss)

    def worth(times: Array, log_star: float) -> Array:
        if np.isinf(log_star):
            return times
        star = np.exp(np.clip(log_star, -30, 30))
        return np.asarray(-star * np.expm1(-times / star))

    def residuals(theta: Array) -> Array:
        by_data = b - alpha * (log_unique + np.log1p(worth(repeats, theta[0])))
        by_params = a - alpha * (log_fed + np.log1p(worth(excess, theta[1])))
        return np.asarray(np.logaddexp(np.logaddexp(by_params, by_data), e) - log_loss)

    return residuals


def _lowest(
    residuals: Callable[[Array], Array], starts: Sequence[Sequence[float]] | Array, delta: float
) -> tuple[Array, float]:
    return min((_descend(residuals, start, delta) for start in starts), key=lambda found: found[1])


def _descend(residuals: Callable[[Array], Array], start: Sequence[float] | Array, delta: float) -> tuple[Array, float]:
    """Return the minimum below a start and its summed Huber loss: `cost` is exactly that for SciPy's `huber`."""
    from scipy.optimize import least_squares

    tight = 1e-14
    found = least_squares(
        residuals, start, loss="huber", f_scale=delta, x_scale="jac", ftol=tight, xtol=tight, gtol=tight, max_nfev=2000
    )
    return np.asarray(found.x), float(found.cost)


def _summed(residuals: Array, delta: float) -> float:
    size = np.abs(residuals)
    return float(np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).sum())


def _table(records: Sequence[TrialRecord], at_least: int) -> tuple[Array, tuple[str, ...]]:
    """Return the columns `[4, runs]` of the one table, and the flags of `agreed`."""
    same = agreed([record for record in records if record.status == "finished"])
    if len(same.records) != 1:
        raise EstimateError(
            f"A fit of repeated data reads one table of runs: it needs finished trials of one config, got {len(same.records)}."
        )
    record = same.records[0]
    try:
        table = np.array([record.column(name) for name in COLUMNS])
    except KeyError as error:
        raise EstimateError(
            f"A fit of repeated data reads the columns {', '.join(COLUMNS)}, one row a run: {error.args[0]}."
        ) from error
    if table.shape[1] < at_least or not np.isfinite(table).all() or (table <= 0).any():
        raise EstimateError(
            f"A fit of repeated data needs at least {at_least} runs with positive {', '.join(COLUMNS)}; trial {record.key[:8]} "
            f"has {table.shape[1]} rows and {int((~(table > 0)).sum())} values that are missing or not above zero."
        )
    if (table[2] > table[1]).any():
        raise EstimateError(
            f"No run can see more unique tokens than tokens; {int((table[2] > table[1]).sum())} rows of trial "
            f"{record.key[:8]} do. Is unique_tokens the size of the data set? Then use the smaller of the two."
        )
    return table, same.flags
