"""Growth of the text that language models are trained on, from the table of a paper.

Paper: Villalobos et al. 2024 (arXiv 2211.04325, second version), "Will we run out of data?", section 2 and footnote 14, with
its table `data/dataset_sizes.csv` and program `src/dataset_size_projections.py` (github.com/epoch-research/data-stock), which
resamples rows, fits log10 of the size to the date, and prints the median and percentiles of the slope.
Serves the claim `epoch_trends/dataset_size_orders`.

Hardware and time: any CPU, milliseconds. Deviations: none known in the rows; the slope is the fit to all rows, which differs
from the median over resamples by less than 0.001.
"""

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Which rows are kept."""

    after: str = "2010-01-01"
    """Keep systems published after this day, as the authors' program does."""
    shuffle_dates: bool = False
    """Control: dates change places between systems."""
    shuffle_seed: int = 20100101
    """Of that permutation; fixed, so that the control is deterministic."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a system: `year` of publication, decimal (days/365 as the authors count), and `words` of training text."""
    path = context.data("epoch_dataset_sizes")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in ("system", "date", "dataset") if not rows or name not in rows[0]]
    if missing:
        raise ValueError(
            f"{path.name} must have the columns system, date and dataset and at least one row; it lacks {missing[0]!r}."
        )
    rows = [row for row in rows if date.fromisoformat(row["date"]) > date.fromisoformat(config.after)]
    names = [row["system"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path.name} holds the system {twice[0]!r} twice; once is required.")
    words = []
    for row in rows:
        try:
            words.append(float(row["dataset"]))
        except ValueError:
            raise ValueError(f"{row['system']!r}: dataset must be a number of words, got {row['dataset']!r}.") from None
        if not 0 < words[-1] < float("inf"):
            raise ValueError(f"{row['system']!r}: dataset must be positive and finite, got {row['dataset']!r}.")
    years = np.array([2024 + (date.fromisoformat(row["date"]) - date(2024, 1, 1)).days / 365 for row in rows])
    if config.shuffle_dates:
        years = np.random.default_rng(config.shuffle_seed).permutation(years)
    return [{"year": float(year), "words": size} for year, size in zip(years, words, strict=True)]


if __name__ == "__main__":
    import sys

    table = run(Config(), Context(files={"epoch_dataset_sizes": Path(sys.argv[1])}))
    print(f"{len(table)} systems, {min(r['words'] for r in table):.2g} to {max(r['words'] for r in table):.2g} words")
