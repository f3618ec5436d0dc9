"""What Table 2 of the Reformer paper says, from trained models: accuracy by rounds of hashing in training and in evaluation."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import mean_over_seeds

__all__ = ["accuracy_as", "gain_per_doubling"]

ROUNDS = {"accuracy_1": 1, "accuracy_2": 2, "accuracy_4": 4, "accuracy_8": 8}


@estimator(unit="seed")
def gain_per_doubling(records: Sequence[TrialRecord], *, trained: Mapping[str, int]) -> dict[str, Estimate]:
    """Return by how much accuracy rises with each doubling of the rounds in evaluation, 1 to 8: one part a setting in training.

    For each seed the slope of the least-squares line through accuracy over log₂(rounds); then the mean over seeds.

    Args:
        records: trials of `experiments.attention.copy_task`.
        trained: rounds in training (0: full attention), by part.

    Returns:
        Percentage points; SE² = s²/n, ν = n − 1. In `extras` the mean accuracy with each number of rounds, and how many of
        those means are no higher than the one before (`reversals`).

    Raises:
        EstimateError: if a setting was not trained.
    """
    return {part: _gain(_trained_with(records, hashes)) for part, hashes in trained.items()}


@estimator(unit="seed")
def accuracy_as(
    records: Sequence[TrialRecord], *, trained: Mapping[str, int], evaluated: Mapping[str, str]
) -> dict[str, Estimate]:
    """Return the mean accuracy over seeds, by part.

    Args:
        records: trials of `experiments.attention.copy_task`.
        trained: rounds in training (0: full attention), by part.
        evaluated: the measured column, by part.

    Raises:
        EstimateError: if a setting was not trained, or not evaluated.
    """
    return {
        part: mean_over_seeds(_trained_with(records, hashes), column=evaluated[part])
        for part, hashes in trained.items()
    }


def _trained_with(records: Sequence[TrialRecord], hashes: int) -> list[TrialRecord]:
    found = [record for record in records if record.config["hashes"] == hashes]
    if not found:
        known = sorted({str(record.config["hashes"]) for record in records})
        raise EstimateError(f"no model was trained with hashes = {hashes}.{nearest(str(hashes), known)}")
    return found


def _gain(records: Sequence[TrialRecord]) -> Estimate:
    n = len(records)
    accuracies = np.array([[record.value(column) for column in ROUNDS] for record in records])  # [n, 4]
    means = {f"mean_{column}": float(mean) for column, mean in zip(ROUNDS, accuracies.mean(0), strict=True)}
    slopes = np.polyfit(np.log2(list(ROUNDS.values())), accuracies.T, 1)[0]
    spread = float(slopes.std(ddof=1)) if n > 1 and slopes.min() < slopes.max() else None
    return Estimate(
        value=float(slopes.mean()),
        se=None if spread is None else spread / math.sqrt(n),
        dof=None if spread is None else n - 1,
        n=n,
        unit="seed",
        units=tuple(slopes.tolist()),
        spread=spread,
        flags=("no_spread",) if spread is None and n > 1 else (),
        extras={**means, "reversals": float((np.diff(accuracies.mean(0)) <= 0).sum())},
    )
