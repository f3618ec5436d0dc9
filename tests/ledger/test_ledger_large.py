"""The ledger's own reader against MLflow's on a generated ledger, and what is kept in mind between two readings."""

import math
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from large_ledger import large_ledger
from repro.ledger import names, sql
from repro.ledger.content import ATTEMPT_FILE, attempt_metrics, trial_points, trial_tags
from repro.ledger.read import attempts, load_attempt, load_attempts, load_trials
from repro.ledger.runs import find_runs
from repro.ledger.sql import RunRow
from repro.ledger.store import create_store
from repro.ledger.stored import run_of
from repro.schema.errors import RecordError, StoreError

CLAIMS, ATTEMPTS, TRIALS = 7, 5, 3


@pytest.fixture(params=[0, 1, 2])
def ledger(home: Path, request: pytest.FixtureRequest) -> MlflowClient:
    """A ledger with the oddities that a used one has: runs deleted, numbers that are none, tags of people."""
    seed = request.param
    large_ledger(home, CLAIMS, ATTEMPTS, TRIALS, seed)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    draw = random.Random(seed)
    for run in draw.sample(through_mlflow(client, names.PAPER_PREFIX), 8):
        client.log_batch(
            run.run_id, metrics=[Metric("loss", math.nan, 1, 0), Metric("deviation", draw.random(), 2**42, 0)]
        )
        client.set_tag(run.run_id, "read by", draw.choice(["Ada", "", "ΑΒΓ <b>", "x" * 5000]))
    for run in draw.sample(through_mlflow(client, names.PAPER_PREFIX), 3):
        client.delete_run(run.run_id)
    return client


def through_mlflow(client: MlflowClient, prefix: str) -> list[RunRow]:
    """Return what `search_runs` says, as the ledger's own rows."""
    experiments = [each.experiment_id for each in client.search_experiments(filter_string=f"name LIKE '{prefix}%'")]
    found = client.search_runs(experiments, order_by=["attributes.start_time ASC"], max_results=5000)
    return [
        RunRow(
            run.info.run_id,
            run.info.experiment_id,
            run.info.status,
            run.info.artifact_uri,
            {name: value for name, value in run.data.tags.items() if name != names.NOTE},
            {name: value for name, value in run.data.metrics.items() if not math.isnan(value)},
        )
        for run in found
    ]


