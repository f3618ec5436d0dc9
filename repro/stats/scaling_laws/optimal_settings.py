"""How the best learning rate and the best batch change with the size of the model (Porian et al. 2024, arXiv 2406.19146)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.one_text import require_one_text
from repro.stats.regression import weighted_line
from repro.stats.scaling_laws.approach3 import one_of

__all__ = ["optimal_setting_exponent"]

NEAREST = 3
"""Points about the lowest that a parabola goes through."""


@dataclass(frozen=True)
class Best:
    """The best setting of one size."""

    params: float
    log_lr: float
    """ln of the peak learning rate; NaN if the lowest loss is at the edge of the rates tried."""
    log_batch: float
    """ln of the batch in tokens; NaN likewise."""


@estimator(unit="size")
def optimal_setting_exponent(
    records: Sequence[TrialRecord], *, of: str = "lr", tokens_per_parameter: float = 0.0
) -> Estimate:
    """Return d ln s* / d ln N, where s* is the learning rate, or the batch in tokens, of lowest held-out loss at size N.

    At each size and batch a parabola in ln lr through the lowest loss and its two neighbours gives the best rate and the loss
    there; a parabola in ln batch through those losses gives the best batch, and the best rate is read there, linear between
    batches. A line through the sizes gives the exponent; its standard error is that of the scatter about it, ν = sizes − 2.

    Args:
        records: training runs of several rates and batches at each size, one row each with `params`, `tokens`, `lr` (peak),
            `batch_tokens` and `loss`.
        of: `lr` or `batch`.
        tokens_per_parameter: only runs of so many tokens a parameter (within 5 %); 0 for all.

    Returns:
        The exponent with n = sizes; without a value where a best setting is at the edge of those tried, or below three sizes.
        `extras`: the best setting of each size.

    Raises:
        EstimateError: if no run has so many tokens a parameter, or `of` is neither.
    """
    one_of("of", of, ("lr", "batch"))
    require_one_text(records)
    done = [r for r in records if r.status == "finished" and math.isfinite(r.value("loss"))]
    runs = [
        r
        for r in done
        if not tokens_per_parameter or abs(r.value("tokens") / r.value("params") / tokens_per_parameter - 1) < 0.05
    ]
    if not runs:
        raise EstimateError(f"None of {len(records)} runs finished with {tokens_per_parameter:g} tokens a parameter.")
    best = [
        best_setting([r for r in runs if r.value("params") == size])
        for size in sorted({r.value("params") for r in runs})
    ]
    logs = [b.log_lr if of == "lr" else b.log_batch for b in best]
    extras = {
        f"best_{of}_{b.params:.3g}": None if math.isnan(y) else math.exp(y) for b, y in zip(best, logs, strict=True)
    }
    # A rate that is too high diverges: that is a finding of the sweep, and no flaw of the best rate.
    note = f"{len(records) - len(done)} runs diverged" if len(done) < len(records) else ""
    edge = [f"{b.params:.3g}" for b, y in zip(best, logs, strict=True) if math.isnan(y)]
    if edge or len(best) < 3:
        why = (
            f"the best {of} is at the edge of those tried at N = {', '.join(edge)}"
            if edge
            else "a line needs three sizes"
        )
        return Estimate(None, n=len(best), unit="size", extras=extras, note="; ".join(filter(None, (why, note))))
    line = weighted_line(np.log([b.params for b in best]), logs)
    return Estimate(line.slope, se=line.slope_se, dof=line.dof, n=len(best), unit="size", extras=extras, note=note)


def best_setting(runs: Sequence[TrialRecord]) -> Best:
    """Return the learning rate and batch of lowest loss of one size; runs that differ in their seed alone are averaged."""
    batches = sorted({r.value("batch_tokens") for r in runs})
    rates, losses = [], []
    for batch in batches:
        losses_at: dict[float, list[float]] = {}
        for r in runs:
            if r.value("batch_tokens") == batch:
                losses_at.setdefault(r.value("lr"), []).append(r.value("loss"))
        x = np.log(sorted(losses_at))
        rate, loss = vertex(x, np.array([np.mean(losses_at[lr]) for lr in sorted(losses_at)]))
        rates.append(rate)
        losses.append(loss)
    log_batch, _ = vertex(np.log(batches), np.array(losses))
    params = runs[0].value("params")
    if len(batches) == 1:
        return Best(params, rates[0], math.nan)
    if math.isnan(log_batch):
        return Best(params, rates[int(np.argmin(losses))], math.nan)
    return Best(params, float(np.interp(log_batch, np.log(batches), rates)), log_batch)


def vertex(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return where the parabola through the lowest y and its neighbours has its minimum, and the minimum.

    The first is NaN, and the second the lowest y, if that is at an end.
    """
    lowest = int(np.argmin(y))
    if not 0 < lowest < len(y) - 1:
        return math.nan, float(y[lowest])
    near = slice(lowest - 1, lowest + NEAREST - 1)
    c2, c1, c0 = np.polyfit(x[near] - x[lowest], y[near], 2)
    return float(x[lowest] - c1 / (2 * c2)), float(c0 - c1**2 / (4 * c2))
