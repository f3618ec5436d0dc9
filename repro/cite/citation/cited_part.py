"""What was measured beside what was printed, for one target."""

from dataclasses import dataclass
from decimal import Decimal

from repro.cite.citation.plain import one_line
from repro.judge.numbers import like_interval, significant
from repro.judge.reading import SOURCES, margin_text, origin, published_text, rule_text
from repro.schema.annotation import SourceCheck
from repro.schema.claim import Part
from repro.schema.verdict import Outcome, PartVerdict


@dataclass(frozen=True)
class CitedPart:
    """What was measured beside what was printed."""

    name: str
    published: str
    """As printed, with `at least` or `at most` where a bound was claimed; `an order` or `a trend` where nothing else was."""
    criterion: str
    """What counts as a match, as it was sealed: `within ± 0.12 of 0.49`."""
    tolerance: str
    """The same without the value, for several parts at once: `within ± 0.12`."""
    measured: str
    """To as many digits as the interval deserves."""
    interval: str
    """Such as `90 % interval 0.481 to 0.545`; empty where the quantity is exact."""
    outcome: Outcome
    value: float | None
    low: float | None
    high: float | None
    n: int
    origin: str
    """`published`, or `derived` where the paper prints no such number."""
    source: str
    """Whether the published value was itself seen in the paper, in words."""


def cited_part(name: str, part: Part, judged: PartVerdict, check: SourceCheck | None) -> CitedPart:
    """Return a part as a citation tells it.

    Args:
        name: of the part.
        part: target and rule as they were sealed.
        judged: the decision.
        check: who compared the published value with the paper, if anybody did.
    """
    value, low, high = judged.estimate.value, judged.low, judged.high
    spread = low is not None and high is not None and high > low
    # One digit more than the paper printed shows on which side of it a value lies.
    digits = min(max(4, len(Decimal(part.target.printed).as_tuple().digits) + 1), 10)
    measured, below, above = like_interval(value, low, high, digits)
    level = significant(100 * (1 - 2 * judged.alpha))
    return CitedPart(
        name=one_line(name.replace("_", " ")),
        published=one_line(_published(part)),
        criterion=one_line(rule_text(part)),
        tolerance=one_line(_tolerance(part)),
        measured=measured if value is not None else "no value",
        interval=f"{level} % interval {below} to {above}" if spread else "",
        outcome=judged.outcome,
        value=value,
        low=low,
        high=high,
        n=judged.estimate.n,
        origin=origin(part.target),
        source=_source(part, check),
    )


def _published(part: Part) -> str:
    bound = {"at_least": "at least ", "at_most": "at most "}.get(part.rule.kind, "")
    return bound + published_text(part)


def _tolerance(part: Part) -> str:
    margin, kind = margin_text(part.rule.margin), part.rule.kind
    if kind == "equivalence":
        return f"within {margin}"
    plain = {
        "at_least": "at least that",
        "at_most": "at most that",
        "exact": "equal to it",
        "rounds_to": "rounds to it",
    }
    allowance = f" (margin {margin})" if margin else ""
    return plain[kind] + allowance if kind in plain else rule_text(part)


def _source(part: Part, check: SourceCheck | None) -> str:
    source = part.target.source
    if source in ("unverified", "secondary") and check is not None and check.printed == part.target.printed:
        return one_line(f"compared with the paper by {check.who} ({check.where}, {check.when})")
    return SOURCES[source]
