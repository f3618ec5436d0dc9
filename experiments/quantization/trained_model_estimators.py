"""What several columns of one trial, all measured on the same trained model, say about each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.extremes import worst_over_seeds
from repro.stats.summary import paired_difference

__all__ = ["column_differences", "worst_columns"]


@estimator(unit="seed")
def column_differences(
    records: Sequence[TrialRecord], *, better: Mapping[str, str], worse: Mapping[str, str]
) -> dict[str, Estimate]:
    """Return for each part the mean difference of two columns over seeds, `worse` minus `better`: `paired_difference` of losses.

    Args:
        records: one trial of one row a seed, all of one cell.
        better: column of the smaller loss, by part.
        worse: column of the larger one, by part.

    Raises:
        EstimateError: if the parts of both differ, or as `paired_difference`.
    """
    if better.keys() != worse.keys() or not better:
        raise EstimateError(
            f"column_differences needs the same parts under 'better' and 'worse', got {sorted(better)} and {sorted(worse)}."
        )
    return {part: _difference(records, better[part], worse[part]) for part in better}


@estimator(unit="seed")
def worst_columns(records: Sequence[TrialRecord], *, columns: Mapping[str, str]) -> dict[str, Estimate]:
    """Return `worst_over_seeds` of a column for each part.

    Args:
        records: one trial of one row a seed.
        columns: column by part.

    Raises:
        EstimateError: as `worst_over_seeds`.
    """
    found = worst_over_seeds(records, columns=list(dict.fromkeys(columns.values())))
    return {part: found[column] for part, column in columns.items()}


def _difference(records: Sequence[TrialRecord], better: str, worse: str) -> Estimate:
    """Pair the two columns as if each had been measured by a trial of its own."""
    arms = [
        replace(record, config={"column": column}, rows=tuple({"loss": row.get(column)} for row in record.rows))
        for record in records
        for column in (better, worse)
        if _measured(record, column)
    ]
    return paired_difference(arms, column="loss", by="column", better=better, worse=worse)


def _measured(record: TrialRecord, column: str) -> bool:
    """Say that a finished trial has the column; a diverged one may have no row at all."""
    if record.rows and not any(column in row for row in record.rows):
        known = sorted({name for row in record.rows for name in row})
        raise EstimateError(f"the recipe of '{record.study}' measured no '{column}'; it measured {', '.join(known)}.")
    return True
