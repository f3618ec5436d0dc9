"""The truths under which a protocol is calibrated: the claim true, false by its margin, false by a rival's value."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from repro.judge.comparison import ULPS, margin_size
from repro.schema.claim import Part
from repro.schema.verdict import Estimate, Sealed

BEYOND = 0.1
"""How far beyond a margin an exact value is put, as a share of it: on the edge itself nothing is false."""

APPROXIMATE = 0.01
"""Smallest difference from a value that was printed as approximate, as a share of it: its digits say too little."""

FINE = 1e-3
"""Share of a margin below which the last printed digit is finer than what a simulator need resolve."""

TWO_SIDED = ("equivalence", "exact", "rounds_to")
DIFFERENCE = "ordering"
"""The kind that decides on which side of 0 a value lies, whatever is printed."""

TREND = "trend"
"""The kind that decides on an order of levels: its truths are 1, the claimed order, 0, none, and −1, the reverse."""

RATIO = "reference_convergence"
"""The kind that decides on a ratio to the reference's runs, in logs, whatever is printed."""

NATURAL_RIVALS: Mapping[str, tuple[str, float]] = {TREND: ("reversed_order", -1.0), RATIO: ("a_quarter_faster", 0.8)}
"""What a kind is held against where the claim names no rival."""


@dataclass(frozen=True)
class Truth:
    """What is true in one scenario."""

    truth: Literal["true", "margin", "rival"]
    name: str
    values: Mapping[str, float]
    parts: tuple[str, ...]
    """Those that are false."""


def truths(sealed: Sealed, recorded: Mapping[str, Estimate]) -> Iterator[Truth]:
    """Return the scenarios of a protocol.

    With several parts a margin is broken by one of them, all others are true: the one that is hardest to notice, whose
    margin is the fewest standard errors wide. Where values are exact there is no such order, and every part has a
    scenario of its own. A rival shifts all parts for which it names a value. Trends and references whose claim names none
    have the `NATURAL_RIVALS`, which shift all parts of their kind.

    Args:
        sealed: the claim's targets and rules.
        recorded: the main arm's estimates: which parts are exact, and what their errors are.
    """
    true = {name: true_value(part, recorded[name]) for name, part in sealed.parts.items()}
    yield Truth("true", "", true, ())
    for name in _hardest(sealed, recorded):
        for side, value in false_values(sealed.parts[name], recorded[name]).items():
            yield Truth("margin", side, {**true, name: value}, (name,))
    rivals: dict[str, dict[str, float]] = {}
    for name, part in sealed.parts.items():
        for rival, printed in part.rule.rivals.items():
            rivals.setdefault(rival, {})[name] = float(Decimal(printed))
    if not rivals:
        for name, part in sealed.parts.items():
            natural, value = NATURAL_RIVALS.get(part.rule.kind, ("", 0.0))
            if natural and (part.rule.kind == TREND or value < math.exp(-margin_size(part.rule, part.target))):
                rivals.setdefault(natural, {})[name] = value
    for rival, values in rivals.items():
        yield Truth("rival", rival, {**true, **values}, tuple(values))


def true_value(part: Part, estimate: Estimate) -> float:
    """Return the value at which a part is true.

    The published one. Of a one-sided rule or an order without a margin that value is the edge itself; the part is then
    true by a standard deviation of a single unit, or where it is exact and rounded by a unit of the last printed digit.
    """
    kind, margin, half_width = part.rule.kind, margin_size(part.rule, part.target), _half_width(part)
    if kind in TWO_SIDED:
        return part.target.value
    if kind == DIFFERENCE:
        return part.target.value if part.target.value > 0 else _step(part, estimate)
    if kind in (RATIO, TREND):
        return 1.0
    if margin > half_width or (is_exact(estimate) and half_width == 0):
        return part.target.value
    return _shifted(part, (-1.0 if kind == "at_most" else 1.0) * _step(part, estimate))


