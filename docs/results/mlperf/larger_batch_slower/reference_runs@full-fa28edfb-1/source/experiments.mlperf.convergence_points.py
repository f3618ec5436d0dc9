"""MLPerf's reference convergence points: how many epochs (or samples) the reference takes, run by run.

Paper: MLPerf Training rules, "Reference Convergence Points"; the runs are those that mlcommons/logging keeps beside its
checker. Serves `mlperf/larger_batch_slower` and `mlperf/newer_reference_no_faster`.

A trial reads one benchmark's runs in one version of the rules, and if `newer` is given those of a later version at one
batch size beside them. What becomes of them is in `convergence_points_estimators`.

Hardware and time: any CPU; a trial takes milliseconds.

Deviations: none in the runs.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

COLUMNS = ("version", "benchmark", "batch_size", "epochs_to_converge")


@dataclass(frozen=True)
class Config:
    """Whose runs are read."""

    benchmark: str = "bert"
    """As the table names it."""
    version: str = "training_1.0.0"
    """Of the rules: the reference."""
    newer: str = ""
    """A later version whose runs at `batch_size` are held against the reference; empty for none."""
    batch_size: int = 0
    """Of the newer runs; 0 for none."""
    speedup: float = 1.0
    """Control: the newer runs are made this many times as fast."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def read_points(path: Path, benchmark: str, version: str) -> dict[int, list[float]]:
    """Return the epochs to converge of every run, by batch size.

    Raises:
        ValueError: if a column is missing, a cell holds no positive number, a batch size occurs twice, or nothing is found.
    """
    points: dict[int, list[float]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path.name} lacks the column '{missing[0]}'; it has {', '.join(reader.fieldnames or ())}."
            )
        for line, row in enumerate(reader, start=2):
            if (row["benchmark"], row["version"]) != (benchmark, version):
                continue
            try:
                size, runs = int(row["batch_size"]), [float(cell) for cell in row["epochs_to_converge"].split()]
            except ValueError:
                raise ValueError(f"line {line}: batch size and epochs must be numbers, got {row}.") from None
            if size in points:
                raise ValueError(f"line {line}: {benchmark} {version} has batch size {size} twice.")
            if not runs or not all(0 < epochs < float("inf") for epochs in runs):
                raise ValueError(f"line {line}: epochs to converge must be positive and finite, got {runs}.")
            points[size] = runs
    if not points:
        raise ValueError(f"{path.name} has no point of {benchmark} in {version}.")
    return points


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a run.

    `batch_size`: samples a step; `epochs`: epochs or samples until the quality target is met, as the benchmark counts;
    `is_reference`: 1 for `version`, 0 for `newer`.
    """
    path = context.data("mlperf_rcps")
    rows = [
        {"batch_size": float(size), "epochs": epochs, "is_reference": 1.0}
        for size, runs in read_points(path, config.benchmark, config.version).items()
        for epochs in runs
    ]
    if config.newer:
        newer = read_points(path, config.benchmark, config.newer)
        if config.batch_size not in newer:
            raise ValueError(
                f"{config.benchmark} {config.newer} has no batch size {config.batch_size}; it has {sorted(newer)}."
            )
        rows += [
            {"batch_size": float(config.batch_size), "epochs": epochs / config.speedup, "is_reference": 0.0}
            for epochs in newer[config.batch_size]
        ]
    return rows


if __name__ == "__main__":
    import sys

    for row in run(
        Config(benchmark=sys.argv[2], version=sys.argv[3]), Context(files={"mlperf_rcps": Path(sys.argv[1])})
    ):
        print(f"{row['batch_size']:8.0f} {row['epochs']:g}")
