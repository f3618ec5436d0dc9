"""The picture of a verdict: the published value with its margin, and the estimate with the interval that decides.

A claim with one target is laid out in the units of its quantity. A claim with several is laid out in units of each
part's margin, so that all parts share one axis. Targets and rules are those of the seal: what was judged.
"""

import math
from collections.abc import Callable

from repro.judge.numbers import like_interval, significant
from repro.judge.reading import origin, published_text, reading, rule_text
from repro.review.book import decided_parts
from repro.review.facts.extras import bias_bar
from repro.review.pictures.canvas import WIDE
from repro.review.pictures.drawing import Picture, Row, draw, picture_size
from repro.review.wording.labels import pretty, telling
from repro.review.wording.words import measured_text, short_text, symbol
from repro.schema.claim import Claim, Part
from repro.schema.verdict import Attempt, PartVerdict


def interval_figure(claim: Claim | None, attempt: Attempt, width: int = WIDE) -> str:
    """Draw target, margin band, rounding, rivals and estimate of every part of a judged attempt.

    Args:
        claim: gives symbol and unit of the quantity; None if the catalogue has it no more.
        attempt: a judged attempt.
        width: in pixels; the height follows from the number of rows.

    Returns:
        An SVG document with title and description, light or dark as the reader prefers; the same attempt gives the
        same bytes.

    Raises:
        ValueError: if the attempt has no verdict.
    """
    title = f"{attempt.claim}, {attempt.protocol} at {attempt.scale}: {reading(attempt)}"
    return draw(_picture(claim, attempt), width, title, alt_text(claim, attempt))


def figure_size(claim: Claim | None, attempt: Attempt, width: int = WIDE) -> tuple[int, int]:
    """Return width and height of the picture of a judged attempt in pixels."""
    return picture_size(_picture(claim, attempt), width)


def alt_text(claim: Claim | None, attempt: Attempt) -> str:
    """Return in one or two sentences a part, with its numbers, what the picture of a judged attempt shows."""
    parts = decided_parts(claim, attempt)
    origins = {name: origin(attempt.sealed.parts[name].target) for name in parts}
    starts = {
        name: f"{pretty(name)}: {said}" if len(parts) > 1 else said.capitalize() for name, said in origins.items()
    }
    return " ".join(_sentence(starts[name], attempt.sealed.parts[name], part) for name, part in parts.items())


def figure_lines(claim: Claim | None, attempt: Attempt) -> list[dict[str, object]]:
    """Return the numbers of the picture of a judged attempt with all their digits, one line a part; what is infinite is empty."""
    parts = decided_parts(claim, attempt)
    return [_line(attempt, name, attempt.sealed.parts[name], verdict) for name, verdict in parts.items()]


def _line(attempt: Attempt, name: str, part: Part, verdict: PartVerdict) -> dict[str, object]:
    printed, (low, high) = part.target.interval, match_region(part, verdict)
    return {
        "attempt": attempt.id,
        "protocol": attempt.protocol,
        "scale": attempt.scale,
        "started": attempt.started,
        "part": name,
        "published": part.target.printed,
        "published_low": printed.low if printed else None,
        "published_high": printed.high if printed else None,
        "published_level": printed.level if printed else None,
        "match_low": low if math.isfinite(low) else None,
        "match_high": high if math.isfinite(high) else None,
        "measured": verdict.estimate.value,
        "low": verdict.low,
        "high": verdict.high,
        "level": 1 - 2 * verdict.alpha,
        "verdict": verdict.outcome,
        "reason": verdict.reason,
        **{f"rival {rival}": value for rival, value in sorted(part.rule.rivals.items())},
    }


def has_bias(attempt: Attempt) -> bool:
    """Return whether the picture of an attempt shows the known bias of a method."""
    return attempt.verdict is not None and any(map(bias_bar, attempt.verdict.parts.values()))


def has_prediction(claim: Claim | None, attempt: Attempt) -> bool:
    """Return whether the picture of an attempt shows where the original would land."""
    return any(row.kind == "prediction" for row in _picture(claim, attempt).rows)


