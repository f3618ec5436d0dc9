"""Do the differences, intervals and P values of a reader study agree with each other?

Paper: McKinney et al. 2020, doi:10.1038/s41586-019-1799-6, captions of Extended Data Figures 2 and 3, and the main comparison with six
readers. Serves the claim `mckinney/reader_study_consistent`.

A 95 % interval Δ ± q SE, with q the 0.975 quantile of the reference distribution, gives SE = (high − low) / 2q; the two-sided P value
of no difference is then P(|T| > Δ / SE). The reference is a t distribution with ν degrees of freedom: ν = 5 where six
readers are the sample, infinite where readings of cases are many. The two give P values a factor of ten and more apart.

Hardware and time: any CPU, milliseconds. Deviations: none; only printed digits enter.
"""

from dataclasses import dataclass
from itertools import product
from math import inf, sqrt

from scipy import stats

from repro.schema.context import Context


@dataclass(frozen=True)
class Printed:
    """A difference with its 95 % interval and two-sided P value."""

    delta: float
    low: float
    high: float
    P: float
    digit: float
    """One unit of the last printed digit of Δ and its interval."""


FIGURE_2 = Printed(0.121, 0.070, 0.173, 0.0018, 0.001)
"""Cancers within 12 months, area under the curve, system minus mean of six readers."""
FIGURE_3 = Printed(0.0192, 0.0086, 0.0298, 0.0004, 0.0001)
"""Partial area under the curve."""
HEADLINE = Printed(0.115, 0.055, 0.175, 0.0002, 0.001)
"""Area under the curve, the main comparison; interval and P value were not seen in the paper."""
PRINTED = {"figure_2": FIGURE_2, "figure_3": FIGURE_3, "headline": HEADLINE}

DOF = (*range(1, 31), 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000, inf)
"""Degrees of freedom tried for what the printed digits imply."""


@dataclass(frozen=True)
class Config:
    """How interval and P value are taken to come about."""

    dof: int | None = 5
    """ν of the reference distribution; null: normal."""
    level: float = 0.95
    """Level of the interval."""
    sides: int = 2
    """Of the P value."""
    readers: int = 6
    """Readers of Figure 2."""
    readers_sd: float = 0.049
    """Standard deviation of the readers' areas under the curve, Figure 2."""
    readers_mean: float = 0.750
    """Their mean, Figure 2."""
    system: float = 0.871
    """The system's area under the curve, Figure 2."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def p_value(delta: float, low: float, high: float, dof: float, level: float = 0.95, sides: int = 2) -> float:
    """P value that belongs to Δ and its interval when the reference is t with `dof` degrees of freedom (infinite: normal)."""
    reference = stats.norm if dof == inf else stats.t(dof)
    se = (high - low) / (2 * reference.ppf(0.5 + level / 2))
    return float(sides * reference.sf(abs(delta) / se))


def implied_dof(printed: Printed, P_digit: float = 1e-4) -> tuple[float, float]:
    """Smallest and largest ν with which some numbers that round to the printed ones agree; NaN if there are none."""
    half = printed.digit / 2
    corners = list(product((-half, half), repeat=2))

    def agrees(dof: float) -> bool:
        Ps = [p_value(printed.delta + a, printed.low - b, printed.high + b, dof) for a, b in corners]
        return min(Ps) <= printed.P + P_digit / 2 and max(Ps) >= printed.P - P_digit / 2

    fitting = [dof for dof in DOF if agrees(dof)]
    return (fitting[0], fitting[-1]) if fitting else (float("nan"), float("nan"))


def run(config: Config, context: Context) -> dict[str, float]:
    """Form P values from intervals, and the interval of Figure 2 from the readers' spread.

    Returns:
        `<place>_p`: P value from Δ and the interval (probability), for `figure_2`, `figure_3` and `headline`.
        `<place>_midpoint`: middle of the interval. `figure_2_delta`: system minus readers' mean.
        `figure_2_half_width`: quantile × sd / √readers, the interval's half width if readers alone scatter.
        `<place>_dof_low`, `<place>_dof_high`: degrees of freedom that the printed digits allow; 1e9 stands for a normal distribution.
    """
    dof = inf if config.dof is None else config.dof
    reference = stats.norm if config.dof is None else stats.t(config.dof)
    row = {
        "figure_2_delta": config.system - config.readers_mean,
        "figure_2_half_width": float(reference.ppf(0.5 + config.level / 2)) * config.readers_sd / sqrt(config.readers),
    }
    for place, printed in PRINTED.items():
        row[f"{place}_p"] = p_value(printed.delta, printed.low, printed.high, dof, config.level, config.sides)
        row[f"{place}_midpoint"] = (printed.low + printed.high) / 2
        low, high = implied_dof(printed)
        row |= {f"{place}_dof_low": min(low, 1e9), f"{place}_dof_high": min(high, 1e9)}
    return row


if __name__ == "__main__":
    for dof in (5, None):
        for column, value in run(Config(dof=dof), Context()).items():
            print(f"{dof!s:5} {column:24} {value:.4g}")
