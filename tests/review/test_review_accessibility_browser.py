"""Whole pages under axe-core, which knows the rules of accessibility, and every link of the site; screenshots are kept on demand.

`REPRO_ARTIFACTS` names a directory for the screenshots; without it none is made.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from review_book import made_book
from scaling_book import scaling_book
from test_review_pages import Page

from repro.review.book import Book
from repro.review.site import write_site

WIDGETS = {
    "overview": "index.html",
    "claim": "claim/widgets/exponent.html",
    "claim-of-parts": "claim/widgets/ratios.html",
    "blocked": "claim/clinic/headline.html",
    "hostile": "claim/hostile/strings.html",
}
LAWS = {
    "laws-overview": "index.html",
    "laws-claim": "claim/laws/growth.html",
    "laws-tutorial": "tutorial/growth.html",
    "laws-comparison": "comparison/growth.html",
}
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The made-up books as static sites."""
    out = {name: tmp_path_factory.mktemp(name) / "pages" for name in ("widgets", "laws")}
    write_site(made_book(), out["widgets"])
    write_site(scaling_book(), out["laws"])
    return out


def pages_of(sites: Mapping[str, Path]) -> list[tuple[str, Path]]:
    """Return the pages that are looked at, one of each kind, by a name for the picture."""
    found = [(name, sites["widgets"] / address) for name, address in WIDGETS.items()]
    found += [(name, sites["laws"] / address) for name, address in LAWS.items()]
    for site, out in sites.items():
        (first, *_) = sorted((out / "attempt").rglob("*.html"))
        found.append((f"{site}-attempt", first))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1200])
def test_axe_finds_no_serious_fault_and_the_console_is_silent(
    browser: "object", sites: Mapping[str, Path], width: int, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    for name, file in pages_of(sites):
        # Our policy forbids every script but our own; axe alone may pass it.
        context = browser.new_context(  # type: ignore[attr-defined]
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message, told=complaints: told.append(message.text))
        page.on("pageerror", lambda error, told=complaints: told.append(str(error)))
        page.on("requestfailed", lambda request, told=complaints: told.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_load_state("networkidle")
        # What is folded away must be sound too.
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        keep(page, f"{name}-{width}-{scheme}.png")
        assert complaints == [], f"{name} at {width} in {scheme}"
        # From here on axe asks for files itself, which a page from disk may not.
        found = axe.run(page).response
        assert len(found["passes"]) >= 10, f"axe hardly looked at {name}"
        grave = [
            f"{fault['id']} ({fault['impact']}): {node['target']} {node['failureSummary']}"
            for fault in found["violations"]
            if fault["impact"] in GRAVE
            for node in fault["nodes"][:3]
        ]
        assert grave == [], f"{name} at {width} in {scheme}:\n" + "\n".join(grave)
        context.close()


@pytest.mark.slow
def test_axe_would_find_a_fault(browser: "object", tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed").Axe()
    (tmp_path / "bad.html").write_text(
        "<!doctype html><html><title>x</title><body><img src='none.png'><a href='/'></a>"
    )
    page = browser.new_page()  # type: ignore[attr-defined]
    page.goto((tmp_path / "bad.html").as_uri())
    found = {fault["id"] for fault in axe.run(page).response["violations"] if fault["impact"] in GRAVE}
    assert {"image-alt", "link-name", "html-has-lang"} <= found
    page.close()


def keep(page: "object", name: str) -> None:
    """Keep a picture of the whole page, where somebody wants them."""
    place = os.environ.get("REPRO_ARTIFACTS")
    if place:
        page.screenshot(path=Path(place) / name, full_page=True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("made", [made_book, scaling_book])
def test_every_link_leads_to_a_file_and_to_a_place_that_is_on_it(made: "type[Book]", tmp_path: Path) -> None:
    out = tmp_path / "pages"
    write_site(made(), out)
    pages = {file.resolve(): Page(file.read_text("utf-8")) for file in out.rglob("*.html")}
    places = {file: {a["id"] for _, a in page.elements if "id" in a} for file, page in pages.items()}
    broken, checked = [], 0
    for file, page in pages.items():
        for tag, attributes in page.elements:
            for address in addresses(attributes):
                parts = urlsplit(address)
                if parts.scheme == "https":
                    continue
                target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
                there = target.is_file() and parts.fragment in {"", *places.get(target, ())}
                broken += [] if there else [f"<{tag}> on {file.relative_to(out.resolve())} leads to {address}"]
                checked += 1
    assert broken == []
    assert checked > 50


def addresses(attributes: Mapping[str, str]) -> list[str]:
    """Return what an element links to or shows."""
    sets = [entry.split()[0] for entry in (attributes.get("srcset") or "").split(",") if entry.strip()]
    return [*(attributes[name] for name in ("href", "src") if attributes.get(name)), *sets]
