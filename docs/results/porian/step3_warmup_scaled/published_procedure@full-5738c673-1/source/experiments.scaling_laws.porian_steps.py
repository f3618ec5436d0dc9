"""IsoFLOP tables of Porian et al.: from Kaplan's exponent to Chinchilla's in five steps.

Paper: Porian, Wortsman, Jitsev, Schmidt and Carmon, "Resolving Discrepancies in Compute-Optimal Scaling of Language
Models", arXiv 2406.19146, Figure 1 and Table 1. Serves the claims of `porian`.

The trial only reads one setting's rows: for each of 11 or 12 budgets C, 1.25e16 to 2.56e19 FLOPs, the loss of 5 to 16
model sizes N trained on RefinedWeb, read off the training curves where 6ND = C. Interpolation, noise and regression are in
`porian_steps_estimators`.

Hardware and time: any CPU; the trial takes milliseconds, an exponent with its 1,000 noise draws a tenth of a second.

Deviations: none in the rows. OpenWebText2 is not among them.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.schema.context import Context

SELECTED_BY = ("table", "dataset", "hparams", "warmup", "decay", "param_count", "val")
"""Columns that tell the settings apart."""

SETTINGS = {
    "kaplan_counting": ("summary_df", "rw", "base", "long", "kaplan", "kaplan", "train"),
    "last_layer_counted": ("summary_df", "rw", "base", "long", "kaplan", "standard", "val"),
    "warmup_scaled": ("summary_df", "rw", "base", "short", "kaplan", "standard", "val"),
    "cosine_decay": ("summary_df", "rw", "base", "short", "chinchilla", "standard", "val"),
    "tuned_no_decay": ("summary_df", "rw", "tuned", "short", "const", "standard", "val"),
    "attention_long_warmup": ("summary_df_att", "rw", "base", "long", "kaplan", "attention", "train"),
    "attention_warmup_scaled": ("summary_df_att", "rw", "base", "short", "kaplan", "attention", "train"),
    "attention_cosine_decay": ("summary_df_att", "rw", "base", "short", "chinchilla", "attention", "train"),
    "attention_tuned_no_decay": ("summary_df_att", "rw", "tuned", "short", "const", "attention", "train"),
    "tuned_kaplan_counting": (
        "summary_df_kaplan_tuned_hparams", "rw", "tuned", "long", "const", "kaplan", "train",
    ),
}  # fmt: skip
"""The authors' settings, in their order, by what each adds to the one before."""


@dataclass(frozen=True)
class Config:
    """Which rows of the table are read."""

    setting: str = "kaplan_counting"
    """A key of `SETTINGS`."""
    shuffle_budgets: bool = False
    """Control: the budgets exchange their names, by one fixed permutation, so that size no longer grows with compute."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def number(line: int, row: dict[str, str], column: str) -> float:
    """Return a cell as a float; NaN for an empty cell or `nan`, a run without a loss.

    Raises:
        ValueError: if the cell holds anything else that is no number.
    """
    text = (row[column] or "").strip()
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise ValueError(f"line {line}: column '{column}' must be a number, got {text!r}.") from None


def read_points(path: Path, setting: str) -> np.ndarray:
    """Return budget C, parameters N, tokens D and loss L of every run of a setting, `[runs, 4]`.

    Raises:
        ValueError: if the setting is unknown, a column is missing, a cell is no number, or no row belongs to the setting.
    """
    if setting not in SETTINGS:
        raise ValueError(f"setting must be one of {', '.join(SETTINGS)}; got '{setting}'.")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        measured = ("flops", "n", "tokens", "loss")
        missing = [name for name in (*SELECTED_BY, *measured) if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path.name} lacks the column '{missing[0]}'; it has {', '.join(reader.fieldnames or ())}."
            )
        points = [
            [number(line, row, name) for name in measured]
            for line, row in enumerate(reader, start=2)
            if tuple(row[name] for name in SELECTED_BY) == SETTINGS[setting]
        ]
    if not points:
        raise ValueError(f"{path.name} has no row of the setting '{setting}', {' / '.join(SETTINGS[setting])}.")
    return np.array(points)


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a training run.

    `budget`: C in FLOPs, as the setting counts them; `params`: N, likewise; `tokens`: D; `loss`: nats per token, on
    held-out or (Kaplan's and the attention settings) smoothed training data.
    """
    C, N, D, L = read_points(context.data("porian_refinedweb"), config.setting).T
    if config.shuffle_budgets:
        budgets, which = np.unique(C, return_inverse=True)
        C = np.random.default_rng(0).permutation(budgets)[which]
    return [
        {"budget": float(c), "params": float(n), "tokens": float(d), "loss": float(loss)}
        for c, n, d, loss in zip(C, N, D, L, strict=True)
    ]


if __name__ == "__main__":
    import sys

    for name in SETTINGS:
        rows = run(Config(setting=name), Context(files={"porian_refinedweb": Path(sys.argv[1])}))
        print(f"{name:28} {len(rows):4} runs at {len({row['budget'] for row in rows}):2} budgets")