def _sentence(start: str, part: Part, verdict: PartVerdict) -> str:
    measured = "Nothing measured" if verdict.estimate.value is None else f"Measured {measured_text(part, verdict)}"
    told = f"{start} {published_text(part)}; a match is {rule_text(part)}. {measured}: {verdict.outcome}."
    return " ".join([told, *(f"{row.left.strip().capitalize()}: {row.right}." for row in _beside(verdict, (0.0, 0.0)))])


def _picture(claim: Claim | None, attempt: Attempt) -> Picture:
    verdicts = decided_parts(claim, attempt)
    if not verdicts:
        raise ValueError(f"attempt {attempt.id} has no verdict to draw")
    if len(verdicts) == 1:
        ((name, verdict),) = verdicts.items()
        if attempt.sealed.parts[name].rule.kind == "trend":
            return _trend(verdict)
        low, high = match_region(attempt.sealed.parts[name], verdict)
        # A margin thinner than the digits of an axis is drawn as deviations too.
        if high - low == 0 or high - low > 1e-3 * abs(verdict.target):
            return _single(claim, attempt.sealed.parts[name], verdict)
    labels = telling([pretty(name) for name in verdicts], 28)
    rows = [
        row
        for label, (name, verdict) in zip(labels, verdicts.items(), strict=True)
        for row in _deviation_rows(label, attempt.sealed.parts[name], verdict)
    ]
    return Picture(tuple(rows), target=0.0, axis="deviation from the published value, in units of the margin")


def _single(claim: Claim | None, part: Part, verdict: PartVerdict) -> Picture:
    """Lay out one target in the units of its quantity: published, measured, then every rival."""
    target, band, rounding = part.target, match_region(part, verdict), rounding_region(part)
    rows = [
        published_row(part, band),
        Row(
            left="measured",
            right=short_text(part, verdict),
            value=verdict.estimate.value,
            low=verdict.low,
            high=verdict.high,
            kind=verdict.outcome,
            band=band,
            rounding=rounding,
        ),
    ]
    rows += [*_beside(verdict, band), *rival_rows(part, band)]
    return Picture(tuple(rows), target.value, axis_text(claim), log=verdict.scale == "log" and target.value > 0)


def published_row(part: Part, band: tuple[float, float]) -> Row:
    """Lay out what a paper printed, with the interval that it printed beside it."""
    printed = part.target.interval
    return Row(
        left=f"{origin(part.target)} {published_text(part)}",
        right=f"{printed.low} to {printed.high} ({significant(100 * printed.level)} %)" if printed else "",
        value=part.target.value,
        low=printed_number(printed.low) if printed else None,
        high=printed_number(printed.high) if printed else None,
        kind="published",
        band=band,
        rounding=rounding_region(part),
    )


def rival_rows(part: Part, band: tuple[float, float]) -> list[Row]:
    """Lay out the rivals of a published value."""
    return [
        Row(left=f"rival: {pretty(rival)}", right=value, value=printed_number(value), kind="rival", band=band)
        for rival, value in sorted(part.rule.rivals.items())
    ]


def _trend(verdict: PartVerdict) -> Picture:
    """Lay out a trend: Kendall's τ between no trend and a perfect one, or of exact values the least favourable step."""
    value, extras = verdict.estimate.value, {**verdict.estimate.extras, **verdict.extras}
    if extras.get("trend_tau") is None:
        steps = (_mark("no step", 0.0), _mark("measured", value, verdict.outcome))
        return Picture(steps, 0.0, "least favourable step, positive the claimed way")
    p = extras.get("trend_p")
    shown = f"{significant(value, 3)}" + (f" (p = {significant(p, 2)})" if p is not None else "")
    rows = (
        _mark("no trend", 0.0),
        _mark("measured", value, verdict.outcome, shown),
        _mark("a perfect trend", 1.0, "rival"),
    )
    return Picture(rows, 0.0, "Kendall's τ, positive the claimed way", ends=(-1.1, 1.1))


def _mark(left: str, value: float | None, kind: str = "published", right: str | None = None) -> Row:
    return Row(left, significant(value) if right is None else right, value, kind, band=(0.0, 0.0))


