"""A ladder of small models with two large targets, for the extrapolation of language-modelling loss.

Paper: Bhagia et al. 2024 (arXiv 2412.04403), step 1 with C4 loss as the intermediate feature. Models of 190M to 1.3B parameters
trained on 1, 2, 5 and 10 times Chinchilla's tokens are extrapolated to OLMo 2 7B and 13B.

Serves the claims of `olmo_ladder`. The trial only reads the tables; the law is fitted in `model_ladder_estimators`:

    L(N, D) = E + A / N^α + B / D^β

Hardware and time: any CPU, milliseconds.

Deviations: the 7B model's losses are those of its pre-training before the final anneal, which is not in the table (3.88 of 3.9
trillion tokens); the paper's 7B target is the annealed model.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

TARGETS = {
    "olmo2_7b_eval_curve": (6887575552, 1024 * 4096, 49412071424),
    "olmo2_13b_eval_curve": (13202396160, 2048 * 4096, 91335915520),
}
"""Parameters, tokens a step and FLOPs a token of the targets (authors' configs/final.json and scaling/utils.py; 13B's tokens a
step from the 5,000,088,518,656 tokens that their README names for its 596,057 steps; 7B's from OLMo 2's batch of 1,024)."""


@dataclass(frozen=True)
class Config:
    """Which loss, averaged over how many of a run's last evaluations."""

    eval_set: str = "c4_en"
    """Evaluation set, by its name in the tables."""
    average_last: int = 5
    """Evaluations averaged at the end of each run (the authors' `--moving_avg 5`)."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a training run.

    `params`: N, without embeddings; `tokens`: D; `loss`: nats per token; `chinchilla_multiple`: D in units of 20 N, as the run
    is named, 0 for targets; `rerun`: 1 for a second run of the same; `target`: 1 for the two targets;
    `flops_of_run`: D times the authors' FLOPs a token.
    """
    curves: dict[str, list[dict[str, str]]] = {}
    with context.data("olmo_ladder_curves").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            curves.setdefault(row["run"], []).append(row)

    rows = []
    for curve in curves.values():
        curve.sort(key=lambda row: float(row["_step"]))
        last = curve[-1]
        rows.append(
            {
                "params": float(last["params_n"]),
                "tokens": float(last["total_tokens"]),
                "loss": mean_of_last(curve, f"{config.eval_set}_loss", config.average_last),
                "chinchilla_multiple": float(last["xC"]),
                "rerun": float(last["rerun"] == "True"),
                "target": 0.0,
                "flops_of_run": float(last["total_tokens"]) * float(last["flops_per_token"]),
            }
        )
    for name, (params, tokens_a_step, flops_a_token) in TARGETS.items():
        with context.data(name).open(newline="", encoding="utf-8") as stream:
            curve = sorted(csv.DictReader(stream), key=lambda row: float(row["_step"]))
        tokens = float(curve[-1]["_step"]) * tokens_a_step
        rows.append(
            {
                "params": float(params),
                "tokens": tokens,
                "loss": mean_of_last(curve, f"eval/{config.eval_set}-validation/CrossEntropyLoss", config.average_last),
                "chinchilla_multiple": 0.0,
                "rerun": 0.0,
                "target": 1.0,
                "flops_of_run": tokens * flops_a_token,
            }
        )
    return rows


def mean_of_last(curve: list[dict[str, str]], column: str, count: int) -> float:
    """Return the mean of a column over the last rows of a curve."""
    values = [float(row[column]) for row in curve[-count:]]
    return sum(values) / len(values)


if __name__ == "__main__":
    import sys

    folder = Path(sys.argv[1])
    files = {name: folder / f"{name}.csv" for name in ("olmo_ladder_curves", *TARGETS)}
    for row in sorted(run(Config(), Context(files=files)), key=lambda row: row["params"]):
        print(f"{row['params']:.3g} parameters, {row['tokens']:.3g} tokens: {row['loss']:.4f}")
