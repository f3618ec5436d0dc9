"""The trends of the Reformer paper's Table 2, one part a row of the table."""

from collections.abc import Mapping, Sequence

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.trend import exact_trend

__all__ = ["printed_trends"]


@estimator(unit="none")
def printed_trends(records: Sequence[TrialRecord], *, columns: Mapping[str, str]) -> dict[str, Estimate]:
    """Return the smallest step of accuracy from one printed number of rounds to the next, by part.

    Rounding keeps order: of two figures printed differently the larger one was larger before rounding too. So any step
    above zero counts.

    Args:
        records: of `experiments.attention.reformer_table2`.
        columns: the measured column, by part.
    """
    return {
        part: exact_trend(records, x="rounds", y=column, direction="increasing") for part, column in columns.items()
    }
