"""A team's server with login before PostgreSQL: launchers in directories of their own, artifacts through the server."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger_examples import PAPER, attempt, blocked_claim, by_key, claim, failed, record, verdict
from mlflow import MlflowClient
from team_store import database, launch_at_once, postgres, runs, times
from test_team_store import LAUNCHES, TRIALS, assert_each_once, killed, write_all

from repro.ledger import names, read
from repro.ledger.fast import latest_verdicts
from repro.ledger.turn import ADDRESS
from repro.ledger.write import record_attempts, record_blocked
from repro.schema.errors import StoreError
from tests_support import CLAIM

pytestmark = pytest.mark.slow

KEEPER, KEEPERS_PASSWORD = "keeper", "a long enough word"
MEMBER, PASSWORD = "ada", "another long word"

LOGIN = """[mlflow]
default_permission = EDIT
database_uri = {database}
admin_username = keeper
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""


def answer(url: str, who: tuple[str, str] | None = None, body: Any = None) -> tuple[int, str]:
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if who is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(":".join(who).encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=60) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The server as docs/team_store.md starts it, with one member."""
    home = tmp_path / "server"
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with postgres() as place, (home / "log").open("w") as log:
        (home / "login.ini").write_text(LOGIN.format(database=database(place, "accounts")))
        environment = {
            **os.environ,
            "MLFLOW_BACKEND_STORE_URI": database(place, "ledger"),
            "MLFLOW_AUTH_CONFIG_PATH": str(home / "login.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": KEEPERS_PASSWORD,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for this test",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--app-name", "repro-login", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port), "--artifacts-destination", str(home / "artifacts")),
            ],
            cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        uri = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 150
            while True:
                try:
                    urllib.request.urlopen(f"{uri}/health", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (home / "log").read_text()
                    assert time.monotonic() < deadline, (home / "log").read_text()
                    time.sleep(0.2)
            made = answer(
                f"{uri}/api/2.0/mlflow/users/create",
                (KEEPER, KEEPERS_PASSWORD),
                {"username": MEMBER, "password": PASSWORD},
            )
            assert made[0] == 200, made
            yield uri
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_team_writes_through_a_server_with_login(
    server: str, write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    nobody_comes_in(server, monkeypatch)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", MEMBER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    four_launchers_in_directories_of_their_own(server, write_claims, tmp_path)
    everything_is_read_and_written_as_elsewhere(server)
    a_killed_launcher_leaves_nothing_doubled(server, tmp_path)


def nobody_comes_in(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(f"{server}/repro/")[0] == 401
    assert answer(f"{server}{ADDRESS}", body={"holder": "x", "release": False})[0] == 401
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", MEMBER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "not her password")
    for use in (read.load_attempts, lambda: record_blocked(blocked_claim(), PAPER)):
        with pytest.raises(StoreError, match="MLFLOW_TRACKING_PASSWORD") as error:
            use()
        assert "not her password" not in str(error.value)


def four_launchers_in_directories_of_their_own(server: str, write_claims, tmp_path: Path) -> None:
    write_claims(extra={"claim/toy/shifted.yaml": CLAIM.format(name="toy/shifted", printed="1.1")})
    launch_at_once([(tmp_path / f"member{number}", words) for number, words in enumerate(LAUNCHES)], server)
    assert_each_once(server)
    trials = runs(MlflowClient(server), names.STUDY_PREFIX)
    # Each of four machines ran what it was asked for; a record of the one is not that of another.
    assert len(times(trials, names.TRIAL_KEY)) == TRIALS
    assert sum("draws" in run.data.tags[names.STUDY] for run in trials) == 4 * 12
    assert {run.info.artifact_uri.partition(":")[0] for run in trials} == {"mlflow-artifacts"}
    assert not list(tmp_path.glob("member*/ml*"))
    (name,) = {each.attempt for each in latest_verdicts() if each.claim == "toy/mean"}
    status, page = answer(f"{server}/repro/attempt/{name}.html", (MEMBER, PASSWORD))
    assert status == 200
    assert "toy/mean" in page


def everything_is_read_and_written_as_elsewhere(server: str) -> None:
    of, records = claim(name="widgets/remote"), [record(5, width=9), failed(6)]
    made = attempt(of, records, verdict(of, {"value": 0.5}))
    for _ in range(2):
        record_attempts([(made, PAPER, of)], by_key(records), {made.id: "<svg/>"})
        record_blocked(blocked_claim(), PAPER)
    assert read.load_attempt(made.id) == made
    assert read.load_trials(made.id) == records
    assert list(read.attempts()["execution"]).count("blocked") == 1


def a_killed_launcher_leaves_nothing_doubled(server: str, tmp_path: Path) -> None:
    # Before the second trial's run; after it, before its record; and of what is left then, before the attempt's numbers.
    for method, call in (("create_run", 2), ("log_files", 1), ("log", 3)):
        killed(method, call)
        (tmp_path / "server" / ".repro" / "turn.json").unlink()  # as if the dead one's turn had run out
    for _ in range(2):
        write_all()
    client = MlflowClient(server)
    ours = [run for run in runs(client, names.STUDY_PREFIX) if "widgets" in run.data.tags[names.STUDY]]
    ours = [run for run in ours if run.data.tags["repro.replicate"] in "012"]
    assert sorted(times(ours, names.TRIAL_KEY).values()) == [1, 1, 1]
    assert {run.info.status for run in ours} == {"FINISHED"}
    of = claim()
    attempts = [run for run in runs(client, names.PAPER_PREFIX) if run.data.tags.get(names.CLAIM) == of.id]
    assert list(times(attempts, names.ATTEMPT).values()) == [1]
