"""The static site in a real browser, from disk: nothing fails, all is visible, and a keyboard is enough."""

from pathlib import Path

import pytest
from contrast import too_faint

from repro.review.book import Book
from repro.review.site import write_site

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
EXPONENT = "claim/widgets/exponent.html"


@pytest.fixture
def pages(book: Book, tmp_path: Path) -> Path:
    write_site(book, tmp_path / "pages")
    return tmp_path / "pages"


def opened(browser: "sync_api.Browser", file: Path, **settings: object) -> "tuple[sync_api.Page, list[str]]":
    page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}, **settings})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda r: None if r.url.startswith("file://") else problems.append(f"left the disk: {r.url}"))
    page.goto(file.as_uri())
    return page, problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 400, 1100])
def test_every_page_opens_from_disk_without_a_complaint(
    browser: "sync_api.Browser", pages: Path, width: int, scheme: str
) -> None:
    for name in (
        "index.html",
        EXPONENT,
        "claim/widgets/ratios.html",
        "claim/clinic/headline.html",
        "claim/hostile/strings.html",
    ):
        page, problems = opened(browser, pages / name, viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.wait_for_load_state("networkidle")
        assert problems == []
        assert page.locator("h1").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways at {width}"
        page.close()


@pytest.mark.parametrize("width", [400, 1100])
def test_the_picture_is_drawn_at_its_size_and_readable(browser: "sync_api.Browser", pages: Path, width: int) -> None:
    page, _ = opened(browser, pages / EXPONENT, viewport={"width": width, "height": 800})
    picture = page.locator("figure img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('figure img').complete")
    box = picture.bounding_box()
    assert box is not None
    assert picture.evaluate("image => image.naturalWidth") == (360 if width == 400 else 880)
    # Letters are drawn 12 pixels high; shown smaller than 9 they cannot be read.
    assert box["width"] / picture.evaluate("image => image.naturalWidth") > 0.75
    assert "Measured 0.513 (90 % interval 0.481 to 0.545): match." in (picture.get_attribute("alt") or "")
    page.close()


def test_text_and_background_differ_enough_in_light_and_dark(browser: "sync_api.Browser", pages: Path) -> None:
    """WCAG 2.2 AA: a contrast of 4.5 for text, for every element that holds text."""
    for scheme in ("light", "dark"):
        for name in ("index.html", EXPONENT):
            page, _ = opened(browser, pages / name, color_scheme=scheme)
            assert too_faint(page) == [], f"{name} in {scheme}"
            page.close()


def test_a_keyboard_reaches_every_link_and_shows_where_it_is(browser: "sync_api.Browser", pages: Path) -> None:
    page, _ = opened(browser, pages / EXPONENT)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    wanted = page.locator("main a:visible, main summary:visible, main button:visible").count()
    reached = set()
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => { const e = document.activeElement; const s = getComputedStyle(e);
               return [e.tagName, [...document.querySelectorAll("*")].indexOf(e), s.outlineStyle, parseFloat(s.outlineWidth)]; }"""
        )
        if focused[0] == "BODY":
            break
        if focused[0] in ("A", "SUMMARY", "BUTTON"):
            reached.add(focused[1])
            assert focused[2] != "none"
            assert focused[3] >= 2
    assert len(reached) >= wanted
    page.close()


def test_details_open_by_keyboard_and_show_trials_and_provenance(browser: "sync_api.Browser", pages: Path) -> None:
    page, _ = opened(browser, pages / EXPONENT)
    summary = page.locator("summary", has_text="Trials").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("MemoryError: out of memory").first.is_visible()
    page.close()


def test_the_filter_hides_what_does_not_match_and_says_how_much_is_left(
    browser: "sync_api.Browser", pages: Path
) -> None:
    page, problems = opened(browser, pages / "index.html")
    page.get_by_label("Words").fill("mismatch exponent")
    assert page.locator("table.claims tbody tr:visible").count() == 1
    assert page.get_by_role("status").inner_text().startswith("1 of 8 claims: 1 match, 0 mismatch")
    assert page.locator("section.paper:visible").count() == 1
    page.get_by_label("Words").fill("")
    assert page.locator("table.claims tbody tr:visible").count() == 8
    assert problems == []
    page.close()


def test_tables_sort_by_number_where_the_column_holds_numbers(browser: "sync_api.Browser", pages: Path) -> None:
    page, problems = opened(browser, pages / "claim/widgets/ratios.html")
    page.get_by_role("button", name="Measured").first.click()
    table = page.locator("table", has=page.get_by_role("button", name="Measured")).first
    shown = [
        float(value)
        for value in table.locator("tbody td:nth-child(3) data").evaluate_all("all => all.map(d => d.value)")
    ]
    assert shown == sorted(shown)
    page.get_by_role("button", name="Measured").first.click()
    again = [
        float(value)
        for value in table.locator("tbody td:nth-child(3) data").evaluate_all("all => all.map(d => d.value)")
    ]
    assert again == sorted(shown, reverse=True)
    assert table.locator("thead th:nth-child(3)").get_attribute("aria-sort") == "descending"
    assert problems == []
    page.close()


def test_without_scripts_everything_is_there_and_no_dead_control(browser: "sync_api.Browser", pages: Path) -> None:
    page, problems = opened(browser, pages / "index.html", java_script_enabled=False)
    assert page.locator("table.claims tbody tr:visible").count() == 8
    assert page.locator("button, input").count() == 0
    page.locator("a", has_text="The widget exponent").click()
    assert page.locator("h1").inner_text().startswith("The widget exponent is close")
    assert problems == []
    page.close()
