"""The comparisons and tutorials that the project ships: all that they name is there, and nothing stands in them that a book tells."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from scaling_book import scaling_book

from repro.catalog.load import config_files, load_claims, load_papers, load_studies
from repro.review.book import Book
from repro.review.listed import with_listed
from repro.review.stories.tutorial import comparison_page, tutorial_page
from repro.schema.places import planned_file, tutorials_dir
from repro.schema.planned import PlannedCost, planned_json, read_planned

SHIPPED = sorted(config_files("comparison"))


@pytest.fixture(scope="module")
def catalogue() -> Book:
    """Every claim, and no attempt."""
    book = Book(load_claims(), load_papers(), load_studies(), (), lambda attempt_id: ())
    return with_listed(book)


def test_what_is_shipped_can_be_read(catalogue: Book) -> None:
    assert catalogue.problems == {}
    assert sorted(catalogue.comparisons) == SHIPPED != []
    directory = tutorials_dir()
    assert directory is not None
    assert sorted(catalogue.tutorials) == sorted(file.stem for file in directory.glob("*.md")) != []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_entry_of_a_comparison_names_a_claim_a_part_and_protocols_that_are_there(
    catalogue: Book, name: str
) -> None:
    for entry in (entry for group in catalogue.comparisons[name].groups for entry in group.entries if entry.claim):
        claim = catalogue.claims[entry.claim]
        assert entry.part in claim.parts, entry
        assert set(entry.protocols) <= set(claim.protocols), entry
        for protocol in entry.protocols:
            scales = catalogue.studies[claim.protocols[protocol].study].scales
            assert set(entry.planned) <= set(scales), entry
    assert "flag broken" not in comparison_page(catalogue, name)


def test_every_place_of_a_tutorial_is_filled_where_nothing_has_run(catalogue: Book) -> None:
    for name in catalogue.tutorials:
        html = tutorial_page(catalogue, name)
        assert re.findall(r'flag broken">([^<]*)', html) == []
        assert "planned" in html


def test_no_result_stands_in_the_text_of_a_tutorial(catalogue: Book) -> None:
    """A decimal number or a power of ten outside a place or a command would be one."""
    for text in catalogue.tutorials.values():
        bare = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
        assert re.findall(r"\d+\.\d+|10[⁰¹²³⁴⁵⁶⁷⁸⁹]+|\d e\d|\d%", bare) == []


def test_what_cannot_be_read_is_named_and_hides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("# Good")
    (tmp_path / "bad.md").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "wrong.yaml").write_text("title: 3\n")
    monkeypatch.setattr("repro.review.listed.tutorials_dir", lambda: tmp_path)
    monkeypatch.setattr("repro.catalog.load.config_files", lambda group: {"wrong": tmp_path / "wrong.yaml"})
    planned_file().parent.mkdir(parents=True, exist_ok=True)
    planned_file().write_text("{")
    book = with_listed(replace(scaling_book(), problems={"before": ("An older one.",)}))
    assert list(book.tutorials) == ["good"]
    assert dict(book.comparisons) == {}
    assert dict(book.planned) == {}
    assert set(book.problems) == {"before", "comparison wrong", "planned attempts", "tutorial bad"}
    assert "Remove it" in book.problems["planned attempts"][0]


def test_an_installed_package_has_no_tutorials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.review.listed.tutorials_dir", lambda: None)
    assert dict(with_listed(scaling_book()).tutorials) == {}


def test_costs_are_read_as_they_were_written() -> None:
    import json

    costs = {"a/b@c@gpu": PlannedCost(63, 28, 7.2e16, "cuda"), "a/b@c@cpu": PlannedCost(2, 0, None, "cpu")}
    assert read_planned() == {}
    planned_file().parent.mkdir(parents=True, exist_ok=True)
    planned_file().write_text(json.dumps(planned_json(costs)))
    assert read_planned() == costs
