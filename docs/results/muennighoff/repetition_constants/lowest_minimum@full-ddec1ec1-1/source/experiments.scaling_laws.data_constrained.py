"""Training runs with repeated data, for the data-constrained scaling law.

Paper: Muennighoff et al. 2023 (arXiv 2305.16264), sections 3, 5 and 6, and Appendix A (Equations 5, 6 and 16, and its table
of fit versions). Its models were trained on C4 for 1 to 9,000 epochs; the table has the validation loss of each.

Serves the claims of `muennighoff`. The trial only reads the table; the law is fitted in `data_constrained_estimators`:

    L = E + A / N'^α + B / D'^β,   N' = U_N (1 + R_N* (1 − exp(−R_N / R_N*))),   D' = U_D (1 + R_D* (1 − exp(−R_D / R_D*)))

Hardware and time: any CPU; the trial takes milliseconds, the fits about ten seconds.

Deviations: the table is the printed output of a cell of the authors' notebook, whose names lack the seed; where one name has
several losses, the last is the run without a seed in its name.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

LEFT_OUT = """
2b84b4b 2b88b4b 2b812b4b 2b816b4b 2b824b4b 2b855b1b25 4b212b12b 4b224b12b 4b284b1b9 4b284b6b 4b284b12b2 2b8100m100m
14m7b5100m 14m300b100m 1b12b7100m 1b13b9100m 1b15b9100m 1b17b5100m 619m3b9100m 619m5b9100m 619m7b5100m 2b84b8100m
1b58b8100m 1b112b100m 619m22b100m 221m91b400m 221m174b400m 221m600b400m 421m300b1b5 8b712b12b 8b712b1b5 8b712b400m
8b712b100m 3b926b1b5 2b836b1b5 2b836b400m 2b836b100m 2b246b400m 2b246b100m 1b566b1b5 1b566b100m 1b191b400m 1b191b1b5
1b1250b1b5 1b5174b1b5 2b291b1b5 2b2174b1b5 8b720b1b5 2b877b1b5
"""
"""Runs that the fit of R_D* and R_N* leaves out, by the names of the table: commented out in the notebook's section "Custom
data loading with outliers removed", or absent there. Of each other name it keeps the run without a seed: 182 remain.
`4b284b12b2` is misread: the run `4b284b12bc4opt2` saw 84 billion tokens of 12 billion, and the notebook's parser reads 84.1 of
2.2 billion."""


@dataclass(frozen=True)
class Config:
    """Which rows of the table are kept."""

    runs: str = "fitted"
    """`fitted`: the 182 of the published fit. `all`: all 296 rows, seeds, outliers and one misread name among them."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a training run.

    `params`: N; `tokens`: D, tokens seen; `unique_tokens`: U_D, tokens of the data set that is repeated;
    `loss`: validation loss in nats per token.
    """
    with context.data("datablations_runs").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))

    if config.runs == "fitted":
        last = {row["name"]: row for row in rows}  # of runs with one name, the one without a seed comes last
        rows = [row for name, row in last.items() if name not in LEFT_OUT.split()]
    elif config.runs != "all":
        raise ValueError(f"runs must be fitted or all, not {config.runs!r}")

    return [{column: float(row[column]) for column in ("params", "tokens", "unique_tokens", "loss")} for row in rows]


if __name__ == "__main__":
    import sys

    table = run(Config(), Context(files={"datablations_runs": Path(sys.argv[1])}))
    print(
        f"{len(table)} runs of {min(r['params'] for r in table):.2g} to {max(r['params'] for r in table):.2g} parameters"
    )
