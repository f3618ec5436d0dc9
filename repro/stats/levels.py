"""Levels and values of a trend, read from records."""

import math
from collections.abc import Sequence

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.stats.summary import agreed


def points_of(record: TrialRecord, x: str, y: str) -> list[tuple[float, float]]:
    """Return (level, value) of every row; a trial that diverged without a row has NaN at the level of its config."""
    if any(x in row for row in record.rows):
        levels = [_level(value, x) for value in record.column(x)]
        return list(zip(levels, _column(record, y), strict=True))
    crashed = record.status == "diverged" and not record.rows
    if x in record.config:
        level = _level(record.config[x], x)
        return [(level, value) for value in ((math.nan,) if crashed else _column(record, y))]
    if crashed:
        raise EstimateError(
            f"{record.label or record.key[:8]} diverged before it measured '{x}', so its level is unknown."
        )
    raise _unmeasured(record, x)


def table_of(
    records: Sequence[TrialRecord], columns: Sequence[str]
) -> tuple[tuple[str, ...], str, list[tuple[float, ...]]]:
    """Return flags, note, and the rows of a deterministic trial by rising level, every number finite."""
    same = agreed(records)
    if len(same.records) != 1:
        raise EstimateError(f"this estimator reads the rows of one trial, got {len(same.records)} different ones.")
    rows = sorted(zip(*(_column(same.records[0], column) for column in columns), strict=True))
    if len(rows) < 2 or len({row[0] for row in rows}) < len(rows):
        raise EstimateError(
            f"a trend takes one row for each of at least two levels of '{columns[0]}', got {len(rows)} rows."
        )
    if not all(math.isfinite(number) for row in rows for number in row):
        raise EstimateError(f"every level needs finite {', '.join(columns)}; at least one row has none.")
    return same.flags, same.note, rows


def _column(record: TrialRecord, name: str) -> tuple[float, ...]:
    try:
        return record.column(name)
    except KeyError:
        raise _unmeasured(record, name) from None


def _unmeasured(record: TrialRecord, name: str) -> EstimateError:
    known = {key for row in record.rows for key in row} | set(record.config)
    return EstimateError(f"the recipe of '{record.study}' measured no '{name}'.{nearest(name, known)}")


def _level(value: object, x: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EstimateError(f"the levels of a trend are finite numbers; '{x}' is {value!r} in one trial.")
    return float(value)
