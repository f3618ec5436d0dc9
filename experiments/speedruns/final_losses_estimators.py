"""What the final losses of repeated runs say: their spread, and whether their mean is shown to lie below a target."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.summary import agreed, cell_of

__all__ = ["below_target", "mean_of_latest", "share_significant", "spread_of_runs", "t_tests"]

COLUMNS = ("record", "folder", "own", "steps", "val_loss", "train_s")


@dataclass(frozen=True)
class Group:
    """Runs of one folder with the same number of steps: as near to the same program as the logs tell."""

    record: float
    folder: float
    own: bool
    steps: float
    loss: NDArray[np.float64]
    """[n]"""
    train_s: NDArray[np.float64]
    """[n]"""


def p_value(loss: NDArray[np.float64], target: float) -> float:
    """Return p of the one-sided t test that the mean lies below the target, the rule of the records' README.

    Raises:
        EstimateError: with fewer than two runs, or runs that are all equal.
    """
    if len(loss) < 2 or loss.min() == loss.max():
        raise EstimateError(f"A t test needs two runs that differ, got {loss.tolist()}.")
    return float(stats.ttest_1samp(loss, target, alternative="less").pvalue)


@estimator(unit="record")
def spread_of_runs(
    records: Sequence[TrialRecord],
    *,
    least_runs: int = 5,
    since: float = 0,
    until: float = 1e9,
    within: bool = True,
    of_mean: bool = False,
) -> Estimate:
    """Return the typical standard deviation of the final loss between runs of one program.

    The value is the geometric mean of the groups' standard deviations, each corrected for the bias of ln s at its degrees of
    freedom, E ln s − ln σ = (ψ(ν/2) − ln(ν/2)) / 2 for normal noise. Its standard error is that between groups, because programs
    differ in how much their runs scatter; ν = groups − 1. `extras`: the pooled standard deviation, runs, p of equal spreads
    (Brown and Forsythe 1974).

    Args:
        records: a deterministic study of one cell, a row a run.
        least_runs: of a group that counts.
        since: first record that counts, yyyymmdd.
        until: last record that counts.
        within: False for the slip of one standard deviation over all runs together, whatever their program.
        of_mean: True for the slip of reporting the error of the mean, s/√n.

    Raises:
        EstimateError: with fewer than three groups, or one whose runs are all equal.
    """
    groups, note, flags = _groups(records)
    groups = [g for g in groups if since <= g.record <= until]
    every = np.concatenate([g.loss for g in groups]) if groups else np.array([])
    groups = [g for g in groups if len(g.loss) >= least_runs]
    if len(groups) < 3:
        raise EstimateError(f"A typical spread needs three groups of at least {least_runs} runs, got {len(groups)}.")
    sds = np.array([g.loss.std(ddof=1) for g in groups])
    if not sds.min() > 0:
        raise EstimateError("All runs of a group have the same loss, so their spread has no logarithm.")
    sizes = np.array([len(g.loss) for g in groups])
    nu = sizes - 1.0
    logs = np.log(sds) - (special.digamma(nu / 2) - np.log(nu / 2)) / 2
    if of_mean:
        logs = logs - np.log(sizes) / 2
    log_se = float(logs.std(ddof=1) / math.sqrt(len(logs)))
    value = math.exp(logs.mean()) if within else float(every.std(ddof=1))
    return Estimate(
        value=value,
        se=value * log_se,
        dof=len(groups) - 1,
        n=len(groups),
        unit="record",
        units=tuple(float(s) for s in sds),
        log_se=log_se,
        flags=flags,
        extras={
            "pooled_sd": float(np.sqrt((nu * sds**2).sum() / nu.sum())),
            "runs": float(sizes.sum()),
            "equal_spread_p": float(stats.levene(*(g.loss for g in groups), center="median").pvalue),
            "smallest_sd": float(sds.min()),
            "largest_sd": float(sds.max()),
        },
        note=note,
    )


@estimator(unit="none")
def t_tests(
    records: Sequence[TrialRecord],
    *,
    parts: Mapping[str, Mapping[str, float]],
    target: float = 3.28,
    report: str = "p",
    ddof: int = 1,
    single_precision: bool = False,
) -> dict[str, Estimate]:
    """Return p of the t test of named records, or their runs' spread, each recomputed from the logs and so without error.

    Args:
        records: a deterministic study of one cell, a row a run.
        parts: for each part `record` (yyyymmdd) and, where a record holds several groups, `steps` or `own` (1 or 0).
        target: of the validation loss, nats per token.
        report: `p`, or `sd`, the standard deviation of the losses.
        ddof: subtracted from the number of runs in the standard deviation.
        single_precision: round the losses to float32 first, as `torch.tensor` does in the records' own snippet.

    Raises:
        EstimateError: if a part's record has no such group, or more than one.
    """
    if report not in ("p", "sd"):
        raise EstimateError(f"t_tests reports p or sd, not '{report}'.")
    groups, note, flags = _groups(records)
    estimates = {}
    for name, wanted in parts.items():
        unknown = sorted(set(wanted) - {"record", "steps", "own"})
        if unknown:
            raise EstimateError(
                f"Part '{name}' has the key '{unknown[0]}'.{nearest(unknown[0], ('record', 'steps', 'own'))}"
            )
        found = [g for g in groups if all(float(getattr(g, key)) == value for key, value in wanted.items())]
        if len(found) != 1:
            raise EstimateError(f"Part '{name}' must name one group of runs; {dict(wanted)} names {len(found)}.")
        loss = found[0].loss.astype(np.float32).astype(float) if single_precision else found[0].loss
        extras = {"runs": float(len(loss)), "mean": float(loss.mean()), "sd": float(loss.std(ddof=ddof))}
        value = p_value(loss, target) if report == "p" else extras["sd"]
        estimates[name] = _exact(value, flags, extras, note)
    return estimates


@estimator(unit="none")
def share_significant(
    records: Sequence[TrialRecord],
    *,
    since: float,
    target: float = 3.28,
    p_below: float = 0.01,
    least_runs: int = 3,
) -> dict[str, Estimate]:
    """Return the share of records whose own logs show, by the t test, that their mean loss lies below the target.

    A census of the records with logs enough, so without a standard error. Parts: `fastest_group`, the record's own group with the
    least mean training time, which is what a speed record submits; `any_group`, whether any of its own groups passes.
    `extras`: records tested, records passing, records with too few logs.

    Args:
        records: a deterministic study of one cell, a row a run.
        since: first record that counts, yyyymmdd.
        target: of the validation loss, nats per token.
        p_below: the level of the rule.
        least_runs: of a group that can be tested.

    Raises:
        EstimateError: if no record can be tested.
    """
    groups, note, flags = _groups(records)
    by_record = _own(groups, since)
    tested = {record: [g for g in own if len(g.loss) >= least_runs] for record, own in by_record.items()}
    tested = {record: own for record, own in tested.items() if own}
    if not tested:
        raise EstimateError(f"No record since {since:g} has {least_runs} logs of one program.")
    passing: dict[str, list[bool]] = {"fastest_group": [], "any_group": []}
    for own in tested.values():
        passes = [_passes(g.loss, target, p_below) for g in own]
        passing["fastest_group"].append(passes[int(np.argmin([g.train_s.mean() for g in own]))])
        passing["any_group"].append(any(passes))
    return {
        name: _exact(
            sum(passes) / len(passes),
            flags,
            {
                "tested": float(len(passes)),
                "passing": float(sum(passes)),
                "too_few_logs": float(len(by_record) - len(tested)),
            },
            note,
        )
        for name, passes in passing.items()
    }


@estimator(unit="record")
def below_target(
    records: Sequence[TrialRecord], *, since: float, target: float = 3.28, least_runs: int = 3
) -> dict[str, Estimate]:
    """Return how far below the target the records' mean losses lie, as the parts `least` and `most` of one number.

    Each record counts with its own group of least mean training time.

    Args:
        records: a deterministic study of one cell, a row a run.
        since: first record that counts, yyyymmdd.
        target: of the validation loss, nats per token.
        least_runs: of a group that counts.

    Returns:
        The same estimate twice; SE = s/√k over k records, ν = k − 1.

    Raises:
        EstimateError: with fewer than three records.
    """
    groups, note, flags = _groups(records)
    own = _own([g for g in groups if len(g.loss) >= least_runs], since)
    chosen = [min(candidates, key=lambda g: g.train_s.mean()) for candidates in own.values()]
    if len(chosen) < 3:
        raise EstimateError(f"The distance needs three records, got {len(chosen)} since {since:g}.")
    gaps = np.array([target - g.loss.mean() for g in chosen])
    estimate = Estimate(
        value=float(gaps.mean()),
        se=float(gaps.std(ddof=1) / math.sqrt(len(gaps))),
        dof=len(gaps) - 1,
        n=len(gaps),
        unit="record",
        units=tuple(float(gap) for gap in gaps),
        spread=float(gaps.std(ddof=1)),
        flags=flags,
        extras={
            "runs": float(sum(len(g.loss) for g in chosen)),
            "smallest": float(gaps.min()),
            "largest": float(gaps.max()),
        },
        note=note,
    )
    return {"least": estimate, "most": estimate}


@estimator(unit="run")
def mean_of_latest(records: Sequence[TrialRecord], *, column: str = "train_s", slowest: bool = False) -> Estimate:
    """Return the mean of a column over the runs of the latest record's fastest own group: SE = s/√n, ν = n − 1.

    Args:
        records: a deterministic study of one cell, a row a run.
        column: `train_s` or `loss`.
        slowest: True for the first record with logs in place of the latest (a control).

    Raises:
        EstimateError: for another column, or fewer than two runs that differ.
    """
    if column not in ("train_s", "loss"):
        raise EstimateError(f"mean_of_latest has no column '{column}'.{nearest(column, ('train_s', 'loss'))}")
    groups, note, flags = _groups(records)
    own = _own([g for g in groups if len(g.loss) >= 3], 0)
    if not own:
        raise EstimateError("No record has three logs of its own.")
    group = min(own[min(own) if slowest else max(own)], key=lambda g: g.train_s.mean())
    values = np.asarray(getattr(group, column))
    if values.min() == values.max():
        raise EstimateError(f"All {len(values)} runs have the same {column}, which shows no scatter.")
    sd = float(values.std(ddof=1))
    return Estimate(
        value=float(values.mean()),
        se=sd / math.sqrt(len(values)),
        dof=len(values) - 1,
        n=len(values),
        unit="run",
        units=tuple(float(value) for value in values),
        spread=sd,
        flags=flags,
        extras={"record": group.record, "least": float(values.min()), "largest": float(values.max())},
        note=note,
    )


def _exact(value: float, flags: tuple[str, ...], extras: Mapping[str, float], note: str) -> Estimate:
    return Estimate(value=value, se=0.0, n=1, unit="none", deterministic=True, flags=flags, extras=extras, note=note)


def _passes(loss: NDArray[np.float64], target: float, p_below: float) -> bool:
    """Say whether a group passes; equal runs pass if they lie below the target, as the test's limit does."""
    return bool(loss.max() < target) if loss.min() == loss.max() else p_value(loss, target) < p_below