def false_values(part: Part, estimate: Estimate) -> dict[str, float]:
    """Return the nearest values at which a part is false, `above` or `below` what is true.

    With noise this is the edge of the margin itself, where the rule promises to match wrongly at most with α. Without noise
    a rule has sharp edges, and the value is put just beyond: a unit of the last printed digit, or a tenth of the margin, which
    float arithmetic must be able to resolve.

    A trend is false where there is none (0). A reference is beaten by just the margin, which is wider than the speed-up that
    its test allows.
    """
    if part.rule.kind == TREND:
        return {"below": 0.0}
    kind, margin, half_width = part.rule.kind, margin_size(part.rule, part.target), _half_width(part)
    unit = _unit(part)
    beyond = margin + max(BEYOND * margin, 2 * ULPS * abs(part.target.value))
    if kind == "exact":
        distance = beyond if margin > 0 else unit
    elif kind == "rounds_to":
        distance = margin + unit
    elif not is_exact(estimate):
        distance = margin
    elif half_width > 0 and 2 * half_width >= FINE * margin:
        distance = margin + 2 * half_width
    else:
        distance = beyond if margin > 0 else unit
    sides = {"above": distance, "below": -distance}
    if kind not in TWO_SIDED:
        del sides["below" if kind == "at_most" else "above"]
    return {side: _shifted(part, deviation) for side, deviation in sides.items()}


def is_exact(estimate: Estimate) -> bool:
    """Say whether nothing random enters an estimate."""
    return estimate.deterministic or estimate.se == 0


def in_logs(part: Part) -> bool:
    """Say whether a part is decided in logs."""
    return part.rule.margin is not None and part.rule.margin.factor is not None


def _hardest(sealed: Sealed, recorded: Mapping[str, Estimate]) -> tuple[str, ...]:
    """Return the parts whose breach is simulated.

    Of trends the one whose test is the finest, because its level comes nearest to α; of references the one that allows most of
    what the margin does.
    """
    noisy = {name: part for name, part in sealed.parts.items() if not is_exact(recorded[name])}
    if not noisy:
        return tuple(sealed.parts)

    def width(name: str) -> float:
        value, se, part = recorded[name].value, recorded[name].se, noisy[name]
        if part.rule.kind == TREND:
            return recorded[name].extras.get("trend_least_p") or 0.0
        if part.rule.kind == RATIO:
            return _width_of_ratio(part, recorded[name])
        if value is None or not se:
            return math.inf
        size = (recorded[name].log_se or se / abs(value)) if in_logs(part) and value else se
        return margin_size(part.rule, part.target) / size

    return (min(noisy, key=width),)


def _width_of_ratio(part: Part, estimate: Estimate) -> float:
    """Return the margin over the speed-up that the reference allows, in logs; endless where it allows too much to match."""
    allowed, margin = estimate.extras.get("rcp_max_speedup"), margin_size(part.rule, part.target)
    if allowed is None or allowed <= 1 or math.log(allowed) > margin:
        return math.inf
    return margin / math.log(allowed)


def _shifted(part: Part, deviation: float) -> float:
    """Return the value at a deviation on the scale that decides."""
    if part.rule.kind == DIFFERENCE:
        return deviation
    if part.rule.kind == RATIO:
        return math.exp(deviation)
    return part.target.value * math.exp(deviation) if in_logs(part) else part.target.value + deviation


def _half_width(part: Part) -> float:
    h, value = part.target.half_width, part.target.value
    return -math.log1p(-h / value) if in_logs(part) else h


def _unit(part: Part) -> float:
    """Return a unit of the last printed digit on the scale that decides; of an approximate value a hundredth of it."""
    if part.target.approximate and part.target.value:
        return APPROXIMATE if in_logs(part) else APPROXIMATE * abs(part.target.value)
    exponent = Decimal(part.target.printed).as_tuple().exponent
    unit = float(Decimal(1).scaleb(exponent)) if isinstance(exponent, int) else 0.0
    return math.log1p(unit / part.target.value) if in_logs(part) else unit


def _step(part: Part, estimate: Estimate) -> float:
    """Return by how much a one-sided part is true where its margin leaves no room: one unit's spread, or a digit."""
    if is_exact(estimate):
        return _unit(part)
    spread = estimate.spread if estimate.spread is not None else (estimate.se or 0.0) * math.sqrt(estimate.n)
    if part.rule.kind == DIFFERENCE:
        return spread
    return max(spread / part.target.value if in_logs(part) else spread, 2 * _half_width(part))
