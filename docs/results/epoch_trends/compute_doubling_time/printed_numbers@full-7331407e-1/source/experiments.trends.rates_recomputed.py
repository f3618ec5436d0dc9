"""What printed growth rates and doubling times say of each other.

Sources: Hobbhahn and Besiroglu 2022, "Trends in GPU price-performance" (epoch.ai), Table 1: doubling and tenfold time of the
same trend; Epoch AI's data insight on the training compute of notable models: the growth a year, and the doubling
time in its title, in three dated wordings. Serves the claims `epoch_trends/gpu_tenfold_time` and `compute_doubling_time`.

    tenfold time = doubling time · log2 10,    doubling time in months = 12 / log2(growth a year)

Hardware and time: any CPU, milliseconds. Deviations: none; all inputs are printed.
"""

import math
from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What is printed."""

    doubling_years: tuple[float, ...] = (2.46, 2.07, 2.95, 2.30)
    """Doubling time of FLOP/s per dollar of all, ML and top GPUs and in FP16 (Table 1), years."""
    growth_a_year: tuple[float, ...] = (4.6, 4.5, 4.4)
    """Factor of training compute in the insight's text, from its latest wording to its first."""
    base: float = 2.0
    """What the doubling time is a doubling of: 2. Another base is the slip of taking it for an e-folding or a tenfold time."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `tenfold_<all|ml|top|fp16>` in years and `months_at_<4_6|4_5|4_4>`, the doubling time in months."""
    per_tenfold = math.log(10) / math.log(config.base)
    tenfold = dict(zip(("all", "ml", "top", "fp16"), config.doubling_years, strict=True))
    months = dict(zip(("4_6", "4_5", "4_4"), config.growth_a_year, strict=True))
    return {f"tenfold_{name}": years * per_tenfold for name, years in tenfold.items()} | {
        f"months_at_{name}": 12 * math.log(config.base) / math.log(growth) for name, growth in months.items()
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:16} {value:.3f}")
