"""The decision of a rule of kind `reference_convergence`: no faster than the reference allows, in MLPerf's manner."""

import math
from dataclasses import replace

from repro.judge.bare import without_interval
from repro.judge.comparison import margin_size
from repro.schema.claim import Part
from repro.schema.verdict import Estimate, Outcome, PartVerdict, Reason
from repro.stats import equivalence as tests

ONE_SIDED = "This rule tests one side only: slower is never a miss, and a match does not say that both converge alike."

FIGURES = ("rcp_mean", "rcp_sd", "rcp_n", "rcp_min_epochs", "rcp_max_speedup", "rcp_p")


def judge_reference(part: Part, estimate: Estimate, match_level: float, mismatch_level: float) -> PartVerdict:
    """Decide whether a submission converges too fast.

    `mismatch` if it is significantly faster than the reference, at α/k for k parts. `match` if it is not, at α, **and**
    the test could have noticed: the speed-up that the reference allows must lie within the rule's margin. Otherwise
    "not significant" would only say that the reference scatters (MLPerf passes such submissions).

    Beside it stands what a two-sided equivalence with the same margin says (`rcp_equivalent`: 1 the same, −1 not the same,
    0 undecided): Yuen's (1974) t of the two Olympic means in logs.

    Args:
        part: its rule is of kind `reference_convergence`, with a factor as margin.
        estimate: the submission's mean over the reference's, with the reference's figures in its extras.
        match_level: α.
        mismatch_level: α/k.
    """
    margin = margin_size(part.rule, part.target)
    outcome, reason, detail = _decide(estimate, margin, match_level, mismatch_level)
    alpha = mismatch_level if outcome == "mismatch" else match_level
    base = without_interval(part, estimate, reason, f"{detail} {estimate.note}".strip(), alpha)
    figures = {name: estimate.extras[name] for name in FIGURES if name in estimate.extras}
    low, high, equivalent = _two_sided(estimate, margin, match_level)
    deviation = math.log(estimate.value) if estimate.value else None
    return replace(
        base,
        outcome=outcome,
        deviation=deviation,
        se=estimate.extras.get("rcp_log_se"),
        dof=estimate.extras.get("rcp_log_dof"),
        low=low,
        high=high,
        scale="log",
        extras={**base.extras, **figures, **({} if equivalent is None else {"rcp_equivalent": equivalent})},
    )


def _decide(
    estimate: Estimate, margin: float, match_level: float, mismatch_level: float
) -> tuple[Outcome, Reason | None, str]:
    if "not_deterministic" in estimate.flags:
        return "inconclusive", "not_deterministic", "Two seeds in two processes gave different results."
    if estimate.value is None:
        reasons: dict[str, Reason] = {"diverged": "diverged", "too_few": "too_few"}
        known = [reasons[flag] for flag in estimate.flags if flag in reasons]
        return (
            "inconclusive",
            known[0] if known else "no_estimate",
            "" if estimate.note else "The estimator found no value.",
        )
    p, allowed = estimate.extras.get("rcp_p"), estimate.extras.get("rcp_max_speedup")
    if p is None:
        return "inconclusive", "no_estimate", "The estimator gave no p-value against the reference."
    speed = f"It converges {1 / estimate.value:.4g} times as fast as the reference (one-sided p = {p:.2g})"
    if p <= mismatch_level:
        return "mismatch", None, f"{speed}, faster than the reference allows. {ONE_SIDED}"
    if p <= match_level:
        return "inconclusive", "underpowered", f"{speed}, which several parts together do not show to be too fast."
    if allowed is None or math.log(allowed) > margin:
        most = "any speed-up" if allowed is None else f"a speed-up of {allowed:.4g}"
        why = f"the reference scatters so much that it allows {most}, more than the margin of {math.exp(margin):.4g}"
        return "inconclusive", "underpowered", f"{speed}; {why}. Add runs on either side."
    return "match", None, f"{speed}, no faster than the reference allows ({allowed:.4g} times). {ONE_SIDED}"


def _two_sided(estimate: Estimate, margin: float, level: float) -> tuple[float | None, float | None, float | None]:
    """Return the 1 − 2α interval of the ratio, and the outcome of the equivalence; None where they cannot be formed."""
    se, dof = estimate.extras.get("rcp_log_se"), estimate.extras.get("rcp_log_dof")
    if not estimate.value or not se or not dof:
        return None, None, None
    reach = tests.critical_value(level, dof) * se
    deviation = math.log(estimate.value)
    outcome = float(tests.equivalence(deviation, reach, reach, margin))
    return math.exp(deviation - reach), math.exp(deviation + reach), outcome
