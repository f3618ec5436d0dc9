"""An estimate held against a published value, on the scale on which the rule decides."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

from repro.schema.claim import Margin, Part, Rule, Target
from repro.schema.errors import ConfigError
from repro.schema.verdict import Estimate, Sealed

ULPS = 4 * 2.0**-52
"""Relative error that float arithmetic on a printed decimal may leave; a deviation that near the margin lies on it."""


@dataclass(frozen=True)
class Comparison:
    """Everything the rule needs of one part; in logs where the margin is a factor."""

    log: bool
    value: float
    """x, or ln x."""
    deviation: float
    """D = x − θ₀, or ln x − ln θ₀; for an ordering the difference itself."""
    half_width: float
    """h, or −ln(1 − h/θ₀)."""
    margin: float
    """Δ."""
    estimate_se: float
    """s_x: shrinks with more units."""
    target_variance: float
    """v₀: does not."""
    estimate_dof: float | None
    """ν of s_x; None for a deterministic estimate."""
    target_dof: float | None
    """ν of v₀; None where it is known, or taken from our own runs."""
    flags: tuple[str, ...]

    @property
    def se(self) -> float:
        """SE, where SE² = s_x² + v₀."""
        return math.hypot(self.estimate_se, math.sqrt(self.target_variance))

    @property
    def dof(self) -> float | None:
        """ν of SE; None where nothing limits it.

        The smaller of two keeps the level of a sum of two variances (Hsu 1938; Mickey & Brown 1966).
        """
        return min((dof for dof in (self.estimate_dof, self.target_dof) if dof is not None), default=None)

    def natural(self, value: float) -> float | None:
        """Return a value of the deciding scale in the units of the quantity; None beyond the largest float."""
        return exp_or_none(value) if self.log else value


def compare(part: Part, estimate: Estimate, sealed: Sealed) -> Comparison:
    """Bring an estimate with a value and its target to the scale on which the part's rule decides.

    A factor margin decides in logs. An estimate that is not positive (or too near 0 for floats) has no logarithm: it is then decided linearly, with
    the distance from θ₀ down to θ₀/factor as margin, which it can only miss.
    """
    target, rule = part.target, part.rule
    value, se = _known(estimate.value), estimate.se or 0.0
    log = rule.margin is not None and rule.margin.factor is not None and value > 0 and math.isfinite(se / value)
    scale = value if log else 1.0
    if log and estimate.log_se is not None:
        se = estimate.log_se * value
    if rule.kind == "ordering":
        return Comparison(False, value, value, 0.0, margin_size(rule, target), se, 0.0, estimate.dof, None, ())
    variance, target_dof, flags = _target_variance(part, estimate, sealed, log)
    margin = margin_size(rule, target) if log else _linear_margin(rule, target)
    half_width = -math.log1p(-target.half_width / target.value) if log else target.half_width
    deviation = math.log(value) - math.log(target.value) if log else value - target.value
    edge = half_width + margin if rule.kind == "rounds_to" else margin
    size = 1.0 if log else max(abs(value), abs(target.value))
    if edge > 0 and abs(abs(deviation) - edge) <= ULPS * size:
        deviation = math.copysign(edge, deviation)
    return Comparison(
        log=log,
        value=math.log(value) if log else value,
        deviation=deviation,
        half_width=half_width,
        margin=margin,
        estimate_se=se / scale,
        target_variance=variance,
        estimate_dof=estimate.dof,
        target_dof=target_dof,
        flags=flags,
    )


def sampling(estimate: Estimate, log: bool) -> tuple[float, float]:
    """Return value and standard error of an estimate alone, both in logs if asked for."""
    value, se = _known(estimate.value), estimate.se or 0.0
    if not log:
        return value, se
    return math.log(value), estimate.log_se if estimate.log_se is not None else se / value


def exp_or_none(value: float) -> float | None:
    """Return e to the value, or None where it is larger than any float."""
    return math.exp(value) if value < math.log(sys.float_info.max) else None


def has_interval(estimate: Estimate) -> bool:
    """Say whether an interval can be formed: the value is known exactly, or has a standard error with ν."""
    return estimate.deterministic or estimate.se == 0 or (estimate.se is not None and bool(estimate.dof))


def margin_size(rule: Rule, target: Target) -> float:
    """Return Δ: ln(factor) for a factor; 0 where the rule has no margin."""
    margin = rule.margin or Margin(absolute=0.0)
    if margin.factor is not None:
        return math.log(margin.factor)
    return margin.absolute if margin.absolute is not None else _known(margin.relative) * abs(target.value)


def check_parts(parts: Mapping[str, Part], where: str) -> None:
    """Refuse targets and margins that the rule cannot decide.

    Raises:
        ConfigError: names the part and what to write instead.
    """
    for name, part in parts.items():
        target, rule, place = part.target, part.rule, f"{where}, part '{name}'"
        factor = rule.margin is not None and rule.margin.factor is not None
        if rule.kind == "trend" and rule.margin is not None:
            raise ConfigError(
                f"{place}: a trend is claimed of an order, not of a size; it takes no margin. To claim the size of a step, "
                f"make the step a part of its own with a rule of kind at_least."
            )
        if rule.kind == "reference_convergence" and not (factor and target.value == 1 and target.half_width == 0):
            raise ConfigError(
                f"{place}: a rule of kind reference_convergence compares with the reference's own runs: printed is '1' (as fast "
                f"as the reference, approximate: true), and margin.factor is the speed-up that must not pass unnoticed."
            )
        if factor and target.value - target.half_width <= 0:
            raise ConfigError(
                f"{place}: margin.factor needs a published value whose rounding stays above 0, not {target.printed}. "
                f"Use margin.absolute."
            )
        if factor and rule.kind in ("ordering", "exact", "rounds_to"):
            raise ConfigError(f"{place}: a rule of kind {rule.kind} takes margin.absolute or none, not margin.factor.")
        if rule.kind == "ordering" and rule.margin is not None and rule.margin.absolute is None:
            raise ConfigError(
                f"{place}: an ordering decides the sign of a difference; it takes margin.absolute, in the units of the "
                f"difference, or no margin."
            )
        if target.interval is not None and not 0 < target.interval.level < 1:
            raise ConfigError(
                f"{place}: target.interval.level must lie between 0 and 1 (0.95 for 95 %), not {target.interval.level:g}."
            )
        if target.n is not None and target.n < 1:
            raise ConfigError(
                f"{place}: target.n, the number of the paper's own runs, must be at least 1, not {target.n}."
            )


def _linear_margin(rule: Rule, target: Target) -> float:
    if rule.margin is not None and rule.margin.factor is not None:
        return target.value * (1 - 1 / rule.margin.factor)
    return margin_size(rule, target)


def _target_variance(
    part: Part, estimate: Estimate, sealed: Sealed, log: bool
) -> tuple[float, float | None, tuple[str, ...]]:
    """Return v₀ on the deciding scale, its degrees of freedom (None: not limiting), and what to tell the reader."""
    target = part.target
    runs = target.n or 1
    unit = target.value if log else 1.0
    if part.rule.kind in ("exact", "rounds_to"):
        return 0.0, None, ()
    if target.sd is not None:
        return (float(target.sd) / unit) ** 2 / runs, runs - 1 if runs > 1 else None, ()
    if target.interval is not None and target.interval.of == "sampling":
        ends = float(target.interval.low), float(target.interval.high)
        in_logs = log and min(ends) > 0
        width = abs(math.log(ends[1] / ends[0])) if in_logs else abs(ends[1] - ends[0]) / unit
        z = float(stats.norm.ppf((1 + target.interval.level) / 2))
        return (width / 2 / z) ** 2, runs - 1 if runs > 1 else None, ()
    if sealed.same_recipe and sealed.scale == "paper" and estimate.spread is not None:
        spread = estimate.spread / (_known(estimate.value) if log else 1.0)
        return spread**2 / runs, None, ("borrowed_spread",)
    if estimate.deterministic or sealed.kind == "recomputation":
        return 0.0, None, ()
    return 0.0, None, ("target_spread_unknown",)


def _known(value: float | None) -> float:
    assert value is not None
    return value
