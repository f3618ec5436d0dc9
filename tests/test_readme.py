"""The README tells the truth: its links lead somewhere, its commands exist, and what it shows in short runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
QUICK = {"list", "show", "plan"}


def commands() -> list[list[str]]:
    lines = re.findall(r"^repro (.+)$", README, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?(?:\s+\"[^\"]*\")?\)", page.read_text()):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_every_paper_has_a_page_and_every_page_is_linked() -> None:
    papers = {file.stem for file in (ROOT / "conf/paper").glob("*.yaml")}
    pages = {file.stem for file in (ROOT / "docs/papers").glob("*.md")}
    assert papers <= pages
    for page in pages:
        assert f"docs/papers/{page}.md" in README


@pytest.mark.parametrize("words", [words for words in commands() if words[0] in QUICK], ids=" ".join)
def test_quick_commands_run(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from repro.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "run"], ids=" ".join)
def test_run_commands_compose(words: list[str]) -> None:
    from repro.catalog.compose import compose
    from repro.catalog.index import load_index

    assert compose(words[1:], load_index())


def test_every_command_shown_exists() -> None:
    from repro.cli.app import app

    known = {command.name for command in app.registered_commands}
    for page in DOCS:
        for line in re.findall(r"^\s*repro ([a-z]+(?:-[a-z]+)*)\b", page.read_text(), re.MULTILINE):
            assert line in known, f"{page.name} shows `repro {line}`"


def test_the_python_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", f"{example}\nprint(verdict.outcome)"], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "match", done.stderr


def test_make_knows_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
