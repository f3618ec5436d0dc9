"""The charts of the training runs behind an attempt: which there are, what they show in words, and how they are drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from repro.judge.numbers import power_text, significant
from repro.review.addresses import attempt_address
from repro.review.book import Book, standings
from repro.review.pictures import curves, growth_chart, isoflop_chart, law_surface, slope_chart
from repro.review.pictures.canvas import WIDE
from repro.review.pictures.csv_text import Line, csv_text
from repro.review.pictures.plotting import Panels
from repro.review.pictures.sweeps import (
    MOST_GROUPS,
    READS_A_SWEEP,
    Profiles,
    groups_of,
    law_of,
    main_arm,
    profiles_of,
    sweep_of_runs,
    varied,
)
from repro.review.wording.labels import pretty
from repro.schema.errors import ReproError, StoreError
from repro.schema.verdict import Attempt

KINDS: Mapping[str, str] = {
    "slope": "Power law",
    "growth": "Growth",
    "isoflop": "IsoFLOP profiles",
    "surface": "Loss by size and data",
    "curves": "Training curves",
}
"""The charts there may be, by the part of their address, with their headings."""

_TRAINED = ("replication", "conceptual_replication", "reproduction")


class NoChart(StoreError):
    """An attempt has no such chart."""


@dataclass(frozen=True)
class Chart:
    """One chart of an attempt."""

    kind: str
    name: str
    """The part of its address: its kind, numbered where an attempt has several."""
    heading: str
    alt: str
    caption: str
    layout: Callable[[int], Panels]
    draw: Callable[[int], str]
    """The SVG document of a width in pixels."""
    points: Callable[[], Sequence[Line]]
    """Every point that is drawn, for the CSV file beside it."""
    table: tuple[tuple[str, ...], ...] = ()
    """The numbers behind it, the headings first; empty where the description has them all."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels on a page."""
        places = self.layout(WIDE)
        return places.width, places.height


def may_have_charts(attempt: Attempt) -> bool:
    """Return whether the seal of an attempt allows for charts, without reading its records."""
    sealed = attempt.sealed
    return READS_A_SWEEP in sealed.arguments or sealed.kind in _TRAINED or sealed.estimator in _FITTED


_FITTED = (*slope_chart.SLOPES, growth_chart.GROWTH)
_OF_A_GROUP = ("isoflop", "surface")
NAMES = tuple(
    name
    for kind in KINDS
    for name in (kind, *(f"{kind}-{number}" for number in range(2, MOST_GROUPS + 1) if kind in _OF_A_GROUP))
)
"""The names that charts can have."""


def chart_address(attempt_id: str, name: str, suffix: str = ".svg") -> str:
    """Return where a chart of an attempt stands."""
    return attempt_address(attempt_id, f".{name}{suffix}")


def charts_of(book: Book, attempt: Attempt) -> tuple[Chart, ...]:
    """Return the charts of an attempt; none where it trained nothing or its records cannot be read."""
    if not may_have_charts(attempt):
        return ()
    try:
        trials = book.trials(attempt.id)
    except ReproError:
        return ()
    records = main_arm(attempt, trials)
    found: list[Chart] = []
    law_of_powers = slope_chart.power_law_of(attempt, records)
    if law_of_powers is not None:
        found.append(_slope(attempt, law_of_powers))
    trend = growth_chart.trend_of(attempt, records)
    if trend is not None:
        found.append(_growth(attempt, trend))
    groups = groups_of(records)
    for label, runs in groups.items() if len(groups) <= MOST_GROUPS else ():
        sweep = sweep_of_runs(attempt, runs)
        if sweep is None:
            continue
        profiles = profiles_of(attempt, sweep, alone=len(groups) == 1)
        if profiles is not None:
            found.append(_isoflop(attempt, profiles, label))
        law = law_of(attempt, sweep)
        if law.theta:
            found.append(_surface(attempt, law_surface.surface_of(sweep, law.theta), label))
    logged = curves.curves_of(records, varied(records))
    if logged is not None:
        found.append(_curves(attempt, logged))
    ordered = sorted(found, key=lambda chart: list(KINDS).index(chart.kind))
    return tuple(
        _named(chart, [other.kind for other in ordered[:i]].count(chart.kind)) for i, chart in enumerate(ordered)
    )


def _named(chart: Chart, before: int) -> Chart:
    """Return a chart with its own name among those of its kind."""
    return replace(chart, name=f"{chart.kind}-{before + 1}") if before else chart


def charts_on_claim(book: Book, claim_id: str) -> tuple[tuple[Attempt, tuple[Chart, ...]], ...]:
    """Return the attempts whose charts stand on the page of a claim: of each protocol the one that speaks for it, if it has any."""
    found: dict[str, tuple[Attempt, tuple[Chart, ...]]] = {}
    for standing in standings(book, claim_id):
        if standing.protocol not in found and (charts := charts_of(book, standing.attempt)):
            found[standing.protocol] = standing.attempt, charts
    return tuple(found.values())


def draw_chart(book: Book, attempt_id: str, name: str, width: int) -> str:
    """Return one chart of an attempt as an SVG document.

    Raises:
        NoChart: if the attempt has no such chart.
    """
    return _chart(book, attempt_id, name).draw(width)


