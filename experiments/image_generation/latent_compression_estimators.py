"""Is the best of several levels neither the smallest nor the largest?"""

import math
from collections.abc import Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import paired_difference

__all__ = ["inner_optimum"]


@estimator(unit="seed")
def inner_optimum(
    records: Sequence[TrialRecord], *, column: str, by: str, smallest: str, largest: str
) -> dict[str, Estimate]:
    """Return by how much the best inner level lies below the smallest level and below the largest: positive if the claim holds.

    Which inner level is best is chosen for each replicate from all the others (lowest mean), so that its own luck does not choose;
    levels that the others know only as diverged are not chosen.

    Args:
        records: one trial of each level for each replicate.
        column: a measurement of which less is better.
        by: config field with the levels, at least three.
        smallest: name of the part that compares with the smallest level.
        largest: name of the part that compares with the largest.

    Raises:
        EstimateError: for fewer than three levels or two replicates, a replicate that lacks a level, or as `paired_difference`.
    """
    found: dict[int, dict[float, TrialRecord]] = {}
    for record in records:
        if by not in record.config:
            raise EstimateError(f"the config of '{record.study}' has no field '{by}'.{nearest(by, record.config)}")
        found.setdefault(record.replicate, {})[float(record.config[by])] = record
    levels = sorted({level for each in found.values() for level in each})
    if len(levels) < 3 or len(found) < 2 or any(len(each) < len(levels) for each in found.values()):
        raise EstimateError(
            f"inner_optimum takes at least three levels of '{by}' and two replicates, every one of them at all levels."
        )
    chosen = {replicate: _best(found, replicate, levels[1:-1], column) for replicate in found}
    estimates = {}
    for part, end in ((smallest, levels[0]), (largest, levels[-1])):
        pairs = []
        for replicate, each in found.items():
            pairs += [
                replace(each[chosen[replicate]], config={"arm": "inner"}),
                replace(each[end], config={"arm": "end"}),
            ]
        estimate = paired_difference(pairs, column=column, by="arm", better="inner", worse="end")
        often = {f"chosen_{level:g}": float(sum(c == level for c in chosen.values())) for level in levels[1:-1]}
        estimates[part] = replace(estimate, extras={**estimate.extras, **often})
    return estimates


def _best(found: dict[int, dict[float, TrialRecord]], own: int, levels: Sequence[float], column: str) -> float:
    """Return the level with the lowest mean among all replicates but one."""

    def mean(level: float) -> float:
        values = [_value(each[level], column) for replicate, each in found.items() if replicate != own]
        total = sum(values) / len(values)
        return total if math.isfinite(total) else math.inf

    return min(levels, key=mean)


def _value(record: TrialRecord, column: str) -> float:
    if record.status == "diverged" and not record.rows:
        return math.nan
    try:
        return record.value(column)
    except KeyError:
        known = {name for row in record.rows for name in row}
        raise EstimateError(f"the recipe of '{record.study}' measured no '{column}'.{nearest(column, known)}") from None
