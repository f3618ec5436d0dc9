"""What runs now in a real browser: the trials of a slow run arrive without a reload, and a server that is gone is said."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contrast import too_faint
from flask import Flask
from werkzeug.serving import make_server

from repro.review.load import open_book
from repro.review.server import serve as served
from repro.review.server.shelf import Shelf
from tests_support import STUDY

pytestmark = pytest.mark.slow
sync_api = pytest.importorskip("playwright.sync_api")
SLOW = STUDY.replace("spread: 0.05", "spread: 0.05, seconds: 0.8")


class Served:
    """Our pages on a port of their own, in a thread."""

    def __init__(self, port: int = 0) -> None:
        self.readings: list[int] = []
        """One entry for each time that the ledger was read."""
        app = Flask("test")
        app.register_blueprint(served._pages(Shelf(lambda: self.readings.append(1) or open_book())))
        self.server = make_server("127.0.0.1", port, app, threaded=True)
        self.address = f"http://127.0.0.1:{self.server.server_port}/repro"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def pages(write_claims: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    write_claims(study=SLOW)
    monkeypatch.delenv("_MLFLOW_SERVER_FILE_STORE", raising=False)
    running = Served()
    yield running
    running.stop()


@pytest.fixture
def slow_run(pages: Served, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`repro run` of twelve trials that take 0.8 s each, in a process of its own."""
    del pages  # writes the claims
    command = [sys.executable, "-c", "from repro.cli import main; main()", "run", "toy/mean", "scale=cpu"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        yield run
        run.terminate()


def arrived(page: "sync_api.Page") -> int:
    return int(page.locator("#running article strong.figure").first.inner_text())


def wait_for_more(page: "sync_api.Page", than: int) -> int:
    page.wait_for_function(
        "than => Number(document.querySelector('#running strong.figure')?.textContent ?? -1) > than",
        arg=than,
        timeout=60_000,
    )
    return arrived(page)


def test_trials_arrive_without_a_reload_and_without_asking_the_ledger(
    browser: "sync_api.Browser",
    pages: Served,
    slow_run: "subprocess.Popen[bytes]",
    tmp_path: Path,
) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for _ in range(120):  # until the run has begun
        page.goto(f"{pages.address}/running.html")
        if page.locator("#running article").count():
            break
        page.wait_for_timeout(500)
    page.evaluate("document.body.dataset.loaded = 'once'")
    page.locator("#running article h2 a").focus()

    some = wait_for_more(page, 0)
    more = wait_for_more(page, some)
    assert 0 < some < more < 12
    assert page.locator("#running progress").first.get_attribute("value") == str(more)
    assert page.get_by_role("status").inner_text().startswith("1 attempt runs: ")
    assert "at the pace so far" in page.locator("#running dl").inner_text()
    assert page.get_by_text("at step 0").first.is_visible()
    assert "seed=" in page.locator("#running ul.trials").first.inner_text()
    assert page.locator("#running article h2 a").evaluate("link => link === document.activeElement")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert too_faint(page) == []
    page.screenshot(path=str(tmp_path / "running.png"), full_page=True)

    page.get_by_text("All trials have arrived.").wait_for(timeout=60_000)
    assert page.locator("#running article a", has_text="the attempt’s page").is_visible()
    assert page.evaluate("document.body.dataset.loaded") == "once"
    assert slow_run.wait(timeout=60) == 0
    # Nothing runs any more, so nothing is asked any more.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(5000)
    assert asked == []
    assert pages.readings == []
    assert problems == []
    page.locator("#running article a", has_text="the attempt’s page").click()
    assert "mean" in page.locator("h1").inner_text()
    page.close()


def test_a_server_that_is_gone_is_said_and_found_again(
    browser: "sync_api.Browser", pages: Served, slow_run: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser.new_page()
    for _ in range(120):
        page.goto(f"{pages.address}/running.html")
        if page.locator("#running article").count():
            break
        page.wait_for_timeout(500)
    slow_run.terminate()
    pages.stop()
    page.get_by_text("The server does not answer any more.").wait_for(timeout=30_000)
    assert page.locator("#running article").count() == 1
    again = Served(pages.server.server_port)
    try:
        page.locator("body.gone").wait_for(state="detached", timeout=30_000)
        assert "does not answer" not in page.get_by_role("status").inner_text()
    finally:
        again.stop()
        page.close()


def test_without_script_the_page_shows_the_moment_and_a_link(browser: "sync_api.Browser", pages: Served) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{pages.address}/running.html")
    assert page.get_by_text("Nothing runs from here now.").is_visible()
    page.get_by_role("link", name="Look again").click()
    assert page.locator("h1").inner_text() == "What runs now"
    page.close()
