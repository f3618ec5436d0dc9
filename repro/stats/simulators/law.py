"""Training runs whose parametric law has other constants: N and D as recorded, ln L redrawn about the true law."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.scaling_laws.approach3 import best_fit, parametric_fit
from repro.stats.scaling_laws.huber import DELTA, Runs, log_loss, residuals
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.simulators.losses import with_losses

PLACES = {"A": 0, "B": 1, "E": 2, "alpha": 3, "beta": 4}
"""Where each constant stands in θ = (ln A, ln B, ln E, α, β)."""

CLOSE = 1e-5
"""How near the fit must come to the wanted θ: in ln A, ln B and ln E a hundred-thousandth of the constant."""

ROUNDS = 12


def refit(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    counting: str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    budget_tolerance: float = 0.0,
    uncertainty: str = "bootstrap",
    delta: float = DELTA,
    **others: Any,
) -> list[TrialRecord]:
    """Return the table of runs with ln L = ln L(N, D; constants) + residual.

    Constants without a truth are those of the fit to the recorded runs; the residuals are that fit's. Where the estimator
    counts the runs' sampling error, the constants are the true ones and residuals are drawn with replacement. Where it does
    not (`uncertainty: none`: published and measured value come from the same runs), each residual stays at its own run, and
    the constants are those for which the estimator returns the truth: residuals that were left over by one law do not quite
    cancel about another. Every record gets the same table, as replicates of a deterministic study must. Checkpoints of one
    run are drawn as if they were runs of their own.

    Args:
        records: training runs, as the estimator reads them.
        truth: any of E, A, B, alpha, beta and a.
        rng: the source of chance.
        counting: as the estimator's, with `columns`, `derive` and `budget_tolerance`.
        columns: the table's own names by role.
        derive: `flops` or `tokens`.
        budget_tolerance: of budgets that count as one.
        uncertainty: `bootstrap` or `none`.
        delta: δ of the Huber loss on ln L.
        others: further arguments of the estimator, which do not change the data.

    Raises:
        EstimateError: for a part that is no constant of the law, one that is not above zero, or an exponent a that
            contradicts the α and β given with it, or where no constants make the estimator return the truth.
    """
    sweep, _ = sweep_of(records, counting=counting, columns=columns, derive=derive, budget_tolerance=budget_tolerance)
    runs = sweep.logs
    fitted = np.array(_fitted(tuple(map(tuple, _columns(runs).tolist())), delta))
    left_over = residuals(fitted, runs)
    wanted, column = _true(fitted, truth), (columns or {}).get("loss", "loss")

    def table(theta: Array, about: Array) -> list[TrialRecord]:
        return with_losses(records, np.exp(log_loss(theta[None], runs.log_params, runs.log_tokens)[0] + about), column)

    if uncertainty != "none":
        return table(wanted, rng.choice(left_over - left_over.mean(), len(runs)))
    theta = wanted.copy()
    for _ in range(ROUNDS):
        drawn = table(theta, left_over)
        found = parametric_fit(
            drawn,
            counting=counting,
            columns=columns,
            derive=derive,
            budget_tolerance=budget_tolerance,
            uncertainty=uncertainty,
            delta=delta,
            **others,
        )
        missed = wanted - _theta(found)
        if np.abs(missed).max() < CLOSE:
            return drawn
        theta = theta + missed
    raise EstimateError("no constants were found for which the fit to the recorded runs returns the wanted ones.")


def _theta(found: Mapping[str, Estimate]) -> Array:
    values = {name: found[name].value for name in PLACES}
    if any(value is None or value <= 0 for value in values.values()):
        raise EstimateError("the fit to the drawn runs has no constants above zero.")
    return np.array([math.log(values[n] or 0.0) if n in ("A", "B", "E") else values[n] for n in PLACES])


def _true(fitted: Array, truth: Mapping[str, float]) -> Array:
    theta = fitted.copy()
    for name, value in truth.items():
        if name not in (*PLACES, "a"):
            raise EstimateError(f"'{name}' is no constant of L(N, D), so no runs can be drawn for it.")
        if value <= 0:
            raise EstimateError(f"the constant {name} of L(N, D) must be above zero, not {value:g}.")
        if name in PLACES:
            theta[PLACES[name]] = math.log(value) if name in ("A", "B", "E") else value
    if "a" in truth:
        if {"alpha", "beta"} <= truth.keys() and abs(truth["a"] - theta[4] / (theta[3] + theta[4])) > 0.01:
            raise EstimateError(f"a = {truth['a']:g} contradicts α = {theta[3]:g} and β = {theta[4]:g}.")
        if not 0 < truth["a"] < 1:
            raise EstimateError(f"a = β / (α + β) lies between 0 and 1, not at {truth['a']:g}.")
        if "beta" not in truth:
            theta[4] = truth["a"] * theta[3] / (1 - truth["a"])
    return theta


def _columns(runs: Runs) -> Array:
    return np.column_stack([runs.log_params, runs.log_tokens, runs.log_loss])


@lru_cache(maxsize=8)
def _fitted(rows: tuple[tuple[float, float, float], ...], delta: float) -> tuple[float, ...]:
    """Return θ of the recorded runs; they are fitted once, however many tables are drawn from them."""
    return tuple(best_fit(Runs(*np.array(rows).T), delta).tolist())
