"""Estimators that read a measurement as it is: of a deterministic study, over seeds, or as paired differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from repro.schema.canonical import canonical_json
from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.distribution import heavy_tailed, multimodal, unequal_arms
from repro.stats.estimator import estimator
from repro.stats.signflip import signed_ranks

__all__ = ["agreed", "mean_over_seeds", "measured_parts", "measured_value", "paired_difference"]

NOISES = ("skewed", "symmetric", "lognormal")


@dataclass(frozen=True)
class Agreed:
    """One record for each cell of a deterministic study, and whether its replicates agree."""

    records: tuple[TrialRecord, ...]
    flags: tuple[str, ...]
    """`not_deterministic`, `diverged`, or nothing."""
    note: str


def agreed(records: Sequence[TrialRecord]) -> Agreed:
    """Reduce the replicates of a deterministic study to one record a cell.

    Replicates of one cell (equal config but for the seed) must have run in at least two processes and agree in every
    row exactly; otherwise the flag `not_deterministic` is raised, with which nothing is decided.
    """
    cells: dict[str, list[TrialRecord]] = {}
    for record in records:
        cells.setdefault(cell_of(record), []).append(record)
    flags, notes = [], []
    for replicates in cells.values():
        first, label = replicates[0], replicates[0].label or replicates[0].key[:8]
        if any(record.status == "diverged" for record in replicates):
            flags.append("diverged")
            notes.append(f"{label} diverged.")
        elif len({record.process for record in replicates}) < 2 or len({record.replicate for record in replicates}) < 2:
            flags.append("not_deterministic")
            notes.append(f"{label} was not checked by two seeds in two processes.")
        elif any(record.rows != first.rows for record in replicates):
            flags.append("not_deterministic")
            notes.append(f"{label} gave different results with two seeds in two processes.")
    return Agreed(tuple(same[0] for same in cells.values()), tuple(dict.fromkeys(flags)), " ".join(notes))


def cell_of(record: TrialRecord) -> str:
    """Return the record's config without its seed, as canonical JSON: replicates of one cell share it."""
    return canonical_json({name: value for name, value in record.config.items() if name != "seed"})


@estimator(unit="none", simulator="repro.stats.simulators.exact.shift_value")
def measured_value(records: Sequence[TrialRecord], *, column: str) -> Estimate:
    """Return one measurement of a deterministic study that has one cell with one row.

    Args:
        records: two replicates from two processes.
        column: name of the measurement.

    Raises:
        EstimateError: if there are several cells or rows, or no such column.
    """
    return _exact_estimates(records, [column])[column]


@estimator(unit="none", simulator="repro.stats.simulators.exact.shift_parts")
def measured_parts(records: Sequence[TrialRecord]) -> dict[str, Estimate]:
    """Return every measurement of a deterministic study that has one cell with one row, each as a part of its name.

    Raises:
        EstimateError: if there are several cells or rows.
    """
    return _exact_estimates(records, None)


