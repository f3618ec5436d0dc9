"""Rows of marks on one axis, drawn by matplotlib as an SVG that is the same for the same picture.

Text stays text. Meaning is carried by shape and words: a filled circle is a match, a filled square a mismatch, a hollow
diamond undecided, a thin diamond a rival, an arrow a value beyond the axis.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.judge.numbers import significant
from repro.review.pictures.canvas import BAND, INK, LINE, OUTCOME, PAPER, QUIET, ROUNDING, one_line, render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKER = {"match": "o", "mismatch": "s", "inconclusive": "D", "published": "|", "rival": "d", "combined": "D"}
_LINE_STYLE: Mapping[str, Any] = {"bias": (0, (1, 1)), "prediction": (0, (4, 2))}
_TOP, _BOTTOM, _SIDE = 8, 48, 16
_ROOMY = 600
"""From this width on, words stand beside the strip; below it, above."""
_LETTER, _MOST = 7.0, 32
"""Width of a letter, and the most letters of words that stand beside the strip."""


@dataclass(frozen=True)
class Row:
    """One line of a picture: words, and marks on a strip; positions are on the common axis."""

    left: str
    right: str
    value: float | None
    kind: str
    """The shape of the mark: `match`, `mismatch`, `inconclusive`, `published`, `rival`, `combined`; without a mark of their
    own `bias` (a dotted bar) and `prediction` (a dashed one)."""
    band: tuple[float, float]
    """What counts as a match; an end may be infinite."""
    low: float | None = None
    high: float | None = None
    rounding: tuple[float, float] | None = None
    rivals: tuple[float, ...] = ()

    @property
    def marks(self) -> tuple[float, ...]:
        """Every finite position that is marked."""
        every = (self.value, self.low, self.high, *self.rivals)
        return tuple(x for x in every if x is not None and math.isfinite(x))


@dataclass(frozen=True)
class Picture:
    """Rows that share an axis and the line of the published value."""

    rows: tuple[Row, ...]
    target: float
    axis: str
    log: bool = False
    ends: tuple[float, float] | None = None
    """Ends of the axis where the quantity itself has some; else they follow from what is marked."""


def picture_size(picture: Picture, width: int) -> tuple[int, int]:
    """Return width and height in pixels."""
    return width, _TOP + (34 if width >= _ROOMY else 46) * len(picture.rows) + _BOTTOM


def draw(picture: Picture, width: int, title: str, description: str) -> str:
    """Return the picture as an SVG document that has a title, a description and colours for light and dark."""
    width, height = picture_size(picture, width)

    def paint(figure: "Figure") -> None:
        left, right = _gutters(picture, width)
        box = (left / width, _BOTTOM / height, 1 - (left + right) / width, 1 - (_BOTTOM + _TOP) / height)
        axes = figure.add_axes(box, facecolor="none")
        _paint_axis(axes, picture)
        for index, row in enumerate(picture.rows):
            _paint_row(axes, row, index + (0.5 if width >= _ROOMY else 0.7), picture)
            _write_row(axes, row, index, width, picture)

    return render((width, height), paint, title, description)


def limits(picture: Picture) -> tuple[float, float]:
    """Return the ends of the axis: everything that is marked, save what lies so far off that it would flatten the rest."""
    if picture.ends is not None:
        return picture.ends
    scale, back = (math.log, math.exp) if picture.log else (float, float)
    usable = (lambda x: x > 0) if picture.log else math.isfinite
    target = scale(picture.target)
    core = [scale(x) - target for row in picture.rows for x in row.band if math.isfinite(x) and usable(x)] + [0.0]
    marks = sorted((scale(x) - target for row in picture.rows for x in row.marks if usable(x)), key=abs)
    # Without a margin the nearest mark sets the measure, and without that the target itself.
    size = max(map(abs, core)) or next((abs(x) for x in marks if x), 0.0) or abs(target) / 10 or 1.0
    shown = core + [x for x in marks if abs(x) <= 6 * size]
    low, high = min(shown), max(shown)
    pad = max(0.08 * (high - low), 0.25 * size)
    return back(target + low - pad), back(target + high + pad)


def _paint_axis(axes: Any, picture: Picture) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    low, high = limits(picture)
    if picture.log:
        axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(len(picture.rows), 0)
    tiny = 1e-9 * (high - low)
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    axes.xaxis.set_major_locator(FixedLocator([x for x in ticks if low <= x <= high]))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: significant(0.0 if abs(x) < tiny else x)))
    axes.set_yticks([])
    axes.set_xlabel(one_line(picture.axis, 60), color=QUIET, fontsize=11, labelpad=5)
    axes.tick_params(axis="x", color=LINE, labelcolor=QUIET, labelsize=11, length=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)


def _gutters(picture: Picture, width: int) -> tuple[float, float]:
    """Return the room left and right of the axis: for the words where they stand beside the strip, else a rim."""
    if width < _ROOMY:
        return _SIDE, _SIDE
    names, numbers = (
        _SIDE * 2.5 + _LETTER * min(max(map(len, side)), _MOST)
        for side in ([row.left for row in picture.rows], [row.right for row in picture.rows])
    )
    return names, numbers


def _write_row(axes: Any, row: Row, index: int, width: int, picture: Picture) -> None:
    start = _gutters(picture, width)[0]
    ends = _SIDE - start, width - _SIDE - start
    if width >= _ROOMY:
        height, most = index + 0.5, (_MOST, _MOST)
    else:
        letters = int((width - 2 * _SIDE) / _LETTER)
        height, most = index + 0.3, (max(letters - len(row.right) - 2, 8), letters - 10)
    for text, end, longest, side, color in (
        (row.left, ends[0], most[0], "left", INK),
        (row.right, ends[1], most[1], "right", QUIET),
    ):
        axes.annotate(
            one_line(text, longest),
            (0, height),
            xytext=(end, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha=side,
            va="center",
            color=color,
            annotation_clip=False,
        )


def _paint_row(axes: Any, row: Row, strip: float, picture: Picture) -> None:
    low, high = limits(picture)
    color = OUTCOME.get(row.kind, INK if row.kind in ("published", "combined") else QUIET)
    top = math.floor(strip)
    axes.fill_between(_within(row.band, low, high), top, top + 1, facecolor=BAND, linewidth=0, zorder=0)
    if row.rounding and row.rounding[0] < row.rounding[1]:
        axes.fill_between(
            _within(row.rounding, low, high), strip - 0.2, strip + 0.2, facecolor=ROUNDING, linewidth=0, zorder=1
        )
    axes.plot([picture.target] * 2, [strip - 0.26, strip + 0.26], color=INK, linewidth=1.4, zorder=2)
    for rival in row.rivals:
        if low <= rival <= high:
            axes.plot([rival], [strip], "d", markersize=8, markerfacecolor=PAPER, color=QUIET, zorder=3)
    if row.low is not None and row.high is not None and row.low != row.high and not math.isnan(row.low + row.high):
        axes.plot(
            _within((row.low, row.high), low, high),
            [strip] * 2,
            color=color,
            linewidth=2.4,
            linestyle=_LINE_STYLE.get(row.kind, "-"),
            zorder=3,
        )
        for end in (row.low, row.high):
            if low <= end <= high:
                axes.plot([end] * 2, [strip - 0.14, strip + 0.14], color=color, linewidth=2.4, zorder=3)
    if row.value is None or math.isnan(row.value) or row.kind not in _MARKER or row.kind == "published":
        return
    beyond = "<" if row.value < low else ">" if row.value > high else None
    axes.plot(
        _within((row.value,), low, high),
        [strip],
        linestyle="none",
        marker=beyond or _MARKER[row.kind],
        markersize=9 if row.kind != "inconclusive" else 8,
        markerfacecolor=PAPER if row.kind in ("inconclusive", "rival") else color,
        markeredgecolor=color,
        markeredgewidth=1.8,
        clip_on=False,
        zorder=4,
    )


def _within(ends: tuple[float, ...], low: float, high: float) -> list[float]:
    return [min(max(end, low), high) for end in sorted(ends)]
