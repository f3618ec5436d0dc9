"""Finding and ordering claims in a real browser, from disk: what is chosen is kept in the address."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from contrast import too_faint

from repro.review.book import Book
from repro.review.site import write_site

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture
def index(decent_book: Book, tmp_path: Path) -> str:
    write_site(decent_book, tmp_path / "site")
    return (tmp_path / "site/index.html").as_uri()


@pytest.fixture
def page(browser: "sync_api.Browser") -> "Iterator[sync_api.Page]":
    """A page that must raise no error and write nothing to the console."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    page.close()
    assert problems == []


def shown(page: "sync_api.Page") -> list[str]:
    return page.locator("table.claims tbody tr:visible code").all_inner_texts()


def asked(page: "sync_api.Page") -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


EVERY = [
    "clinic/bayes",
    "clinic/headline",
    "clinic/sensitivity",
    "widgets/exponent",
    "widgets/ordering",
    "widgets/ratios",
    "widgets/speed",
]


@pytest.mark.parametrize(
    ("label", "option", "wanted", "address"),
    [
        ("Paper", "Scaling Laws of Widgets (4)", EVERY[3:], {"paper": ["widgets"]}),
        ("Topic", "clinic (2)", ["clinic/bayes", "clinic/sensitivity"], {"topic": ["clinic"]}),
        ("Verdict", "mismatch (2)", ["widgets/ratios", "widgets/speed"], {"verdict": ["mismatch"]}),
        ("Verdict", "not run (2)", ["clinic/bayes", "clinic/sensitivity"], {"verdict": ["not_run"]}),
        ("Kind", "conceptual replication (1)", ["widgets/speed"], {"kind": ["conceptual_replication"]}),
        ("Run at scale", "gpu (1)", ["widgets/exponent"], {"scale": ["gpu"]}),
        ("Validity", "stale (1)", ["clinic/bayes"], {"validity": ["stale"]}),
    ],
)
def test_each_filter_leaves_what_fits_and_writes_itself_into_the_address(
    page: "sync_api.Page", index: str, label: str, option: str, wanted: list[str], address: dict[str, list[str]]
) -> None:
    page.goto(index)
    assert shown(page) == EVERY
    page.get_by_label(label, exact=True).select_option(label=option)
    assert shown(page) == wanted
    assert asked(page) == address


def test_words_and_filters_go_together_and_the_count_says_what_is_left(page: "sync_api.Page", index: str) -> None:
    page.goto(index)
    assert page.get_by_role("status").inner_text() == ""
    page.get_by_label("Run at scale").select_option("cpu")
    said = "3 of 7 claims, at scale cpu: 0 match, 1 mismatch, 2 inconclusive, 0 blocked"
    assert page.get_by_role("status").inner_text() == said
    page.get_by_label("Words").fill("widget EXPONENT")
    said = "1 of 7 claims, at scale cpu: 0 match, 0 mismatch, 1 inconclusive, 0 blocked"
    assert page.get_by_role("status").inner_text() == said
    assert page.locator("section.paper:visible").count() == 1
    page.wait_for_url("**text=widget+EXPONENT*")
    page.get_by_label("Words").fill("no such thing")
    said = "0 of 7 claims, at scale cpu: 0 match, 0 mismatch, 0 inconclusive, 0 blocked"
    assert page.get_by_role("status").inner_text() == said
    assert page.locator("section.paper:visible").count() == 0


def test_at_a_chosen_scale_the_verdict_is_that_of_this_scale(page: "sync_api.Page", index: str) -> None:
    page.goto(f"{index}?scale=cpu&verdict=match")
    assert shown(page) == []
    page.goto(f"{index}?scale=gpu&verdict=match")
    assert shown(page) == ["widgets/exponent"]
    page.goto(f"{index}?scale=cpu&verdict=inconclusive")
    assert shown(page) == ["widgets/exponent", "widgets/ordering"]


