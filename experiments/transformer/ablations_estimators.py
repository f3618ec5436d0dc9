"""By how much one arm of an ablation is worse than each of several others."""

from collections.abc import Mapping, Sequence
from typing import Any

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import paired_difference

__all__ = ["excess"]


@estimator(unit="seed")
def excess(
    records: Sequence[TrialRecord], *, column: str, by: str, arm: Any, over: Mapping[str, Any]
) -> dict[str, Estimate]:
    """Return the mean of one arm's measurement minus that of each of several others, over pairs of one seed.

    Args:
        records: one trial of each arm for each replicate; arms that are not named are left out.
        column: name of the measurement, a loss: a diverged run ranks last.
        by: config field that tells the arms apart.
        arm: its value in the one arm.
        over: its value in the other arm, by part.

    Raises:
        EstimateError: as `paired_difference`; or if no part is named.
    """
    if not over:
        raise EstimateError("excess needs at least one part under 'over'.")
    return {
        part: paired_difference(
            [record for record in records if record.config.get(by) in (arm, value)],
            column=column,
            by=by,
            better=value,
            worse=arm,
        )
        for part, value in over.items()
    }
