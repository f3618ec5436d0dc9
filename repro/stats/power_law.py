"""The exponent of a loss that falls as a power of one quantity: L = (x₀/x)^α, a straight line in logs.

Kaplan et al. 2020 (arXiv 2001.08361), Equations 1.1 and 1.2: x is the number of parameters of models that data do not limit, or the
number of tokens to train on of models that size does not limit.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import leave_one_out_se
from repro.stats.estimator import estimator
from repro.stats.levels import points_of
from repro.stats.one_text import require_one_text
from repro.stats.regression import FloatArray, weighted_line

__all__ = ["power_law_exponent"]

MIN_LEVELS = 3
"""Two points always lie on a line."""

OFFSET_LEVELS = 4
"""Levels below which a law with an irreducible loss, of three constants, has nothing to be checked against."""


@estimator(unit="level", simulator="repro.stats.simulators.power_law.tilt")
def power_law_exponent(records: Sequence[TrialRecord], *, x: str, loss: str = "loss") -> Estimate:
    """Return α of L = (x₀/x)^α: minus the slope of the line through ln L on ln x, one point a level of x.

    Runs of one level are averaged in logs. The standard error is the widest of three: the scatter of the levels about the line, a
    jackknife over levels, and the noise of single runs where levels have repeats; ν = levels − 2.

    Args:
        records: training runs, one row each.
        x: a column, or a field of the config: parameters, or tokens.
        loss: column of the held-out loss, nats a token.

    Returns:
        The exponent. In `extras`: `constant` (x₀), the three errors, `run_sd` (of ln L, from repeats), `curvature` (half the second
        derivative of ln L by ln x; 0 for a power law, positive where L levels off), `curvature_se`, and from a fit of
        L = E + (x₀/x)^α to four or more levels `irreducible_loss` (E) and `exponent_above_it` (α). They decide nothing.

    Raises:
        EstimateError: if a column is missing, a number is not positive, or fewer than three levels finished.
    """
    require_one_text(records)
    points = [point for record in records for point in points_of(record, x, loss)]
    finite = [(level, value) for level, value in points if math.isfinite(level) and math.isfinite(value)]
    diverged = len(points) - len(finite)
    if any(level <= 0 or value <= 0 for level, value in finite):
        raise EstimateError(f"a power law needs {x} and {loss} above 0.")
    by_level: dict[float, list[float]] = {}
    for level, value in finite:
        by_level.setdefault(level, []).append(math.log(value))
    if len(by_level) < MIN_LEVELS:
        raise EstimateError(
            f"an exponent with a standard error needs {MIN_LEVELS} or more values of {x} with finished runs, got {len(by_level)}."
        )
    levels = sorted(by_level)
    log_x, log_y = np.log(levels), np.array([np.mean(by_level[level]) for level in levels])
    line = weighted_line(log_x, log_y)
    centred = log_x - log_x.mean()
    pull = centred / (centred @ centred)
    run_sd = _run_sd([by_level[level] for level in levels])
    runs = np.array([len(by_level[level]) for level in levels])
    se_runs = None if run_sd is None else run_sd * math.sqrt(float((pull**2 / runs).sum()))
    se_left_out = float(leave_one_out_se(len(levels), lambda k: np.polyfit(log_x[k], log_y[k], 1)[0], fitted=2))
    extras: dict[str, float | None] = {
        "constant": _exp(-line.intercept / line.slope) if line.slope else None,
        "se_line": line.slope_se,
        "se_leave_one_out": se_left_out,
        "se_runs": se_runs,
        "run_sd": run_sd,
        **_curvature(log_x, log_y),
        **_with_offset(log_x, np.exp(log_y)),
    }
    return Estimate(
        -line.slope,
        se=max(line.slope_se, se_left_out, se_runs or 0.0),
        dof=len(levels) - 2,
        n=len(levels),
        unit="level",
        flags=("diverged",) if diverged else (),
        extras=extras,
        note=f"{loss} of {len(finite)} runs at {len(levels)} values of {x} from {levels[0]:.4g} to {levels[-1]:.4g}"
        + f"; {diverged} diverged and are left out" * bool(diverged),
    )


def _run_sd(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation of a run about the mean of its level, pooled; None without repeats."""
    dof = sum(len(group) - 1 for group in groups)
    if not dof:
        return None
    return math.sqrt(sum(float(((np.array(group) - np.mean(group)) ** 2).sum()) for group in groups) / dof)


def _curvature(log_x: FloatArray, log_y: FloatArray) -> dict[str, float | None]:
    """Return c₂ of a parabola through the points, and its standard error where a degree of freedom is left."""
    centred = log_x - log_x.mean()
    powers = np.vander(centred, 3)
    found, *_ = np.linalg.lstsq(powers, log_y, rcond=None)
    dof = len(log_x) - 3
    se = None
    if dof:
        residual = float(((log_y - powers @ found) ** 2).sum()) / dof
        se = math.sqrt(residual * float(np.linalg.inv(powers.T @ powers)[0, 0]))
    return {"curvature": float(found[0]), "curvature_se": se}


def _with_offset(log_x: FloatArray, y: FloatArray) -> dict[str, float | None]:
    """Fit y = E + (x₀/x)^α by least squares of ln y, 0 ≤ E < min y; None below four levels."""
    if len(y) < OFFSET_LEVELS:
        return {"irreducible_loss": None, "exponent_above_it": None}

    def line(offset: float) -> FloatArray:
        """Slope and intercept of ln(y − E), by weights that make its residuals those of ln y."""
        return np.asarray(np.polyfit(log_x, np.log(y - offset), 1, w=(y - offset) / y))

    def misfit(offset: float) -> float:
        return float((np.log(y / (offset + np.exp(np.polyval(line(offset), log_x)))) ** 2).sum())

    # The misfit may have a second valley where E nears the lowest loss, so look at it everywhere first.
    grid = np.linspace(0.0, 0.999 * float(y.min()), 100)
    best = int(np.argmin([misfit(offset) for offset in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(misfit, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    offset = float(found.x) if found.fun < misfit(grid[best]) else float(grid[best])
    return {"irreducible_loss": offset, "exponent_above_it": -float(line(offset)[0])}


def _exp(value: float) -> float | None:
    """Return e to the value, or None where that is no float."""
    return math.exp(value) if value < 700 else None
