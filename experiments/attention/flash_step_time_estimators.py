"""What only the study of FLASH's speed-ups needs: one part for each kind of model that was timed."""

from collections.abc import Mapping, Sequence

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds

__all__ = ["speedups"]


@estimator(unit="seed")
def speedups(records: Sequence[TrialRecord], *, parts: Mapping[str, bool]) -> dict[str, Estimate]:
    """Return the geometric mean of `speedup` over the replicates, of the causal or the masked model.

    Args:
        records: replicates of both, told apart by the field `causal`.
        parts: for each part of the claim whether its model is causal.

    Raises:
        EstimateError: if one of the two was not timed.
    """
    estimates = {}
    for part, causal in parts.items():
        own = [record for record in records if record.config["causal"] is causal]
        if not own:
            raise EstimateError(f"the part '{part}' needs trials with causal = {causal}, got none.")
        estimates[part] = mean_over_seeds(own, column="speedup", noise="lognormal")
    return estimates
