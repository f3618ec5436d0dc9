"""How a verdict and what decides it read to people, on pages and in citations alike."""

from collections.abc import Mapping

from repro.judge.numbers import share, significant
from repro.schema.claim import FULFILLED, Interval, Margin, Part, Target
from repro.schema.verdict import Attempt, PartVerdict, Verdict

REASONS: Mapping[str, str] = {
    "underpowered": "too few data to decide",
    "rounding": "the printed value is rounded too coarsely for this margin",
    "too_few": "too few independent units",
    "heavy_tailed": "the spread is too heavy-tailed for this test",
    "multimodal": "the runs fall into separate groups",
    "diverged": "a trial diverged",
    "no_estimate": "the estimator found no value",
    "not_deterministic": "runs that must agree did not",
    "not_decisive_scale": "this scale does not decide",
    "control_inconclusive": "a control stayed undecided",
    "control_did_not_fail": "a control that must fail did not",
}
"""Why a verdict is inconclusive."""

VALIDITY: Mapping[str, str] = {
    "stale": "what the seal covers has changed since",
    "post_hoc": "sealed after its records were made; not citable",
    "disputed": "someone contests it",
    "invalidated": "withdrawn",
    "tampered": "the stored bytes are not those that were sealed",
}
"""What it means that an attempt is not current."""

MISSED: Mapping[str, str] = {
    "reproduction": "not reproduced",
    "replication": "not replicated",
    "reanalysis": "not confirmed by reanalysis",
    "recomputation": "not confirmed by recomputation",
    "conceptual_replication": "not conceptually replicated",
}
"""How a mismatch reads to people, by kind; `repro.schema.claim.FULFILLED` says how a match reads."""

SOURCES: Mapping[str, str] = {
    "verified": "seen in the paper or in its authors' own artefact",
    "secondary": "seen in a third party's copy or extract, not in the paper itself",
    "unverified": "not yet checked against the paper",
    "derived": "printed nowhere: worked out from the paper's numbers or words, as the locator says",
}
"""How sure a published value is."""

_FULL_SIZE = ("paper", "full")


def status(attempt: Attempt) -> str:
    """Return the outcome of an attempt, or how far it got."""
    return attempt.verdict.outcome if attempt.execution == "completed" and attempt.verdict else attempt.execution


def reading(attempt: Attempt) -> str:
    """Return how the verdict of an attempt reads to people.

    A match reads by its kind, below the paper's scale "at reduced scale" with the ratio of compute; a mismatch below
    it is "not replicated at this scale", for the paper may still be right at its own. An attempt sealed as indicative
    says so wherever it is read.
    """
    return _reading(attempt) + (" (indicative)" if attempt.sealed.indicative else "")


def _reading(attempt: Attempt) -> str:
    if attempt.verdict is None or attempt.execution != "completed":
        return {"planned": "sealed, not run yet", "running": "running", "failed": "did not run to its end"}.get(
            attempt.execution, attempt.execution
        )
    kind, whole = attempt.sealed.kind, attempt.scale in _FULL_SIZE
    if attempt.verdict.outcome == "match":
        return FULFILLED[kind] if whole else f"{FULFILLED[kind]} at reduced scale ({compute(attempt)})"
    if attempt.verdict.outcome == "mismatch":
        return MISSED[kind] if whole else f"{MISSED[kind]} at this scale"
    return why(attempt.verdict)


def compute(attempt: Attempt) -> str:
    """Return the compute of an attempt beside the paper's."""
    if attempt.compute_ratio is None:
        return "ratio to the paper's compute unknown"
    return f"{share(attempt.compute_ratio)} of the paper's compute"


def why(decision: Verdict | PartVerdict) -> str:
    """Return the reason of an inconclusive verdict in words, with the n it would take where that is known."""
    if decision.reason is None:
        return ""
    text = REASONS[decision.reason]
    if isinstance(decision, PartVerdict) and decision.n_needed is not None:
        text += f"; n = {decision.n_needed} would reach 80 % power"
    return text


def margin_text(margin: Margin | None) -> str:
    """Return a margin as people write it; empty for none."""
    if margin is None:
        return ""
    if margin.absolute is not None:
        return f"± {significant(margin.absolute)}"
    if margin.relative is not None:
        return f"± {significant(100 * margin.relative)} %"
    return f"a factor of {significant(margin.factor)}"


def rule_text(part: Part) -> str:
    """Return in one phrase what counts as a match for one target."""
    printed, margin = printed_text(part.target), margin_text(part.rule.margin)
    allowance = f" (margin {margin})" if margin else ""
    return {
        "equivalence": f"within {margin} of {printed}",
        "at_least": f"at least {printed}{allowance}",
        "at_most": f"at most {printed}{allowance}",
        "ordering": f"the ordering holds in runs paired by seed{allowance}",
        "trend": f"from level to level the value moves the claimed way{allowance}",
        "reference_convergence": f"no faster than the reference runs allow{allowance}",
        "exact": f"equal to {printed}{allowance}",
        "rounds_to": f"rounds to {printed}{allowance}",
    }[part.rule.kind]


def interval_text(interval: Interval) -> str:
    """Return a printed interval with its level and what it is an interval of."""
    of = "" if interval.of == "unknown" else f" {interval.of}"
    return f"{interval.low} to {interval.high} ({significant(100 * interval.level)} %{of} interval)"


def printed_text(target: Target) -> str:
    """Return a published value as printed, marked where the paper gives it as approximate."""
    return f"about {target.printed}" if target.approximate else target.printed


def published_text(part: Part) -> str:
    """Return what was published for a part: the printed value; of an order or a trend there is none, only its direction."""
    orders = {"ordering": "an order", "trend": "a trend"}
    if part.rule.kind in orders and part.target.value == 0:
        return orders[part.rule.kind]
    return printed_text(part.target)


def origin(target: Target) -> str:
    """Return the word for where a target comes from: `published`, or `derived` where the paper prints no such number."""
    return "derived" if target.source == "derived" else "published"
