"""The rule: a seal and the estimates of its arms to a verdict. Pure: no clock, no chance, no files."""

from collections.abc import Mapping

from repro.judge.controls import combined, judge_control
from repro.judge.part import judge_part
from repro.schema.verdict import ControlVerdict, Estimate, Outcome, PartVerdict, Reason, Sealed, Verdict

GRAVEST_FIRST: tuple[Reason, ...] = (
    "no_estimate",
    "not_deterministic",
    "diverged",
    "multimodal",
    "heavy_tailed",
    "too_few",
    "rounding",
    "underpowered",
)
"""Which reason an inconclusive claim gives when its parts have several."""


def judge(sealed: Sealed, estimates: Mapping[str, Mapping[str, Estimate]]) -> Verdict:
    """Decide a claim from its seal and the estimates of its arms.

    Every part is decided by its own rule; the claim matches if all parts match at α, and mismatches if any mismatches at
    α/k. The decision stands only at a decisive scale, and only if there is a control and every control failed. Estimates,
    parts and controls are computed and shown whatever stands in the way.

    Args:
        sealed: what was fixed before the first trial ran.
        estimates: by arm (`main`, and the name of each control), one estimate a part.
    """
    parts = _judge_arm(sealed, estimates.get("main", {}))
    controls = {
        name: judge_control(control.expect, _judge_arm(sealed, estimates.get(name, {})), parts, sealed)
        for name, control in sorted(sealed.controls.items())
    }
    outcome, reason, detail = _conclude(sealed, parts, controls)
    flags = [flag for part in parts.values() for flag in part.flags] + ([] if sealed.controls else ["no_control"])
    shown = {name: parts[name] for name in sealed.parts}
    return Verdict(outcome, reason, detail, shown, controls, tuple(dict.fromkeys(flags)))


def _judge_arm(sealed: Sealed, estimates: Mapping[str, Estimate]) -> dict[str, PartVerdict]:
    """Return the parts by name in order: what is said first must not hang on the order a seal was written or read in."""
    absent = {name: Estimate(None, note=f"The estimator gave no part '{name}'.") for name in sealed.parts}
    return {
        name: judge_part(part, estimates.get(name, absent[name]), sealed) for name, part in sorted(sealed.parts.items())
    }


def _conclude(
    sealed: Sealed, parts: Mapping[str, PartVerdict], controls: Mapping[str, ControlVerdict]
) -> tuple[Outcome, Reason | None, str]:
    """Return outcome, reason and one sentence; what no further trial could mend is said first."""
    outcome, detail = combined(parts), _detail(parts)
    if sealed.scale not in sealed.decisive:
        decisive = " and ".join(sealed.decisive) or "none"
        return (
            "inconclusive",
            "not_decisive_scale",
            f"The scale {sealed.scale} cannot decide (decisive: {decisive}). {detail}",
        )
    passed = [name for name, control in controls.items() if control.failed is False]
    if passed:
        why = f"The control '{passed[0]}' did not fail: {controls[passed[0]].detail}"
        return "inconclusive", "control_did_not_fail", f"{why} {detail}"
    if outcome == "inconclusive":
        reasons = {part.reason for part in parts.values() if part.outcome == "inconclusive"}
        return outcome, next(reason for reason in GRAVEST_FIRST if reason in reasons), detail
    if not controls:
        return (
            "inconclusive",
            "control_inconclusive",
            f"The protocol has no control, so it could not have failed. {detail}",
        )
    undecided = [name for name, control in controls.items() if control.failed is None]
    if undecided:
        why = f"Whether the control '{undecided[0]}' failed is undecided: {controls[undecided[0]].detail}"
        return "inconclusive", "control_inconclusive", f"{why} {detail}"
    return outcome, None, detail


def _detail(parts: Mapping[str, PartVerdict]) -> str:
    """Say what decided: the only part, or how many parts came out how and the first that stands in the way."""
    if len(parts) == 1:
        return next(iter(parts.values())).detail
    counts = {
        outcome: [n for n, p in parts.items() if p.outcome == outcome] for outcome in ("mismatch", "inconclusive")
    }
    named = counts["mismatch"] or counts["inconclusive"]
    if not named:
        return f"All {len(parts)} parts match."
    kind = "mismatch" if counts["mismatch"] else "are inconclusive"
    return f"{len(named)} of {len(parts)} parts {kind}; {named[0]}: {parts[named[0]].detail}"
