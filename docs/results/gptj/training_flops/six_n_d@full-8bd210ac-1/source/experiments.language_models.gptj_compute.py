"""Training compute of GPT-J-6B and GPT-Neo-2.7B: does 6ND give what the authors' table prints?

Sources: README of the authors' repository (kingoflolz/mesh-transformer-jax), table of zero-shot evaluations, column "Training FLOPs";
tokens and steps from the two model cards. Serves the claim `gptj/training_flops`.

    C = 6 N D,    D = steps × sequences of a step × tokens of a sequence

Hardware and time: any CPU, milliseconds. Deviations: attention's own products are left out, as everywhere in 6ND.
"""

from dataclasses import dataclass

from repro.lab.flops import approximate_training_flops
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What the table and the cards print, and the conventions of the count."""

    models: tuple[str, ...] = ("gptj", "gpt_neo_2_7b")
    """The two models whose tokens are known."""
    params: tuple[float, ...] = (6_053_381_344, 2.65e9)
    """N as printed."""
    tokens: tuple[float, ...] = (402e9, 420e9)
    """D as printed."""
    printed_flops: tuple[float, ...] = (1.5e22, 6.8e21)
    """C as printed; only the reported ratio uses it."""
    steps: int = 383_500
    """GPT-J's steps."""
    replicas: int = 32
    """Copies of GPT-J's model: 256 cores, 8 to a copy."""
    sequences: int = 16
    """Sequences of a copy and step: a batch of 1, gradients accumulated over 16."""
    context: int = 2048
    """Tokens of a sequence."""
    flops_per_parameter_token: float = 6.0
    """FLOPs a parameter and token: 6 for training, 2 for the forward pass alone."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Count the compute of each model, and GPT-J's tokens from its steps.

    Returns:
        `flops_<model>`: 6ND (FLOPs); `ratio_<model>`: the same over what is printed (1).
        `tokens_gptj`: steps × replicas × sequences × context (tokens).
    """
    row: dict[str, float] = {}
    for model, N, D, printed in zip(config.models, config.params, config.tokens, config.printed_flops, strict=True):
        C = approximate_training_flops(N, D, config.flops_per_parameter_token)
        row |= {f"flops_{model}": C, f"ratio_{model}": C / printed}
    return row | {"tokens_gptj": float(config.steps * config.replicas * config.sequences * config.context)}


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:22} {value:.5g}")
