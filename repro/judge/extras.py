"""Figures reported beside a verdict: they never change it."""

import math

from scipy import stats

from repro.judge.comparison import exp_or_none
from repro.schema.claim import Part
from repro.schema.verdict import Estimate
from repro.stats.signflip import sign_flip_p
from repro.stats.superiority import paired_superiority

TREND_FIGURES = ("trend_tau", "trend_p", "trend_reversals", "superiority", "superiority_low")


def extras_of(
    part: Part, estimate: Estimate, low: float | None, high: float | None, log: bool = False
) -> dict[str, float | None]:
    """Return, by name, what a reader may want to know besides.

    - `prediction_low`, `prediction_high`: 95 % prediction interval of the original, x ± t(0.975, n − 1)·√(s²/n₀ + s²/n),
      where the paper would have landed if it measured the same thing as we did, with its n₀ runs (1 if unknown);
      `prediction_covers` is 1 if the published value lies in it.
    - `rival_distance.<name>`: x minus the rival's value; `rival_excluded.<name>`: 1 if the interval that decides excludes it.
    - `superiority`, `superiority_low`: of an ordering, P(A > B) with ties as half, and its one-sided 95 % lower bound.
    - `sign_flip_p`: of an ordering, the exact one-sided p beside t.
    - `trend_tau`, `trend_p`, `trend_reversals`, and what else the estimator of a trend found.

    Args:
        part: target and rule.
        estimate: of the part.
        low: lower end of the interval that decides, if there is one.
        high: its upper end.
        log: whether the part is decided in logs; the prediction interval is then symmetric in logs.
    """
    extras: dict[str, float | None] = {}
    if estimate.value is not None and estimate.spread is not None and estimate.n > 1 and part.rule.kind != "ordering":
        half = float(stats.t.ppf(0.975, estimate.n - 1)) * estimate.spread
        half *= math.sqrt(1 / (part.target.n or 1) + 1 / estimate.n)
        low_end: float | None = estimate.value - half
        high_end: float | None = estimate.value + half
        if log:
            centre, half = math.log(estimate.value), half / estimate.value
            low_end, high_end = exp_or_none(centre - half), exp_or_none(centre + half)
        extras["prediction_low"], extras["prediction_high"] = low_end, high_end
        if low_end is not None and high_end is not None:
            extras["prediction_covers"] = float(low_end <= part.target.value <= high_end)
    for name, printed in part.rule.rivals.items():
        rival = float(printed)
        if estimate.value is not None:
            extras[f"rival_distance.{name}"] = estimate.value - rival
        if low is not None and high is not None:
            extras[f"rival_excluded.{name}"] = float(not low <= rival <= high)
    if part.rule.kind == "ordering" and estimate.units:
        differences = [unit for unit in estimate.units if unit is not None]
        extras["sign_flip_p"] = sign_flip_p(differences)
        won = paired_superiority(differences)
        if won is not None:
            extras["superiority"], extras["superiority_low"] = won.value, won.low
    if part.rule.kind == "trend":
        extras.update({name: estimate.extras.get(name) for name in TREND_FIGURES if name in estimate.extras})
    return extras
