import json
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from ledger_examples import (
    PAPER,
    attempt,
    blocked_claim,
    by_key,
    claim,
    diverged,
    failed,
    many_rows,
    record,
    verdict,
)
from mlflow import MlflowClient

from repro.ledger import read
from repro.ledger.fast import LatestVerdict, latest_verdicts
from repro.ledger.runs import find_runs, runs_by_id
from repro.ledger.write import record_attempts, record_blocked
from repro.schema.errors import RecordError, StoreError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

SEVERAL = ("tall", "wide @ 2×")


@pytest.fixture
def ledger(home: Path) -> dict[str, Attempt]:
    """Attempts of every sort: matching, in parts, exploratory, not yet judged; and a blocked claim."""
    single, several = claim(), claim(SEVERAL, name="widgets/parts")
    records = [record(0), record(1), diverged(), failed(), many_rows()]
    parts = verdict(several, {"tall": 1.52, "wide @ 2×": None}, "inconclusive", "no_estimate")
    parts = replace(parts, parts={**parts.parts, "tall": replace(parts.parts["tall"], outcome="match", reason=None)})
    made = {
        "match": attempt(single, records, verdict(single, {"value": 0.5})),
        "parts": attempt(several, records, parts, started="2024-05-02T10:00:00+00:00", compute_ratio=None),
        "exploratory": attempt(
            single,
            [record(7)],
            verdict(single, {"value": 0.9}, "mismatch"),
            exploratory=True,
            overrides=("study.params.lr=1",),
            started="2024-05-03T10:00:00+00:00",
            provenance={},
        ),
        "running": attempt(
            single, [record(0)], None, scale="cpu", execution="running", started="2024-05-04T10:00:00+00:00"
        ),
    }
    claims = {"parts": several}
    rows = [(each, PAPER, claims.get(name, single)) for name, each in made.items()]
    record_attempts(rows, by_key([*records, record(7)]), {})
    record_blocked(blocked_claim(), PAPER)
    return made


def test_what_was_written_is_what_is_read(ledger: dict[str, Attempt]) -> None:
    assert read.load_attempts() == list(ledger.values())
    assert read.load_attempt(ledger["parts"].id) == ledger["parts"]
    assert read.load_trials(ledger["match"].id) == [record(0), record(1), diverged(), failed(), many_rows()]


def test_the_frame_of_attempts(ledger: dict[str, Attempt]) -> None:
    frame = read.attempts()
    assert list(frame.columns) == list(read.ATTEMPT_COLUMNS)
    assert list(frame["part"]) == ["value", "value", "tall", "wide @ 2×", "value", "value"]
    assert list(frame["execution"]) == ["blocked", "completed", "completed", "completed", "completed", "running"]
    frame = frame.set_index(["attempt", "part"])
    row = frame.loc[(ledger["match"].id, "value")]
    expected = {
        "claim": "widgets/exponent",
        "paper": "widgets",
        "protocol": "retrain",
        "kind": "replication",
        "scale": "gpu",
        "outcome": "match",
        "part_outcome": "match",
        "validity": "current",
        "exploratory": False,
        "target": 0.49,
        "margin": 0.1,
        "estimate": 0.5,
        "se": 0.02,
        "low": 0.45,
        "high": 0.55,
        "n": 3,
        "deviation_scale": "linear",
        "seal": ledger["match"].sealed.digest,
        "started": pd.Timestamp("2024-05-01T10:00:00Z"),
        "seconds": 37.5,
        "compute_ratio": 0.008,
        "commit": "c" * 40,
        "dirty": True,
    }
    assert {name: row[name] for name in expected} == expected
    assert row["deviation"] == 0.5 - 0.49
    assert pd.isna(row["reason"])


