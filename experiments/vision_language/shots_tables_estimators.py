"""Whether several columns of a printed table all rise from level to level."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.trend import exact_trend

__all__ = ["smallest_rises"]


@estimator(unit="none")
def smallest_rises(
    records: Sequence[TrialRecord], *, x: str, columns: Mapping[str, Sequence[str]], resolution: float
) -> dict[str, Estimate]:
    """Return for each part the smallest step of any of its columns from one level to the next.

    Args:
        records: two replicates of a deterministic trial with one row a level.
        x: the column that orders the levels.
        columns: by part, the columns that are all claimed to rise at every step.
        resolution: a unit of the last printed digit.

    Returns:
        As `exact_trend`; steps and reversals are counted over all columns of the part, and the note names the column of the smallest.

    Raises:
        EstimateError: as `exact_trend`; or if a part has no columns.
    """
    found = {}
    for part, names in columns.items():
        if not names:
            raise EstimateError(f"part '{part}' of smallest_rises needs at least one column.")
        steps = {
            name: exact_trend(records, x=x, y=name, direction="increasing", resolution=resolution) for name in names
        }
        least = min(steps, key=lambda name: steps[name].value or 0.0)
        counted = {
            key: sum(each.extras[key] or 0.0 for each in steps.values()) for key in ("trend_steps", "trend_reversals")
        }
        note = f"The smallest step is that of {least}. {steps[least].note}".strip()
        found[part] = replace(steps[least], extras={**steps[least].extras, **counted}, note=note)
    return found
