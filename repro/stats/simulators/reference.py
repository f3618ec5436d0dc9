"""Submitted runs that take a given multiple of the reference's epochs, beside reference runs drawn anew."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.reference_convergence import reference_convergence

Row = dict[str, float | None]


def submissions(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    batch_size: float,
    epochs: str = "epochs",
    reference: Mapping[str, Sequence[float]] | None = None,
    **others: Any,
) -> list[TrialRecord]:
    """Return runs ~ N(truth · m, s²), m the reference's mean at this batch size and s the spread of the submitted runs.

    Where reference runs stand among the rows they are drawn anew, normal with their own mean and spread at each batch size; where
    they are an argument they stay. A run that did not converge stays so.

    Raises:
        EstimateError: if the recorded runs give no ratio, or fewer than two submitted runs converged.
    """
    recorded = reference_convergence(records, batch_size=batch_size, epochs=epochs, reference=reference, **others)
    mean = recorded.extras.get("rcp_mean")
    if mean is None:
        raise EstimateError(f"no runs can be simulated from records that give no ratio to a reference. {recorded.note}")
    (ratio,) = truth.values()
    if reference is None:
        rows = _drawn([dict(row) for row in records[0].rows], epochs, batch_size, ratio * mean, rng)
        return [replace(record, rows=tuple(rows)) for record in records]
    spread = _spread([row.get(epochs) for record in records for row in record.rows])
    return [
        replace(
            record,
            rows=tuple(
                row if row.get(epochs) is None else {**row, epochs: float(rng.normal(ratio * mean, spread))}
                for row in record.rows
            ),
        )
        for record in records
    ]


def _drawn(rows: list[Row], epochs: str, batch_size: float, wanted: float, rng: np.random.Generator) -> list[Row]:
    """Return the rows with fresh epochs: those submitted at this batch size about `wanted`, the others about their mean."""
    groups: dict[tuple[float | None, float | None], list[int]] = {}
    for i, row in enumerate(rows):
        if row.get(epochs) is not None:
            groups.setdefault((row.get("batch_size"), row.get("is_reference")), []).append(i)
    for (size, is_reference), members in groups.items():
        values = [rows[i][epochs] for i in members]
        submitted = not is_reference and size == batch_size
        if len(members) < 2 and not submitted:
            continue
        centre = wanted if submitted else float(np.mean([v for v in values if v is not None]))
        for i, value in zip(members, rng.normal(centre, _spread(values), len(members)), strict=True):
            rows[i][epochs] = float(value)
    return rows


def _spread(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        raise EstimateError(f"no noise can be simulated: {len(known)} runs converged; two are required.")
    return float(np.std(known, ddof=1))
