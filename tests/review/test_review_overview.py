"""The overview: what a row holds, where an estimate lies on the common axis, and how it is drawn."""

import gzip
import math
import re
from dataclasses import replace

import pytest
from page_reader import Page
from review_book import (
    BLOCKED,
    EXPONENT,
    FACTOR,
    HOSTILE_CLAIM,
    NOT_RUN,
    ORDERING,
    RATIOS,
    STALE,
    attempt,
    part,
    part_verdict,
    verdict,
    within,
)

from repro.review import overview, pages
from repro.review.book import STATES, Book
from repro.review.overview import attributes, row_of
from repro.review.pictures.sparks import REACH, Place, axis, place_of, spark
from repro.schema.claim import Margin, Part, Rule
from repro.schema.verdict import PartVerdict


def shape(svg: str) -> str:
    """Return what draws the mark."""
    return next(tag for tag in re.findall(r"<[^>]*>", svg) if 'class="dot' in tag)


@pytest.mark.parametrize(
    ("sealed", "decided", "wanted"),
    [
        pytest.param(
            part("0.49", within(0.12)), part_verdict(0.49, "match", 0.52, 0.03), (0.25, 0.0, 0.5, -1, 1), id="margin"
        ),
        pytest.param(
            part("1.04", Rule("rounds_to")),
            part_verdict(1.04, "mismatch", 1.055, margin=None),
            (3.0, 3.0, 3.0, -1, 1),
            id="the rounding is the unit where it alone decides",
        ),
        pytest.param(
            part("1.04", Rule("rounds_to", Margin(absolute=0.005), "Their printing.")),
            part_verdict(1.04, "match", 1.045, margin=0.005),
            (0.5, 0.5, 0.5, -1, 1),
            id="rounding and margin together",
        ),
        pytest.param(
            part("20", Rule("equivalence", Margin(factor=2.0), "Close.")),
            part_verdict(20.0, "mismatch", 80.0, margin=math.log(2), low=40.0, high=160.0, scale="log"),
            (2.0, 1.0, 3.0, -1, 1),
            id="a factor counts in logs",
        ),
        pytest.param(
            part("0.85", Rule("at_least", Margin(absolute=0.1), "Noise.")),
            part_verdict(0.85, "match", 0.95, 0.05, margin=0.1),
            (1.0, 0.5, 1.5, -1, math.inf),
            id="open above",
        ),
        pytest.param(
            part("0.85", Rule("at_most")),
            part_verdict(0.85, "match", 0.84, margin=None),
            (-2.0, -2.0, -2.0, -math.inf, 0),
            id="a threshold that is rounded, open below",
        ),
        pytest.param(
            part("20", Rule("equivalence", Margin(factor=2.0), "Close.")),
            part_verdict(20.0, "inconclusive", 10.0, margin=math.log(2), low=-5.0, high=20.0, scale="log"),
            (-1.0, -math.inf, 0.0, -1, 1),
            id="an interval that reaches below zero has no end in logs",
        ),
    ],
)
def test_an_estimate_lies_where_its_margin_puts_it(
    sealed: Part, decided: PartVerdict, wanted: tuple[float, ...]
) -> None:
    place = place_of(sealed, decided)
    assert place is not None
    assert (place.value, place.low, place.high, *place.band) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("sealed", "decided"),
    [
        pytest.param(part("0.49", within(0.12)), part_verdict(0.49, "inconclusive", None), id="nothing measured"),
        pytest.param(
            part("0", Rule("ordering")), part_verdict(0.0, "match", 0.2, 0.1, margin=0.0), id="an order has no margin"
        ),
        pytest.param(
            part("0.12", Rule("at_least"), approximate=True),
            replace(part_verdict(0.12, "match", 0.2, 0.05, margin=0.0), half_width=0.0),
            id="a threshold without margin and rounding",
        ),
        pytest.param(part("0.49", within(0.12)), part_verdict(0.49, "match", math.nan), id="not a number"),
    ],
)
def test_what_has_no_unit_or_value_has_no_place(sealed: Part, decided: PartVerdict) -> None:
    assert place_of(sealed, decided) is None


def test_the_shape_of_the_mark_tells_the_outcome_without_colour() -> None:
    shapes = {name: shape(spark(Place(0.0, -1.0, 1.0, (-1, 1), name))) for name in STATES[:3]}
    assert shapes["match"].startswith("<circle")
    assert shapes["mismatch"].startswith("<path")
    assert "hollow" in shapes["inconclusive"]
    assert len(set(shapes.values())) == 3


@pytest.mark.parametrize(
    ("low", "value", "high", "arrows"),
    [(-1.0, 0.0, 1.0, 0), (-4.0, 0.0, 1.0, 1), (2.0, 3.0, 3.5, 1), (-9.0, 0.0, math.inf, 2), (7.0, 8.0, 9.0, 1)],
)
def test_what_lies_beyond_the_axis_becomes_an_arrow(low: float, value: float, high: float, arrows: int) -> None:
    svg = spark(Place(value, low, high, (-1, 1), "mismatch"))
    assert svg.count('class="arrow"') == arrows
    drawn = [float(x) for x in re.findall(r"[MHV ](\d+(?:\.\d+)?)", svg)]
    assert max(drawn) <= 176


def test_an_exact_value_has_a_mark_and_no_bar() -> None:
    svg = spark(Place(0.5, 0.5, 0.5, (-1, 1), "match"))
    assert 'class="reach"' not in svg
    assert 'aria-label="+0.5 margins from the published value: match"' in svg


