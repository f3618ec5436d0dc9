"""Approach 1: the envelope of training curves. At each compute, the run of lowest loss; a power law through their sizes.

Hoffmann et al. 2022 (arXiv 2203.15556), section 3.1: models of several sizes, each trained over several horizons; at 1,500 computes
spaced evenly in logs the run that reaches the lowest loss tells N and D; lines through ln N and ln D on ln C have slopes a and b.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.bootstrap import resamples
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import MIN_DRAWS, at_least, one_of
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.records import sweep_of
from repro.stats.scaling_laws.sweep import Sweep

LEVELS = 1500
"""Computes at which the envelope is read (section 3.1)."""

MIN_SIZES = 3
"""Sizes on the envelope below which a slope has no error."""

LOST_DRAWS = 0.05
"""Share of resamples without an envelope of three sizes, above which the estimate is `heavy_tailed`."""


@dataclass(frozen=True)
class Curves:
    """Every run's loss and tokens at every level of compute; NaN where the run has no checkpoints about it."""

    log_compute: Array
    """ln C of the levels, `[k]`."""
    loss: Array
    """`[runs, k]`."""
    log_tokens: Array | None
    """`[runs, k]`; None unless the exponent is of tokens."""
    log_params: Array
    """`[runs]`."""
    alone: int
    """Runs (or sizes) with one point, which are no curve and are left out."""


@dataclass(frozen=True)
class Envelope:
    """The best run at each level that has one."""

    slope: float
    """NaN if fewer than three sizes are on it."""
    sizes: int
    """Distinct sizes on it."""
    runs: int
    """Distinct runs on it."""
    levels: int
    """Levels that it was fitted to."""
    censored: float
    """Share of the levels left out because no smaller, or no larger, size was trained through them."""


def approach1(
    sweep: Sweep,
    *,
    rows: str,
    of: str = "params",
    levels: int = LEVELS,
    bootstrap: int = 400,
    seed: int = 0,
) -> Estimate:
    """Return the exponent of the compute-optimal size over compute, d ln N* / d ln C, from the envelope of training curves.

    A level of compute is censored, and left out, unless a smaller and a larger size than the best were trained through it: else a size
    off the grid, or a longer run, might have been better. The standard error resamples whole runs; ν = sizes on the envelope − 2.

    >>> from repro.stats.scaling_laws import approach1, read_sweep
    >>> sizes = [2.0**k * 1e6 for k in range(9)]
    >>> steps = [1.15**k * 1e7 for k in range(70)]
    >>> table = [{"params": n, "tokens": d, "run": n, "loss": 1.7 + 400 / n**0.34 + 1200 / d**0.34} for n in sizes for d in steps]
    >>> found = approach1(read_sweep(table, counting="none", derive="flops"), rows="curves", bootstrap=50)
    >>> round(found.value, 1), found.dof
    (0.5, 5)

    Args:
        sweep: with FLOPs. One row a checkpoint, the column `run` telling whose.
        rows: what the rows are. `curves`: checkpoints of training curves, between which the loss is interpolated in ln C; a curve
            whose learning rate has not decayed yet lies above what a run of that horizon would reach. `finals`: each row is the end
            of a run with its own horizon; the runs of one size, in order of compute, then take the curve's place.
        of: `params` for the exponent a of N*, `tokens` for b of D*.
        levels: computes at which the envelope is read.
        bootstrap: resamples.
        seed: of the resampling.

    Returns:
        The exponent; without a value if fewer than three sizes are on the uncensored envelope. In `extras`: how many levels, sizes
        and runs it has, the share censored, and the share of resamples lost.

    Raises:
        EstimateError: if there are no FLOPs, or no curve has two points.
    """
    one_of("rows", rows, ("curves", "finals"))
    one_of("of", of, ("params", "tokens"))
    at_least("levels", levels, 2 * MIN_SIZES)
    at_least("bootstrap", bootstrap, MIN_DRAWS)
    if sweep.flops is None:
        raise EstimateError("An envelope over compute needs a column 'flops', or derive='flops' for C = 6ND.")
    curves = _curves(sweep, rows, levels, of)
    everything = np.arange(len(curves.loss))
    found = _envelope(curves, everything)
    unit = "run" if rows == "curves" else "size"
    extras: dict[str, float | None] = {
        "envelope_levels": float(found.levels),
        "envelope_sizes": float(found.sizes),
        "envelope_runs": float(found.runs),
        "censored_share": found.censored,
    }
    note = (
        f"envelope of {len(curves.loss)} curves ({'checkpoints of one run each' if rows == 'curves' else 'final losses of one size each'}) "
        f"at {levels} computes, {100 * found.censored:.0f} % censored; {sweep.note}"
    )
    if curves.alone:
        note += f"; {curves.alone} {unit}s with a single point are no curve and are left out"
    if found.sizes < MIN_SIZES:
        said = (
            f"only {found.sizes} sizes are best anywhere between a smaller and a larger one that were trained as long: an envelope of so "
            f"few gives no slope; train more sizes, or longer"
        )
        return Estimate(None, n=found.sizes, unit=unit, flags=sweep.flags, extras=extras, note=f"{said}; {note}")
    drawn = resamples(len(curves.loss), bootstrap, seed, fitted=MIN_SIZES)
    slopes = np.array([_envelope(curves, np.unique(some)).slope for some in drawn])
    kept = np.isfinite(slopes)
    extras["lost_draws"] = float(1 - kept.mean())
    if kept.sum() < 2:
        return Estimate(
            found.slope, n=found.sizes, unit=unit, flags=(*sweep.flags, "too_few_sizes"), extras=extras,
            note=f"no resample of the runs has an envelope of three sizes, so there is no standard error; {note}",
        )  # fmt: skip
    heavy = kept.mean() < 1 - LOST_DRAWS
    return Estimate(
        found.slope,
        se=float(slopes[kept].std(ddof=1)) * math.sqrt(found.sizes / (found.sizes - 2)),
        dof=found.sizes - 2,
        n=found.sizes,
        unit=unit,
        flags=(*sweep.flags, "heavy_tailed") if heavy else sweep.flags,
        extras=extras,
        note=f"{note}; standard error from {bootstrap} bootstrap resamples of whole {unit}s",
    )


