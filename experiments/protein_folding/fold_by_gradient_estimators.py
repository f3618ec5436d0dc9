"""The share of random starts that end one way, by arm."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator

__all__ = ["shares_of_starts"]


@estimator(unit="seed")
def shares_of_starts(
    records: Sequence[TrialRecord], *, column: str, by: str, arms: Mapping[str, Any]
) -> dict[str, Estimate]:
    """Return the share k/n of seeds whose measurement is 1, in one arm a part.

    The standard error is that of Agresti and Coull (1998), √(p̃ (1 − p̃) / (n + 4)) with p̃ = (k + 2) / (n + 4): where all seeds agree, the share
    is not yet known for certain. ν = n − 1. A trial that diverged took neither way: flag `diverged`, with which nothing is decided.

    Args:
        records: replicates of the arms; shares of arms that no part names are in `extras`.
        column: a measurement of 0 or 1.
        by: config field that tells the arms apart.
        arms: its value, by part.

    Raises:
        EstimateError: if an arm has no records, or a measurement is neither 0 nor 1.
    """
    found: dict[Any, list[float]] = {}
    for record in records:
        if by not in record.config:
            raise EstimateError(f"the config of '{record.study}' has no field '{by}'.{nearest(by, record.config)}")
        found.setdefault(record.config[by], []).append(_zero_or_one(record, column))
    for part, arm in arms.items():
        if arm not in found:
            raise EstimateError(f"part '{part}' needs trials with {by} = {arm!r}; there are {sorted(found, key=str)}.")
    others = {f"share_{arm}": _mean(values) for arm, values in found.items() if arm not in arms.values()}
    return {part: _share(found[arm], others) for part, arm in arms.items()}


def _share(values: Sequence[float], others: Mapping[str, float | None]) -> Estimate:
    sure = [value for value in values if not math.isnan(value)]
    n, k = len(sure), sum(sure)
    shrunk = (k + 2) / (n + 4)
    diverged, note = len(values) - n, f"{k:g} of {n} starts"
    if diverged:
        note = f"{note}; {diverged} more diverged"
    return Estimate(
        k / n if n else None,
        se=math.sqrt(shrunk * (1 - shrunk) / (n + 4)) if n > 1 else None,
        dof=n - 1 if n > 1 else None,
        n=len(values),
        unit="seed",
        units=tuple(None if math.isnan(value) else value for value in values),
        flags=("diverged",) if diverged else (),
        extras=others,
        note=note,
    )


def _mean(values: Sequence[float]) -> float | None:
    sure = [value for value in values if not math.isnan(value)]
    return sum(sure) / len(sure) if sure else None


def _zero_or_one(record: TrialRecord, column: str) -> float:
    if record.status == "diverged" and not record.rows:
        return math.nan
    try:
        value = record.value(column)
    except KeyError:
        known = {name for row in record.rows for name in row}
        raise EstimateError(f"the recipe of '{record.study}' measured no '{column}'.{nearest(column, known)}") from None
    if not (math.isnan(value) or value in (0.0, 1.0)):
        raise EstimateError(f"a share counts ones and zeros; '{column}' of replicate {record.replicate} is {value:g}.")
    return value
