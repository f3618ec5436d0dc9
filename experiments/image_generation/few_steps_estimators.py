"""Samplers of one trained network compared trial by trial: differences and ratios of measurements of the same trial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds, paired_difference

__all__ = ["log_ratios", "ratios"]


@estimator(unit="seed")
def log_ratios(
    records: Sequence[TrialRecord], *, better: Mapping[str, str], worse: Mapping[str, str]
) -> dict[str, Estimate]:
    """Return the mean of ln(worse / better) over trials, by part: positive where the claimed order holds.

    The two measurements of a trial are a pair, as in `paired_difference`; one that is not finite ranks last.

    Args:
        records: replicates of one cell.
        better: by part, the positive measurement that the claim calls lower.
        worse: by part, the one it calls higher.

    Raises:
        EstimateError: if the parts of the two are not the same, or a trial lacks a measurement or has one that is not positive.
    """
    _same_parts(better, worse)
    found = {}
    for part, column in better.items():
        pairs = [
            replace(record, rows=({"log": _log(record, name)},), config={"arm": arm})
            for record in records
            for arm, name in (("better", column), ("worse", worse[part]))
        ]
        found[part] = paired_difference(pairs, column="log", by="arm", better="better", worse="worse")
    return found


@estimator(unit="seed")
def ratios(records: Sequence[TrialRecord], *, over: Mapping[str, str], under: Mapping[str, str]) -> dict[str, Estimate]:
    """Return the geometric mean of over / under over trials, by part, with lognormal noise.

    Args:
        records: replicates of one cell.
        over: by part, the positive measurement in the numerator.
        under: by part, the one in the denominator.

    Raises:
        EstimateError: as `log_ratios`.
    """
    _same_parts(over, under)
    found = {}
    for part, column in over.items():
        each = [
            replace(record, rows=({"ratio": math.exp(_log(record, column) - _log(record, under[part]))},))
            for record in records
        ]
        found[part] = mean_over_seeds(each, column="ratio", noise="lognormal")
    return found


def _same_parts(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    if not one or one.keys() != other.keys():
        raise EstimateError(f"both columns are named for the same parts, got {sorted(one)} and {sorted(other)}.")


def _log(record: TrialRecord, name: str) -> float:
    """Return ln of a measurement; NaN if it is not finite."""
    if record.status == "diverged" and not record.rows:
        return math.nan
    try:
        value = record.value(name)
    except KeyError:
        known = {column for row in record.rows for column in row}
        raise EstimateError(f"the recipe of '{record.study}' measured no '{name}'.{nearest(name, known)}") from None
    if not math.isfinite(value):
        return math.nan
    if value <= 0:
        raise EstimateError(f"a ratio needs positive '{name}', got {value:g}.")
    return math.log(value)
