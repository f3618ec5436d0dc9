"""Approach 3 on our own runs: both exponents of the fitted law."""

from collections.abc import Sequence
from dataclasses import replace

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import approach3
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.sweep import read_sweep

__all__ = ["trained_law_exponents"]


@estimator(unit="run")
def trained_law_exponents(
    records: Sequence[TrialRecord], *, counting: Counting | str, bootstrap: int = 4000, seed: int = 0
) -> dict[str, Estimate]:
    """Return a = β/(α + β) and b = α/(α + β) of the law fitted to our own runs: parts `params` and `data`.

    They are one number, as a + b = 1, and have one standard error; see `approach3`. In `extras` the five constants.

    Args:
        records: training runs, one row each.
        counting: what N and C include, such as `embedding+head+attention`.
        bootstrap: resamples.
        seed: of the resampling.

    Raises:
        EstimateError: if the runs do not identify the law, or the sweep is otherwise unusable.
    """
    finished(records)
    law = approach3(read_sweep(records, counting=counting), bootstrap=bootstrap, seed=seed)
    a = law["a"]
    constants = {name: law[name].value for name in ("E", "A", "B", "alpha", "beta")}
    flags = tuple(dict.fromkeys((*a.flags, *diverged(records))))
    params = with_epochs(replace(a, extras={**a.extras, **constants}, flags=flags), records)
    data = replace(params, value=None if a.value is None else 1 - a.value, log_se=None)
    return {"params": params, "data": data}