def test_the_parts_of_an_attempt_have_outcomes_of_their_own(ledger: dict[str, Attempt]) -> None:
    frame = read.attempts().query("claim == 'widgets/parts'").set_index("part")
    assert list(frame["outcome"]) == ["inconclusive", "inconclusive"]
    assert frame.loc["tall", "part_outcome"] == "match"
    assert pd.isna(frame.loc["tall", "part_reason"])
    assert frame.loc["wide @ 2×", "part_reason"] == "no_estimate"
    assert frame.loc["wide @ 2×", "target"] == 2.5
    assert pd.isna(frame.loc["wide @ 2×", "estimate"])
    assert pd.isna(frame.loc["tall", "compute_ratio"])


def test_what_an_attempt_lacks_is_missing(ledger: dict[str, Attempt]) -> None:
    frame = read.attempts().set_index("attempt")
    assert pd.isna(frame.loc[ledger["exploratory"].id, "commit"])
    assert frame.loc[ledger["exploratory"].id, "dirty"] is pd.NA
    assert bool(frame.loc[ledger["exploratory"].id, "exploratory"])
    assert frame.loc[ledger["running"].id, "target"] == 0.49
    blocked = frame.loc["widgets/secret@blocked"]
    assert blocked[["outcome", "protocol", "scale", "n", "estimate", "seal"]].isna().all()
    assert blocked["target"] == 0.49
    assert blocked["started"] == pd.Timestamp("2020-01-01", tz="UTC")


def test_the_frame_of_trials(ledger: dict[str, Attempt]) -> None:
    frame = read.trials(ledger["match"].id)
    assert list(frame.columns[:6]) == ["key", "arm", "replicate", "row", "status", "label"]
    assert {"config.width", "config.lr", "loss", "flops", "broken"} <= set(frame.columns)
    assert list(frame["arm"]) == ["main"] * 7 + ["untuned"] * 3
    main = frame[frame["arm"] == "main"]
    assert list(main["status"]) == ["finished", "finished", "diverged", "failed", "finished", "finished", "finished"]
    assert list(main["row"].fillna(-1)) == [0, 0, 0, -1, 0, 1, 2]
    assert main["loss"].iloc[:2].tolist() == [0.1, 0.1 + 1 / 3]
    assert main["loss"].iloc[2:4].isna().all()
    assert main["broken"].dtype == "float64"
    assert main["config.width"].tolist() == [8] * 7


def test_a_measurement_that_is_called_like_a_column(home: Path) -> None:
    of, trial = claim(), record(rows=({"loss": 1.0, "status": 2.0},))
    made = attempt(of, [trial], verdict(of, {"value": 0.5}))
    record_attempts([(made, PAPER, of)], by_key([trial]), {})
    frame = read.trials(made.id)
    assert frame["measured.status"].tolist() == [2.0, 2.0]
    assert frame["status"].tolist() == ["finished", "finished"]


def test_an_attempt_none_of_whose_trials_ran(home: Path) -> None:
    of = claim()
    made = attempt(of, [record()], None, execution="planned", seconds=0.0)
    record_attempts([(made, PAPER, of)], {}, {})
    assert read.load_trials(made.id) == []
    frame = read.trials(made.id)
    assert frame.empty
    assert list(frame.columns[:3]) == ["key", "arm", "replicate"]


def test_sql_and_mlflow_read_the_same(ledger: dict[str, Attempt], request: pytest.FixtureRequest) -> None:
    by_sql = (read.attempts(), latest_verdicts(), read.load_trials(ledger["match"].id))
    attempts = find_runs("paper/", "repro.attempt")
    some = [run.run_id for run in find_runs("study/", "repro.trial_key", [record(0).key, record(1).key])]
    request.getfixturevalue("unknown_schema")
    pd.testing.assert_frame_equal(read.attempts(), by_sql[0])
    assert latest_verdicts() == by_sql[1]
    assert read.load_trials(ledger["match"].id) == by_sql[2]
    plain = [
        replace(run, tags={k: v for k, v in run.tags.items() if k != "mlflow.note.content"})
        for run in find_runs("paper/", "repro.attempt")
    ]
    assert sorted(plain, key=lambda run: run.run_id) == sorted(attempts, key=lambda run: run.run_id)
    assert [run.run_id for run in find_runs("study/", "repro.trial_key", [record(0).key, record(1).key])] == some
    assert {run.run_id for run in runs_by_id(some)} == set(some)
    assert find_runs("no such prefix/", "repro.attempt") == []


