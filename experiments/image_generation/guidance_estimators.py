"""Several trends over the same levels, each a part of one claim."""

from collections.abc import Mapping, Sequence

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.trend import monotone_trend

__all__ = ["trends"]


@estimator(unit="seed")
def trends(
    records: Sequence[TrialRecord], *, x: str, increasing: Mapping[str, str], decreasing: Mapping[str, str]
) -> dict[str, Estimate]:
    """Return `monotone_trend` of several measurements, paired by seed.

    Args:
        records: trials with a row for each level.
        x: the column that orders the levels.
        increasing: by part, the measurement that is claimed to rise with x.
        decreasing: by part, the one that is claimed to fall.

    Raises:
        EstimateError: as `monotone_trend`; or if a part is claimed to do both.
    """
    if increasing.keys() & decreasing.keys():
        raise EstimateError(f"a part cannot rise and fall: {sorted(increasing.keys() & decreasing.keys())}.")
    rising = {
        part: monotone_trend(records, x=x, y=y, direction="increasing", lower_is_better=False)
        for part, y in increasing.items()
    }
    return rising | {part: monotone_trend(records, x=x, y=y, direction="decreasing") for part, y in decreasing.items()}
