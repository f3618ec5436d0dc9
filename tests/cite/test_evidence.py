"""A bundle is a pure function of its attempt: the same bytes whenever, wherever and however often it is made."""

import doctest
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from repro.cite.evidence import plain_markdown
from repro.cite.evidence.bundle import Bundle, EvidenceError, read_bundle
from repro.cite.evidence.content import evidence_files, evidence_of, gather, homes_named, make_evidence, read_dossier
from repro.cite.evidence.front_page import front_page
from repro.ledger.content import attempt_files
from repro.ledger.read import load_attempt, load_attempts
from repro.ledger.write import record_attempts
from repro.schema import confidential
from repro.schema.claim import Claim
from repro.schema.errors import RecordError, StoreError
from tests_support import RECIPE

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


def attempt_of(claim: str) -> str:
    return next(attempt.id for attempt in load_attempts() if attempt.claim == claim)


def with_files(bundle: Bundle, **files: str) -> Bundle:
    return Bundle({**bundle.files, **{name.replace("__", "."): text.encode() for name, text in files.items()}})


# What is in it


def test_the_files_of_a_bundle(toy_bundle: Bundle) -> None:
    assert sorted(toy_bundle.files) == [
        ".hydra/config.yaml", ".hydra/overrides.yaml", "README.md", "SHA256SUMS", "attempt.json", "claim.json",
        "environment.json", "estimate.json", "figure.svg", "provenance.json", "ro-crate-metadata.json", "seal.json",
        "source/recipes.toys.draws.py", "source/repro.schema.context.py", "trials.jsonl", "verdict.json",
    ]  # fmt: skip


def test_a_bundle_read_back_makes_the_same_bundle(toy_bundle: Bundle, exact_bundle: Bundle) -> None:
    for bundle in (toy_bundle, exact_bundle):
        assert evidence_files(read_dossier(bundle)) == bundle.files


def test_a_package_among_the_sources_stands_where_it_stood(toy_bundle: Bundle) -> None:
    told = read_dossier(toy_bundle)
    whole = replace(told, sources=dict(sorted({**told.sources, "repro.lab": "", "repro.lab.seeding": ""}.items())))
    bundle = Bundle(evidence_files(whole))
    assert list(read_dossier(bundle).sources) == list(whole.sources)
    assert evidence_files(read_dossier(bundle)) == bundle.files


def test_failed_trials_are_there_before_the_run_that_counts(toy_bundle: Bundle) -> None:
    records = read_dossier(toy_bundle).records
    failed = [record for record in records if record.status == "failed"]
    assert len(failed) == 1
    assert "the machine gave up" in str(failed[0].error)
    again = records[records.index(failed[0]) + 1]
    assert (again.key, again.status) == (failed[0].key, "finished")
    assert len(records) == 13  # six seeds in two arms, and the failure