def test_a_plot_says_its_numbers_in_words_and_is_grey_where_it_does_not_count() -> None:
    svg = spark(Place(0.193, -0.074, 12.0, (-1, 1), "inconclusive"), counts=False)
    assert 'class="spark idle"' in svg
    assert "+0.19 margins from the published value, interval −0.074 to +12: inconclusive" in svg
    assert "beyond all bounds" in spark(Place(math.inf, 1.0, math.inf, (0, math.inf), "match"))


def test_plots_carry_no_style_of_their_own() -> None:
    for svg in (*(spark(place) for place, _ in overview.EXAMPLES), axis()):
        assert "style" not in svg
        assert "fill=" not in svg
        Page(svg)
    assert re.findall(r">([^<]+)</text>", axis()) == ["−3", "−2", "−1", "0", "+1", "+2", "+3"]
    assert REACH == 3


def test_a_row_holds_what_a_reader_filters_by(book: Book) -> None:
    row = row_of(book, EXPONENT)
    assert (row.state, row.topics, row.kinds) == ("match", ("widgets",), ("replication",))
    assert row.scales == {"gpu": "match", "cpu": "inconclusive"}
    assert row.validities == ("current",)
    assert row.distance == pytest.approx((0.61 - 0.49) / 0.12)
    assert [result.standing.scale for result in row.results] == ["gpu", "cpu"]
    assert row_of(book, STALE).validities == ("stale",)
    assert row_of(book, STALE).distance is None
    assert [result.counts for result in row_of(book, STALE).results] == [False]


@pytest.mark.parametrize(
    ("claim", "wanted"),
    [
        (EXPONENT, ' data-topic="widgets" data-kind="replication" data-scale="gpu cpu" data-at-scale="gpu:match cpu:inconclusive" data-validity="current" data-distance="1"'),
        (FACTOR, ' data-topic="widgets" data-kind="conceptual_replication" data-scale="cpu" data-at-scale="cpu:mismatch" data-validity="current" data-distance="2.087"'),
        (BLOCKED, ""),
        (NOT_RUN, ' data-topic="clinic" data-kind="recomputation"'),
        (ORDERING, ' data-topic="widgets" data-kind="replication" data-scale="cpu" data-at-scale="cpu:inconclusive" data-validity="current"'),
    ],
)  # fmt: skip
def test_a_row_tells_the_script_what_it_holds(book: Book, claim: object, wanted: str) -> None:
    assert attributes(row_of(book, claim)) == wanted


def test_of_many_parts_those_stand_there_that_say_most(book: Book) -> None:
    names = [f"p{n}" for n in range(9)]
    claim = replace(EXPONENT, parts={name: part("0.49", within(0.12)) for name in names})
    outcomes = dict(zip(names, ["match"] * 6 + ["mismatch", "inconclusive", "mismatch"], strict=True))
    parts = {
        name: part_verdict(0.49, outcome, 0.49 + 0.01 * n, 0.01) for n, (name, outcome) in enumerate(outcomes.items())
    }
    made = attempt(claim, "retrain", "gpu", verdict(parts, "mismatch"))
    (result,) = row_of(replace(book, claims={claim.id: claim}, attempts=(made,)), claim).results
    assert [line.name for line in result.lines] == ["p5", "p6", "p7", "p8"]
    assert result.others == {"match": 5}
    assert result.distance == pytest.approx(0.08 / 0.12)


def test_five_parts_stand_there_in_full(book: Book) -> None:
    (result,) = row_of(book, RATIOS).results
    assert [line.name for line in result.lines] == list(RATIOS.parts)
    assert result.others == {}
    words = Page(pages.overview_page(book)).words
    assert "1.1B 1.04 → 1.055" in words


def test_the_page_draws_every_estimate_once_and_explains_the_axis_once(book: Book) -> None:
    html = pages.overview_page(book)
    page = Page(html)
    drawn = [
        line.place for claim in book.claims.values() for result in row_of(book, claim).results for line in result.lines
    ]
    sparks = [a for a in page.all("svg") if "spark" in (a["class"] or "").split()]
    assert len(sparks) == sum(place is not None for place in drawn) + len(overview.EXAMPLES) + 1
    assert all(a["role"] == "img" and a["aria-label"] for a in sparks)
    assert page.words.count("The small plots share one axis") == 1
    assert not page.all("img")
    rows = [a for a in page.all("tr") if "data-verdict" in a]
    assert [a["data-verdict"] for a in rows].count("mismatch") == 2
    assert {a["data-paper"] for a in page.all("section") if "data-paper" in a} == {"widgets", "clinic", "hostile"}


def test_a_hostile_name_stays_inside_its_attribute(book: Book) -> None:
    study = replace(HOSTILE_CLAIM.protocols["pro"], study='x" onclick="alert(1)/y')
    claim = replace(HOSTILE_CLAIM, protocols={"pro": study})
    html = pages.overview_page(replace(book, claims={**book.claims, claim.id: claim}))
    rows = [a for a in Page(html).all("tr") if "onclick" in str(a)]
    assert [a["data-topic"] for a in rows] == ['x" onclick="alert(1)']


def test_the_page_stays_small(book: Book) -> None:
    """1,000 claims with an attempt each make at most 1 MB, compressed."""
    (judged,) = (a.verdict for a in book.attempts if a.claim == RATIOS.id)
    claims = {f"widgets/c{n}": replace(RATIOS, id=f"widgets/c{n}") for n in range(1000)}
    made = tuple(attempt(claim, "count", "full", judged) for claim in claims.values())
    html = pages.overview_page(replace(book, claims=claims, attempts=made))
    assert html.count('class="spark mismatch"') == 1000 + 1
    assert len(gzip.compress(html.encode(), 6)) < 1_000_000
