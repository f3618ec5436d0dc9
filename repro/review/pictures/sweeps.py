"""The training runs behind an attempt: its sweep of sizes and budgets, the IsoFLOP profiles in it, the law that fits it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from repro.review.wording.labels import pretty
from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt
from repro.stats.scaling_laws.approach2 import Profile, cells_of, find_optimum, parabola, slope_of
from repro.stats.scaling_laws.huber import DELTA, Runs
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.optimum import find_optimum as find_law
from repro.stats.scaling_laws.optimum import require_identified, require_spread
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.scaling_laws.sweep import Sweep, read_sweep

READS_A_SWEEP = "counting"
"""The argument by which an estimator says that it reads a sweep, and what N and C count there."""


def main_arm(attempt: Attempt, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the records that the estimate rests on: those of the main arm, finished or diverged."""
    keys = set(attempt.arms.get("main", ()))
    return [trial for trial in trials if trial.key in keys and trial.status != "failed"]


AXES = frozenset(
    {
        *("budget", "tokens", "n_layer", "d_model", "d_head", "seed", "run"),
        *("evaluations", "first_evaluation", "eval_tokens", "threads", "compile"),
    }
)
"""Settings in which the runs of one sweep may differ: size, data, compute, which of several equal runs it is, and when it is measured."""
MOST_GROUPS = 6
"""More kinds of run than this are no sweeps to be drawn one by one."""


