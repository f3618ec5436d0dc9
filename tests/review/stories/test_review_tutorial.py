"""Tutorials: every number comes from the book, and a place that cannot be filled says why."""

from dataclasses import replace

import pytest
from markupsafe import Markup
from page_reader import Page
from scaling_book import GROWTH, TUTORIAL, judged, runs, scaling_book

from repro.review.book import Book
from repro.review.pages import overview_page
from repro.review.pictures.charts import charts_of
from repro.review.stories.directives import INLINE
from repro.review.stories.markdown import html_of, title_of
from repro.review.stories.place import Place
from repro.review.stories.tutorial import fill, fill_fence, tutorial_page
from repro.schema.errors import StoreError


def filled(book: Book, words: str) -> str:
    """Return the text of a place."""
    name, *given = words.split()
    return Page(str(fill(Place(book, "../"), name, given))).words


def fenced(book: Book, info: str, *lines: str) -> Page:
    name, *given = info.split()
    return Page(str(fill_fence(Place(book, "../", Markup), name, given, lines)))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("published laws/growth", "0.49"),
        ("printed laws/growth", "0.49"),
        ("rule laws/growth", "within ± 0.12 of 0.49"),
        ("margin laws/growth", "± 0.12"),
        ("rival laws/growth other", "0.73"),
        ("measured laws/growth retrain cpu", "0.43 (0.33 to 0.53, 90 %)"),
        ("measured laws/growth retrain gpu", "○ planned"),
        ("verdict laws/growth retrain cpu", "? inconclusive this scale does not decide"),
        ("verdict laws/growth retrain gpu", "○ planned"),
        ("control laws/growth retrain cpu untuned", "0.790 (0.740 to 0.840, 90 %) : ✓ failed, as it must"),
        ("control laws/growth retrain gpu untuned", "○ planned"),
        ("runs laws/growth retrain cpu", "15"),
        ("runs laws/growth retrain gpu", "○ planned"),
        ("figure laws/growth retrain cpu sum flops", "5.55×10¹⁴"),
        ("figure laws/growth retrain cpu most budget 0.001", "10¹¹"),
        ("setting laws/growth retrain cpu budget", "10¹², 10¹³, 10¹⁴"),
        ("took laws/growth retrain cpu", "23 min 52 s"),
        ("machine laws/growth retrain cpu", "Example CPU 2.4 GHz (cpu)"),
        ("plan laws/growth retrain gpu", "63 training runs and 28 of controls, 7.2×10¹⁶ FLOPs on a GPU"),
        ("plan laws/growth retrain cpu", "not worked out here: repro plan laws/growth scale=cpu says it"),
        ("paper_flops laws/growth", "5.76×10²³ FLOPs"),
        ("statement laws/growth", GROWTH.statement),
        ("link laws/growth the page of it", "the page of it"),
        ("compared growth", "How fast should a widget grow?"),
        ("planned", "○ planned"),
    ],
)
def test_a_place_is_filled_from_the_book(words: str, shown: str) -> None:
    assert filled(scaling_book(), words) == shown


def test_every_directive_was_tried() -> None:
    tried = {case[0].split()[0] for case in test_a_place_is_filled_from_the_book.pytestmark[0].args[1]}  # type: ignore[attr-defined]
    assert set(INLINE) - tried == {"extra"}


def test_a_figure_beside_the_estimate() -> None:
    book = scaling_book()
    attempt = book.attempts[0]
    assert attempt.verdict is not None
    found = attempt.verdict.parts["value"]
    known = replace(found, estimate=replace(found.estimate, extras={"seed_sd": 0.00619}))
    told = replace(book, attempts=(replace(attempt, verdict=replace(attempt.verdict, parts={"value": known})),))
    assert filled(told, "extra laws/growth retrain cpu seed_sd") == "0.00619"
    assert filled(book, "extra laws/growth retrain gpu seed_sd") == "○ planned"
    assert "no figure 'sed_sd'. Did you mean 'seed_sd'" in filled(told, "extra laws/growth retrain cpu sed_sd")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("mesured laws/growth retrain cpu", "Did you mean 'measured'"),
        ("measured laws/growht retrain cpu", "Did you mean 'laws/growth'"),
        ("measured laws/growth retrian cpu", "Did you mean 'retrain'"),
        ("measured laws/growth retrain cqu", "has no scale 'cqu'"),
        ("measured laws/growth retrain", "takes other words: {measured claim protocol scale part}"),
        ("measured laws/growth retrain cpu none much", "takes other words"),
        ("published laws/growth slope", "has no part 'slope'"),
        ("rival laws/growth ather", "Did you mean 'other'"),
        ("control laws/growth retrain cpu tuned", "Did you mean 'untuned'"),
        ("figure laws/growth retrain cpu all flops", "'all' is no summary"),
        ("figure laws/growth retrain cpu sum flop", "Did you mean 'flops'"),
        ("figure laws/growth retrain cpu sum flops x", "'x' is no number to multiply 'flops' with"),
        ("setting laws/growth retrain cpu with", "The runs have no setting 'with'"),
        ("compared growht", "Did you mean 'growth'"),
    ],
)
def test_a_place_that_names_what_is_not_there_says_so(words: str, told: str) -> None:
    assert told in filled(scaling_book(), words)
    assert 'class="flag broken"' in fill(Place(scaling_book(), ""), words.split()[0], words.split()[1:])


