"""What the printed test errors of distillation on MNIST say of each other.

Paper: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 3. Serves the claim
`distillation/printed_errors`.

    recovered gap = (student alone − distilled) / (student alone − teacher)

Hardware and time: any CPU, milliseconds. Deviations: none; all inputs are printed.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What section 3 prints."""

    teacher: int = 67
    """Test errors of the large net."""
    alone: int = 146
    """Of the small net trained on labels."""
    distilled: int = 74
    """Of the small net with the large one's soft targets."""
    threes: int = 1010
    """Images of a 3 among the 10,000 test images."""
    wrong_threes: int = 14
    """Errors on them of the net that never saw a 3, its bias raised."""
    images: int = 10_000
    """Test images."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `recovered_gap`, `threes_right` in %, and the error rates of the three nets in %, `<net>_error`."""
    nets = {"teacher": config.teacher, "alone": config.alone, "distilled": config.distilled}
    rates = {f"{name}_error": 100 * errors / config.images for name, errors in nets.items()}
    return rates | {
        "recovered_gap": (config.alone - config.distilled) / (config.alone - config.teacher),
        "threes_right": 100 * (1 - config.wrong_threes / config.threes),
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:16} {value:.4f}")
