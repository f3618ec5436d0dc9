"""Do Flamingo's printed scores rise with the number of shots, and with the size of the model?

Paper: Alayrac et al. 2022 (Flamingo), arXiv 2204.14198, section 3.1, Table 1 and Figure 2. Serves the claims
`flamingo/shots_improve_tables`, `flamingo/size_improves_tables` and `flamingo/size_improves_every_task`.

Hardware and time: any CPU, milliseconds. Deviations: five tasks of the sixteen; only printed digits enter.
"""

from dataclasses import dataclass

from experiments.vision_language.printed_scores import FEW_SHOT, SHOTS, SIZES, TASKS, overall
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What is increased."""

    along: str = "shots"
    """`shots`: one row for 0, 4 and 32 shots; `size`: one row for 3B, 9B and 80B."""
    shuffled: bool = False
    """Whether the rows are mislabelled, each as the next and the last as the first: a control."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a level.

    Columns: `level` (shots, or billions of parameters); `<task>_<other>` (the task's own metric) and `overall_<other>` (% of the
    fine-tuned state of the art, mean of the five tasks), with `<other>` the size (`3b`) or the shots (`4_shots`) that is held fixed.
    """
    if config.along not in ("shots", "size"):
        raise ValueError(f"along must be shots or size, not {config.along!r}")
    by_shots = config.along == "shots"
    levels, others = (SHOTS, SIZES) if by_shots else (SIZES, SHOTS)
    labels = (*levels[1:], levels[0]) if config.shuffled else levels
    rows = []
    for level, label in zip(levels, labels, strict=True):
        row = {"level": float(label)}
        for other in others:
            scores = FEW_SHOT[(other, level) if by_shots else (level, other)]
            name = f"{other}b" if by_shots else f"{other}_shots"
            row |= {f"{task}_{name}": value for task, value in zip(TASKS, scores, strict=True)}
            row[f"overall_{name}"] = overall(scores)
        rows.append(row)
    return rows


if __name__ == "__main__":
    for each in ("shots", "size"):
        for printed in run(Config(along=each), Context()):
            print({column: round(value, 1) for column, value in printed.items()})
