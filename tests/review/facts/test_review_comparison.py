"""Comparisons: one quantity over many papers, with what was measured here and what is only planned."""

import csv
import io
from copy import deepcopy
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from page_reader import Page
from review_book import part_verdict, verdict
from scaling_book import COMPARISON, judged, runs, scaling_book

from repro.review.facts.comparison import comparisons_with, parse_comparison, sections
from repro.review.facts.planning import cost_text, planned_text
from repro.review.pages import claim_page, overview_page
from repro.review.pictures import exponents
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.site import site
from repro.review.stories.tutorial import comparison_csv, comparison_figure, comparison_page
from repro.schema.errors import ConfigError, StoreError
from repro.schema.planned import PlannedCost


def content(**entry: Any) -> dict[str, Any]:
    found = deepcopy(COMPARISON)
    found["groups"][0]["entries"][0] |= entry  # type: ignore[index]
    return found


def test_a_group_lists_published_measured_and_planned() -> None:
    book = scaling_book()
    first, second = sections(book, book.comparisons["growth"])
    assert [(line.label, line.kind) for line in first.lines] == [
        ("profiles", "published"),
        ("ours (cpu)", "inconclusive"),
        ("ours (gpu)", "planned"),
    ]
    published, measured, planned = first.lines
    assert (published.value, published.text) == (0.49, "0.49")
    assert (measured.value, measured.text) == (0.43, "0.43 (0.33 to 0.53)")
    assert (measured.low, measured.high) == pytest.approx((0.33, 0.53))
    assert "63 training runs and 28 of controls, 7.2×10¹⁶ FLOPs on a GPU" in planned.said
    (line,) = second.lines  # the claim that is not in the catalogue is left out
    assert (line.label, line.value, line.note) == ("a figure", 0.88, "From a legend.")
    assert line.said.startswith("secondary: ")


def test_an_attempt_that_does_not_count_says_so_and_is_not_filled() -> None:
    book = scaling_book()
    stale = replace(book, stale={book.attempts[0].id: ("The margin was another.",)})
    line = sections(stale, book.comparisons["growth"])[0].lines[1]
    assert (line.kind, line.said) == ("uncounted", "does not count: stale")


def test_an_attempt_without_a_value_has_no_mark() -> None:
    book = scaling_book()
    none = replace(book, attempts=(judged(runs(), None),))
    line = sections(none, book.comparisons["growth"])[0].lines[1]
    assert (line.value, line.text) == (None, "inconclusive")
    assert (
        ElementTree.fromstring(
            exponents.draw(
                [replace(s) for s in sections(none, book.comparisons["growth"])],
                book.comparisons["growth"].quantity,
                WIDE,
                "t",
            )
        )
        is not None
    )


def test_what_ran_at_smoke_is_no_result() -> None:
    book = scaling_book()
    smoke = replace(book, attempts=(judged(runs(), scale="smoke"),))
    kinds = [line.kind for line in sections(smoke, book.comparisons["growth"])[0].lines]
    assert kinds == ["published", "planned", "planned"]


