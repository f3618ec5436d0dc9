"""The global optimum of the parametric fit, and what shows that it is the global one.

Two methods that share nothing look for it. Newton descents (`newton`) start from the grid of Appendix D.2 of Hoffmann et al. 2022:
from those of its 4,500 points that are lowest, or from all. Variable projection (`varpro`) maps the objective over all exponents α, β,
so that every basin shows, and zooms into the lowest; where a narrow valley stops it, it looks about the end of the descents
instead (`projection_by_itself` 0). The optimum is called certified if nothing that was tried lies
lower, if both methods end at one objective, and if the exponents lie inside the map.
"""

from dataclasses import dataclass

import numpy as np

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws.huber import DELTA, Runs, gradient_of_log_loss, starting_grid, summed_loss
from repro.stats.scaling_laws.lad import fit
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.newton import minimise
from repro.stats.scaling_laws.varpro import map_exponents, zoom

SCREENED = 24
"""Starts of lowest objective that are followed where not all are."""

SAME = 1e-6
"""Ends whose objectives differ by less than this share are one."""

FITTED = 5
"""Constants of the law: E, A, B, α, β."""

COLLINEAR = 1e-4
"""Share of the variance of ln D that ln N leaves unexplained, below which the sizes are collinear."""

VANISHED = 1e-6
"""Share of the largest below which a term changes no loss."""

NARROW = 1e-4
"""δ below which reweighting stalls a little above the minimum, so that agreement within `ONE_BASIN` is asked of projection."""

ONE_BASIN = 1e-3

WORST_CONDITION = 1e3
"""Condition number of the scaled Jacobian above which α and β are not separately identified."""


@dataclass(frozen=True)
class Optimum:
    """The lowest point found and the evidence that there is none lower."""

    theta: Array
    """θ `[5]`."""
    objective: float
    starts: int
    """Descents followed to their end; `screened` starts were compared."""
    arrived: int
    """Descents that ended at the optimum."""
    basins: int
    """Local minima of the map over α and β."""
    runner_up: float
    """Objective of the next higher end of a descent over the optimum's, minus 1; infinite if all ended there."""
    projected: float
    """Objective that variable projection reached, over the optimum's, minus 1."""
    independent: bool
    """Whether it got there from the map alone; if not, it was led to the descents' end and found nothing lower about it."""
    problem: str
    """Why it is not certified; empty if it is."""

    @property
    def certified(self) -> bool:
        """Whether everything that was tried agrees."""
        return not self.problem

    @property
    def extras(self) -> dict[str, float | None]:
        """The evidence as figures of an estimate."""
        return {
            "certified": float(self.certified),
            "starts_followed": float(self.starts),
            "starts_at_the_optimum": float(self.arrived),
            "basins": float(self.basins),
            "runner_up_gap": self.runner_up if np.isfinite(self.runner_up) else None,
            "projection_gap": self.projected,
            "projection_by_itself": float(self.independent),
        }


def find_optimum(runs: Runs, delta: float = DELTA, every_start: bool = False) -> Optimum:
    """Find the least summed Huber loss, and check that it is the least.

    Args:
        runs: at least six runs.
        delta: δ ≥ 0 of the Huber loss; 0 for least absolute deviations.
        every_start: follow all 4,500 starts to their end (seconds) instead of the lowest few (a fifth of a second).
    """
    chart = map_exponents(runs, delta)
    grid = starting_grid()
    if every_start:
        followed = minimise(grid, runs, delta=max(delta, DELTA))[0]
    else:
        heights = [summed_loss(part, runs, delta=max(delta, DELTA)) for part in np.array_split(grid, 18)]
        followed = grid[np.argsort(np.concatenate(heights), kind="stable")[:SCREENED]]
    starts = np.concatenate([followed, chart.basins]) if len(chart.basins) else followed
    if every_start and delta < DELTA:
        starts = _lowest_ends(starts, runs)
    reached, objective = fit(starts, runs, delta=delta)
    best = int(objective.argmin())
    lowest = float(objective[best])
    same = SAME * (lowest + SAME * len(runs) * max(delta, SAME))  # exact data have no residual to compare with
    higher = objective[objective > lowest + same]
    by_projection, projected = zoom(chart.theta[chart.objective.argmin()], runs, delta)
    independent = abs(by_projection - lowest) <= same
    if (
        not independent
    ):  # a narrow valley can stop the zoom: about the descents' end it still tells whether they had arrived
        about = zoom(reached[best], runs, delta, reweighted=300)
        by_projection, projected = about if about[0] < by_projection else (by_projection, projected)
    gap = by_projection / lowest - 1 if lowest > 0 else 0.0
    if gap < -1e-12:  # variable projection went lower: polish that instead
        reached, objective = fit(projected[None], runs, delta=delta)
        best = 0
    problem = ""
    if gap < -1e-9 and objective[best] < lowest - same:
        problem = "variable projection found a lower point than the descents"
    elif abs(gap) > (SAME if delta >= NARROW else ONE_BASIN) and lowest > 1e-14 * len(runs):
        problem = f"variable projection ends {gap:.1e} away from the descents"
    elif not chart.interior:
        problem = "the lowest point over α and β is at the edge of the map"
    return Optimum(
        theta=np.asarray(reached[best]),
        objective=float(objective[best]),
        starts=len(grid) if every_start else len(starts),
        arrived=int((objective <= lowest + same).sum()),
        basins=len(chart.basins),
        runner_up=float(higher.min()) / lowest - 1 if len(higher) and lowest > 0 else float("inf"),
        projected=gap,
        independent=independent,
        problem=problem,
    )