def varied(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Return the settings, other than those of a sweep, in which some records differ."""
    names = dict.fromkeys(name for record in records for name in record.config)
    return tuple(name for name in names if name not in AXES and len({repr(r.config.get(name)) for r in records}) > 1)


def groups_of(records: Sequence[TrialRecord]) -> Mapping[str, list[TrialRecord]]:
    """Return records that differ in no more than the axes of a sweep together, by what tells them from the others.

    Runs on two texts, or with two schedules, are two sweeps: one parabola through both would be none.
    """
    names = varied(records)
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        label = ", ".join(f"{pretty(name)} {_plain(record.config.get(name))}" for name in names)
        groups.setdefault(label, []).append(record)
    return groups


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sweep_of_runs(attempt: Attempt, records: Sequence[TrialRecord]) -> Sweep | None:
    """Return the training runs of an attempt that some records are, or the table that they read; None if they are neither.

    Where the estimator reads a sweep, this is the same one, with its columns and its counting. Of other trained runs it is the
    table of their rows.
    """
    arguments = attempt.sealed.arguments
    try:
        if isinstance(arguments.get(READS_A_SWEEP), str):
            known = ("counting", "columns", "derive", "budget_tolerance")
            return sweep_of(records, **{name: arguments[name] for name in known if name in arguments})[0]
        return read_sweep(_table(records), counting="unstated", columns={"params": "params"})
    except (EstimateError, TypeError):
        return None


def _table(records: Sequence[TrialRecord]) -> Mapping[str, Sequence[float | None]]:
    """Return size, tokens, loss and budget of runs of one row each; a budget of 0 is none.

    Raises:
        EstimateError: if they are no such runs.
    """
    rows = [record.rows[0] for record in records if len(record.rows) == 1 and record.status == "finished"]
    if len(rows) < len(records) or any(not row.get(name) for row in rows for name in ("params", "tokens")):
        raise EstimateError("These trials are no training runs with a size and a number of tokens.")
    names = ("params", "tokens", "loss", "budget")
    table: dict[str, Sequence[float | None]] = {name: [row.get(name) for row in rows] for name in names}
    if not all(table["budget"]):
        del table["budget"]
    return {**table, "run": [float(number) for number in range(len(rows))]}


@dataclass(frozen=True)
class Curve:
    """One IsoFLOP profile with its parabola."""

    budget: float
    """C in FLOPs."""
    size: Array
    """N (or D) of each cell, increasing, `[m]`."""
    loss: Array
    """Mean held-out loss of each cell, `[m]`."""
    seeds: Array
    """Runs in each cell, `[m]`."""
    fitted: tuple[Array, Array]
    """Sizes and losses along the parabola, over the cells that it was fitted to; empty if there is none."""
    optimum: float | None
    """The size at its vertex; None if refused."""
    lowest: float | None
    """The loss at its vertex."""
    problem: str
    """Why the optimum is refused."""


@dataclass(frozen=True)
class Profiles:
    """The IsoFLOP profiles of a sweep, smallest budget first."""

    curves: tuple[Curve, ...]
    of: str
    """`params` or `tokens`: what is on the axis."""
    slope: float | None
    """Of the line through the optima, d ln N* / d ln C; None with fewer than two."""
    judged: bool
    """Whether that slope is the estimate that was judged; else it is the plain line through the optima drawn."""
    comparable: bool
    """Whether the slope is what the attempt's estimator estimates, so that the published value belongs beside it."""

    def line(self, budget: float, slope: float) -> float:
        """Return the size at a budget on the line of this slope through the middle of the optima."""
        found = [(math.log(c.budget), math.log(c.optimum)) for c in self.curves if c.optimum]
        x, y = (sum(column) / len(found) for column in zip(*found, strict=True))
        return math.exp(y + slope * (math.log(budget) - x))


def profiles_of(attempt: Attempt, sweep: Sweep, alone: bool = True) -> Profiles | None:
    """Return the IsoFLOP profiles of a sweep, with the parabolas that its estimator fits; None without two budgets of three sizes.

    Args:
        attempt: whose estimator says how parabolas are fitted.
        sweep: its runs.
        alone: whether it is the attempt's only sweep, so that what was judged is its slope.
    """
    if sweep.budget is None:
        return None
    arguments: Mapping[str, Any] = attempt.sealed.arguments
    of = "tokens" if arguments.get("of") == "tokens" else "params"
    window, points = float(arguments.get("window", 0.15)), int(arguments.get("min_points", 5))
    curves = tuple(
        _curve(_profile(sweep, float(budget), of), window, points) for budget in np.unique(sweep.budget).tolist()
    )
    if sum(len(curve.size) >= 3 for curve in curves) < 2:
        return None
    comparable = alone and _is_isoflop_exponent(attempt)
    judged = _judged_slope(attempt) if comparable else None
    found = [curve for curve in curves if curve.optimum]
    plain = None
    if len(found) > 1:
        x, y = (np.log([getattr(curve, name) for curve in found]) for name in ("budget", "optimum"))
        plain = float(slope_of(x, y, np.ones(len(found))))
    usable = judged is not None and plain is not None
    return Profiles(curves, of, judged if usable else plain, usable, comparable)


def _is_isoflop_exponent(attempt: Attempt) -> bool:
    """Return whether an attempt is about one exponent of IsoFLOP profiles."""
    return attempt.sealed.estimator.endswith("isoflop_exponent") and len(attempt.sealed.parts) == 1


def _judged_slope(attempt: Attempt) -> float | None:
    """Return the exponent that was judged, if there is one."""
    if attempt.verdict is None or len(attempt.verdict.parts) != 1:
        return None
    (part,) = attempt.verdict.parts.values()
    return part.estimate.value


def _profile(sweep: Sweep, budget: float, of: str) -> Profile:
    assert sweep.budget is not None
    rows = np.flatnonzero(sweep.budget == budget)
    log_size = np.log(sweep.params if of == "params" else sweep.tokens)
    cells = sorted(
        (rows[cell] for cell in cells_of(np.log(sweep.params[rows]))), key=lambda cell: float(log_size[cell].mean())
    )
    return Profile(
        budget,
        np.array([log_size[cell].mean() for cell in cells]),
        np.array([sweep.loss[cell].mean() for cell in cells]),
        np.array([len(np.unique(sweep.run[cell])) for cell in cells], dtype=float),
    )


def _curve(profile: Profile, window: float, min_points: int) -> Curve:
    found = find_optimum(profile, window, min_points)
    fitted = np.zeros(0), np.zeros(0)
    lowest = None
    if len(found.used) >= 3:
        x = profile.log_size[found.used]
        c = parabola(x, profile.seeds[found.used]) @ profile.loss[found.used]

        def height(log_size: Array) -> Array:
            return np.asarray(np.polynomial.polynomial.polyval(log_size - x.mean(), c))

        along = np.linspace(x.min(), x.max(), 60)
        fitted = np.exp(along), height(along)
        lowest = None if found.problem else float(height(np.array([found.log_size]))[0])
    return Curve(
        profile.budget,
        np.exp(profile.log_size),
        profile.loss,
        profile.seeds,
        fitted,
        None if found.problem else math.exp(found.log_size),
        lowest,
        found.problem,
    )


@dataclass(frozen=True)
class FittedLaw:
    """L(N, D) = E + A/N^α + B/D^β fitted to a sweep, or why it is not."""

    theta: tuple[float, ...]
    """θ = (ln A, ln B, ln E, α, β); empty if there is none."""
    problem: str = ""


def law_of(attempt: Attempt, sweep: Sweep) -> FittedLaw:
    """Return the parametric law that fits a sweep, by the summed Huber loss with the δ of the attempt's own fit."""
    if sweep.tokens_seen is None:
        return FittedLaw((), "the table has no training tokens")
    delta = attempt.sealed.arguments.get("delta", DELTA)
    return _law(sweep.params.tobytes(), sweep.tokens.tobytes(), sweep.loss.tobytes(), float(delta))


@lru_cache(maxsize=64)
def _law(params: bytes, tokens: bytes, loss: bytes, delta: float) -> FittedLaw:
    runs = Runs(*(np.log(np.frombuffer(values)) for values in (params, tokens, loss)))
    try:
        require_spread(runs)
        theta = find_law(runs, delta).theta
        require_identified(theta, runs)
    except EstimateError as error:
        return FittedLaw((), str(error))
    return FittedLaw(tuple(float(value) for value in theta))
