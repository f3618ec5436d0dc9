"""Charts, comparisons and tutorials in a real browser: nothing scrolls sideways, all pictures load, all text can be read."""

from pathlib import Path

import pytest
from contrast import too_faint
from scaling_book import runs, scaling_book

from repro.review.site import write_site

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("charts") / "pages"
    write_site(scaling_book([*runs(source="prose"), *runs(source="code")]), place)
    return place


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 1100])
def test_every_new_page_fits_loads_and_can_be_read(
    browser: "sync_api.Browser", pages: Path, width: int, scheme: str
) -> None:
    attempt = next((pages / "attempt").rglob("*.html")).relative_to(pages).as_posix()
    for name in ("comparison/growth.html", "tutorial/growth.html", "claim/laws/growth.html", attempt):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        problems: list[str] = []
        page.on("console", lambda message, problems=problems: problems.append(message.text))
        page.on("requestfailed", lambda request, problems=problems: problems.append(request.url))
        page.goto((pages / name).as_uri())
        page.wait_for_load_state("networkidle")
        assert problems == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} scrolls sideways at {width}"
        for image in page.locator("img").all():
            image.scroll_into_view_if_needed()
            assert image.evaluate("image => image.complete && image.naturalWidth > 0"), image.get_attribute("src")
            assert (image.get_attribute("alt") or "").strip()
        assert too_faint(page, "main *") == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_a_chart_can_be_read_on_its_paper(browser: "sync_api.Browser", pages: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]
    for file in sorted(pages.rglob("*.isoflop.svg"))[:1] + sorted(pages.rglob("comparison/*.svg"))[:1]:
        page.goto(file.as_uri())
        faint = page.evaluate(
            """() => {
              const parse = (c) => c.match(/[\\d.]+/g).map(Number);
              const light = ([r, g, b]) => { const f = (v) => (v /= 255, v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
              const paper = light(parse(getComputedStyle(document.querySelector("#patch_1 path")).fill));
              return [...document.querySelectorAll("text")].filter((e) => { const ink = light(parse(getComputedStyle(e).fill));
                return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05) < 3.4; }).map((e) => e.textContent);
            }"""
        )
        assert faint == [], file
    page.close()
