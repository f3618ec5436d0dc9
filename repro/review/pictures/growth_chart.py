"""Growth over time as it was judged: every row of the table on a logarithmic axis, with the line that was fitted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from repro.judge.numbers import power_text, significant
from repro.review.pictures.canvas import OUTCOME, QUIET, one_line, render
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
from repro.review.wording.labels import pretty
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt
from repro.stats.growth import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROWTH = "repro.stats.growth.log_linear_growth"
"""The estimator whose line this is."""


@dataclass(frozen=True)
class Trend:
    """Rows that a growth was fitted to."""

    x: str
    y: str
    time: FloatArray
    """In years, `[n]`."""
    value: FloatArray
    """`[n]`."""
    growth: float
    """The factor a year that was judged."""

    def line(self, time: float, growth: float) -> float:
        """Return the value at a time on the line of this growth through the middle of the rows."""
        return math.exp(float(np.log(self.value).mean()) + math.log(growth) * (time - float(self.time.mean())))


def trend_of(attempt: Attempt, records: Sequence[TrialRecord]) -> Trend | None:
    """Return the rows and the line of an attempt about one growth a year; None where it is about something else.

    Args:
        attempt: its estimator names columns and ranges. A weighted line is not drawn: its middle is another.
        records: of the main arm; the study is deterministic, so the first has all rows.
    """
    given = attempt.sealed.arguments
    if attempt.sealed.estimator != GROWTH or attempt.verdict is None or len(attempt.verdict.parts) != 1:
        return None
    (part,) = attempt.verdict.parts.values()
    growth = part.estimate.value
    if given.get("report", "growth") != "growth" or given.get("weight") or not records or not growth or growth <= 0:
        return None
    x, y, where = str(given.get("x", "year")), str(given.get("y", "")), given.get("where") or {}
    try:
        columns = {name: np.array(records[0].column(name)) for name in (x, y, *where)}
    except KeyError:
        return None
    kept = np.isfinite(columns[x]) & np.isfinite(columns[y]) & (columns[y] > 0)
    for name, (least, greatest) in where.items():
        kept &= (columns[name] >= least) & (columns[name] <= greatest)
    if kept.sum() < 3 or np.ptp(columns[x][kept]) == 0:
        return None
    return Trend(x, y, columns[x][kept], columns[y][kept], growth)


def layout(width: int) -> Panels:
    """Return where the one panel stands."""
    return panels(width, count=1, right=98)


def alt_text(trend: Trend, references: Mapping[str, float]) -> str:
    """Return in sentences, with its numbers, what the chart shows."""
    ends = [power_text(float(value), 3) for value in (trend.value.min(), trend.value.max())]
    years = [f"{float(year):.1f}" for year in (trend.time.min(), trend.time.max())]
    other = "; ".join(f"{pretty(name)} {significant(value, 3)}" for name, value in references.items())
    return (
        f"{len(trend.time)} rows by {pretty(trend.x)}, {years[0]} to {years[1]}, with values from {ends[0]} to {ends[1]} on a logarithmic "
        f"axis. The line through them grows by the factor {significant(trend.growth, 3)} a year{f' ({other})' if other else ''}."
    )


def table(trend: Trend, references: Mapping[str, float]) -> tuple[tuple[str, ...], ...]:
    """Return the lines of the chart in numbers, the headings first; the rows are in the CSV file."""
    ends = float(trend.time.min()), float(trend.time.max())
    lines = {"here": trend.growth, **{pretty(name): value for name, value in references.items() if value > 0}}
    return (
        ("Line", "Factor a year", *(f"At {end:.1f}" for end in ends)),
        *(
            (name, significant(growth), *(power_text(trend.line(end, growth), 3) for end in ends))
            for name, growth in lines.items()
        ),
    )


def points(trend: Trend) -> list[dict[str, object]]:
    """Return every row of the chart, the earliest first."""
    order = np.argsort(trend.time, kind="stable")
    return [
        {trend.x: time, trend.y: value, "on_the_line": trend.line(time, trend.growth)}
        for time, value in zip(trend.time[order].tolist(), trend.value[order].tolist(), strict=True)
    ]


def draw(trend: Trend, references: Mapping[str, float], width: int, title: str) -> str:
    """Draw rows and lines as an SVG document.

    Args:
        trend: what was fitted.
        references: growths to compare with, by name: the published one first, then the rivals.
        width: in pixels.
        title: of the document.
    """
    places = layout(width)
    lines = {
        "here": trend.growth,
        **{pretty(name): value for name, value in references.items() if value > 0},
    }

    def paint(figure: "Figure") -> None:
        box = places.boxes[0]
        axes = panel(figure, box, "Every row, and the line through them", pretty(trend.x), pretty(trend.y))
        axes.set_yscale("log")
        pad = 0.03 * float(np.ptp(trend.time))
        start, end = float(trend.time.min()), float(trend.time.max())
        ends = {name: (trend.line(start, growth), trend.line(end, growth)) for name, growth in lines.items()}
        # A rival may leave the rows far below or above: the frame follows the rows and the first two lines.
        reached = [*trend.value.tolist(), *(at for name in list(ends)[:2] for at in ends[name])]
        y = min(reached) / 1.5, max(reached) * 1.5
        axes.set_xlim(start - pad, end + pad)
        axes.set_ylim(*y)
        plain_ticks(axes.xaxis, start - pad, end + pad)
        log_ticks(axes.yaxis, *y)
        axes.plot(trend.time, trend.value, "o", **hollow(shade(1, 3), 4), zorder=2)
        scale = box[3] * places.height / math.log(y[1] / y[0])
        shown = [name for name in ends if y[0] <= ends[name][1] <= y[1]]
        at = [math.log(ends[name][1]) for name in shown]
        for name, wanted, place in zip(shown, at, spread(at, 13 / scale), strict=True):
            i = list(ends).index(name)
            color, style = (OUTCOME["match"], "-") if i == 0 else (QUIET, (0, (5, 3)) if i == 1 else (0, (1, 2)))
            axes.plot((start, end), ends[name], color=color, linestyle=style, linewidth=2 if i == 0 else 1.4, zorder=3)
            text = f"{one_line(name, 10)} {significant(lines[name], 3)}"
            beside(axes, text, (end, ends[name][1]), color, dx=14, dy=(place - wanted) * scale)

    return render((places.width, places.height), paint, title, alt_text(trend, references), CHART_DARK)
