"""Pages that say how far a verdict can be trusted: sentences, tables, odds, plots, and marks that stay."""

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from page_reader import Page
from review_book import made_book
from rich.console import Console
from trust_book import ELSEWHERE, FIRST, FLOPS, ORDER, ORDERED, SLOPE, TABLED, trust_book

from repro.cli.render import claim_view, result_panel, summary
from repro.cli.trust_view import trust_view
from repro.ledger.fast import LatestVerdict
from repro.review.book import Book, indicative
from repro.review.pages import attempt_page, claim_page, overview_page
from repro.review.pictures.figures import _picture, alt_text, has_bias, has_prediction, interval_figure
from repro.review.site import site
from repro.schema.claim import Paper

POWER = "If the claim were false by the rival's value (gadgets law, 0.73), it would notice 97 times in 100 (95 to 98)."


@pytest.fixture
def book() -> Book:
    return trust_book()


def told(make: Callable[..., object], *arguments: object) -> str:
    """Return what a terminal of 100 columns shows, on one line."""
    stream = io.StringIO()
    Console(file=stream, width=100, color_system=None).print(make(*arguments))
    return " ".join(stream.getvalue().replace("│", " ").split())


def test_every_page_of_the_book_is_balanced_and_has_captions(book: Book) -> None:
    for address, make in site(book, live=True, prior="0.3").items():
        if address.endswith(".html"):
            page = Page(make())
            assert len(page.all("caption")) == len(page.all("table")), address
            assert not [1 for _, attributes in page.elements if "style" in attributes]
            names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
            assert len(names) == len(set(names)), address
            described = {a["aria-labelledby"] for _, a in page.elements if "aria-labelledby" in a}
            assert described <= set(names)


@pytest.mark.parametrize("make", [lambda b: claim_page(b, SLOPE.id), lambda b: attempt_page(b, FIRST.id)])
def test_the_error_rates_stand_in_plain_words_and_in_a_table(book: Book, make: Callable[[Book], str]) -> None:
    words = Page(make(book)).words
    for text in (
        "How far to trust this verdict",
        "If the claim were true, this protocol would say so 93 times in 100 (90 to 95).",
        "If the claim were false by just the margin (above), it would wrongly match 4 times in 100 (2 to 6).",
        POWER,
        "false by just the margin (below) true value 0.37 2 (1 to 4) 93 (90 to 95) 5 (3 to 8)",
        "Trial records were simulated, and went through the sealed estimator and the rule. 400 draws a case",
        "✓ match plain, ? inconclusive hollow, ✗ mismatch hatched",
    ):
        assert text in words, text


def test_a_protocol_that_is_not_calibrated_says_how_to(book: Book) -> None:
    assert (
        "Not calibrated yet: run repro calibrate widgets/slope@retrain@paper" in Page(claim_page(book, SLOPE.id)).words
    )
    bare = Page(claim_page(replace(book, calibrations={}), SLOPE.id)).words
    assert "no attempt that counts is calibrated, and a verdict of unknown error rates moves no odds" in bare
    assert "Nothing yet: no attempt has run." in Page(claim_page(book, "widgets/unrun")).words


def test_static_pages_have_a_table_of_priors_and_no_form(book: Book) -> None:
    page = Page(claim_page(book, SLOPE.id))
    assert page.all("form") == page.all("input") == page.all("button") == []
    for prior in ("5 %", "10 %", "25 %", "50 %", "75 %", "90 %"):
        assert f" {prior} " in page.words
    assert "Counts as nothing: it did not decide." in page.words
    assert "it counts as 3 to 1 at most" in page.words
    assert "the hardest falsehood to tell from it, an attempt counts least" in page.words


def test_a_reader_chooses_a_prior_on_the_server(book: Book) -> None:
    page = Page(claim_page(book, SLOPE.id, live=True, prior="30 %"))
    (form,) = page.all("form")
    assert (form["method"], form["action"]) == ("get", "#prior")
    (field,) = page.all("input")
    assert (field["name"], field["type"], field["value"]) == ("prior", "number", "0.3")
    assert page.all("label")[0]["for"] == field["id"]
    assert "30 % yours" in page.words


@pytest.mark.parametrize(
    "prior", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "", "1", "{{ 7*7 }}", "x" * 9999]
)
def test_a_hostile_prior_is_refused_and_shown_as_text(book: Book, prior: str) -> None:
    html = claim_page(book, SLOPE.id, live=True, prior=prior)
    page = Page(html)
    assert page.own_scripts_only
    assert not [a for a in page.all("img") if (a.get("src") or "").startswith("x")]
    (field,) = page.all("input")
    assert "value" not in field
    assert field["aria-describedby"] == "prior-refused"
    assert "not a prior A prior is a probability between 0 and 1" in page.words
    assert "49 }}" not in page.text
    assert len(html) < len(claim_page(book, SLOPE.id, live=True)) + 1000


