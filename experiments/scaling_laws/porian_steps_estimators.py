"""How Porian et al. (arXiv 2406.19146) get an exponent from IsoFLOP points, and what else they might have done.

As their published code does it, at each budget C:

    1. ln L is interpolated over ln N by Akima's spline on a grid of 25 (m − 1) sizes, m sizes having been trained;
    2. noise is added to the losses 1,000 times; each draw's N* is its lowest point, unless that is an end of the grid;
    3. the budget's N* is the median of the draws, σ their standard deviation of ln N*, at least 0.33 of the mean spacing
       of the sizes, and inflated by (draws / draws with an inner minimum); a budget where less than half have one is left out;

then a straight line of ln N* on ln C, weighted by 1/σ²; R² without weights; and the interval from the lines through
single draws. The standard deviation of the noise is 0.002 to 0.05 nats, increasing with a level between 3 and 7. As
published the level is ln L, which no loss reaches, so the noise is 0.002 throughout; `noise_level: loss` takes L.

Two analyses of one table share the sampling error of its runs. What separates our number from the published one is then
the noise drawn, theirs and ours: `published_fit` repeats the whole procedure, gives the mean over the repetitions, and
as its standard error the spread of a single one, √(1 + 1/repeats) s. `falls` between settings, whose runs differ, has a
standard error over budgets.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.interpolate import Akima1DInterpolator, CubicSpline, PchipInterpolator

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.equivalence import welch_dof
from repro.stats.estimator import estimator
from repro.stats.isoflop_points import left_out, profiles_of, slope_with_error
from repro.stats.regression import Line, weighted_line
from repro.stats.scaling_laws.approach2 import Profile
from repro.stats.scaling_laws.approach3 import one_of

__all__ = ["falls", "published_fit"]

INTERPOLATIONS: Mapping[str, Any] = {"akima": Akima1DInterpolator, "cubic": CubicSpline, "pchip": PchipInterpolator}
POINTS_A_GAP = 25
"""Grid points for each gap between two sizes."""
LEAST_SD = 0.33
"""Least σ of ln N*, in gaps of evenly spaced sizes."""
NOISE = ((3.0, 7.0), (0.002, 0.05))
"""Levels, and the standard deviation of a loss at and beyond them, in nats; in between a straight line in logs."""


@dataclass(frozen=True)
class Procedure:
    """The authors' choices, and what else they might have been."""

    interpolation: str = "akima"
    """A key of `INTERPOLATIONS`."""
    optimum: str = "median"
    """N* is the `median` over the draws, or `noise_free`."""
    weights: str = "noise"
    """`noise`, 1/σ², or `equal`."""
    noise_level: str = "log_loss"
    """What is held against the levels of `NOISE`: `log_loss` or `loss`."""
    level: float = 0.95
    """Of the interval."""
    draws: int = 1000
    """Noise draws."""

    def __post_init__(self) -> None:
        one_of("interpolation", self.interpolation, tuple(INTERPOLATIONS))
        one_of("optimum", self.optimum, ("median", "noise_free"))
        one_of("weights", self.weights, ("noise", "equal"))
        one_of("noise_level", self.noise_level, ("log_loss", "loss"))


@dataclass(frozen=True)
class Optimum:
    """The optimum of one budget, without noise and in the draws that have an inner minimum."""

    budget: float
    """C in FLOPs."""
    noise_free: float
    """ln N* of the losses as they are; NaN at an end of the grid."""
    drawn: np.ndarray
    """ln N* of the draws, `[r]`."""
    sd: float
    """σ of ln N*, at least 0.33 gaps, inflated by draws / r."""


def noise_sd(loss: np.ndarray, level: str = "log_loss") -> np.ndarray:
    """Return the standard deviation of each loss in nats, same shape; `level` is what is held against 3 and 7."""
    held = {"log_loss": np.log(loss), "loss": loss}[level]
    levels, sds = np.log(NOISE)
    return np.asarray(np.exp(np.interp(np.log(np.maximum(held, NOISE[0][0])), levels, sds)))


