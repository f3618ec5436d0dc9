import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "from repro.cli import main; main()"


def repro(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_pages_are_written_and_say_where(write_claims) -> None:
    write_claims()
    assert repro("run", "toy/mean", "scale=cpu").returncode == 0
    done = repro("pages", "--out", "site")
    assert done.returncode == 0, done.stderr
    assert "site/index.html" in done.stdout
    assert "toy/mean" in Path("site/index.html").read_text()


def test_pages_into_a_file_is_one_sentence(write_claims) -> None:
    write_claims()
    Path("site").write_text("x")
    done = repro("pages", "--out", "site")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "site" in done.stderr


@pytest.mark.slow
def test_the_demo_judges_real_claims_without_a_network_and_again_without_running(tmp_path: Path) -> None:
    # Pages of what is published take a minute and are written by other tests.
    alone = {"REPRO_DATA": "", "REPRO_CACHE": str(tmp_path / "no-data"), "REPRO_RESULTS": str(tmp_path / "none")}
    done = repro("demo", **alone)
    assert done.returncode == 0, done.stderr
    for words in (
        "✓ match",
        "✗ mismatch",
        "? inconclusive",
        "not run, for want of",
        "blocked: mckinney/headline",
        "Would they notice, were the claims false?",
        "pages/index.html",
    ):
        assert words in done.stdout
    assert Path("pages/index.html").exists()
    before = {file.name: file.stat().st_mtime_ns for file in Path(".repro/records").glob("*.json")}
    again = repro("demo", **alone)
    assert again.returncode == 0, again.stderr
    assert {file.name: file.stat().st_mtime_ns for file in Path(".repro/records").glob("*.json")} == before