def _own(groups: Sequence[Group], since: float) -> dict[float, list[Group]]:
    by_record: dict[float, list[Group]] = {}
    for group in groups:
        if group.own and group.record >= since:
            by_record.setdefault(group.record, []).append(group)
    return by_record


def _groups(records: Sequence[TrialRecord]) -> tuple[list[Group], str, tuple[str, ...]]:
    """Return the runs by folder and steps.

    Raises:
        EstimateError: without records or rows, with several cells, a missing column, or a run without a loss.
    """
    if not records or len({cell_of(record) for record in records}) != 1:
        raise EstimateError("These estimators read one table of runs: a deterministic study of one cell.")
    same = agreed(records)
    record = same.records[0]
    known = sorted({name for row in record.rows for name in row})
    for name in COLUMNS:
        if name not in known:
            raise EstimateError(f"The table of runs has no column '{name}'.{nearest(name, known)}")
    table: dict[str, Any] = {name: np.array(record.column(name)) for name in COLUMNS}
    bad = ~(np.isfinite(table["val_loss"]) & (table["val_loss"] > 0) & np.isfinite(table["train_s"]))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise EstimateError(
            f"Every run needs a positive final loss and a time; {int(bad.sum())} of {len(bad)} lack one, the first in row {row}."
        )
    groups = []
    for folder, steps in sorted(set(zip(table["folder"], table["steps"], strict=True))):
        rows = (table["folder"] == folder) & (table["steps"] == steps)
        groups.append(
            Group(
                float(table["record"][rows][0]), float(folder), bool(table["own"][rows][0]), float(steps),
                table["val_loss"][rows], table["train_s"][rows],
            )
        )  # fmt: skip
    return groups, same.note, same.flags
