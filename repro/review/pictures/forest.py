"""The forest plot: what independent attempts measured, one below the other, and what they come to together."""

from repro.judge.numbers import like_interval
from repro.judge.reading import origin, published_text
from repro.review.facts.combined import Together
from repro.review.pictures.canvas import WIDE
from repro.review.pictures.drawing import Picture, Row, draw, picture_size
from repro.review.pictures.figures import axis_text, match_region, rounding_region
from repro.review.wording.labels import part_label
from repro.schema.claim import Claim


def forest_figure(claim: Claim, found: Together, width: int = WIDE) -> str:
    """Draw the published value, every attempt with its 95 % interval, the combination and its prediction interval.

    Returns:
        An SVG document; the same combination gives the same bytes.
    """
    title = f"{claim.id}, {part_label(claim, found.name)}: {len(found.singles)} independent attempts"
    return draw(_picture(claim, found), width, title, forest_text(claim, found))


def forest_size(claim: Claim, found: Together, width: int = WIDE) -> tuple[int, int]:
    """Return width and height of the plot in pixels."""
    return picture_size(_picture(claim, found), width)


def forest_text(claim: Claim, found: Together) -> str:
    """Return in sentences, with its numbers, what the plot shows."""
    each = [
        f"{single.attempt.protocol} at {single.attempt.scale}: {_text(single.part.estimate.value, single.low, single.high)}"
        for single in found.singles
    ]
    whole = found.combined
    told = (
        f"{origin(claim.parts[found.name].target).capitalize()} {published_text(claim.parts[found.name])}. {'; '.join(each)} (95 % intervals). "
        f"Combined {_text(whole.value, whole.low, whole.high)}"
    )
    if whole.prediction_low is None or whole.prediction_high is None:
        return f"{told}."
    return (
        f"{told}; the true value of another attempt would lie in {_ends(whole.prediction_low, whole.prediction_high)}."
    )


def forest_lines(found: Together) -> list[dict[str, object]]:
    """Return the numbers of the plot with all their digits, one line a row of it."""
    whole = found.combined
    lines: list[dict[str, object]] = [
        {"row": one.attempt.id, "value": one.part.estimate.value, "low": one.low, "high": one.high}
        for one in found.singles
    ]
    lines.append({"row": "combined", "value": whole.value, "low": whole.low, "high": whole.high})
    if whole.prediction_low is not None:
        lines.append({"row": "prediction", "value": None, "low": whole.prediction_low, "high": whole.prediction_high})
    return lines


def _picture(claim: Claim, found: Together) -> Picture:
    latest = found.singles[0]
    part = latest.attempt.sealed.parts[found.name]
    band, target, whole = match_region(part, latest.part), part.target, found.combined
    rows = [
        Row(
            left=f"{origin(target)} {published_text(part)}",
            right="",
            value=target.value,
            kind="published",
            band=band,
            rounding=rounding_region(part),
        ),
        *(
            Row(
                left=f"{single.attempt.protocol} at {single.attempt.scale}, {single.attempt.started[:10]}",
                right=_text(single.part.estimate.value, single.low, single.high),
                value=single.part.estimate.value,
                low=single.low,
                high=single.high,
                kind=single.part.outcome,
                band=band,
            )
            for single in found.singles
        ),
        Row(
            left="combined",
            right=_text(whole.value, whole.low, whole.high),
            value=whole.value,
            low=whole.low,
            high=whole.high,
            kind="combined",
            band=band,
        ),
    ]
    if whole.prediction_low is not None and whole.prediction_high is not None:
        ends = whole.prediction_low, whole.prediction_high
        rows.append(Row("where another would lie", _ends(*ends), None, "prediction", band, *ends))
    return Picture(tuple(rows), target.value, axis_text(claim), log=found.log and target.value > 0)


def _text(value: float | None, low: float, high: float) -> str:
    shown, start, end = like_interval(value, low, high)
    return f"{shown} ({start} to {end})"


def _ends(low: float, high: float) -> str:
    _, start, end = like_interval((low + high) / 2, low, high)
    return f"{start} to {end}"
