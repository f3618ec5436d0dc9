"""A power law as it was judged: the points on two logarithmic axes with the fitted line, and what the line leaves of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from repro.judge.numbers import power_text, significant
from repro.review.pictures.canvas import LINE, OUTCOME, QUIET, one_line, render
from repro.review.pictures.plotting import (
    CHART_DARK,
    Panels,
    beside,
    hollow,
    log_ticks,
    panel,
    panels,
    plain_ticks,
    shade,
    spread,
)
from repro.review.wording.labels import counted, pretty
from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt
from repro.stats.cost_curve import above_floor
from repro.stats.levels import points_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SLOPES: Mapping[str, int] = {
    "repro.stats.regression.log_log_slope": 1,
    "repro.stats.cost_curve.cost_exponent": 1,
    "repro.stats.power_law.power_law_exponent": -1,
}
"""Estimators whose value is the slope of a line through logarithms, with the sign that the value has beside the slope."""


@dataclass(frozen=True)
class Level:
    """What was measured at one x."""

    x: float
    y: tuple[float, ...]
    """Of every run."""
    middle: float
    """What the line is fitted to: the median of the runs, or their mean in logarithms."""
    fitted: bool
    """Whether it lies in the window that the line is fitted to."""


@dataclass(frozen=True)
class PowerLaw:
    """Points of a power law, smallest x first, with the line that was judged."""

    x: str
    y: str
    levels: tuple[Level, ...]
    slope: float
    """d ln y / d ln x of the line."""
    sign: int
    """The exponent that is reported is the slope times this."""

    @property
    def used(self) -> tuple[Level, ...]:
        """The points that the line is fitted to."""
        return tuple(level for level in self.levels if level.fitted)

    def line(self, x: float, slope: float) -> float:
        """Return y at x on the line of this slope through the middle of the fitted points."""
        at, height = (float(np.mean(np.log([getattr(p, name) for p in self.used]))) for name in ("x", "middle"))
        return math.exp(height + slope * (math.log(x) - at))

    def local_slopes(self) -> tuple[float, ...]:
        """Return d ln y / d ln x between neighbours, one fewer than there are fitted points."""
        return tuple(
            math.log(above.middle / below.middle) / math.log(above.x / below.x) for below, above in pairwise(self.used)
        )

    def left(self, level: Level) -> float:
        """Return what the line leaves of a point, in percent of the line."""
        return 100 * (level.middle / self.line(level.x, self.slope) - 1)


def power_law_of(attempt: Attempt, records: Sequence[TrialRecord]) -> PowerLaw | None:
    """Return the points and the line of an attempt whose estimate is a slope in logarithms; None where there is no such line.

    Args:
        attempt: its estimator names the columns and the window.
        records: of the main arm, finished or diverged.
    """
    sign, given = SLOPES.get(attempt.sealed.estimator), attempt.sealed.arguments
    if sign is None or attempt.verdict is None or len(attempt.verdict.parts) != 1:
        return None
    (part,) = attempt.verdict.parts.values()
    x, y = str(given.get("x", "")), str(given.get("y" if sign > 0 else "loss", "loss"))
    try:
        points = [point for record in records if record.status == "finished" for point in points_of(record, x, y)]
    except EstimateError:
        return None
    by_level: dict[float, list[float]] = {}
    for at, value in points:
        if math.isfinite(at) and math.isfinite(value) and at > 0 and value > 0:
            by_level.setdefault(at, []).append(value)
    if part.estimate.value is None or len(by_level) < 3:
        return None
    middle = np.median if sign > 0 else _geometric_mean
    middles = {at: float(middle(ys)) for at, ys in by_level.items()}
    floor, batch = float(given.get("floor", 0.0)), str(given.get("batch", ""))
    finished = [record for record in records if record.status == "finished"]
    counted_in = above_floor(finished, x, y, floor, batch) if floor else finished
    kept = {at for record in counted_in for at, _ in points_of(record, x, y)}
    least = max(kept, default=math.inf) / 2 ** float(given.get("octaves", 3.0)) * (1 - 1e-9) if sign > 0 else 0.0
    levels = tuple(Level(at, tuple(ys), middles[at], at in kept and at >= least) for at, ys in sorted(by_level.items()))
    if sum(level.fitted for level in levels) < 3:
        return None
    return PowerLaw(x, y, levels, sign * part.estimate.value, sign)


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(values))))


def layout(width: int) -> Panels:
    """Return where the two panels stand."""
    places = panels(width, right=98)
    # Nothing is written beside the points of the second panel.
    (left, bottom, across, high), wider = places.boxes[1], 72 / width
    return replace(places, boxes=(places.boxes[0], (left, bottom, across + wider, high)))


def alt_text(law: PowerLaw, references: Mapping[str, float]) -> str:
    """Return in sentences, with its numbers, what the chart shows."""
    used, worst = law.used, max(law.used, key=lambda level: abs(law.left(level)))
    span = f"{power_text(used[0].x, 3)} to {power_text(used[-1].x, 3)}"
    other = "; ".join(f"{pretty(name)} {significant(value, 3)}" for name, value in references.items())
    aside = len(law.levels) - len(used)
    local = [law.sign * slope for slope in law.local_slopes()]
    return " ".join(
        [
            f"{pretty(law.y).capitalize()} against {pretty(law.x)} on two logarithmic axes, {len(used)} points from {span}.",
            f"The line through them has the exponent {significant(law.sign * law.slope, 3)}{f' ({other})' if other else ''}.",
            f"Its largest miss is {significant(law.left(worst), 2)} %, at {power_text(worst.x, 3)}.",
            f"From point to point the exponent is {significant(min(local), 3)} to {significant(max(local), 3)}.",
            *([f"{counted(aside, 'point')} below, left open: the line is not fitted there."] if aside else []),
        ]
    )


def table(law: PowerLaw) -> tuple[tuple[str, ...], ...]:
    """Return the numbers of the chart with all their digits, the headings first."""
    head = (pretty(law.x), pretty(law.y), "Runs", "On the line", "Off the line in %", "Local exponent", "Fitted")
    local = {above.x: law.sign * slope for above, slope in zip(law.used[1:], law.local_slopes(), strict=True)}
    return (
        head,
        *(
            (
                f"{level.x:.12g}",
                f"{level.middle:.6g}",
                str(len(level.y)),
                f"{law.line(level.x, law.slope):.6g}",
                significant(law.left(level), 3),
                significant(local[level.x], 3) if level.x in local else "",
                "yes" if level.fitted else "no",
            )
            for level in law.levels
        ),
    )


def points(law: PowerLaw) -> list[dict[str, object]]:
    """Return every run of the chart, one row each."""
    return [
        {law.x: level.x, law.y: y, "middle": level.middle, "on_the_line": law.line(level.x, law.slope), "fitted": level.fitted}
        for level in law.levels
        for y in level.y
    ]  # fmt: skip


def draw(law: PowerLaw, references: Mapping[str, float], width: int, title: str) -> str:
    """Draw points, line and residuals as an SVG document.

    Args:
        law: what was measured.
        references: exponents to compare with, by name: the published one first, then the rivals.
        width: in pixels.
        title: of the document.
    """
    places = layout(width)

    def paint(figure: "Figure") -> None:
        _paint_line(figure, places.boxes[0], law, references)
        _paint_left(figure, places.boxes[1], law)

    return render((places.width, places.height), paint, title, alt_text(law, references), CHART_DARK)


def _ends(law: PowerLaw) -> tuple[float, float]:
    pad = max((law.levels[-1].x / law.levels[0].x) ** 0.06, 1.05)
    return law.levels[0].x / pad, law.levels[-1].x * pad


def _paint_line(figure: "Figure", box: tuple[float, ...], law: PowerLaw, references: Mapping[str, float]) -> None:
    axes: Any = panel(figure, box, f"{pretty(law.y)} by {pretty(law.x)}", pretty(law.x), pretty(law.y), most=34)
    axes.set_xscale("log")
    axes.set_yscale("log")
    x = _ends(law)
    # Only over the window do lines say something: each is drawn through its points and no further to the left.
    start = law.used[0].x
    lines = {"here": law.slope, **{pretty(name): law.sign * value for name, value in references.items()}}
    ends = {name: (law.line(start, slope), law.line(x[1], slope)) for name, slope in lines.items()}
    reached = [*(y for level in law.levels for y in level.y), *(end for pair in ends.values() for end in pair)]
    pad = max((max(reached) / min(reached)) ** 0.06, 1.01)
    y = min(reached) / pad, max(reached) * pad
    axes.set_xlim(*x)
    axes.set_ylim(*y)
    log_ticks(axes.xaxis, *x, most=5)
    if y[1] / y[0] < 10:
        plain_ticks(axes.yaxis, *y)
        axes.yaxis.set_minor_locator(axes.yaxis.get_major_locator())
        axes.tick_params(axis="y", which="minor", length=0, labelleft=False)
    else:
        log_ticks(axes.yaxis, *y)
    scale = box[3] * figure.get_figheight() * 72 / math.log(y[1] / y[0])
    at = [math.log(pair[1]) for pair in ends.values()]
    for i, (name, wanted, place) in enumerate(zip(ends, at, spread(at, 13 / scale), strict=True)):
        color, style = (OUTCOME["match"], "-") if i == 0 else (QUIET, (0, (5, 3)) if i == 1 else (0, (1, 2)))
        axes.plot((start, x[1]), ends[name], color=color, linestyle=style, linewidth=1.8 if i == 0 else 1.2, zorder=2)
        text = f"{one_line(name, 10)} {significant(law.sign * lines[name], 3)}"
        beside(axes, text, (x[1], ends[name][1]), color, dx=4, dy=(place - wanted) * scale)
    _paint_points(axes, law, [(level.x, y) for level in law.levels for y in level.y], small=True)
    _paint_points(axes, law, [(level.x, level.middle) for level in law.levels], small=False)


def _paint_left(figure: "Figure", box: tuple[float, ...], law: PowerLaw) -> None:
    axes: Any = panel(figure, box, "What the line leaves, in %", pretty(law.x), "off the line, %", most=34)
    axes.set_xscale("log")
    x, left = _ends(law), [law.left(level) for level in law.used]
    size = 1.25 * max(map(abs, left)) or 1.0
    axes.set_xlim(*x)
    axes.set_ylim(-size, size)
    log_ticks(axes.xaxis, *x, most=5)
    plain_ticks(axes.yaxis, -size, size)
    axes.plot(x, (0, 0), color=LINE, linewidth=1.2, zorder=1)
    _paint_points(axes, law, [(level.x, law.left(level)) for level in law.used], small=False)


def _paint_points(axes: Any, law: PowerLaw, points: Sequence[tuple[float, float]], small: bool) -> None:
    """Mark points: filled those that the line is fitted to, open the others; single runs as dots."""
    used = {level.x for level in law.used}
    color = shade(1, 2)
    for at, value in points:
        looks: dict[str, Any] = {"color": color, "markersize": 3 if small else 6, "linestyle": "none"}
        axes.plot([at], [value], "o", **(looks if at in used else hollow(color, 3 if small else 6)), zorder=3)
