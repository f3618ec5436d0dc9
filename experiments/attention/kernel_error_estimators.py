"""Means over seeds of what a trial of `kernel_error` measures in several rows, one a number of features and pair of vectors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds

__all__ = ["error_decay", "mean_by_row"]


@estimator(unit="seed")
def mean_by_row(
    records: Sequence[TrialRecord],
    *,
    columns: Mapping[str, str],
    by: Sequence[str],
    where: Mapping[str, float] | None = None,
) -> dict[str, Estimate]:
    """Return `mean_over_seeds` of each column in each row, with its interval for skewed noise.

    Args:
        records: replicates of one cell.
        columns: the column of each kind of part, such as `{positive: positive_bias}`.
        by: columns that tell rows apart; with `[m, pair]` a part is called `positive_m8_pair0`.
        where: values of columns that a row must have; other rows are left out.

    Raises:
        EstimateError: if no row is left, two rows of a trial have one name, or as `mean_over_seeds`.
    """
    kept = [_rows(record, by, where or {}) for record in records]
    if not kept or not kept[0]:
        raise EstimateError(f"no row has {dict(where or {})}; of {len(records)} trials none is left to take a mean of.")
    return {
        f"{kind}_{name}": mean_over_seeds(
            [replace(record, rows=(rows[name],)) for record, rows in zip(records, kept, strict=True)], column=column
        )
        for kind, column in columns.items()
        for name in kept[0]
    }


@estimator(unit="seed")
def error_decay(records: Sequence[TrialRecord], *, columns: Mapping[str, str]) -> dict[str, Estimate]:
    """Return the slope of ln error on ln m by least squares over all rows, fitted in each trial, as a mean over seeds.

    Args:
        records: replicates of one cell, with one row for each m.
        columns: the column of the error of each part.

    Raises:
        EstimateError: if a trial has fewer than two different m, an error is not positive, or as `mean_over_seeds`.
    """
    return {
        part: mean_over_seeds(
            [replace(record, rows=({"slope": _slope(record, column)},)) for record in records], column="slope"
        )
        for part, column in columns.items()
    }


def _rows(record: TrialRecord, by: Sequence[str], where: Mapping[str, float]) -> dict[str, Mapping[str, float | None]]:
    """The rows of a trial that are wanted, by name."""
    wanted = [row for row in record.rows if all(row[column] == value for column, value in where.items())]
    named = {"_".join(f"{column}{row[column]:g}" for column in by): row for row in wanted}
    if len(named) < len(wanted):
        raise EstimateError(
            f"{list(by)} does not tell {len(wanted)} rows of a trial apart; name more columns under 'by'."
        )
    return named


def _slope(record: TrialRecord, column: str) -> float:
    m, error = np.array(record.column("m")), np.array(record.column(column))
    if len(set(m.tolist())) < 2 or not (error > 0).all():
        raise EstimateError(f"a slope needs two different m and positive errors; '{column}' is {error.tolist()}.")
    return float(np.polynomial.polynomial.polyfit(np.log(m), np.log(error), 1)[1])