def chart_csv(book: Book, attempt_id: str, name: str) -> str:
    """Return every point of one chart of an attempt with all its digits, as CSV.

    Raises:
        NoChart: if the attempt has no such chart.
    """
    return csv_text(_chart(book, attempt_id, name).points())


def _chart(book: Book, attempt_id: str, name: str) -> Chart:
    attempt = book.attempt(attempt_id)
    for chart in charts_of(book, attempt) if attempt else ():
        if chart.name == name:
            return chart
    raise NoChart(f"The attempt {attempt_id} has no chart '{name}'.")


def _heading(attempt: Attempt, kind: str, label: str) -> tuple[str, str]:
    """Return what a chart is called on a page, and by itself."""
    heading = f"{KINDS[kind]}: {label}" if label else KINDS[kind]
    return heading, f"{attempt.claim}, {attempt.protocol} at {attempt.scale}: {heading}"


def _isoflop(attempt: Attempt, profiles: Profiles, label: str) -> Chart:
    heading, title = _heading(attempt, "isoflop", label)
    references = _references(attempt, profiles)
    size = isoflop_chart.SIZE_NAMES[profiles.of]
    rows = [
        (
            f"{power_text(curve.budget, 3)} FLOPs",
            str(len(curve.size)),
            str(int(curve.seeds.sum())),
            power_text(curve.optimum, 3) if curve.optimum else f"none: {curve.problem}",
            significant(curve.lowest) if curve.lowest else "—",
        )
        for curve in profiles.curves
    ]
    whose = "is the exponent that was judged" if profiles.judged else "is the plain line through these optima"
    return Chart(
        "isoflop",
        "isoflop",
        heading,
        isoflop_chart.alt_text(profiles, references),
        f"Left: filled, the mean loss of each size; the curve, a parabola in ln N; open, its lowest point. Right: those points; the "
        f"slope “here” {whose}; all lines pass through the middle of the points.",
        isoflop_chart.layout,
        partial(isoflop_chart.draw, profiles, references, title=title),
        partial(isoflop_chart.points, profiles),
        (("Budget", "Sizes", "Runs", f"Best {size}", "Loss there"), *rows),
    )


def _references(attempt: Attempt, profiles: Profiles) -> Mapping[str, float]:
    """Return the published exponent and its rivals, where the slope drawn is an estimate of the same."""
    return _published_and_rivals(attempt) if profiles.comparable else {}


def _published_and_rivals(attempt: Attempt) -> Mapping[str, float]:
    """Return the published value of an attempt's one part, then its rivals, by name."""
    (part,) = attempt.sealed.parts.values()
    rivals = {rival: float(value) for rival, value in sorted(part.rule.rivals.items()) if _is_number(value)}
    return {"published": part.target.value, **rivals}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _slope(attempt: Attempt, law: slope_chart.PowerLaw) -> Chart:
    heading, title = _heading(attempt, "slope", "")
    references = _published_and_rivals(attempt)
    middle = "median" if law.sign > 0 else "mean in logarithms"
    return Chart(
        "slope",
        "slope",
        heading,
        slope_chart.alt_text(law, references),
        f"Left: each mark the {middle} of the runs at one {pretty(law.x)}, the dots single runs; the line “here” has the exponent that was "
        f"judged, and all lines pass through the middle of the filled points. Right: what the line leaves of them; where they bow, the "
        f"law bends.",
        slope_chart.layout,
        partial(slope_chart.draw, law, references, title=title),
        partial(slope_chart.points, law),
        slope_chart.table(law),
    )


def _growth(attempt: Attempt, trend: growth_chart.Trend) -> Chart:
    heading, title = _heading(attempt, "growth", "")
    references = _published_and_rivals(attempt)
    return Chart(
        "growth",
        "growth",
        heading,
        growth_chart.alt_text(trend, references),
        "One circle a row of the table that was fitted; the line “here” has the growth that was judged, as a factor a year. All lines "
        "pass through the middle of the rows.",
        growth_chart.layout,
        partial(growth_chart.draw, trend, references, title=title),
        partial(growth_chart.points, trend),
        growth_chart.table(trend, references),
    )


def _surface(attempt: Attempt, surface: law_surface.Surface, label: str) -> Chart:
    heading, title = _heading(attempt, "surface", label)
    return Chart(
        "surface",
        "surface",
        heading,
        law_surface.alt_text(surface),
        f"{law_surface.law_text(surface)}, fitted to the runs of the main arm (summed Huber loss) for this picture. ▲ a run above the "
        f"law, ▽ below. Dashed: the sizes that the law calls optimal, with C = 6ND.",
        law_surface.layout,
        partial(law_surface.draw, surface, title=title),
        partial(law_surface.points, surface),
    )


def _curves(attempt: Attempt, logged: curves.Curves) -> Chart:
    heading, title = _heading(attempt, "curves", "")
    return Chart(
        "curves",
        "curves",
        heading,
        curves.alt_text(logged),
        f"One line a run of the main arm, its mark at the end; darker lines (in the dark, brighter ones) {curves.order_text(logged)}. The "
        f"steep start lies beyond the frame.",
        curves.layout,
        partial(curves.draw, logged, title=title),
        partial(curves.points, logged),
    )
