"""Training compute that Epoch's database gives for two closed models.

Source: Epoch AI, database of AI models (epoch.ai/data/ai-models); the numbers as other pages repeat them.
Serves the claim `epoch_trends/model_compute_estimates`.

Hardware and time: any CPU, milliseconds. Deviations: none. Both numbers are Epoch's own estimates, marked "Speculative" in the
table: agreement says what the database says, not what the models took.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Which table and which models."""

    table: str = "epoch_models_2025_02"
    """`epoch_models_2025_02` or `epoch_models_2025_08`."""
    models: tuple[str, ...] = ("GPT-4", "Gemini 1.0 Ultra")
    """Names in the table, in the order of the measurements; the control names their smaller siblings."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `gpt_4` and `gemini_ultra`, FLOPs.

    Raises:
        ValueError: if a model is not in the table exactly once, or has no compute there.
    """
    with context.data(config.table).open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    flops = []
    for model in config.models:
        found = [row["Training compute (FLOP)"] for row in rows if row["Model"] == model]
        if len(found) != 1 or not found[0]:
            raise ValueError(f"{config.table} must hold {model!r} once, with compute; got {len(found)} rows: {found}.")
        flops.append(float(found[0]))
    return dict(zip(("gpt_4", "gemini_ultra"), flops, strict=True))


if __name__ == "__main__":
    import sys

    print(run(Config(), Context(files={"epoch_models_2025_02": Path(sys.argv[1])})))
