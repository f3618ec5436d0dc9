"""Several measurements of the same trials, each a part of one claim."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds, paired_difference

__all__ = ["means_of_columns", "paired_differences_of_columns"]


@estimator(unit="seed")
def means_of_columns(
    records: Sequence[TrialRecord],
    *,
    columns: Mapping[str, str],
    noise: Literal["skewed", "symmetric", "lognormal"] = "skewed",
) -> dict[str, Estimate]:
    """Return `mean_over_seeds` of several measurements.

    Args:
        records: replicates of one cell.
        columns: the measurement, by part.
        noise: as in `mean_over_seeds`, the same for all.

    Raises:
        EstimateError: as `mean_over_seeds`; or if no part is named.
    """
    return {part: mean_over_seeds(records, column=column, noise=noise) for part, column in _named(columns).items()}


@estimator(unit="seed")
def paired_differences_of_columns(
    records: Sequence[TrialRecord],
    *,
    columns: Mapping[str, str],
    by: str,
    better: Any,
    worse: Any,
    lower_is_better: bool = True,
) -> dict[str, Estimate]:
    """Return `paired_difference` of two arms in several measurements: positive where the claim's order holds.

    Args:
        records: one trial of each arm for each replicate.
        columns: the measurement, by part.
        by: config field that tells the arms apart.
        better: its value in the arm that the claim calls better.
        worse: its value in the other arm.
        lower_is_better: True for losses, False for accuracies; the same for all.

    Raises:
        EstimateError: as `paired_difference`; or if no part is named.
    """
    return {
        part: paired_difference(
            records, column=column, by=by, better=better, worse=worse, lower_is_better=lower_is_better
        )
        for part, column in _named(columns).items()
    }


def _named(columns: Mapping[str, str]) -> Mapping[str, str]:
    if not columns:
        raise EstimateError("an estimator of several columns needs at least one part under 'columns'.")
    return columns
