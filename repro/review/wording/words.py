"""What people read for what the data says: symbols, verdicts, reasons, rules. Colour never carries meaning alone."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal

from repro.judge.flags import FLAGS as FLAGS
from repro.judge.flags import flag_text as flag_text
from repro.judge.numbers import like_interval, significant
from repro.review.wording.labels import counted
from repro.schema.blockage import NeedKind
from repro.schema.claim import Part, Target
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

NEED: Mapping[NeedKind, str] = {
    "data": "data",
    "weights": "weights",
    "code": "code",
    "compute": "computing",
    "licence": "a licence",
    "metric": "how it was measured",
}
"""What a blocked claim may lack."""

NEEDS: Mapping[NeedKind, str] = {**NEED, "licence": "licences", "metric": "words on how it was measured"}
"""The same as headings."""

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
    if attempt.exploratory or validity != "current":
        return "exploratory" if attempt.exploratory else word(validity)
    origin = attempt.provenance.get("origin")
    unproven = isinstance(origin, Mapping) and origin.get("checked_against") not in ("digest", "key")
    return "its origin is unproven" if unproven else ""


def day(moment: str) -> str:
    """Return the day of an ISO 8601 moment; anything else as it is.

    >>> day("2024-05-17T09:03:11+00:00"), day("last week")
    ('2024-05-17', 'last week')
    """
    return moment[:10] if re.match(r"\d{4}-\d\d-\d\d(T|$)", moment) else moment


def straight(text: str) -> str:
    """Return text without the characters that turn the direction of what follows them: nobody's name may reorder a sentence.

    >>> straight("A\u202e. Reader")
    'A. Reader'
    """
    return re.sub("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)


def size(count: int) -> str:
    """Return a number of bytes as people read it.

    >>> size(812), size(123_456), size(5_000_000)
    ('812 bytes', '121 KiB', '4.8 MiB')
    """
    for unit, name, digits in ((2**20, "MiB", 2), (2**10, "KiB", 3)):
        if count >= unit:
            return f"{significant(count / unit, digits)} {name}"
    return f"{count} bytes"


def level(part: PartVerdict) -> str:
    """Return the level of the interval that decides, 1 − 2α."""
    return f"{significant(100 * (1 - 2 * part.alpha))} %"


def measured_text(part: Part, verdict: PartVerdict) -> str:
    """Return the estimate with the interval that decides."""
    digits = digits_beside(part.target)
    value, low, high = like_interval(verdict.estimate.value, verdict.low, verdict.high, digits)
    if verdict.low is None or verdict.high is None or verdict.low == verdict.high:
        return value
    return f"{value} ({level(verdict)} interval {low} to {high})"


def short_text(part: Part, verdict: PartVerdict) -> str:
    """Return the estimate with the interval that decides, as briefly as it can be said."""
    if verdict.estimate.value is None:
        return "no estimate"
    return measured_text(part, verdict).replace(" interval ", ": ")
