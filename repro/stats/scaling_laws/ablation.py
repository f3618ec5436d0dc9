"""What changing a training recipe one step at a time does to the exponent of the compute-optimal size.

Porian et al. (2024, arXiv 2406.19146, Figure 1) go from Kaplan's exponent to Chinchilla's in steps: another counting, another
warm-up, another schedule, a tuned optimiser. Each step here is a set of runs, told by which fields of their config are set, read
under one counting; the exponent of each is Approach 2's, and what is tested is how far it falls from one step to the next.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import leave_one_out_se
from repro.stats.equivalence import welch_dof
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach2 import (
    MIN_BUDGETS,
    Optimum,
    Profile,
    Slope,
    find_optimum,
    fit_exponent,
    scatter,
    slope_of,
)
from repro.stats.scaling_laws.approach3 import MIN_DRAWS, at_least, one_of
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.loss_curves import TrainingRun, profiles_at, training_runs

__all__ = ["exponent_falls"]


@dataclass(frozen=True)
class Step:
    """Which runs, and how they are read."""

    name: str
    where: Mapping[str, bool] = field(default_factory=dict)
    """Fields of the config, and whether they are set (neither 0 nor false)."""
    read: str = "finals"
    """`finals`: each run ends at its budget. `curves`: one run of each size is read at all budgets, between its evaluations."""
    counting: str = "embedding+head+attention"
    """See `repro.stats.scaling_laws.Counting`."""

    def __post_init__(self) -> None:
        one_of("read", self.read, ("finals", "curves"))


@dataclass(frozen=True)
class Fitted:
    """The profiles of one step, their optima, and the exponent."""

    step: Step
    profiles: list[Profile]
    optima: list[Optimum]
    slope: Slope | None
    problem: str
    diverged: int

    @property
    def logs(self) -> tuple[Array, Array]:
        """ln C and ln N*, each `[budgets]`."""
        return np.log([p.budget for p in self.profiles]), np.array([o.log_size for o in self.optima])


@estimator(unit="budget")
def exponent_falls(
    records: Sequence[TrialRecord],
    *,
    steps: Sequence[Mapping[str, Any]],
    backwards: bool = False,
    window: float = 0.15,
    min_points: int = 5,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return how far d ln N* / d ln C falls from each step to the next: `fall_1`, `fall_2`, …

    Budgets are those of the runs that end at one. Where a step is read under another counting of compute, its budgets are the
    compute, counted so, of the same runs' optima: the budgets correspond, their numbers do not.

    The standard error of an exponent is `approach2`'s, the widest of a noise bootstrap of whole runs, a jackknife over budgets,
    and the scatter about the line. Errors of two steps add in squares, ν after Welch and Satterthwaite; two countings of the
    same runs share their noise, and their fall has the jackknife of the difference where there are four budgets or more.

    Args:
        records: training runs with `loss` curves where a step reads them.
        steps: fields of `Step`, in the order in which the exponent is said to fall.
        backwards: take the steps in the opposite order; a control, for then the exponents rise.
        window: nats above the lowest loss of a budget within which sizes enter its parabola.
        min_points: sizes that enter in any case, if there are as many.
        bootstrap: draws of the noise bootstrap.
        seed: of the bootstrap.

    Returns:
        The falls; without a value where a budget's optimum is refused. In `extras` both exponents with their standard errors.

    Raises:
        EstimateError: if no run belongs to a step, no step tells the budgets, or an argument has no such value.
    """
    at_least("bootstrap", bootstrap, MIN_DRAWS)
    wanted = [_step(fields) for fields in steps]
    if len(wanted) < 2:
        raise EstimateError(f"A fall needs two steps to fall between, got {len(wanted)}.")
    own = {step.name: _records_of(records, step) for step in wanted}
    budgets = sorted({r.value("budget") for s in wanted if s.read == "finals" for r in own[s.name]})
    if not budgets:
        raise EstimateError("No step reads 'finals', and only runs that end at a budget tell what the budgets are.")

    def fit(step: Step) -> Fitted:
        return fit_step(step, own[step.name], budgets, window, min_points, bootstrap, seed)

    fits = [fit(step) for step in (reversed(wanted) if backwards else wanted)]
    return {f"fall_{k}": _fall(above, below) for k, (above, below) in enumerate(pairwise(fits), start=1)}


def fit_step(
    step: Step,
    records: Sequence[TrialRecord],
    budgets: Sequence[float],
    window: float,
    min_points: int,
    bootstrap: int,
    seed: int,
) -> Fitted:
    """Find the optima of one step's budgets, and the line through them."""
    runs, diverged = training_runs(records, step.counting)
    find: Callable[[Profile], Optimum] = lambda profile: find_optimum(profile, window, min_points)  # noqa: E731
    if step.read == "finals":
        profiles, problem = profiles_at(runs, budgets, ends=True), ""
    else:
        at, problem = _corresponding(records, step, budgets, find)
        profiles = profiles_at(runs, at, ends=False)
    optima = [find(profile) for profile in profiles]
    refused = [f"at {p.budget:.3g} FLOPs {o.problem}" for p, o in zip(profiles, optima, strict=True) if o.problem]
    refused += [problem] * bool(problem)
    if not refused and len(profiles) < MIN_BUDGETS:
        refused.append(f"{len(profiles)} budgets give a slope no standard error, {MIN_BUDGETS} are needed")
    if refused:
        return Fitted(step, profiles, optima, None, "; ".join(refused), diverged)
    slope = fit_exponent(profiles, optima, scatter(profiles, optima), bootstrap, seed)
    return Fitted(step, profiles, optima, slope, "", diverged)


