"""Speed-ups of federated averaging from the printed rounds.

Paper: McMahan, Moore, Ramage, Hampson and Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
Decentralized Data", arXiv 1602.05629, Table 2. Serves the claims `fedavg/printed_speedups` and `fedavg/ten_to_hundredfold`.

    speed-up of (E, B) = rounds of FedSGD / rounds of (E, B), on the same partition

Hardware and time: any CPU, milliseconds. Deviations: none; all inputs are printed.
"""

from dataclasses import dataclass

from repro.schema.context import Context

Cell = tuple[int, float]
"""Local epochs and batch; ∞ is all of a client's images."""

ALL = float("inf")

ROUNDS: dict[str, dict[Cell, tuple[int, int]]] = {
    "cnn": {
        (1, ALL): (626, 483),
        (5, ALL): (179, 1000),
        (1, 50): (65, 600),
        (20, ALL): (234, 672),
        (1, 10): (34, 350),
        (5, 50): (29, 334),
        (20, 50): (32, 426),
        (5, 10): (20, 229),
        (20, 10): (18, 173),
    },
    "lstm": {
        (1, ALL): (2488, 3906),
        (1, 50): (1635, 549),
        (5, ALL): (613, 597),
        (1, 10): (460, 164),
        (5, 50): (401, 152),
        (5, 10): (192, 41),
    },
}
"""Table 2: rounds, IID and non-IID, of the MNIST CNN to 99 % and the Shakespeare LSTM to 54 %; (1, ∞) is FedSGD."""

PARTITIONS = ("iid", "non_iid")


@dataclass(frozen=True)
class Config:
    """How the table is read."""

    baseline: str = "own"
    """FedSGD on the cell's `own` partition, or on the `other` one, as one who mistakes the column would."""
    pick: str = "best"
    """The cell that stands for a setting: its `best` or its `worst` FedAvg cell."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def speedups(model: str, partition: str, baseline: str = "own") -> dict[Cell, float]:
    """Return the speed-up of every FedAvg cell of one setting."""
    column = PARTITIONS.index(partition)
    other = column if baseline == "own" else 1 - column
    rounds = ROUNDS[model]
    return {cell: rounds[1, ALL][other] / found[column] for cell, found in rounds.items() if cell != (1, ALL)}


def run(config: Config, context: Context) -> dict[str, float]:
    """Return the speed-ups.

    Returns:
        `<model>_<partition>_E<E>_B<B>`: of every cell; `<model>_<partition>_least` and `_most`: both the speed-up of the cell
        picked for a setting, once to be held against a lower bound and once against an upper one.
    """
    row = {}
    for model in ROUNDS:
        for partition in PARTITIONS:
            found = speedups(model, partition, config.baseline)
            for (E, B), ratio in found.items():
                row[f"{model}_{partition}_E{E}_B{B:g}"] = ratio
            chosen = (max if config.pick == "best" else min)(found.values())
            row[f"{model}_{partition}_least"] = row[f"{model}_{partition}_most"] = chosen
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:28} {value:8.2f}")
