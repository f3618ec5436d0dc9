"""Extrapolation of a ladder of small models (Bhagia et al. 2024, arXiv 2412.04403, step 1).

Estimators read a table of runs with the columns `params`, `tokens`, `loss`, `chinchilla_multiple`, `rerun`, `target` and, for the
cost, `flops_of_run`. The law is fitted as the authors fit it: Huber loss (δ = 1e-3) on ln L, summed over runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import bootstrap_fits, from_table
from repro.stats.scaling_laws.huber import Runs, log_loss
from repro.stats.scaling_laws.optimum import FITTED, find_optimum
from repro.stats.summary import agreed

__all__ = ["extrapolation", "ladder_cost"]

Array = NDArray[np.float64]

COLUMNS = ("params", "tokens", "loss", "chinchilla_multiple", "rerun", "target")


FEWEST_SIZES = 3
"""Sizes below which the exponent of N is not determined."""


@dataclass(frozen=True)
class Ladder:
    """The table of runs, and which of them the law is fitted to."""

    columns: Mapping[str, Array]
    fitted: NDArray[np.bool_]
    flags: tuple[str, ...]

    def runs(self, kept: NDArray[np.intp]) -> Runs:
        """Return these runs in logs."""
        return Runs(*(np.log(self.columns[name][kept]) for name in ("params", "tokens", "loss")))

    def predicted(self, theta: Array, rows: NDArray[np.intp]) -> Array:
        """Return the loss of these runs under θ `[5]`, in nats per token."""
        runs = self.runs(rows)
        return np.asarray(np.exp(log_loss(theta[None], runs.log_params, runs.log_tokens)[0]))


@estimator(unit="table")
def extrapolation(
    records: Sequence[TrialRecord],
    *,
    target: float,
    fit_up_to: float,
    least_multiple: float = 1.0,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return the parts `predicted` and `measured` loss of a target, `relative_error` and `fit_error`, both in per cent.

    A published prediction from the same ladder differs only by the optimiser, so se = 0. How far another ladder would have
    missed is reported beside: the standard error of the relative error by resampling runs and by leaving out one fitted size
    at a time, and the 90 % interval by the larger (ν = runs − 5, or sizes − 1).

    Args:
        records: trials that read one table.
        target: parameters of the target; of several runs of that size, the mean errors count.
        fit_up_to: largest parameter count of the fitted runs.
        least_multiple: smallest multiple of Chinchilla's tokens of the fitted runs.
        bootstrap: resamples of runs.
        seed: of the resampling.

    Raises:
        EstimateError: if the table is unusable, or holds no such target.
    """
    from scipy.stats import t

    ladder = _ladder(records, fit_up_to, least_multiple)
    used = np.flatnonzero(ladder.fitted)
    row = _target(ladder, target, least_multiple)
    theta = find_optimum(ladder.runs(used)).theta
    measured = ladder.columns["loss"][row]

    def error(found: Array) -> float:
        return 100 * float((ladder.predicted(found, row) / measured - 1).mean())

    draws = [error(found) for found in bootstrap_fits(ladder.runs(used), theta, bootstrap, seed)]
    by_run = float(np.std(draws, ddof=1) * np.sqrt(len(used) / (len(used) - FITTED)))
    size = ladder.columns["params"][used]
    sizes = np.unique(size)
    dof, se = float(len(used) - FITTED), by_run
    extras = {"E": float(np.exp(theta[2])), "alpha": float(theta[3]), "beta": float(theta[4]), "se_runs": by_run}
    if len(sizes) > FEWEST_SIZES:
        without = [error(find_optimum(ladder.runs(used[size != left_out])).theta) for left_out in sizes]
        by_size = float(np.sqrt((len(sizes) - 1) / len(sizes) * ((without - np.mean(without)) ** 2).sum()))
        extras["se_sizes"] = by_size
        if by_size > by_run:
            dof, se = float(len(sizes) - 1), by_size
    reach = float(t.ppf(0.95, dof)) * se
    extras |= {"relative_error_low": error(theta) - reach, "relative_error_high": error(theta) + reach}
    off = np.abs(ladder.predicted(theta, used) / ladder.columns["loss"][used] - 1)
    parts = {
        "predicted": float(ladder.predicted(theta, row).mean()),
        "measured": float(measured.mean()),
        "relative_error": error(theta),
        "fit_error": 100 * float(off.mean()),
    }
    note = f"fitted to {len(used)} runs of {len(sizes)} sizes; {len(row)} runs predicted"
    return {name: from_table(value, ladder.flags, extras, note) for name, value in parts.items()}


@estimator(unit="table")
def ladder_cost(records: Sequence[TrialRecord], *, fit_up_to: float, least_multiple: float = 1.0) -> Estimate:
    """Return the compute of all fitted runs as a share of that of the targets, in per cent."""
    ladder = _ladder(records, fit_up_to, least_multiple, "flops_of_run")
    flops = ladder.columns["flops_of_run"]
    targets = flops[ladder.columns["target"] == 1]
    if not len(targets):
        raise EstimateError(
            "The cost of a ladder is a share of its targets' compute; the table marks no row as a target."
        )
    share = 100 * float(flops[ladder.fitted].sum() / targets.sum())
    return from_table(share, ladder.flags, {"ladder_flops": float(flops[ladder.fitted].sum())})


def _target(ladder: Ladder, params: float, least_multiple: float = 1.0) -> NDArray[np.intp]:
    columns = ladder.columns
    same = np.isclose(columns["params"], params, rtol=0.01) & ~ladder.fitted & (columns["rerun"] == 0)
    rows = np.flatnonzero(same & ((columns["target"] == 1) | (columns["chinchilla_multiple"] >= least_multiple)))
    if not len(rows):
        raise EstimateError(
            f"The ladder needs a target of {params:g} parameters that is not fitted; the table has models of "
            f"{', '.join(f'{n:.4g}' for n in np.unique(columns['params']))}."
        )
    return rows


def _ladder(records: Sequence[TrialRecord], fit_up_to: float, least_multiple: float, *more: str) -> Ladder:
    same = agreed([record for record in records if record.status == "finished"])
    if len(same.records) != 1:
        raise EstimateError(f"A ladder is one table: it needs finished trials of one config, got {len(same.records)}.")
    record = same.records[0]
    names = (*COLUMNS, *more)
    try:
        columns = {name: np.array(record.column(name)) for name in names}
    except KeyError as error:
        raise EstimateError(f"A ladder has the columns {', '.join(names)}: {error.args[0]}.") from error
    values = np.array(list(columns.values()))
    if not np.isfinite(values).all() or (values[:3] <= 0).any():
        raise EstimateError(
            f"A ladder needs finite values, and positive params, tokens and loss, in every row; trial {record.key[:8]} has "
            f"{int((~np.isfinite(values)).sum())} missing and {int((values[:3] <= 0).sum())} that are not above zero."
        )
    fitted = (
        (columns["params"] <= fit_up_to)
        & (columns["chinchilla_multiple"] >= least_multiple)
        & (columns["rerun"] == 0)
        & (columns["target"] == 0)
    )
    sizes, tokens = (len(np.unique(columns[name][fitted])) for name in ("params", "tokens"))
    if fitted.sum() <= FITTED or sizes < FEWEST_SIZES or tokens < 3:
        raise EstimateError(
            f"Five constants need more than five runs of at least three sizes and three token counts; the table has "
            f"{int(fitted.sum())} runs of {sizes} sizes up to {fit_up_to:g} parameters from {least_multiple:g} times Chinchilla's tokens."
        )
    return Ladder(columns, fitted, same.flags)
