"""Flamingo's overall score from the printed scores of its five tasks.

Paper: Alayrac et al. 2022 (Flamingo), arXiv 2204.14198, section 3.3 and Tables 1 and 3. Serves the claim `flamingo/overall_score`.

    overall = mean over tasks of (score / fine-tuned state of the art), in per cent

Hardware and time: any CPU, milliseconds. Deviations: none; only printed digits enter.
"""

from dataclasses import dataclass

from experiments.vision_language.printed_scores import ABLATION, FINE_TUNED, overall
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """How the five scores become one."""

    mean: str = "of_ratios"
    """`of_ratios`: section 3.3; `ratio_of_means`: the mean score over the mean state of the art; `raw`: the mean score."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def score(scores: tuple[float, ...], mean: str) -> float:
    """Return one score for five tasks."""
    if mean == "of_ratios":
        return overall(scores)
    if mean == "ratio_of_means":
        return 100 * sum(scores) / sum(FINE_TUNED)
    if mean == "raw":
        return sum(scores) / len(scores)
    raise ValueError(f"mean must be of_ratios, ratio_of_means or raw, not {mean!r}")


def run(config: Config, context: Context) -> dict[str, float]:
    """Return the overall score (%) of each row of Table 3 that is known task by task: `baseline` and `no_gate`."""
    return {row: score(scores, config.mean) for row, scores in ABLATION.items()}


if __name__ == "__main__":
    for each in ("of_ratios", "ratio_of_means", "raw"):
        print(each, run(Config(mean=each), Context()))
