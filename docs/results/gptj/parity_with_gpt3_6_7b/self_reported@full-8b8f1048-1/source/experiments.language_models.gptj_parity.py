"""GPT-J-6B against GPT-3 on four tasks, from printed scores, with the sampling error that their test sets allow.

Source: README of the authors' repository (kingoflolz/mesh-transformer-jax), table of zero-shot evaluations. Serves the claim
`gptj/parity_with_gpt3_6_7b`.

A difference of two accuracies p₁, p₂ on the same n questions, whose answers one by one are not published, has at most about the
unpaired standard error

    SE² = p₁ (1 − p₁)/n + p₂ (1 − p₂)/n,    z = (p₁ − p₂) / SE

(models that fail on the same questions have a smaller one).

Hardware and time: any CPU, milliseconds. Deviations: none; only printed digits enter.
"""

from dataclasses import dataclass
from math import log, sqrt

from repro.schema.context import Context

QUESTIONS = {"lambada": 5153, "winogrande": 1267, "hellaswag": 10_042, "piqa": 1838}
"""Size of each test set, n."""

ACCURACY = {
    "gptj": {"lambada": 69.7, "winogrande": 65.3, "hellaswag": 66.1, "piqa": 76.5},
    "gpt_neo_2_7b": {"lambada": 62.2, "winogrande": 56.5, "hellaswag": 55.8, "piqa": 73.0},
    "gpt3_6_7b": {"lambada": 70.3, "winogrande": 64.5, "hellaswag": 67.4, "piqa": 78.0},
    "gpt3_curie": {"lambada": 69.3, "winogrande": 65.6, "hellaswag": 68.5, "piqa": 77.9},
}
"""Accuracy without examples, %. `gpt3_6_7b` as its authors report it, the others as the authors of GPT-J ran them."""

PERPLEXITY = {"gptj": 3.99, "gpt_neo_2_7b": 5.63, "gpt3_6_7b": 4.00, "gpt3_curie": 4.00}
"""Perplexity of LAMBADA's last words."""


@dataclass(frozen=True)
class Config:
    """Which two rows are compared."""

    model: str = "gptj"
    """The model said to be on par."""
    reference: str = "gpt3_6_7b"
    """With which."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def standard_error(p1: float, p2: float, n: int) -> float:
    """Return SE of p1 − p2, all three in %, for two independent samples of n answers."""
    return sqrt((p1 * (100 - p1) + p2 * (100 - p2)) / n)


def run(config: Config, context: Context) -> dict[str, float]:
    """Subtract printed scores.

    Returns:
        `<task>`: accuracy of the model minus the reference's (percentage points); `<task>_se`: its unpaired standard error by the
        binomial law (percentage points); `<task>_z`: their ratio (1).
        `lambada_perplexity`: 100 ln of the ratio of perplexities, model over reference (about per cent).
    """
    row: dict[str, float] = {}
    for task, n in QUESTIONS.items():
        ours, theirs = ACCURACY[config.model][task], ACCURACY[config.reference][task]
        difference, se = round(ours - theirs, 1), standard_error(ours, theirs, n)
        row |= {task: difference, f"{task}_se": se, f"{task}_z": difference / se}
    return row | {"lambada_perplexity": 100 * log(PERPLEXITY[config.model] / PERPLEXITY[config.reference])}


if __name__ == "__main__":
    for reference in ("gpt3_6_7b", "gpt3_curie"):
        print(
            reference,
            {column: round(value, 2) for column, value in run(Config(reference=reference), Context()).items()},
        )
