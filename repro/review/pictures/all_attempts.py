"""The forest plot of every attempt at a claim: one row an attempt and part, whatever came out, beside what was published.

A claim with one target is laid out in the units of its quantity, one with several in units of each part's margin, as the picture of
a single verdict is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from repro.judge.numbers import significant
from repro.judge.reading import published_text
from repro.review.addresses import safe
from repro.review.book import Book, attempts_of, decided_first, decided_parts, is_theirs, stands
from repro.review.pictures.canvas import WIDE
from repro.review.pictures.drawing import Picture, Row, draw, picture_size
from repro.review.pictures.figures import (
    axis_text,
    figure_lines,
    match_region,
    placing,
    printed_number,
    published_row,
    rival_rows,
    rounding_region,
)
from repro.review.wording.labels import part_label, telling
from repro.review.wording.words import level, short_text, symbol
from repro.schema.claim import Claim, Part
from repro.schema.verdict import Attempt, PartVerdict

MOST_ROWS = 80
"""Rows that are drawn; the table and the CSV file have all."""
FOLDED_ABOVE = 24
"""Rows above which the plot is folded away on a page."""

_INDENT = "\u2003"
"""An em space: SVG drops plain ones at the start."""

_Verdicts = Sequence[tuple[Attempt, PartVerdict]]


def attempts_address(claim_id: str, suffix: str = ".svg") -> str:
    """Return where the plot of all attempts at a claim stands, or its numbers (`.csv`)."""
    return f"claim/{safe(claim_id)}.attempts{suffix}"


def judged(book: Book, claim: Claim) -> tuple[Attempt, ...]:
    """Return the attempts at a claim that have a verdict, those that decided first."""
    return tuple(a for a in decided_first(book, attempts_of(book, claim.id)) if a.verdict is not None)


def has_plot(book: Book, claim: Claim) -> bool:
    """Return whether there is more to see than in the picture of a single verdict."""
    return sum(attempt.verdict is not None for attempt in attempts_of(book, claim.id)) > 1


def drawn(book: Book, claim: Claim) -> tuple[Attempt, ...]:
    """Return the judged attempts that have room in the plot: those that decided, then the latest."""
    found = judged(book, claim)
    rows = max((len(attempt.verdict.parts) for attempt in found if attempt.verdict), default=1)
    return found[: max(2, MOST_ROWS // rows)]


def attempts_figure(book: Book, claim: Claim, width: int = WIDE) -> str:
    """Draw published value, margins, rivals and every judged attempt as an SVG document; the same book gives the same bytes."""
    title = f"{claim.id}: {len(drawn(book, claim))} attempts"
    return draw(_picture(book, claim), width, title, attempts_text(book, claim))


def attempts_size(book: Book, claim: Claim, width: int = WIDE) -> tuple[int, int]:
    """Return width and height of the plot in pixels."""
    return picture_size(_picture(book, claim), width)


def is_tall(book: Book, claim: Claim) -> bool:
    """Return whether the plot is so tall that a page folds it away."""
    return len(_picture(book, claim).rows) > FOLDED_ABOVE


def attempts_text(book: Book, claim: Claim) -> str:
    """Return in sentences, with its numbers, what the plot shows."""
    told = []
    for name, verdicts in _by_part(book, claim).items():
        part = verdicts[0][0].sealed.parts[name]
        each = "; ".join(
            f"{_name(attempt)} {short_text(attempt.sealed.parts[name], verdict)}: {verdict.outcome}"
            f"{'' if stands(book, attempt) else ', does not count'}"
            for attempt, verdict in verdicts
        )
        rivals = "".join(f"; rival {rival} {value}" for rival, value in sorted(part.rule.rivals.items()))
        told.append(f"{part_label(claim, name)}, published {published_text(part)}{rivals}. {each}.")
    return " ".join(told)


def attempts_lines(book: Book, claim: Claim) -> list[dict[str, object]]:
    """Return the numbers of every judged attempt with all their digits, one line an attempt and part."""
    return [
        {**line, "counts": "yes" if stands(book, attempt) else "no"}
        for attempt in judged(book, claim)
        for line in figure_lines(claim, attempt)
    ]


def _name(attempt: Attempt) -> str:
    return f"{'theirs: ' if is_theirs(attempt) else ''}{attempt.protocol} at {attempt.scale}"


def _by_part(book: Book, claim: Claim) -> Mapping[str, _Verdicts]:
    """Return what is drawn of each part, in the order in which the claim names them."""
    found: dict[str, list[tuple[Attempt, PartVerdict]]] = {name: [] for name in claim.parts}
    for attempt in drawn(book, claim):
        for name, verdict in decided_parts(claim, attempt).items():
            found.setdefault(name, []).append((attempt, verdict))
    return {name: verdicts for name, verdicts in found.items() if verdicts}


def _picture(book: Book, claim: Claim) -> Picture:
    by_part = _by_part(book, claim)
    names = _row_names(book, claim)
    if len(by_part) == 1:
        ((name, verdicts),) = by_part.items()
        if verdicts[0][0].sealed.parts[name].rule.kind == "trend":
            return _trend(book, name, verdicts, names)
        regions = [match_region(attempt.sealed.parts[name], verdict) for attempt, verdict in verdicts]
        # A margin thinner than the digits of an axis is drawn as deviations, as in the picture of one verdict.
        if all(high == low or high - low > 1e-3 * abs(verdicts[0][1].target) for low, high in regions):
            return _in_units(book, claim, name, verdicts, names)
    labels = telling([part_label(claim, name) for name in by_part], 28)
    rows: list[Row] = []
    for label, (name, verdicts) in zip(labels, by_part.items(), strict=True):
        rows += _in_margins(book, label, name, verdicts, names)
    return Picture(tuple(rows), target=0.0, axis="deviation from the published value, in units of the margin")


def _row_names(book: Book, claim: Claim) -> Mapping[str, str]:
    """Return how each attempt is called in its row; of several alike, the day tells them apart."""
    found = drawn(book, claim)
    names = [_name(attempt) for attempt in found]
    return {
        attempt.id: f"{name}, {attempt.started[:10]}" if names.count(name) > 1 else name
        for attempt, name in zip(found, names, strict=True)
    }


def _row(book: Book, attempt: Attempt, row: Row, name: str) -> Row:
    """Return the row of an attempt; one that does not count keeps its sign and loses its filled mark."""
    kind = row.kind if stands(book, attempt) else "inconclusive"
    return replace(row, left=f"{symbol(row.kind)} {name}", kind=kind)


def _in_units(book: Book, claim: Claim, name: str, verdicts: _Verdicts, names: Mapping[str, str]) -> Picture:
    """Lay out one target in the units of its quantity: published, every attempt, then the rivals."""
    latest, first = verdicts[0]
    part, band = latest.sealed.parts[name], match_region(latest.sealed.parts[name], first)
    rows = [published_row(part, band)]
    for attempt, verdict in verdicts:
        sealed = attempt.sealed.parts[name]
        plain = Row(
            left="",
            right=short_text(sealed, verdict).replace(f"{level(verdict)}: ", ""),
            value=verdict.estimate.value,
            low=verdict.low,
            high=verdict.high,
            kind=verdict.outcome,
            band=match_region(sealed, verdict),
            rounding=rounding_region(sealed),
        )
        rows.append(_row(book, attempt, plain, names[attempt.id]))
    rows += rival_rows(part, band)
    log = any(verdict.scale == "log" for _, verdict in verdicts) and part.target.value > 0
    return Picture(tuple(rows), part.target.value, axis_text(claim), log=log)


def _in_margins(book: Book, label: str, name: str, verdicts: _Verdicts, names: Mapping[str, str]) -> list[Row]:
    """Lay out one of several targets: a row with its name and what was published, then every attempt."""
    latest, first = verdicts[0]
    rows = [_heading(label, latest.sealed.parts[name], first)]
    for attempt, verdict in verdicts:
        sealed = attempt.sealed.parts[name]
        place, value = placing(sealed, verdict), verdict.estimate.value
        low, high = match_region(sealed, verdict)
        plain = Row(
            left="",
            right=short_text(sealed, verdict).split(" (")[0],
            value=None if value is None else place(value),
            low=None if verdict.low is None else place(verdict.low),
            high=None if verdict.high is None else place(verdict.high),
            kind=verdict.outcome,
            band=(place(low), place(high)),
        )
        row = _row(book, attempt, plain, names[attempt.id])
        rows.append(replace(row, left=f"{_INDENT}{row.left}"))
    return rows


def _heading(label: str, part: Part, verdict: PartVerdict) -> Row:
    place, printed, rounding = placing(part, verdict), part.target.interval, rounding_region(part)
    low, high = match_region(part, verdict)
    return Row(
        left=label,
        right=f"published {published_text(part)}",
        value=0.0,
        low=place(printed_number(printed.low)) if printed else None,
        high=place(printed_number(printed.high)) if printed else None,
        kind="published",
        band=(place(low), place(high)),
        rounding=None if rounding is None else (place(rounding[0]), place(rounding[1])),
        rivals=tuple(place(printed_number(value)) for value in part.rule.rivals.values()),
    )


def _trend(book: Book, name: str, verdicts: _Verdicts, names: Mapping[str, str]) -> Picture:
    """Lay out a trend: Kendall's τ of every attempt or, of exact values, the least favourable step; one axis holds one of them."""

    def tau(verdict: PartVerdict) -> float | None:
        return {**verdict.estimate.extras, **verdict.extras}.get("trend_tau")

    by_rank = tau(verdicts[0][1]) is not None
    rows = [Row("no trend" if by_rank else "no step", "0", 0.0, "published", (0.0, 0.0))]
    for attempt, verdict in verdicts:
        value = verdict.estimate.value if (tau(verdict) is not None) == by_rank else None
        shown = significant(value, 3) if value is not None and math.isfinite(value) else "not on this axis"
        rows.append(_row(book, attempt, Row("", shown, value, verdict.outcome, (0.0, 0.0)), names[attempt.id]))
    if not by_rank:
        return Picture(tuple(rows), 0.0, "least favourable step, positive the claimed way")
    rows.append(Row("a perfect trend", "1", 1.0, "rival", (0.0, 0.0)))
    return Picture(tuple(rows), 0.0, "Kendall's τ, positive the claimed way", ends=(-1.1, 1.1))
