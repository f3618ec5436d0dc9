"""Several attempts at one value: who is combined, in which units, and the plot of it."""

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from review_book import part_verdict, verdict
from scipy import stats
from trust_book import AGAIN, ELSEWHERE, FIRST, FLOPS, ORDER, ORDERED, REFIT, SLOPE, UNDECIDED, attempt, trust_book

from repro.review.book import Book
from repro.review.facts.combined import independent, left_out, together
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.forest import _picture, forest_figure, forest_size, forest_text
from repro.stats.meta import combine


def test_independent_attempts_are_combined_whatever_came_out() -> None:
    (found,) = together(trust_book(), SLOPE)
    assert [single.attempt.id for single in found.singles] == [UNDECIDED.id, REFIT.id, AGAIN.id, FIRST.id]
    assert ELSEWHERE.id not in [single.attempt.id for single in found.singles]
    assert found.combined == combine([0.6, 0.502, 0.471, 0.513], [0.1, 0.0055, 0.0205, 0.016])
    first = found.singles[-1]
    assert first.low == pytest.approx(0.513 - stats.t.ppf(0.975, 3) * 0.016)


def test_of_attempts_that_read_the_same_trials_the_latest_counts() -> None:
    book = trust_book()
    again = replace(AGAIN, id=f"{AGAIN.id}9", arms={"main": FIRST.arms["main"]}, started="2025-01-01T00:00:00+00:00")
    repeated = replace(book, attempts=(FIRST, again, REFIT))
    assert [a.id for a in independent(repeated, SLOPE.id)] == [again.id, REFIT.id]
    assert left_out(repeated, SLOPE.id) == {FIRST.id: again.id}
    assert left_out(book, SLOPE.id) == {}


@pytest.mark.parametrize(
    "attempts",
    [
        (FIRST,),
        (),
        (FIRST, replace(AGAIN, exploratory=True)),
        (FIRST, replace(AGAIN, execution="failed", verdict=None)),
    ],
)
def test_one_attempt_is_no_combination(attempts: tuple) -> None:
    assert together(replace(trust_book(), attempts=attempts), SLOPE) == ()


def test_exact_and_missing_values_are_not_combined() -> None:
    exact = attempt(
        SLOPE, "refit", "full", verdict(part_verdict(0.49, "match", 0.5, 0.0), "match"), ("x1",), arms={"main": ("x1",)}
    )
    empty = attempt(
        SLOPE,
        "refit",
        "full",
        verdict(part_verdict(0.49, "inconclusive", None), "inconclusive"),
        ("x2",),
        arms={"main": ("x2",)},
    )
    for other in (exact, empty):
        assert together(replace(trust_book(), attempts=(FIRST, other)), SLOPE) == ()


def test_factors_are_combined_in_logs() -> None:
    def tried(key: str, value: float, se: float) -> object:
        part = part_verdict(5.76e23, "match", value, 2 * se, scale="log", margin=0.0488, deviation=0.01)
        return attempt(FLOPS, "count", "full", verdict(part, "match"), (key,), arms={"main": (key,)})

    book = replace(trust_book(), attempts=(tried("a", 5.8e23, 5.8e21), tried("b", 5.7e23, 5.7e21)), studies={})
    (found,) = together(book, FLOPS)
    assert found.log
    assert found.combined.value == pytest.approx(math.sqrt(5.8 * 5.7) * 1e23)
    assert found.combined.low < found.combined.value < found.combined.high
    assert found.combined.prediction_low is None
    assert "true value of another" not in forest_text(FLOPS, found)
    assert [row.kind for row in _picture(FLOPS, found).rows] == ["published", "match", "match", "combined"]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_plot_is_well_formed_and_the_same_every_time(width: int) -> None:
    (found,) = together(trust_book(), SLOPE)
    drawn = forest_figure(SLOPE, found, width)
    root = ElementTree.fromstring(drawn)
    assert (float(root.get("width", "")), float(root.get("height", ""))) == forest_size(SLOPE, found, width)
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "combined" in texts
    assert drawn == forest_figure(SLOPE, found, width)


def test_the_plot_says_its_numbers_and_tells_bars_apart_by_shape() -> None:
    (found,) = together(trust_book(), SLOPE)
    told = forest_text(SLOPE, found)
    assert told.startswith(
        "Published 0.49. retrain at paper: 0.60 (0.28 to 0.92); refit at full: 0.502 (0.484 to 0.520)"
    )
    assert "the true value of another attempt would lie in" in told
    assert [row.kind for row in _picture(SLOPE, found).rows] == [
        "published",
        "inconclusive",
        "match",
        "match",
        "match",
        "combined",
        "prediction",
    ]


def test_orderings_with_an_error_can_be_combined_too() -> None:
    more = replace(ORDERED, id=f"{ORDERED.id}2", arms={"main": ("o7",)}, counter=2)
    book: Book = replace(trust_book(), attempts=(ORDERED, more))
    assert len(together(book, ORDER)) == 1
