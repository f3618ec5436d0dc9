"""How much the loss of a run scatters when only chance changes: seeds of the weights and of the order of the text."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from repro.schema.canonical import canonical_json
from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator

__all__ = ["run_to_run_sd"]

CHANCE = ("seed", "run")
"""Fields of a config that change nothing but the random draws."""

AMONG = ("repeats", "all")


@estimator(unit="repeat")
def run_to_run_sd(
    records: Sequence[TrialRecord],
    *,
    column: str = "loss",
    among: Literal["repeats", "all"] = "repeats",
    bytes_per_token: float = 1.0,
) -> Estimate:
    """Return the standard deviation of a measurement over runs that differ in their random draws alone.

    The variance is pooled over cells (configs equal but for `seed` and `run`) by their degrees of freedom ν. For normal noise
    s² ~ σ²χ²/ν, so the standard error of ln s is about 1/√(2ν).

    Args:
        records: training runs, one row each; cells with one run count for nothing.
        column: the measurement.
        among: `repeats` as said; `all` takes every run for a repeat of every other, whatever its config: what a pooling that forgets
            the configs would call noise.
        bytes_per_token: where the measured loss is a byte's, so many bytes have the token whose loss is meant: the mean loss a token is
            so many times that a byte, and its scatter as well. 1 takes the loss as it is.

    Returns:
        The standard deviation; without a value, if no cell has two runs. In `extras` that of each cell with repeats, by number in
        the order of its mean.

    Raises:
        EstimateError: if the column is missing, or `among` is neither.
    """
    if among not in AMONG:
        raise EstimateError(f"run_to_run_sd has no among '{among}'.{nearest(among, AMONG)}")
    if not bytes_per_token > 0:
        raise EstimateError(f"bytes_per_token must be above 0, not {bytes_per_token}.")
    cells: dict[str, list[float]] = {}
    diverged = 0
    for record in records:
        value = _single(record, column)
        if not math.isfinite(value):
            diverged += 1
            continue
        value *= bytes_per_token
        fixed = {name: field for name, field in record.config.items() if name not in CHANCE}
        cells.setdefault("" if among == "all" else canonical_json(fixed), []).append(value)
    repeated = sorted((np.array(values) for values in cells.values() if len(values) > 1), key=lambda cell: cell.mean())
    dof = sum(len(cell) - 1 for cell in repeated)
    flags = ("diverged",) if diverged else ()
    note = f"{dof + len(repeated)} runs in {len(repeated)} cells" + f"; {diverged} diverged and are left out" * bool(
        diverged
    )
    if not dof:
        return Estimate(None, n=0, unit="repeat", flags=flags, note=f"No cell has two finished runs: {note}.")
    # Equal runs are looked for before means are taken, which round.
    if all(cell.min() == cell.max() for cell in repeated):
        return Estimate(0.0, n=dof, unit="repeat", flags=(*flags, "no_spread"), note=note)
    sd = math.sqrt(sum(float(((cell - cell.mean()) ** 2).sum()) for cell in repeated) / dof)
    return Estimate(
        sd,
        se=sd / math.sqrt(2 * dof),
        log_se=1 / math.sqrt(2 * dof),
        dof=dof,
        n=dof,
        unit="repeat",
        flags=flags,
        extras={f"sd_of_cell_{i}": float(cell.std(ddof=1)) for i, cell in enumerate(repeated)},
        note=note,
    )


def _single(record: TrialRecord, column: str) -> float:
    """Return the measurement of a trial with one row; NaN if the trial diverged without one."""
    if record.status == "diverged" and not record.rows:
        return math.nan
    known = {name for row in record.rows for name in row}
    if len(record.rows) != 1 or column not in known:
        raise EstimateError(
            f"'{column}' needs a trial with one row that measures it; {record.label or record.key[:8]} has {len(record.rows)} rows."
            f"{nearest(column, known)}"
        )
    return record.value(column)
