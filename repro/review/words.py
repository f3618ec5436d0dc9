"""What people read for what the data says: symbols, verdicts, reasons, rules. Colour never carries meaning alone."""

import math
from collections.abc import Mapping
from decimal import Decimal

from repro.judge.numbers import significant
from repro.review.labels import counted
from repro.schema.claim import Target
from repro.schema.verdict import Attempt, ControlVerdict, Estimate, PartVerdict, Validity

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

EXPLORATORY = "sealed settings were changed by hand; not citable"

INDICATIVE = "sealed although its plan could hardly decide; whatever comes out is a hint"

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


def symbol(name: str) -> str:
    """Return the sign of an outcome, state or execution."""
    return SYMBOLS.get(name, "·")


def word(name: str) -> str:
    """Return the word of an outcome, state or execution."""
    return STATE_WORDS.get(name, name.replace("_", " "))


def look(attempt: Attempt) -> str:
    """Return at which of the looks that were sealed the verdict came; empty where one look was sealed."""
    if attempt.verdict is None or attempt.sealed.looks <= 1:
        return ""
    decided = "undecided after" if attempt.verdict.outcome == "inconclusive" else "decided at"
    return f"{decided} look {attempt.verdict.look} of {attempt.sealed.looks}"


def control_status(control: ControlVerdict) -> tuple[str, str]:
    """Return sign and words for whether a control failed, as it must."""
    return {True: ("✓", "failed, as it must"), False: ("✗", "did not fail"), None: ("?", "undecided")}[control.failed]


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
