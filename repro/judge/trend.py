"""The decision on a monotone trend, from the p-values of `repro.stats.trend` or from exact values."""

from dataclasses import replace

from repro.judge.bare import without_interval
from repro.schema.claim import Part
from repro.schema.verdict import Estimate, Outcome, PartVerdict, Reason

Decision = tuple[Outcome, Reason | None, str]


def judge_trend(part: Part, estimate: Estimate, match_level: float, mismatch_level: float) -> PartVerdict:
    """Decide a trend.

    With noise: `mismatch` if the reversed trend is significant at α/2k, or a single reversed step at α/2k divided by the number
    of steps, for k parts (a claim of all steps has no test of the reversed trend: its steps share the whole α/k). `match` if
    the claimed trend is significant at α and nothing is reversed even with k = 1. Without noise: every step must go the
    claimed way, by more than the resolution of the printed values.

    Args:
        part: its rule is of kind `trend`.
        estimate: with the p-values in its extras.
        match_level: α.
        mismatch_level: α/k.
    """
    outcome, reason, detail = _decide(estimate, match_level, mismatch_level)
    alpha = mismatch_level if outcome == "mismatch" else match_level
    base = without_interval(part, estimate, reason, f"{detail} {estimate.note}".strip(), alpha)
    return replace(base, outcome=outcome, deviation=estimate.value, se=estimate.se)


def _decide(estimate: Estimate, match_level: float, mismatch_level: float) -> Decision:
    if "not_deterministic" in estimate.flags:
        return "inconclusive", "not_deterministic", "Two seeds in two processes gave different results."
    if estimate.value is None:
        reason: Reason = "diverged" if "diverged" in estimate.flags else "no_estimate"
        return "inconclusive", reason, "" if estimate.note else "The estimator found no trend to judge."
    if "diverged" in estimate.flags:
        return "inconclusive", "diverged", "" if estimate.note else "At least one trial diverged."
    if estimate.deterministic:
        return _decide_exact(estimate)
    return _decide_tested(estimate, match_level, mismatch_level)


def _decide_exact(estimate: Estimate) -> Decision:
    step, resolution = _known(estimate.value), estimate.extras.get("trend_resolution") or 0.0
    if step > resolution:
        return "match", None, f"Every step goes the claimed way; the smallest is {step:.4g}."
    if step < -resolution or (resolution == 0 and step <= 0):
        moved = "does not go the claimed way" if step else "does not move at all"
        return "mismatch", None, f"At least one step {moved}: the least favourable is {step:.4g}."
    return (
        "inconclusive",
        "rounding",
        f"The least favourable step is {step:.4g}, no more than the last printed digit tells ({resolution:g}).",
    )


def _decide_tested(estimate: Estimate, match_level: float, mismatch_level: float) -> Decision:
    extras = estimate.extras
    p, reverse, step = (extras.get(name) for name in ("trend_p", "trend_reverse_p", "trend_step_p"))
    if p is None:
        return "inconclusive", "no_estimate", "The estimator gave no p-value of the trend."
    least, steps = extras.get("trend_least_p") or 0.0, extras.get("trend_steps") or 1.0
    # A claim of all steps has no test of the reversed trend; else the two halve the level between them.
    half = 1.0 if reverse is None or step is None else 2.0
    for level in (mismatch_level, match_level):
        if step is not None and step <= level / half / steps:
            against = f"At least one step goes the other way (p = {step:.2g}, and {steps:.0f} steps were tested)"
        elif reverse is not None and reverse <= level / half:
            against = f"The trend goes the other way (p = {reverse:.2g})"
        else:
            continue
        if level == mismatch_level:
            return "mismatch", None, f"{against}."
        return "inconclusive", "underpowered", f"{against}, which among several parts is no proof, but forbids a match."
    if p <= match_level:
        unproven = extras.get("trend_reversals")
        seen = (
            f"; {unproven:.0f} of {steps:.0f} steps are seen the other way, none of them beyond chance"
            if unproven
            else ""
        )
        return "match", None, f"The trend goes the claimed way (one-sided p = {p:.2g}){seen}."
    if least > match_level:
        return (
            "inconclusive",
            "too_few",
            f"Even a perfect trend of so few runs would have p = {least:.2g}; add seeds or levels.",
        )
    return (
        "inconclusive",
        "underpowered",
        f"Neither the trend nor its reverse is shown (one-sided p = {p:.2g}); add seeds.",
    )


def _known(value: float | None) -> float:
    assert value is not None
    return value
