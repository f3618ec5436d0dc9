"""Whether given constants of the parametric law are compatible with the runs (Besiroglu et al. 2024, Table 2)."""

from collections.abc import Mapping, Sequence

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import best_fit, bootstrap_fits, from_table, quality
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.huber import DELTA, Runs, residuals
from repro.stats.scaling_laws.law import Array, ParametricLaw
from repro.stats.scaling_laws.likelihood import log_likelihood, maximise
from repro.stats.scaling_laws.optimum import FITTED
from repro.stats.scaling_laws.records import published_runs
from repro.stats.scaling_laws.uncertainty import Statistics, with_monte_carlo_error


@estimator(unit="bootstrap batch")
def constants_rejected(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    constants: Mapping[str, float],
    bootstrap: int = 4000,
    seed: int = 0,
    delta: float = DELTA,
) -> dict[str, Estimate]:
    """Return the p-values of the hypothesis that the law has the given constants E, A, B, alpha and beta.

    Parts: `wald_p`, of χ²(5) = dᵀ V⁻¹ d with d the distance in θ to the fit of greatest likelihood and V the covariance
    of the bootstrap; `likelihood_ratio_p`, of twice the gain in log-likelihood, χ²(5) too (Besiroglu et al. 2024).
    """
    from scipy.stats import chi2

    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    tested = _law("constants", constants).theta
    huber_fit = best_fit(runs, delta)
    fit = maximise(huber_fit, runs, delta)
    ratio = 2 * (log_likelihood(residuals(fit, runs), delta) - log_likelihood(residuals(tested, runs), delta))
    distance = tested - fit

    def wald(some: Array) -> Statistics:
        square = float(distance @ np.linalg.solve(np.cov(some.T), distance))
        return {"wald_chi2": square, "wald_p": float(chi2.sf(square, FITTED))}

    tests = with_monte_carlo_error(bootstrap_fits(runs, huber_fit, bootstrap, seed, delta), wald, flags)
    return {
        **tests,
        "likelihood_ratio": from_table(ratio, flags),
        "likelihood_ratio_p": from_table(float(chi2.sf(ratio, FITTED)), flags),
    }


@estimator(unit="table")
def log_likelihoods(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    constants: Mapping[str, Mapping[str, float]],
    fit_without_highest: int = 0,
    delta: float = DELTA,
) -> dict[str, Estimate]:
    """Return the log-likelihood of the runs under each named set of constants, and under our own fit (part `refit`).

    Args:
        records: trials that read one table of runs.
        counting: what N and C include; see `read_sweep`, as for `columns` and `derive`.
        columns: the table's own column names by role.
        derive: `flops` or `tokens`, where the table lacks them.
        constants: E, A, B, alpha and beta by name of the set.
        fit_without_highest: how many of the highest losses our own fit leaves out; all runs are scored all the same.
        delta: δ of the Huber likelihood, whose scale is free.
    """
    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    kept = np.argsort(runs.log_loss, kind="stable")[: len(runs) - fit_without_highest]
    fitted = Runs(runs.log_params[kept], runs.log_tokens[kept], runs.log_loss[kept])
    scored = {name: _law(f"constants.{name}", given).theta for name, given in constants.items()}
    scored["refit"] = maximise(best_fit(fitted, delta), fitted, delta)
    note = f"Huber likelihood with a free scale on {len(runs)} runs"
    return {
        name: from_table(log_likelihood(residuals(theta, runs), delta), flags, quality(theta, runs, delta), note)
        for name, theta in scored.items()
    }


def _law(where: str, given: Mapping[str, float]) -> ParametricLaw:
    names = ("E", "A", "B", "alpha", "beta")
    for name in dict.fromkeys((*given, *names)):
        if name not in names:
            raise EstimateError(f"{where} has the unknown constant '{name}'.{nearest(name, names)}")
        if name not in given:
            raise EstimateError(f"{where} lacks the constant '{name}'; it needs E, A, B, alpha and beta.")
    return ParametricLaw(**{name: float(given[name]) for name in names})