def axis_text(claim: Claim | None) -> str:
    """Return symbol and unit of what a claim is about."""
    if claim is None:
        return "value"
    unit = f" ({claim.quantity.unit})" if claim.quantity.unit not in ("", "1") else ""
    return f"{claim.quantity.symbol}{unit}"


def _beside(verdict: PartVerdict, band: tuple[float, float]) -> list[Row]:
    """Lay out what decides nothing: the known bias of the method, and where the original would land once more."""
    rows, value, bias = [], verdict.estimate.value, bias_bar(verdict)
    if value is not None and bias:
        text = f"± {significant(bias, 3)}"
        rows.append(Row("known bias of the method", text, None, "bias", band, value - bias, value + bias))
    low, high = verdict.extras.get("prediction_low"), verdict.extras.get("prediction_high")
    if low is not None and high is not None:
        _, start, end = like_interval(value, low, high)
        rows.append(Row("the original, once more", f"{start} to {end} (95 %)", None, "prediction", band, low, high))
    return rows


def _deviation_rows(label: str, part: Part, verdict: PartVerdict) -> list[Row]:
    """Lay out one of several targets: its deviation in units of its margin, and the known bias of its method."""
    place = placing(part, verdict)
    estimate = verdict.estimate.value
    (low, high), rounding = match_region(part, verdict), rounding_region(part)
    band = place(low), place(high)
    measured = Row(
        left=f"{symbol(verdict.outcome)} {label}",
        right=f"{published_text(part)} → {short_text(part, verdict).split(' (')[0]}",
        value=None if estimate is None else place(estimate),
        low=None if verdict.low is None else place(verdict.low),
        high=None if verdict.high is None else place(verdict.high),
        kind=verdict.outcome,
        band=band,
        rounding=None if rounding is None else (place(rounding[0]), place(rounding[1])),
        rivals=tuple(place(printed_number(value)) for value in part.rule.rivals.values()),
    )
    bias = bias_bar(verdict)
    if estimate is None or not bias:
        return [measured]
    ends = place(estimate - bias), place(estimate + bias)
    return [measured, Row("  known bias of the method", f"± {significant(bias, 3)}", None, "bias", band, *ends)]


def placing(part: Part, verdict: PartVerdict) -> Callable[[float], float]:
    """Return the map from values to the common axis: deviation over margin (over rounding where there is none)."""
    target, half = part.target.value, part.target.half_width
    unit = (verdict.margin or 0.0) + (half if part.rule.kind == "rounds_to" else 0.0) or half

    def place(x: float) -> float:
        difference = _log_ratio(x, target) if verdict.scale == "log" else x - target
        if difference == 0 or math.isnan(difference):
            return difference
        return difference / unit if unit else math.copysign(math.inf, difference)

    return place


def _log_ratio(x: float, target: float) -> float:
    return math.log(x / target) if x / target > 0 else -math.inf


def match_region(part: Part, verdict: PartVerdict) -> tuple[float, float]:
    """Return the values that count as a match, in the units of the quantity; infinite where a side is open."""
    target, margin = part.target.value, verdict.margin or 0.0
    if part.rule.kind == "rounds_to":
        margin += part.target.half_width
    if verdict.scale == "log":
        low, high = target * math.exp(-margin), target * math.exp(margin)
    else:
        low, high = target - margin, target + margin
    if part.rule.kind == "reference_convergence":
        least, mean = verdict.extras.get("rcp_min_epochs"), verdict.extras.get("rcp_mean")
        return (least / mean if least and mean else low), math.inf
    if part.rule.kind in ("at_least", "ordering", "trend"):
        return low, math.inf
    return (-math.inf, high) if part.rule.kind == "at_most" else (low, high)


def rounding_region(part: Part) -> tuple[float, float] | None:
    """Return the values that would print as the target does, where the rule allows for that beside a margin."""
    if part.rule.kind in ("exact", "ordering", "trend", "rounds_to"):
        return None
    return part.target.value - part.target.half_width, part.target.value + part.target.half_width


def printed_number(text: str) -> float:
    """Return a printed number as a float, NaN where it is none: of what is printed only targets are checked."""
    try:
        return float(text)
    except ValueError:
        return math.nan
