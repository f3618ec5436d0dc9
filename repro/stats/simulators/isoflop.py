"""IsoFLOP profiles whose optima lie on another line: each budget's parabola moved, with fresh noise on every run."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.simulators.losses import with_losses

MIN_BUDGETS = 3
"""Of a published table: two budgets always lie on a line."""

SAME_EXPONENT = 1e-9

Whole = NDArray[np.intp]
Inner = NDArray[np.bool_]
Optima = Callable[[Array], tuple[Whole, Array, Array, Inner]]
"""Runs `[n, 3]` (budget, size, loss) to the budget of each, and ln C, ln N* and whether that is an inner minimum of each budget."""


def profiles(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    counting: str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    budget_tolerance: float = 0.0,
    of: str = "params",
    window: float = 0.15,
    min_points: int = 5,
    **others: Any,
) -> list[TrialRecord]:
    """Return training runs whose loss is c₀ + c₂ (ln size − ln size*)² + noise, ln size* on a line with the true exponent.

    Budgets, sizes and seeds stay as recorded; c₀ and c₂ are those of the recorded parabolas. The line goes through the mean of
    the recorded optima, so under a rival's exponent the outer optima move along, and where they leave the grid the
    estimator refuses the profile, as it would have.

    The noise has two parts. A run's loss scatters as repeats of a cell do, else as the runs about their parabolas. An optimum
    scatters about the line as the recorded ones do (budgets − 2 degrees of freedom): tuning that suits one budget better than
    another moves all runs of a budget together, and no repeat shows it. The second holds a little of the first, which is
    then counted twice.

    Args:
        records: training runs, as the estimator reads them.
        truth: the exponent.
        rng: the source of chance.
        counting: as the estimator's, with `columns`, `derive` and `budget_tolerance`.
        columns: the table's own names by role.
        derive: `flops` or `tokens`.
        budget_tolerance: of budgets that form one profile.
        of: `params` or `tokens`.
        window: nats above the lowest loss within which runs shape the parabola.
        min_points: runs that do so in any case.
        others: further arguments of the estimator, which do not change the data.

    Raises:
        EstimateError: with fewer than two budgets, or where neither repeats nor parabolas show any noise.
    """
    del others
    (exponent,) = truth.values()
    sweep, _ = sweep_of(records, counting=counting, columns=columns, derive=derive, budget_tolerance=budget_tolerance)
    if sweep.budget is None or len(np.unique(sweep.budget)) < 2:
        raise EstimateError("profiles of at least two budgets are required to move their optima.")
    size = np.log(sweep.params if of == "params" else sweep.tokens)
    runs = int(sweep.run.max()) + 1
    fits = _Fits(sweep.budget, size, sweep.loss, window, min_points)
    cells = list(zip(sweep.budget, sweep.params, sweep.tokens, strict=True))
    noise = rng.normal(0.0, fits.noise(cells), runs)[sweep.run]
    return with_losses(records, fits.moved(exponent, rng) + noise, (columns or {}).get("loss", "loss"))


def settings(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    settings: Mapping[str, str],
    window: float = 0.15,
    min_points: int = 5,
) -> list[TrialRecord]:
    """Return published IsoFLOP points, each setting with its true exponent; for `repro.stats.isoflop_points.parabola_exponents`.

    How they scatter: see `with_exponents`. A budget whose lowest loss is at the end of its sizes shows no optimum; it moves
    along and is left out as it was.

    Args:
        records: one trial a setting, and its replicates.
        truth: of `<name>` the exponent a, or of `<name>_ratio_slope` 1 − 2a.
        rng: the source of chance.
        settings: name of a part by the recipe's setting.
        window: as for `profiles`.
        min_points: as for `profiles`.

    Raises:
        EstimateError: as `profiles`; for another part; or if both parts of a setting name different exponents.
    """
    exponents: dict[str, float] = {}
    for part, value in truth.items():
        name = part.removesuffix("_ratio_slope")
        exponent = value if part == name else (1 - value) / 2
        if name not in settings:
            raise EstimateError(f"'{part}' is no exponent of a setting, so no points can be drawn for it.")
        if abs(exponents.setdefault(name, exponent) - exponent) > SAME_EXPONENT:
            raise EstimateError(f"'{name}' has two exponents, {exponents[name]:g} and {exponent:g}.")
    return with_exponents(
        records,
        {settings[n]: a for n, a in exponents.items()},
        rng,
        partial(_of_parabolas, window=window, min_points=min_points),
    )


def falls(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    settings: Sequence[str],
    **others: Any,
) -> list[TrialRecord]:
    """Return published IsoFLOP points whose exponents fall by the truth from each of these settings to the next.

    The parts are `fall_1`, `fall_2`, …; the first setting keeps its exponent, by the lowest points of splines. Settings of the same runs are
    drawn apart, so what two of them share is lost.
    """
    del others
    _, log_c, best, inner = _of_splines(_table(records, settings[0]))
    exponents = {settings[0]: float(np.polyfit(log_c[inner], best[inner], 1)[0])}
    for k, (above, below) in enumerate(pairwise(settings), start=1):
        exponents[below] = exponents[above] - truth[f"fall_{k}"]
    return with_exponents(records, exponents, rng, _of_splines)


def with_exponents(
    records: Sequence[TrialRecord], exponents: Mapping[str, float], rng: np.random.Generator, optima: Optima
) -> list[TrialRecord]:
    """Return the records with each setting's points moved to its exponent; other settings stay as recorded.

    Each budget's curve moves as a whole, N·x at D/x: losses stay, so its shape does, and the sizes lie about the optimum as
    they did. What is drawn is how far the optima lie off their line, normal as recorded (budgets − 2 degrees of freedom); that
    holds the noise of single runs, which are not redrawn besides.
    """
    new = {}
    for setting, exponent in exponents.items():
        which, log_c, best, inner = optima(_table(records, setting))
        x = log_c - log_c[inner].mean()
        line = np.polyfit(x[inner], best[inner], 1)
        scatter = math.sqrt(float(((best - np.polyval(line, x))[inner] ** 2).sum()) / (inner.sum() - 2))
        wanted = line[1] + exponent * x + rng.normal(0.0, scatter, len(x))
        moves = np.where(inner, wanted - best, (exponent - line[0]) * x)
        new[setting] = np.exp(moves)[which]
    drawn = []
    for record in records:
        of = next((setting for setting in new if record.config.get("setting", setting) == setting), None)
        if of is None or record.status != "finished":
            drawn.append(record)
            continue
        rows = tuple(
            {
                **row,
                "params": float(factor) * (row["params"] or math.nan),
                "tokens": (row["tokens"] or math.nan) / float(factor),
            }
            for row, factor in zip(record.rows, new[of], strict=True)
        )
        drawn.append(replace(record, rows=rows))
    return drawn


def _of_parabolas(points: Array, window: float, min_points: int) -> tuple[Whole, Array, Array, Inner]:
    """Return the budget of each run, and of each budget ln C, the vertex of its parabola, and whether it is an inner one."""
    fits = _Fits(points[:, 0], np.log(points[:, 1]), points[:, 2], window, min_points)
    return fits.which, fits.log_c, fits.optima, _enough(fits.inner)


def _of_splines(points: Array) -> tuple[Whole, Array, Array, Inner]:
    """Return the same for the lowest point of Akima's spline through each budget's losses."""
    from scipy.interpolate import Akima1DInterpolator

    budgets, which = np.unique(points[:, 0], return_inverse=True)
    best, inner = np.empty(len(budgets)), np.zeros(len(budgets), dtype=bool)
    for b in range(len(budgets)):
        size, first = np.unique(np.log(points[which == b, 1]), return_index=True)
        loss = points[which == b, 2][first]
        grid = np.linspace(size[0], size[-1], 25 * len(size))
        at = int((Akima1DInterpolator(size, loss)(grid) if len(size) > 2 else np.interp(grid, size, loss)).argmin())
        best[b], inner[b] = grid[at], 0 < at < len(grid) - 1
    return which, np.log(budgets), best, _enough(inner)


def _enough(inner: Inner) -> Inner:
    if inner.sum() < MIN_BUDGETS:
        raise EstimateError(f"{inner.sum()} budgets have an inner minimum; {MIN_BUDGETS} are required.")
    return inner


def _table(records: Sequence[TrialRecord], setting: str) -> Array:
    """Return budget, size and loss of a setting's runs, `[n, 3]`."""
    found = [r for r in records if r.status == "finished" and r.config.get("setting", setting) == setting]
    if not found:
        raise EstimateError(f"no points can be drawn for the setting '{setting}': no finished trial is of it.")
    return np.array([found[0].column(name) for name in ("budget", "params", "loss")]).T


