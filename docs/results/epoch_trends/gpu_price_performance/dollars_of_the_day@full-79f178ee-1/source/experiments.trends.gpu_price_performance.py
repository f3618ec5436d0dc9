"""FLOP/s per dollar of GPUs at their release.

Source: Hobbhahn and Besiroglu 2022, "Trends in GPU price-performance" (epoch.ai; in Epoch's website repository), Tables 1 and 4.
Serves the claims `epoch_trends/gpu_price_performance` and `gpu_performance`.

The trial joins FP32 and FP16 performance with release prices; `repro.stats.growth` fits ln(FLOP/s per dollar) = c + r·t.

Hardware and time: any CPU, about a second. Deviations: the authors' 470 GPUs, merged from two older collections, are not
public in this form. Here are Epoch's later table of chips (priced GPUs of the same years) and its table of ML hardware for the
part on GPUs used in ML, so this is the same question asked of other rows.
"""

import csv
import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from repro.schema.context import Context

FP32, FP16 = "FP32 (single precision) performance (FLOP/s)", "FP16 (half precision) performance (FLOP/s)"
COLUMNS = ("Hardware name", "Manufacturer", "Type", "Release date", "Release price (USD)", FP32, FP16)


@dataclass(frozen=True)
class Config:
    """Which chips count, and in which dollars."""

    first_year: int = 2006
    """GPUs released from this year on ("2006 and 2021")."""
    last_year: int = 2021
    """... up to the end of this one."""
    implausible_fp16: float = 30.0
    """FP16 that is slower than FP32 by more than this factor is left out, as the authors left out 20 GPUs at a factor of 60."""
    deflate: bool = False
    """Prices in dollars of December 2021 instead of the dollars of the day."""
    reverse_time: bool = False
    """Control: time runs backwards, as if the first chips were the last."""
    seed: int = 0
    """Unused: reading tables draws nothing. It lets two processes repeat the trial."""


def decimal_year(day: date) -> float:
    """Return a day as a year with its fraction."""
    start, end = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return day.year + (day - start).days / (end - start).days


def number(text: str, what: str) -> float:
    """Return a positive number, with or without a dollar sign and commas; NaN for an empty cell.

    Raises:
        ValueError: for other text, zero, or a negative number.
    """
    plain = text.strip().replace("$", "").replace(",", "")
    try:
        value = float(plain) if plain else math.nan
    except ValueError:
        raise ValueError(f"{what} must be a number, got {text!r}.") from None
    if value <= 0 or math.isinf(value):
        raise ValueError(f"{what} must be positive and finite, got {text!r}.")
    return value


def read_chips(path: Path, config: Config) -> list[dict[str, float | date]]:
    """Return priced GPUs of the years asked for, one row a chip.

    Rows of one manufacturer with the same FP32 performance and the same price are versions or second spellings of one product:
    the earliest stands for them, as the authors kept versions only where their specifications differ.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in COLUMNS if not rows or name not in rows[0]]
    if missing:
        raise ValueError(
            f"{path.name} must have the columns {', '.join(COLUMNS)} and at least one row; it lacks {missing[0]!r}."
        )
    chips: dict[tuple[str, float, float], dict[str, float | date]] = {}
    for row in rows:
        if (
            row["Type"] != "GPU"
            or not row["Release date"]
            or not row["Release price (USD)"].strip()
            or not row[FP32].strip()
        ):
            continue
        name, day = row["Hardware name"], date.fromisoformat(row["Release date"])
        if not config.first_year <= day.year <= config.last_year:
            continue
        price, fp32 = (
            number(row["Release price (USD)"], f"{name!r}: release price"),
            number(row[FP32], f"{name!r}: FP32"),
        )
        fp16 = number(row[FP16], f"{name!r}: FP16") if row[FP16].strip() else math.nan
        key = (row["Manufacturer"], fp32, price)
        if key not in chips or day < chips[key]["day"]:  # type: ignore[operator]
            chips[key] = {"day": day, "price": price, "fp32": fp32, "fp16": fp16}
    return list(chips.values())


def price_index(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return times [m] and levels [m] of a price index."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.reader(stream) if len(row) == 2][1:]
    kept = [(decimal_year(date.fromisoformat(day)), float(level)) for day, level in rows if level not in ("", ".")]
    return np.array([t for t, _ in kept]), np.array([level for _, level in kept])


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a chip and table.

    `year`: of release, decimal; `fp32`, `fp16`: FLOP/s per dollar; `flops32`, `flops16`: FLOP/s (FP16 is 0 where unknown or
    implausible); `all`: 1 in the table
    of chips, `ml`: 1 in the table of ML hardware; `top`: 1 for the chip of highest FP32 per dollar among those of `all`
    released in its month; `has_fp16`: 1 where `fp16` counts.
    """
    tables = {
        name: read_chips(context.data(name), config) for name in ("epoch_chips_2025_06", "epoch_ml_hardware_2026_04")
    }
    chips = [(chip, name == "epoch_chips_2025_06") for name, table in tables.items() for chip in table]
    if config.deflate:
        t, level = price_index(context.data("fred_ppi_hosting"))
        reference = np.interp(decimal_year(date(2021, 12, 1)), t, level)

    rows = []
    for chip, general in chips:
        year, price = decimal_year(chip["day"]), chip["price"]
        if config.deflate:
            price *= reference / np.interp(year, t, level)
        counts = general and chip["fp16"] * config.implausible_fp16 >= chip["fp32"]
        rows.append(
            {
                "year": (config.first_year + config.last_year + 1 - year) if config.reverse_time else year,
                "fp32": float(chip["fp32"] / price),
                "fp16": float(chip["fp16"] / price) if counts else 0.0,
                "flops32": float(chip["fp32"]),
                "flops16": float(chip["fp16"]) if counts else 0.0,
                "has_fp16": float(counts),
                "all": float(general),
                "ml": float(not general),
                "top": 0.0,
            }
        )

    # The best of each month, as the authors choose "top GPUs".
    months: dict[tuple[int, int], int] = {}
    for i, (chip, general) in enumerate(chips):
        month = (chip["day"].year, chip["day"].month)
        if general and (month not in months or rows[i]["fp32"] > rows[months[month]]["fp32"]):
            months[month] = i
    for i in months.values():
        rows[i]["top"] = 1.0
    return rows


if __name__ == "__main__":
    import sys

    names = ("epoch_chips_2025_06", "epoch_ml_hardware_2026_04", "fred_ppi_hosting")
    table = run(Config(), Context(files=dict(zip(names, map(Path, sys.argv[1:]), strict=True))))
    for column in ("all", "ml", "top", "has_fp16"):
        print(f"{column:9} {sum(row[column] for row in table):.0f} chips")