def require_spread(runs: Runs) -> None:
    """Refuse runs whose sizes cannot identify two exponents, whatever their losses.

    Raises:
        EstimateError: if there are no more runs than constants, if N or D does not vary, or if ln D is linear in ln N.
    """
    if len(runs) <= FITTED:
        raise EstimateError(
            f"The five constants of L(N, D) = E + A/N^α + B/D^β need more than five runs, got {len(runs)}."
        )
    x, z = runs.log_params - runs.log_params.mean(), runs.log_tokens - runs.log_tokens.mean()
    for name, values in (("sizes N", x), ("numbers of tokens D", z)):
        if np.ptp(values) < 1e-6:
            raise EstimateError(
                f"All runs have equal {name}, so one exponent of L(N, D) = E + A/N^α + B/D^β cannot be told from the constant E. "
                f"Add runs in which they differ."
            )
    correlation = float(x @ z / np.sqrt((x @ x) * (z @ z)))
    if 1 - correlation**2 < COLLINEAR:
        raise EstimateError(
            f"ln N and ln D lie on a line (correlation {correlation:.6f}), as with a constant number of tokens per parameter or one "
            f"budget, so A/N^α and B/D^β cannot be told apart: α and β are not separately identified. Add runs off that line."
        )


def require_identified(theta: Array, runs: Runs) -> float:
    """Return the condition number of the law's Jacobian at θ, its columns scaled to unit length, ln N and ln D centred.

    Raises:
        EstimateError: if an exponent is not positive, a term of the law has vanished, or the runs leave some combination of the
            five constants open.
    """
    if min(theta[3], theta[4]) <= 0:
        raise EstimateError(
            f"The best fit of L(N, D) = E + A/N^α + B/D^β has α = {theta[3]:.3g} and β = {theta[4]:.3g}; a scaling law needs both above "
            f"zero. These runs do not follow it, or vary N and D too little to show that they do."
        )
    x, z = runs.log_params - runs.log_params.mean(), runs.log_tokens - runs.log_tokens.mean()
    centred = theta.copy()
    centred[0] -= theta[3] * runs.log_params.mean()
    centred[1] -= theta[4] * runs.log_tokens.mean()
    jacobian = gradient_of_log_loss(centred[None], Runs(x, z, runs.log_loss))[0]
    length = np.linalg.norm(jacobian, axis=1)
    if length.min() < VANISHED * length.max():
        term = ("A/N^α", "B/D^β", "E", "A/N^α", "B/D^β")[int(length.argmin())]
        raise EstimateError(
            f"In the best fit the term {term} has vanished, so its constants are not identified: the runs do not show all three "
            f"terms of L(N, D) = E + A/N^α + B/D^β. Add runs of more sizes and tokens."
        )
    condition = float(np.linalg.cond(jacobian / length[:, None]))
    if condition > WORST_CONDITION:
        correlation = float(np.corrcoef(x, z)[0, 1])
        raise EstimateError(
            f"The runs do not identify the five constants of L(N, D) = E + A/N^α + B/D^β separately: the Jacobian's condition "
            f"number is {condition:.1e}, above {WORST_CONDITION:.0e} (correlation of ln N and ln D {correlation:.4f}). Add runs that "
            f"vary N and D independently and over wider ranges."
        )
    return condition


def _lowest_ends(theta: Array, runs: Runs, most: int = 64) -> Array:
    """Return one θ of each end that the descents at the usual δ reached, the lowest first."""
    value = np.array([float(summed_loss(part[None], runs)[0]) for part in theta])
    order = np.argsort(value, kind="stable")
    fresh = np.concatenate([[True], np.diff(value[order]) > 1e-4 * value[order][:-1]])
    return np.asarray(theta[order[fresh][:most]])
