"""Four launchers at once on one store: every attempt and every trial is there exactly once, also after one was killed."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from ledger_examples import PAPER, attempt, by_key, claim, record, verdict
from mlflow import MlflowClient
from team_store import database, launch_at_once, postgres, runs, times

from repro.ledger import database as postgresql
from repro.ledger import names, read, sql, store
from repro.ledger.fast import latest_verdicts
from repro.ledger.write import record_attempts
from repro.schema.errors import StoreError
from repro.schema.trial import TrialRecord
from tests_support import CLAIM

pytestmark = pytest.mark.slow

LAUNCHES = (
    ("toy/mean", "toy/exact"),
    ("toy/mean", "toy/shifted"),
    ("toy/exact", "toy/shifted"),
    ("toy/mean", "toy/exact", "toy/shifted"),
)
"""Claims of four launches; `mean` and `shifted` read the same trials."""
TRIALS = 6 * 2 + 2 * 2
"""Six seeds with the effect and without, and two runs each of the sum and its control."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as place:
        yield place


@pytest.fixture
def claims(write_claims) -> None:
    write_claims(extra={"claim/toy/shifted.yaml": CLAIM.format(name="toy/shifted", printed="1.1")})


def assert_each_once(uri: str) -> list[TrialRecord]:
    """Every attempt and record stands there once, finished, whole and linked; return the records of the trials."""
    client = MlflowClient(uri)
    attempts, trials = runs(client, names.PAPER_PREFIX), runs(client, names.STUDY_PREFIX)
    assert {run.info.lifecycle_stage for run in [*attempts, *trials]} == {"active"}
    assert {run.info.status for run in [*attempts, *trials]} == {"FINISHED"}
    assert [found.attempt.partition("@")[0] for found in latest_verdicts()] == ["toy/exact", "toy/mean", "toy/shifted"]
    assert set(times(attempts, names.ATTEMPT).values()) == {1}
    assert len(attempts) == 3
    assert set(times(trials, names.RECORD).values()) == {1}
    ids = {run.info.run_id for run in trials}
    kept: dict[str, TrialRecord] = {}
    for run in attempts:
        assert set(names.read_list(run.data.tags, names.TRIALS)) <= ids
        found = read.load_attempt(run.data.tags[names.ATTEMPT])
        assert found.verdict is not None
        records = read.load_trials(found.id)  # each checked against its digest
        assert {each.key for each in records} == {key for keys in found.arms.values() for key in keys}
        kept |= {each.digest: each for each in records}
    return list(kept.values())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_four_launchers_in_one_directory(
    kind: str, request: pytest.FixtureRequest, claims: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "team"
    uri = f"sqlite:///{home}/mlflow.db" if kind == "sqlite" else database(request.getfixturevalue("server"), "together")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    launch_at_once([(home, words) for words in LAUNCHES], uri)
    assert set(Counter(each.key for each in assert_each_once(uri)).values()) == {1}
    assert times(runs(MlflowClient(uri), names.STUDY_PREFIX), names.TRIAL_KEY).total() == TRIALS


DIES = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from ledger_examples import *
from repro.ledger import write, writer

original, calls = getattr(writer.Writer, sys.argv[2]), 0

def dies(self, *arguments, **named):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *arguments, **named)

setattr(writer.Writer, sys.argv[2], dies)
of, trials = claim(), [record(0), record(1), record(2)]
made = attempt(of, trials, verdict(of, {"value": 0.5}))
write.record_attempts([(made, PAPER, of)], by_key(trials), {made.id: "<svg/>"})
"""


def killed(method: str, call: int) -> None:
    """Have a writer of three trials and an attempt kill itself before one of its calls."""
    command = [sys.executable, "-c", DIES, str(Path(__file__).parent), method, str(call)]
    ended = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def write_all() -> list[TrialRecord]:
    of, trials = claim(), [record(0), record(1), record(2)]
    made = attempt(of, trials, verdict(of, {"value": 0.5}))
    record_attempts([(made, PAPER, of)], by_key(trials), {made.id: "<svg/>"})
    assert read.load_attempt(made.id) == made
    assert read.load_trials(made.id) == trials
    return trials


def assert_three_trials_and_an_attempt(uri: str) -> None:
    client = MlflowClient(uri)
    attempts, trials = runs(client, names.PAPER_PREFIX), runs(client, names.STUDY_PREFIX)
    assert sorted(times(trials, names.TRIAL_KEY).values()) == [1, 1, 1]
    assert list(times(attempts, names.ATTEMPT).values()) == [1]
    assert {run.info.status for run in [*attempts, *trials]} == {"FINISHED"}


def test_a_launcher_killed_at_any_call_leaves_nothing_doubled(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = database(server, "killed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    killed("log", 2)
    assert runs(MlflowClient(uri), names.STUDY_PREFIX) == []  # one transaction: all of it or nothing
    killed("log", 4)
    assert len(runs(MlflowClient(uri), names.STUDY_PREFIX)) == 3
    for _ in range(2):
        write_all()
    assert_three_trials_and_an_attempt(uri)


def test_postgres_is_read_by_sql_as_mlflow_reads_it(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = database(server, "read")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    write_all()
    assert sql.is_known(uri)
    straight = read.attempts(), latest_verdicts(), read.load_attempts()
    monkeypatch.setattr(sql, "KNOWN_SCHEMAS", {})
    slowly = read.attempts(), latest_verdicts(), read.load_attempts()
    assert straight[0].equals(slowly[0])
    assert straight[1:] == slowly[1:]


def test_a_lock_that_is_never_released_and_a_database_of_something_else(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, other = database(server, "locked"), database(server, "recipes")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(store, "LOCK_TIMEOUT_S", 0.2)
    with (
        postgresql.alone(uri, postgresql.WRITING, 10),
        pytest.raises(StoreError, match="being written by another process"),
    ):
        write_all()
    write_all()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    with psycopg.connect(f"host={server} user=team dbname=recipes") as connection:
        connection.execute("CREATE TABLE recipe (name text)")
    for use in (read.load_attempts, write_all):
        with pytest.raises(StoreError, match="tables of something else"):
            use()
    assert postgresql.revision(other) == ""
