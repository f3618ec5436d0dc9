"""The figure of a growth over time: its rows, the line that was judged, and the published growth."""

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from page_reader import Page
from review_book import EXPONENT, attempt, part_verdict, record, verdict

from repro.review.book import Book
from repro.review.pages import attempt_page
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.charts import chart_csv, charts_of, draw_chart
from repro.review.pictures.growth_chart import GROWTH, trend_of
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt
from repro.stats.growth import log_linear_growth

WHERE = {"rank": [1, 2]}


def table() -> TrialRecord:
    """Return a table that grows about threefold a year, with rows that the range leaves out."""
    rows = tuple(
        {"year": 2018 + i / 2, "value": 1e20 * 3 ** (i / 2) * (1.3 if i % 2 else 0.8), "rank": float(1 + i % 3)}
        for i in range(12)
    )
    return record("t1", rows=rows)


def judged(**arguments: object) -> Attempt:
    value = log_linear_growth([table()], y="value", where=WHERE).value
    assert value is not None
    made = attempt(EXPONENT, "retrain", "gpu", verdict(part_verdict(0.49, "mismatch", value, 0.02), "mismatch"))
    given = {"y": "value", "where": WHERE, **arguments}
    return replace(made, sealed=replace(made.sealed, estimator=GROWTH, arguments=given))


@pytest.fixture
def grown(book: Book) -> Book:
    return replace(book, attempts=(judged(),), trials=lambda name: [table()])


def test_the_line_goes_where_the_judged_growth_goes() -> None:
    trend = trend_of(judged(), [table()])
    assert trend is not None
    assert len(trend.time) == 8  # rank 3 is outside the range
    assert trend.line(2020.0, trend.growth) / trend.line(2019.0, trend.growth) == pytest.approx(trend.growth)
    off = [value / trend.line(time, trend.growth) for time, value in zip(trend.time, trend.value, strict=True)]
    product = 1.0
    for ratio in off:
        product *= ratio
    assert product == pytest.approx(1.0)  # through the middle of the rows


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_is_the_same_each_time_and_names_its_lines(grown: Book, width: int) -> None:
    name = grown.attempts[0].id
    drawn = draw_chart(grown, name, "growth", width)
    assert drawn == draw_chart(grown, name, "growth", width)
    root = ElementTree.fromstring(drawn)
    shown = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in shown if text.startswith("here 3")] != []
    assert "8 rows by year, 2018.0 to 2023.0" in (root[1].text or "")


def test_its_numbers_are_a_table_and_a_file(grown: Book) -> None:
    name = grown.attempts[0].id
    (chart,) = charts_of(grown, grown.attempts[0])
    assert chart.table[0] == ("Line", "Factor a year", "At 2018.0", "At 2023.0")
    assert [row[0] for row in chart.table[1:]] == ["here", "published", "gadgets"]
    lines = list(csv.DictReader(io.StringIO(chart_csv(grown, name, "growth"))))
    assert [float(line["year"]) for line in lines] == sorted(float(line["year"]) for line in lines)
    assert float(lines[0]["value"]) == pytest.approx(0.8e20)
    assert "The study’s own figure" in Page(attempt_page(grown, name)).words


@pytest.mark.parametrize(
    "changed", [{"report": "doubling_time"}, {"weight": "rank"}, {"y": "nothing"}, {"where": {"rank": [9, 9]}}]
)
def test_what_is_no_such_line_has_no_such_figure(changed: dict[str, object]) -> None:
    assert trend_of(judged(**changed), [table()]) is None
    assert trend_of(judged(), []) is None
