"""Pages that tell a story: tutorials with their places filled in, and comparisons of one quantity over many papers."""

import inspect
from collections.abc import Callable, Sequence

from markupsafe import Markup

from repro.review.addresses import comparison_address, tutorial_address
from repro.review.book import Book
from repro.review.facts.comparison import sections
from repro.review.pages import render
from repro.review.pictures import exponents
from repro.review.pictures.canvas import WIDE
from repro.review.pictures.csv_text import csv_text
from repro.review.stories.directive_blocks import BLOCKS
from repro.review.stories.directives import INLINE
from repro.review.stories.markdown import html_of, title_of
from repro.review.stories.place import DirectiveError, Place
from repro.schema.errors import StoreError, nearest


def tutorial_page(book: Book, name: str, live: bool = False) -> str:
    """Return a tutorial with every place filled in; a place that cannot be says why, where it stands.

    Raises:
        StoreError: if there is no such tutorial.
    """
    if name not in book.tutorials:
        raise StoreError(f"There is no tutorial '{name}'.{nearest(name, book.tutorials)}")
    text, address = book.tutorials[name], tutorial_address(name)

    def read(part: str) -> Markup:
        return html_of(part, lambda *given: fill(place, *given), lambda *given: fill_fence(place, *given))

    place = Place(book, "../" * address.count("/"), read)
    return render("tutorial.html", address, live, title=title_of(text), body=read(text))


def fill(place: Place, name: str, given: Sequence[str]) -> Markup:
    """Return what stands in a place of a line, or what is wrong with it."""
    return _told(lambda: _called(INLINE.get(name), name, place, *given))


def fill_fence(place: Place, name: str, given: Sequence[str], lines: Sequence[str]) -> Markup:
    """Return what stands in the place of a fence, or what is wrong with it."""
    return _told(lambda: _called(BLOCKS.get(name), name, place, given, lines))


def _called(make: Callable[..., Markup] | None, name: str, *given: object) -> Markup:
    if make is None:
        raise DirectiveError(f"'{name}' fills no place.{nearest(name, [*INLINE, *BLOCKS])}")
    try:
        inspect.signature(make).bind(*given)
    except TypeError:
        wanted = " ".join(inspect.signature(make).parameters).replace("place", name, 1)
        raise DirectiveError(f"'{name}' takes other words: {{{wanted}}}.") from None
    return make(*given)


def _told(make: Callable[[], Markup]) -> Markup:
    try:
        return make()
    except DirectiveError as error:
        return Markup('<strong class="flag broken">{}</strong>').format(str(error))


def comparison_page(book: Book, name: str, live: bool = False) -> str:
    """Return the page of a quantity with all its values on one axis.

    Raises:
        StoreError: if there is no such comparison.
    """
    if name not in book.comparisons:
        raise StoreError(f"There is no comparison '{name}'.{nearest(name, book.comparisons)}")
    comparison = book.comparisons[name]
    found = sections(book, comparison)
    return render(
        "comparison.html",
        comparison_address(name),
        live,
        comparison=comparison,
        sections=found,
        size=exponents.picture_size(found, WIDE),
        alt=exponents.alt_text(found, comparison.quantity),
    )


def comparison_figure(book: Book, name: str, width: int) -> str:
    """Return the picture of a comparison as an SVG document."""
    comparison = book.comparisons[name]
    return exponents.draw(sections(book, comparison), comparison.quantity, width, comparison.title)


def comparison_csv(book: Book, name: str) -> str:
    """Return the lines of a comparison as CSV, those without a number as well."""
    return csv_text(
        [
            {
                "group": section.title,
                "line": line.label,
                "kind": line.kind,
                "value": line.value,
                "low": line.low,
                "high": line.high,
                "said": line.said,
                "claim": line.claim,
                "attempt": line.attempt.id if line.attempt else None,
            }
            for section in sections(book, book.comparisons[name])
            for line in section.lines
        ]
    )
