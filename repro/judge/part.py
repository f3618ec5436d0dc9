"""The decision on one target: estimate, published value and rule to match, mismatch, or inconclusive with a reason."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from repro.judge.bare import without_interval
from repro.judge.comparison import Comparison, compare, has_interval, margin_size
from repro.judge.extras import extras_of
from repro.judge.reference import judge_reference
from repro.judge.trend import judge_trend
from repro.schema.claim import Part, Rule, RuleKind
from repro.schema.verdict import Estimate, Outcome, PartVerdict, Reason, Sealed
from repro.stats import equivalence as tests
from repro.stats.power import LARGEST, equivalence_power, one_sided_power, units_needed
from repro.stats.signflip import sign_flip_p

LEAST_UNITS = 3
LEAST_PAIRS = 5
"""Of an ordering: with fewer, not even unanimous signs reach 5 % (1/2⁴ = 6 %)."""

OUTCOMES: dict[int, Outcome] = {tests.MATCH: "match", tests.MISMATCH: "mismatch", tests.UNDECIDED: "inconclusive"}


@dataclass(frozen=True)
class Levels:
    """Level of a match, and of a mismatch: α and α/k for k parts, each divided by the number of looks."""

    match: float
    mismatch: float


def levels(sealed: Sealed) -> Levels:
    """Return the levels at which every part of the claim is decided."""
    alpha = sealed.alpha / sealed.looks
    return Levels(alpha, alpha / len(sealed.parts))


def judge_part(part: Part, estimate: Estimate, sealed: Sealed) -> PartVerdict:
    """Decide one part; a match at α, a mismatch at α/k.

    What can be computed is shown even where something forbids a decision.
    """
    level, kind = levels(sealed), part.rule.kind
    if kind == "trend":
        return judge_trend(part, estimate, level.match, level.mismatch)
    if kind == "reference_convergence":
        return judge_reference(part, estimate, level.match, level.mismatch)
    if kind == "ordering" and "ranked" in estimate.flags:
        return _judge_by_signs(part, estimate, sealed, level)
    if estimate.value is None:
        reason: Reason = "diverged" if "diverged" in estimate.flags else "no_estimate"
        return without_interval(part, estimate, reason, estimate.note or "The estimator found no value.", level.match)
    if kind == "ordering" and "no_spread" in estimate.flags:
        return _judge_by_signs(part, estimate, sealed, level)
    measured = compare(part, estimate, sealed)
    obstacle = _obstacle(kind, estimate)
    outcome = OUTCOMES[_decision(kind, measured, estimate, level)]
    alpha = level.mismatch if outcome == "mismatch" else level.match
    low, high = _interval(kind, measured, estimate, alpha)
    reason_, detail, needed = None, _sentence(part, estimate, outcome, low, high, alpha), None
    if obstacle is not None:
        outcome, (reason_, detail) = "inconclusive", obstacle
    elif outcome == "inconclusive":
        reason_, why, needed = _undecided(kind, measured, estimate, level)
        detail = f"{detail} {why}"
    return PartVerdict(
        outcome=outcome,
        reason=reason_,
        detail=detail,
        estimate=estimate,
        target=part.target.value,
        half_width=measured.half_width,
        margin=measured.margin,
        deviation=measured.deviation,
        se=measured.se,
        dof=measured.dof,
        alpha=alpha,
        low=low,
        high=high,
        scale="log" if measured.log else "linear",
        n_needed=needed,
        flags=tuple(dict.fromkeys((*estimate.flags, *measured.flags))),
        extras=extras_of(part, estimate, low, high, measured.log),
    )


def critical(level: float, dof: float | None, estimate: Estimate, units: int | None = None) -> float:
    """Return the critical value for an estimate of so many units (its own by default); its flag says if noise may be skewed."""
    skew_units = (units or estimate.n) if "skew_guard" in estimate.flags else None
    return tests.critical_value(level, dof, skew_units)


def _reach(measured: Comparison, estimate: Estimate, level: float) -> float:
    return measured.half_width + (critical(level, measured.dof, estimate) * measured.se if measured.se > 0 else 0.0)


def _decision(kind: RuleKind, measured: Comparison, estimate: Estimate, level: Levels) -> int:
    deviation, margin = measured.deviation, measured.margin
    if kind == "exact":
        return tests.MATCH if abs(deviation) <= margin else tests.MISMATCH
    if kind == "rounds_to":
        return tests.MATCH if abs(deviation) <= measured.half_width + margin else tests.MISMATCH
    if not has_interval(estimate):
        return tests.UNDECIDED
    if kind == "ordering" and estimate.deterministic:
        return tests.MATCH if deviation > -margin else tests.MISMATCH
    test = {"equivalence": tests.equivalence, "at_most": tests.at_most}.get(kind, tests.at_least)
    reach = _reach(measured, estimate, level.match), _reach(measured, estimate, level.mismatch)
    return int(test(deviation, *reach, margin))


def _obstacle(kind: RuleKind, estimate: Estimate) -> tuple[Reason, str] | None:
    """Return what forbids a decision whatever the numbers say, gravest first."""
    least = LEAST_PAIRS if kind == "ordering" else LEAST_UNITS
    if "not_deterministic" in estimate.flags:
        return "not_deterministic", estimate.note or "Two seeds in two processes gave different results."
    if "diverged" in estimate.flags:
        return "diverged", estimate.note or "At least one trial diverged."
    if "multimodal" in estimate.flags:
        return (
            "multimodal",
            "The runs fall into two groups; their mean describes neither. Find what tells the groups apart and claim each, or "
            "claim the share of runs in one.",
        )
    if "heavy_tailed" in estimate.flags:
        return (
            "heavy_tailed",
            "The scatter of the runs is too skewed for a t interval. If they are positive, take logs; else look at the far-off "
            "runs and claim a median or an order of ranks.",
        )
    if estimate.deterministic:
        return None
    units = f"{estimate.n} independent units ({estimate.unit})"
    if estimate.n < least:
        return "too_few", f"It rests on {units}; at least {least} are required."
    if kind in ("exact", "rounds_to"):
        return None
    if "no_spread" in estimate.flags:
        return "too_few", f"All {units} gave the same value, so the noise cannot be estimated."
    if not has_interval(estimate):
        return "no_estimate", "The estimator gave no standard error with degrees of freedom."
    return None


def _undecided(
    kind: RuleKind, measured: Comparison, estimate: Estimate, level: Levels
) -> tuple[Reason, str, int | None]:
    """Return why the interval did not decide, in words, and how many seeds would, where seeds are its units."""
    half_width, margin = measured.half_width, measured.margin
    distance = _beyond(kind, measured)
    uncertain = _reach(measured, estimate, level.match) - half_width
    if kind == "equivalence" and half_width >= margin:
        return (
            "rounding",
            "The published value is rounded more coarsely than the margin, so nothing can match it.",
            None,
        )
    if abs(distance) + uncertain <= half_width:
        return "rounding", "What the published value was before it was rounded would decide.", None
    if abs(distance) <= half_width:
        return "underpowered", "It lies so near the edge of the margin that no number of units would decide.", None
    if "systematic_error" in estimate.flags:
        return "underpowered", "Most of its error is systematic: more units of the same kind would not shrink it.", None
    needed = units_needed(_power(kind, measured, estimate, level), estimate.n)
    if estimate.unit != "seed":
        # Budgets, tables or lines of a paper cannot be had by the thousand; the precision they give may come in other ways.
        se = measured.estimate_se
        if needed is None:
            return "underpowered", "However small its own standard error, it would hardly decide.", None
        wanted = (
            f"A standard error of about {se * math.sqrt(estimate.n / needed):.2g}{' in logs' if measured.log else ''}"
        )
        return (
            "underpowered",
            f"{wanted}, not {se:.2g}, would decide with 80 % power if this is the true deviation.",
            None,
        )
    if needed is None:
        return "underpowered", f"Not even {LARGEST:,} seeds would decide with 80 % power.", None
    there = f"{estimate.n} seeds are too few:"
    return "underpowered", f"{there} {needed} would decide with 80 % power if this is the true deviation.", needed


def _beyond(kind: RuleKind, measured: Comparison) -> float:
    """Return how far the value lies beyond the edge of the margin; negative inside."""
    if kind == "equivalence":
        return abs(measured.deviation) - measured.margin
    return (measured.deviation if kind == "at_most" else -measured.deviation) - measured.margin


def _power(kind: RuleKind, measured: Comparison, estimate: Estimate, level: Levels) -> Callable[[int], float]:
    """Return the power of the decision that the observed deviation points to, as a function of the number of units."""
    distance = _beyond(kind, measured)
    alpha = level.match if distance < 0 else level.mismatch

    def power(units: int) -> float:
        se = math.hypot(measured.estimate_se * math.sqrt(estimate.n / units), math.sqrt(measured.target_variance))
        own = None if measured.estimate_dof is None else measured.estimate_dof + units - estimate.n
        dof = min((v for v in (own, measured.target_dof) if v is not None), default=None)
        c = critical(alpha, dof, estimate, units)
        if kind == "equivalence" and distance < 0:
            return equivalence_power(measured.deviation, se, dof, c, measured.margin - measured.half_width)
        return one_sided_power(abs(distance) - measured.half_width, se, dof, c)

    return power


def _interval(
    kind: RuleKind, measured: Comparison, estimate: Estimate, alpha: float
) -> tuple[float | None, float | None]:
    """Return the 1 − 2α interval of the quantity, in its own units; none where the rule uses none."""
    if kind in ("exact", "rounds_to") or not has_interval(estimate):
        return None, None
    uncertain = _reach(measured, estimate, alpha) - measured.half_width
    return measured.natural(measured.value - uncertain), measured.natural(measured.value + uncertain)


def _judge_by_signs(part: Part, estimate: Estimate, sealed: Sealed, level: Levels) -> PartVerdict:
    """Decide an ordering for which t has no answer, by the exact sign-flip test on its units.

    On ranks a margin cannot be added to the differences: a match against 0 is then also one against −Δ, and a mismatch
    is declared only where there is no margin.
    """
    units = [unit for unit in estimate.units if unit is not None]
    margin = margin_size(part.rule, part.target)
    ranked = "ranked" in estimate.flags
    shift = 0.0 if ranked else margin
    p = sign_flip_p([unit + shift for unit in units])
    reverse = sign_flip_p([-unit - shift for unit in units])
    outcome: Outcome = "inconclusive"
    reason: Reason | None = "underpowered"
    if estimate.n < LEAST_PAIRS:
        reason, why = "too_few", f"It rests on {estimate.n} pairs; at least {LEAST_PAIRS} are required."
    elif p is None or reverse is None:
        why = "There are too many pairs for the exact sign-flip test."
    elif p <= level.match:
        outcome, reason, why = "match", None, f"The order holds (exact sign-flip p = {p:.2g})."
    elif reverse <= level.mismatch and not (ranked and margin > 0):
        outcome, reason, why = "mismatch", None, f"The order is reversed (exact sign-flip p = {reverse:.2g})."
    else:
        why = f"The signs of {estimate.n} differences do not decide (exact sign-flip p = {p:.2g}); add pairs."
    base = without_interval(part, estimate, reason, f"{why} {estimate.note}".strip(), level.match)
    alpha = level.mismatch if outcome == "mismatch" else level.match
    return replace(base, outcome=outcome, alpha=alpha, deviation=estimate.value)


def _sentence(
    part: Part, estimate: Estimate, outcome: Outcome, low: float | None, high: float | None, alpha: float
) -> str:
    value = f"{estimate.value:.4g}"
    if low is not None and high is not None and low < high:
        value += f" ({100 * (1 - 2 * alpha):.3g} % interval {low:.4g} to {high:.4g})"
    where = {"match": "lies", "mismatch": "does not lie", "inconclusive": "is not shown to lie, nor not to lie,"}[
        outcome
    ]
    return f"{value} {where} {_region(part.rule, part)}."


def _region(rule: Rule, part: Part) -> str:
    """Say in words what the rule requires."""
    target, margin = part.target, rule.margin
    printed = f"{'derived' if target.source == 'derived' else 'published'} {target.printed}"
    if margin is None or 0 in (margin.absolute, margin.relative):
        allowance = ""
    elif margin.factor is not None:
        allowance = f" a factor {margin.factor:g}"
    elif margin.relative is not None:
        allowance = f" {100 * margin.relative:g} %"
    else:
        allowance = f" {margin.absolute:g}"
    if rule.kind == "equivalence":
        return f"within{allowance} of the {printed}"
    if rule.kind == "exact":
        return f"within{allowance} of the {printed}" if allowance else f"exactly at the {printed}"
    if rule.kind == "rounds_to":
        return f"where it rounds to the {printed}" + (f", give or take{allowance}" if allowance else "")
    if rule.kind == "ordering":
        return "above 0, the order that the paper states" + (f", give or take{allowance}" if allowance else "")
    side = "at or above" if rule.kind == "at_least" else "at or below"
    return f"{side} the {printed}" + (f", give or take{allowance}" if allowance else "")
