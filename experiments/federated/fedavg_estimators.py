"""Speed-ups of federated averaging: rounds of FedSGD over rounds of FedAvg, seed by seed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.distribution import heavy_tailed, multimodal, unequal_arms
from repro.stats.estimator import estimator

__all__ = ["iid_advantage", "round_ratios"]

FEDSGD = {"E": 1, "B": 0}


@estimator(unit="seed")
def round_ratios(records: Sequence[TrialRecord], *, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """Return how many times fewer rounds a cell needs than FedSGD on the same partition: the geometric mean over seeds.

    A run that gave up counts with the rounds that it had. That makes a ratio too small where FedSGD gave up, too large where the
    cell did, and says nothing where both did: then there is no value.

    Args:
        records: one trial of each cell, and of FedSGD (E = 1, B = ∞) on its partition, for each replicate.
        cells: E, B (0 for ∞) and iid by part.

    Raises:
        EstimateError: if a replicate lacks a cell or has it twice.
    """
    return {part: _ratio(records, dict(cell)) for part, cell in cells.items()}


@estimator(unit="seed")
def iid_advantage(records: Sequence[TrialRecord], *, E: int, B: int) -> Estimate:
    """Return ln(speed-up with shuffled images) − ln(speed-up with sorted shards), the mean over seeds; positive supports the claim.

    Args:
        records: one trial of FedSGD and of the cell (E, B) on both partitions for each replicate.
        E: local epochs of the cell.
        B: local batch of the cell.

    Raises:
        EstimateError: if a replicate lacks a cell or has it twice.
    """
    logs = {iid: _log_ratios(records, {"E": E, "B": B, "iid": iid}) for iid in (True, False)}
    if any(math.isnan(value) for side in logs.values() for value in side):
        return Estimate(None, n=len(logs[True]), unit="seed", note="FedSGD and the cell both gave up on one partition.")
    differences = [iid - not_iid for iid, not_iid in zip(logs[True], logs[False], strict=True)]
    flags = _flags(differences)
    if len(differences) > 1 and unequal_arms(logs[True], logs[False]):
        flags += ("unequal_arms", "skew_guard")
    extras = {name: math.exp(float(np.mean(logs[iid]))) for name, iid in (("iid", True), ("non_iid", False))}
    return Estimate(
        float(np.mean(differences)),
        se=_se(differences),
        dof=len(differences) - 1,
        n=len(differences),
        unit="seed",
        units=tuple(differences),
        spread=float(np.std(differences, ddof=1)) if len(differences) > 1 else None,
        flags=flags,
        extras=extras,
    )


def _ratio(records: Sequence[TrialRecord], cell: Mapping[str, Any]) -> Estimate:
    logs = _log_ratios(records, cell)
    n = len(logs)
    if any(math.isnan(value) for value in logs):
        return Estimate(
            None, n=n, unit="seed", note="FedSGD and the cell both gave up, so their rounds cannot be compared."
        )
    value, se = math.exp(float(np.mean(logs))), _se(logs)
    gave_up = sum(row["reached"] == 0 for row in _rounds(records, cell).values())
    return Estimate(
        value,
        se=None if se is None else value * se,
        dof=None if se is None else n - 1,
        n=n,
        unit="seed",
        units=tuple(math.exp(each) for each in logs),
        spread=float(value * np.std(logs, ddof=1)) if n > 1 else None,
        log_se=se,
        flags=_flags(logs),
        extras={"rounds": math.exp(float(np.mean([math.log(r["rounds"]) for r in _rounds(records, cell).values()])))},
        note=f"{gave_up} of {n} runs of the cell gave up: the ratio is at most this." if gave_up else "",
    )


def _log_ratios(records: Sequence[TrialRecord], cell: Mapping[str, Any]) -> list[float]:
    """Return ln(rounds of FedSGD / rounds of the cell) by replicate; NaN where both gave up."""
    base, other = _rounds(records, {**FEDSGD, "iid": cell["iid"]}), _rounds(records, cell)
    if base.keys() != other.keys() or not base:
        raise EstimateError(
            f"every replicate needs FedSGD (E = 1, B = 0) and {dict(cell)}; replicates {sorted(base)} and {sorted(other)} have them."
        )
    return [
        math.log(base[r]["rounds"] / other[r]["rounds"]) if base[r]["reached"] or other[r]["reached"] else math.nan
        for r in sorted(base)
    ]


def _rounds(records: Sequence[TrialRecord], cell: Mapping[str, Any]) -> dict[int, Mapping[str, float]]:
    found: dict[int, Mapping[str, float]] = {}
    for record in records:
        if all(record.config.get(name) == value for name, value in cell.items()):
            if record.replicate in found:
                raise EstimateError(f"replicate {record.replicate} has two trials of {dict(cell)}; one each.")
            found[record.replicate] = {name: record.value(name) for name in ("rounds", "reached")}
    return found


def _se(values: Sequence[float]) -> float | None:
    """Return the standard error; None where the values show no scatter."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if min(values) < max(values) else None


def _flags(values: Sequence[float]) -> tuple[str, ...]:
    flags = [] if min(values) < max(values) or len(values) == 1 else ["no_spread"]
    flags += ["heavy_tailed"] if heavy_tailed(values, symmetric=True) else []
    return (*flags, *(["multimodal"] if multimodal(values) else []))
