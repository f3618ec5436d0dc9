"""Training cost of the Transformer's two models, from training time, accelerators and their speed.

Paper: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, Table 2 with its footnote on sustained speeds, and section
5.2 for times. Serves the claim `transformer/training_cost`.

    cost = training time × 8 P100 × 9.5 TFLOP/s

Hardware and time: any CPU, no time to speak of. Deviations: none.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What the paper multiplies."""

    labels: tuple[str, ...] = ("base", "big")
    """The two models."""
    hours: tuple[float, ...] = (12.0, 84.0)
    """Training time: 12 hours, and 3.5 days."""
    accelerators: int = 8
    """P100 in the machine."""
    tflops: float = 9.5
    """Speed of one, single precision, in 10¹² FLOP/s."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Multiply.

    Returns:
        The cost of each model by its label, in FLOPs.
    """
    speed = config.accelerators * config.tflops * 1e12
    return {label: hours * 3600 * speed for label, hours in zip(config.labels, config.hours, strict=True)}


if __name__ == "__main__":
    print(run(Config(), Context()))
