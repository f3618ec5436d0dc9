"""A verdict on a part before anything is decided: what every way of deciding starts from."""

from repro.judge.comparison import margin_size
from repro.judge.extras import extras_of
from repro.schema.claim import Part
from repro.schema.verdict import Estimate, PartVerdict, Reason


def without_interval(part: Part, estimate: Estimate, reason: Reason | None, detail: str, alpha: float) -> PartVerdict:
    """Return an inconclusive verdict without interval; `dataclasses.replace` fills in what was decided otherwise."""
    return PartVerdict(
        outcome="inconclusive",
        reason=reason,
        detail=detail,
        estimate=estimate,
        target=part.target.value,
        half_width=part.target.half_width,
        margin=margin_size(part.rule, part.target),
        deviation=None,
        se=None,
        dof=None,
        alpha=alpha,
        low=None,
        high=None,
        flags=estimate.flags,
        extras=extras_of(part, estimate, None, None),
    )
