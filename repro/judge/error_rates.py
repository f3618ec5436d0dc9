"""Simulated error rates of the rule: how often it declares a false match or a false mismatch.

`python -m repro.judge.error_rates` prints the tables of `docs/the_rule.md`. A **false match** is a match although the
truth lies on the edge of the margin, |D| = Δ (farther out it is rarer). A **false mismatch** is a mismatch although
|D| ≤ Δ: on the edge, half-way and at the target. Both edges and several margins are tried, from one noise standard
deviation to many, and the worst is reported. The decisions are those of `repro.stats.equivalence`, as judged.
"""

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from repro.stats.bootstrap import resamples
from repro.stats.distribution import EXPONENTIAL_SKEWNESS, SKEW_TEST_UNITS, visibly_skewed
from repro.stats.equivalence import MATCH, MISMATCH, at_least, critical_value, equivalence

FloatArray = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], FloatArray]

ALPHA = 0.05
MARGINS = (1.0, 2.0, 5.0, 50.0)
"""Δ in standard deviations of a single run's noise."""

NOISES: Mapping[str, Noise] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: (rng.random(shape) - 0.5) * np.sqrt(12),
    "Student t, 3 dof": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
    "gamma, skewness 1": lambda rng, shape: rng.gamma(4, size=shape) / 2 - 2,
    "Gumbel, skewness 1.1": lambda rng, shape: (rng.gumbel(size=shape) - np.euler_gamma) * np.sqrt(6) / np.pi,
    "lognormal 0.5, skewness 1.8": lambda rng, shape: _lognormal(rng, shape, 0.5),
    "exponential, skewness 2": lambda rng, shape: rng.exponential(size=shape) - 1,
    "lognormal 1, skewness 6.2": lambda rng, shape: _lognormal(rng, shape, 1.0),
    "one run in five far off": lambda rng, shape: (
        (rng.random(shape) < 0.2) / 0.4 - 0.5 + rng.standard_normal(shape) / 10
    ),
}
"""Noise of a single run with mean 0 and standard deviation 1 (the last: almost 1)."""

SKEW_COVERED = (
    "normal",
    "uniform",
    "Student t, 3 dof",
    "gamma, skewness 1",
    "Gumbel, skewness 1.1",
    "lognormal 0.5, skewness 1.8",
    "exponential, skewness 2",
)
"""Noises under which the rule's default for means keeps its level; the others are beyond what it promises."""


@dataclass(frozen=True)
class ErrorRates:
    """Worst rates over edges and margins."""

    false_match: float
    false_mismatch: float
    draws: int

    @property
    def standard_error(self) -> float:
        """Monte Carlo standard error of a rate of 5 %."""
        return float(np.sqrt(ALPHA * (1 - ALPHA) / self.draws))


def rates_of_means(noise: str, n: int, *, guarded: bool = True, draws: int = 100_000, seed: int = 0) -> ErrorRates:
    """Simulate an equivalence about a mean over n runs.

    Args:
        noise: a key of `NOISES`.
        n: runs.
        guarded: True for `mean_over_seeds`' default (noise may be skewed), False for the plain t interval.
        draws: simulated studies.
        seed: of the simulation.
    """
    units = NOISES[noise](np.random.default_rng(seed), (draws, n))
    flagged = np.zeros(1, bool)
    if n >= SKEW_TEST_UNITS:
        flagged = np.abs(stats.skew(units, axis=1)) > EXPONENTIAL_SKEWNESS if guarded else visibly_skewed(units)
    c = critical_value(ALPHA, n - 1, n if guarded else None)
    return _worst(units.mean(axis=1), c * units.std(axis=1, ddof=1) / np.sqrt(n), flagged)


