"""Badges of claims and papers: a drawing of our own (SVG), and the JSON from which a shields server draws (its endpoint schema 1).

The words carry the meaning; colour only repeats it. Green, red and amber stand for decided verdicts that hold today, grey for
everything else: inconclusive, not run, blocked, stale, disputed, withdrawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from repro.judge.reading import VALIDITY, compute, reading
from repro.schema.verdict import Attempt

GREEN, RED, AMBER, GREY, LABEL = "#1a7f37", "#b3261e", "#8a5a00", "#57606a", "#30363d"
"""White text on each has a contrast of at least 4.5 to 1 (WCAG 2.2, level AA)."""

CACHE_SECONDS = 3600
"""How long a shields server keeps what it was told; its own least is 300."""

_COLOURS = {"match": GREEN, "mismatch": RED}
_FONT_SIZE, _HEIGHT, _PADDING = 11, 20, 7
_ADVANCES: Mapping[int, str] = {
    563: "'", 569: "ijl", 604: "IJ", 651: " ,.", 690: "/:;\\|", 721: "f", 739: "-", 799: "()[]", 803: "t", 821: "!",
    842: "r", 942: '"', 1024: "*_`", 1067: "s", 1075: "z", 1087: "?", 1126: "c", 1141: "L", 1178: "F", 1186: "k",
    1212: "vxy", 1235: "P", 1251: "TY", 1253: "o", 1255: "a", 1260: "e", 1294: "E", 1298: "hnu", 1300: "Sbdgpq",
    1303: "$0123456789{}", 1343: "K", 1401: "AV", 1403: "XZ", 1405: "B", 1423: "R", 1430: "C", 1499: "U", 1532: "N",
    1540: "H", 1577: "D", 1587: "G", 1597: "&", 1612: "OQ", 1675: "w", 1716: "#+<=>^~", 1767: "M", 1946: "%",
    1995: "m", 2025: "W", 2048: "@",
}  # fmt: skip
"""Advance widths of DejaVu Sans in 1/2048 em; Verdana, which it follows, is within a few per cent."""
_WIDTH_OF = {character: advance for advance, characters in _ADVANCES.items() for character in characters}


@dataclass(frozen=True)
class Badge:
    """What a badge says."""

    label: str
    message: str
    colour: str
    title: str
    """The whole sentence, for screen readers and as a tooltip."""


def claim_badge(state: str, attempt: Attempt | None = None, validity: str = "current") -> Badge:
    """Return the badge of a claim.

    Args:
        state: what the claim amounts to: `match`, `mismatch`, `inconclusive`, `blocked` or `not_run`.
        attempt: the one that decides; where none counts, the latest that was judged, so that the badge says why.
        validity: of that attempt, today.
    """
    if attempt is None or attempt.verdict is None or state == "blocked":
        word = {"not_run": "not run"}.get(state, state)
        return Badge("claim", word, GREY, f"This claim is {word}." if state == "blocked" else "This claim was not run.")
    label, whole = attempt.sealed.kind.replace("_", " "), reading(attempt)
    short = whole.replace(f" ({compute(attempt)})", "").replace(f" by {label}", "")
    if attempt.verdict.outcome == "inconclusive":
        short, whole = "inconclusive", f"inconclusive: {whole}"
    if validity != "current":
        return Badge(
            label, f"{validity.replace('_', ' ')}, was {short}", GREY, f"{label}: {whole}; {VALIDITY[validity]}"
        )
    if state not in ("match", "mismatch", "inconclusive"):
        return Badge(label, "not run", GREY, f"{label}: nothing that counts was run")
    return Badge(label, short, _COLOURS.get(state, GREY), f"{label}: {whole}")


def paper_badge(counts: Mapping[str, int], reduced: int = 0) -> Badge:
    """Return the badge of a paper.

    Args:
        counts: claims of the paper by what they amount to (`match`, `mismatch`, `inconclusive`, `blocked`, `not_run`).
        reduced: how many of those that match were matched at reduced scale only.
    """
    total, match, mismatch = sum(counts.values()), counts.get("match", 0), counts.get("mismatch", 0)
    rest = [(word.replace("_", " "), counts.get(word, 0)) for word in ("inconclusive", "blocked", "not_run")]
    rest = [(word, count) for word, count in rest if count]
    told = [f"{count} {word}" for word, count in rest]
    if match + mismatch == 0:
        message = f"{total} {'claim' if total == 1 else 'claims'}, {rest[0][0] if len(rest) == 1 else 'none decided'}"
        return Badge("repro-tracker", message, GREY, f"{message} ({', '.join(told)})" if len(rest) > 1 else message)
    message = "1 of 1 claim matches" if match == total == 1 else f"{match} of {total} claims match"
    message += f" ({'all' if 1 < match == reduced else reduced} at reduced scale)" if reduced else ""
    message += f", {mismatch} mismatch" if mismatch else ""
    colour = GREEN if not mismatch else RED if not match else AMBER
    return Badge("repro-tracker", message, colour, ", ".join([message, *told]))


def svg(badge: Badge) -> str:
    """Return a badge as an SVG document: two fields side by side, as wide as their words in any font."""
    left, right = text_width(badge.label), text_width(badge.message)
    split, width = left + 2 * _PADDING, left + right + 4 * _PADDING
    title = escape(badge.title)

    def text(words: str, at: float, length: float) -> str:
        # With textLength a reader's other font is fitted to the field instead of being cut.
        return f'<text x="{at:g}" y="14" textLength="{length:g}" lengthAdjust="spacingAndGlyphs">{escape(words)}</text>'

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{_HEIGHT}" '
        f'viewBox="0 0 {width:g} {_HEIGHT}" role="img" aria-label={quoteattr(badge.title)}>'
        f"<title>{title}</title>"
        f'<rect width="{width:g}" height="{_HEIGHT}" rx="3" fill="{badge.colour}"/>'
        f'<path d="M3 0H{split:g}V{_HEIGHT}H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="{LABEL}"/>'
        f'<g fill="#fff" font-family="Verdana,\'DejaVu Sans\',sans-serif" font-size="{_FONT_SIZE}">'
        f"{text(badge.label, _PADDING, left)}{text(badge.message, split + _PADDING, right)}</g></svg>\n"
    )


def endpoint(badge: Badge) -> dict[str, Any]:
    """Return what a shields server asks an endpoint for."""
    return {
        "schemaVersion": 1,
        "label": badge.label,
        "message": badge.message,
        "color": badge.colour,
        "labelColor": LABEL,
        "cacheSeconds": CACHE_SECONDS,
    }


def text_width(text: str) -> float:
    """Return the width of a text in pixels, at the size of a badge; a character that was not measured counts as the widest."""
    return round(sum(_WIDTH_OF.get(character, 2048) for character in text) * _FONT_SIZE / 2048, 1)
