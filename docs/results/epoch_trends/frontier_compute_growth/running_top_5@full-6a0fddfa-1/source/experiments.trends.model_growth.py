"""Growth of what it takes to train notable AI models: compute, text, money.

Sources: Epoch AI, data insight "The training compute of notable AI models" (epoch.ai/data-insights/compute-trend-post-2010)
and "The size of datasets used to train language models" (dataset-size-trend); Sevilla and Roldán 2024, "Training compute of
frontier AI models grows by 4-5x per year" (epoch.ai/blog); Cottier et al. 2024 (arXiv 2405.21015), top-10 models.
Serves the claims `epoch_trends/training_compute_growth`, `training_compute_table`, `frontier_compute_growth`,
`language_model_compute_growth`, `dataset_size_growth`, `training_cost_growth`.

The trial reads one dated copy of Epoch's database of models; `repro.stats.growth` fits ln y = c + r·t.

Hardware and time: any CPU, well under a second. Deviations: the database moves, rows are added and revised; each
table here carries its date, and neither is the one behind a given page.
"""

import csv
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from repro.schema.context import Context

QUANTITIES = {
    "compute": "Training compute (FLOP)",
    "dataset": "Training dataset size (datapoints)",
    "cost": "Training compute cost (2023 USD)",
}


@dataclass(frozen=True)
class Config:
    """Which table, which rows, which column."""

    table: str = "epoch_models_2025_02"
    """`epoch_models_2025_02` (notable models) or `epoch_models_2025_08` (all models, notable or not)."""
    quantity: str = "compute"
    """`compute` (FLOPs), `dataset` (data points, of text roughly words) or `cost` (US dollars of 2023)."""
    notable_only: bool = True
    """Keep models that meet one of Epoch's criteria of notability."""
    shuffle_dates: bool = False
    """Control: dates change places between models, which leaves every value and every date as it is."""
    shuffle_seed: int = 20100101
    """Of that permutation; fixed, so that the control is deterministic."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def decimal_year(text: str) -> float:
    """Return an ISO date as a year with its fraction: 2024-07-02 is 2024.5."""
    day = date.fromisoformat(text)
    start, end = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return day.year + (day - start).days / (end - start).days


def read_models(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table of models, one a model.

    Raises:
        ValueError: if a column is missing, or a model of the same name, date and compute stands there twice.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    needed = ("Model", "Publication date", "Domain", "Notability criteria", QUANTITIES["compute"])
    missing = [name for name in needed if not rows or name not in rows[0]]
    if missing:
        raise ValueError(
            f"{path.name} must have the columns {', '.join(needed)} and at least one row; it lacks {missing[0]!r}."
        )
    seen: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows, start=2):
        key = (row["Model"], row["Publication date"], row[QUANTITIES["compute"]])
        if key in seen:
            raise ValueError(
                f"{path.name} holds {key[0]!r} of {key[1]} twice, in lines {seen[key]} and {number}; once is required."
            )
        seen[key] = number
    return rows


def positive(row: dict[str, str], column: str) -> float:
    """Return a value of a row; NaN where the table has none (an empty cell, or the 0 that Epoch writes for unknown sizes).

    Raises:
        ValueError: for text, or a negative number.
    """
    text = (row.get(column) or "").strip()
    try:
        value = float(text) if text else math.nan
    except ValueError:
        raise ValueError(f"{row['Model']!r}: {column} must be a number, got {text!r}.") from None
    if value < 0 or math.isinf(value):
        raise ValueError(f"{row['Model']!r}: {column} must be positive and finite, got {text!r}.")
    return value or math.nan


def rank_at_release(years: np.ndarray, compute: np.ndarray) -> np.ndarray:
    """Return each model's rank by compute among models published before it or on its day, [n]; 1e9 without compute."""
    ranks = np.full(len(years), 1e9)
    for i in np.flatnonzero(np.isfinite(compute)):
        ranks[i] = 1 + (compute[(years <= years[i]) & np.isfinite(compute)] > compute[i]).sum()
    return ranks


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a model that has a date and the quantity.

    `year`: of publication, decimal; `value`: the quantity, in its unit; `rank`: by training compute when it was published,
    1 is the largest so far; `language`: 1 if language is among its domains, `language_only`: 1 if it is the only one;
    `model`: line of the table.
    """
    if config.quantity not in QUANTITIES:
        raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}, not {config.quantity!r}.")
    rows = read_models(context.data(config.table))
    if QUANTITIES[config.quantity] not in rows[0]:
        raise ValueError(f"{config.table} has no column {QUANTITIES[config.quantity]!r}.")
    lines = [
        i
        for i, row in enumerate(rows)
        if row["Publication date"] and (row["Notability criteria"] or not config.notable_only)
    ]
    rows = [rows[i] for i in lines]

    years = np.array([decimal_year(row["Publication date"]) for row in rows])
    compute = np.array([positive(row, QUANTITIES["compute"]) for row in rows])
    values = np.array([positive(row, QUANTITIES[config.quantity]) for row in rows])
    ranks = rank_at_release(years, compute)

    kept = np.isfinite(values)
    if config.shuffle_dates:
        years[kept] = np.random.default_rng(config.shuffle_seed).permutation(years[kept])
    return [
        {
            "year": float(years[i]),
            "value": float(values[i]),
            "rank": float(ranks[i]),
            "language": float("Language" in rows[i]["Domain"].split(",")),
            "language_only": float(rows[i]["Domain"] == "Language"),
            "model": float(lines[i] + 2),
        }
        for i in np.flatnonzero(kept)
    ]


if __name__ == "__main__":
    import sys

    table = run(Config(), Context(files={"epoch_models_2025_02": Path(sys.argv[1])}))
    print(
        f"{len(table)} notable models with compute, {min(r['year'] for r in table):.0f} to {max(r['year'] for r in table):.0f}"
    )
