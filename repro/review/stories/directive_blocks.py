"""What fills the fences of a tutorial: charts, pictures of verdicts, comparisons, and tables of verdicts."""

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from repro.judge import reading
from repro.review import pages
from repro.review.book import Standing
from repro.review.facts.comparison import sections
from repro.review.facts.planning import planned_text
from repro.review.pictures import exponents, figures
from repro.review.pictures.canvas import WIDE
from repro.review.pictures.charts import KINDS, charts_of
from repro.review.stories.directives import PLANNED, measured, verdict
from repro.review.stories.place import DirectiveError, Place
from repro.review.wording.labels import pretty
from repro.schema.errors import nearest

Lines = Sequence[str]


def chart(place: Place, given: Lines, lines: Lines) -> Markup:
    """Return charts of training runs: lines of a kind, a claim, a protocol and a scale."""
    made = Markup("")
    for line in lines:
        kind, claim, protocol, scale = _words(line, "a kind of chart, a claim, a protocol and a scale", 4)
        if kind not in KINDS:
            raise DirectiveError(f"There is no chart '{kind}'.{nearest(kind, KINDS)}")
        standing = place.standing(claim, protocol, scale)
        if standing is None:
            made += Markup('<p class="note">{} {} of {} at scale {}</p>').format(PLANNED, KINDS[kind], claim, scale)
            continue
        found = [each for each in charts_of(place.book, standing.attempt) if each.kind == kind]
        if not found:
            made += Markup('<p class="note">{} has no chart “{}”: its runs do not allow for one.</p>').format(
                standing.attempt.id, KINDS[kind]
            )
        for each in found:
            made += pages.macro("charts.html", "chart_figure", place.root, standing.attempt, each)
    return made


def picture(place: Place, given: Lines, lines: Lines) -> Markup:
    """Return pictures of verdicts: lines of a claim, a protocol and a scale."""
    made = Markup("")
    for line in lines:
        claim, protocol, scale = _words(line, "a claim, a protocol and a scale", 3)
        standing = place.standing(claim, protocol, scale)
        made += _not_there(place, claim, protocol, scale) if standing is None else _picture(place, standing)
    return made


def _picture(place: Place, standing: Standing) -> Markup:
    claim, attempt = place.book.claims[standing.attempt.claim], standing.attempt
    size = figures.figure_size(claim, attempt)
    return pages.macro("charts.html", "verdict_figure", place.root, attempt, size, figures.alt_text(claim, attempt))


def comparison(place: Place, given: Lines, lines: Lines) -> Markup:
    """Return the pictures of comparisons: lines of a name each."""
    made = Markup("")
    for name in lines:
        if name not in place.book.comparisons:
            raise DirectiveError(f"There is no comparison '{name}'.{nearest(name, place.book.comparisons)}")
        of = place.book.comparisons[name]
        found = sections(place.book, of)
        alt = exponents.alt_text(found, of.quantity)
        size = exponents.picture_size(found, WIDE)
        made += pages.macro("charts.html", "comparison_figure", place.root, of, size, alt)
    return made


def verdicts(place: Place, given: Lines, lines: Lines) -> Markup:
    """Return a table of verdicts, a row for each line of a claim and a protocol, a column for each scale that is given."""
    rows = []
    for line in lines:
        claim, protocol = _words(line, "a claim and a protocol", 2)[:2]
        of = place.claim(claim)
        cells = []
        for scale in given:
            study = place.book.studies.get(of.protocols[protocol].study) if protocol in of.protocols else None
            if study is not None and scale not in study.scales:
                cells.append(Markup("—"))
                continue
            standing = place.standing(claim, protocol, scale)
            if standing is None:
                said = planned_text(place.book, claim, protocol, scale)
                cells.append(PLANNED + Markup('<span class="small">{}</span>').format(said.partition(": ")[2]))
                continue
            shown = verdict(place, claim, protocol, scale)
            if len(of.parts) == 1:
                shown = measured(place, claim, protocol, scale) + Markup('<span class="line">{}</span>').format(shown)
            cells.append(shown)
        printed = [reading.published_text(part) for part in of.parts.values()]
        shown_printed = printed[0] + (f" and {len(printed) - 1} more" if len(printed) > 1 else "")
        rows.append((claim, of.quantity.symbol if len(of.parts) == 1 else "", pretty(protocol), shown_printed, cells))
    return pages.macro("charts.html", "verdict_table", place.root, rows, given)


def ran(place: Place, given: Lines, lines: Lines) -> Markup:
    """Return the text of the fence if an attempt was judged, else that it is planned and what it would take.

    Given are a claim, a protocol and a scale.
    """
    claim, protocol, scale = _words(" ".join(given), "a claim, a protocol and a scale", 3)
    if place.standing(claim, protocol, scale) is None:
        return _not_there(place, claim, protocol, scale)
    return place.reads("\n".join(lines))


def _not_there(place: Place, claim: str, protocol: str, scale: str) -> Markup:
    said = planned_text(place.book, claim, protocol, scale).partition(": ")[2]
    command = pages.rerun(claim, place.claim(claim), protocol, scale)
    return Markup('<p class="note">{} Nobody has run this here yet{}. <code class="command">{}</code></p>').format(
        PLANNED, f": {said}" if said else "", command
    )


def _words(line: str, what: str, count: int) -> list[str]:
    found = line.split()
    if len(found) != count:
        raise DirectiveError(f"The line '{line}' must hold {what}.")
    return found


BLOCKS: Mapping[str, Callable[[Place, Lines, Lines], Markup]] = {
    make.__name__: make for make in (chart, picture, comparison, verdicts, ran)
}
"""What may stand in a fence, by its name."""
