"""Several arms of one study against a common one, run by run with the same seed: one part an arm."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.distribution import heavy_tailed, multimodal, unequal_arms
from repro.stats.estimator import estimator
from repro.stats.one_text import require_one_text
from repro.stats.summary import paired_difference

__all__ = ["paired_differences", "relative_penalty"]

SAME_LEVEL = 0.05
"""Relative difference of measured levels below which they are one: epochs come in whole steps and windows."""


@estimator(unit="seed")
def paired_differences(
    records: Sequence[TrialRecord],
    *,
    column: str,
    by: str,
    better: Any,
    worse: Mapping[str, Any],
    lower_is_better: bool = True,
) -> dict[str, Estimate]:
    """Return `paired_difference` of one arm to each of several others: positive where the claim's order holds.

    Args:
        records: one trial of each arm for each replicate; arms that no part names are left out, and their mean difference is in
            `extras`, by the arm's value.
        column: name of the measurement.
        by: config field that tells the arms apart.
        better: its value in the arm that the claim calls better.
        worse: its value in the other arm, by part.
        lower_is_better: True for a loss.

    Raises:
        EstimateError: as `paired_difference`; or if no part is named.
    """
    if not worse:
        raise EstimateError("paired_differences needs at least one part under 'worse'.")

    def against(value: Any) -> Estimate:
        both = [record for record in records if record.config.get(by) in (better, value)]
        return paired_difference(
            both, column=column, by=by, better=better, worse=value, lower_is_better=lower_is_better
        )

    named = {part: against(value) for part, value in worse.items()}
    others = {record.config[by] for record in records if by in record.config} - {better, *worse.values()}
    extras = {f"{by}_{value:g}": against(value).value for value in sorted(others)}
    return {part: Estimate(**{**vars(found), "extras": {**found.extras, **extras}}) for part, found in named.items()}


@estimator(unit="seed")
def relative_penalty(
    records: Sequence[TrialRecord], *, column: str, by: str, baseline: float, arms: Mapping[str, float]
) -> dict[str, Estimate]:
    """Return by how many per cent a measurement lies above that of a common arm: the mean of 100 (x / x₀ − 1) over pairs.

    Args:
        records: one trial of each arm for each replicate.
        column: name of the measurement, a positive one.
        by: the measured column that tells the arms apart; values within 5 % of each other are one level.
        baseline: its level in the common arm.
        arms: its level in the others, by part; levels that no part names are in `extras`.

    Returns:
        SE² = s²/n, ν = n − 1. A run that diverged sets the flag `diverged`, with which nothing is decided.

    Raises:
        EstimateError: if a level has no runs, a replicate has two runs at one level or lacks one, or a value is not positive.
    """
    found = _by_level(records, column, by)
    base = _at(found, baseline, by)
    flags = ("diverged",) if any(record.status == "diverged" for record in records) else ()
    extras: dict[str, float | None] = {
        f"{by}_{level:.3g}": float(np.mean(_penalties(base, values, by, level)))
        for level, values in sorted(found.items())
        if values is not base and base.keys() == values.keys()
    }
    return {
        part: _estimate(base, _at(found, level, by), _penalties(base, _at(found, level, by), by, level), flags, extras)
        for part, level in arms.items()
    }


def _estimate(
    base: Mapping[int, float],
    values: Mapping[int, float],
    penalties: Sequence[float],
    flags: tuple[str, ...],
    extras: Mapping[str, float | None],
) -> Estimate:
    n, spread = len(penalties), None
    if n > 1 and min(penalties) < max(penalties):
        spread = float(np.std(penalties, ddof=1))
    else:
        flags = (*flags, *(("no_spread",) if n > 1 else ()))
    if heavy_tailed(penalties, symmetric=True):
        flags = (*flags, "heavy_tailed")
    if multimodal(penalties):
        flags = (*flags, "multimodal")
    if spread is not None and unequal_arms([base[r] for r in sorted(base)], [values[r] for r in sorted(values)]):
        flags = (*flags, "unequal_arms", "skew_guard")
    return Estimate(
        float(np.mean(penalties)),
        se=None if spread is None else spread / math.sqrt(n),
        dof=None if spread is None else n - 1,
        n=n,
        unit="seed",
        units=tuple(penalties),
        spread=spread,
        flags=flags,
        extras=extras,
    )


def _by_level(records: Sequence[TrialRecord], column: str, by: str) -> dict[float, dict[int, float]]:
    """Return the measurement by level and replicate; the first value seen names a level."""
    found: dict[float, dict[int, float]] = {}
    require_one_text(records)
    for record in records:
        if record.status != "finished":
            continue
        level, value = _measured(record, by), _measured(record, column)
        if value <= 0:
            raise EstimateError(f"A relative penalty needs positive values of '{column}', got {value:g}.")
        own = next((known for known in found if math.isclose(known, level, rel_tol=SAME_LEVEL)), level)
        if record.replicate in found.setdefault(own, {}):
            raise EstimateError(f"replicate {record.replicate} has two trials at {by} = {level:.3g}; one each.")
        found[own][record.replicate] = value
    return found


def _at(found: Mapping[float, dict[int, float]], level: float, by: str) -> dict[int, float]:
    for known, values in found.items():
        if math.isclose(known, level, rel_tol=SAME_LEVEL):
            return values
    there = ", ".join(f"{known:.3g}" for known in sorted(found)) or "none"
    raise EstimateError(f"No finished trial has {by} = {level:g}; there are {there}.")


def _penalties(base: Mapping[int, float], values: Mapping[int, float], by: str, level: float) -> list[float]:
    alone = sorted(base.keys() ^ values.keys())
    if alone:
        raise EstimateError(
            f"Every replicate needs a trial at {by} = {level:g} and one to compare; {alone[0]} has one."
        )
    return [100 * (values[r] / base[r] - 1) for r in sorted(base)]


def _measured(record: TrialRecord, name: str) -> float:
    try:
        return record.value(name)
    except KeyError:
        known = {key for row in record.rows for key in row}
        raise EstimateError(f"the recipe of '{record.study}' measured no '{name}'.{nearest(name, known)}") from None