@estimator(unit="seed", simulator="repro.stats.simulators.means.runs")
def mean_over_seeds(
    records: Sequence[TrialRecord], *, column: str, noise: Literal["skewed", "symmetric", "lognormal"] = "skewed"
) -> Estimate:
    """Return the mean of a measurement over independent runs: SE² = s²/n, ν = n − 1.

    Args:
        records: replicates of one cell.
        column: name of the measurement.
        noise: what is assumed of the scatter of single runs. `skewed` (default) widens the interval so that its level
            holds for noise as skewed as an exponential's. `symmetric` is the plain t interval: an
            assumption that the claim's author makes before the first run. `lognormal` takes logs: the value is then
            the geometric mean of a positive quantity.

    Runs that all give the same value show no scatter to build an interval on: flag `no_spread`, no standard error. If no
    random draw enters, the study is deterministic and should say so.

    Raises:
        EstimateError: if the records are of several cells, share a replicate, or lack the column.
    """
    if noise not in NOISES:
        raise EstimateError(f"mean_over_seeds has no noise '{noise}'.{nearest(noise, NOISES)}")
    _require_one_cell(records)
    _require_distinct([record.replicate for record in records])
    values = [_single(record, column) for record in records]
    finite = [value for value in values if math.isfinite(value)]
    units = tuple(value if math.isfinite(value) else None for value in values)
    flags, note = [], ""
    if len(finite) < len(values):
        flags.append("diverged")
        note = f"{len(values) - len(finite)} of {len(values)} runs diverged; the value is that of the others."
    if not finite:
        return Estimate(None, n=len(values), unit="seed", units=units, flags=tuple(flags), note=note)
    if noise == "lognormal" and min(finite) <= 0:
        raise EstimateError(f"noise 'lognormal' needs positive values of '{column}', got {min(finite):g}.")
    sample = np.log(finite) if noise == "lognormal" else np.array(finite)
    if heavy_tailed(sample.tolist(), symmetric=noise != "skewed"):
        flags.append("heavy_tailed")
    if multimodal(sample.tolist()):
        flags.append("multimodal")
    if noise == "skewed":
        flags.append("skew_guard")
    n, sd = len(finite), _spread(sample.tolist())
    if sd is None and n > 1:
        flags.append("no_spread")
    mean = float(sample.mean())
    value, unit_sd = (math.exp(mean), math.exp(mean)) if noise == "lognormal" else (mean, 1.0)
    return Estimate(
        value=value,
        se=None if sd is None else unit_sd * sd / math.sqrt(n),
        dof=None if sd is None else n - 1,
        n=n,
        unit="seed",
        units=units,
        spread=None if sd is None else unit_sd * sd,
        log_se=sd / math.sqrt(n) if noise == "lognormal" and sd is not None else None,
        flags=tuple(flags),
        note=note,
    )


@estimator(unit="seed", simulator="repro.stats.simulators.means.pairs")
def paired_difference(
    records: Sequence[TrialRecord], *, column: str, by: str, better: Any, worse: Any, lower_is_better: bool = True
) -> Estimate:
    """Return the mean difference between two arms paired by replicate, so that a positive one supports the claim.

    A diverged trial ranks last: the pair's difference is then infinite in favour of the other arm, 0 if both diverged.
    Infinite differences have no mean: the units become signed ranks (flag `ranked`), the value the median difference
    (None if that is infinite), and the rule decides by the exact sign-flip test on the ranks.

    Arms that share their noise give symmetric differences, for which t holds. Where one arm scatters visibly less (flag
    `unequal_arms`), the interval is widened as for a mean of skewed noise.

    Args:
        records: one trial of each arm for each replicate.
        column: name of the measurement.
        by: config field that tells the arms apart.
        better: its value in the arm that the claim calls better.
        worse: its value in the other arm.
        lower_is_better: True for a loss or a time, False for an accuracy.

    Raises:
        EstimateError: if a replicate lacks one arm or has it twice, or a record belongs to neither arm.
    """
    arms: dict[str, dict[int, float]] = {"better": {}, "worse": {}}
    for record in records:
        place = _arm(record, by, better, worse)
        if record.replicate in arms[place]:
            raise EstimateError(
                f"replicate {record.replicate} has two trials with {by} = {record.config[by]!r}; one each."
            )
        # As a loss, so that a diverged trial is +∞.
        measured = _single(record, column)
        loss = measured if lower_is_better else -measured
        arms[place][record.replicate] = loss if math.isfinite(measured) else math.inf
    alone = sorted(arms["better"].keys() ^ arms["worse"].keys())
    if alone or not arms["better"]:
        missing = f"replicate {alone[0]} has only one" if alone else "there are none"
        raise EstimateError(f"every replicate needs one trial with each of {by} = {better!r} and {worse!r}; {missing}.")
    pairs = [(arms["better"][r], arms["worse"][r]) for r in sorted(arms["better"])]
    differences = [0.0 if low == high else high - low for low, high in pairs]
    n = len(differences)
    diverged = sum(math.isinf(low) for low, _ in pairs), sum(math.isinf(high) for _, high in pairs)
    extras = {"diverged_better": float(diverged[0]), "diverged_worse": float(diverged[1])}
    if any(diverged):
        median = float(np.median(np.clip(differences, -1e300, 1e300)))
        return Estimate(
            value=median if abs(median) < 1e299 else None,
            n=n,
            unit="seed",
            units=signed_ranks(differences),
            flags=("ranked",),
            extras=extras,
            note=f"Of {n} pairs, {diverged[0]} diverged in the better arm and {diverged[1]} in the other; units are signed ranks.",
        )
    sd = _spread(differences)
    flags = ["no_spread"] if sd is None and n > 1 else []
    if heavy_tailed(differences, symmetric=True):
        flags.append("heavy_tailed")
    if multimodal(differences):
        flags.append("multimodal")
    if sd is not None and unequal_arms(*zip(*pairs, strict=True)):
        flags += ["unequal_arms", "skew_guard"]
    return Estimate(
        value=float(np.mean(differences)),
        se=None if sd is None else sd / math.sqrt(n),
        dof=None if sd is None else n - 1,
        n=n,
        unit="seed",
        units=tuple(differences),
        spread=sd,
        flags=tuple(flags),
        extras=extras,
    )


