"""How uncertain the parametric fit is: standard errors, intervals, and the runs that a narrow interval would need.

Published numbers of this kind are bootstraps of the same runs as ours; what separates the two is the Monte Carlo error
of the resampling, and that is the standard error given here (Besiroglu et al. 2024, arXiv 2404.10102).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.approach3 import best_fit, bootstrap_fits, finite, named_constants
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.huber import DELTA
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.records import published_runs

BATCHES = 20
"""Parts of the bootstrap whose scatter gives its Monte Carlo error."""

Statistics = Mapping[str, float]


@estimator(unit="bootstrap batch")
def parametric_fit_errors(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    bootstrap: int = 4000,
    seed: int = 0,
    delta: float = DELTA,
) -> dict[str, Estimate]:
    """Return the bootstrap standard error of E, A, B, alpha, beta and a, one part each.

    The standard deviation over the resamples, without a correction for fitted constants: what papers print.
    Its own standard error is the Monte Carlo error of the bootstrap.
    """
    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    draws = bootstrap_fits(runs, best_fit(runs, delta), bootstrap, seed, delta)
    return with_monte_carlo_error(
        draws, lambda some: {n: float(v.std(ddof=1)) for n, v in named_constants(some).items()}, flags
    )


@estimator(unit="bootstrap batch")
def parametric_fit_intervals(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    level: float = 0.95,
    bootstrap: int = 4000,
    seed: int = 0,
    delta: float = DELTA,
) -> dict[str, Estimate]:
    """Return both ends of the percentile interval of each constant: parts `E_low`, `E_high`, `A_low`, …, `a_high`."""
    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    draws = bootstrap_fits(runs, best_fit(runs, delta), bootstrap, seed, delta)

    def ends(some: Array) -> Statistics:
        named = {name: np.quantile(v, [(1 - level) / 2, (1 + level) / 2]) for name, v in named_constants(some).items()}
        return {f"{name}_{end}": float(q[i]) for name, q in named.items() for i, end in enumerate(("low", "high"))}

    return with_monte_carlo_error(draws, ends, flags)


@estimator(unit="bootstrap batch")
def runs_for_interval_width(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    columns: Mapping[str, str] | None = None,
    derive: str = "",
    width: float,
    level: float = 0.80,
    bootstrap: int = 4000,
    seed: int = 0,
    delta: float = DELTA,
) -> dict[str, Estimate]:
    """Return how many runs would narrow the interval of the exponent a to `width`, n (w / width)², w the width now.

    Parts: `percentile`, w between the percentiles of the bootstrap; `delta_method`, w = 2 z SE with SE from the
    covariance of α and β, linearised at their bootstrap means.
    """
    from scipy.stats import norm

    runs, flags = published_runs(records, counting=counting, columns=columns, derive=derive)
    draws = bootstrap_fits(runs, best_fit(runs, delta), bootstrap, seed, delta)

    def needed(some: Array) -> Statistics:
        low, high = np.quantile(named_constants(some)["a"], [(1 - level) / 2, (1 + level) / 2])
        alpha, beta = some[:, 3].mean(), some[:, 4].mean()
        slope = np.array([-beta, alpha]) / (alpha + beta) ** 2  # of β / (α + β)
        linear = 2 * float(norm.ppf((1 + level) / 2)) * math.sqrt(slope @ np.cov(some[:, 3:].T) @ slope)
        return {
            "percentile": len(runs) * ((high - low) / width) ** 2,
            "delta_method": len(runs) * (linear / width) ** 2,
        }

    return with_monte_carlo_error(draws, needed, flags)


def with_monte_carlo_error(
    draws: Array, statistics: Callable[[Array], Statistics], flags: tuple[str, ...]
) -> dict[str, Estimate]:
    """Apply `statistics` to all draws `[R, 5]`; its standard error from the scatter over batches of the draws.

    Raises:
        EstimateError: if a batch would hold fewer than ten draws.
    """
    if len(draws) < 10 * BATCHES:
        raise EstimateError(
            f"The Monte Carlo error comes from {BATCHES} batches of at least ten resamples: set bootstrap to "
            f"{10 * BATCHES} or more, not {len(draws)}."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        values = statistics(draws)
        batches = [statistics(batch) for batch in np.array_split(draws, BATCHES)]
        return {
            name: Estimate(
                finite(value),
                se=finite(float(np.std([batch[name] for batch in batches], ddof=1)) / math.sqrt(BATCHES)),
                dof=BATCHES - 1,
                n=BATCHES,
                unit="bootstrap batch",
                flags=flags,
                note=f"{len(draws)} bootstrap resamples; the error is that of the resampling alone",
            )
            for name, value in values.items()
        }
