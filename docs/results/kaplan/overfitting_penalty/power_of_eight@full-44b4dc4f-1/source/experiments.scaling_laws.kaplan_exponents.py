"""Kaplan's exponents checked against each other.

Paper: Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361, Equations 6.4 and 6.5, Tables 5 and 6,
section 4.2. Serves the claims `kaplan/compute_min_exponent`, `kaplan/overfitting_penalty` and
`kaplan/table6_exponents_add_up`.

    L ∝ C_min^(−α_C),   α_C = 1 / (1/α_S + 1/α_B + 1/α_N)                                       (Equation 6.4)
    N ∝ C_min^(α_C/α_N),   B ∝ C_min^(α_C/α_B),   S ∝ C_min^(α_C/α_S)                          (Equation 6.5)

with α_N, α_S and α_B of the loss over parameters, minimum steps and critical batch size. As C = 6NBS and D = BS, the
exponents of N, B and S add up to 1, and those of B and S to that of D.

Hardware and time: any CPU, milliseconds. Deviations: none; the printed digits are all there is.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Printed exponents."""

    alpha_S: float = 0.76
    """Of the loss over minimum steps, Table 5."""
    alpha_B: float = 0.21
    """Of the critical batch size over the loss, Table 5."""
    alpha_N: float = 0.076
    """Of the loss over parameters, Table 5."""
    batch_in_sum: bool = True
    """Control: False leaves 1/α_B out of Equation 6.4, as if the batch did not grow."""
    p_N: float = 0.73
    """Of the optimal parameters over C_min, Table 6."""
    p_B: float = 0.24
    """Of the batch size over C_min, Table 6."""
    p_S: float = 0.03
    """Of the steps over C_min, Table 6."""
    p_D: float = 0.27
    """Of the tokens over C_min, Table 6."""
    model_growth: float = 8.0
    """By how much the model grows in section 4.2."""
    data_exponent: float = 0.74
    """Of the tokens that avoid overfitting over parameters, D ≳ 5e3 N^0.74."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Combine the printed exponents.

    Returns:
        `predicted`, `joint_model`, `fitted`: Equation 6.4's α_C three times, for the three values printed of it.
        `alpha_C_least`, `alpha_C_most`: the same from the ends of what the printed digits of α_S, α_B and α_N stand for.
        `optimal_params`, `optimal_batch`, `optimal_steps`: exponents of Equation 6.5 from that α_C.
        `params_and_data`: p_N + p_D; `params_batch_steps`: p_N + p_B + p_S; `batch_and_steps`: p_B + p_S.
        `data_growth`: by how much the data must grow with the model.
    """

    def combined(alpha_S: float, alpha_B: float, alpha_N: float) -> float:
        return 1 / (1 / alpha_S + (1 / alpha_B if config.batch_in_sum else 0.0) + 1 / alpha_N)

    alpha_C = combined(config.alpha_S, config.alpha_B, config.alpha_N)
    return {
        "predicted": alpha_C,
        "joint_model": alpha_C,
        "fitted": alpha_C,
        "alpha_C_least": combined(config.alpha_S - 0.005, config.alpha_B - 0.005, config.alpha_N - 0.0005),
        "alpha_C_most": combined(config.alpha_S + 0.005, config.alpha_B + 0.005, config.alpha_N + 0.0005),
        "optimal_params": alpha_C / config.alpha_N,
        "optimal_batch": alpha_C / config.alpha_B,
        "optimal_steps": alpha_C / config.alpha_S,
        "params_and_data": config.p_N + config.p_D,
        "params_batch_steps": config.p_N + config.p_B + config.p_S,
        "batch_and_steps": config.p_B + config.p_S,
        "data_growth": config.model_growth**config.data_exponent,
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:20} {value:.4f}")
