"""Training runs with their losses on the way, under a counting of one's choice, and profiles of equal compute from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.one_text import require_one_text
from repro.stats.scaling_laws.approach2 import Profile
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.law import Array

COUNTINGS = ("embedding+head+attention", "none")
"""C as the run spent it with all N, or 6ND with neither embedding nor head nor attention (Kaplan et al. 2020, section 2.1)."""

_SAME = 1e-6
"""Relative difference of budgets, and of the ends of a curve, below which they are one."""


@dataclass(frozen=True)
class TrainingRun:
    """One run: what its size counts as, and its held-out loss after so many tokens."""

    params: float
    """N, as counted."""
    flops_per_token: float
    """C/D, as counted."""
    budget: float
    """Nominal FLOPs."""
    tokens: Array
    """Tokens seen at each evaluation, `[e]`; the last is D."""
    loss: Array
    """Held-out loss there in nats, `[e]`."""

    def loss_at(self, flops: float) -> float:
        """Return the loss after this compute, linear in ln C between two evaluations; NaN outside of them."""
        log_c, wanted = np.log(self.flops_per_token * self.tokens), math.log(flops)
        if not log_c[0] - _SAME <= wanted <= log_c[-1] + _SAME:
            return math.nan
        return float(np.interp(wanted, log_c, self.loss))


def training_runs(records: Sequence[TrialRecord], counting: str) -> tuple[list[TrainingRun], int]:
    """Return the finished runs, and how many diverged.

    Args:
        records: one row each, with `budget`, `params`, `params_non_embedding`, `tokens`, `flops`, `batch_tokens` and `loss`, and
            a curve `loss` over steps where the loss was measured more than once.
        counting: one of `COUNTINGS`.

    Raises:
        EstimateError: for another counting, if a column is missing, or if runs trained on different texts.
    """
    if Counting.of(counting).name not in COUNTINGS:
        raise EstimateError(f"Runs are counted as {' or '.join(COUNTINGS)}, not '{counting}'.")
    require_one_text(records)
    found = []
    for record in records:
        if record.status != "finished" or not math.isfinite(_value(record, "loss")):
            continue
        tokens = _value(record, "tokens")
        if counting == "none":
            params = _value(record, "params_non_embedding")
            per_token = 6.0 * params
        else:
            params, per_token = _value(record, "params"), _value(record, "flops") / tokens
        curve = record.curves.get("loss", ())
        seen, loss = [tokens], [_value(record, "loss")]
        if len(curve) > 1:
            points = [(step, math.nan if value is None else value) for step, value in curve]
            seen = [step * _value(record, "batch_tokens") for step, _ in points]
            loss = [value for _, value in points]
        found.append(TrainingRun(params, per_token, _value(record, "budget"), np.array(seen), np.array(loss)))
    return found, len(records) - len(found)


def profiles_at(runs: Sequence[TrainingRun], budgets: Sequence[float], *, ends: bool) -> list[Profile]:
    """Return the losses of every size at each budget, runs of one size averaged.

    Args:
        runs: of one setting and counting.
        budgets: in FLOPs, as counted.
        ends: whether a run counts at its nominal budget alone, with its last loss; else at every budget that it passed, with
            the loss on the way. Then budgets share runs, and each profile says which (`Profile.members`).
    """
    sizes = sorted({run.params for run in runs})
    profiles = []
    for budget in budgets:
        cells = []
        for size in sizes:
            own = [(i, _loss(run, budget, ends)) for i, run in enumerate(runs) if run.params == size]
            there = [(i, loss) for i, loss in own if math.isfinite(loss)]
            if there:
                cells.append((math.log(size), there))
        members = np.zeros((len(cells), len(runs)))
        for row, (_, there) in enumerate(cells):
            members[row, [i for i, _ in there]] = 1 / len(there)
        profiles.append(
            Profile(
                budget,
                np.array([log_size for log_size, _ in cells]),
                np.array([np.mean([loss for _, loss in there]) for _, there in cells]),
                np.array([len(there) for _, there in cells], dtype=float),
                None if ends else members,
            )
        )
    return profiles


def _loss(run: TrainingRun, budget: float, ends: bool) -> float:
    if not ends:
        return run.loss_at(budget)
    return float(run.loss[-1]) if math.isclose(run.budget, budget, rel_tol=_SAME) else math.nan


def _value(record: TrialRecord, column: str) -> float:
    try:
        return record.value(column)
    except KeyError as error:
        raise EstimateError(f"Training runs need the column '{column}': {error.args[0]}.") from error
