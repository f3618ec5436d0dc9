"""Shared by all tests: a working directory of their own, and a small claims directory with recipes that take no time."""

import os
import sys
from pathlib import Path

import pytest

from tests_support import CLAIM, DETERMINISTIC_CLAIM, RECIPE, STUDY, SUM, forget_recipes

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from repro.catalog.roots import config_roots


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a directory of its own, with stores of its own; the cache is shared, as a user's is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path_factory.getbasetemp().parent / "repro-cache"))
    # Published results of the project are no part of a test, unless it asks for them.
    monkeypatch.setenv("REPRO_RESULTS", str(tmp_path / "results"))
    for name in ("REPRO_HOME", "REPRO_CLAIMS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def write_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that writes a claims directory, changed as asked, and names it in REPRO_CLAIMS."""

    def write(
        *,
        claim: str | None = None,
        study: str | None = None,
        recipe: str | None = None,
        extra: dict[str, str] | None = None,
    ) -> Path:
        root = tmp_path / "claims"
        files = {
            "paper/toy.yaml": "title: A toy\nauthors: [A. Author]\nyear: 2024\n",
            "claim/toy/mean.yaml": claim if claim is not None else CLAIM.format(name="toy/mean", printed="1.0"),
            "study/toys/draws.yaml": study or STUDY,
            "claim/toy/exact.yaml": DETERMINISTIC_CLAIM,
            "study/toys/sum.yaml": "recipe: recipes.toys.sum\ndeterministic: true\nscales: {full: {}}\n",
            "recipes/toys/draws.py": recipe or RECIPE,
            "recipes/toys/sum.py": SUM,
            **(extra or {}),
        }
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setenv("REPRO_CLAIMS", str(root))
        forget_recipes()
        config_roots()
        return root

    yield write
    forget_recipes()


@pytest.fixture
def repro(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs a command in this process and returns exit code, output and errors."""
    from repro.cli import main

    def run(*words: str, columns: int = 200) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["repro", *words])
        monkeypatch.setenv("COLUMNS", str(columns))
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