@estimator(unit="run")
def envelope_exponent(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    rows: str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    of: str = "params",
    levels: int = LEVELS,
    bootstrap: int = 400,
    seed: int = 0,
) -> Estimate:
    """Return the exponent of the compute-optimal size from training curves: `approach1` on the trials' sweep.

    Args:
        records: trials with one row a checkpoint or a run; see `read_sweep` for the columns.
        counting: what N and C include, such as `embedding+head+attention`, `none` or `unstated`.
        rows: `curves` or `finals`; see `approach1`, as for the rest.
        columns: the table's own column names by role.
        derive: `flops` or `tokens`, where the table lacks them.
        of: `params` for the exponent a, `tokens` for b.
        levels: computes at which the envelope is read.
        bootstrap: resamples.
        seed: of the resampling.

    Raises:
        EstimateError: if the sweep is unusable.
    """
    sweep, flags = sweep_of(records, counting=counting, columns=columns, derive=derive)
    found = approach1(sweep, rows=rows, of=of, levels=levels, bootstrap=bootstrap, seed=seed)
    return replace(found, flags=tuple(dict.fromkeys((*flags, *found.flags))))


def _curves(sweep: Sweep, rows: str, levels: int, of: str) -> Curves:
    """Interpolate every curve's loss and ln D in ln C at the levels, which span all computes; points of equal C are averaged."""
    assert sweep.flops is not None
    log_c = np.log(sweep.flops)
    log_d = np.log(sweep.tokens) if of == "tokens" else log_c
    grid = np.linspace(log_c.min(), log_c.max(), levels)
    _, owner = np.unique(sweep.run if rows == "curves" else sweep.params, return_inverse=True)
    loss, tokens, params = [], [], []
    for curve in range(int(owner.max()) + 1):
        own = np.flatnonzero(owner == curve)
        x, place, repeats = np.unique(np.round(log_c[own], 9), return_inverse=True, return_counts=True)
        if len(x) < 2:
            continue
        inside = (grid >= x[0] - 1e-8) & (grid <= x[-1] + 1e-8)
        heights, seen = (np.bincount(place, weights=y[own]) / repeats for y in (sweep.loss, log_d))
        loss.append(np.where(inside, np.interp(grid, x, heights), np.nan))
        tokens.append(np.interp(grid, x, seen))
        params.append(float(np.log(sweep.params[own[0]])))
    if len(loss) < MIN_SIZES:
        what = (
            "runs with at least two checkpoints each"
            if rows == "curves"
            else "sizes trained over at least two horizons each"
        )
        raise EstimateError(
            f"An envelope needs {MIN_SIZES} or more {what}, got {len(loss)}. With rows='curves' the column 'run' says which "
            f"checkpoints belong together."
        )
    alone = int(owner.max()) + 1 - len(loss)
    return Curves(grid, np.array(loss), np.array(tokens) if of == "tokens" else None, np.array(params), alone)


def _envelope(curves: Curves, chosen: NDArray[np.intp]) -> Envelope:
    """Fit the line through the best of the chosen curves at each level that is not censored."""
    loss, params = curves.loss[chosen], curves.log_params[chosen]
    present = np.isfinite(loss)
    best = np.where(present, loss, np.inf).argmin(axis=0)
    size = params[best]
    smallest = np.where(present, params[:, None], np.inf).min(axis=0)
    largest = np.where(present, params[:, None], -np.inf).max(axis=0)
    inner = (smallest < size - 1e-9) & (size < largest - 1e-9)
    sizes = len(np.unique(np.round(size[inner], 9)))
    slope = np.nan
    if sizes >= MIN_SIZES:
        x = curves.log_compute[inner]
        y = size[inner]
        if curves.log_tokens is not None:
            y = curves.log_tokens[chosen][best[inner], np.flatnonzero(inner)]
        centred = x - x.mean()
        slope = float(centred @ y / (centred @ centred))
    covered = present.any(axis=0)
    return Envelope(
        slope=slope,
        sizes=sizes,
        runs=len(np.unique(best[inner])),
        levels=int(inner.sum()),
        censored=float(1 - inner.sum() / covered.sum()),
    )
