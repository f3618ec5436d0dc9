"""Mean, spread and t test of the 80 final losses that one speed record prints.

Source: Keller Jordan et al., modded-nanogpt, `records/track_1_short/2025-01-04_SoftCap/README.md` (record 18, by Braden Koszarsky):
the losses, p, standard deviation and mean. The front page of the same days, which introduced the rule of p < 0.01, rounds
them to "~3.279 mean validation loss (with 0.002 inter-run stddev)". Serves the claim `modded_nanogpt/softcap_t_test`.

Hardware and time: any CPU, milliseconds. Deviations: none; one of the 80 logs is public, the losses are as printed.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What is printed, and how it is tested."""

    losses: tuple[float, ...] = (
        3.2798, 3.2804, 3.2837, 3.2808, 3.2782, 3.2801, 3.2830, 3.2825, 3.2777, 3.2769, 3.2834, 3.2832, 3.2753, 3.2809,
        3.2778, 3.2801, 3.2799, 3.2804, 3.2765, 3.2792, 3.2786, 3.2792, 3.2801, 3.2762, 3.2803, 3.2784, 3.2792, 3.2791,
        3.2769, 3.2790, 3.2784, 3.2775, 3.2830, 3.2785, 3.2753, 3.2805, 3.2766, 3.2766, 3.2781, 3.2819, 3.2754, 3.2827,
        3.2803, 3.2784, 3.2802, 3.2794, 3.2765, 3.2780, 3.2782, 3.2780, 3.2816, 3.2790, 3.2771, 3.2791, 3.2768, 3.2781,
        3.2794, 3.2798, 3.2785, 3.2804, 3.2777, 3.2765, 3.2796, 3.2780, 3.2803, 3.2793, 3.2793, 3.2788, 3.2797, 3.2780,
        3.2799, 3.2813, 3.2803, 3.2768, 3.2803, 3.2796, 3.2800, 3.2796, 3.2783, 3.2780,
    )  # fmt: skip
    """Final validation losses, nats per token."""
    target: float = 3.28
    """That the mean must be shown to lie below, nats per token."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `mean` and `sd` of the losses (nats per token), `p` of the t test, and the `count` of runs."""
    losses = np.array(config.losses)
    return {
        "mean": float(losses.mean()),
        "sd": float(losses.std(ddof=1)),
        "p": float(stats.ttest_1samp(losses, config.target, alternative="less").pvalue),
        "count": float(len(losses)),
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:6} {value:.6g}")
