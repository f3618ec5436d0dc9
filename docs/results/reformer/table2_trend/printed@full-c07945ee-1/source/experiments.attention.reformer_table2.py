"""Table 2 of the Reformer paper, as printed: accuracy of copying against rounds of hashing in training and in evaluation.

Paper: Kitaev et al., "Reformer: The Efficient Transformer", arXiv 2001.04451, Table 2 (one layer, length 1024, 127 symbols).
The figures below are the paper's own; nothing is trained here. `experiments/attention/copy_task.py` trains.

Serves: reformer/table2_trend. Hardware and time: none to speak of.

Deviations: none.
"""

from dataclasses import dataclass

from repro.schema.context import Context

ROUNDS = (1, 2, 4, 8)
"""Rounds of hashing in evaluation."""

ACCURACY = {
    "trained_full": (52.5, 76.9, 92.5, 94.8),
    "trained_4": (91.9, 99.4, 99.9, 100.0),
    "trained_2": (86.8, 98.1, 99.9, 100.0),
    "trained_1": (77.9, 94.8, 99.6, 99.9),
}
"""Per cent with so many rounds, by the setting in training: full attention, or 4, 2 and 1 rounds."""

WITH_FULL_ATTENTION = {"trained_full": 100.0, "trained_4": 0.8, "trained_2": 0.8, "trained_1": 0.8}
"""Per cent in evaluation with full attention."""

LENGTH = 1024
"""Tokens; where full attention is taken as a level of its own, as that many rounds, which no hashing exceeds."""


@dataclass(frozen=True)
class Config:
    """The table, with or without its first column."""

    with_full: bool = False
    """Control: append full attention as if it were the limit of many rounds."""
    seed: int = 0
    """Unused: printed figures have none."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return the table.

    Returns:
        A row a number of `rounds` in evaluation: `trained_full`, `trained_4`, `trained_2`, `trained_1` (per cent).
    """
    columns = {name: (*row, WITH_FULL_ATTENTION[name]) for name, row in ACCURACY.items()}
    levels = (*ROUNDS, LENGTH) if config.with_full else ROUNDS
    return [
        {"rounds": float(level), **{name: row[at] for name, row in columns.items()}} for at, level in enumerate(levels)
    ]


if __name__ == "__main__":
    for row in run(Config(with_full=True), Context()):
        print(row)