def _corresponding(
    records: Sequence[TrialRecord], step: Step, budgets: Sequence[float], find: Callable[[Profile], Optimum]
) -> tuple[list[float], str]:
    """Return what the step's counting makes of the compute at each budget's optimum, and why that cannot be said."""
    spent, _ = training_runs(records, "embedding+head+attention")
    counted, _ = training_runs(records, step.counting)
    optima = [find(profile) for profile in profiles_at(spent, budgets, ends=False)]
    if any(optimum.problem for optimum in optima):
        refused = "; ".join(f"at {c:.3g} FLOPs {o.problem}" for c, o in zip(budgets, optima, strict=True) if o.problem)
        return [], refused
    by_size = sorted(_ratios(spent, counted).items())
    log_size, log_ratio = (np.array(column) for column in zip(*by_size, strict=True))
    at = [c * math.exp(np.interp(o.log_size, log_size, log_ratio)) for c, o in zip(budgets, optima, strict=True)]
    return at, ""


def _ratios(spent: Sequence[TrainingRun], counted: Sequence[TrainingRun]) -> dict[float, float]:
    """Return, by ln N, the log of counted compute over compute spent: both are in proportion to the tokens."""
    return {
        math.log(one.params): math.log(other.flops_per_token / one.flops_per_token)
        for one, other in zip(spent, counted, strict=True)
    }


def _fall(above: Fitted, below: Fitted) -> Estimate:
    flags = ("diverged",) if above.diverged or below.diverged else ()
    notes = [f"{f.diverged} runs of {f.step.name} diverged and are left out" for f in (above, below) if f.diverged]
    notes += [f"{f.step.name}: {f.problem}" for f in (above, below) if f.problem]
    extras: dict[str, float | None] = {}
    for f in (above, below):
        extras |= {f"exponent_{f.step.name}": f.slope.value, f"se_{f.step.name}": f.slope.se} if f.slope else {}
        extras |= {
            f"optimal_params_{f.step.name}_{p.budget:.3g}": None if o.problem else math.exp(o.log_size)
            for p, o in zip(f.profiles, f.optima, strict=True)
        }
    n = min(len(above.profiles), len(below.profiles))
    if above.slope is None or below.slope is None:
        return Estimate(None, n=n, unit="budget", flags=flags, extras=extras, note="; ".join(notes))
    same_runs = above.step.where == below.step.where and len(above.profiles) == len(below.profiles)
    if same_runs and n > MIN_BUDGETS:
        se, dof = _jackknife(above, below), float(n - 2)
        notes.append("one set of runs, counted twice: the error is that of the difference")
    else:
        se = math.hypot(above.slope.se, below.slope.se)
        dof = welch_dof(above.slope.se, len(above.profiles) - 2, below.slope.se, len(below.profiles) - 2) or n - 2
    notes.append(
        f"{above.step.name} {above.slope.value:.3f} ({above.slope.se:.3f}), "
        f"{below.step.name} {below.slope.value:.3f} ({below.slope.se:.3f})"
    )
    value = above.slope.value - below.slope.value
    return Estimate(value, se=se, dof=dof, n=n, unit="budget", flags=flags, extras=extras, note="; ".join(notes))


def _jackknife(above: Fitted, below: Fitted) -> float:
    assert above.slope is not None
    assert below.slope is not None
    arms = [(*f.logs, s.weights) for f, s in ((above, above.slope), (below, below.slope))]

    def difference(kept: Any) -> float:
        first, second = (float(slope_of(x[kept], y[kept], w[kept])) for x, y, w in arms)
        return first - second

    return float(leave_one_out_se(len(arms[0][0]), difference, fitted=2))


def _step(fields: Mapping[str, Any]) -> Step:
    known = tuple(Step.__dataclass_fields__)
    for name in fields:
        if name not in known:
            raise EstimateError(f"A step has no '{name}'.{nearest(name, known)}")
    if "name" not in fields:
        raise EstimateError(f"Every step needs a name, got {dict(fields)}.")
    return Step(**fields)


def _records_of(records: Sequence[TrialRecord], step: Step) -> list[TrialRecord]:
    """Return the step's runs.

    Raises:
        EstimateError: if a field is unknown, or no run belongs to the step.
    """
    for name in step.where:
        if records and name not in records[0].config:
            raise EstimateError(
                f"The config of '{records[0].study}' has no field '{name}'.{nearest(name, records[0].config)}"
            )
    own = [r for r in records if all(bool(r.config[name]) == is_set for name, is_set in step.where.items())]
    if not own:
        raise EstimateError(f"No run belongs to the step '{step.name}', which wants {dict(step.where)}.")
    return own
