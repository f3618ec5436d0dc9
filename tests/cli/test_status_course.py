"""`repro status`: what is done, running, failed and waiting, what it took, what is left, and what to do."""

import json
import os
import subprocess
import sys
import time

import pytest

from repro.cli.course_view import sum_lines, tally_json
from repro.launch.course.expected import expectation
from repro.launch.course.survey import tally_of
from repro.launch.planning.outlines import PlannedTrial
from repro.launch.records.glimpses import Glimpse, Look
from repro.ledger.fast import LatestVerdict
from sealed_here import HOME_RECORDS, runs, seal, work
from tests_support import STUDY

NOW = 7200.0
BROKEN = STUDY.replace("spread: 0.05", "spread: 0.05, crash: always")


def status(repro, *words: str) -> dict:
    code, out, errors = repro("status", "--json", *words)
    assert (code, errors) == (0, "")
    document = json.loads(out)
    assert document["schema"] == "repro.status/1"
    return document


def test_from_planned_to_judged(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    plan = seal()
    (attempt,), keys = plan.attempts, [spec.key for spec in plan.trials]
    (row,) = status(repro)["attempts"]
    assert {name: row[name] for name in ("attempt", "done", "trials", "running", "failed", "verdict", "execution")} == {
        "attempt": attempt.id, "done": 0, "trials": 4, "running": 0, "failed": 0, "verdict": None, "execution": "planned",
    }  # fmt: skip
    assert (row["state"], row["waiting"], row["left"]["seconds"]) == ("planned", 4, None)
    assert work(keys[0]) == 0
    with runs(keys[1]):
        (row,) = status(repro)["attempts"]
        assert (row["state"], row["done"], row["running"], row["waiting"]) == ("running", 1, 1, 2)
        assert (row["execution"], row["left"]["unknown"]) == ("running", 0)
        assert row["left"]["seconds"] > 0
        assert row["seconds"] > 0
        assert row["running_trials"][0]["done"] == 0.5
        assert row["left"]["ends"] is not None
        _, out, _ = repro("status", columns=80)
        assert "… 1 running  1 of 4 done" in out
        assert "1 of 4 trials done, 1 running, 2 waiting" in out
    _, out, _ = repro("status")
    assert "– nothing runs" in out
    assert "to go on: repro run toy/mean scale=cpu --indicative" in out
    assert work() == 0
    assert status(repro)["attempts"][0]["state"] == "to_judge"
    assert "all its trials are done, and it was not judged" in repro("status")[1]
    verdict = LatestVerdict("toy/mean", "replicate", "cpu", "match", None, "current", "completed", "", attempt.id)
    monkeypatch.setattr("repro.ledger.fast.verdicts_by_attempt", lambda: {attempt.id: verdict})
    document = status(repro)
    assert (document["attempts"][0]["state"], document["attempts"][0]["again"]) == ("done", None)
    assert (document["total"]["done"], document["total"]["left"]["seconds"]) == (4, 0)
    _, out, _ = repro("status")
    assert "✓ match  4 of 4 done" in out
    assert "to go on" not in out


def test_what_failed_is_named_with_its_reason(write_claims, repro) -> None:
    write_claims(study=BROKEN)
    plan = seal()
    assert work() == 3
    assert work(plan.trials[0].key) == 3
    (row,) = status(repro)["attempts"]
    assert (row["state"], row["failed"], row["waiting"]) == ("failed", 4, 0)
    assert sorted(each["times"] for each in row["failures"]) == [1, 1, 1, 2]
    assert all("the machine gave up" in each["error"] for each in row["failures"])
    code, out, _ = repro("status")
    assert code == 0
    assert "! 4 failed" in out
    assert "(2 times): RuntimeError: the machine gave up" in out
    assert "failed: 1 more" in out
    assert "to go on: repro run toy/mean scale=cpu" in out


def test_what_was_planned_elsewhere_says_so(write_claims, repro) -> None:
    write_claims()
    seal(command="repro plan toy/mean scale=cpu")
    (row,) = status(repro)["attempts"]
    assert (row["state"], row["elsewhere"]) == ("elsewhere", True)
    assert row["again"].startswith("python -m repro.launch.worker")
    assert "○ planned elsewhere" in repro("status")[1]


def test_damaged_records_are_said(write_claims, repro) -> None:
    write_claims()
    seal()
    assert work() == 0
    file = next(HOME_RECORDS.glob("*.json"))
    file.write_text(file.read_text()[:99])
    (row,) = status(repro)["attempts"]
    assert (row["done"], row["damaged"], row["state"]) == (3, 1, "stopped")
    assert "1 record was damaged" in repro("status")[1]


def test_the_price_of_gpu_hours() -> None:
    def on_gpu(key: str) -> PlannedTrial:
        return PlannedTrial(key, "n=8", "recipes.toy", "cuda", "float32", {"seed": key}, None)

    def half_an_hour(key: str) -> Glimpse:
        return Glimpse(
            key, "finished", 0.0, 1800.0, "recipes.toy", "cuda", "float32", {"seed": key}, 0.0, "n=8", "", "m"
        )

    look = Look(NOW, {"a": (half_an_hour("a"),)}, {}, {}, {}, frozenset())
    trials = {key: on_gpu(key) for key in "abcd"}
    tally = tally_of(trials, look, expectation(look, trials.values()))
    row = tally_json(tally, NOW, 4.0)
    assert (row["gpu_hours"], row["money"]) == (0.5, 2.0)
    assert (row["left"]["gpu_hours"], row["left"]["money"]) == (1.5, 6.0)
    assert sum_lines(tally, NOW, 4.0)[-1] == ("0.5 GPU-hours so far, left 1.5; 2.00 at 4 a GPU-hour so far, left 6.00")
    assert sum_lines(tally, NOW, None)[-1] == "0.5 GPU-hours so far, left 1.5"
    nothing_known = tally_of(trials, Look(NOW, {}, {}, {}, {}, frozenset()), lambda trial: None)
    assert tally_json(nothing_known, NOW, 4.0)["left"]["money"] is None
    assert sum_lines(nothing_known, NOW, 4.0)[-1] == "0 GPU-hours so far, left unknown; 0.00 at 4 a GPU-hour so far"


def test_a_pattern_shows_its_claims_alone(write_claims, repro) -> None:
    write_claims()
    seal()
    assert status(repro, "other/*")["attempts"] == []
    assert "No attempt of other/* was launched" in repro("status", "other/*")[1]
    assert len(status(repro, "toy/*")["attempts"]) == 1


def test_status_starts_without_what_is_heavy(write_claims) -> None:
    write_claims()
    seal()
    program = (
        "import sys; sys.argv = ['repro', 'status']\n"
        "from repro.cli.app import app\n"
        "app(standalone_mode=False)\n"
        "print([name for name in ('mlflow', 'torch', 'pandas', 'hydra', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_killed_worker_leaves_nothing_running(write_claims, repro) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", "spread: 0.05, seconds: 600"))
    seal()
    words = [sys.executable, "-m", "repro.launch.worker", "plan.json", "--out", str(HOME_RECORDS)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, env=os.environ) as process:
        deadline = time.monotonic() + 60
        while status(repro)["total"]["running"] != 1:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (row,) = status(repro)["attempts"]
        assert row["state"] == "running"
        process.kill()
    (row,) = status(repro)["attempts"]
    assert (row["running"], row["waiting"], row["done"]) == (0, 4, 0)
    assert row["state"] == "planned"
    assert list((HOME_RECORDS / "running").glob("*.json")), "the worker had no time to clean up"
