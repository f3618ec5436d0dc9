"""Mean and spread of MLPerf's reference runs, computed again from the runs themselves.

Paper: mlcommons/training_policies, CONTRIBUTING.md, "How to choose the number of submission runs (N) needed?": a table of
mean, standard deviation and coefficient of variation of the epochs to converge, at the smallest and largest batch size of
each benchmark of Training 3.1. Serves `mlperf/spread_of_convergence`.

    cv = sd / mean, sd divided by n as in the checker (numpy's default)

Hardware and time: any CPU, milliseconds.

Deviations: none.
"""

import csv
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

VERSION = "training_3.1.0"
POINTS = {
    "bert": (256, 16384), "dlrm_dcnv2": (32768, 135168), "gpt3": (1536, 8192), "maskrcnn": (8, 272), "rnnt": (512, 6144),
    "resnet": (1632, 67840), "ssd": (256, 4096), "sd": (512, 2048), "unet3d": (2, 84),
}  # fmt: skip
"""Batch sizes in the printed table, by the runs' own names of the benchmarks."""


@dataclass(frozen=True)
class Config:
    """How the runs are summed up."""

    dropped: int = 0
    """Runs dropped at each end."""
    less: int = 0
    """What the number of runs is lessened by where the sum of squares is divided."""
    seed: int = 0
    """Unused: nothing is drawn. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `mean_*` and `sd_*` in epochs, samples or steps as printed, and `cv_*`, by benchmark and batch size."""
    measured = {}
    with context.data("mlperf_rcps").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            name, size = row["benchmark"], int(row["batch_size"])
            if row["version"] != VERSION or size not in POINTS.get(name, ()):
                continue
            runs = sorted(float(cell) for cell in row["epochs_to_converge"].split())
            kept = runs[config.dropped : len(runs) - config.dropped]
            mean = statistics.fmean(kept)
            sd = statistics.pstdev(kept) * math.sqrt(len(kept) / (len(kept) - config.less))
            measured |= {f"mean_{name}_{size}": mean, f"sd_{name}_{size}": sd, f"cv_{name}_{size}": sd / mean}
    missing = [
        f"{name} {size}" for name, sizes in POINTS.items() for size in sizes if f"mean_{name}_{size}" not in measured
    ]
    if missing:
        raise ValueError(f"the table has no point of {VERSION} for {', '.join(missing)}.")
    return measured


if __name__ == "__main__":
    import sys

    for key, value in run(Config(), Context(files={"mlperf_rcps": Path(sys.argv[1])})).items():
        print(f"{key:24} {value:.6g}")
