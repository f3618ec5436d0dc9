"""Approach 1 on our own runs: the envelope of their training curves, every evaluation a checkpoint.

Hoffmann et al. 2022 (arXiv 2203.15556), section 3.1. A checkpoint amid a run has not had its learning rate decayed, so its loss lies
above that of a run which ends there; the longer the run still is, the more. That lifts curves of long horizons, and the envelope
jumps to them late. So the exponent of the ends of runs alone stands beside it.
"""

from collections.abc import Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach1 import LEVELS, approach1
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import checkpoints, diverged, finished, with_epochs
from repro.stats.scaling_laws.sweep import read_sweep

__all__ = ["checkpoint_envelope"]


@estimator(unit="run")
def checkpoint_envelope(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    of: str = "params",
    levels: int = LEVELS,
    bootstrap: int = 400,
    seed: int = 0,
) -> Estimate:
    """Return the exponent of the compute-optimal size from the curves of held-out loss: `approach1`.

    In `extras`, beside those of `approach1`: `ends_exponent` and `ends_se`, the same from the ends of runs alone, where every
    learning rate has decayed; absent if fewer than three sizes were trained over two horizons.

    Args:
        records: training runs with a curve `loss` of two points or more.
        counting: what N and C include; see `read_sweep`.
        of: `params` for the exponent a of N*, `tokens` for b of D*.
        levels: computes at which the envelope is read.
        bootstrap: resamples of whole runs.
        seed: of the resampling.

    Raises:
        EstimateError: if no run has a curve, or the sweep is otherwise unusable.
    """
    sweep = read_sweep(checkpoints(records), counting=counting)
    found = approach1(sweep, rows="curves", of=of, levels=levels, bootstrap=bootstrap, seed=seed)
    extras = dict(found.extras)
    try:
        rows = [{**record.rows[0], "run": float(i)} for i, record in enumerate(finished(records))]
        ends = approach1(
            read_sweep(rows, counting=counting), rows="finals", of=of, levels=levels, bootstrap=bootstrap, seed=seed
        )
        extras |= {"ends_exponent": ends.value, "ends_se": ends.se}
    except EstimateError:
        pass  # a check beside the value; the curves alone have an envelope
    note = f"{found.note}; losses amid a run, before its learning rate has decayed, lie too high"
    found = replace(found, flags=(*found.flags, *diverged(records)), extras=extras, note=note)
    return with_epochs(found, records)
