"""Where the fit ends from different starting points, and under optimisers that stop early.

Appendix D.2 of Hoffmann et al. 2022 (arXiv 2203.15556) runs L-BFGS from a grid of 4,500 starting points. Besiroglu et
al. 2024 (arXiv 2404.10102) found that averaging the Huber loss over runs, instead of summing it, makes L-BFGS with
its default tolerances stop early: an averaged loss of 1e-5 falls by less than the tolerance, which SciPy measures
against max(|f|, 1).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import from_table, named_constants, one_of
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.huber import DELTA, Runs, loss_and_gradient, starting_grid, summed_loss
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.newton import minimise
from repro.stats.scaling_laws.records import published_runs
from repro.stats.signflip import signed_ranks

REDUCTIONS = ("sum", "mean", "inflated")
"""What L-BFGS minimises: the Huber loss summed over the n runs, its average, or, to the other side, n times the sum."""


def lbfgs(starts: Array, runs: Runs, reduction: str = "sum", delta: float = DELTA) -> tuple[Array, Array]:
    """Run SciPy's L-BFGS-B with its default tolerances from each start `[R, 5]`.

    Returns:
        The θ reached `[R, 5]` and their *summed* Huber losses `[R]`, whatever was minimised.
    """
    from scipy.optimize import minimize

    factor = {"sum": 1.0, "mean": 1 / len(runs), "inflated": float(len(runs))}[reduction]

    def value_and_slope(theta: Array) -> tuple[float, Array]:
        value, slope = loss_and_gradient(theta, runs, delta)
        return factor * value, factor * slope

    reached = np.array([minimize(value_and_slope, start, jac=True, method="L-BFGS-B").x for start in starts])
    return reached, summed_loss(reached, runs, delta=delta)


@estimator(unit="slice of the starting grid")
def fit_invariance(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    optimiser: str = "newton",
    reduction: str = "sum",
    delta: float = DELTA,
) -> Estimate:
    """Return the largest relative difference between constants fitted from different parts of the starting grid.

    The grid of Appendix D.2 is cut into 27 slices, one for each initial value of a, b, e, α or β. The best fit of a
    slice gives five constants; the value is the largest |x / x₀ − 1| over slices and constants, with x₀ from the best
    start of all. Single starts need not arrive: from some, a term of the law vanishes and never returns (`extras`).

    Args:
        records: trials that read one table of runs.
        counting: what N and C include; see `read_sweep`, as for `columns` and `derive`.
        columns: the table's own column names by role.
        derive: `flops` or `tokens`, where the table lacks them.
        optimiser: `newton` (`huber.minimise`, to double precision) or `lbfgs` (SciPy's defaults).
        reduction: for `lbfgs`, one of `REDUCTIONS`.
        delta: δ of the Huber loss on ln L.

    Raises:
        EstimateError: if the records hold no usable table or an argument has no such value.
    """
    one_of("optimiser", optimiser, ("newton", "lbfgs"))
    one_of("reduction", reduction, ("sum",) if optimiser == "newton" else REDUCTIONS)
    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    grid = starting_grid()
    reached, value = minimise(grid, runs, delta=delta) if optimiser == "newton" else lbfgs(grid, runs, reduction, delta)
    slices = [np.flatnonzero(grid[:, k] == start) for k in range(5) for start in np.unique(grid[:, k])]
    best = np.array([members[value[members].argmin()] for members in slices])
    found = np.array(list(named_constants(reached[best]).values()))
    reference = np.array(list(named_constants(reached[value.argmin()][None]).values()))
    arrived = value <= value.min() * (1 + 1e-8)
    interior = np.all([(column > column.min()) & (column < column.max()) for column in grid.T], axis=0)
    return from_table(
        float(np.abs(found / reference - 1).max()),
        flags,
        extras={
            "starts": float(len(grid)),
            "starts_at_the_optimum": float(arrived.sum()),
            "interior_starts_at_the_optimum": float((arrived & interior).sum()),
            "slices_at_the_optimum": float(arrived[best].sum()),
            "huber_loss": float(value.min()),
        },
        note=f"{int(arrived.sum())} of {len(grid)} starts end within 1e-8 of the lowest loss, "
        f"{int(arrived[best].sum())} of {len(slices)} slices contain one",
    )


@estimator(unit="start")
def early_stop(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    reduction: str = "mean",
    starts: int = 25,
    seed: int = 0,
    delta: float = DELTA,
) -> Estimate:
    """Compare the loss that default L-BFGS reaches under `reduction` with the one it reaches under the sum.

    The units are the starts, each with ln(loss under `reduction` / loss under the sum) of the summed Huber losses;
    positive means that `reduction` stopped higher up. They spread over seven orders of magnitude, because from many
    starts both end on the same plateau, so the units are given as signed ranks and the value is their median.

    Args:
        records: trials that read one table of runs.
        counting: what N and C include; see `read_sweep`, as for `columns` and `derive`.
        columns: the table's own column names by role.
        derive: `flops` or `tokens`, where the table lacks them.
        reduction: `mean`; or, as a control, `inflated`.
        starts: starting points drawn without replacement from the grid of Appendix D.2; both reductions use them.
        seed: of that draw.
        delta: δ of the Huber loss on ln L.

    Raises:
        EstimateError: if the records hold no usable table or an argument has no such value.
    """
    one_of("reduction", reduction, REDUCTIONS)
    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    grid = starting_grid()
    chosen = grid[np.random.default_rng(seed).choice(len(grid), size=starts, replace=False)]
    other, summed = (lbfgs(chosen, runs, name, delta)[1] for name in (reduction, "sum"))
    gaps = np.log(other / summed)
    return Estimate(
        float(np.median(gaps)),
        n=starts,
        unit="start",
        units=signed_ranks(gaps.tolist()),
        flags=(*flags, "ranked"),
        extras={
            "mean_gap": float(gaps.mean()),
            "starts_stopped_higher": float((gaps > 0).sum()),
            "lowest_loss": float(other.min()),
            "lowest_loss_by_sum": float(summed.min()),
        },
        note=f"{reduction} stopped higher than the sum from {int((gaps > 0).sum())} of {starts} starts",
    )
