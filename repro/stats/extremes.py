"""The worst seed: for properties that must hold on every input, so that one violation refutes them."""

import math
from collections.abc import Sequence

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator

__all__ = ["worst_over_seeds"]


@estimator(unit="seed", simulator="repro.stats.simulators.exact.shift_worst")
def worst_over_seeds(records: Sequence[TrialRecord], *, columns: Sequence[str]) -> dict[str, Estimate]:
    """Return the largest value of each column over the seeds, one part a column.

    For errors and counts of violations: 0 is perfect, larger is worse. A statement about all inputs is not a statement
    about a mean, so no standard error enters (se = 0): the verdict says that none of the n seeds broke the tolerance,
    or that one did. The smallest value is in `extras`, for a control that must fail on every seed.

    Args:
        records: one finished or diverged trial of one row a seed.
        columns: measurements, each of them a part of the claim.

    Raises:
        EstimateError: if there are no records, a trial has several rows, or a finished one lacks a column.
    """
    if not records:
        raise EstimateError("worst_over_seeds needs at least one finished trial, got none. Run the study first.")
    return {column: _worst([_measured(record, column) for record in records]) for column in columns}


def _measured(record: TrialRecord, column: str) -> float:
    """The column of a trial with one row; NaN if it is not finite, or the trial diverged without a row."""
    if record.status == "diverged" and not record.rows:
        return math.nan
    if len(record.rows) != 1:
        raise EstimateError(
            f"worst_over_seeds takes trials of one row; trial {record.key[:8]} has {len(record.rows)}. "
            "Use an estimator that says how rows are combined."
        )
    if column not in record.rows[0]:
        raise EstimateError(f"Trial {record.key[:8]} measured no '{column}'.{nearest(column, record.rows[0])}")
    return record.value(column)


def _worst(values: list[float]) -> Estimate:
    units = tuple(value if math.isfinite(value) else None for value in values)
    finite = [value for value in units if value is not None]
    if len(finite) < len(values):
        note = f"{len(values) - len(finite)} of {len(values)} seeds gave no finite value"
        return Estimate(None, n=len(values), unit="seed", units=units, flags=("diverged",), note=note)
    return Estimate(
        max(finite),
        se=0.0,
        n=len(finite),
        unit="seed",
        units=units,
        deterministic=True,
        extras={"smallest": min(finite)},
        note=f"the largest of {len(finite)} seeds",
    )
