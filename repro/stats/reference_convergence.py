"""Reference convergence points in the manner of MLPerf Training: is a submission faster than its reference allows?

Sources: MLPerf Training rules (mlcommons/training_policies, `training_rules.adoc`, section "Reference Convergence Points" and
its appendix of examples), and the behaviour of the checker (mlcommons/logging, `mlperf_logging/rcp_checker`). Written anew.
"Epochs" stands for whatever is counted until the quality target is met: epochs or samples.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.equivalence import welch_dof
from repro.stats.estimator import estimator
from repro.stats.summary import agreed

__all__ = [
    "ReferencePoint",
    "max_speedup",
    "min_epochs",
    "olympic",
    "point_at",
    "prune",
    "reference_convergence",
    "reference_point",
    "too_fast_p",
    "trimmed_error",
]

LEVEL = 0.05
"""Of MLPerf's test."""


@dataclass(frozen=True)
class ReferencePoint:
    """Where the reference converges with one batch size."""

    batch_size: float
    mean: float
    """Olympic mean of the epochs to converge."""
    sd: float
    """Standard deviation that the test takes for both sides; divided by n, not n − 1, as MLPerf does."""
    se: float
    """Standard error of the mean by Yuen (1974), who counts what was dropped; MLPerf's test does without."""
    n: int
    """Runs that the mean rests on."""
    interpolated: bool = False


def olympic(runs: Iterable[float], dropped: int = 1) -> tuple[float, ...]:
    """Return the runs without the fastest and the slowest ones, sorted.

    A run that did not converge counts as infinitely slow; the dropped ones may hold it.

    Args:
        runs: epochs to converge, +∞ where a run did not.
        dropped: at each end; 4 for MLPerf's UNet3D, else 1.

    Raises:
        EstimateError: if no run is left.
    """
    ordered = sorted(runs)
    if len(ordered) < 2 * dropped + 1:
        raise EstimateError(
            f"an Olympic mean that drops {dropped} at each end needs at least {2 * dropped + 1} runs, got {len(ordered)}."
        )
    return tuple(ordered[dropped : len(ordered) - dropped])


def reference_point(
    batch_size: float, runs: Iterable[float], dropped: int = 1, deviation: Literal["kept", "all"] = "kept"
) -> ReferencePoint:
    """Return the reference point of one batch size.

    Args:
        batch_size: of the runs.
        runs: epochs to converge of the reference's runs, all finite.
        dropped: at each end.
        deviation: standard deviation of the runs `kept`, as in the rules' examples, or of `all`, as later checkers take it.

    Raises:
        EstimateError: if too few runs are left, or one is not positive and finite.
    """
    values = tuple(runs)
    if not all(math.isfinite(v) and v > 0 for v in values):
        raise EstimateError(f"the reference runs at batch size {batch_size:g} must be positive and finite.")
    kept = olympic(values, dropped)
    if len(kept) < 2:
        raise EstimateError(
            f"the reference has {len(values)} runs at batch size {batch_size:g}; at least {2 * dropped + 2} show a scatter."
        )
    sd = float(np.std(kept if deviation == "kept" else values))
    return ReferencePoint(batch_size, float(np.mean(kept)), sd, trimmed_error(values, dropped), len(kept))


def trimmed_error(runs: Iterable[float], dropped: int = 1) -> float:
    """Return the standard error of an Olympic mean by Yuen (1974): dropped runs count as the outermost kept ones.

    √(SS / (h(h − 1))) for h kept runs, SS the sum of squares after that replacement; h − 1 degrees of freedom. NaN for h = 1.
    """
    kept = olympic(runs, dropped)
    if len(kept) < 2:
        return math.nan
    replaced = np.array([kept[0]] * dropped + [*kept] + [kept[-1]] * dropped)
    return float(math.sqrt(((replaced - replaced.mean()) ** 2).sum() / (len(kept) * (len(kept) - 1))))


