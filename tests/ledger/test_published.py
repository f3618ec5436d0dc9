"""Published results beside the ledger: read from files, named so that nothing hides anything, and damage that hides nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_examples import PAPER, attempt, by_key, claim, diverged, failed, record, verdict

from repro.ledger import published, read
from repro.ledger.calibrations import calibration_text
from repro.ledger.fast import known_names, latest_verdicts
from repro.ledger.write import record_attempts, record_calibrations
from repro.schema.calibration import Calibration
from repro.schema.canonical import canonical_json
from repro.schema.errors import RecordError, StoreError
from repro.schema.jsonform import to_json
from repro.schema.published import PublishedResult, ResultsIndex
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

RECORDS = [failed(4), record(0), record(1), diverged()]
OURS = replace(
    attempt(claim(), RECORDS, verdict(claim(), {"value": 0.5})), provenance={"commit": "c" * 40, "dirty": False}
)


def other(of: Attempt = OURS) -> Attempt:
    """An attempt of the same id that somebody else ran later and that came out otherwise."""
    return replace(
        of, verdict=verdict(claim(), {"value": 0.7}, "mismatch"), started="2024-06-01T10:00:00+00:00", seconds=40.0
    )


def put(
    root: Path, *made: tuple[Attempt, str], records: Sequence[TrialRecord] = RECORDS
) -> tuple[PublishedResult, ...]:
    """Publish attempts under evidence digests that start as given; what is there already stays in the index."""
    file = root / "index.json"
    there = json.loads(file.read_text())["results"] if file.exists() else []
    results = []
    for each, digits in made:
        place = f"{each.claim}/{each.id.partition('@')[2]}-{digits}"
        (root / place).mkdir(parents=True)
        (root / place / "attempt.json").write_text(canonical_json(to_json(each)))
        lines = [canonical_json(to_json(item)) + "\n" for item in records]
        (root / place / "trials.jsonl").write_text("".join(lines))
        assert each.verdict is not None
        results.append(
            PublishedResult(
                each.id, each.claim, "widgets", each.protocol, each.sealed.kind, each.scale, each.verdict.outcome,
                each.verdict.reason, each.validity, each.exploratory, False, each.started, each.compute_ratio, "c" * 40,
                digits.ljust(64, "0"), place,
            )
        )  # fmt: skip
    text = to_json(ResultsIndex(tuple(results)))
    file.write_text(json.dumps({**text, "results": [*there, *text["results"]]}))
    return tuple(results)


@pytest.fixture
def results(tmp_path: Path, home: Path) -> Path:
    """The results directory of this test."""
    place = tmp_path / "results"
    place.mkdir()
    return place


def names() -> list[str]:
    return [each.id for each in read.load_attempts()]


def test_a_published_attempt_is_there_without_any_ledger(results: Path, home: Path) -> None:
    (result,) = put(results, (OURS, "1a2b3c4d"))
    assert published.published_results() == (result,)
    assert published.directory_of(result) == results / result.place
    assert read.load_attempts() == read.load_attempts(OURS.claim) == [OURS]
    assert read.load_attempts("widgets/other") == []
    assert read.load_attempt(OURS.id) == OURS
    assert read.load_trials(OURS.id) == RECORDS
    assert len(read.trials(OURS.id)) == 5
    row = read.attempts().iloc[0]
    assert (row["attempt"], row["part"], row["origin"], row["evidence"]) == (
        OURS.id,
        "value",
        "published",
        result.evidence,
    )
    assert (row["paper"], row["outcome"], row["estimate"], row["commit"], bool(row["dirty"])) == (
        "widgets", "match", 0.5, "c" * 40, False,
    )  # fmt: skip
    (latest,) = latest_verdicts()
    assert (latest.attempt, latest.outcome, latest.execution, latest.published) == (OURS.id, "match", "completed", True)
    assert known_names() == [OURS.id]
    assert sorted(path.name for path in home.iterdir()) == ["results"]


def test_an_attempt_of_the_ledger_that_was_published_stands_once(results: Path) -> None:
    record_attempts([(OURS, PAPER, claim())], by_key(RECORDS), {})
    (result,) = put(results, (replace(OURS, validity="post_hoc", finished="", provenance={}), "1a2b3c4d"))
    assert read.load_attempts() == [OURS]
    (known,) = read.load_known()
    assert (known.origin, known.evidence, known.published) == ("both", result.evidence, result)
    frame = read.attempts()
    assert list(frame["origin"]) == ["both"]
    assert list(frame["evidence"]) == [result.evidence]
    assert [(each.attempt, each.published) for each in latest_verdicts()] == [(OURS.id, False)]


def test_another_attempt_of_the_same_id_stands_beside_ours(results: Path) -> None:
    record_attempts([(OURS, PAPER, claim())], by_key(RECORDS), {})
    put(results, (other(), "1a2b3c4d"), records=[record(0)])
    theirs = f"{OURS.id}~1a2b3c4d"
    assert names() == [OURS.id, theirs]
    assert read.load_attempt(OURS.id) == OURS
    assert read.load_attempt(theirs) == replace(other(), id=theirs)
    assert read.load_trials(theirs) == [record(0)]
    assert len(read.load_trials(OURS.id)) == len(RECORDS)
    assert dict(zip(read.attempts()["attempt"], read.attempts()["origin"], strict=True)) == {
        OURS.id: "ledger",
        theirs: "published",
    }
    assert known_names() == [OURS.id, theirs]
    assert [(each.attempt, each.outcome) for each in latest_verdicts()] == [(theirs, "mismatch")]


@pytest.mark.parametrize("changed", ["verdict", "seconds", "arms", "exploratory"])
def test_what_makes_two_attempts_different(changed: str) -> None:
    otherwise = {
        "verdict": verdict(claim(), {"value": 0.5000000000000001}),
        "seconds": 37.50000000000001,
        "arms": {"main": OURS.arms["main"]},
        "exploratory": True,
    }
    assert published.same_attempt(OURS, replace(OURS, validity="stale", config={}))
    assert not published.same_attempt(OURS, replace(OURS, **{changed: otherwise[changed]}))


def test_an_imported_attempt_that_is_also_published_stands_once(results: Path) -> None:
    evidence = "1a2b3c4d".ljust(64, "0")
    imported = replace(
        other(),
        id=f"{OURS.id}~1a2b3c4d",
        provenance={"origin": {"evidence": evidence, "signed_by": None, "checked_against": "digest"}},
    )
    record_attempts([(imported, PAPER, claim())], by_key(RECORDS), {})
    (known,) = read.load_known()
    assert (known.attempt, known.origin, known.evidence) == (imported, "imported", evidence)
    assert list(read.attempts()["origin"]) == ["imported"]
    put(results, (other(), "1a2b3c4d"))
    (known,) = read.load_known()
    assert (known.attempt.id, known.origin, known.evidence) == (OURS.id, "both", evidence)
    assert read.load_attempt(imported.id) == imported


def test_theirs_of_proven_origin_stands_beside_ours_in_a_listing(results: Path) -> None:
    later = "2030-01-01T00:00:00+00:00"
    origin = {"evidence": "ab" * 32, "signed_by": None, "checked_against": "digest"}
    imported = replace(OURS, id=f"{OURS.id}~abababab", started=later, provenance={"origin": origin})
    for each in (OURS, imported):
        record_attempts([(each, PAPER, claim())], by_key(RECORDS), {})
    assert [(found.attempt, found.theirs) for found in latest_verdicts()] == [(OURS.id, False), (imported.id, True)]


def test_the_ledgers_own_error_rates_go_before_published_ones(results: Path) -> None:
    put(results, (OURS, "1a2b3c4d"))
    (result,) = published.published_results()
    rates = Calibration(
        OURS.sealed.digest, OURS.claim, OURS.protocol, OURS.scale, (), "exact", {}, "published", 1, "seed", 0
    )
    file = published.calibration_file(published.directory_of(result))
    file.write_text(calibration_text(rates), encoding="utf-8")
    assert read.calibrations() == read.calibrations(OURS.claim) == {OURS.sealed.digest: rates}
    assert read.calibrations("nobody/nothing") == {}
    assert read.calibration_of(OURS.id) is None
    record_attempts([(OURS, PAPER, claim())], by_key(RECORDS), {})
    ours = replace(rates, seed=7)
    record_calibrations([ours])
    assert read.calibrations() == {OURS.sealed.digest: ours}
    assert read.calibration_of(OURS.id) == ours
    file.write_text("{", encoding="utf-8")
    assert read.calibrations() == {OURS.sealed.digest: ours}
    ((named, problem),) = published.published_calibrations()
    assert named == result
    assert isinstance(problem, RecordError)


def test_two_results_directories(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = tmp_path / "second"
    second.mkdir()
    monkeypatch.setenv("REPRO_RESULTS", os.pathsep.join([str(results), str(tmp_path / "missing"), str(second)]))
    put(results, (OURS, "1a2b3c4d"))
    put(second, (OURS, "1a2b3c4d"), (other(), "5e6f7a8b"))
    theirs = f"{OURS.id}~5e6f7a8b"
    assert names() == known_names() == [OURS.id, theirs]
    found = published.find_published(theirs)
    assert found is not None
    assert published.directory_of(found).is_relative_to(second)
    assert [each.id for each in published.load_published()] == names()


def damage(results: Path, how: str) -> Path:
    """Damage the second of two published attempts, or the index; return the file that must be named."""
    place = results / "widgets/exponent" / f"{OURS.id.partition('@')[2]}-5e6f7a8b"
    file = results / "index.json" if how.startswith("index") else place / "attempt.json"
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_text(file.read_text()[:100])
    elif how == "newer":
        file.write_text('{"version": 999}')
    elif how == "binary":
        file.write_bytes(b"\xff\xfe")
    elif how == "another":
        file.write_text(canonical_json(to_json(OURS)))
    elif how == "directory":
        file.unlink()
        file.mkdir()
    elif how == "index cut":
        file.write_text(file.read_text()[:-20])
    elif how == "index newer":
        file.write_text('{"version": 999, "results": []}')
    elif how == "index leads out":
        file.write_text(file.read_text().replace("widgets/exponent/", "../widgets/"))
    elif how == "index of another shape":
        file.write_text('{"results": [{"attempt": 3}], "version": 1}')
    return file


@pytest.mark.parametrize("how", ["gone", "cut", "newer", "binary", "another", "directory"])
def test_a_damaged_attempt_is_named_and_hides_no_other(results: Path, how: str) -> None:
    put(results, (OURS, "1a2b3c4d"))
    put(results, (other(), "5e6f7a8b"))
    file = damage(results, how)
    assert names() == [OURS.id]
    assert len(latest_verdicts()) == 1
    assert published.index_problems() == ()
    (problem,) = published.published_problems()
    assert str(file) in problem
    with pytest.raises(RecordError, match=str(file)):
        read.load_attempt(f"{OURS.id}~5e6f7a8b")


@pytest.mark.parametrize("how", ["index cut", "index newer", "index leads out", "index of another shape"])
def test_a_damaged_index_is_named_and_hides_no_other_directory(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    monkeypatch.setenv("REPRO_RESULTS", os.pathsep.join([str(results), str(second)]))
    put(results, (other(), "5e6f7a8b"))
    put(second, (OURS, "1a2b3c4d"))
    file = damage(results, how)
    assert names() == [OURS.id]
    assert [each.attempt for each in latest_verdicts()] == [OURS.id]
    (problem,) = published.index_problems()
    assert str(file) in problem
    assert published.published_problems() == (problem,)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda lines: [lines[0].replace('"loss"', '"lost"'), *lines[1:]], "line 1 was edited"),
        (lambda lines: [*lines[:1], lines[1][:50], *lines[2:]], "line 2 is not readable JSON"),
    ],
)
def test_an_edited_record_is_refused(results: Path, edit, message: str) -> None:
    (result,) = put(results, (OURS, "1a2b3c4d"), records=[record(0), record(1)])
    file = results / result.place / "trials.jsonl"
    file.write_text("\n".join(edit(file.read_text().split("\n"))))
    with pytest.raises(RecordError, match=message):
        read.load_trials(OURS.id)


def test_a_name_that_nobody_has_names_the_nearest(results: Path) -> None:
    put(results, (OURS, "1a2b3c4d"))
    with pytest.raises(StoreError, match=f"or among the published results. Did you mean '{OURS.id}'"):
        read.load_attempt(OURS.id.replace("retrain", "retrained"))
    with pytest.raises(StoreError, match="no published attempt"):
        published.load_published_trials("x")


def test_a_changed_file_is_read_again(results: Path) -> None:
    put(results, (OURS, "1a2b3c4d"))
    assert len(names()) == 1
    put(results, (other(), "5e6f7a8b"))
    assert len(names()) == 2


def test_listing_published_results_is_light_and_quick(results: Path) -> None:
    put(results, *[(replace(OURS, id=f"{OURS.id}{i}"), f"{i:08x}") for i in range(1, 200)])
    program = """
import sys, time
from repro.ledger.fast import latest_verdicts
start = time.perf_counter()
assert len(latest_verdicts()) == 1
heavy = {"pandas", "mlflow", "torch", "hydra", "scipy", "matplotlib", "numpy"} & set(sys.modules)
print(sorted(heavy), time.perf_counter() - start)
"""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=results.parent
    )
    heavy, _, seconds = done.stdout.strip().partition("] ")
    assert heavy == "["
    assert float(seconds) < 1
    assert time.perf_counter() - start < 10
