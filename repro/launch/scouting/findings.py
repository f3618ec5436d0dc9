"""What scout runs show: the best size at each budget, whether a grid is centred on it, and the best learning rate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from repro.launch.scouting.scout import Scouting, same_budget
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.approach2 import Profile, find_optimum

BESIDE = 2
"""Sizes that a grid must have on each side of its optimum."""
NEAREST = 3
"""Sizes through which the parabola of a coarse grid goes at least."""


@dataclass(frozen=True)
class Budget:
    """What the scout runs of one budget show."""

    flops: float
    tried: tuple[float, ...]
    """Parameters, smallest first."""
    losses: tuple[float, ...]
    optimum: float | None
    """N* in parameters, of a parabola in ln N through the lowest losses; None if it cannot be told."""
    problem: str
    """Why not."""
    grid: tuple[float, ...]
    """Sizes of the study's own trials."""
    diverged: int

    @property
    def smaller(self) -> int:
        """Sizes of the grid below the optimum; 0 if that is unknown."""
        return sum(size < self.optimum for size in self.grid) if self.optimum else 0

    @property
    def larger(self) -> int:
        """Sizes of the grid above it."""
        return sum(size > self.optimum for size in self.grid) if self.optimum else 0

    @property
    def centred(self) -> bool:
        """Whether the minimum is inside the grid, with sizes enough on each side."""
        return min(self.smaller, self.larger) >= BESIDE


@dataclass(frozen=True)
class Rates:
    """The learning rates that one size was trained with at one budget."""

    flops: float
    params: float
    rates: tuple[float, ...]
    """As the config has them, at the reference size; smallest first."""
    losses: tuple[float, ...]

    @property
    def best(self) -> float:
        """The rate of lowest loss."""
        return self.rates[int(np.argmin(self.losses))]

    @property
    def at_edge(self) -> bool:
        """Whether that is the smallest or the largest of the sweep, so that the best may lie beyond."""
        return self.best in (self.rates[0], self.rates[-1])


def budgets_of(scouting: Scouting, records: Sequence[TrialRecord]) -> list[Budget]:
    """Return what the records show of each budget, at the learning rate of the config, smallest budget first."""
    rate = getattr(scouting.config, "lr", None)
    at_rate = [record for record in records if rate is None or math.isclose(record.config["lr"], rate, rel_tol=1e-6)]
    return [_budget(flops, rows, scouting) for flops, rows in _by_budget(at_rate).items()]


def _by_budget(records: Sequence[TrialRecord]) -> dict[float, list[TrialRecord]]:
    found: dict[float, list[TrialRecord]] = {}
    for record in sorted(records, key=lambda record: float(record.config["budget"])):
        found.setdefault(float(record.config["budget"]), []).append(record)
    return found


def _budget(flops: float, records: Sequence[TrialRecord], scouting: Scouting) -> Budget:
    finished = [record for record in records if record.status == "finished"]
    losses: dict[float, list[float]] = {}
    for record in finished:
        losses.setdefault(record.value("params"), []).append(record.value("loss"))
    tried = sorted(losses)
    means = [float(np.mean(losses[size])) for size in tried]
    seeds = np.array([len(losses[size]) for size in tried], dtype=float)
    profile = Profile(flops, np.log(np.array(tried, dtype=float)), np.array(means), seeds)
    found = find_optimum(profile, min_points=NEAREST)
    grid = next((sizes for budget, sizes in scouting.grid.items() if same_budget(budget, flops)), ())
    optimum = None if found.problem else math.exp(found.log_size)
    return Budget(flops, tuple(tried), tuple(means), optimum, found.problem, grid, len(records) - len(finished))


def rates_of(records: Sequence[TrialRecord]) -> list[Rates]:
    """Return the sweeps over learning rates that the records hold, by budget and size."""
    found: dict[tuple[float, float], dict[float, float]] = {}
    for record in records:
        if record.status == "finished" and "lr" in record.config:
            cell = float(record.config["budget"]), record.value("params")
            found.setdefault(cell, {})[float(record.config["lr"])] = record.value("loss")
    return [
        Rates(flops, params, tuple(sorted(swept)), tuple(swept[rate] for rate in sorted(swept)))
        for (flops, params), swept in sorted(found.items())
        if len(swept) > 1
    ]


def first_sizes(scouting: Scouting, budgets: Sequence[Budget]) -> list[int | None]:
    """Return for each budget the rung at which as many rungs as the study trains lie best about its optimum.

    None where the optimum is unknown, or the ladder is too short for sizes enough on each side.
    """
    return [_first_size(scouting, budget.optimum) for budget in budgets]


def _first_size(scouting: Scouting, optimum: float | None) -> int | None:
    count = int(getattr(scouting.config, "sizes", 0))
    ladder = scouting.ladder
    if optimum is None or not count:
        return None
    fitting = [
        first
        for first in range(len(ladder) - count + 1)
        if sum(size < optimum for size in ladder[first : first + count]) >= BESIDE
        and sum(size > optimum for size in ladder[first : first + count]) >= BESIDE
    ]

    def off_centre(first: int) -> float:
        window = ladder[first : first + count]
        return abs(math.fsum(math.log(size) for size in window) / count - math.log(optimum))

    return min(fitting, key=off_centre, default=None)


def best_rate(sweeps: Sequence[Rates]) -> float | None:
    """Return the learning rate that is best over the sizes together: the minimum, in ln of the rate, of their mean loss.

    One size alone is too noisy to choose by. The minimum is that of the parabola through the lowest mean and its neighbours;
    None without a sweep, or if the lowest is at the edge of the rates that all sizes tried.
    """
    common = sorted(set.intersection(*(set(sweep.rates) for sweep in sweeps))) if sweeps else []
    losses = [math.fsum(sweep.losses[sweep.rates.index(rate)] for sweep in sweeps) / len(sweeps) for rate in common]
    lowest = int(np.argmin(losses)) if losses else 0
    if not 0 < lowest < len(common) - 1:
        return None
    x, loss = np.log(common[lowest - 1 : lowest + 2]), np.array(losses[lowest - 1 : lowest + 2])
    c = np.polyfit(x - x[1], loss, 2)
    return math.exp(x[1] - c[1] / (2 * c[0]))
