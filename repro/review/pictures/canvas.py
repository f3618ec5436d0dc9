"""What every picture is drawn on: an SVG of matplotlib that is the same for the same picture.

Text stays text. A picture has a title, a description, and colours for light and for dark; it keeps its meaning without any.
"""

import io
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, NARROW = 880, 360
"""Widths in pixels: for a page, and for a telephone."""
# Colours as drawn, and what they become where the reader prefers dark.
PAPER, INK, QUIET, LINE, BAND, ROUNDING = "#fffffe", "#20242a", "#5f6773", "#b9bfc9", "#e6eef6", "#bdd3e8"
OUTCOME = {"match": "#0b6aa8", "mismatch": "#b3440c", "inconclusive": "#6b5a86"}
DARK: Mapping[str, str] = {
    PAPER: "#1b1e23",
    INK: "#e6e8eb",
    QUIET: "#a2a9b4",
    LINE: "#555c67",
    BAND: "#26313e",
    ROUNDING: "#3c5872",
    "#0b6aa8": "#6db7ec",
    "#b3440c": "#f0955f",
    "#6b5a86": "#b9a6d8",
}
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif"
# rc_context changes settings of the whole process, and a server draws in several threads.
_drawing = threading.Lock()


def render(
    size: tuple[int, int],
    paint: "Callable[[Figure], None]",
    title: str,
    description: str,
    dark: Mapping[str, str] = DARK,
) -> str:
    """Return what `paint` draws as an SVG document that has a title, a description and colours for light and dark.

    Args:
        size: width and height in pixels; a point of the figure is a pixel.
        paint: draws on an empty figure.
        title: of the document.
        description: in words, with its numbers, what the picture shows.
        dark: the colours that `paint` uses, and what they become where the reader prefers dark.
    """
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.figure import Figure

    width, height = size
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
        paint(figure)
        stream = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(stream, format="svg", facecolor=PAPER, metadata=no_metadata)
    return _finished(stream.getvalue(), title, description, dark)


def one_line(text: str, longest: int) -> str:
    """Return text that XML can hold, on one line; what does not fit loses its middle, for names often differ at their ends."""
    text = re.sub(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", " ", text)
    tail = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - tail].rstrip()}…{text[-tail:].lstrip()}"


def _finished(drawn: str, title: str, description: str, dark: Mapping[str, str]) -> str:
    """Add title, description and dark colours, and name the fonts that the reader's system has."""
    shades = "".join(
        f'[style*="{what}: {light}"]{{{what}:{shade}!important}}'
        for light, shade in dark.items()
        for what in ("fill", "stroke")
    )
    head = (
        f'<title id="title">{escape(one_line(title, 300))}</title>\n'
        f'<desc id="desc">{escape(one_line(description, 5000))}</desc>\n'
        f"<style>@media (prefers-color-scheme: dark){{{shades}}}</style>\n"
    )
    drawn = drawn.replace("'DejaVu Sans'", _FONTS)
    before, attributes, after = re.split(r"<svg ([^>]*)>", drawn, maxsplit=1, flags=re.DOTALL)
    # Points were drawn as pixels; a viewer that takes them for points would enlarge everything by a third.
    attributes = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', attributes)
    return f'{before}<svg role="img" aria-labelledby="title desc" {attributes}>\n{head}{after}'
