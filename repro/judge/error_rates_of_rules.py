"""Simulated error rates of the rules beyond a margin: trends, orderings of unequal arms, P(A > B), reference convergence.

`python -m repro.judge.error_rates_of_rules` prints the tables of `docs/the_rule.md`. Noises are those of
`repro.judge.error_rates`; every cell runs the very functions that judge.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from repro.judge.error_rates import ALPHA, NOISES
from repro.judge.trend import judge_trend
from repro.schema.claim import Part, Rule, Target
from repro.schema.verdict import Estimate
from repro.stats.distribution import SKEW_TEST_UNITS, unequal_arms, visibly_skewed
from repro.stats.equivalence import critical_value
from repro.stats.meta import combine
from repro.stats.reference_convergence import max_speedup, olympic, reference_point, too_fast_p
from repro.stats.superiority import paired_superiority, unpaired_superiority
from repro.stats.trend import tested_blocks, tested_levels

FloatArray = NDArray[np.float64]
TREND = Part(Target("0", approximate=True), Rule("trend"))
BRIEF = ("normal", "Student t, 3 dof", "gamma, skewness 1", "exponential, skewness 2")


def rates_of_unequal_arms(noise: str, n: int, *, ratio: float, draws: int, seed: int = 0) -> tuple[float, float]:
    """Simulate an ordering without a difference, one arm's noise `ratio` times the other's: rates of match and mismatch.

    As `paired_difference` and the rule decide: plain t, widened where the arms are visibly unequal, nothing decided where
    the differences are visibly skewed.
    """
    rng = np.random.default_rng(seed)
    better, worse = ratio * NOISES[noise](rng, (draws, n)), NOISES[noise](rng, (draws, n))
    differences = worse - better
    unequal = np.array([unequal_arms(a, b) for a, b in zip(better.tolist(), worse.tolist(), strict=True)])
    critical = np.where(unequal, critical_value(ALPHA, n - 1, n), critical_value(ALPHA, n - 1))
    t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / np.sqrt(n))
    decided = ~visibly_skewed(differences) if n >= SKEW_TEST_UNITS else np.ones(draws, bool)
    return float((decided & (t > critical)).mean()), float((decided & (t < -critical)).mean())


def rates_of_trends(
    noise: str, n: int, *, levels: int, paired: bool, means: Sequence[float] | None = None, draws: int, seed: int = 0
) -> tuple[float, float]:
    """Simulate a trend over levels with n runs each; by default without any trend. Returns the rates of match and mismatch."""
    rng = np.random.default_rng(seed)
    tables = NOISES[noise](rng, (draws, n, levels)) + (0 if means is None else np.asarray(means, dtype=float))
    outcomes = []
    for table in tables:
        _, tested = tested_blocks(table) if paired else tested_levels(table.T.tolist())
        estimate = Estimate(tested["trend_tau"], n=n, unit="seed", extras=tested)
        outcomes.append(judge_trend(TREND, estimate, ALPHA, ALPHA).outcome)
    return outcomes.count("match") / draws, outcomes.count("mismatch") / draws


def misses_of_superiority(noise: str, n: int, *, truth: float, paired: bool, draws: int, seed: int = 0) -> float:
    """Return how often the lower bound of P(A > B) lies above the truth, for two arms with the same noise."""
    rng = np.random.default_rng(seed)
    pool = NOISES[noise](rng, (2, 200_000))
    shift = -float(np.quantile(pool[0] - pool[1], 1 - truth))
    a, b = NOISES[noise](rng, (draws, n)) + shift, NOISES[noise](rng, (draws, n))
    missed = 0
    for x, y in zip(a, b, strict=True):
        bound = paired_superiority((x - y).tolist()) if paired else unpaired_superiority(x.tolist(), y.tolist())
        missed += bound is not None and bound.low > truth
    return missed / draws


def rates_of_reference(
    runs: int,
    *,
    deviation: str,
    speedup: float = 1.0,
    scatter: float = 0.05,
    dropped: int = 1,
    draws: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Simulate N submitted against 2N reference runs, normal noise: rate of "too fast", and the mean of the speed-up allowed.

    Args:
        runs: N.
        deviation: `kept` or `all`.
        speedup: true factor by which the submission is faster.
        scatter: standard deviation over mean.
        dropped: at each end.
        draws: simulated submissions.
        seed: of the simulation.
    """
    rng = np.random.default_rng(seed)
    fast, allowed = 0, []
    for _ in range(draws):
        point = reference_point(1, 1 + scatter * rng.standard_normal(2 * runs), dropped, deviation)  # type: ignore[arg-type]
        kept = olympic((1 + scatter * rng.standard_normal(runs)) / speedup, dropped)
        fast += too_fast_p(point, float(np.mean(kept)), len(kept)) <= ALPHA
        allowed.append(max_speedup(point, len(kept)))
    return fast / draws, float(np.mean(allowed))


