"""Submitted runs that take a given multiple of the reference's epochs, beside reference runs drawn anew."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.reference_convergence import olympic, reference_convergence

Row = dict[str, float | None]


def submissions(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    batch_size: float,
    epochs: str = "epochs",
    reference: Mapping[str, Sequence[float]] | None = None,
    dropped: int = 1,
    **others: Any,
) -> list[TrialRecord]:
    """Return runs that take truth · m epochs on average, m the reference's Olympic mean at this batch size.

    Each run's ratio to the Olympic mean of the recorded runs of its kind is drawn with replacement, its logarithm times
    √(n/(n − 1)): a run far off or a tie, which Olympic means are made for, stays as likely as recorded. Where reference runs
    stand among the rows they are drawn anew likewise at each batch size; where they are an argument they stay. A run
    that did not converge stays so.

    Raises:
        EstimateError: if the recorded runs give no ratio, or fewer than two submitted runs converged.
    """
    recorded = reference_convergence(
        records, batch_size=batch_size, epochs=epochs, reference=reference, dropped=dropped, **others
    )
    mean = recorded.extras.get("rcp_mean")
    if mean is None:
        raise EstimateError(f"no runs can be simulated from records that give no ratio to a reference. {recorded.note}")
    (ratio,) = truth.values()
    if reference is None:
        rows = _drawn([dict(row) for row in records[0].rows], epochs, batch_size, ratio * mean, dropped, rng)
        return [replace(record, rows=tuple(rows)) for record in records]
    known = [value for record in records for row in record.rows if (value := row.get(epochs)) is not None]
    ratios = iter(_ratios(known, len(known), dropped, rng))
    return [
        replace(
            record,
            rows=tuple(
                row if row.get(epochs) is None else {**row, epochs: float(ratio * mean * next(ratios))}
                for row in record.rows
            ),
        )
        for record in records
    ]


def _drawn(
    rows: list[Row], epochs: str, batch_size: float, wanted: float, dropped: int, rng: np.random.Generator
) -> list[Row]:
    """Return the rows with fresh epochs: those submitted at this batch size about `wanted`, the others about their mean."""
    groups: dict[tuple[float | None, float | None], list[int]] = {}
    for i, row in enumerate(rows):
        if row.get(epochs) is not None:
            groups.setdefault((row.get("batch_size"), row.get("is_reference")), []).append(i)
    for (size, is_reference), members in groups.items():
        values = [v for v in (rows[i][epochs] for i in members) if v is not None]
        submitted = not is_reference and size == batch_size
        if len(members) < 2 and not submitted:
            continue
        centre = wanted if submitted else _olympic_mean(values, dropped)
        for i, ratio in zip(members, _ratios(values, len(members), dropped, rng), strict=True):
            rows[i][epochs] = float(centre * ratio)
    return rows


def _ratios(values: Sequence[float], count: int, dropped: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return so many ratios to the Olympic mean, drawn from those of the values."""
    if len(values) < 2 or min(values) <= 0:
        raise EstimateError(
            f"no noise can be simulated: {len(values)} runs converged; two of positive length are required."
        )
    logs = np.log(values) - math.log(_olympic_mean(values, dropped))
    return np.exp(rng.choice(logs, count) * math.sqrt(len(values) / (len(values) - 1)))


def _olympic_mean(values: Sequence[float], dropped: int) -> float:
    return float(np.mean(olympic(values, dropped if len(values) > 2 * dropped else 0)))
