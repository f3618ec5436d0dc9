"""The worst seed of several measurements: the largest of errors, the smallest of what must be large."""

from collections.abc import Mapping, Sequence

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.extremes import worst_over_seeds

__all__ = ["extremes_over_seeds"]


@estimator(unit="seed")
def extremes_over_seeds(
    records: Sequence[TrialRecord],
    *,
    largest: Mapping[str, str],
    smallest: Mapping[str, str],
) -> dict[str, Estimate]:
    """Return the largest of some columns over the seeds and the smallest of others; the statement is about every input, so se = 0.

    Args:
        records: one trial of one row a seed.
        largest: columns, by part, that must be small on every seed.
        smallest: columns, by part, that must be large on every seed.

    Raises:
        EstimateError: as `worst_over_seeds`; or if a part is named in both.
    """
    both = sorted(largest.keys() & smallest.keys())
    if both:
        raise EstimateError(f"part '{both[0]}' cannot be the largest and the smallest; name it under one of them.")
    worst = worst_over_seeds(records, columns=[*largest.values(), *smallest.values()])
    return {part: worst[column] for part, column in largest.items()} | {
        part: _least(worst[column]) for part, column in smallest.items()
    }


def _least(found: Estimate) -> Estimate:
    """The estimate of the largest seed as one of the smallest; a trial without a value leaves none."""
    if found.value is None:
        return found
    return Estimate(
        found.extras["smallest"],
        se=0.0,
        n=found.n,
        unit=found.unit,
        units=found.units,
        deterministic=True,
        extras={"largest": found.value},
        note=f"the smallest of {found.n} seeds",
    )