def misses_of_combination(attempts: int, *, tau: float, draws: int, seed: int = 0) -> float:
    """Return how often the 95 % interval of k attempts, standard errors 0.1 to 0.4, misses the mean that they scatter about."""
    rng = np.random.default_rng(seed)
    ses = np.linspace(0.1, 0.4, attempts)
    missed = 0
    for values in rng.normal(0, np.sqrt(tau**2 + ses**2), (draws, attempts)):
        together = combine(values.tolist(), ses.tolist())
        missed += not together.low <= 0 <= together.high
    return missed / draws


def report(draws: int = 2000) -> str:
    """Return all tables as Markdown."""
    percent = "{:.1f}".format

    def both(rates: tuple[float, float]) -> str:
        return f"{percent(100 * rates[0])} / {percent(100 * rates[1])}"

    ratios = (1.0, 0.5, 1 / 3, 0.1, 0.0)
    unequal = [
        [noise, *(both(rates_of_unequal_arms(noise, n, ratio=r, draws=5 * draws)) for n in (5, 10) for r in ratios)]
        for noise in BRIEF
    ]
    trend: list[list[str]] = []
    for noise in BRIEF:
        cells = [
            rates_of_trends(noise, n, levels=levels, paired=paired, draws=draws if paired else draws // 4)
            for paired in (True, False)
            for n, levels in ((3, 3), (5, 3), (3, 5))
        ]
        trend.append([noise, *map(both, cells)])
    power = [
        [
            f"{slope:g} s a level",
            *(percent(100 * _power(n, levels, slope, draws)) for n, levels in ((3, 3), (5, 3), (3, 5), (5, 5))),
        ]
        for slope in (0.5, 1.0, 2.0)
    ]
    superior = [
        [
            noise,
            *(
                percent(100 * _missed(noise, n, truth, paired, draws))
                for paired in (True, False)
                for n in (5, 20)
                for truth in (0.5, 0.75)
            ),
        ]
        for noise in BRIEF
    ]
    reference = []
    for deviation in ("kept", "all"):
        for n, dropped in ((3, 1), (5, 1), (10, 1), (40, 4)):
            honest, allowed = rates_of_reference(n, deviation=deviation, dropped=dropped, draws=draws)
            fast = rates_of_reference(n, deviation=deviation, dropped=dropped, speedup=1.1, draws=draws)[0]
            reference.append([f"{deviation}, N = {n}", percent(100 * honest), percent(100 * fast), f"{allowed:.3f}"])
    combined = [
        [f"τ = {tau:g}", *(percent(100 * misses_of_combination(k, tau=tau, draws=draws)) for k in (2, 3, 6))]
        for tau in (0.0, 0.3)
    ]
    wide = [f"n = {n}, {r:.2g}" for n in (5, 10) for r in ratios]
    return "\n\n".join(
        [
            _table("orderings, noise of one arm over the other's", wide, unequal),
            _table(
                "no trend",
                [f"{p}, {n} × {k}" for p in ("paired", "independent") for n, k in ((3, 3), (5, 3), (3, 5))],
                trend,
            ),
            _table("a trend found, paired, normal", ["3 × 3", "5 × 3", "3 × 5", "5 × 5"], power),
            _table(
                "bound above P(A > B)",
                [f"{p}, n = {n}, P = {t}" for p in ("paired", "unpaired") for n in (5, 20) for t in (0.5, 0.75)],
                superior,
            ),
            _table(
                "reference convergence",
                ["honest, called too fast", "10 % faster, called too fast", "speed-up allowed"],
                reference,
            ),
            _table("combination misses", ["2 attempts", "3", "6"], combined),
        ]
    )


def _power(n: int, levels: int, slope: float, draws: int) -> float:
    means = [slope * level for level in range(levels)]
    return rates_of_trends("normal", n, levels=levels, paired=True, means=means, draws=draws)[0]


def _missed(noise: str, n: int, truth: float, paired: bool, draws: int) -> float:
    return misses_of_superiority(noise, n, truth=truth, paired=paired, draws=draws)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main(show: Callable[[str], None] = print) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=report.__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="simulated studies a cell")
    show(report(parser.parse_args().draws))


if __name__ == "__main__":
    main()