def min_epochs(point: ReferencePoint, n: int) -> float:
    """Return the least mean of n kept runs that is not significantly faster than the reference.

    The pooled one-sided t test at 5 % with the reference's deviation for both sides: mean − t(0.95, n₀ + n − 2)·sd·√(1/n₀ + 1/n).
    """
    return point.mean - float(stats.t.ppf(1 - LEVEL, point.n + n - 2)) * point.sd * math.sqrt(1 / point.n + 1 / n)


def max_speedup(point: ReferencePoint, n: int) -> float:
    """Return mean / min_epochs: by what factor n kept runs may be faster; infinite where no mean would be too fast."""
    least = min_epochs(point, n)
    return point.mean / least if least > 0 else math.inf


def too_fast_p(point: ReferencePoint, mean: float, n: int) -> float:
    """Return the one-sided p of "faster than the reference"; it is 0.05 at `min_epochs`."""
    if point.sd == 0:
        return 0.0 if mean < point.mean else 1.0
    return float(stats.t.cdf((mean - point.mean) / (point.sd * math.sqrt(1 / point.n + 1 / n)), point.n + n - 2))


def prune(points: Iterable[ReferencePoint]) -> tuple[ReferencePoint, ...]:
    """Return the points by batch size without those slower than the others lead one to expect.

    Dropped are points of a smaller batch size than the fastest point's, and then any point slower than the straight line
    between its neighbours. (A slow reference would let a fast submission pass.)
    """
    ordered = sorted(points, key=lambda point: point.batch_size)
    fastest = min(ordered, key=lambda point: point.mean)
    kept = [point for point in ordered if point.batch_size >= fastest.batch_size]
    i = 1
    while i < len(kept) - 1:
        if kept[i].mean > _between(kept[i - 1], kept[i + 1], kept[i].batch_size, 0).mean:
            del kept[i]
        else:
            i += 1
    return tuple(kept)


def point_at(points: Sequence[ReferencePoint], batch_size: float, runs: int) -> ReferencePoint:
    """Return the point that a submission of this batch size is held to.

    The point itself; or interpolated, mean and deviation alike, counting 2N runs; or the smallest batch size's point for a
    still smaller one, which is stricter.

    Args:
        points: of the reference, perhaps pruned.
        batch_size: of the submission.
        runs: N, what a submission must have; an interpolated point counts as 2N.

    Raises:
        EstimateError: for a batch size above all points: the reference must then be run there.
    """
    ordered = sorted(points, key=lambda point: point.batch_size)
    above = [point for point in ordered if point.batch_size >= batch_size]
    below = [point for point in ordered if point.batch_size < batch_size]
    if not above:
        raise EstimateError(
            f"no reference point has a batch size of {batch_size:g} or more (the largest has {ordered[-1].batch_size:g}). Run the "
            f"reference with batch size {batch_size:g}."
        )
    if above[0].batch_size == batch_size or not below:
        return above[0]
    return _between(below[-1], above[0], batch_size, 2 * runs)


def _between(low: ReferencePoint, high: ReferencePoint, batch_size: float, n: int) -> ReferencePoint:
    ends = [low.batch_size, high.batch_size]
    mean = float(np.interp(batch_size, ends, [low.mean, high.mean]))
    sd, se = (float(np.interp(batch_size, ends, pair)) for pair in ([low.sd, high.sd], [low.se, high.se]))
    return ReferencePoint(batch_size, mean, sd, se, n, interpolated=True)


