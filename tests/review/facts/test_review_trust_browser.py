"""Error rates, odds and plots in a real browser: readable on a telephone, without colour, and by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from contrast import too_faint
from page_server import serving
from trust_book import trust_book

from repro.review.site import write_site

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
SLOPE = "claim/widgets/slope.html"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pages")
    write_site(trust_book(), out)
    return out


@pytest.fixture
def live() -> Iterator[str]:
    with serving(trust_book) as address:
        yield address


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1100])
def test_every_page_fits_and_complains_of_nothing(
    browser: "sync_api.Browser", pages: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url) if "icon" not in request.url else None)
    for file in sorted(pages.rglob("*.html")):
        page.goto(file.as_uri())
        page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (
            f"{file.name} scrolls sideways at {width}"
        )
    assert problems == []
    page.close()


def test_on_a_telephone_the_rates_stand_beside_their_words(browser: "sync_api.Browser", pages: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto((pages / SLOPE).as_uri())
    row = page.locator("table.rates tbody tr").first
    shown = " ".join(row.inner_text().split())
    assert shown == "true true value 0.49 93 (90 to 95) 6 (4 to 9) 0.5 (0.1 to 2) ✓"
    boxes = [cell.bounding_box() for cell in row.locator("td").all()]
    assert all(box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    labels = row.locator("td").evaluate_all("all => all.map(td => getComputedStyle(td, '::before').content)")
    assert labels == ['"Match"', '"Inconclusive"', '"Mismatch"', '"Together"']
    prior = page.locator("table.priors").bounding_box()
    assert prior is not None
    assert prior["x"] + prior["width"] <= 390
    page.close()


def test_a_bar_can_be_read_without_colour(browser: "sync_api.Browser", pages: Path) -> None:
    """A length is filled, hollow or hatched, bears the sign of its verdict where there is room, and is as long as its rate."""
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.goto((pages / SLOPE).as_uri())
    bar = page.locator("table.rates svg.bar").nth(3)
    widths = {kind: bar.locator(f"svg.{kind}").bounding_box()["width"] for kind in ("inconclusive", "mismatch")}
    assert widths["mismatch"] / (widths["mismatch"] + widths["inconclusive"]) == pytest.approx(0.97, abs=0.01)
    assert bar.locator("svg.mismatch rect[fill='url(#hatch)']").count() == 1
    assert bar.locator("svg.mismatch text").text_content() == "✗"
    solid = page.locator("table.rates svg.bar").first.locator("svg.match rect")
    hollow = page.locator("table.rates svg.bar").nth(1).locator("svg.inconclusive rect").first
    sheet = page.locator("table.rates").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert solid.evaluate("e => getComputedStyle(e).fill") != sheet
    assert hollow.evaluate("e => getComputedStyle(e).fill") == sheet
    assert page.locator("#hatch line").evaluate("e => getComputedStyle(e).stroke") != "none"
    page.close()


def test_a_keyboard_is_enough_to_choose_a_prior(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.goto(live + SLOPE)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "your-prior":
            break
    assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
    page.keyboard.type("0.07")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "submit"
    page.keyboard.press("Enter")
    page.wait_for_url("**/slope.html?prior=0.07#prior")
    assert page.get_by_text("7 % yours").is_visible()
    assert page.get_by_label("Your prior, between 0 and 1").input_value() == "0.07"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert problems == []
    page.close()


def test_a_prior_that_is_none_is_refused_aloud(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(live + SLOPE + "?prior=<script>alert(1)</script>")
    assert "'<script>alert(1)</script>'" in page.get_by_role("alert").inner_text()
    assert page.locator("table.priors tbody tr").count() == 6
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_without_scripts_nothing_is_missing(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(live + SLOPE + "?prior=0.3")
    assert page.get_by_text("30 % yours").is_visible()
    assert page.locator("table.rates").first.is_visible()
    page.close()


def test_the_plot_of_all_attempts_is_drawn_at_its_size(browser: "sync_api.Browser", pages: Path) -> None:
    for width, natural in ((390, 360), (1100, 880)):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto((pages / SLOPE).as_uri())
        picture = page.locator("section[aria-labelledby=together] img")
        picture.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('section[aria-labelledby=together] img').complete")
        assert picture.evaluate("image => image.naturalWidth") == natural
        assert picture.bounding_box()["width"] / natural > 0.75
        page.close()


def test_contrast_of_the_new_sections_is_enough(browser: "sync_api.Browser", live: str) -> None:
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto(live + SLOPE + "?prior=2")
        assert too_faint(page, "section.trust *, section[aria-labelledby=together] *") == []
        page.close()
