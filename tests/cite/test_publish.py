"""Publishing: whole or not at all, never over what is there, refused for what is no verdict; index and tables from the directories."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from repro.cite.evidence.bundle import Bundle, EvidenceError, read_bundle
from repro.cite.evidence.content import make_evidence, read_dossier
from repro.cite.results.index import index_text, pages, read_results, rewrite
from repro.cite.results.publish import annotations_file, place_of, publish, refusal
from repro.ledger.chain import Chain, read_chain
from repro.ledger.published import load_published, load_published_trials, published_problems, published_results
from repro.schema.annotation import Annotation, continued
from repro.schema.errors import StoreError
from repro.schema.verdict import Attempt


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results directory of a repository with a README."""
    place = tmp_path / "repository/docs/results"
    place.mkdir(parents=True)
    monkeypatch.setenv("REPRO_RESULTS", str(place))
    return place


def attempt_of(bundle: Bundle) -> Attempt:
    return read_dossier(bundle).attempt


def chain(attempt: Attempt, *whys: str) -> Chain:
    entries: Chain = ()
    for why in whys:
        entry = Annotation(attempt.id, "disputed", "A. Reader", "2026-01-01T00:00:00+00:00", why)
        entries = (*entries, continued(entries, entry))
    return entries


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_files_of_a_bundle_lie_where_its_id_says(root: Path, toy_bundle: Bundle) -> None:
    attempt = attempt_of(toy_bundle)
    published = publish(toy_bundle, root)
    assert published.directory == root / "toy/mean" / f"replicate@cpu-{attempt.sealed.digest[:8]}-1"
    assert published.new
    assert read_bundle(published.directory).files == dict(toy_bundle.files)
    assert published.result.evidence == toy_bundle.digest
    assert (published.result.paper, published.result.outcome) == ("toy", "match")
    assert rewrite(root) == ([root / "index.json", root / "README.md"], [])
    assert published_results() == (published.result,)
    assert published_problems() == ()
    assert load_published() == [attempt]
    assert load_published_trials(attempt.id) == list(read_dossier(toy_bundle).records)


def test_publishing_again_changes_nothing(root: Path, toy_bundle: Bundle, exact_bundle: Bundle) -> None:
    publish(toy_bundle, root)
    publish(exact_bundle, root)
    rewrite(root)
    before = files(root)
    assert not publish(toy_bundle, root).new
    assert rewrite(root) == ([], [])
    assert files(root) == before


@pytest.mark.parametrize("what", ["another bundle", "damaged", "a file too many", "a file gone"])
def test_nothing_that_was_published_is_overwritten(root: Path, toy_bundle: Bundle, what: str) -> None:
    place = publish(toy_bundle, root).directory
    bundle = toy_bundle
    if what == "another bundle":
        dossier = read_dossier(toy_bundle)
        bundle = make_evidence(replace(dossier, attempt=replace(dossier.attempt, message="another launch")))
    elif what == "damaged":
        (place / "seal.json").write_text("{}")
    elif what == "a file too many":
        (place / "notes.txt").write_text("mine")
    else:
        (place / "verdict.json").unlink()
    before = files(root)
    with pytest.raises(EvidenceError, match="never overwritten"):
        publish(bundle, root)
    assert files(root) == before


