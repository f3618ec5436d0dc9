"""What all estimators of our own training runs share: repeated data is flagged, and curves become checkpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.one_text import require_one_text

FREE_EPOCHS = 4.0
"""Epochs up to which repeated data is about as good as new (Muennighoff et al. 2023, arXiv 2305.16264, section 6)."""


def with_epochs(found: Estimate, records: Sequence[TrialRecord]) -> Estimate:
    """Return the estimate with the extra `most_epochs`, and flagged `repeated_data` if a run saw its text more than four times.

    Args:
        found: as estimated.
        records: training runs; without a column `epochs` nothing is added.
    """
    epochs = [record.value("epochs") for record in finished(records) if "epochs" in record.rows[0]]
    if not epochs:
        return found
    repeated = sum(value > FREE_EPOCHS for value in epochs)
    note = f"{found.note}; {repeated} of {len(epochs)} runs saw their text more than {FREE_EPOCHS:g} times"
    return replace(
        found,
        flags=tuple(dict.fromkeys((*found.flags, *(("repeated_data",) if repeated else ())))),
        extras={**found.extras, "most_epochs": max(epochs)},
        note=note if repeated else found.note,
    )


def finished(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the training runs that finished.

    Raises:
        EstimateError: if there is none, one has not exactly one row, or they trained on different texts.
    """
    require_one_text(records)
    done = [record for record in records if record.status == "finished"]
    if not done:
        raise EstimateError(f"A scaling law needs finished training runs, got none of {len(records)}.")
    for record in done:
        if len(record.rows) != 1:
            raise EstimateError(
                f"A training run has one row, but {record.label or record.key[:8]} has {len(record.rows)}; read a table of "
                f"many runs with the estimators of tables, such as repro.stats.scaling_laws.isoflop_exponent."
            )
    return done


def diverged(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Return the flag `diverged` if a run did, with which nothing is decided."""
    return ("diverged",) if any(record.status == "diverged" for record in records) else ()


def checkpoints(records: Sequence[TrialRecord], curve: str = "loss") -> list[dict[str, float]]:
    """Return one row a checkpoint: the run's own row with `tokens`, `flops` and `loss` as they stood there, and `run`.

    Args:
        records: training runs with one row each that has `steps`, `tokens` and `flops`.
        curve: the curve of held-out losses over steps.

    Raises:
        EstimateError: if no run has two points of the curve.
    """
    rows: list[dict[str, float]] = []
    longest = 0
    for number, record in enumerate(finished(records)):
        end = {name: record.value(name) for name in record.rows[0]}
        points = _points(record.curves, curve)
        longest = max(longest, len(points))
        for step, loss in points:
            done = step / end["steps"]
            at = {"tokens": done * end["tokens"], "flops": done * end["flops"], "loss": loss, "run": float(number)}
            rows.append({**end, **at})
    if longest < 2:
        raise EstimateError(
            f"An envelope of training curves needs the curve '{curve}' with two points or more of each run; the longest has "
            f"{longest}. Set `evaluations` in the study's params to 2 or more."
        )
    return rows


def _points(curves: Mapping[str, Sequence[tuple[int, float | None]]], curve: str) -> list[tuple[int, float]]:
    return [(step, loss) for step, loss in curves.get(curve, ()) if loss is not None]
