"""Published results are whole and listed as they are: digests, places, index, and the tables in both pages. Judging them again is
`make verify`."""

from functools import cache
from pathlib import Path

import pytest

from repro.cite.evidence.bundle import read_bundle
from repro.cite.results.index import index_text, pages, read_results
from repro.cite.results.publish import place_of
from repro.cite.results.table import Row
from repro.ledger.published import load_published_attempt, load_published_trials, published_problems, published_results
from repro.schema.annotation import broken_at

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/results"


@pytest.fixture(autouse=True)
def of_this_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_RESULTS", str(RESULTS))


@cache
def rows() -> tuple[Row, ...]:
    found, problems = read_results(RESULTS)
    assert problems == []
    return tuple(found)


def test_there_are_published_results() -> None:
    assert rows()
    assert published_problems() == ()


def test_the_index_and_both_tables_are_up_to_date() -> None:
    wanted = {RESULTS / "index.json": index_text([row.result for row in rows()]), **pages(RESULTS, rows())}
    assert set(wanted) == {RESULTS / "index.json", RESULTS / "README.md", ROOT / "README.md"}
    for file, text in wanted.items():
        assert file.read_text(encoding="utf-8") == text, f"{file} is out of date; run `repro publish`"


def test_every_directory_has_the_digest_and_the_place_that_the_index_says() -> None:
    listed = {result.place: result for result in published_results()}
    assert {row.result.place for row in rows()} == set(listed)
    for place, result in listed.items():
        assert read_bundle(RESULTS / place).digest == result.evidence, place
        assert place_of(load_published_attempt(result)) == place


def test_every_published_record_can_be_read() -> None:
    for row in rows():
        assert load_published_trials(row.result.attempt), row.result.attempt


def test_nothing_lies_in_the_results_that_belongs_to_no_result() -> None:
    places = {row.result.place for row in rows()}
    beside = {
        f"{place}{suffix}" for place in places for suffix in (".annotations.jsonl", ".calibration.json", ".dsse.json")
    }
    for file in RESULTS.rglob("*"):
        path = file.relative_to(RESULTS).as_posix()
        known = file.is_dir() or path in {"index.json", "README.md", *beside}
        assert known or any(path.startswith(f"{place}/") for place in places), path


def test_every_entry_beside_a_result_follows_the_one_before() -> None:
    for row in rows():
        assert broken_at(row.annotations) is None, row.result.attempt
