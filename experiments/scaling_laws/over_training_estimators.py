"""The over-training law of Gadre et al. 2024 (arXiv 2403.08540, Equation 4), fitted and extrapolated.

Estimators read tables of runs with the columns `params`, `tokens`, `loss`, and `fitted` (1 for runs that the law is fitted to);
`exponent_drift` reads `small` instead. Section 3.3: the law is fitted by least squares on L. For a given exponent it is linear in
E, A and B, so only the exponent is searched (variable projection); that finds the global minimum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import from_table
from repro.stats.summary import agreed

__all__ = ["compute_saved", "exponent_drift", "extrapolation_errors"]

Array = NDArray[np.float64]

EXPONENTS = np.linspace(0.01, 2.0, 400)
"""Grid over α = 2η on which the search for the exponent starts."""


@dataclass(frozen=True)
class Law:
    """L = E + A (N/N₀)^−α + B (D/D₀)^−α, with N₀ and D₀ the geometric means of the fitted runs."""

    alpha: float
    coefficients: Array
    """E, A, B at N₀ and D₀."""
    centre: tuple[float, float]

    def loss(self, params: Array, tokens: Array) -> Array:
        """Return L in nats per token, elementwise."""
        return np.asarray(_terms(params, tokens, self.alpha, self.centre) @ self.coefficients)


def fit_law(params: Array, tokens: Array, loss: Array) -> Law:
    """Return the least-squares law, each argument `[n]` with n ≥ 4.

    Raises:
        EstimateError: for fewer than four runs, or runs of one size or one ratio, which leave A and B undetermined.
    """
    from scipy.optimize import minimize_scalar

    ratios = np.unique(np.round(np.log(tokens / params), 2))
    if len(loss) < 4 or len(np.unique(params)) < 2 or len(ratios) < 2:
        raise EstimateError(
            f"The over-training law has four constants: it needs at least four runs of at least two sizes and two ratios "
            f"of tokens to parameters, got {len(loss)} runs, {len(np.unique(params))} sizes, {len(ratios)} ratios."
        )
    centre = (float(np.exp(np.log(params).mean())), float(np.exp(np.log(tokens).mean())))

    def project(alpha: float) -> tuple[float, Array]:
        terms = _terms(params, tokens, alpha, centre)
        coefficients = np.linalg.lstsq(terms, loss, rcond=None)[0]
        return float(((loss - terms @ coefficients) ** 2).sum()), coefficients

    k = int(np.argmin([project(alpha)[0] for alpha in EXPONENTS]))
    if k in (0, len(EXPONENTS) - 1):
        raise EstimateError(
            f"The exponent of the over-training law runs to the end of its range, {EXPONENTS[k]:g}: the runs do not determine it."
        )
    around = (EXPONENTS[k - 1], EXPONENTS[k + 1])
    best = minimize_scalar(lambda alpha: project(alpha)[0], bounds=around, method="bounded", options={"xatol": 1e-12})
    return Law(float(best.x), project(best.x)[1], centre)


@estimator(unit="table")
def extrapolation_errors(
    records: Sequence[TrialRecord], *, targets: Mapping[str, Mapping[str, Any]]
) -> dict[str, Estimate]:
    """Return by how many per cent of the measured loss the law misses each target, without sign.

    Args:
        records: one table a cell of the study.
        targets: part name to `params`, `tokens_per_parameter` and, where there are several tables, `where`: config fields that
            tell which. The target is the run nearest in both; it must agree to 5 % and must not be among the fitted ones.

    Raises:
        EstimateError: if a table or target is missing, or the law is undetermined.
    """
    parts = {}
    for name, target in targets.items():
        table, flags = _table(records, target.get("where", {}), "fitted")
        params, tokens, loss, fitted = table
        law = fit_law(params[fitted == 1], tokens[fitted == 1], loss[fitted == 1])
        run = _find(table, target, name)
        predicted = float(law.loss(params[[run]], tokens[[run]])[0])
        error = 100 * (predicted / loss[run] - 1)
        extras = {
            "signed_error": float(error),
            "predicted": predicted,
            "measured": float(loss[run]),
            "eta": law.alpha / 2,
        }
        parts[name] = from_table(abs(float(error)), flags, extras, f"law fitted to {int(fitted.sum())} runs")
    return parts


@estimator(unit="table")
def compute_saved(records: Sequence[TrialRecord], *, targets: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """Return how many times the compute of all fitted runs each target took, by C = 6ND. Arguments as `extrapolation_errors`."""
    parts = {}
    for name, target in targets.items():
        table, flags = _table(records, target.get("where", {}), "fitted")
        flops = 6 * table[0] * table[1]
        spent = float(flops[table[3] == 1].sum())
        if not spent:
            raise EstimateError(f"Part '{name}' needs fitted runs; the table marks none.")
        parts[name] = from_table(float(flops[_find(table, target, name)]) / spent, flags, {"fitted_flops": spent})
    return parts


@estimator(unit="line")
def exponent_drift(
    records: Sequence[TrialRecord],
    *,
    tables: Mapping[str, Mapping[str, Any]],
    floor: float | None = None,
    least: float = 20.0,
) -> dict[str, Estimate]:
    """Return by what share of itself the exponent of the reducible loss changes over the range of lines.

    E comes from the law fitted to all small runs. A line is the small runs with one ratio of tokens to parameters; its exponent
    is the slope of −ln(L − E) on ln C. The value is the slope of the exponents on the logarithm of the ratio, times that
    logarithm's range, over their mean. Its standard error is the regression's, ν = lines − 2.

    Args:
        records: one table a cell of the study.
        tables: part name to the config fields that tell which table.
        floor: E, where it is not to be fitted.
        least: smallest ratio of tokens to parameters.

    Raises:
        EstimateError: if a table is missing, or has fewer than four lines of three runs.
    """
    parts = {}
    for name, where in tables.items():
        table, flags = _table(records, where, "small")
        params, tokens, loss, small = table
        kept = (small == 1) & (tokens / params >= 0.99 * least)
        params, tokens, loss = params[kept], tokens[kept], loss[kept]
        E = float(fit_law(params, tokens, loss).coefficients[0]) if floor is None else floor
        reducible = loss - E
        if (reducible <= 0).any():
            raise EstimateError(f"Table '{name}' has losses below the irreducible loss {E:.3f}.")
        key = np.round(np.log(tokens / params), 2)
        held = [value for value in np.unique(key) if (key == value).sum() >= 3]
        if len(held) < 4:
            raise EstimateError(
                f"Parallel lines need at least four lines of three runs; table '{name}' has {len(held)}."
            )
        log_flops = np.log(6 * params * tokens)
        slopes = [-np.polyfit(log_flops[key == value], np.log(reducible[key == value]), 1)[0] for value in held]
        x = np.array(held) - np.mean(held)
        trend = float(x @ slopes / (x @ x))
        left_over = np.array(slopes) - np.mean(slopes) - trend * x
        se = float(np.sqrt(left_over @ left_over / (len(held) - 2) / (x @ x)))
        scale = float((x.max() - x.min()) / np.mean(slopes))
        parts[name] = Estimate(
            trend * scale,
            se=se * scale,
            dof=len(held) - 2,
            n=len(held),
            unit="line",
            flags=flags,
            extras={"mean_exponent": float(np.mean(slopes)), "E": E},
            note=f"{len(held)} lines, exponents {min(slopes):.3f} to {max(slopes):.3f}",
        )
    return parts


def _terms(params: Array, tokens: Array, alpha: float, centre: tuple[float, float]) -> Array:
    return np.stack([np.ones(len(params)), (params / centre[0]) ** -alpha, (tokens / centre[1]) ** -alpha], axis=1)


def _find(table: Array, target: Mapping[str, Any], name: str) -> int:
    """Return the row of a target that is not fitted."""
    params, tokens, _, fitted = table
    off = np.maximum(
        np.abs(np.log(params / target["params"])), np.abs(np.log(tokens / params / target["tokens_per_parameter"]))
    )
    off[fitted == 1] = np.inf
    if not off.min() < 0.05:
        raise EstimateError(
            f"Target '{name}' needs a run that is not fitted, of {target['params']:g} parameters and "
            f"{target['tokens_per_parameter']:g} tokens each; the table of {len(params)} runs has none within 5 %."
        )
    return int(off.argmin())


def _table(records: Sequence[TrialRecord], where: Mapping[str, Any], mark: str) -> tuple[Array, tuple[str, ...]]:
    """Return the columns params, tokens, loss and the mark, `[4, runs]`, of the one table with these config fields."""
    same = agreed([record for record in records if record.status == "finished"])
    found = [r for r in same.records if all(r.config.get(field) == value for field, value in where.items())]
    if len(found) != 1:
        raise EstimateError(
            f"The over-training law reads one table of runs at a time: {len(found)} finished trials have {dict(where) or 'any config'}."
        )
    columns = ("params", "tokens", "loss", mark)
    try:
        table = np.array([found[0].column(name) for name in columns])
    except KeyError as error:
        raise EstimateError(
            f"The over-training law reads the columns {', '.join(columns)}: {error.args[0]}."
        ) from error
    if not np.isfinite(table).all() or (table[:3] <= 0).any() or not np.isin(table[3], (0, 1)).all():
        raise EstimateError(
            f"The over-training law needs positive params, tokens and loss, and {mark} 0 or 1, in every row; trial "
            f"{found[0].key[:8]} has {int((~(table[:3] > 0)).sum())} values that are missing or not above zero."
        )
    return table, same.flags
