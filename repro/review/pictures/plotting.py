"""What the charts of training runs share: panels, axes, marks and shades that can be told apart without colour."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repro.judge.numbers import power_text, significant
from repro.review.pictures.canvas import DARK, LINE, PAPER, QUIET, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")
"""One a series; the shape tells series apart where colour does not."""
_STEPS = 10


def _between(start: str, end: str, share: float) -> str:
    """Return a colour on the way from one to another."""
    ends = [[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in (start, end)]
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(*ends, strict=True))


_SHADES = tuple(_between("#4187bd", "#0a2c49", i / (_STEPS - 1)) for i in range(_STEPS))
_SHADES_DARK = tuple(_between("#4d88b8", "#d9eeff", i / (_STEPS - 1)) for i in range(_STEPS))
CHART_DARK: Mapping[str, str] = {**DARK, **dict(zip(_SHADES, _SHADES_DARK, strict=True))}
"""The colours of charts, and what they become where the reader prefers dark."""


def shade(index: int, count: int) -> str:
    """Return the colour of one of several ordered series: the last stands out most, on light and on dark paper."""
    return _SHADES[round(index * (_STEPS - 1) / (count - 1))] if count > 1 else _SHADES[_STEPS // 2]


@dataclass(frozen=True)
class Panels:
    """Where two panels of a chart stand: side by side on a page, one above the other on a telephone."""

    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]
    """Left, bottom, width and height of each, in shares of the chart."""


def panels(width: int, count: int = 2, left: int = 66, right: int = 26) -> Panels:
    """Return the places of one or two panels.

    Args:
        width: of the chart in pixels.
        count: panels.
        left: room for the labels of the vertical axis.
        right: room for what is written beside the last point.
    """
    above, below = 34, 52
    if width < 600 or count == 1:
        tall = 260 if width < 600 else 360
        height = count * (tall + above + below)
        boxes = [
            (
                left / width,
                (height - (row + 1) * (tall + above + below) + below) / height,
                (width - left - right) / width,
                tall / height,
            )
            for row in range(count)
        ]
        return Panels(width, height, tuple(boxes))
    tall = 300
    height, each = tall + above + below, width / count
    return Panels(
        width,
        height,
        tuple(
            ((column * each + left) / width, below / height, (each - left - right) / width, tall / height)
            for column in range(count)
        ),
    )


def panel(figure: "Figure", box: Sequence[float], title: str, x: str, y: str, most: int = 56) -> Any:
    """Add a panel with quiet axes and return its axes."""
    axes: Any = figure.add_axes(tuple(box), facecolor="none")  # type: ignore[arg-type]
    axes.set_title(one_line(title, most), loc="left", fontsize=12, color=QUIET, pad=8)
    axes.set_xlabel(one_line(x, most), color=QUIET, fontsize=11, labelpad=4)
    axes.set_ylabel(one_line(y, most), color=QUIET, fontsize=11, labelpad=4)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set_color(LINE)
    axes.tick_params(which="both", color=LINE, labelcolor=QUIET, labelsize=10, length=4)
    axes.tick_params(which="minor", length=2)
    return axes


def log_ticks(axis: Any, low: float, high: float, most: int = 6) -> None:
    """Put ticks on a logarithmic axis: powers of ten, and between them 2 and 5 where there is room."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for subs in ((1, 2, 5), (1, 3), (1,)):
        ticks = [sub * 10.0**power for power in powers for sub in subs if low <= sub * 10.0**power <= high]
        if len(ticks) <= most:
            break
    ticks = ticks[:: math.ceil(len(ticks) / most)] if ticks else [low, high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(FixedLocator([]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: power_text(value)))
    axis.set_minor_formatter(NullFormatter())


def plain_ticks(axis: Any, low: float, high: float, most: int = 6) -> None:
    """Put round numbers on a linear axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    ticks = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)
    tiny = 1e-9 * (high - low)
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: significant(0.0 if abs(value) < tiny else value)))


def beside(axes: Any, text: str, at: tuple[float, float], color: str, dx: float = 7, dy: float = 0) -> None:
    """Write a label beside a point."""
    axes.annotate(
        text,
        at,
        xytext=(dx, dy),
        textcoords="offset points",
        va="center",
        ha="left" if dx >= 0 else "right",
        color=color,
        fontsize=10,
        annotation_clip=False,
    )


def hollow(color: str, size: float = 6) -> dict[str, Any]:
    """Return the looks of a mark that is open inside."""
    return {
        "linestyle": "none",
        "markersize": size,
        "markerfacecolor": PAPER,
        "markeredgecolor": color,
        "markeredgewidth": 1.5,
    }


def spread(positions: Sequence[float], least: float) -> list[float]:
    """Return positions moved as little as it takes for neighbours to be so far apart, in their order.

    >>> spread([0.0, 1.0, 10.0], 4.0)
    [-1.5, 2.5, 10.0]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    blocks: list[list[int]] = []

    def centre(block: list[int]) -> float:
        return sum(positions[i] for i in block) / len(block)

    for i in order:
        blocks.append([i])
        while len(blocks) > 1 and centre(blocks[-1]) - centre(blocks[-2]) < least * (
            (len(blocks[-1]) + len(blocks[-2])) / 2
        ):
            last = blocks.pop()
            blocks[-1] += last
    placed = list(positions)
    for block in blocks:
        for rank, i in enumerate(block):
            placed[i] = centre(block) + (rank - (len(block) - 1) / 2) * least
    return placed
