"""The files beside a page that its pictures need: the plot of all attempts at a claim, and the numbers of every picture as CSV."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from repro.review.addresses import attempt_address, forest_address
from repro.review.book import Book
from repro.review.facts.combined import Together
from repro.review.pictures.all_attempts import attempts_address, attempts_figure, attempts_lines, has_plot
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.charts import chart_address, chart_csv
from repro.review.pictures.csv_text import csv_text
from repro.review.pictures.figures import figure_lines
from repro.review.pictures.forest import forest_lines
from repro.schema.claim import Claim
from repro.schema.verdict import Attempt

Files = Mapping[str, Callable[[], str]]


def files_of_claim(book: Book, claim: Claim, combined: Sequence[Together]) -> Files:
    """Return the files of the pictures of a claim, by address.

    Args:
        book: what the pages show.
        claim: any.
        combined: its independent attempts together, as they are numbered on the page.
    """
    files: dict[str, Callable[[], str]] = {}
    if has_plot(book, claim):
        files[attempts_address(claim.id)] = partial(attempts_figure, book, claim, WIDE)
        files[attempts_address(claim.id, ".narrow.svg")] = partial(attempts_figure, book, claim, NARROW)
        files[attempts_address(claim.id, ".csv")] = lambda: csv_text(attempts_lines(book, claim))
    for number, found in enumerate(combined, start=1):
        files[forest_address(claim.id, number, ".csv")] = partial(_together_csv, found)
    return files


def files_of_attempt(book: Book, attempt: Attempt, charts: Sequence[str]) -> Files:
    """Return the numbers of the pictures of an attempt, by address; `charts` are the names of those it has or may have."""
    files: dict[str, Callable[[], str]] = {
        chart_address(attempt.id, name, ".csv"): partial(chart_csv, book, attempt.id, name) for name in charts
    }
    if attempt.verdict is not None:
        claim = book.claims.get(attempt.claim)
        files[attempt_address(attempt.id, ".figure.csv")] = lambda: csv_text(figure_lines(claim, attempt))
    return files


def _together_csv(found: Together) -> str:
    return csv_text(forest_lines(found))
