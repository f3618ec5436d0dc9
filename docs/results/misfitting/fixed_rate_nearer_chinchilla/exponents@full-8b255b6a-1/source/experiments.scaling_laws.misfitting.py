"""A sweep of small language models with its checkpoints, for the sensitivity of a fitted law to how it is fitted.

Paper: Li, Kudugunta and Zettlemoyer 2025 (arXiv 2502.18969), the case studies on their own models: 12M to 1B parameters, several
token counts and learning rates each, trained on C4. Fits differ in what N counts, which checkpoints, learning rates, sizes and
ratios of tokens to parameters enter, and in the objective.

Serves the claims of `misfitting`. The trial only reads the tables; the choices and the fits are in `misfitting_estimators`.

Hardware and time: any CPU, milliseconds.

Deviations: none in the data. The tables hold C as the paper counts it, too; the parametric law does not use it.
"""

import csv
import gzip
from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Which of the tables is read."""

    checkpoints: bool = False
    """Also the checkpoints during training (4,852 rows), besides the 261 final ones."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a checkpoint.

    `params`: N with embeddings; `params_non_embedding`; `tokens`: D at the checkpoint; `loss`: C4 evaluation loss, nats per
    token; `learning_rate`: the peak; `final`: 1 for rows of the table of final checkpoints; `elapsed`: share of the steps done;
    `run`: number of the training run, the same for all its checkpoints.
    """
    with context.data("misfitting_final_checkpoints").open(newline="", encoding="utf-8") as stream:
        rows = [(1.0, row) for row in csv.DictReader(stream)]
    if config.checkpoints:
        with gzip.open(context.data("misfitting_all_checkpoints"), "rt", newline="", encoding="utf-8") as stream:
            rows += [(0.0, row) for row in csv.DictReader(stream)]

    runs: dict[tuple[str, ...], int] = {}
    table = []
    for final, row in rows:
        name = tuple(row[column] for column in ("model", "total_steps", "peak_lr", "sweep"))
        table.append(
            {
                "params": float(row["N"]),
                "params_non_embedding": float(row["N_no_emb"]),
                "tokens": float(row["D"]),
                "loss": float(row["C4 Eval Loss"]),
                "learning_rate": float(row["peak_lr"]),
                "final": final,
                "elapsed": float(row["portion_steps_elapsed"]),
                "run": float(runs.setdefault(name, len(runs))),
            }
        )
    return table


if __name__ == "__main__":
    import sys
    from pathlib import Path

    table = run(Config(), Context(files={"misfitting_final_checkpoints": Path(sys.argv[1])}))
    print(f"{len(table)} final checkpoints of {len({row['run'] for row in table})} runs")