def test_a_figure_beside_an_estimate_can_be_listed() -> None:
    book = scaling_book()
    found = part_verdict(0.49, "match", 0.1, 0.05)
    found = replace(found, estimate=replace(found.estimate, extras={"step": 0.7, "se_step": 0.02}))
    attempt = replace(book.attempts[0], verdict=verdict(found, "match"))
    entry = {"published": False, "figure": "step", "figure_se": "se_step", "planned": []}
    comparison = parse_comparison("growth", content(**entry), "growth.yaml")
    (line,) = sections(replace(book, attempts=(attempt,)), comparison)[0].lines
    assert (line.kind, line.value, line.text) == ("figure", 0.7, "0.700 (0.660 to 0.740)")
    assert (line.low, line.high) == pytest.approx((0.66, 0.74))
    assert "not judged itself" in line.said
    missing = parse_comparison("growth", content(**{**entry, "figure": "nothing"}), "growth.yaml")
    (line,) = sections(replace(book, attempts=(attempt,)), missing)[0].lines
    assert (line.kind, line.value) == ("uncounted", None)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"claim": ""}, "takes its value from a 'claim' or gives a 'target'; one of the two"),
        ({"target": {"printed": "1"}}, "one of the two"),
        ({"planned": ["gpus"]}, "plans the scale 'gpus'. Did you mean 'gpu'"),
        ({"protocol": "retrain"}, "unknown key 'protocol'"),
        ({"measured": "ours {machine}"}, "may hold {scale} and {protocol} and no other braces"),
    ],
)
def test_a_comparison_that_is_wrong_is_refused_in_a_sentence(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_comparison("growth", content(**changed), "growth.yaml")
    assert "growth.yaml" in str(caught.value)
    assert told in str(caught.value)


def test_the_page_has_picture_words_and_a_link_to_every_claim_and_attempt() -> None:
    book = scaling_book()
    page = Page(comparison_page(book, "growth"))
    links = {link["href"] for link in page.all("a")}
    assert {"../claim/laws/growth.html", f"../attempt/{book.attempts[0].id}.html"} <= links
    (image,) = page.all("img")
    assert image["src"] == "../comparison/growth.svg"
    assert "ours (cpu): 0.43 (0.33 to 0.53), inconclusive" in (image["alt"] or "")
    for words in ("Two papers disagree.", "planned, not run yet", "Mind the counting.", "From a legend.", "secondary"):
        assert words in page.words
    assert page.own_scripts_only
    with pytest.raises(StoreError, match="Did you mean 'growth'"):
        comparison_page(book, "growht")


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_holds_every_line(width: int) -> None:
    book = scaling_book()
    svg = comparison_figure(book, "growth", width)
    assert svg == comparison_figure(scaling_book(), "growth", width)
    root = ElementTree.fromstring(svg)
    assert float(root.attrib["width"]) == width
    written = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for text in ("First paper", "profiles", "ours (cpu)", "ours (gpu)", "planned", "0.88", "0.43 (0.33 to 0.53)"):
        assert text in written


def test_the_numbers_of_the_picture_are_a_file_that_the_page_names() -> None:
    book = scaling_book()
    rows = list(csv.DictReader(io.StringIO(comparison_csv(book, "growth"))))
    lines = [line for section in sections(book, book.comparisons["growth"]) for line in section.lines]
    assert [row["line"] for row in rows] == [line.label for line in lines]
    measured = next(row for row in rows if row["attempt"] == book.attempts[0].id)
    of = next(line for line in lines if line.attempt is book.attempts[0])
    assert [float(measured[name]) for name in ("value", "low", "high")] == [of.value, of.low, of.high]
    assert {row["value"] for row in rows if row["kind"] == "planned"} == {""}
    address = "comparison/growth.csv"
    assert f"../{address}" in {link["href"] for link in Page(comparison_page(book, "growth")).all("a")}
    assert site(book)[address]() == comparison_csv(book, "growth")


def test_the_axis_holds_every_value_but_not_an_endless_interval() -> None:
    book = scaling_book()
    found = sections(book, book.comparisons["growth"])
    low, high = exponents.limits(found)
    assert low < 0.33
    assert high > 0.88
    wild = replace(found[0].lines[1], low=-50.0, high=50.0)
    far = [replace(found[0], lines=(found[0].lines[0], wild)), *found[1:]]
    assert exponents.limits(far)[1] < 2
    assert exponents.limits([]) == (0.0, 1.0)


def test_claims_and_overview_lead_to_it() -> None:
    book = scaling_book()
    assert [comparison.id for comparison in comparisons_with(book, "laws/growth")] == ["growth"]
    for html, root in ((claim_page(book, "laws/growth"), "../../"), (overview_page(book), "")):
        assert f"{root}comparison/growth.html" in {link["href"] for link in Page(html).all("a")}


def test_costs_read_as_sentences() -> None:
    assert cost_text(PlannedCost(1, 0, None, "cpu")) == "1 trial on a CPU"
    assert cost_text(
        PlannedCost(5, 1, 1e12, "cpu")
    ) == "5 training runs and 1 of controls, 10¹² FLOPs on a CPU".replace("10¹²", "1×10¹²")
    assert planned_text(scaling_book(), "laws/growth", "retrain", "cpu") == "planned, not run yet"
