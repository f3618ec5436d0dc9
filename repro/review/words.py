"""What people read for what the data says: symbols, verdicts, reasons, rules. Colour never carries meaning alone."""

import math
from collections.abc import Mapping
from decimal import Decimal

from repro.review.labels import counted
from repro.review.numbers import share, significant
from repro.schema.claim import FULFILLED, Interval, Margin, Part, Target
from repro.schema.verdict import Attempt, ControlVerdict, Estimate, PartVerdict, Validity, Verdict

SYMBOLS: Mapping[str, str] = {
    "match": "✓",
    "mismatch": "✗",
    "inconclusive": "?",
    "blocked": "⊘",
    "not_run": "○",
    "planned": "○",
    "running": "…",
    "failed": "!",
}
"""A sign for each outcome, state and execution, always beside its word."""

STATE_WORDS: Mapping[str, str] = {"not_run": "not run"}
"""Words for outcomes and states that are not spelt as they are named."""

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

EXPLORATORY = "sealed settings were changed by hand; not citable"

INDICATIVE = "sealed although its plan could hardly decide; whatever comes out is a hint"

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

BASES: Mapping[str, str] = {
    "paper": "the paper, elsewhere",
    "official_code": "the authors' code",
    "author_reply": "the authors' reply",
    "sweep": "a sweep",
    "guess": "a guess",
}
"""On what a missing detail was settled."""

EXPECTATIONS: Mapping[str, str] = {
    "mismatch": "must come out as a mismatch",
    "differs": "must not match, and must differ from the main arm",
}
"""What a control has to do."""

FLAGS: Mapping[str, str] = {
    "target_spread_unknown": "near the printed value: how far the paper's own runs spread is unknown",
    "borrowed_spread": "the paper ran once; our own spread stands in for its",
    "skew_guard": "the interval is widened, because a few runs cannot show whether their noise is skewed; more runs narrow it",
    "heavy_tailed": "a few runs lie far from the rest, which bends a mean and its interval; look at the trials, then "
    "run more seeds, or seal a new attempt on logs if the quantity is positive",
    "multimodal": "the runs fall into separate groups, and their mean describes neither; look for what sets the groups "
    "apart in the trials, and test each by itself",
    "interpolated": "no reference ran at this batch size; its mean is interpolated between the neighbouring ones",
    "no_spread": "all runs gave the same value, so their noise cannot be estimated",
    "ranked": "a run diverged, so signed ranks decide instead of values",
    "no_control": "the protocol has no control, so it could not have failed",
    "systematic_error": "a known bias (the choice of window, or the parabola itself), not the number of runs, limits this estimate",
    "not_deterministic": "runs that must agree did not",
    "too_few_budgets": "too few budgets for a line with an interval",
    "too_few_sizes": "too few model sizes on the frontier for a line with an interval",
    "few_points": "some budgets have fewer sizes near their optimum than a parabola should rest on",
    "uncertified_optimum": "the search did not prove that this is the best fit; another start may end lower",
    "unequal_arms": "one arm scatters more than the other, so that their differences may be skewed",
}
"""Flags of a verdict that need a sentence."""

_FULL_SIZE = ("paper", "full")


def symbol(name: str) -> str:
    """Return the sign of an outcome, state or execution."""
    return SYMBOLS.get(name, "·")


def word(name: str) -> str:
    """Return the word of an outcome, state or execution."""
    return STATE_WORDS.get(name, name.replace("_", " "))


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
            attempt.execution, word(attempt.execution)
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


def look(attempt: Attempt) -> str:
    """Return at which of the looks that were sealed the verdict came; empty where one look was sealed."""
    if attempt.verdict is None or attempt.sealed.looks <= 1:
        return ""
    decided = "undecided after" if attempt.verdict.outcome == "inconclusive" else "decided at"
    return f"{decided} look {attempt.verdict.look} of {attempt.sealed.looks}"


def control_status(control: ControlVerdict) -> tuple[str, str]:
    """Return sign and words for whether a control failed, as it must."""
    return {True: ("✓", "failed, as it must"), False: ("✗", "did not fail"), None: ("?", "undecided")}[control.failed]


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


def digits_beside(target: Target) -> int:
    """Return how many significant digits show whether a value meets a printed one: one more than printed, 4 to 10."""
    return min(max(4, len(Decimal(target.printed).as_tuple().digits) + 1), 10)


def flag_text(flag: str) -> str:
    """Return a flag of an estimate or verdict in words."""
    return FLAGS.get(flag, flag.replace("_", " "))


def sample(estimate: Estimate, dof: float | None) -> str:
    """Return on how much an estimate rests: its independent units and degrees of freedom."""
    if estimate.deterministic:
        return "no random draw enters"
    return counted(estimate.n, estimate.unit) + (f", ν = {significant(dof, 3)}" if dof is not None else "")


def deviation(part: PartVerdict) -> str:
    """Return the signed distance of the estimate from the published value; on a log scale, the factor."""
    if part.deviation is None:
        return significant(None)
    if part.scale == "log":
        return f"factor {significant(math.exp(part.deviation))}"
    return ("+" if part.deviation > 0 else "") + significant(part.deviation, 3)


def not_counting(attempt: Attempt, validity: Validity) -> str:
    """Return why an attempt does not count; empty if none of the reasons holds."""
    if attempt.execution != "completed":
        return word(attempt.execution)
    return "exploratory" if attempt.exploratory else word(validity) if validity != "current" else ""


def level(part: PartVerdict) -> str:
    """Return the level of the interval that decides, 1 − 2α."""
    return f"{significant(100 * (1 - 2 * part.alpha))} %"
