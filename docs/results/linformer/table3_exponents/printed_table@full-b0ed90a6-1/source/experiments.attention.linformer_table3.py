"""What Linformer's printed Table 3 says about how its savings grow with the length n and the projected length k.

Paper: Wang et al., "Linformer: Self-Attention with Linear Complexity", arXiv 2006.04768, Table 3: time and memory saved at inference
against the Transformer.

Serves: linformer/table3_trends, linformer/table3_exponents. No computation but on the printed numbers; under a second.

Deviations: none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from repro.schema.context import Context

LENGTHS = tuple(512 * 2**i for i in range(8))
"""n, the columns of the tables below."""

TIME: Mapping[int, Sequence[float]] = {
    128: (1.5, 1.7, 2.6, 3.4, 5.5, 8.6, 13, 20),
    256: (1.3, 1.6, 2.4, 3.2, 5.0, 7.8, 12, 18),
    512: (math.nan, 1.3, 2.1, 2.8, 4.4, 7.0, 11, 16),
    1024: (math.nan, math.nan, 1.3, 2.2, 3.5, 5.6, 8.8, 14),
    2048: (math.nan, math.nan, math.nan, 1.3, 2.1, 3.3, 5.0, 7.9),
}
"""Table 3, time saved, by k and n; NaN where the paper prints none."""

MEMORY: Mapping[int, Sequence[float]] = {
    128: (1.7, 3.0, 6.1, 14, 28, 56, 56, 60),
    256: (1.5, 2.9, 5.6, 13, 26, 48, 48, 52),
    512: (math.nan, 1.8, 3.6, 8.3, 17, 32, 36, 40),
    1024: (math.nan, math.nan, 2.0, 4.3, 8.5, 16, 18, 20),
    2048: (math.nan, math.nan, math.nan, 2.3, 4.5, 8, 16, 18),
}
"""Table 3, memory saved."""


@dataclass(frozen=True)
class Config:
    """How the table is read."""

    reverse_lengths: bool = False
    """Read every row from the longest length to the shortest, as a control."""
    reverse_k: bool = False
    """Read every column from the largest k to the smallest, as a control."""
    octaves: int = 3
    """Octaves below the longest length through which an exponent is fitted."""
    seed: int = 0
    """Not used: nothing is drawn."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Count the steps against the trend, and fit the growth with n.

    Returns:
        For `time` and `memory`: `*_falls_in_n`, steps to the next length at which the saving falls; `*_rises_in_k`, steps to
        the next k at which it rises; `*_ties`, steps of either kind that change no printed digit; `*_exponent`, the slope of
        ln(saving) on ln n over the longest octaves at k = 128.
    """
    measured = {}
    for name, table in (("time", TIME), ("memory", MEMORY)):
        rows = [list(row)[:: -1 if config.reverse_lengths else 1] for row in table.values()]
        columns = [list(column)[:: -1 if config.reverse_k else 1] for column in zip(*rows, strict=True)]
        in_n, in_k = (np.concatenate([steps(line) for line in lines]) for lines in (rows, columns))
        measured[f"{name}_falls_in_n"] = float((in_n < 0).sum())
        measured[f"{name}_rises_in_k"] = float((in_k > 0).sum())
        measured[f"{name}_ties"] = float((in_n == 0).sum() + (in_k == 0).sum())
        top = slice(-config.octaves - 1, None)
        measured[f"{name}_exponent"] = float(np.polyfit(np.log(LENGTHS[top]), np.log(rows[0][top]), 1)[0])
    return measured


def steps(line: Sequence[float]) -> np.ndarray:
    """Return the differences between neighbours that are both printed."""
    return np.array([high - low for low, high in pairwise(line) if not math.isnan(low + high)])


if __name__ == "__main__":
    print(run(Config(), Context()))