@pytest.mark.parametrize(
    ("prefix", "tag"), [(names.PAPER_PREFIX, names.ATTEMPT), (names.STUDY_PREFIX, names.TRIAL_KEY)]
)
def test_every_run_is_read_as_mlflow_reads_it(ledger: MlflowClient, prefix: str, tag: str) -> None:
    theirs = through_mlflow(ledger, prefix)
    assert len(theirs) >= CLAIMS * ATTEMPTS - 3
    assert find_runs(prefix, tag) == theirs
    one = theirs[len(theirs) // 2]
    assert find_runs(prefix, tag, [one.tags[tag]]) == [one]


def test_every_field_of_every_attempt_is_what_mlflow_says(ledger: MlflowClient) -> None:
    frame = attempts()
    theirs = {run.tags[names.ATTEMPT]: run for run in through_mlflow(ledger, names.PAPER_PREFIX)}
    assert set(frame["attempt"]) == set(theirs) == {attempt.id for attempt in load_attempts()}
    metrics = {"target": "target", "margin": "margin", "estimate": "estimate", "se": "estimate_se", "low": "ci_low"}
    metrics |= {"high": "ci_high", "n": "n", "deviation": "deviation"}
    tags = {"claim": names.CLAIM, "protocol": names.PROTOCOL, "scale": names.SCALE, "outcome": names.VERDICT}
    tags |= {"seal": names.SEAL, "validity": names.VALIDITY, "execution": names.EXECUTION, "started": names.STARTED}
    for row in frame.to_dict("records"):
        run = theirs[row["attempt"]]
        suffix = "" if row["part"] == "value" else f"/{row['part']}".replace("@", "_").replace("×", "_")
        for column, name in metrics.items():
            assert row[column] == run.metrics[name + suffix], (row["attempt"], column)
        for column, name in tags.items():
            said = row[column].isoformat() if column == "started" else row[column]
            assert said == run.tags[name], (row["attempt"], column)
        assert row["exploratory"] == (run.tags[names.EXPLORATORY] == "true")
        assert row["seconds"] == run.metrics["seconds"]


def test_the_generated_rows_are_those_that_the_writer_would_make(home: Path) -> None:
    large_ledger(home, 2, 2, 2)
    rows = {run.tags[names.TRIAL_KEY]: run for run in find_runs(names.STUDY_PREFIX, names.TRIAL_KEY)}
    runs = {run.tags[names.ATTEMPT]: run for run in find_runs(names.PAPER_PREFIX, names.ATTEMPT)}
    made = load_attempts()
    assert (len(made), len(rows)) == (4, 8)
    for attempt in made:
        assert runs[attempt.id].metrics == attempt_metrics(attempt)
        for record in load_trials(attempt.id):  # each is checked against its digest
            row = rows[record.key]
            assert trial_tags(record).items() <= row.tags.items()
            assert row.metrics == {name: value for name, value, _ in trial_points(record)}


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_what_is_written_after_a_reading_is_read(home: Path, journal: str) -> None:
    create_store(home / "mlflow.db")
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("INSERT INTO experiments VALUES (7, 'paper/x', '', 'active', 0, 0, 'default')")
        connection.commit()
        for number in range(20):  # quicker than the clock of the disk ticks
            run = (f"{number:032d}", "r", "UNKNOWN", "", "", "u", "FINISHED", number, 1, "", "active", "", 7, None)
            connection.execute(f"INSERT INTO runs VALUES ({', '.join('?' * 14)})", run)
            connection.execute("INSERT INTO tags VALUES ('repro.attempt', ?, ?)", (str(number), run[0]))
            connection.commit()
            assert len(find_runs(names.PAPER_PREFIX, names.ATTEMPT)) == number + 1
        connection.execute("UPDATE tags SET value = 'other' WHERE value = '3'")
        connection.commit()
    assert find_runs(names.PAPER_PREFIX, names.ATTEMPT)[3].tags[names.ATTEMPT] == "other"


def test_an_attempt_is_parsed_once_while_its_file_stays_as_it_is(home: Path) -> None:
    large_ledger(home, 1, 1, 1)
    (made,) = load_attempts()
    assert load_attempt(made.id).sealed is made.sealed
    (run,) = find_runs(names.PAPER_PREFIX, names.ATTEMPT)
    file = Path(run.artifact_uri) / ATTEMPT_FILE
    file.write_text(file.read_text().replace("repro run", "repro walk"))
    assert load_attempt(made.id).provenance["command"].startswith("repro walk")
    file.write_text("{")
    with pytest.raises(RecordError, match=r"attempt\.json"):
        load_attempt(made.id)
    file.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        load_attempts()


def test_a_remembered_run_that_is_gone_is_not_found(home: Path) -> None:
    large_ledger(home, 1, 2, 1)
    first, second = load_attempts()
    run = run_of(first.id)
    assert run is not None
    MlflowClient(f"sqlite:///{home / 'mlflow.db'}").delete_run(run.run_id)
    assert run_of(first.id) is None
    assert run_of(second.id) is not None
    (home / "mlflow.db").unlink()
    assert run_of(second.id) is None


def test_a_remembered_run_costs_nothing_more_in_a_larger_ledger(home: Path) -> None:
    large_ledger(home, 3, 2, 1)
    (first, *_) = load_attempts()
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.ledger.stored.find_runs", lambda *_: asked.append("all") or [])
        assert load_attempt(first.id) == first
        assert len(load_trials(first.id)) == 1
    assert asked == []


def test_a_store_that_is_gone_has_no_state(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be used"):
        sql.state(tmp_path / "none.db")
