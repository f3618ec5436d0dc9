"""The scaling exponents of Table 2 against the constants they come from and against their own printed intervals.

Paper: Hoffmann et al., arXiv 2203.15556, Table 2 and Equation 4. Serves the claims `chinchilla/parametric_params_exponent`,
`chinchilla/parametric_data_exponent` and `chinchilla/table2_intervals`.

    a = β/(α+β),  b = α/(α+β)

The gap of a point to an interval is 0 inside and the distance to the nearer end outside.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Table 2 as printed: point, then the 10th and 90th percentile; and the constants of Approach 3."""

    envelope_params: tuple[float, ...] = (0.50, 0.488, 0.502)
    """a of Approach 1."""
    envelope_data: tuple[float, ...] = (0.50, 0.501, 0.512)
    """b of Approach 1."""
    isoflop_params: tuple[float, ...] = (0.49, 0.462, 0.534)
    """a of Approach 2."""
    isoflop_data: tuple[float, ...] = (0.51, 0.483, 0.529)
    """b of Approach 2."""
    parametric_params: tuple[float, ...] = (0.46, 0.454, 0.455)
    """a of Approach 3."""
    parametric_data: tuple[float, ...] = (0.54, 0.542, 0.543)
    """b of Approach 3."""
    tex: tuple[float, ...] = (0.3392, 0.2849)
    """α, β with the digits of the TeX source."""
    rounded: tuple[float, ...] = (0.34, 0.28)
    """α, β as printed in Equation 10."""
    exponents: str = "optimal"
    """`optimal`: a = β/(α+β); `swapped`: a = α/(α+β), which exchanges the roles of parameters and data."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def gap(point: float, low: float, high: float) -> float:
    """Return how far `point` lies outside [low, high]; 0 inside."""
    return max(low - point, point - high, 0.0)


def params_exponent(alpha: float, beta: float, exponents: str) -> float:
    """Return a for the law E + A/N^α + B/D^β (Equation 4)."""
    return {"optimal": beta, "swapped": alpha}[exponents] / (alpha + beta)


def run(config: Config, context: Context) -> dict[str, float]:
    """Recompute the exponents of Approach 3 and check every printed point against its interval.

    Returns:
        `params_exponent_tex`, `data_exponent_tex`, and the same with `_rounded`: a and b from α and β.
        `<approach>_<params|data>_gap`: distance of the printed point to its own interval.
        `parametric_<params|data>_gap_tex`: the same for the exponent from the TeX constants.
        `<approach>_<params|data>_width`: width of the printed interval.
    """
    a = params_exponent(*config.tex, config.exponents)
    a_rounded = params_exponent(*config.rounded, config.exponents)
    row = {
        "params_exponent_tex": a,
        "data_exponent_tex": 1 - a,
        "params_exponent_rounded": a_rounded,
        "data_exponent_rounded": 1 - a_rounded,
        "parametric_params_gap_tex": gap(a, *config.parametric_params[1:]),
        "parametric_data_gap_tex": gap(1 - a, *config.parametric_data[1:]),
    }
    for name in (
        "envelope_params",
        "envelope_data",
        "isoflop_params",
        "isoflop_data",
        "parametric_params",
        "parametric_data",
    ):
        point, low, high = getattr(config, name)
        row |= {f"{name}_gap": gap(point, low, high), f"{name}_width": high - low}
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:28} {value:.4f}")