REFUSED = {
    "exploratory": (
        {"exploratory": True, "overrides": ("study.params.lr=1",)},
        "exploratory \\(study.params.lr=1 was overridden",
    ),
    "failed": ({"execution": "failed", "message": "2 of 6 trials have no record."}, "is failed.*2 of 6 trials"),
    "running": ({"execution": "running"}, "is running"),
    "unjudged": ({"verdict": None}, "was not judged"),
    "tampered": ({"validity": "tampered"}, "not those that were sealed"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_verdict_is_refused(root: Path, toy_bundle: Bundle, changes: dict, message: str) -> None:
    dossier = read_dossier(toy_bundle)
    bundle = make_evidence(replace(dossier, attempt=replace(dossier.attempt, **changes)))
    with pytest.raises(EvidenceError, match=message):
        publish(bundle, root)
    assert files(root) == {}


def test_what_is_somebody_elses_is_refused(toy_bundle: Bundle) -> None:
    attempt = attempt_of(toy_bundle)
    assert "somebody else's" in (refusal(replace(attempt, id=f"{attempt.id}~1a2b3c4d")) or "")
    assert refusal(attempt) is None


@pytest.mark.parametrize("claim", ["../out", "toy//mean", ".hidden/mean", "toy/-mean", "toy/me an", "/toy/mean"])
def test_an_id_that_is_no_safe_place_is_refused(toy_bundle: Bundle, claim: str) -> None:
    attempt = attempt_of(toy_bundle)
    hostile = replace(attempt, claim=claim, id=attempt.id.replace(attempt.claim, claim))
    assert "not the name of a place" in (refusal(hostile) or "")
    assert "not the name of a place" in (refusal(replace(attempt, id="toy/other@x@cpu-1-1")) or "")


@pytest.mark.parametrize("outcome", ["mismatch", "inconclusive"])
def test_a_mismatch_and_an_inconclusive_verdict_may_be_published(toy_bundle: Bundle, outcome: str) -> None:
    attempt = attempt_of(toy_bundle)
    assert attempt.verdict is not None
    assert refusal(replace(attempt, verdict=replace(attempt.verdict, outcome=outcome))) is None


def test_entries_go_into_a_file_beside_and_are_only_added(root: Path, toy_bundle: Bundle) -> None:
    attempt = attempt_of(toy_bundle)
    first, both = chain(attempt, "Too wide."), chain(attempt, "Too wide.", "And too few.")
    directory = publish(toy_bundle, root, first).directory
    file = annotations_file(directory)
    assert file.name == f"{directory.name}.annotations.jsonl"
    text = file.read_text()
    publish(toy_bundle, root, both)
    assert file.read_text().startswith(text)
    assert read_chain(file.read_text(), attempt.id, "file") == both
    publish(toy_bundle, root)
    assert read_chain(file.read_text(), attempt.id, "file") == both
    assert read_bundle(directory).digest == toy_bundle.digest
    rows, problems = read_results(root)
    assert (rows[0].annotations, rows[0].validity, problems) == (both, "disputed", [])
    rewrite(root)
    assert "disputed: someone contests it" in (root / "README.md").read_text()


def test_the_index_is_made_from_the_directories(root: Path, toy_bundle: Bundle, exact_bundle: Bundle) -> None:
    publish(toy_bundle, root)
    exact = publish(exact_bundle, root)
    rewrite(root)
    assert [result.claim for result in published_results()] == ["toy/exact", "toy/mean"]
    for path in sorted(exact.directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    exact.directory.rmdir()
    changed, problems = rewrite(root)
    assert (changed, problems) == ([root / "index.json", root / "README.md"], [])
    assert [result.claim for result in published_results()] == ["toy/mean"]


def test_a_directory_in_a_wrong_place_or_damaged_is_named_and_left_out(
    root: Path, toy_bundle: Bundle, exact_bundle: Bundle
) -> None:
    moved = publish(toy_bundle, root).directory.rename(root / "toy/moved")
    broken = root / "toy/broken"
    broken.mkdir()
    (broken / "attempt.json").write_text("{")
    linked = root / "toy/linked"
    linked.mkdir()
    (linked / "attempt.json").symlink_to(moved / "attempt.json")
    publish(exact_bundle, root)
    _, problems = rewrite(root)
    assert [result.claim for result in published_results()] == ["toy/exact"]
    assert [any(str(place) in problem for problem in problems) for place in (moved, broken, linked)] == [True] * 3
    assert len(problems) == 3


@pytest.mark.parametrize("how", ["edited", "unreadable", "gone"])
def test_what_was_listed_keeps_its_digest_when_its_files_change(
    root: Path, toy_bundle: Bundle, exact_bundle: Bundle, how: str
) -> None:
    directory = publish(toy_bundle, root).directory
    publish(exact_bundle, root)
    rewrite(root)
    index = (root / "index.json").read_text()
    file = directory / "attempt.json"
    if how == "edited":
        dossier = read_dossier(toy_bundle)
        edited = make_evidence(replace(dossier, attempt=replace(dossier.attempt, message="edited")))
        for name, content in edited.files.items():
            (directory / name).write_bytes(content)
    elif how == "unreadable":
        file.write_text(file.read_text()[:200])
    else:
        file.unlink()
    _, (problem,) = rewrite(root)
    assert str(directory) in problem
    assert (root / "index.json").read_text() == index
    assert "toy/mean" not in (root / "README.md").read_text()
    for name, content in toy_bundle.files.items():
        (directory / name).write_bytes(content)
    assert rewrite(root) == ([root / "README.md"], [])


def test_a_damaged_index_is_named_and_written_anew(root: Path, toy_bundle: Bundle) -> None:
    publish(toy_bundle, root)
    rewrite(root)
    index = (root / "index.json").read_text()
    (root / "index.json").write_text(index[:50])
    changed, (problem,) = rewrite(root)
    assert changed == [root / "index.json"]
    assert "was written anew" in problem
    assert (root / "index.json").read_text() == index


def test_the_tables_stand_between_their_markers_and_the_rest_is_kept(
    root: Path, toy_bundle: Bundle, write_claims
) -> None:
    write_claims()
    publish(toy_bundle, root)
    readme = root.parent.parent / "README.md"
    readme.write_text("# Mine\n\n<!-- results -->\nold\n<!-- /results -->\n\nThe end.\n")
    (root / "README.md").write_text("Before.\n<!-- results -->\n<!-- /results -->\nAfter.\n")
    (root.parent / "papers").mkdir()
    (root.parent / "papers/toy.md").write_text("# A toy\n")
    changed, problems = rewrite(root)
    assert (set(changed), problems) == ({root / "index.json", root / "README.md", readme}, [])
    page = readme.read_text()
    assert page.startswith("# Mine\n\n<!-- results -->\n\n| paper |")
    assert page.endswith("\n<!-- /results -->\n\nThe end.\n")
    assert (
        '| [Author 2024](docs/papers/toy.md "A toy"), toy | 1 | 1\N{NO-BREAK SPACE}replication at reduced scale (cpu) |  |  |  |'
        in page
    )
    assert "[all attempts](docs/results/README.md)" in page
    table = (root / "README.md").read_text()
    assert table.startswith("Before.\n<!-- results -->")
    assert table.endswith("<!-- /results -->\nAfter.\n")
    assert f"`{toy_bundle.digest[:12]}`" in table
    rows, _ = read_results(root)
    assert pages(root, rows) == {readme: page, root / "README.md": table}
    assert (root / "index.json").read_text() == index_text([row.result for row in rows])


def test_a_page_without_markers_is_left_alone_and_named(root: Path, toy_bundle: Bundle) -> None:
    publish(toy_bundle, root)
    (root / "README.md").write_text("Mine.\n")
    changed, (problem,) = rewrite(root)
    assert changed == [root / "index.json"]
    assert "has no place for the table" in problem
    assert (root / "README.md").read_text() == "Mine.\n"


KILLED = """
import os, sys, time
from pathlib import Path
from repro.cite.evidence.bundle import read_bundle
from repro.cite.results.publish import publish
wait, real = float(sys.argv[3]), os.fsync
def slow(handle):
    time.sleep(wait)
    real(handle)
os.fsync = slow
bundle = read_bundle(Path(sys.argv[1]))
print("go", flush=True)
publish(bundle, Path(sys.argv[2]))
"""


@pytest.mark.parametrize("after", [0.0, 0.1, 0.25, 0.4])
def test_a_killed_publish_leaves_nothing_half(root: Path, tmp_path: Path, toy_bundle: Bundle, after: float) -> None:
    file = tmp_path / "evidence.zip"
    file.write_bytes(toy_bundle.packed)
    words = [sys.executable, "-c", KILLED, str(file), str(root), "0.03"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "go\n"
        time.sleep(after)
        running.send_signal(signal.SIGKILL)
    place = root / place_of(attempt_of(toy_bundle))
    assert not place.exists() or read_bundle(place).digest == toy_bundle.digest
    assert read_results(root)[1] == []
    for left in root.glob(".unfinished-*"):
        os.utime(left, (0, 0))
    publish(toy_bundle, root)
    assert read_bundle(place).digest == toy_bundle.digest
    if after == 0.0:
        assert list(root.glob(".unfinished-*")) == []


def test_a_disk_that_cannot_be_written_is_named(
    root: Path, toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(root))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="Free some space"):
        publish(toy_bundle, root)
    monkeypatch.undo()
    assert files(root) == {}
    assert list(root.glob(".unfinished-*")) == []


def test_the_command_publishes_and_a_fresh_clone_shows_it(
    in_toy_home: Path, root: Path, repro, toy_ids: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = repro("publish", "toy/mean", "*@full-*", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["schema"] == "repro.publish/1"
    assert [item["attempt"] for item in document["published"]] == [toy_ids["toy/mean"], toy_ids["toy/exact"]]
    assert all(item["new"] for item in document["published"])
    code, out, _ = repro("publish", toy_ids["toy/mean"])
    assert code == 0
    assert "is there already" in out
    assert repro("publish")[1].strip().endswith("was up to date.")
    clone = tmp_path / "clone"
    clone.mkdir()
    monkeypatch.chdir(clone)
    code, out, _ = repro("list", "toy/*")
    assert code == 0
    assert "match (cpu, published)" in out
    assert "match (full, published)" in out
    code, out, _ = repro("show", "toy/mean")
    assert code == 0
    assert "Not run yet" not in out
    assert list(clone.iterdir()) == []


def test_the_command_refuses_what_does_not_hold_and_publishes_the_rest(
    in_toy_home: Path, root: Path, repro, toy_ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.cite.verification import verify as verifying

    real = verifying.verify
    monkeypatch.setattr(
        "repro.cite.verification.verify.verify",
        lambda bundle, **words: (
            real(bundle, **words)
            if attempt_of(bundle).claim == "toy/exact"
            else real(Bundle({**bundle.files, "seal.json": b"{}"}))
        ),
    )
    code, out, err = repro("publish", "*")
    assert code == 2
    assert f"{toy_ids['toy/mean']} is not published: its evidence does not hold." in err
    assert f"1 published in {root}." in out
    assert [result.claim for result in published_results()] == ["toy/exact"]


def test_what_is_published_stays_as_it_is_when_a_later_version_would_write_other_bytes(
    in_toy_home: Path, root: Path, repro, toy_ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repro("publish", "toy/mean")[0] == 0
    before = files(root)
    monkeypatch.setattr("repro.cite.evidence.content.front_page", lambda dossier: "# Another page\n")
    code, out, _ = repro("publish", "toy/mean")
    assert code == 0
    assert f"{toy_ids['toy/mean']} is there already" in out
    assert files(root) == before
    (root / place_of(attempt_of(read_bundle(next(root.glob("toy/mean/*@*")))))).joinpath("seal.json").write_text("{}")
    code, _, err = repro("publish", "toy/mean")
    assert code == 2
    assert "never overwritten" in err


def test_the_command_names_the_nearest_attempt(in_toy_home: Path, root: Path, repro, toy_ids: dict[str, str]) -> None:
    code, _, err = repro("publish", toy_ids["toy/mean"].replace("replicate", "replicat"))
    assert code == 2
    assert f"Did you mean '{toy_ids['toy/mean']}'?" in err
    assert files(root) == {}


def test_without_a_results_directory_the_variable_is_named(repro, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.schema.places.results_dirs", tuple)
    monkeypatch.setattr("repro.cite.results.publish.results_dirs", tuple)
    code, _, err = repro("publish")
    assert code == 2
    assert "REPRO_RESULTS" in err
