"""How many runs stand behind MLPerf's reference convergence points, against the 2N that the rules ask for.

Paper: MLPerf Training rules, "Reference Convergence Points": a reference provides at least 2N runs, N being what a
submission needs. Serves `mlperf/reference_runs`. N from the table of rcp_checker.py (mlcommons/logging, e6ba2a9); benchmarks
that it does not list are left out.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

REQUIRED = {
    "bert": 10, "dlrm_dcnv2": 10, "gpt3": 3, "maskrcnn": 5, "resnet": 5, "ssd": 5, "retinanet": 5, "unet3d": 40, "rnnt": 10,
    "stable_diffusion": 10, "gnn": 10, "rgat": 10, "llama2_70b_lora": 10, "cosmoflow": 10, "deepcam": 5, "oc20": 5, "openfold": 10,
}  # fmt: skip
"""N by benchmark."""


@dataclass(frozen=True)
class Config:
    """What is counted."""

    every: int = 1
    """Control: only every so many-th run of a point is counted."""
    seed: int = 0
    """Unused: counting draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return measurements over all points whose N is known.

    `least_ratio`: the fewest runs of any point over its N; `points`: how many; `short`: how many have fewer than 2N runs.
    """
    ratios = []
    with context.data("mlperf_rcps").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["benchmark"] in REQUIRED:
                runs = row["epochs_to_converge"].split()[:: config.every]
                ratios.append(len(runs) / REQUIRED[row["benchmark"]])
    if not ratios:
        raise ValueError("the table has no point of a benchmark whose N is known.")
    return {
        "least_ratio": min(ratios),
        "points": float(len(ratios)),
        "short": float(sum(ratio < 2 for ratio in ratios)),
    }


if __name__ == "__main__":
    import sys

    print(run(Config(), Context(files={"mlperf_rcps": Path(sys.argv[1])})))
