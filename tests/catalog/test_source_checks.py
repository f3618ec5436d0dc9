"""Published values that somebody checked: on record beside the claim, outside every seal, valid for the value that was checked."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest
import yaml

from repro.catalog.compose import compose
from repro.catalog.index import load_index
from repro.catalog.load import load_claim, load_scale, load_study
from repro.catalog.source_checks import all_checks, checks_file, record_checks, source_checks
from repro.launch.planning.plan import Source, first_shape, plan_attempt
from repro.schema.errors import ConfigError
from tests_support import forget_recipes

PARTS = """
id: toy/table
paper: toy
statement: Four values.
locator: Table 1
quantity: {symbol: x}
parts:
  seen: {printed: "1.0", source: verified, locator: "Table 1, row 1"}
  copied: {printed: "2.0", source: secondary}
  unseen: {printed: "3.0"}
  made: {printed: "4.0", source: derived, locator: 2 x 2}
rule: {kind: equivalence, margin: {absolute: 0.25}, because: A quarter.}
protocols:
  replicate:
    kind: replication
    study: toys/draws
    estimator: {_target_: repro.stats.summary.mean_over_seeds, column: x}
    decisive: [cpu]
    controls:
      without_effect: {params: {effect: 0.0}, expect: mismatch, because: none}
"""
WHO, WHERE = "A. Reader <a@example.org>", "Table 1 on page 2 of v3"


@pytest.fixture
def root(write_claims) -> Path:
    return write_claims(extra={"claim/toy/table.yaml": PARTS})


def seal_of(claim: str) -> str:
    forget_recipes()
    source = Source(load_claim(claim), "replicate", load_study("toys/draws"), load_scale("cpu"))
    return plan_attempt(source, first_shape(source))[0].sealed.digest


def test_all_parts_that_need_it_are_checked_and_no_seal_changes(root: Path) -> None:
    before = seal_of("toy/table")
    claim = load_claim("toy/table")
    assert source_checks(claim) == {}
    new = record_checks("toy/table", (), WHO, WHERE)
    assert [(check.part, check.printed, check.who, check.where) for check in new] == [
        ("copied", "2.0", WHO, WHERE),
        ("unseen", "3.0", WHO, WHERE),
    ]
    assert checks_file("toy/table") == root / "checked/toy/table.yaml"
    assert source_checks(claim) == {check.part: check for check in new}
    assert seal_of("toy/table") == before
    assert "toy/table" in load_index().claims
    (request,) = compose(["toy/table", "scale=cpu"], load_index())
    assert request.claim == claim


def test_a_part_alone_and_a_later_check_of_the_same(root: Path) -> None:
    record_checks("toy/table", ("unseen",), WHO, WHERE)
    first = checks_file("toy/table").read_text()
    record_checks("toy/table", ("unseen",), "B. Other", "the authors' notebook")
    assert checks_file("toy/table").read_text().startswith(first), "nothing is rewritten"
    assert [check.who for check in all_checks("toy/table")] == [WHO, "B. Other"]
    assert source_checks(load_claim("toy/table"))["unseen"].who == "B. Other"


def test_a_check_holds_only_while_the_value_is_the_one_that_was_checked(root: Path) -> None:
    record_checks("toy/table", ("unseen",), WHO, WHERE)
    file = root / "claim/toy/table.yaml"
    text = file.read_text()
    file.write_text(text.replace('"3.0"', '"3.00"'))
    assert source_checks(load_claim("toy/table")) == {}
    assert len(all_checks("toy/table")) == 1
    record_checks("toy/table", ("unseen",), WHO, WHERE)
    assert source_checks(load_claim("toy/table"))["unseen"].printed == "3.00"
    file.write_text(text)
    assert source_checks(load_claim("toy/table"))["unseen"].printed == "3.0"
    file.write_text(text.replace("unseen:", "other:"))
    assert source_checks(load_claim("toy/table")) == {}


@pytest.mark.parametrize(
    ("claim", "parts", "who", "where", "message"),
    [
        ("toy/table", ("seen",), WHO, WHERE, "'seen', is verified already: Table 1, row 1"),
        ("toy/mean", (), WHO, WHERE, "verified already"),
        ("toy/table", ("made",), WHO, WHERE, "is derived: the paper prints no such number.*2 x 2"),
        ("toy/table", ("unsen",), WHO, WHERE, "Did you mean 'unseen'"),
        ("toy/tabel", (), WHO, WHERE, "Did you mean 'toy/table'"),
        ("toy/table", (), " \n", WHERE, "Say who"),
        ("toy/table", (), WHO, "\u200b\x00", "Say where"),
        ("toy/table", (), "x" * 301, WHERE, "at most 300"),
        ("toy/table", (), WHO, "x" * 1001, "at most 1000"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    root: Path, claim: str, parts: tuple, who: str, where: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        record_checks(claim, parts, who, where)
    assert not (root / "checked").exists()


def test_hostile_text_stays_text(root: Path) -> None:
    who = "A: {b} - [c] #d '\"!!python/object/apply:os.system ${HOME} \x1b[31m\n- claim: x"
    (check,) = record_checks("toy/table", ("unseen",), who, "2024-01-01")
    assert "\x1b" not in check.who
    assert "\n" not in check.who
    assert source_checks(load_claim("toy/table"))["unseen"] == check
    assert yaml.safe_load(checks_file("toy/table").read_text())[0]["who"] == check.who


def test_a_place_that_cannot_be_written_says_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "checked").write_text("a file where the directory must be")
    with pytest.raises(ConfigError, match="REPRO_CLAIMS"):
        record_checks("toy/table", (), WHO, WHERE)
    (root / "checked").unlink()
    record_checks("toy/table", ("unseen",), WHO, WHERE)
    before = checks_file("toy/table").read_bytes()

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("repro.schema.files.os.replace", full)
        with pytest.raises(ConfigError, match="No space left"):
            record_checks("toy/table", (), WHO, WHERE)
    assert checks_file("toy/table").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "- [",
        "a: b",
        "- 1",
        "- {claim: toy/table}",
        "- {claim: toy/other, part: a, printed: '1', who: a, where: b, when: c}",
    ],
)
def test_a_damaged_file_is_named_and_not_appended_to(root: Path, text: str) -> None:
    file = checks_file("toy/table")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"table\.yaml"):
        source_checks(load_claim("toy/table"))
    with pytest.raises(ConfigError, match=r"table\.yaml"):
        record_checks("toy/table", (), WHO, WHERE)
    assert file.read_text() == text


def test_a_file_of_a_newer_version_asks_for_an_upgrade(root: Path) -> None:
    record_checks("toy/table", ("unseen",), WHO, WHERE)
    file = checks_file("toy/table")
    file.write_text(file.read_text().replace("version: 1", "version: 2"))
    with pytest.raises(ConfigError, match="newer version"):
        source_checks(load_claim("toy/table"))


def _check(number: int) -> None:
    for count in range(5):
        record_checks("toy/table", ("unseen",), f"{number}.{count}", WHERE)


def test_two_processes_that_check_at_once_lose_nothing(root: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_check, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(check.who for check in all_checks("toy/table")) == sorted(
        f"{n}.{c}" for n in range(2) for c in range(5)
    )


def test_the_first_claim_of_a_root_needs_no_directory(root: Path) -> None:
    assert all_checks("toy/mean") == ()
    assert not (root / "checked").exists()
