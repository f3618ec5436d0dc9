"""Rows of marks on one axis, drawn by matplotlib as an SVG that is the same for the same picture.

Text stays text. Meaning is carried by shape and words: a filled circle is a match, a filled square a mismatch, a hollow
diamond undecided, a thin diamond a rival, an arrow a value beyond the axis.
"""

import io
import math
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from repro.judge.numbers import significant

# Colours as drawn, and what they become where the reader prefers dark.
_PAPER, _INK, _QUIET, _LINE, _BAND, _ROUNDING = "#fffffe", "#20242a", "#5f6773", "#b9bfc9", "#e6eef6", "#bdd3e8"
_OUTCOME = {"match": "#0b6aa8", "mismatch": "#b3440c", "inconclusive": "#6b5a86"}
_MARKER = {"match": "o", "mismatch": "s", "inconclusive": "D", "published": "|", "rival": "d", "combined": "D"}
_LINE_STYLE: Mapping[str, Any] = {"bias": (0, (1, 1)), "prediction": (0, (4, 2))}
_DARK = {
    _PAPER: "#1b1e23",
    _INK: "#e6e8eb",
    _QUIET: "#a2a9b4",
    _LINE: "#555c67",
    _BAND: "#26313e",
    _ROUNDING: "#3c5872",
    "#0b6aa8": "#6db7ec",
    "#b3440c": "#f0955f",
    "#6b5a86": "#b9a6d8",
}
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_TOP, _BOTTOM, _SIDE = 8, 48, 16
_ROOMY = 600
"""From this width on, words stand beside the strip; below it, above."""
_LETTER, _MOST = 7.0, 32
"""Width of a letter, and the most letters of words that stand beside the strip."""
# rc_context changes settings of the whole process, and a server draws in several threads.
_drawing = threading.Lock()


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
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.figure import Figure

    width, height = picture_size(picture, width)
    with _drawing, rc_context():
        # Nobody's own matplotlibrc may change the bytes.
        rcdefaults()
        rcParams.update(
            {
                "svg.fonttype": "none",
                "svg.hashsalt": "repro",
                "text.parse_math": False,
                "font.family": ["DejaVu Sans"],
                "font.size": 12,
            }
        )
        # 72 dots an inch: a point is a pixel.
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        left, right = _gutters(picture, width)
        box = (left / width, _BOTTOM / height, 1 - (left + right) / width, 1 - (_BOTTOM + _TOP) / height)
        axes = figure.add_axes(box, facecolor="none")
        _paint_axis(axes, picture)
        for index, row in enumerate(picture.rows):
            _paint_row(axes, row, index + (0.5 if width >= _ROOMY else 0.7), picture)
            _write_row(axes, row, index, width, picture)
        stream = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", facecolor=_PAPER, metadata=no_metadata)
    return _finished(stream.getvalue(), title, description)


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
    axes.set_xlabel(_fitting(picture.axis, 60), color=_QUIET, fontsize=11, labelpad=5)
    axes.tick_params(axis="x", color=_LINE, labelcolor=_QUIET, labelsize=11, length=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_LINE)


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
        (row.left, ends[0], most[0], "left", _INK),
        (row.right, ends[1], most[1], "right", _QUIET),
    ):
        axes.annotate(
            _fitting(text, longest),
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
    color = _OUTCOME.get(row.kind, _INK if row.kind in ("published", "combined") else _QUIET)
    top = math.floor(strip)
    axes.fill_between(_within(row.band, low, high), top, top + 1, facecolor=_BAND, linewidth=0, zorder=0)
    if row.rounding and row.rounding[0] < row.rounding[1]:
        axes.fill_between(
            _within(row.rounding, low, high), strip - 0.2, strip + 0.2, facecolor=_ROUNDING, linewidth=0, zorder=1
        )
    axes.plot([picture.target] * 2, [strip - 0.26, strip + 0.26], color=_INK, linewidth=1.4, zorder=2)
    for rival in row.rivals:
        if low <= rival <= high:
            axes.plot([rival], [strip], "d", markersize=8, markerfacecolor=_PAPER, color=_QUIET, zorder=3)
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
        markerfacecolor=_PAPER if row.kind in ("inconclusive", "rival") else color,
        markeredgecolor=color,
        markeredgewidth=1.8,
        clip_on=False,
        zorder=4,
    )


def _within(ends: tuple[float, ...], low: float, high: float) -> list[float]:
    return [min(max(end, low), high) for end in sorted(ends)]


def _fitting(text: str, longest: int) -> str:
    """Return text that XML can hold, on one line; what does not fit loses its middle, for names often differ at their ends."""
    text = re.sub(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
    tail = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - tail].rstrip()}…{text[-tail:].lstrip()}"


def _finished(drawn: str, title: str, description: str) -> str:
    """Add title, description and dark colours, and name the fonts that the reader's system has."""
    dark = "".join(
        f'[style*="{what}: {light}"]{{{what}:{shade}!important}}'
        for light, shade in _DARK.items()
        for what in ("fill", "stroke")
    )
    head = (
        f'<title id="title">{escape(_fitting(title, 300))}</title>\n'
        f'<desc id="desc">{escape(_fitting(description, 5000))}</desc>\n'
        f"<style>@media (prefers-color-scheme: dark){{{dark}}}</style>\n"
    )
    drawn = drawn.replace("'DejaVu Sans'", _FONTS)
    before, attributes, after = re.split(r"<svg ([^>]*)>", drawn, maxsplit=1, flags=re.DOTALL)
    # Points were drawn as pixels; a viewer that takes them for points would enlarge everything by a third.
    attributes = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', attributes)
    return f'{before}<svg role="img" aria-labelledby="title desc" {attributes}>\n{head}{after}'
