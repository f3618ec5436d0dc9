"""One small judged ledger for all tests of evidence and citation, made once, and its bundle."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from repro.cite.evidence.bundle import Bundle
from tests_support import CLAIM, DETERMINISTIC_CLAIM, RECIPE, STUDY, SUM, forget_recipes

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOY_FILES = {
    "paper/toy.yaml": "title: A *toy* of [things]\nauthors: [A. Author, Bea van den Berg]\nyear: 2024\narxiv: '2401.00001'\n",
    "claim/toy/mean.yaml": CLAIM.format(name="toy/mean", printed="1.0"),
    "study/toys/draws.yaml": STUDY.replace("spread: 0.05}", "spread: 0.05, crash: crashed}"),
    "claim/toy/exact.yaml": DETERMINISTIC_CLAIM,
    "study/toys/sum.yaml": "recipe: recipes.toys.sum\ndeterministic: true\nscales: {full: {}}\n",
    "recipes/toys/draws.py": RECIPE,
    "recipes/toys/sum.py": SUM,
}
"""A claims directory whose first trial of `toy/mean` fails and is run again."""


@contextmanager
def in_home(home: Path) -> Iterator[None]:
    """Work in a toy home: its directory, its claims, its stores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("REPRO_CLAIMS", str(home / "claims"))
        patch.setenv("REPRO_RESULTS", str(home / "results"))
        for name in ("REPRO_HOME", "MLFLOW_TRACKING_URI", "REPRO_SITE"):
            patch.delenv(name, raising=False)
        patch.setattr("repro.launch.provenance.origin._git", lambda *words: COMMIT if words[0] == "rev-parse" else "")
        forget_recipes()
        yield
    forget_recipes()


def run_toys(home: Path) -> None:
    """Write the toy claims to a new directory, and run both to their verdicts, from what looks like a clean commit."""
    from repro.catalog.index import load_index
    from repro.launch.session import launch, prepare
    from repro.review.pictures.figures import interval_figure

    for name, text in TOY_FILES.items():
        file = home / "claims" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with in_home(home):
        index = load_index()
        for words in (["toy/mean", "scale=cpu"], ["toy/exact", "scale=full"]):
            launch(prepare(words, index), interval_figure)


@pytest.fixture(scope="session")
def toy_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a judged ledger: toy/mean@replicate@cpu (a match; one trial failed and was run again) and
    toy/exact@recompute@full. Read it; to write, make one of your own with `own_toy_home`.
    """
    os.environ.setdefault("REPRO_CACHE", str(tmp_path_factory.getbasetemp().parent / "repro-cache"))
    home = tmp_path_factory.mktemp("toy_home")
    run_toys(home)
    return home


@pytest.fixture
def in_toy_home(toy_home: Path, own_directory: Path) -> Iterator[Path]:
    """Work in the shared toy home, to read."""
    with in_home(toy_home):
        yield toy_home


@pytest.fixture
def make_toy_home(tmp_path: Path, own_directory: Path) -> Iterator[Callable[[], Path]]:
    """A function that makes a toy home that nobody else uses and goes there: for tests that prepare what it is made with."""
    stack = ExitStack()

    def make() -> Path:
        home = tmp_path / "own_toy_home"
        home.mkdir()
        run_toys(home)
        stack.enter_context(in_home(home))
        return home

    with stack:
        yield make


@pytest.fixture
def own_toy_home(toy_home: Path, tmp_path: Path, own_directory: Path) -> Iterator[Path]:
    """Work in a toy home that nobody else uses, to write to its ledger: a copy of the shared one."""
    home = tmp_path / "own_toy_home"
    shutil.copytree(toy_home, home)
    with closing(sqlite3.connect(home / "mlflow.db")) as store, store:
        # MLflow writes down where artifacts lie from the root.
        for column in ("runs.artifact_uri", "experiments.artifact_location"):
            table, _, name = column.partition(".")
            store.execute(f"UPDATE {table} SET {name} = replace({name}, ?, ?)", (str(toy_home), str(home)))
    with in_home(home):
        yield home


@pytest.fixture(scope="session")
def toy_ids(toy_home: Path) -> dict[str, str]:
    """Ids of the two attempts, by claim."""
    from repro.ledger.read import load_attempts

    with in_home(toy_home):
        return {attempt.claim: attempt.id for attempt in load_attempts()}


@pytest.fixture(scope="session")
def toy_bundle(toy_home: Path, toy_ids: dict[str, str]) -> Bundle:
    """The evidence of toy/mean@replicate@cpu."""
    from repro.cite.evidence.content import evidence_of

    with in_home(toy_home):
        return evidence_of(toy_ids["toy/mean"])


@pytest.fixture(scope="session")
def exact_bundle(toy_home: Path, toy_ids: dict[str, str]) -> Bundle:
    """The evidence of toy/exact@recompute@full."""
    from repro.cite.evidence.content import evidence_of

    with in_home(toy_home):
        return evidence_of(toy_ids["toy/exact"])