def test_writing_to_a_store_of_an_unknown_schema(home: Path, unknown_schema: None) -> None:
    of, trial = claim(), record()
    made = attempt(of, [trial], verdict(of, {"value": 0.5}))
    for _ in range(2):
        record_attempts([(made, PAPER, of)], by_key([trial]), {})
    assert read.load_trials(made.id) == [trial]
    assert len(read.attempts()) == 1


def test_many_pages_of_runs(ledger: dict[str, Attempt], unknown_schema: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.ledger.runs.PAGE", 2)
    assert len(read.load_attempts()) == 4
    assert len(read.load_trials(ledger["match"].id)) == 5


def test_there_is_nothing_where_there_is_no_store(home: Path) -> None:
    assert read.attempts().empty
    assert list(read.attempts().columns) == list(read.ATTEMPT_COLUMNS)
    assert read.load_attempts() == []
    assert latest_verdicts() == []
    with pytest.raises(
        StoreError,
        match="no attempt 'x' in the ledger at sqlite:///mlflow.db or among the published results. The ledger is empty",
    ):
        read.load_attempt("x")
    assert list(home.iterdir()) == []


def test_an_unknown_attempt_names_the_nearest(ledger: dict[str, Attempt]) -> None:
    known = ledger["match"].id
    for load in (read.load_attempt, read.load_trials, read.trials):
        with pytest.raises(StoreError, match=f"Did you mean '{known}'"):
            load(known[:-1] + "9")
    with pytest.raises(StoreError, match="no attempt 'widgets/secret@blocked'"):
        read.load_attempt("widgets/secret@blocked")


def file_of(home: Path, name: str, containing: str) -> Path:
    (file,) = [path for path in (home / "mlruns").rglob(name) if containing in path.read_text()]
    return file


def test_an_edited_record_is_refused(ledger: dict[str, Attempt], home: Path) -> None:
    file = file_of(home, "record.json", record(1).key)
    content = json.loads(file.read_text())
    content["rows"][0]["loss"] = 0.49
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="edited after it was written"):
        read.load_trials(ledger["match"].id)
    assert len(read.attempts()) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "x"', "not readable JSON"),
        ('{"version": 999}', "written by a newer version"),
        ("[]", "must be an object"),
    ],
)
def test_a_damaged_attempt_is_named(ledger: dict[str, Attempt], home: Path, text: str, message: str) -> None:
    made = ledger["match"]
    file_of(home, "attempt.json", made.id).write_text(text)
    with pytest.raises(RecordError, match=message) as error:
        read.load_attempt(made.id)
    assert made.id in str(error.value)


def test_a_record_of_a_newer_version_is_refused(ledger: dict[str, Attempt], home: Path) -> None:
    file_of(home, "record.json", record(1).key).write_text('{"version": 999}')
    with pytest.raises(RecordError, match="newer version of repro-tracker"):
        read.load_trials(ledger["match"].id)


def test_artifacts_that_are_gone(ledger: dict[str, Attempt], home: Path) -> None:
    made = ledger["match"]
    file_of(home, "attempt.json", made.id).unlink()
    with pytest.raises(StoreError, match=r"attempt.json of run .* if the directory was moved, move it back"):
        read.load_attempt(made.id)