@estimator(unit="run", simulator="repro.stats.simulators.reference.submissions")
def reference_convergence(
    records: Sequence[TrialRecord],
    *,
    batch_size: float,
    runs: int,
    epochs: str = "epochs",
    reference: Mapping[str, Sequence[float]] | None = None,
    dropped: int = 1,
    deviation: Literal["kept", "all"] = "kept",
    pruned: bool = True,
) -> Estimate:
    """Return the submission's Olympic mean of epochs to converge over the reference's.

    Args:
        records: of the submission, one trial a run. Without `reference`, the two replicates of one deterministic trial whose rows
            are published runs, with columns `batch_size`, `is_reference` (1 or 0) and the epochs.
        batch_size: of the submission.
        runs: N, the number of runs that a submission needs.
        epochs: the measurement; a run that diverged did not converge.
        reference: the reference's epochs by batch size, where they are not among the rows.
        dropped: runs dropped at each end; more runs that did not converge than these make the submission invalid.
        deviation: `kept` or `all`, see `reference_point`.
        pruned: whether slow reference points are left out first.

    Raises:
        EstimateError: if there is no reference or submission, a column is missing, or a reference run is not positive.
    """
    flags: tuple[str, ...] = ()
    note = ""
    if reference is None:
        same = agreed(records)
        flags, note = same.flags, same.note
        if len(same.records) != 1:
            raise EstimateError(
                f"reference_convergence reads the rows of one trial, got {len(same.records)} different ones."
            )
        by_batch, submitted = _split(same.records[0], epochs, batch_size)
    else:
        by_batch = {float(size): list(values) for size, values in reference.items()}
        submitted = [_converged(record, epochs) for record in records]
    if not by_batch or not submitted:
        raise EstimateError(
            f"reference_convergence needs reference runs and submitted runs of batch size {batch_size:g}; got "
            f"{sum(map(len, by_batch.values()))} and {len(submitted)}."
        )
    lost = sum(not math.isfinite(value) for value in submitted)
    units = tuple(value if math.isfinite(value) else None for value in submitted)
    if lost > dropped:
        note = f"{lost} of {len(submitted)} runs did not converge; at most {dropped} may."
        return Estimate(None, n=len(submitted), unit="run", units=units, flags=("diverged", *flags), note=note)
    if len(submitted) < max(runs, 2 * dropped + 1):
        note = f"{len(submitted)} runs were submitted; {runs} are required."
        return Estimate(None, n=len(submitted), unit="run", units=units, flags=("too_few", *flags), note=note)
    points = [reference_point(size, values, dropped, deviation) for size, values in by_batch.items()]
    point = point_at(prune(points) if pruned else points, batch_size, runs)
    kept = olympic(submitted, dropped)
    mean, n = float(np.mean(kept)), len(kept)
    errors = trimmed_error(submitted, dropped) / mean, point.se / point.mean
    return Estimate(
        value=mean / point.mean,
        n=len(submitted),
        unit="run",
        units=units,
        flags=(*flags, *(["interpolated"] if point.interpolated else [])),
        extras={
            "rcp_mean": point.mean,
            "rcp_sd": point.sd,
            "rcp_n": float(point.n),
            "rcp_runs": float(n),
            "rcp_min_epochs": min_epochs(point, n),
            "rcp_max_speedup": max_speedup(point, n) if min_epochs(point, n) > 0 else None,
            "rcp_p": too_fast_p(point, mean, n),
            "rcp_log_se": math.hypot(*errors) if n > 1 else None,
            "rcp_log_dof": welch_dof(errors[0], n - 1, errors[1], point.n - 1) if n > 1 else None,
        },
        note=note,
    )


def _split(record: TrialRecord, epochs: str, batch_size: float) -> tuple[dict[float, list[float]], list[float]]:
    """Return the reference's runs by batch size, and the submitted ones of the batch size in question."""
    by_batch: dict[float, list[float]] = {}
    submitted: list[float] = []
    for name in (epochs, "batch_size", "is_reference"):
        if not any(name in row for row in record.rows):
            raise EstimateError(
                f"reference_convergence needs a column '{name}'; the recipe of '{record.study}' gave none."
            )
    columns = (record.column(name) for name in (epochs, "batch_size", "is_reference"))
    for value, size, is_reference in zip(*columns, strict=True):
        if is_reference == 1:
            by_batch.setdefault(size, []).append(value)
        elif size == batch_size:
            submitted.append(value if math.isfinite(value) else math.inf)
    return by_batch, submitted


def _converged(record: TrialRecord, epochs: str) -> float:
    if record.status == "diverged" and not record.rows:
        return math.inf
    if len(record.rows) != 1 or epochs not in record.rows[0]:
        raise EstimateError(
            f"a run of '{record.study}' must give one row with '{epochs}', the epochs until it converged."
        )
    value = record.value(epochs)
    return value if math.isfinite(value) else math.inf