def test_a_deep_link_restores_filters_words_and_order(page: "sync_api.Page", index: str) -> None:
    page.goto(f"{index}?verdict=mismatch&text=widget&sort=distance")
    assert shown(page) == ["widgets/speed", "widgets/ratios"]
    assert page.get_by_label("Verdict").input_value() == "mismatch"
    assert page.get_by_label("Words").input_value() == "widget"
    assert page.get_by_label("Order").input_value() == "distance"
    page.locator("a", has_text="Sorting widgets").click()
    page.wait_for_url("**/claim/widgets/speed.html")
    page.go_back()
    assert shown(page) == ["widgets/speed", "widgets/ratios"]


def test_a_link_to_what_there_is_not_shows_everything(page: "sync_api.Page", index: str) -> None:
    page.goto(f"{index}?paper=%3Cscript%3E&sort=sideways&verdict=")
    assert shown(page) == EVERY
    assert page.get_by_role("button", name="Clear").is_hidden()


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("verdict", ["widgets/exponent", "widgets/ratios", "widgets/speed", "widgets/ordering"]),
        ("-distance", ["widgets/ratios", "widgets/speed", "widgets/exponent"]),
        ("distance", ["widgets/exponent", "widgets/speed", "widgets/ratios"]),
        ("claim", ["widgets/ratios", "clinic/headline"]),
    ],
)
def test_an_order_moves_claims_and_their_papers_and_stays_in_the_address(
    page: "sync_api.Page", index: str, order: str, wanted: list[str]
) -> None:
    page.goto(index)
    page.get_by_label("Order").select_option(order)
    assert asked(page) == {"sort": [order]}
    if order == "claim":
        # The first of a paper stands before the first of the next.
        assert page.locator("table.claims tbody tr:first-child code").all_inner_texts() == wanted
    else:
        assert shown(page)[: len(wanted)] == wanted
    page.get_by_label("Order").select_option("")
    assert shown(page) == EVERY


def test_clear_shows_everything_again_and_empties_the_address(page: "sync_api.Page", index: str) -> None:
    page.goto(f"{index}?scale=cpu&sort=-claim&other=kept#filter")
    page.get_by_role("button", name="Clear").press("Enter")
    assert shown(page) == EVERY
    assert asked(page) == {"other": ["kept"]}
    assert page.evaluate("document.activeElement.name") == "text"
    assert page.get_by_role("button", name="Clear").is_hidden()


def test_a_keyboard_reaches_every_filter_and_sees_where_it_is(page: "sync_api.Page", index: str) -> None:
    page.goto(f"{index}?scale=cpu")
    page.get_by_label("Words").focus()
    seen = []
    for _ in range(9):
        seen.append(page.evaluate("document.activeElement.name || document.activeElement.textContent"))
        assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
        page.keyboard.press("Tab")
    assert seen == ["text", "paper", "topic", "verdict", "kind", "scale", "validity", "sort", "Clear"]
    page.get_by_label("Verdict").focus()
    page.keyboard.type("ma")
    assert asked(page) == {"scale": ["cpu"], "verdict": ["match"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 1200])
def test_the_page_fits_and_can_be_read(browser: "sync_api.Browser", index: str, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{index}?verdict=mismatch")
    # A table that became cards hides what does not fit too.
    assert shown(page) == ["widgets/ratios", "widgets/speed"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert too_faint(page) == []
    band, paper = page.evaluate(
        """() => { const s = document.querySelector(".standing svg.spark");
           return [getComputedStyle(s.querySelector(".band")).fill, getComputedStyle(s.closest("table")).backgroundColor]; }"""
    )
    assert band != paper
    page.close()


def test_without_scripts_every_claim_and_plot_is_there(browser: "sync_api.Browser", index: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{index}?verdict=mismatch")
    assert shown(page) == EVERY
    assert page.locator(".standing svg.spark:visible").count() == 9
    assert page.locator("input, select, button").count() == 0
    page.close()