def rates_of_log_means(n: int, *, sigma: float = 1.0, draws: int = 100_000, seed: int = 0) -> ErrorRates:
    """Simulate lognormal noise judged in logs against a factor margin, as `mean_over_seeds(noise="lognormal")` does."""
    units = sigma * np.random.default_rng(seed).standard_normal((draws, n))
    c = critical_value(ALPHA, n - 1)
    return _worst(units.mean(axis=1), c * units.std(axis=1, ddof=1) / np.sqrt(n), np.zeros(1, bool))


def rates_of_borrowed_spread(
    noise: str, n: int, *, guarded: bool = True, draws: int = 100_000, seed: int = 0
) -> ErrorRates:
    """Simulate a paper that ran once, with our spread standing in for its own: SE² = s²(1 + 1/n), ν = n − 1."""
    units = NOISES[noise](np.random.default_rng(seed), (draws, n + 1))
    ours, theirs = units[:, :n], units[:, n]
    c = critical_value(ALPHA, n - 1, n if guarded else None)
    reach = c * ours.std(axis=1, ddof=1) * np.sqrt(1 + 1 / n)
    return _worst(ours.mean(axis=1) - theirs, reach, np.zeros(1, bool))


def rates_of_fits(
    noise: str, budgets: int, *, growth: float = 1.0, resample: int = 1000, draws: int = 20_000, seed: int = 0
) -> ErrorRates:
    """Simulate the slope of a line over k budgets with a bootstrap standard error and ν = k − 2.

    Budgets are the resampled units; the standard error carries the factor √(k / (k − 2)) of `bootstrap_se`.

    Args:
        noise: a key of `NOISES`.
        budgets: k, equally spaced.
        growth: noise of the last budget over that of the first.
        resample: bootstrap draws.
        draws: simulated studies.
        seed: of the simulation.
    """
    x = np.arange(budgets) - (budgets - 1) / 2
    y = NOISES[noise](np.random.default_rng(seed), (draws, budgets)) * np.geomspace(1, growth, budgets)
    indices = resamples(budgets, resample, seed, fitted=2)
    # Slopes are linear in y: one [resample, budgets] matrix of weights serves all draws.
    centred = x[indices] - x[indices].mean(axis=1, keepdims=True)
    weights = np.zeros((resample, budgets))
    np.add.at(weights, (np.arange(resample)[:, None], indices), centred / (centred**2).sum(axis=1, keepdims=True))
    se = (y @ weights.T).std(axis=1, ddof=1) * np.sqrt(budgets / (budgets - 2))
    return _worst(y @ x / (x @ x), critical_value(ALPHA, budgets - 2) * se, np.zeros(1, bool))


def rates_of_parts(noise: str, n: int, *, parts: int = 6, draws: int = 20_000, seed: int = 0) -> ErrorRates:
    """Simulate a claim of k independent parts: match if all match at α, mismatch if any mismatches at α/k.

    False match with one part on the edge and the others at their targets; false mismatch with all parts on the edge.
    """
    units = NOISES[noise](np.random.default_rng(seed), (draws, parts, n))
    error, se = units.mean(axis=2), units.std(axis=2, ddof=1) / np.sqrt(n)
    match_reach, mismatch_reach = (critical_value(level, n - 1, n) * se for level in (ALPHA, ALPHA / parts))
    false_match, false_mismatch = [], []
    for margin, side in itertools.product(MARGINS, (-1, 1)):
        one = np.zeros(parts)
        one[0] = side * margin
        false_match.append((equivalence(one + error, match_reach, mismatch_reach, margin) == MATCH).all(axis=1).mean())
        edge = equivalence(side * margin + error, match_reach, mismatch_reach, margin)
        false_mismatch.append((edge == MISMATCH).any(axis=1).mean())
    return ErrorRates(float(max(false_match)), float(max(false_mismatch)), draws)


