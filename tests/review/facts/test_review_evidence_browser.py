"""Citing and evidence in a real browser: copying works, a keyboard is enough, and nothing leaves the disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from contrast import too_faint
from evidence_book import MISS, OURS, evidence_book, hostile_evidence_book
from page_server import serving
from review_book import FACTOR

from repro.review.addresses import attempt_address
from repro.review.facts import citing
from repro.review.site import write_site

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
SPEED = "claim/widgets/speed.html"
RATIOS = "claim/widgets/ratios.html"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pages")
    write_site(evidence_book(), out / "plain")
    write_site(hostile_evidence_book(), out / "hostile")
    return out


@pytest.fixture
def live() -> Iterator[str]:
    with serving(evidence_book) as address:
        yield address


def watched(page: "sync_api.Page") -> list[str]:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on("requestfailed", lambda request: problems.append(request.url) if "icon" not in request.url else None)
    return problems


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_every_page_fits_asks_for_nothing_elsewhere_and_complains_of_nothing(
    browser: "sync_api.Browser", pages: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    problems = watched(page)
    page.on("request", lambda r: None if r.url.startswith("file://") else problems.append(f"left the disk: {r.url}"))
    for file in sorted(pages.rglob("*.html")):
        page.goto(file.as_uri())
        page.wait_for_load_state("load")
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{file} scrolls sideways at {width}"
    assert problems == []
    page.close()


def test_a_button_copies_the_bibtex_exactly_under_the_strict_policy(browser: "sync_api.Browser", live: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    problems = watched(page)
    page.goto(live + SPEED)
    page.locator("summary", has_text="BibTeX").click()
    page.get_by_role("button", name="Copy BibTeX").click()
    page.get_by_text("Copied.", exact=True).wait_for()
    (each,) = citing.citing(evidence_book(), FACTOR)
    assert page.evaluate("navigator.clipboard.readText()") == each.text("bibtex")
    assert problems == []
    context.close()


def test_without_a_clipboard_the_text_is_selected_and_copied_by_hand(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(live + SPEED)
    page.get_by_role("button", name="Copy A sentence for a paper").click()
    page.get_by_text("Copied.", exact=True).wait_for()
    (each,) = citing.citing(evidence_book(), FACTOR)
    assert page.evaluate("getSelection().toString()").split() == each.text("sentence").split()
    page.close()


def test_a_keyboard_opens_every_format_and_reaches_its_button(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page()
    page.goto(live + SPEED)
    for label in ("BibTeX", "Markdown", "CFF", "CSL-JSON", "RIS"):
        page.locator("section[aria-labelledby=cite] summary", has_text=label).focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.copy") == label
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Copy {label}"
        assert page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Download"
    page.close()


def test_without_scripts_formats_open_and_no_dead_button_stands_there(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(live + SPEED)
    page.locator("summary", has_text="BibTeX").click()
    assert page.get_by_text("@misc{").first.is_visible() or page.get_by_text("@software{").first.is_visible()
    assert page.locator("button").count() == 0
    page.close()


def test_what_is_downloaded_is_the_published_evidence(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page()
    page.goto(live + SPEED)
    with page.expect_download() as waiting:
        page.get_by_role("link", name=f"{MISS.id.split('/')[1]}.evidence.zip").first.click()
    assert waiting.value.suggested_filename == f"{MISS.id.split('/')[1]}.evidence.zip"
    assert Path(waiting.value.path()).read_bytes() == evidence_book().evidence(MISS.id).packed
    page.close()


def test_the_server_says_what_each_file_is(browser: "sync_api.Browser", live: str) -> None:
    page = browser.new_page()
    wanted = {
        ".evidence.zip": "application/zip",
        ".bib": "application/x-bibtex; charset=utf-8",
        ".csl.json": "application/json; charset=utf-8",
        ".cff": "application/yaml; charset=utf-8",
        ".ris": "application/x-research-info-systems; charset=utf-8",
        ".cite.md": "text/markdown; charset=utf-8",
        ".cite.txt": "text/plain; charset=utf-8",
    }
    for suffix, kind in wanted.items():
        answer = page.request.get(live + attempt_address(OURS.id, suffix))
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert page.request.get(live + attempt_address(OURS.id, ".evidence.zip.dsse.json")).status == 404
    assert page.request.get(live + "badge/widgets/speed.svg").headers["content-type"].startswith("image/svg+xml")
    page.close()


def test_contrast_of_notes_entries_and_boxes_is_enough(browser: "sync_api.Browser", pages: Path) -> None:
    for scheme in ("light", "dark"):
        for name in (SPEED, RATIOS, "claim/widgets/ordering.html", "index.html"):
            page = browser.new_page(color_scheme=scheme)
            page.goto((pages / "plain" / name).as_uri())
            page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
            assert too_faint(page, "main *") == [], f"{name} in {scheme}"
            page.close()


def test_a_print_shows_what_people_added_and_no_buttons(browser: "sync_api.Browser", pages: Path) -> None:
    page = browser.new_page()
    page.goto((pages / "plain" / RATIOS).as_uri())
    page.emulate_media(media="print")
    assert page.get_by_text("Table 3 has a typing error").is_visible()
    assert page.locator(".copy button:visible").count() == 0
    page.close()