class _Fits:
    """The parabolas of all budgets of one table, and how their optima scatter about a line in ln C."""

    def __init__(self, budget: Array, size: Array, loss: Array, window: float, min_points: int) -> None:
        budgets, self.which = np.unique(budget, return_inverse=True)
        self._size, self._loss, self.log_c = size, loss, np.log(budgets)
        own = [self.which == b for b in range(len(budgets))]
        self._parabolas = [_Parabola(size[rows], loss[rows], window, min_points) for rows in own]
        self.optima = np.array([fit.optimum for fit in self._parabolas])
        self.inner = np.array([fit.inner for fit in self._parabolas])

    def moved(self, exponent: float, rng: np.random.Generator) -> Array:
        """Return the loss of every run about optima on a line of this slope, each off it as recorded."""
        convex = [fit.square for fit in self._parabolas if fit.square > 0]
        if not convex:
            raise EstimateError("no budget's losses curve upwards, so there is no profile to move.")
        square = np.array([fit.square if fit.square > 0 else np.median(convex) for fit in self._parabolas])
        on = self.inner if self.inner.sum() >= 2 else np.ones(len(self.inner), dtype=bool)
        x, y = self.log_c[on], self.optima[on]
        scatter = 0.0
        if len(x) > 2:
            scatter = float(np.sqrt(((y - np.polyval(np.polyfit(x, y, 1), x)) ** 2).sum() / (len(x) - 2)))
        optima = y.mean() + exponent * (self.log_c - x.mean()) + rng.normal(0.0, scatter, len(self.log_c))
        lowest = np.array([fit.lowest for fit in self._parabolas])
        return np.asarray(lowest[self.which] + square[self.which] * (self._size - optima[self.which]) ** 2)

    def noise(self, cells: Sequence[tuple[float, ...]]) -> float:
        """Return the standard deviation of one run's loss: as between repeats of a cell, else about the parabolas."""
        repeats: dict[tuple[float, ...], list[float]] = {}
        for cell, loss in zip(cells, self._loss, strict=True):
            repeats.setdefault(cell, []).append(float(loss))
        squares = sum(float(((np.array(cell) - np.mean(cell)) ** 2).sum()) for cell in repeats.values())
        dof = sum(len(cell) - 1 for cell in repeats.values())
        if not dof:
            squares = sum(float((fit.residuals**2).sum()) for fit in self._parabolas)
            dof = sum(max(len(fit.residuals) - 3, 0) for fit in self._parabolas)
        if not dof:
            raise EstimateError(
                "no noise can be simulated: no cell was run twice and no budget has more than three sizes."
            )
        return math.sqrt(squares / dof)


class _Parabola:
    """The parabola of one budget near its minimum: lowest loss, half the curvature, vertex, and what is left over."""

    def __init__(self, size: Array, loss: Array, window: float, min_points: int) -> None:
        count = max(int((loss <= loss.min() + window).sum()), min(min_points, len(loss)))
        used = loss <= np.sort(loss)[count - 1]
        x = size[used] - size[used].mean()
        c2, c1, c0 = np.polyfit(x, loss[used], 2) if used.sum() > 2 else (0.0, 0.0, float(loss.min()))
        inside = c2 > 0 and x.min() < -c1 / (2 * c2) < x.max()
        ends = size.min(), size.max()
        self.inner = bool(inside and size[loss.argmin()] not in ends)
        """Whether an optimum is seen: the lowest loss is at no end of the sizes."""
        self.square = float(c2)
        self.optimum = float(size[used].mean() - c1 / (2 * c2)) if inside else float(size[loss.argmin()])
        self.lowest = float(c0 - c1**2 / (4 * c2)) if inside else float(loss.min())
        self.residuals = loss[used] - np.polyval((c2, c1, c0), x)
