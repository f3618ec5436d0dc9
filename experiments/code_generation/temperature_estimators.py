"""By how much the best sampling temperature rises from few samples to many, seed by seed."""

import math
from collections.abc import Sequence

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.signflip import signed_ranks

__all__ = ["temperature_rise"]


@estimator(unit="seed")
def temperature_rise(
    records: Sequence[TrialRecord], *, few: str = "best_1", many: str = "best_100", least: float = 0.0
) -> Estimate:
    """Return the mean of ln T*(many) − ln T*(few) − least over seeds, with signed ranks for units.

    A best temperature lies on a grid of a few, so that its scatter is nothing that t could describe: differences repeat, and may
    all be equal. The flag `ranked` lets an ordering decide by the exact sign-flip test of the ranks, ties at their mean rank.

    Where any trial says `vacuous`, nothing is estimated: if nearly every task fails or passes, no temperature is best.

    Args:
        records: one trial a seed.
        few: column of the best temperature where few samples are drawn.
        many: where many are.
        least: what the logarithm must rise by to count as a rise, fixed beforehand.

    Raises:
        EstimateError: if there are no records, a replicate comes twice, or a column was not measured.
    """
    if not records or len({record.replicate for record in records}) < len(records):
        raise EstimateError(f"temperature_rise needs one trial a seed, got {[record.replicate for record in records]}.")
    low, high, vacuous, first = (_column(records, name) for name in (few, many, "vacuous", "pass_1"))
    n = len(records)
    bad = [value for value in (*low, *high) if not (math.isfinite(value) and value > 0)]
    if bad:
        return Estimate(None, n=n, unit="seed", flags=("diverged",), note=f"{len(bad)} temperatures are not positive.")
    rises = [math.log(b / a) for a, b in zip(low, high, strict=True)]
    extras = {
        "mean_rise": sum(rises) / n,
        "T_few": math.exp(sum(map(math.log, low)) / n),
        "T_many": math.exp(sum(map(math.log, high)) / n),
        "rising": float(sum(rise > 0 for rise in rises)),
        "equal": float(sum(rise == 0 for rise in rises)),
        "least_pass_1": min(first),
        "largest_pass_1": max(first),
    }
    if any(vacuous):
        note = f"{sum(map(bool, vacuous))} of {n} trials are vacuous: pass@1 is {min(first):.2g} to {max(first):.2g}."
        return Estimate(None, n=n, unit="seed", flags=("vacuous",), extras=extras, note=note)
    beyond = [rise - least for rise in rises]
    return Estimate(
        sum(beyond) / n,
        n=n,
        unit="seed",
        units=signed_ranks(beyond),
        flags=("ranked",),
        extras=extras,
        note=f"T* rises in {extras['rising']:.0f} of {n} seeds and stays in {extras['equal']:.0f}; units are signed ranks.",
    )


def _column(records: Sequence[TrialRecord], name: str) -> list[float]:
    found = []
    for record in records:
        if record.status == "diverged":
            found.append(math.nan)
            continue
        if len(record.rows) != 1 or name not in record.rows[0]:
            known = record.rows[0] if record.rows else ()
            raise EstimateError(f"replicate {record.replicate} measured no '{name}'.{nearest(name, known)}")
        found.append(record.value(name))
    return found
