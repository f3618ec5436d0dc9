"""SIGKILL at random moments: no finished trial is lost or run twice, and the verdict is the same as without."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.launch.records.store import RecordStore
from tests_support import STUDY, with_interrupts

PROGRAM = "from repro.cli import main; main()"


def launch(arguments: list[str], home: Path, uri: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "REPRO_HOME": str(home), "MLFLOW_TRACKING_URI": f"sqlite:///{uri}"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", "toy/mean", *arguments, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True, preexec_fn=with_interrupts,
    )  # fmt: skip


def finished(home: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in (home / "records").glob("*.json")}


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(write_claims, tmp_path: Path, executor: str) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", "spread: 0.05, seconds: 0.2"))
    moments = random.Random(20240517)
    home, whole = tmp_path / "killed", tmp_path / "whole"
    kills = 0
    for _ in range(8):
        before = finished(home)
        process = launch(["scale=cpu", f"executor={executor}"], home, tmp_path / "killed.db")
        try:
            process.wait(moments.uniform(1.5, 4.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
        after = finished(home)
        assert {name: after[name] for name in before} == before, "a finished trial was lost or run again"
        if process.returncode == 0:
            break
    final = launch(["scale=cpu", f"executor={executor}"], home, tmp_path / "killed.db")
    printed, errors = final.communicate(timeout=120)
    assert final.returncode == 0, errors
    undisturbed, errors = launch(["scale=cpu", "executor=inline"], whole, tmp_path / "whole.db").communicate(
        timeout=120
    )
    assert kills >= 1
    (killed_attempt,), (attempt,) = json.loads(printed)["attempts"], json.loads(undisturbed)["attempts"]
    assert killed_attempt["verdict"] == attempt["verdict"]
    assert killed_attempt["id"] == attempt["id"]
    assert killed_attempt["validity"] == "current"
    assert len(finished(home)) == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("executor", "number", "whole_group", "code"),
    [
        ("inline", signal.SIGINT, False, 130),
        ("processes", signal.SIGINT, True, 130),  # as a terminal sends it
        ("processes", signal.SIGTERM, False, 143),  # as a batch system does
    ],
)
def test_a_launcher_told_to_stop_says_how_to_resume(
    write_claims, tmp_path: Path, executor: str, number: int, whole_group: bool, code: int
) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", "spread: 0.05, seconds: 2"))
    process = launch(["scale=cpu", f"executor={executor}"], tmp_path / "home", tmp_path / "m.db")
    deadline = time.monotonic() + 60
    while not finished(tmp_path / "home") and time.monotonic() < deadline:
        time.sleep(0.1)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert 0 < len(finished(tmp_path / "home")) < 12
    store = RecordStore(tmp_path / "home" / "records")
    deadline = time.monotonic() + 20
    while store.running() and time.monotonic() < deadline:  # worker processes end a moment after their launcher
        time.sleep(0.05)
    assert store.running() == {}
