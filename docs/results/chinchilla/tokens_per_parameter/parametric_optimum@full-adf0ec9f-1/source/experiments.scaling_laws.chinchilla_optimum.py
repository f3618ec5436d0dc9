"""Compute-optimal tokens per parameter from published constants of the parametric loss.

Paper: Hoffmann et al., "Training Compute-Optimal Large Language Models", arXiv 2203.15556, Equations 4 and 10, and the
refit of Besiroglu et al., arXiv 2404.10102. Serves the claim `chinchilla/tokens_per_parameter`.

With L(N, D) = E + A/N^α + B/D^β and C = 6ND (Equation 4):

    N*(C) = G (C/6)^a,  D*(C) = (C/6)^b / G,  G = (αA / βB)^(1/(α+β)),  a = β/(α+β),  b = α/(α+β)

Hardware and time: any CPU, milliseconds. Deviations: none; the paper prints no ratio D*/N*, "about 20" is read off its
Table 3.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Three published sets of constants, the budget, and how exponents are formed."""

    budget: float = 5.76e23
    """Training compute C of Gopher and Chinchilla, FLOPs."""
    rounded: tuple[float, ...] = (406.4, 410.7, 0.34, 0.28)
    """A, B, α, β as printed in Equation 10."""
    tex: tuple[float, ...] = (406.4, 410.7, 0.3392, 0.2849)
    """A, B, α, β with the further digits that stand in the paper's TeX source."""
    epoch: tuple[float, ...] = (482.01, 2085.43, 0.3478, 0.3658)
    """A, B, α, β of the refit by Besiroglu et al."""
    exponents: str = "optimal"
    """`optimal`: a = β/(α+β); `swapped`: a = α/(α+β), which exchanges the roles of parameters and data."""
    flops_per_parameter_token: float = 6.0
    """FLOPs a parameter and token: 6 for training."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def optimum(constants: tuple[float, ...], config: Config) -> tuple[float, float, float]:
    """Return N*, D* and a for one set of constants (Equation 4)."""
    A, B, alpha, beta = constants
    a = {"optimal": beta, "swapped": alpha}[config.exponents] / (alpha + beta)
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    ND = config.budget / config.flops_per_parameter_token
    N = G * ND**a
    return N, ND / N, a


def run(config: Config, context: Context) -> dict[str, float]:
    """Compute the optimum at the budget for each set of constants.

    Returns:
        `tokens_per_parameter_<set>`: D*/N* (tokens a parameter), for the sets `rounded`, `tex` and `epoch`.
        `params_<set>`, `tokens_<set>`: N* and D*; `params_exponent_<set>`: a.
    """
    row: dict[str, float] = {}
    for name, constants in {"rounded": config.rounded, "tex": config.tex, "epoch": config.epoch}.items():
        N, D, a = optimum(constants, config)
        row |= {
            f"tokens_per_parameter_{name}": D / N,
            f"params_{name}": N,
            f"tokens_{name}": D,
            f"params_exponent_{name}": a,
        }
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:32} {value:.4g}")