def test_independent_attempts_are_shown_together_and_one_alone_is_not(book: Book) -> None:
    words = Page(claim_page(book, SLOPE.id)).words
    assert "Independent attempts together" in words
    assert "τ = " in words
    assert "95 % prediction interval of its true value" in words
    assert "Independent attempts together" not in Page(claim_page(book, ORDER.id)).words
    assert "Independent attempts together" not in Page(claim_page(book, "widgets/flops")).words
    images = [a["src"] for a in Page(claim_page(book, SLOPE.id)).all("img")]
    assert "../../claim/widgets/slope.together-1.svg" in images
    assert "claim/widgets/slope.together-1.svg" in site(book)


def test_indicative_stays_visible_in_words_on_every_page(book: Book) -> None:
    assert indicative(book) == 1
    for html in (
        overview_page(book),
        claim_page(book, ORDER.id),
        attempt_page(book, ORDERED.id),
        attempt_page(book, ELSEWHERE.id),
        claim_page(book, SLOPE.id),
    ):
        words = Page(html).words
        assert "(indicative)" in words
        assert "indicative sealed although its plan could hardly decide; whatever comes out is a hint." in words
    assert "1 of those decided rests on an attempt that is indicative" in Page(overview_page(book)).words
    assert "(indicative)" in interval_figure(ORDER, ORDERED)
    assert "indicative" not in Page(overview_page(made_book())).words
    orphan = Page(overview_page(replace(book, claims={SLOPE.id: SLOPE}))).words
    assert f"{ORDERED.id} ✓ match indicative" in orphan


def test_the_look_is_told(book: Book) -> None:
    assert "Decided at look 1 of 3." in Page(claim_page(book, SLOPE.id)).words


def test_what_stands_beside_a_verdict_is_on_the_page_and_in_the_picture(book: Book) -> None:
    words = Page(attempt_page(book, FIRST.id)).words
    for text in (
        "would land in 0.431 to 0.595 (95 % prediction interval); the published value does",
        "bias bar ± 0.021: how far the method misses by itself, without any noise",
        "a quartic in place of the parabola would move the value by −0.0063",
        "more runs narrow it",
        "Dotted: how far the method is known to miss, outside the interval.",
        "Dashed: where the original would land, measured once more.",
    ):
        assert text in words, text
    assert [row.kind for row in _picture(SLOPE, FIRST).rows] == ["published", "match", "bias", "prediction", "rival"]
    assert alt_text(SLOPE, FIRST).endswith(
        ": match. Known bias of the method: ± 0.021. The original, once more: 0.431 to 0.595 (95 %)."
    )
    assert has_bias(FIRST)
    assert has_prediction(SLOPE, FIRST)
    assert not has_bias(ORDERED)
    ordered = Page(attempt_page(book, ORDERED.id)).words
    assert "P(A > B) = 0.83, at least 0.61 with 95 % confidence" in ordered
    assert "a few runs lie far from the rest" in ordered
    assert "the runs fall into separate groups" in ordered


def test_a_table_of_many_long_names_keeps_what_tells_them_apart(book: Book) -> None:
    drawn = interval_figure(book.claims[TABLED.claim], TABLED)
    rows = _picture(book.claims[TABLED.claim], TABLED).rows
    assert len(rows) == 24
    shown = re.findall(r">([✓✗] [^<]*)</text>", drawn)
    assert len(shown) == len(set(shown)) == 24
    assert "part number 23 of a table" in alt_text(book.claims[TABLED.claim], TABLED)
    assert "tokens at 10000 flops" in Page(claim_page(book, TABLED.claim)).words


def test_a_terminal_shows_sentences_and_odds(book: Book) -> None:
    words = told(trust_view, book, SLOPE, 0.25)
    assert POWER in words
    assert "25 %" in words
    assert "retrain at paper: not calibrated yet: run repro calibrate widgets/slope@retrain@paper" in words
    assert "against “false by a rival's value”" in words
    assert "50 %" in told(trust_view, book, SLOPE)
    assert "No odds: no attempt that counts is calibrated." in told(trust_view, replace(book, calibrations={}), SLOPE)
    assert "would say so always" in told(trust_view, book, FLOPS)


def test_a_terminal_marks_what_is_indicative(book: Book) -> None:
    panel = told(result_panel, ORDER, ORDERED)
    assert "replicated at reduced scale (0.01 % of the paper's compute) (indicative)" in panel
    assert "indicative: sealed although its plan could hardly decide" in panel
    assert "P(A > B) = 0.83" in panel
    assert "(indicative)" in told(summary, [ORDERED])
    last = [
        LatestVerdict(ORDER.id, "paired", "cpu", "match", None, "current", "completed", ORDERED.started, ORDERED.id)
    ]
    paper = Paper("widgets", "Widgets", ("A",), 2023)
    assert "✓ match (indicative)" in told(claim_view, ORDER, paper, last, {ORDERED.id: ("indicative",)})
    assert "(indicative)" not in told(claim_view, ORDER, paper, last)