def test_a_number_that_does_not_count_is_marked() -> None:
    book = scaling_book()
    stale = replace(book, stale={book.attempts[0].id: ("The margin was another.",)})
    assert filled(stale, "measured laws/growth retrain cpu").endswith("stale")
    hint = judged(runs())
    indicative = replace(book, attempts=(replace(hint, sealed=replace(hint.sealed, indicative=True)),))
    assert "indicative" in filled(indicative, "verdict laws/growth retrain cpu")


def test_settings_of_any_kind_can_be_told() -> None:
    trials = [
        replace(one, config={**one.config, "kind": kind, "widths": [8, 16]})
        for one, kind in zip(runs(), ["a", None, True] * 5, strict=True)
    ]
    book = scaling_book(trials)
    assert filled(book, "setting laws/growth retrain cpu kind") == "a, None, True"
    assert filled(book, "setting laws/growth retrain cpu widths") == "[8, 16]"


def test_fences_hold_charts_pictures_tables_and_what_ran() -> None:
    book = scaling_book()
    attempt = book.attempts[0]
    chart = fenced(book, "chart", "isoflop laws/growth retrain cpu", "surface laws/growth retrain gpu")
    (image,) = chart.all("img")
    assert image["alt"] == charts_of(book, attempt)[0].alt
    assert "○ planned Loss by size and data" in chart.words
    picture = fenced(book, "picture", "laws/growth retrain cpu", "laws/growth retrain gpu")
    assert picture.all("img")[0]["src"] == f"../attempt/{attempt.id}.svg"
    assert "Nobody has run this here yet: 63 training runs" in picture.words
    table = fenced(book, "verdicts cpu gpu", "laws/growth retrain", "laws/growth read")
    assert "0.43 (0.33 to 0.53, 90 %)" in table.words
    assert "63 training runs" in table.words
    assert "—" in table.words  # the study of a table has neither scale
    assert len(fenced(book, "comparison", "growth").all("img")) == 1
    assert fenced(book, "ran laws/growth retrain cpu", "It ran.").words == "It ran."
    assert (
        "repro run laws/growth scale=gpu protocol=retrain" in fenced(book, "ran laws/growth retrain gpu", "No.").words
    )


@pytest.mark.parametrize(
    ("info", "line", "told"),
    [
        ("chart", "isoflip laws/growth retrain cpu", "There is no chart 'isoflip'"),
        ("chart", "isoflop laws/growth", "must hold a kind of chart, a claim, a protocol and a scale"),
        ("comparison", "growht", "Did you mean 'growth'"),
        ("verdicts", "laws/growth", "must hold a claim and a protocol"),
        ("ran laws/growth", "x", "must hold a claim, a protocol and a scale"),
        ("picure", "x", "Did you mean 'picture'"),
    ],
)
def test_a_fence_that_is_wrong_says_so(info: str, line: str, told: str) -> None:
    assert told in fenced(scaling_book(), info, line).words


def test_a_chart_that_the_runs_do_not_allow_for_is_named() -> None:
    book = scaling_book(runs()[:5])
    assert "has no chart “IsoFLOP profiles”" in fenced(book, "chart", "isoflop laws/growth retrain cpu").words


def test_the_page_is_whole_and_escapes_what_it_is_given() -> None:
    book = scaling_book()
    html = tutorial_page(book, "growth")
    page = Page(html)
    assert "flag broken" not in html
    assert "<b>" not in html
    assert page.own_scripts_only
    assert [link["href"] for link in page.all("a") if (link["href"] or "").startswith("http")] == [
        "https://example.org"
    ]
    assert "See elsewhere and the web" in page.words
    assert "Never shown" not in page.words
    assert "15 runs" in page.words
    assert page.words.count("planned") >= 4
    assert html == tutorial_page(scaling_book(), "growth")
    with pytest.raises(StoreError, match="Did you mean 'growth'"):
        tutorial_page(book, "growht")


def test_the_overview_leads_to_it() -> None:
    links = {link["href"] for link in Page(overview_page(scaling_book())).all("a")}
    assert "tutorial/growth.html" in links


def test_a_text_without_places_is_plain_markdown() -> None:
    def refuse(*given: object) -> Markup:
        raise AssertionError(given)

    html = html_of(
        "# A\n\n`x` and `repro list`\n\n```\n<code>\n```\n\n![p](x.png)\n\n[j](javascript:alert(1))", refuse, refuse
    )
    assert "<code>x</code>" in html
    assert '<code class="command">repro list</code>' in html
    assert "&lt;code&gt;" in html
    assert "<img" not in html
    assert "javascript" not in html or "href" not in html
    assert title_of(TUTORIAL) == "Did it grow?"
    assert title_of("no heading") == "Untitled"
