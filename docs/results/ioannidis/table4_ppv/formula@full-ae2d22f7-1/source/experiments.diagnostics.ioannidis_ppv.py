"""The probability that a claimed finding is true, in nine kinds of research.

Paper: Ioannidis 2005, "Why Most Published Research Findings Are False", section on bias and Table 4. Serves the claim
`ioannidis/table4_ppv`.

R is the ratio of true to false relationships among those that a field tests, 1 − β the power of a study, α its level, u the share of
analyses that would not have been findings but are reported as such. Of c relationships,

    true and claimed    c R/(R+1) · [(1 − β) + u β]
    false and claimed   c 1/(R+1) · [α + u (1 − α)]
    PPV = ((1 − β) R + u β R) / (R + α − β R + u − u α + u β R)

computed in rational numbers. Beside it stand the four cells of the two-by-two table, from which the same share is formed anew.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass
from fractions import Fraction

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Table 4, first row to last."""

    kinds: tuple[str, ...] = (
        "confirmatory_trial", "good_meta_analysis", "small_meta_analysis", "early_trial", "early_trial_biased",
        "powered_epidemiology", "epidemiology", "massive_testing", "massive_testing_less_bias",
    )  # fmt: skip
    """Short names of the nine kinds of study."""
    power: tuple[str, ...] = (".80", ".95", ".80", ".20", ".20", ".80", ".20", ".20", ".20")
    """1 − β."""
    true_to_false: tuple[str, ...] = ("1", "2", "1/3", "1/5", "1/5", "1/10", "1/10", "1/1000", "1/1000")
    """R."""
    bias: tuple[str, ...] = (".10", ".30", ".40", ".20", ".80", ".30", ".30", ".80", ".20")
    """u."""
    alpha: str = ".05"
    """α."""
    with_bias: bool = True
    """False sets u = 0 in every row."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def ppv(power: Fraction, R: Fraction, u: Fraction, alpha: Fraction) -> Fraction:
    """PPV as the paper writes it."""
    beta = 1 - power
    return ((1 - beta) * R + u * beta * R) / (R + alpha - beta * R + u - u * alpha + u * beta * R)


def ppv_by_counting(power: Fraction, R: Fraction, u: Fraction, alpha: Fraction) -> Fraction:
    """Share of true ones among the claimed relationships, from the cells of the paper's Table 2."""
    true_claimed = R / (R + 1) * (power + u * (1 - power))
    false_claimed = 1 / (R + 1) * (alpha + u * (1 - alpha))
    return true_claimed / (true_claimed + false_claimed)


def run(config: Config, context: Context) -> dict[str, float]:
    """Compute the nine values.

    Returns:
        `<kind>`: PPV (probability). `counting_differs`: rows in which counting gives another fraction (count).
    """
    row: dict[str, float] = {}
    differs = 0
    for kind, *numbers in zip(config.kinds, config.power, config.true_to_false, config.bias, strict=True):
        power, R, u = map(Fraction, numbers)
        u = u if config.with_bias else Fraction(0)
        value = ppv(power, R, u, Fraction(config.alpha))
        differs += value != ppv_by_counting(power, R, u, Fraction(config.alpha))
        row[kind] = float(value)
    return row | {"counting_differs": float(differs)}


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:28} {value:.5g}")
