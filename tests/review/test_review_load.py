"""The book from catalogue and ledger."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from trust_book import usual

from repro.cite.evidence.bundle import read_bundle
from repro.judge.staleness import Stale, stale_text
from repro.ledger.annotations import annotate, annotations, entry, readable_annotations
from repro.review.book import stands, state_of, validity
from repro.review.load import open_book, stale_reasons
from repro.review.pages import claim_page
from repro.review.site import write_site
from repro.schema.errors import StoreError
from tests_support import CLAIM, DETERMINISTIC_CLAIM, RECIPE, STUDY, SUM, forget_recipes


def test_no_file_of_what_is_stale_is_nothing_stale() -> None:
    assert stale_reasons() == {}


def test_reasons_are_read_by_attempt() -> None:
    Path(".repro").mkdir()
    reasons = ("The margin was ± 0.1, now ± 0.12.",)
    Path(".repro/stale.json").write_text(stale_text({"a/b@p@cpu-0-1": Stale(None, reasons)}))
    assert stale_reasons() == {"a/b@p@cpu-0-1": reasons}


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "\xff"])
def test_a_damaged_file_of_what_is_stale_is_an_error_that_says_what_to_do(text: str) -> None:
    Path(".repro").mkdir()
    Path(".repro/stale.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"stale\.json.* Remove"):
        stale_reasons()


def test_an_empty_ledger_gives_pages_of_all_claims(tmp_path: Path) -> None:
    book = open_book()
    assert book.claims
    assert book.attempts == ()
    assert {claim.paper for claim in book.claims.values()} <= set(book.papers)
    written = write_site(book, tmp_path / "pages")
    assert len([path for path in written if path.parts[-3] == "claim"]) == len(book.claims)
    assert not Path("mlflow.db").exists()


# A real ledger and what is published of it.

TOYS = {
    "paper/toy.yaml": "title: A toy\nauthors: [A. Author]\nyear: 2024\n",
    "claim/toy/mean.yaml": CLAIM.format(name="toy/mean", printed="1.0"),
    "study/toys/draws.yaml": STUDY,
    "claim/toy/exact.yaml": DETERMINISTIC_CLAIM,
    "study/toys/sum.yaml": "recipe: recipes.toys.sum\ndeterministic: true\nscales: {full: {}}\n",
    "recipes/toys/draws.py": RECIPE,
    "recipes/toys/sum.py": SUM,
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a judged and published claim, and another that is judged only; tests copy it."""
    home = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name, value in {"CLAIMS": "claims", "RESULTS": "results", "CACHE": "cache"}.items():
            patch.setenv(f"REPRO_{name}", str(home / value))
        for name in ("REPRO_HOME", "MLFLOW_TRACKING_URI", "REPRO_SITE"):
            patch.delenv(name, raising=False)
        patch.setattr("repro.launch.provenance.origin._git", lambda *words: COMMIT if words[0] == "rev-parse" else "")
        for name, text in TOYS.items():
            (home / "claims" / name).parent.mkdir(parents=True, exist_ok=True)
            (home / "claims" / name).write_text(text)
        forget_recipes()
        from repro.catalog.index import load_index
        from repro.cli.publish_command import publish
        from repro.launch.session import launch, prepare
        from repro.review.pictures.figures import interval_figure

        for words in (["toy/mean", "scale=cpu"], ["toy/exact", "scale=full"]):
            launch(prepare(words, load_index()), interval_figure)
        publish(["toy/exact"])
        forget_recipes()
    return home


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in the home; what a test changes is put back."""
    monkeypatch.chdir(made)
    for name, value in {"CLAIMS": "claims", "RESULTS": "results"}.items():
        monkeypatch.setenv(f"REPRO_{name}", str(made / value))
    forget_recipes()
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file() and path.suffix != ".db"}
    yield made
    for path in [path for path in made.rglob("*") if path.is_file() and path.suffix != ".db" and path not in before]:
        path.unlink()
    for path, content in before.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    forget_recipes()


def published_directory(home: Path) -> Path:
    (directory,) = (home / "results" / "toy" / "exact").glob("*/")
    return directory


def artifact(home: Path, claim: str) -> Path:
    (file,) = [
        path
        for path in home.glob("mlruns/**/attempt.json")
        if f'"claim":"{claim}"' in path.read_text().replace(": ", ":")
    ]
    return file


def test_published_and_run_results_stand_together(home: Path) -> None:
    book = open_book()
    assert sorted(attempt.claim for attempt in book.attempts) == ["toy/exact", "toy/mean"]
    ((name, result),) = book.published.items()
    assert book.evidence(name).digest == result.evidence
    assert book.envelope(name) is None
    assert (book.problems, book.distrusted) == ({}, frozenset())


def test_a_fresh_clone_shows_what_is_published(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    book = open_book()
    assert [attempt.claim for attempt in book.attempts] == ["toy/exact"]
    assert state_of(book, book.claims["toy/exact"]) == "match"
    write_site(book, tmp_path / "pages")
    shown = (tmp_path / "pages/claim/toy/exact.html").read_text()
    assert "evidence published" in shown
    assert "BibTeX" in shown
    assert "evidence published" in (tmp_path / "pages/index.html").read_text()
    assert not Path("mlflow.db").exists()


def test_a_damaged_artifact_is_named_and_hides_no_other_attempt(home: Path, tmp_path: Path) -> None:
    artifact(home, "toy/mean").write_text("{")
    book = open_book()
    assert [attempt.claim for attempt in book.attempts] == ["toy/exact"]
    ((name, (problem,)),) = book.problems.items()
    assert name.startswith("toy/mean@")
    assert "attempt.json" in problem
    write_site(book, tmp_path / "pages")
    assert name.split("@")[0] in (tmp_path / "pages/index.html").read_text()
    assert "attempt.json" in (tmp_path / "pages/claim/toy/mean.html").read_text()


def test_the_published_copy_stands_for_a_damaged_artifact(home: Path) -> None:
    artifact(home, "toy/exact").write_text("{")
    book = open_book()
    assert state_of(book, book.claims["toy/exact"]) == "match"
    assert [name.split("@")[0] for name in book.problems] == ["toy/exact"]


def test_changed_published_files_are_named_and_do_not_count_alone(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = published_directory(home) / "trials.jsonl"
    file.write_bytes(file.read_bytes().replace(b"finished", b"diverged", 1))
    ours = open_book()
    assert state_of(ours, ours.claims["toy/exact"]) == "match"
    assert ours.published == {}
    monkeypatch.chdir(tmp_path)
    book = open_book()
    (attempt,) = book.attempts
    assert book.distrusted == {attempt.id}
    assert "Restore them from version control." in book.problems[attempt.id][0]
    assert state_of(book, book.claims["toy/exact"]) == "not_run"
    assert write_site(book, tmp_path / "pages")


@pytest.mark.parametrize("name", ["attempt.json", "trials.jsonl"])
def test_a_published_directory_that_lost_a_file_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (published_directory(home) / name).unlink()
    monkeypatch.chdir(tmp_path)
    book = open_book()
    assert not [attempt for attempt in book.attempts if stands(book, attempt)]
    assert [name.split("@")[0] for name in book.problems] == ["toy/exact"]
    assert write_site(book, tmp_path / "pages")


def test_a_damaged_index_is_named(home: Path) -> None:
    (home / "results/index.json").write_text("{")
    book = open_book()
    assert len(book.attempts) == 2
    assert list(book.problems) == ["published results"]


def test_a_tampered_chain_is_shown_and_stops_nothing(home: Path, tmp_path: Path) -> None:
    (attempt,) = [attempt for attempt in open_book().attempts if attempt.claim == "toy/exact"]
    annotate(entry(attempt.id, "disputed", "A. Reader", "The margin is too wide."))
    directory = published_directory(home)
    file = directory.with_name(f"{directory.name}.annotations.jsonl")
    assert validity(open_book(), attempt) == "disputed"
    file.write_text(file.read_text().replace("too wide", "just right"))
    book = open_book()
    assert validity(book, attempt) == "tampered"
    write_site(book, tmp_path / "pages")
    assert "broken chain" in (tmp_path / "pages/claim/toy/exact.html").read_text()


def test_annotations_that_cannot_be_read_leave_the_attempt_uncounted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = published_directory(home)
    directory.with_name(f"{directory.name}.annotations.jsonl").mkdir()
    try:
        book = open_book()
        (attempt,) = [attempt for attempt in book.attempts if attempt.claim == "toy/exact"]
        assert book.distrusted == {attempt.id}
        assert "What people added to it cannot be read" in book.problems[attempt.id][0]
        assert state_of(book, book.claims["toy/exact"]) == "not_run"
        assert [attempt.claim for attempt in book.attempts if stands(book, attempt)] == ["toy/mean"]
    finally:
        directory.with_name(f"{directory.name}.annotations.jsonl").rmdir()


def test_a_broken_envelope_beside_the_files_stops_nothing(home: Path, tmp_path: Path) -> None:
    directory = published_directory(home)
    directory.with_name(f"{directory.name}.dsse.json").write_text("{}")
    book = open_book()
    write_site(book, tmp_path / "pages")
    assert "A signature lies beside it that means nothing" in (tmp_path / "pages/claim/toy/exact.html").read_text()


def test_a_damaged_file_of_checks_is_named_and_stops_nothing(home: Path) -> None:
    (home / "claims/checked/toy").mkdir(parents=True)
    (home / "claims/checked/toy/mean.yaml").write_text("{")
    book = open_book()
    assert "Who checked its published values cannot be read" in book.problems["toy/mean"][0]


def test_an_attempt_whose_entries_are_damaged_does_not_hide_those_of_another_of_its_claim(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = published_directory(home)
    copy = directory.with_name(f"{directory.name[:-1]}2")
    index = home / "results/index.json"
    results = json.loads(index.read_text())
    (one,) = results["results"]
    two = {**one, "attempt": f"{one['attempt'][:-1]}2", "place": f"{one['place'][:-1]}2", "evidence": "0" * 64}
    index.write_text(json.dumps({**results, "results": [one, two]}))
    annotate(entry(one["attempt"], "confirmed", "A. Reader", "Ran it again."))
    damaged = copy.with_name(f"{copy.name}.annotations.jsonl")
    damaged.mkdir()
    try:
        found, problems = readable_annotations("toy/exact")
        assert set(found) == {one["attempt"]}
        assert set(problems) == {two["attempt"]}
        with pytest.raises(StoreError, match="cannot be read"):
            annotations("toy/exact")
    finally:
        damaged.rmdir()


def test_published_error_rates_reach_a_fresh_clone_and_damaged_ones_are_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.cli.publish_command import publish

    monkeypatch.chdir(tmp_path)
    (attempt,) = [a for a in open_book().attempts if a.claim == "toy/exact"]
    rates = usual(attempt)
    monkeypatch.setattr("repro.ledger.read.calibration_of", {attempt.id: rates}.get)
    publish(["toy/exact"])
    directory = published_directory(home)
    file = directory.with_name(f"{directory.name}.calibration.json")
    before = file.stat().st_mtime_ns
    publish(["toy/exact"])
    assert file.stat().st_mtime_ns == before
    assert read_bundle(directory).digest == open_book().published[attempt.id].evidence

    book = open_book()
    assert book.calibrations == {attempt.sealed.digest: rates}
    assert book.problems == {}
    assert "Not calibrated yet" not in claim_page(book, "toy/exact")

    for text in ("{", file.read_text().replace(attempt.sealed.digest, "0" * 64)):
        file.write_text(text)
        book = open_book()
        assert book.calibrations == {}
        assert "Its published error rates cannot be read" in book.problems[attempt.id][0]
        assert state_of(book, book.claims["toy/exact"]) == "match"
