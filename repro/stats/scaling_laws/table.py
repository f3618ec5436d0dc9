"""Columns of numbers out of any table: a mapping of columns, a data frame, a list of rows, or trial records.

A data frame is recognised by its `columns`; pandas itself is not imported.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.law import Array

_INFINITE = 1e100
"""Numbers from here on are no sizes, and losses only of runs that diverged."""

Table = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Sequence[TrialRecord] | Any


def columns_of(table: Table) -> tuple[dict[str, list[Any]], int]:
    """Return the columns by name, all of one length, and how many diverged trials left no row at all.

    Raises:
        EstimateError: if it is no table, has no rows, or its columns differ in length.
    """
    diverged = 0
    if hasattr(table, "columns") and not isinstance(table, Mapping):
        twice = {str(name) for name in table.columns if list(map(str, table.columns)).count(str(name)) > 1}
        if twice:
            raise EstimateError(
                f"The data frame has several columns named {', '.join(sorted(twice))}: which of them is meant is not said. Rename or "
                f"drop all but one."
            )
        columns = {str(name): list(table[name]) for name in table.columns}
    elif isinstance(table, Mapping):
        columns = {}
        for name, values in table.items():
            if isinstance(values, str | bytes) or not isinstance(values, Iterable):
                raise EstimateError(f"The sweep's column '{name}' must hold one value a row, got {values!r}.")
            columns[str(name)] = list(values)
    elif isinstance(table, Sequence) and not isinstance(table, str | bytes):
        rows, diverged = _rows_of(table)
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
    else:
        raise EstimateError(
            f"A sweep is read from a mapping of columns, a data frame, a list of rows or trial records, not from "
            f"{type(table).__name__}."
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise EstimateError(
            f"The columns of a sweep need one value a row each, but differ in length: "
            f"{', '.join(f'{name} has {length}' for name, length in lengths.items())}."
        )
    if not columns or not next(iter(lengths.values())):
        gone = f" ({diverged} diverged)" if diverged else ""
        raise EstimateError(f"A scaling law needs finished training runs; the sweep has no rows{gone}.")
    return columns, diverged


def numbers(columns: Mapping[str, Sequence[Any]], name: str, role: str) -> Array:
    """Return one column as floats; an empty cell, None and a number that is not finite, or beyond 1e100, are NaN.

    Args:
        columns: the table.
        name: of the column.
        role: what it is needed for, for the error.

    Raises:
        EstimateError: if it is missing, or holds anything that is no number.
    """
    if name not in columns:
        known = ", ".join(sorted(columns)[:12])
        hint = nearest(name, columns)
        what = f"'{name}'" if name == role else f"'{name}' for its {role}"
        raise EstimateError(
            f"The sweep has no column {what}.{hint if 'Did you' in hint else ''} It has {known}. Rename the column, or say which "
            f"one holds the {role} with columns={{'{role}': …}}."
        )
    found = np.empty(len(columns[name]))
    for i, value in enumerate(columns[name]):
        if is_missing(value):
            found[i] = math.nan
        elif _is_number(value):
            found[i] = _finite(value)
        else:
            raise EstimateError(
                f"The column '{name}' of a sweep must hold numbers; row {i} has {value!r}. Turn text into numbers before."
            )
    return found


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN, or what data frames put there."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (_is_number(value) and value != value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, (bool, np.bool_))


def _finite(value: Any) -> float:
    """Return the number as a float; NaN if it is infinite, or as good as that."""
    try:
        return float(value) if abs(value) < _INFINITE else math.nan
    except OverflowError:
        return math.nan


def _rows_of(table: Sequence[Any]) -> tuple[list[Mapping[str, Any]], int]:
    """Return the rows of a list of rows or of trial records, in which one trial may have measured many rows."""
    rows: list[Mapping[str, Any]] = []
    diverged = 0
    for entry in table:
        if isinstance(entry, TrialRecord):
            if entry.status == "failed":
                continue
            if entry.status == "diverged":
                diverged += 1  # whatever it wrote before it diverged is no final loss
                continue
            rows += entry.rows
        elif isinstance(entry, Mapping):
            rows.append(entry)
        else:
            raise EstimateError(f"A sweep's rows are mappings or trial records, not {type(entry).__name__}.")
    return rows, diverged
