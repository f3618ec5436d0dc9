"""What a positive test means: Bayes' rule for a test of known sensitivity and specificity.

Paper: Bayes 1763, "An Essay towards solving a Problem in the Doctrine of Chances", Proposition 5: the probability
of a first event, given that a second one happened, is P(both) / P(second). Serves the claim
`bayes/positive_predictive_value`.

With D the disease, + a positive test and π = P(D) the prevalence,

    PPV = P(D | +) = P(+ | D) π / [P(+ | D) π + P(+ | not D) (1 − π)]
    LR+ = P(+ | D) / P(+ | not D) = sensitivity / (1 − specificity)
    LR− = P(− | D) / P(− | not D) = (1 − sensitivity) / specificity

A simulated population that knows nothing of the formula is tested beside it.

Hardware and time: any CPU, under a second. Deviations: Bayes prints none of these numbers; they are the essay's
proposition applied to a test, and the published side of the claim is the same fraction in exact arithmetic.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """The test, the prevalences, and how the posterior is formed."""

    sensitivity: float = 0.85
    """P(+ | D)."""
    specificity: float = 0.99
    """P(− | not D)."""
    one_in: tuple[int, ...] = (1000, 200, 100, 20, 10, 2)
    """Prevalences: one person in so many is ill, P(D) = 1 / one_in. One predictive value each."""
    posterior: str = "bayes"
    """`bayes`; or a well-known fallacy: `prevalence_ignored` takes every disease for a coin toss, `conditionals_swapped`
    takes P(+ | D) for P(D | +)."""
    draws: int = 1_000_000
    """People in the simulated population of each prevalence."""
    mc_seed: int = 1763
    """Seed of the simulation; fixed, so that no random draw differs between two runs."""
    seed: int = 0
    """Unused: the values are deterministic. It lets two processes repeat the calculation."""


def positive_predictive_value(sensitivity: float, specificity: float, prevalence: float) -> float:
    """P(D | +) by Bayes' rule."""
    true_positive = sensitivity * prevalence
    false_positive = (1 - specificity) * (1 - prevalence)
    return true_positive / (true_positive + false_positive)


def posterior(config: Config, prevalence: float) -> float:
    """P(D | +), or what the fallacy named in the config takes for it."""
    if config.posterior == "conditionals_swapped":
        return config.sensitivity
    believed = {"bayes": prevalence, "prevalence_ignored": 0.5}[config.posterior]
    return positive_predictive_value(config.sensitivity, config.specificity, believed)


def simulate(config: Config, prevalence: float, rng: np.random.Generator) -> tuple[float, int]:
    """Test `draws` people; return the share of the positive ones who are ill, and how many are positive."""
    ill = rng.random(config.draws) < prevalence
    p_positive = np.where(ill, config.sensitivity, 1 - config.specificity)
    positive = rng.random(config.draws) < p_positive
    return float(ill[positive].mean()), int(positive.sum())


def run(config: Config, context: Context) -> dict[str, float]:
    """Compute the predictive values and likelihood ratios, and simulate the former.

    Returns:
        `ppv_at_1_in_<m>`: P(D | +) at prevalence 1/m (probability).
        `lr_positive`, `lr_negative`: likelihood ratios (1).
        `simulated_ppv_at_1_in_<m>`: share of the simulated positives who are ill (probability).
        `simulated_z_at_1_in_<m>`: simulated minus calculated, in standard errors of the simulation (1).
    """
    rng = np.random.default_rng(config.mc_seed)
    row = {
        "lr_positive": config.sensitivity / (1 - config.specificity),
        "lr_negative": (1 - config.sensitivity) / config.specificity,
    }
    for i, m in enumerate(config.one_in):
        ppv = posterior(config, 1 / m)
        simulated, positives = simulate(config, 1 / m, rng)
        row[f"ppv_at_1_in_{m}"] = ppv
        row[f"simulated_ppv_at_1_in_{m}"] = simulated
        row[f"simulated_z_at_1_in_{m}"] = (simulated - ppv) / sqrt(ppv * (1 - ppv) / positives)
        context.progress((i + 1) / len(config.one_in))
    return row


if __name__ == "__main__":
    for name, value in run(Config(), Context()).items():
        print(f"{name:28} {value:.15g}")