def test_what_the_ledger_holds_of_an_attempt_is_in_it_byte_for_byte(toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    files = attempt_files(dossier.attempt, dossier.records)
    del files["trials.csv"]
    assert {name: text.encode() for name, text in files.items()}.items() <= toy_bundle.files.items()


def test_sha256sum_agrees(toy_bundle: Bundle, tmp_path: Path) -> None:
    for name, content in toy_bundle.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == len(toy_bundle.files) - 1
    assert read_bundle(tmp_path).digest == toy_bundle.digest == hashlib.sha256(toy_bundle.packed).hexdigest()


def test_the_sources_are_those_that_the_records_name(toy_bundle: Bundle) -> None:
    from repro.catalog.recipe import digest_of_sources

    dossier = read_dossier(toy_bundle)
    assert {record.sources for record in dossier.records} == {digest_of_sources(dossier.sources)}
    assert dossier.sources["recipes.toys.draws"] == RECIPE


# The same bytes


def test_gathered_twice_it_is_the_same(in_toy_home: Path, toy_ids: dict[str, str], toy_bundle: Bundle) -> None:
    assert evidence_of(toy_ids["toy/mean"]).packed == toy_bundle.packed


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_another_process_makes_the_same(
    in_toy_home: Path, toy_ids: dict[str, str], toy_bundle: Bundle, seed: str
) -> None:
    program = f"from repro.cite.evidence.content import evidence_of; print(evidence_of({toy_ids['toy/mean']!r}).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == toy_bundle.digest, done.stderr


def test_judging_and_running_again_change_nothing(own_toy_home: Path, repro: Run) -> None:
    name = attempt_of("toy/mean")
    before = evidence_of(name)
    assert repro("judge", "toy/mean")[0] == 0
    assert evidence_of(name).packed == before.packed
    claim = own_toy_home / "claims/claim/toy/mean.yaml"
    claim.write_text(claim.read_text().replace("The mean of the draws is one.", "The average of all draws is one."))
    paper = own_toy_home / "claims/paper/toy.yaml"
    paper.write_text(paper.read_text().replace("2024", "2025"))
    assert repro("run", "toy/mean", "scale=cpu", "executor=processes")[0] == 0
    assert evidence_of(name).packed == before.packed
    assert b"average" not in before.packed


def test_what_became_stale_since_gives_the_same_evidence(own_toy_home: Path, repro: Run) -> None:
    name = attempt_of("toy/mean")
    before = evidence_of(name)
    claim = own_toy_home / "claims/claim/toy/mean.yaml"
    claim.write_text(claim.read_text().replace("absolute: 0.25", "absolute: 0.3"))
    assert repro("judge", "toy/mean")[0] == 0
    assert load_attempt(name).validity == "stale"
    after = evidence_of(name)
    assert read_dossier(after).attempt.validity == "current"
    assert after.packed == before.packed


def test_after_an_upgrade_of_the_recipe_the_kept_sources_are_used(own_toy_home: Path) -> None:
    from tests_support import forget_recipes

    name = attempt_of("toy/mean")
    before = evidence_of(name)
    recipe = own_toy_home / "claims/recipes/toys/draws.py"
    recipe.write_text(recipe.read_text() + "\n# improved\n")
    forget_recipes()
    assert evidence_of(name).packed == before.packed


def test_without_kept_sources_the_installed_ones_serve_if_they_are_the_same(
    make_toy_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repro.launch.session._to_keep", lambda item, told: {})
    home = make_toy_home()
    name = attempt_of("toy/mean")
    assert read_dossier(evidence_of(name)).sources["recipes.toys.draws"] == RECIPE
    recipe = home / "claims/recipes/toys/draws.py"
    recipe.write_text(RECIPE + "\n# improved\n")
    with pytest.raises(EvidenceError, match=r"recipes\.toys\.draws.*check out commit 0123456789abcdef"):
        evidence_of(name)


def test_judging_keeps_for_an_old_attempt_what_an_upgrade_would_take_away(
    make_toy_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, repro: Run
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("repro.launch.session._to_keep", lambda item, told: {})
        home = make_toy_home()
        shutil.rmtree(home / ".repro/records/provenance")  # an old attempt has none
    before = evidence_of(attempt_of("toy/mean"))
    repro("judge", "toy/mean")
    (home / "claims/recipes/toys/draws.py").write_text(RECIPE + "\n# improved\n")
    (home / "claims/paper/toy.yaml").write_text("title: Renamed\nauthors: [Z]\nyear: 1999\n")
    assert evidence_of(attempt_of("toy/mean")).packed == before.packed


def test_a_published_directory_gives_what_the_ledger_gave(
    toy_bundle: Bundle, toy_ids: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.cite.results.index import rewrite
    from repro.cite.results.publish import publish

    name = toy_ids["toy/mean"]
    root = tmp_path / "results"
    publish(toy_bundle, root, ())
    rewrite(root)
    assert evidence_of(name).packed == toy_bundle.packed
    (file,) = root.rglob("trials.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"status":"failed"', b'"status":"Failed"'))
    with pytest.raises(EvidenceError, match="no longer gives the evidence that was published"):
        evidence_of(name)


def test_an_imported_attempt_gives_its_producers_evidence(own_directory: Path, toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    name = f"{dossier.attempt.id}~{toy_bundle.digest[:8]}"
    origin = {"evidence": toy_bundle.digest, "signed_by": None, "checked_against": "digest"}
    theirs = replace(dossier.attempt, id=name, provenance={**dossier.attempt.provenance, "origin": origin})
    files = {kept: toy_bundle.files[kept].decode() for kept in ("claim.json", "provenance.json")}
    files["sources.json"] = json.dumps(dict(dossier.sources))

    def record(attempt: object) -> None:
        finished = {record.key: record for record in dossier.records if record.status != "failed"}
        failed = [record for record in dossier.records if record.status == "failed"]
        rows = [(attempt, dossier.paper, dossier.claim)]
        record_attempts(rows, finished, {name: dossier.figure}, failed, {name: files})

    record(theirs)
    assert evidence_of(name).packed == toy_bundle.packed
    record(replace(theirs, provenance={**theirs.provenance, "dirty": True}))
    with pytest.raises(EvidenceError, match="Pass on the bundle that you were given"):
        evidence_of(name)


def test_a_name_that_means_nothing_names_the_nearest(in_toy_home: Path, toy_ids: dict[str, str]) -> None:
    with pytest.raises(StoreError, match=r"Did you mean 'toy/mean@replicate@cpu"):
        evidence_of(toy_ids["toy/mean"][:-1] + "7")


# Numbers

AWKWARD = (0.1 + 0.2, -0.0, 5e-324, 2.2250738585072009e-308, 1e308, -1.7976931348623157e308, 1 / 3, 1e22, 2.0**53 + 2)
NUMBERS = st.lists(st.sampled_from(AWKWARD) | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@settings(max_examples=150, deadline=None)
@given(numbers=NUMBERS)
def test_numbers_survive_exactly(exact_bundle: Bundle, numbers: list[float]) -> None:
    dossier = read_dossier(exact_bundle)
    rows = tuple({"s": value, "missing": None} for value in numbers)
    curves = {"c": tuple(enumerate(numbers))}
    record = replace(dossier.records[0], rows=rows, curves=curves, config={"lr": numbers[0]}).with_digest()
    attempt = replace(dossier.attempt, seconds=numbers[0], config={"deep": [{"er": numbers}]})
    made = Bundle(evidence_files(replace(dossier, attempt=attempt, records=(record,))))
    again = read_dossier(made)
    (read,) = again.records
    assert [bits(row["s"]) for row in read.rows] == [bits(value) for value in numbers]  # type: ignore[arg-type]
    assert [bits(value) for _, value in read.curves["c"]] == [bits(value) for value in numbers]  # type: ignore[arg-type]
    assert bits(read.config["lr"]) == bits(again.attempt.seconds) == bits(numbers[0])
    assert [bits(value) for value in again.attempt.config["deep"][0]["er"]] == [bits(value) for value in numbers]
    assert evidence_files(again) == made.files


def test_the_program_in_the_readme_reads_every_digit(
    toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = toy_bundle.files["README.md"].decode()
    program = readme.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "trials.jsonl").write_bytes(toy_bundle.files["trials.jsonl"])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(program, names)
    frame = names["rows"]
    wanted = [record.value("x") for record in read_dossier(toy_bundle).records if record.rows]
    assert [bits(value) for value in frame["x"]] == [bits(value) for value in wanted]  # type: ignore[index]
    assert set(frame["trial.status"]) == {"finished"}  # type: ignore[index]


# What a stranger reads


def test_the_readme_tells_claim_measurement_verdict_and_checks(toy_bundle: Bundle, exact_bundle: Bundle) -> None:
    readme = toy_bundle.files["README.md"].decode()
    for phrase in (
        "**Replicated at reduced scale (ratio to the paper's compute unknown)** (verdict `match`).",
        "> The mean of the draws is one.",
        "A. Author, Bea van den Berg (2024), *A \\*toy\\* of \\[things\\]*, arXiv:2401.00001. Where: Section 1.",
        "| value | printed 1.0 | verified: seen in the paper or in its authors' own artefact |",
        "within ± 0.25 of 1.0",
        "± 0.25: A quarter is what matters here.",
        "| without\\_effect | be a mismatch | failed, as it must |",
        "12 finished, 1 failed by machine or program, which is no datum",
        "repro verify .",
        "sha256sum -c SHA256SUMS",
        "at commit `0123456789abcdef0123456789abcdef01234567`, with nothing changed since",
    ):
        assert phrase in readme, phrase
    assert "**Recomputed** (verdict `match`)." in exact_bundle.files["README.md"].decode()


HOSTILE = "<script>alert(1)</script> [x](javascript:y) ![i](http://h/p.png) `code` **b**\n# head\n| a | b | $z$ \u202e &amp; ~~s~~"


def test_texts_of_claims_are_shown_and_are_never_markup(toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    claim: Claim = replace(
        dossier.claim,
        statement=HOSTILE,
        locator=HOSTILE,
        quantity=replace(dossier.claim.quantity, symbol=HOSTILE, definition=HOSTILE, unit=HOSTILE),
        protocols={
            name: replace(p, deviations=("- " + HOSTILE, "1. one"), controls={})
            for name, p in dossier.claim.protocols.items()
        },
    )
    paper = replace(dossier.paper, title=HOSTILE, authors=(HOSTILE,), url="javascript:alert(1)", venue=HOSTILE)
    verdict = replace(dossier.attempt.verdict, detail=HOSTILE)  # type: ignore[type-var]
    provenance = {"commit": "`x` <b>", "dirty": {}, "packages": [], "command": 3}
    attempt = replace(dossier.attempt, verdict=verdict, provenance=provenance)
    hostile = replace(dossier, claim=claim, paper=paper, attempt=attempt)
    before, after = (_tokens(front_page(item)) for item in (dossier, hostile))
    assert "html_inline" not in after
    assert "html_block" not in after
    assert after.count("image") == before.count("image") == 1  # the figure
    assert after.count("heading_open") == before.count("heading_open")
    assert after.count("tr_open") == before.count("tr_open")
    assert not any(link.startswith("javascript") for link in _links(front_page(hostile)))
    assert "\u202e" not in front_page(hostile)
    shown = MarkdownIt("commonmark").enable("table").render(front_page(hostile))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; [x](javascript:y) ![i](http://h/p.png) `code` **b** # head" in shown


def _tokens(text: str) -> list[str]:
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [token.type for block in parsed for token in (block, *(block.children or ()))]


def _links(text: str) -> list[str]:
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    return [
        str(child.attrs.get("href", ""))
        for block in parsed
        for child in block.children or ()
        if child.type == "link_open"
    ]


def test_an_attempt_that_did_not_finish_has_evidence_too(toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    failed = tuple(record for record in dossier.records if record.status == "failed")
    attempt = replace(dossier.attempt, execution="failed", verdict=None, message="1 of 12 trials has no record.")
    bundle = make_evidence(replace(dossier, attempt=attempt, records=failed, figure=None))
    readme = bundle.files["README.md"].decode()
    assert "**Did not run to its end** (no verdict). 1 of 12 trials has no record." in readme
    assert "figure.svg" not in bundle.files
    assert "figure.svg" not in readme
    assert evidence_files(read_dossier(bundle)) == bundle.files


# What must not travel


def test_evidence_with_a_credential_is_refused_and_never_shows_it(toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    secret = "ghp_" + "a1B2" * 10
    attempt = replace(dossier.attempt, config={**dossier.attempt.config, "executor": {"env": f"GITHUB={secret}"}})
    with pytest.raises(EvidenceError, match=r"an access token in \.hydra/config\.yaml, line \d+") as refused:
        make_evidence(replace(dossier, attempt=attempt))
    assert secret not in str(refused.value)
    failed = replace(dossier.records[0], error="HTTPError: https://ada:hunter2@example.org/x").with_digest()
    with pytest.raises(EvidenceError, match=r"an address with a password in trials\.jsonl, line 1"):
        make_evidence(replace(dossier, records=(failed, *dossier.records[1:])))


def test_the_command_line_is_written_down_without_credentials(
    write_claims: Callable[..., Path], repro: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims()
    monkeypatch.setenv("DEPLOY_TOKEN", "correct-horse-battery")
    assert repro("run", "toy/exact", "+executor.note=correct-horse-battery")[0] == 0
    (attempt,) = load_attempts()
    assert attempt.provenance["command"] == "repro run toy/exact +executor.note=***"


def test_home_directories_are_pointed_out(toy_bundle: Bundle) -> None:
    assert homes_named(toy_bundle) == []
    dossier = read_dossier(toy_bundle)
    failed = replace(dossier.records[0], error="FileNotFoundError: /home/ada/data.csv").with_digest()
    bundle = make_evidence(replace(dossier, records=(failed, *dossier.records[1:])))
    assert homes_named(bundle) == ["trials.jsonl"]


# What was damaged


def test_a_bundle_without_one_of_its_primary_files_is_refused(toy_bundle: Bundle) -> None:
    for name in ("attempt.json", "claim.json", "trials.jsonl"):
        files = {other: content for other, content in toy_bundle.files.items() if other != name}
        with pytest.raises(EvidenceError, match=f"lacks {name}"):
            read_dossier(Bundle(files))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"config":{', '"config":{"x":1e999,'),
        ('"config":{', '"config":{"x":"\\ud800",'),
        ('"config":{', '"config":{"x":' + "[" * 100_000 + "]" * 100_000 + ","),
        ('"config":{', '"config":{"x":' + "9" * 5000 + ","),
        ('"config":{', '"config":{"x":NaN,'),
    ],
    ids=["infinite", "no Unicode", "too deep", "too long", "no number"],
)
def test_json_that_nothing_here_writes_is_refused(toy_bundle: Bundle, old: str, new: str) -> None:
    text = toy_bundle.files["attempt.json"].decode()
    with pytest.raises(RecordError):
        read_dossier(with_files(toy_bundle, attempt__json=text.replace(old, new, 1)))
    lines = toy_bundle.files["trials.jsonl"].decode()
    with pytest.raises(RecordError):
        read_dossier(with_files(toy_bundle, trials__jsonl=lines.replace(old, new, 1)))


def test_a_claim_of_another_version_or_shape_is_refused(toy_bundle: Bundle) -> None:
    content = json.loads(toy_bundle.files["claim.json"])
    for change in ({"bundle_version": 2}, {"bundle_version": True}, {"more": 1}, {"data": {}}):
        with pytest.raises(RecordError, match=r"claim\.json"):
            read_dossier(with_files(toy_bundle, claim__json=json.dumps({**content, **change})))
    with pytest.raises(RecordError, match="UTF-8"):
        read_dossier(Bundle({**toy_bundle.files, "claim.json": b"\xff"}))


# The command


def test_the_command_writes_the_zip_and_says_what_to_do_next(
    own_toy_home: Path, repro: Run, toy_bundle: Bundle, tmp_path: Path
) -> None:
    code, out, _ = repro("evidence", "toy/mean")
    name = attempt_of("toy/mean")
    file = Path(f"{name.replace('/', '.')}.zip")
    bundle = read_bundle(file)
    assert code == 0
    assert bundle.canonical
    assert read_dossier(bundle).attempt.id == name
    assert bundle.digest in out
    assert "replicated at reduced scale" in out
    for following in (f"repro verify {file}", f"repro sign {file} --key YOU.key", f"repro publish {name}"):
        assert following in out
    code, out, _ = repro("evidence", name)
    assert code == 0
    assert out.startswith("There already, with the same bytes:")
    file.write_bytes(b"other")
    code, _, errors = repro("evidence", name)
    assert code == 2
    assert "holds something else" in errors
    assert file.read_bytes() == b"other"
    (tmp_path / "there").mkdir()
    code, out, _ = repro("evidence", name, "--out", str(tmp_path / "there"), "--json")
    told = json.loads(out)
    assert code == 0
    assert told["schema"] == "repro.evidence/1"
    assert told["sha256"] == bundle.digest
    assert Path(told["file"]) == tmp_path / "there" / file.name
    assert told["bytes"] == len(bundle.packed)


def test_the_command_explains_what_is_missing(in_toy_home: Path, repro: Run, tmp_path: Path) -> None:
    code, _, errors = repro("evidence", "toy/meen")
    assert code == 2
    assert "Did you mean 'toy/mean'?" in errors
    empty = tmp_path / "empty"
    shutil.copytree(in_toy_home / "claims", empty / "claims")
    os.chdir(empty)
    code, _, errors = repro("evidence", "toy/mean")
    assert code == 2
    assert "nobody tried it here. Run it: repro run toy/mean." in errors


def test_no_figure_of_the_verdict_is_drawn_twice(
    own_toy_home: Path, repro: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gather(attempt_of("toy/mean")).figure
    monkeypatch.setattr("repro.review.pictures.figures.interval_figure", lambda claim, attempt: "<svg>improved</svg>")
    assert repro("judge", "toy/mean")[0] == 0
    assert gather(attempt_of("toy/mean")).figure == before != "<svg>improved</svg>"


def test_the_examples_in_the_documentation() -> None:
    for module in (plain_markdown, confidential):
        done = doctest.testmod(module)
        assert done.attempted > 0
        assert done.failed == 0
