"""Papers, topics, studies, two attempts and what next in a real browser: nothing fails, nothing overflows, all is readable."""

from dataclasses import replace
from pathlib import Path

import pytest
from contrast import too_faint
from review_book import EXPONENT, HOSTILE

from repro.review.addresses import compare_address
from repro.review.book import Book
from repro.review.facts.pairs import pairs_of
from repro.review.site import write_site
from repro.schema.planned import PlannedCost

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture
def addresses(book: Book, tmp_path: Path) -> list[Path]:
    study = replace(book.studies["widgets/isoflop"], data=("books_train", HOSTILE), note=HOSTILE)
    planned = {"widgets/ordering@paired@gpu": PlannedCost(63, 32, 9.4e16, "cuda")}
    written = replace(book, studies={study.id: study}, planned=planned)
    write_site(written, tmp_path)
    one, other = pairs_of(written, EXPONENT.id)[0]
    names = ["paper/widgets.html", "paper/hostile.html", "topics.html", "topic/widgets.html", "next.html"]
    names += ["study/widgets/isoflop.html", compare_address(EXPONENT.id, one.id, other.id)]
    return [tmp_path / name for name in names]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 1200])
def test_the_pages_fit_and_nothing_fails(
    browser: "sync_api.Browser", addresses: list[Path], width: int, scheme: str
) -> None:
    for file in addresses:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        problems: list[str] = []
        page.on("console", lambda message, said=problems: said.append(message.text))
        page.on("requestfailed", lambda request, said=problems: said.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        assert problems == [], file.name
        assert page.locator("h1").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{file.name} scrolls sideways"
        assert too_faint(page) == [], f"{file.name} in {scheme}"
        page.close()


def test_what_is_the_same_opens_by_keyboard(browser: "sync_api.Browser", addresses: list[Path]) -> None:
    page = browser.new_page()
    page.goto(addresses[-1].as_uri())
    equal = page.get_by_text("repro.stats.summary.mean_over_seeds")
    assert not equal.first.is_visible()
    page.locator("summary", has_text="by group").focus()
    page.keyboard.press("Enter")
    assert equal.first.is_visible()
    page.close()


def test_topics_and_what_next_are_one_click_away(browser: "sync_api.Browser", addresses: list[Path]) -> None:
    page = browser.new_page()
    page.goto(addresses[-2].as_uri())
    page.get_by_role("navigation").get_by_role("link", name="What next").click()
    assert page.locator("h1").inner_text() == "What a GPU-hour would decide"
    page.get_by_role("link", name="Topics").first.click()
    assert page.locator("h1").inner_text() == "Topics"
    page.close()
