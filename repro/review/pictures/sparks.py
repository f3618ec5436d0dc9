"""A small interval plot: where an estimate lies around the published value, in units of the margin.

All plots share one axis, so that claims of different units can be read below each other.
"""

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

from repro.judge.numbers import significant
from repro.review.pictures.figures import match_region
from repro.schema.claim import Part
from repro.schema.verdict import PartVerdict

REACH = 3.0
"""How far the axis reaches, in margins; what lies beyond becomes an arrow."""
WIDTH, HEIGHT, EDGE = 176, 18, 12
"""Of a plot in pixels; the outer edges have room for the arrows."""

_MARKS = {
    "match": '<circle class="dot" cx="{x}" cy="9" r="4.5"/>',
    "mismatch": '<path class="dot" d="M{x} 9m-4.5-4.5h9v9h-9z"/>',
    "inconclusive": '<path class="dot hollow" d="M{x} 9m0-5.5l5.5 5.5-5.5 5.5-5.5-5.5z"/>',
}


@dataclass(frozen=True)
class Place:
    """Where an estimate lies: 0 is the published value, ±1 the margin; an end may be infinite."""

    value: float
    low: float
    high: float
    band: tuple[float, float]
    """What counts as a match; infinite where a side is open."""
    outcome: str

    @property
    def words(self) -> str:
        """The plot in words, for those who cannot see it."""
        interval = f", interval {_signed(self.low)} to {_signed(self.high)}" if self.low != self.high else ""
        return f"{_signed(self.value)} margins from the published value{interval}: {self.outcome}"


def place_of(part: Part, verdict: PartVerdict) -> Place | None:
    """Return where the estimate of a part lies, by the rule that was sealed.

    Where a rule allows for nothing but the rounding of the printed value, its half-width is the unit.

    Returns:
        None where nothing was measured, or where there is no unit: an order, a trend or a threshold without a margin.
    """
    value, unit = verdict.estimate.value, _unit(part, verdict)
    if value is None or not unit:
        return None

    def place(x: float) -> float:
        return _difference(x, part.target.value, verdict.scale == "log") / unit

    low = value if verdict.low is None else verdict.low
    high = value if verdict.high is None else verdict.high
    first, last = match_region(part, verdict)
    found = Place(place(value), place(low), place(high), (place(first), place(last)), verdict.outcome)
    return None if any(map(math.isnan, (found.value, found.low, found.high, *found.band))) else found


def _unit(part: Part, verdict: PartVerdict) -> float:
    margin = verdict.margin or 0.0
    if part.rule.kind == "rounds_to":
        return margin + verdict.half_width
    # The 0 of an order or a trend is no printed number that could be rounded.
    return margin or (0.0 if part.rule.kind in ("ordering", "trend") else verdict.half_width)


def _difference(x: float, target: float, log: bool) -> float:
    if not log:
        return x - target
    if target == 0 or math.isinf(x):
        return math.nan if target == 0 else x
    return math.log(x / target) if x / target > 0 else -math.inf


def spark(place: Place, counts: bool = True) -> Markup:
    """Draw one estimate on the common axis as a piece of a page.

    Args:
        place: where it lies.
        counts: whether its attempt counts; else it is grey.

    Returns:
        An `<svg>` element. It has no style of its own: shapes tell the outcomes apart, the style sheet gives colours.
    """
    first, last = (_x(end) for end in place.band)
    low, high, x = _x(place.low), _x(place.high), _x(place.value)
    least, most = min(place.low, place.value), max(place.high, place.value)
    pieces = [
        f'<path class="band" d="M{_n(first)} 1H{_n(last)}V17H{_n(first)}z"/>' if last > first else "",
        f'<path class="axis" d="M{EDGE} 9H{WIDTH - EDGE}"/><path class="zero" d="M{WIDTH // 2} 0V18"/>',
        f'<path class="reach" d="M{_n(low)} 9H{_n(high)}"/>' if high > low else "",
        f'<path class="arrow" d="M0 9l7-5v10z"/><path class="reach" d="M5 9H{EDGE}"/>' if least < -REACH else "",
        f'<path class="arrow" d="M{WIDTH} 9l-7-5v10z"/><path class="reach" d="M{WIDTH - EDGE} 9h7"/>'
        if most > REACH
        else "",
        _MARKS[place.outcome].format(x=_n(x)),
    ]
    name = place.outcome if counts else "idle"
    return Markup(
        f'<svg class="spark {name}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(place.words)}">{"".join(pieces)}</svg>'
    )


def axis() -> Markup:
    """Draw the numbers of the common axis, at the width of the plots."""
    ticks = range(-int(REACH), int(REACH) + 1)
    lines = "".join(f"M{_n(_x(tick))} 0v5" for tick in ticks)
    numbers = "".join(f'<text x="{_n(_x(tick))}" y="17">{_signed(tick)}</text>' for tick in ticks)
    return Markup(
        f'<svg class="spark ticks" width="{WIDTH}" height="{HEIGHT + 2}" role="img" '
        f'aria-label="An axis from −{int(REACH)} to +{int(REACH)} margins">'
        f'<path class="axis" d="M{EDGE} 0H{WIDTH - EDGE}{lines}"/>{numbers}</svg>'
    )


def _x(place: float) -> float:
    """Return where a place stands in the plot, in pixels; what lies beyond the axis stands at its end."""
    inside = min(max(place, -REACH), REACH)
    return WIDTH / 2 + inside * (WIDTH / 2 - EDGE) / REACH


def _n(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _signed(x: float) -> str:
    if math.isinf(x):
        return "beyond all bounds"
    return ("+" if x > 0 else "") + significant(x, 2)
