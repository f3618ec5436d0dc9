"""Estimators of scaling laws, for any table of training runs: the three approaches of Hoffmann et al. 2022 (arXiv 2203.15556).

`read_sweep` turns a table into a checked `Sweep`; `approach1` (envelope of training curves), `approach2` (IsoFLOP parabolas) and
`approach3` (parametric law) read it. The estimators that claims name are thin layers over them on trial records:
`envelope_exponent`, `isoflop_exponent`, `parametric_fit` and what is derived from the last. All ask what N and C count.
"""

from repro.stats.scaling_laws.approach1 import approach1, envelope_exponent
from repro.stats.scaling_laws.approach3 import approach3, parametric_fit
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.isoflop import approach2, isoflop_exponent
from repro.stats.scaling_laws.rejection import constants_rejected, log_likelihoods
from repro.stats.scaling_laws.starts import early_stop, fit_invariance
from repro.stats.scaling_laws.sweep import Sweep, read_sweep
from repro.stats.scaling_laws.uncertainty import (
    parametric_fit_errors,
    parametric_fit_intervals,
    runs_for_interval_width,
)

__all__ = [
    "Counting",
    "Sweep",
    "approach1",
    "approach2",
    "approach3",
    "constants_rejected",
    "early_stop",
    "envelope_exponent",
    "fit_invariance",
    "isoflop_exponent",
    "log_likelihoods",
    "parametric_fit",
    "parametric_fit_errors",
    "parametric_fit_intervals",
    "read_sweep",
    "runs_for_interval_width",
]