def drawn_optimum(
    profile: Profile, rng: np.random.Generator | np.random.RandomState, how: Procedure = Procedure()
) -> Optimum | None:
    """Find the lowest point of one budget's interpolated losses, as they are and in every draw.

    Returns:
        None without an inner minimum in at least half of the draws and without noise.
    """
    x, loss = profile.log_size, profile.loss
    noisy = loss + noise_sd(loss, how.noise_level) * rng.normal(size=(how.draws, len(x)))
    if noisy.min() <= 0:
        raise EstimateError(
            f"At {profile.budget:.3g} FLOPs losses down to {loss.min():.2g} drown in the noise; in nats?"
        )
    every = np.log(np.concatenate([loss[None], noisy])).T  # [m, 1 + R]
    grid = np.linspace(x[0], x[-1], POINTS_A_GAP * (len(x) - 1))
    lowest = INTERPOLATIONS[how.interpolation](x, every)(grid).argmin(axis=0)
    inner = (lowest > 0) & (lowest < len(grid) - 1)
    drawn = grid[lowest[1:][inner[1:]]]
    if not inner[0] or len(drawn) < how.draws / 2:
        return None
    least = LEAST_SD * POINTS_A_GAP * (grid[1] - grid[0])
    return Optimum(profile.budget, grid[lowest[0]], drawn, max(drawn.std(), least) * how.draws / len(drawn))


def line_through(optima: Sequence[Optimum], how: Procedure) -> tuple[np.ndarray, np.ndarray, np.ndarray, Line]:
    """Return ln C, ln N*, weights, each `[budgets]`, and the line through them."""
    x = np.log([o.budget for o in optima])
    y = np.array([np.median(o.drawn) if how.optimum == "median" else o.noise_free for o in optima])
    w = np.array([o.sd**-2 if how.weights == "noise" else 1.0 for o in optima])
    return x, y, w, weighted_line(x, y, w)


def drawn_slopes(optima: Sequence[Optimum], w: np.ndarray) -> np.ndarray:
    """Return the slope through the r-th draw of every budget, `[r]`, for as many r as all budgets have."""
    r = min(len(o.drawn) for o in optima)
    x, y = np.log([o.budget for o in optima]), np.array([o.drawn[:r] for o in optima])
    centred = w * (x - np.average(x, weights=w))
    return np.asarray(centred @ y / (centred @ x))


def quantities(optima: Sequence[Optimum], how: Procedure, between: Sequence[float] | None) -> dict[str, float]:
    """Return what the authors report of one setting, by the ending of the part's name (see `published_fit`)."""
    x, y, w, line = line_through(optima, how)
    low, high = np.quantile(drawn_slopes(optima, w), [(1 - how.level) / 2, (1 + how.level) / 2])
    residuals = y - line.intercept - line.slope * x
    plain = line_through(optima, replace(how, weights="equal"))[3]
    ends = between or (optima[0].budget, optima[-1].budget)
    first, last = (math.exp(math.log(c / 6) - 2 * (plain.intercept + plain.slope * math.log(c))) for c in ends)
    return {
        "": line.slope,
        "_low": float(low),
        "_high": float(high),
        "_r_squared": 1 - float((residuals**2).sum() / ((y - y.mean()) ** 2).sum()),
        "_ratio_first": first,
        "_ratio_last": last,
        "_ratio_slope": 1 - 2 * plain.slope,
    }