def _spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation; None where equal or single values show none: that is no proof that there is none."""
    return float(np.std(values, ddof=1)) if min(values) < max(values) else None


def _exact_estimates(records: Sequence[TrialRecord], columns: Sequence[str] | None) -> dict[str, Estimate]:
    _require_one_cell(records)
    same = agreed(records)
    record = same.records[0]
    names = columns if columns is not None else [name for row in record.rows for name in row if name != "flops"]
    if not names:
        raise EstimateError(f"the trials of '{record.study}' measured nothing. {same.note}".strip())
    estimates = {}
    for name in names:
        value = _single(record, name)
        flags = same.flags if math.isfinite(value) else tuple(dict.fromkeys((*same.flags, "diverged")))
        estimates[name] = Estimate(
            value=value if math.isfinite(value) else None,
            se=0.0,
            n=1,
            unit="none",
            deterministic=True,
            flags=flags,
            note=same.note,
        )
    return estimates


def _single(record: TrialRecord, column: str) -> float:
    """Return the measurement of a trial with one row; NaN if the trial diverged."""
    if record.status == "diverged" and not record.rows:
        return math.nan
    if len(record.rows) != 1:
        raise EstimateError(
            f"'{column}' needs a trial with one row; {record.label or record.key[:8]} has {len(record.rows)}."
        )
    try:
        return record.value(column)
    except KeyError:
        known = {name for row in record.rows for name in row}
        raise EstimateError(f"the recipe of '{record.study}' measured no '{column}'.{nearest(column, known)}") from None


def _require_one_cell(records: Sequence[TrialRecord]) -> None:
    cells = {cell_of(record) for record in records}
    if len(cells) != 1:
        raise EstimateError(
            f"this estimator reads replicates of one cell (equal config but for the seed), got {len(cells)} cells. Let "
            f"the study have one cell, or use an estimator that reads several."
        )


def _require_distinct(replicates: Sequence[int]) -> None:
    if len(set(replicates)) < len(replicates):
        raise EstimateError(f"each replicate counts once, got the replicates {sorted(replicates)}.")


def _arm(record: TrialRecord, by: str, better: Any, worse: Any) -> str:
    if by not in record.config:
        raise EstimateError(f"the config of '{record.study}' has no field '{by}'.{nearest(by, record.config)}")
    value: Any = record.config[by]
    arms: Mapping[str, Any] = {"better": better, "worse": worse}
    for name, wanted in arms.items():
        if value == wanted and isinstance(value, bool) == isinstance(wanted, bool):
            return name
    raise EstimateError(
        f"{by} = {value!r} belongs to neither arm, {better!r} nor {worse!r}; let the study have these two."
    )
