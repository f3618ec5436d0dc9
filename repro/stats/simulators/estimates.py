"""Draws at the level of estimates, for estimators that have no simulator: what `judge` reads, not what it is read from."""

import math
from dataclasses import replace

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.verdict import Estimate

ACCIDENTS = ("diverged", "heavy_tailed", "multimodal", "no_spread", "not_deterministic", "ranked")
"""Flags that say how one attempt went; a draw of another attempt does not inherit them."""


def draw_estimate(recorded: Estimate, truth: float, rng: np.random.Generator, log: bool = False) -> Estimate:
    """Return an estimate as another attempt might give it: x ~ N(truth, s²), and s itself drawn as s·√(χ²_ν / ν).

    So (x − truth) / s follows Student's t with ν degrees of freedom, as for a mean of normal values.

    Args:
        recorded: gives s, ν, n and the flags; where it is exact (s = 0) the value is the truth itself.
        truth: the true value.
        rng: the source of chance.
        log: draw ln x about ln truth, with the standard error of ln x.

    Raises:
        EstimateError: if the recorded estimate has no standard error to draw from.
    """
    flags = tuple(flag for flag in recorded.flags if flag not in ACCIDENTS)
    if recorded.deterministic or recorded.se == 0:
        return replace(recorded, value=truth, flags=flags, units=())
    if recorded.se is None or recorded.value is None or not recorded.dof:
        raise EstimateError(
            f"no noise can be simulated: the recorded estimate has no standard error with degrees of freedom. "
            f"{recorded.note}".strip()
        )
    shrunk = math.sqrt(rng.chisquare(recorded.dof) / recorded.dof)
    if log and truth > 0 and recorded.value > 0:
        log_se = recorded.log_se if recorded.log_se is not None else recorded.se / recorded.value
        value = truth * math.exp(rng.normal(0.0, log_se))
        return replace(recorded, value=value, se=value * log_se * shrunk, log_se=log_se * shrunk, flags=flags, units=())
    spread = None if recorded.spread is None else recorded.spread * shrunk
    return replace(
        recorded,
        value=truth + float(rng.normal(0.0, recorded.se)),
        se=recorded.se * shrunk,
        log_se=None,
        spread=spread,
        flags=flags,
        units=(),
    )
