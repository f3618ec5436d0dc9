"""IsoFLOP profiles whose optima lie on another line: each budget's parabola moved, with fresh noise on every run."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.scaling_laws.sweep import Sweep
from repro.stats.simulators.losses import with_losses


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
    budgets, which = np.unique(sweep.budget, return_inverse=True)
    size = np.log(sweep.params if of == "params" else sweep.tokens)
    fits = [_Parabola(size[which == b], sweep.loss[which == b], window, min_points) for b in range(len(budgets))]
    convex = [fit.square for fit in fits if fit.square > 0]
    if not convex:
        raise EstimateError("no budget's losses curve upwards, so there is no profile to move.")
    square = np.array([fit.square if fit.square > 0 else np.median(convex) for fit in fits])
    log_c, optima = np.log(budgets), np.array([fit.optimum for fit in fits])
    scatter = 0.0
    if len(budgets) > 2:
        about_line = optima - np.polyval(np.polyfit(log_c, optima, 1), log_c)
        scatter = float(np.sqrt((about_line**2).sum() / (len(budgets) - 2)))
    on_line = optima.mean() + exponent * (log_c - log_c.mean()) + rng.normal(0.0, scatter, len(budgets))
    lowest = np.array([fit.lowest for fit in fits])
    noise = rng.normal(0.0, _noise(sweep, fits), int(sweep.run.max()) + 1)[sweep.run]
    losses = lowest[which] + square[which] * (size - on_line[which]) ** 2 + noise
    return with_losses(records, losses, (columns or {}).get("loss", "loss"))


class _Parabola:
    """The parabola of one budget near its minimum: lowest loss, half the curvature, vertex, and what is left over."""

    def __init__(self, size: Array, loss: Array, window: float, min_points: int) -> None:
        count = max(int((loss <= loss.min() + window).sum()), min(min_points, len(loss)))
        used = loss <= np.sort(loss)[count - 1]
        x = size[used] - size[used].mean()
        c2, c1, c0 = np.polyfit(x, loss[used], 2) if used.sum() > 2 else (0.0, 0.0, float(loss.min()))
        inside = c2 > 0 and x.min() < -c1 / (2 * c2) < x.max()
        self.square = float(c2)
        self.optimum = float(size[used].mean() - c1 / (2 * c2)) if inside else float(size[loss.argmin()])
        self.lowest = float(c0 - c1**2 / (4 * c2)) if inside else float(loss.min())
        self.residuals = loss[used] - np.polyval((c2, c1, c0), x)


def _noise(sweep: Sweep, fits: Sequence[_Parabola]) -> float:
    """Return the standard deviation of one run's loss, in the unit of the losses."""
    cells: dict[tuple[float, float, float], list[float]] = {}
    assert sweep.budget is not None
    for budget, params, tokens, loss in zip(sweep.budget, sweep.params, sweep.tokens, sweep.loss, strict=True):
        cells.setdefault((budget, params, tokens), []).append(loss)
    squares = sum(float(((np.array(cell) - np.mean(cell)) ** 2).sum()) for cell in cells.values())
    dof = sum(len(cell) - 1 for cell in cells.values())
    if not dof:
        squares = sum(float((fit.residuals**2).sum()) for fit in fits)
        dof = sum(max(len(fit.residuals) - 3, 0) for fit in fits)
    if not dof:
        raise EstimateError("no noise can be simulated: no cell was run twice and no budget has more than three sizes.")
    return math.sqrt(squares / dof)