def rates_of_orderings(noise: str, n: int, *, quiet: bool = False, draws: int = 100_000, seed: int = 0) -> ErrorRates:
    """Simulate an ordering of two arms with equal means, paired over n seeds: any decision is false.

    Args:
        noise: a key of `NOISES`, for both arms.
        n: pairs.
        quiet: True if the worse arm has no noise, so that differences are as skewed as the noise.
        draws: simulated studies.
        seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    units = NOISES[noise](rng, (draws, n)) - (0 if quiet else NOISES[noise](rng, (draws, n)))
    reach = critical_value(ALPHA, n - 1) * units.std(axis=1, ddof=1) / np.sqrt(n)
    outcome = at_least(units.mean(axis=1), reach, reach, 0.0)
    return ErrorRates(float((outcome == MATCH).mean()), float((outcome == MISMATCH).mean()), draws)


def _worst(error: FloatArray, reach: FloatArray, flagged: NDArray[np.bool_]) -> ErrorRates:
    """Judge estimates with these errors around every true deviation that makes a decision false."""
    false_match, false_mismatch = [0.0], [0.0]
    for margin in MARGINS:
        for truth in (margin, -margin, margin / 2, -margin / 2, 0.0):
            outcome = np.where(flagged, 0, equivalence(truth + error, reach, reach, margin))
            false_mismatch.append(float((outcome == MISMATCH).mean()))
            if abs(truth) == margin:
                false_match.append(float((outcome == MATCH).mean()))
    return ErrorRates(max(false_match), max(false_mismatch), len(error))


def _lognormal(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> FloatArray:
    mean, variance = np.exp(sigma**2 / 2), (np.exp(sigma**2) - 1) * np.exp(sigma**2)
    return np.asarray((np.exp(sigma * rng.standard_normal(shape)) - mean) / np.sqrt(variance))


def table(title: str, rates: Callable[[str, int], ErrorRates], noises: Sequence[str], sizes: Sequence[int]) -> str:
    """Return a Markdown table of false match / false mismatch in percent, one row a noise, one column a size."""
    lines = [f"| {title} | " + " | ".join(f"n = {n}" for n in sizes) + " |", "|---|" + "---|" * len(sizes)]
    for noise in noises:
        cells = [f"{100 * r.false_match:.1f} / {100 * r.false_mismatch:.1f}" for r in (rates(noise, n) for n in sizes)]
        lines.append(f"| {noise} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(draws: int = 100_000) -> str:
    """Return all tables of error rates as Markdown."""
    every, sizes = list(NOISES), (3, 5, 10)
    fits = max(draws // 5, 1000)
    tables = [
        table("means, default", lambda k, n: rates_of_means(k, n, draws=draws), every, (3, 5, 10, 30, 100)),
        table(
            "means, plain t", lambda k, n: rates_of_means(k, n, guarded=False, draws=draws), every, (3, 5, 10, 30, 100)
        ),
        table("lognormal noise in logs", lambda _, n: rates_of_log_means(n, draws=draws), ["lognormal 1"], sizes),
        table("paper ran once, default", lambda k, n: rates_of_borrowed_spread(k, n, draws=draws), every, sizes),
        table("bootstrapped slope over n budgets", lambda k, n: rates_of_fits(k, n, draws=fits), every, sizes),
        table(
            "the same, noise of the last budget three times the first's",
            lambda k, n: rates_of_fits(k, n, growth=3, draws=fits),
            every,
            sizes,
        ),
        table("six parts, default", lambda k, n: rates_of_parts(k, n, draws=fits), every, sizes),
        table("orderings, equal arms", lambda k, n: rates_of_orderings(k, n, draws=draws), every, (5, 10)),
        table(
            "orderings, one arm quiet", lambda k, n: rates_of_orderings(k, n, quiet=True, draws=draws), every, (5, 10)
        ),
    ]
    return "\n\n".join(tables)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=report.__doc__)
    parser.add_argument("--draws", type=int, default=100_000, help="simulated studies a cell")
    print(report(parser.parse_args().draws))


if __name__ == "__main__":
    main()
