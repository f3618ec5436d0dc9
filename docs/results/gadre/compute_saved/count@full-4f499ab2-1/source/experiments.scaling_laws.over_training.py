"""Losses of over-trained models, for the scaling law in compute and tokens per parameter.

Paper: Gadre et al. 2024 (arXiv 2403.08540), sections 2.2 and 3 (Equation 4, Figures 2 and 5, Table 1). Models of 0.011B to
0.411B parameters trained on three data sets with 5 to 640 tokens per parameter; the law fitted to five of them is
extrapolated to 1.4B parameters, over-trained, and to 6.9B with 20 tokens per parameter.

Serves the claims of `gadre`. The trial only reads the table; the law is fitted in `over_training_estimators`:

    L(C, M) = E + (a M^η + b M^−η) C^−η,  C = 6ND, M = D/N,  which is  L = E + A / N^α + B / D^α  with α = 2η

Hardware and time: any CPU, milliseconds.

Deviations: none in the data; the table has one row a model and evaluation set from the authors' JSON files.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

FITTED = (
    ("d=96_l=8_h=4", 20),
    ("d=512_l=8_h=4", 20),
    ("d=576_l=24_h=8", 20),
    ("d=1024_l=24_h=8", 20),
    ("d=96_l=8_h=4", 320),
)
"""Model and tokens per parameter of the five runs that Equation 4 is fitted to (Table 1)."""


@dataclass(frozen=True)
class Config:
    """Which runs, and which of them the law is fitted to."""

    train_dataset: str = "rpj"
    """`c4_original`, `rpj` (RedPajama) or `rw_original` (RefinedWeb)."""
    eval_set: str = "c4_val"
    """Evaluation set, by the beginning of its name in the table; C4 is the paper's default."""
    fitted: str = "table_1"
    """`table_1`: the paper's five runs are marked as fitted. `all_small`: all runs of at most 0.411B parameters."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a training run on one data set.

    `params`: N, with embeddings; `tokens`: D; `loss`: on the evaluation set, nats per token; `small`: 1 if at most 0.411B parameters;
    `fitted`: 1 if the law is fitted to it.
    """
    with context.data("gadre_overtraining_losses").open(newline="", encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if r["train_dataset"] == config.train_dataset]
    rows = [row for row in rows if row["eval_set"].startswith(config.eval_set)]
    if not rows:
        raise ValueError(f"no run was trained on {config.train_dataset!r} and evaluated on {config.eval_set!r}")

    table = []
    for row in rows:
        small = row["model"].startswith("d=")
        multiplier = 20 * float(row["chinchilla_multiplier"])  # the table counts in units of 20 tokens per parameter
        chosen = (row["model"], multiplier) in FITTED if config.fitted == "table_1" else small
        table.append(
            {
                "params": float(row["params"]),
                "tokens": float(row["tokens"]),
                "loss": float(row["loss"]),
                "small": float(small),
                "fitted": float(chosen),
            }
        )
    return table


if __name__ == "__main__":
    import sys

    table = run(Config(), Context(files={"gadre_overtraining_losses": Path(sys.argv[1])}))
    print(f"{len(table)} runs, {sum(row['fitted'] for row in table):.0f} of them fitted")
