"""Values without a draw: the recorded number is replaced by the truth, and nothing else changes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord


def shift_value(
    records: Sequence[TrialRecord], truth: Mapping[str, float], rng: np.random.Generator, *, column: str
) -> list[TrialRecord]:
    """Return the records with the measurement `column` set to the truth of the only part."""
    del rng
    (value,) = truth.values()
    return [_with(record, {column: value}) for record in records]


def shift_parts(
    records: Sequence[TrialRecord], truth: Mapping[str, float], rng: np.random.Generator
) -> list[TrialRecord]:
    """Return the records with each measurement that is a part set to its truth."""
    del rng
    return [_with(record, truth) for record in records]


def shift_worst(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    columns: Sequence[str],
) -> list[TrialRecord]:
    """Return records whose largest value of each column over the seeds is the truth; which seed has it is drawn.

    The other seeds keep what they measured where that is smaller, else they have the truth as well.
    """
    worst = {column: int(rng.integers(len(records))) for column in columns}
    return [
        _with(
            record,
            {
                column: truth[column] if i == worst[column] else min(truth[column], _recorded(record, column))
                for column in columns
                if column in truth
            },
        )
        for i, record in enumerate(records)
    ]


def _recorded(record: TrialRecord, column: str) -> float:
    value = record.rows[0].get(column) if record.rows else None
    return math.inf if value is None else value


def _with(record: TrialRecord, values: Mapping[str, Any]) -> TrialRecord:
    if len(record.rows) != 1:
        raise EstimateError(
            f"a trial with one row is needed to set its value; {record.label or record.key[:8]} has {len(record.rows)}."
        )
    return replace(record, rows=({**record.rows[0], **values},))
