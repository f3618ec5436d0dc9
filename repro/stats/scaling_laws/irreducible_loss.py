"""Is the fitted E what no model can undercut? On a language whose entropy rate H is known exactly, E − H says.

Hoffmann et al. 2022 (arXiv 2203.15556), section 3.3, take E of L = E + A/N^α + B/D^β for the entropy of the text, which of a natural
text nobody knows.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach2 import pooled_sd
from repro.stats.scaling_laws.approach3 import approach3, one_of
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.sweep import read_sweep

__all__ = ["irreducible_excess"]


@estimator(unit="run")
def irreducible_excess(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    floor: str = "law",
    bootstrap: int = 4000,
    seed: int = 0,
) -> Estimate:
    """Return E − H in nats a token: the fitted irreducible loss less the exact entropy rate, column `entropy_rate`.

    Args:
        records: training runs on a language of known entropy, repeats of a cell told apart by `seed` or `run` of their configs.
        counting: what N and C include; see `read_sweep`.
        floor: what stands for E: `law`, that of `approach3`; or `lowest`, the lowest loss of all runs, as if training had arrived.
        bootstrap: draws of `approach3`.
        seed: of the bootstrap.

    Returns:
        E − H. In `extras` both, the lowest loss, and α and β of the law.

    Raises:
        EstimateError: if the runs have no `entropy_rate` or several, show no noise though the lowest loss needs one, or do not
            identify the law.
    """
    one_of("floor", floor, ("law", "lowest"))
    runs = finished(records)
    if any("entropy_rate" not in record.rows[0] for record in runs):
        raise EstimateError(
            "E is compared with an entropy rate that is known: train on source 'synthetic', which reports it."
        )
    rates = sorted({record.value("entropy_rate") for record in runs})
    if len(rates) > 1:
        raise EstimateError(
            f"The runs are on {len(rates)} languages with entropy rates from {rates[0]:g} to {rates[-1]:g}; one at a time."
        )
    rate, lowest = rates[0], min(record.value("loss") for record in runs)
    extras: dict[str, float | None] = {"entropy_rate": rate, "lowest_loss": lowest}
    if floor == "lowest":
        sd = _seed_sd(runs)
        estimate = Estimate(
            lowest - rate, se=sd[0], dof=sd[1], n=len(runs), unit="run", flags=diverged(records), extras=extras,
            note=f"lowest loss of {len(runs)} runs less the entropy rate; its error is the scatter of one run",
        )  # fmt: skip
        return with_epochs(estimate, records)
    sweep = read_sweep([dict(record.rows[0]) for record in runs], counting=counting)
    law = approach3(sweep, bootstrap=bootstrap, seed=seed)
    fitted = law["E"]
    extras |= {"E": fitted.value, "alpha": law["alpha"].value, "beta": law["beta"].value, **fitted.extras}
    estimate = replace(
        fitted,
        value=None if fitted.value is None else fitted.value - rate,
        log_se=None,
        flags=(*fitted.flags, *diverged(records)),
        extras=extras,
        note=f"E less the entropy rate {rate:.4f} nats a token; {fitted.note}",
    )
    return with_epochs(estimate, records)


def _seed_sd(runs: Sequence[TrialRecord]) -> tuple[float, int]:
    """Return the standard deviation of one run's loss, pooled over cells with repeats, and its degrees of freedom."""
    cells: dict[tuple[float, ...], list[float]] = {}
    for record in runs:
        cell = tuple(record.value(name) for name in ("params", "tokens", "lr"))
        cells.setdefault(cell, []).append(record.value("loss"))
    sd = pooled_sd([np.array(losses) for losses in cells.values()])
    if sd is None or not math.isfinite(sd):
        raise EstimateError("How far one run's loss scatters takes repeats of a cell: let `runs` be 2 at some budget.")
    return sd, sum(len(losses) - 1 for losses in cells.values())