@estimator(unit="repetition of the draws")
def published_fit(
    records: Sequence[TrialRecord],
    *,
    settings: Mapping[str, str],
    interpolation: str = "akima",
    optimum: str = "median",
    weights: str = "noise",
    noise_level: str = "log_loss",
    level: float = 0.95,
    between: Sequence[float] | None = None,
    draws: int = 1000,
    repeats: int = 20,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return, for each name in `settings`, what the authors' procedure makes of the setting's points.

    Parts: `<name>`, the exponent a of N* ∝ C^a; `<name>_low`, `<name>_high`, its interval; `<name>_r_squared`; on the line
    with equal weights, `<name>_ratio_first` and `<name>_ratio_last`, the tokens per parameter D*/N* = C / 6N*² at two
    budgets, and `<name>_ratio_slope`, of their ln over ln C.

    Args:
        records: trials of the settings, one row a training run, with `budget` (FLOPs), `params`, `tokens` and `loss`.
        settings: the name of a part by the recipe's `setting`.
        interpolation: `akima`, `cubic` or `pchip`.
        optimum: `median` of the noisy optima, or `noise_free`.
        weights: `noise`, 1/σ², or `equal`.
        noise_level: `log_loss` as published, or `loss`.
        level: of the interval.
        between: the two budgets of the ratios, in FLOPs; by default the first and last that are kept.
        draws: noise draws of one repetition.
        repeats: repetitions, at least two.
        seed: of the draws.

    Raises:
        EstimateError: if a setting has no usable table, fewer than three budgets have an inner minimum, or an argument
            has no such value.
    """
    how = Procedure(interpolation, optimum, weights, noise_level, level, draws)
    if repeats < 2 or (between is not None and (len(between) != 2 or min(between) <= 0)):
        raise EstimateError(f"published_fit takes repeats >= 2 and two budgets, got {repeats} and {between}.")
    found: dict[str, Estimate] = {}
    for name, setting in settings.items():
        profiles, flags = profiles_of(records, setting)
        runs, note = [], ""
        for repeat in range(repeats):
            optima, note = _inner_optima(profiles, setting, np.random.default_rng((seed, repeat)), how)
            runs.append(quantities(optima, how, between))
        for ending in runs[0]:
            values = np.array([run[ending] for run in runs])
            spread = float(values.std(ddof=1))
            found[name + ending] = Estimate(
                float(values.mean()),
                se=spread * math.sqrt(1 + 1 / repeats),
                dof=repeats - 1,
                n=repeats,
                unit="repetition of the draws",
                units=tuple(values.tolist()),
                spread=spread,
                flags=flags,
                note=f"{note}; the error is that of {draws} noise draws",
            )
    return found


@estimator(unit="budget", simulator="repro.stats.simulators.isoflop.falls")
def falls(
    records: Sequence[TrialRecord], *, settings: Sequence[str], draws: int = 1000, seed: int = 0
) -> dict[str, Estimate]:
    """Return how far the published procedure's exponent falls from each setting to the next: `fall_1`, `fall_2`, …

    A setting's standard error is the widest of the spread over the noise draws, a jackknife over budgets and the scatter
    about the line; those of two settings add in squares, ν after Welch and Satterthwaite.

    Args:
        records: as for `published_fit`.
        settings: at least two of the recipe's settings, in the order in which the exponent is said to fall.
        draws: noise draws.
        seed: of the draws.

    Raises:
        EstimateError: as `published_fit`.
    """
    if len(settings) < 2:
        raise EstimateError(f"A fall needs two settings to fall between, got {list(settings)}.")
    fits, how = [], Procedure(draws=draws)
    for setting in settings:
        profiles, flags = profiles_of(records, setting)
        optima, note = _inner_optima(profiles, setting, np.random.default_rng(seed), how)
        x, y, w, _ = line_through(optima, how)
        slope, se = slope_with_error(x, y, w, float(drawn_slopes(optima, w).std(ddof=1)))
        fits.append((slope, se, len(x), flags, f"{setting} {slope:.4f} ({se:.4f}) from {note}"))
    found: dict[str, Estimate] = {}
    for k, (above, below) in enumerate(pairwise(fits), start=1):
        found[f"fall_{k}"] = Estimate(
            above[0] - below[0],
            se=math.hypot(above[1], below[1]),
            dof=welch_dof(above[1], above[2] - 2, below[1], below[2] - 2),
            n=min(above[2], below[2]),
            unit="budget",
            flags=tuple(dict.fromkeys((*above[3], *below[3]))),
            note=f"{above[4]}; {below[4]}",
        )
    return found


def _inner_optima(
    profiles: Sequence[Profile], setting: str, rng: np.random.Generator, how: Procedure
) -> tuple[list[Optimum], str]:
    """Return the optima of the budgets that have one, and which have none."""
    tried = [(profile.budget, drawn_optimum(profile, rng, how)) for profile in profiles]
    note = left_out(setting, [budget for budget, optimum in tried if optimum is None], len(tried))
    return [optimum for _, optimum in tried if optimum is not None], note