def test_a_trial_that_was_deleted(ledger: dict[str, Attempt], home: Path) -> None:
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    (run,) = find_runs("study/", "repro.trial_key", [record(1).key])
    client.delete_run(run.run_id)
    with pytest.raises(StoreError, match=f"mlflow runs restore --run-id {run.run_id}"):
        read.load_trials(ledger["match"].id)


def latest(made: Attempt, **changes: object) -> LatestVerdict:
    found = LatestVerdict(
        claim=made.claim,
        protocol=made.protocol,
        scale=made.scale,
        outcome=made.verdict.outcome if made.verdict else None,
        reason=made.verdict.reason if made.verdict else None,
        validity="current",
        execution=made.execution,
        started=made.started,
        attempt=made.id,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def test_the_latest_verdict_of_each_protocol_and_scale(ledger: dict[str, Attempt]) -> None:
    blocked = LatestVerdict("widgets/secret", "", "", None, None, "", "blocked", "2020-01-01", "widgets/secret@blocked")
    assert latest_verdicts() == [latest(ledger["running"]), latest(ledger["match"]), latest(ledger["parts"]), blocked]


def test_a_later_attempt_replaces_an_earlier_one_and_an_exploratory_one_does_not(home: Path) -> None:
    of, trial = claim(), record()
    tried = attempt(of, [trial], verdict(of, {"value": 0.9}, "mismatch"), exploratory=True, counter=1)
    record_attempts([(tried, PAPER, of)], by_key([trial]), {})
    assert latest_verdicts() == [latest(tried, exploratory=True)]
    second = attempt(of, [trial], verdict(of, {"value": 0.5}), counter=2, started="2024-04-01T10:00:00+00:00")
    tenth = attempt(of, [trial], None, counter=10, execution="failed", started="2024-04-01T10:00:00+00:00")
    record_attempts([(tenth, PAPER, of), (second, PAPER, of)], by_key([trial]), {})
    assert latest_verdicts() == [latest(tenth)]


LISTING = """
import sys
from repro.ledger.fast import latest_verdicts
assert len(latest_verdicts()) == 4
heavy = {"mlflow", "pandas", "numpy", "torch", "sqlalchemy", "hydra", "filelock", "yaml", "urllib.request"} & set(sys.modules)
assert not heavy, heavy
"""


def test_listing_imports_nothing_heavy(ledger: dict[str, Attempt], home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LISTING], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_thousand_attempts_are_read_in_a_moment(ledger: dict[str, Attempt], home: Path) -> None:
    """The frame of many attempts comes from three queries, whatever their number."""
    with sqlite3.connect(home / "mlflow.db") as connection:
        (run_id,) = connection.execute("SELECT run_uuid FROM tags WHERE value = ?", (ledger["match"].id,)).fetchone()
        for table, columns in {
            "runs": "name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, "
            "source_version, lifecycle_stage, artifact_uri, experiment_id",
            "tags": "key, value",
            "latest_metrics": "key, value, timestamp, step, is_nan",
        }.items():
            connection.execute(
                f"WITH RECURSIVE many(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM many WHERE i < 2000) "
                f"INSERT INTO {table} (run_uuid, {columns}) SELECT 'copy' || i, {columns} FROM {table}, many WHERE run_uuid = ?",
                (run_id,),
            )
        connection.execute("UPDATE tags SET value = run_uuid WHERE key = 'repro.attempt' AND run_uuid LIKE 'copy%'")
    connection.close()
    start = time.perf_counter()
    frame = read.attempts()
    seconds = time.perf_counter() - start
    assert len(frame) == 2006
    assert seconds < 5


def test_records_keep_the_order_of_their_config(home: Path) -> None:
    of, trial = claim(), record(config={"zebra": 1, "apple": 2})
    made = attempt(of, [trial], verdict(of, {"value": 0.5}))
    record_attempts([(made, PAPER, of)], by_key([trial]), {})
    (found,) = read.load_trials(made.id)
    assert isinstance(found, TrialRecord)
    assert list(found.config) == ["zebra", "apple"]
