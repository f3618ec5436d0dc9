"""Several measurements of one deterministic trial, each under the name of a part."""

from collections.abc import Mapping, Sequence

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import measured_parts

__all__ = ["measured_columns"]


@estimator(unit="none")
def measured_columns(records: Sequence[TrialRecord], *, columns: Mapping[str, str]) -> dict[str, Estimate]:
    """Return measurements of a deterministic study that has one cell with one row.

    Args:
        records: two replicates from two processes.
        columns: the measurement, by part.

    Raises:
        EstimateError: as `measured_parts`; or if the trial lacks a column.
    """
    found = measured_parts(records)
    for column in columns.values():
        if column not in found:
            raise EstimateError(f"the trial measured no '{column}'.{nearest(column, found)}")
    return {part: found[column] for part, column in columns.items()}
