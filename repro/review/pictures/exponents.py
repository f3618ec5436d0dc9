"""The picture of a comparison: every published value and every measurement of one quantity on one axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from repro.review.facts.comparison import Line, Section
from repro.review.pictures.canvas import INK, LINE, OUTCOME, PAPER, QUIET, one_line, render
from repro.review.pictures.plotting import CHART_DARK, plain_ticks
from repro.schema.claim import Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKS = {"match": "o", "mismatch": "s", "inconclusive": "D", "uncounted": "D", "figure": "D"}
_ROOMY = 600
_LEFT, _RIGHT, _SIDE = 290, 190, 16
_TOP, _BOTTOM = 8, 50


def picture_size(sections: Sequence[Section], width: int) -> tuple[int, int]:
    """Return width and height in pixels."""
    lines = sum(len(section.lines) for section in sections)
    return width, _TOP + _BOTTOM + 34 * len(sections) + (26 if width >= _ROOMY else 40) * lines


def draw(sections: Sequence[Section], quantity: Quantity, width: int, title: str) -> str:
    """Draw every line of a comparison as an SVG document.

    Args:
        sections: the lines.
        quantity: what is on the axis.
        width: in pixels.
        title: of the document.
    """
    size = picture_size(sections, width)
    roomy = width >= _ROOMY
    left, right = (_LEFT, _RIGHT) if roomy else (_SIDE, _SIDE)

    def paint(figure: "Figure") -> None:
        height = size[1]
        box = (left / width, _BOTTOM / height, (width - left - right) / width, (height - _BOTTOM - _TOP) / height)
        axes = _axes(figure, box, limits(sections), height - _BOTTOM - _TOP, quantity)
        y = 0.0
        for section in sections:
            _write(axes, one_line(section.title, 90 if roomy else 44), _SIDE - left, y + 20, "left", INK, weight="bold")
            y += 34
            for line in section.lines:
                _paint_line(axes, line, y, width, (left, right))
                y += 26 if roomy else 40

    return render(size, paint, title, alt_text(sections, quantity), CHART_DARK)


def alt_text(sections: Sequence[Section], quantity: Quantity) -> str:
    """Return every line with its numbers."""
    told = [f"{quantity.symbol}, {quantity.definition}, on one axis."]
    for section in sections:
        lines = "; ".join(
            f"{line.label}: {line.text}" + (f", {line.kind}" if line.attempt else "") for line in section.lines
        )
        told.append(f"{section.title}: {lines}.")
    return " ".join(told)


def limits(sections: Sequence[Section]) -> tuple[float, float]:
    """Return the ends of the axis: every value, and of the intervals what does not flatten the rest."""
    lines = [line for section in sections for line in section.lines]
    values = [line.value for line in lines if line.value is not None]
    if not values:
        return 0.0, 1.0
    size = (max(values) - min(values)) or abs(values[0]) or 1.0
    near = [
        end
        for line in lines
        for end in (line.low, line.high)
        if end is not None and min(values) - 0.5 * size <= end <= max(values) + 0.5 * size
    ]
    low, high = min(values + near), max(values + near)
    return low - 0.06 * (high - low or size), high + 0.06 * (high - low or size)


def _axes(figure: "Figure", box: tuple[float, ...], ends: tuple[float, float], pixels: int, quantity: Quantity) -> Any:
    axes: Any = figure.add_axes(box, facecolor="none")  # type: ignore[arg-type]
    axes.set_xlim(*ends)
    axes.set_ylim(pixels, 0)
    axes.set_yticks([])
    plain_ticks(axes.xaxis, *ends)
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(one_line(quantity.symbol, 60), color=QUIET, fontsize=11, labelpad=5)
    axes.tick_params(axis="x", color=LINE, labelcolor=QUIET, labelsize=11, length=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(LINE)
    return axes


def _write(axes: Any, text: str, x: float, y: float, side: str, color: str, weight: str = "normal") -> None:
    axes.annotate(
        text,
        (0, y),
        xytext=(x, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha=side,
        va="center",
        color=color,
        fontweight=weight,
        annotation_clip=False,
    )


def _paint_line(axes: Any, line: Line, y: float, width: int, rims: tuple[float, float]) -> None:
    left, _ = rims
    roomy = width >= _ROOMY
    strip = y + (13 if roomy else 28)
    words = strip if roomy else y + 9
    letters = int((_LEFT - 2 * _SIDE) / 6.7) if roomy else int((width - 2 * _SIDE) / 6.9) - len(line.text) - 2
    published = line.kind == "published"
    _write(axes, one_line(line.label, max(letters, 8)), _SIDE - left, words, "left", QUIET if published else INK)
    _write(axes, one_line(line.text, 26), width - _SIDE - left, words, "right", QUIET)
    color = QUIET if line.kind in ("published", "uncounted", "figure") else OUTCOME.get(line.kind, QUIET)
    low, high = axes.get_xlim()
    if line.low is not None and line.high is not None:
        ends = sorted((line.low, line.high))
        shown = [min(max(end, low), high) for end in ends]
        axes.plot(shown, [strip] * 2, color=color, linewidth=1.4 if published else 2.4, zorder=3)
        for end in ends:
            if low <= end <= high and not published:
                axes.plot([end] * 2, [strip - 4, strip + 4], color=color, linewidth=2.4, zorder=3)
    if line.value is None:
        return
    if published:
        axes.plot([line.value] * 2, [strip - 8, strip + 8], color=INK, linewidth=2, zorder=4)
        return
    axes.plot(
        [line.value],
        [strip],
        _MARKS[line.kind],
        markersize=9 if line.kind in ("match", "mismatch") else 7.5,
        markerfacecolor=color if line.kind in ("match", "mismatch") else PAPER,
        markeredgecolor=color,
        markeredgewidth=1.8,
        zorder=5,
    )
