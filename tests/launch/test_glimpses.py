"""Record directories and plans at a glance: the same as what the careful readers say, and nothing is touched."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.launch import worker
from repro.launch.planning.outlines import outlines, outlines_here
from repro.launch.planning.planfile import read_plan
from repro.launch.records import glimpses
from repro.launch.records.glimpses import Watcher
from repro.launch.records.store import RecordStore
from repro.schema.errors import PlanError
from sealed_here import runs, says_it_runs, seal

RECORDS = Path("records")


@pytest.fixture
def plan(write_claims) -> Path:
    write_claims()
    seal(command="repro plan toy/mean scale=cpu")
    return Path("plan.json")


def test_an_outline_says_what_the_plan_says(plan: Path) -> None:
    (outline,), sealed = outlines(plan), read_plan(plan)
    (attempt,) = sealed.attempts
    assert (outline.attempt, outline.claim, outline.seeds) == (attempt.id, "toy/mean", 2)
    assert outline.created == sealed.created
    assert outline.indicative
    assert outline.elsewhere
    assert outline.command == "repro plan toy/mean scale=cpu"
    specs = {spec.key: spec for spec in sealed.trials}
    assert set(outline.trials) == set(specs)
    for key, planned in outline.trials.items():
        assert (planned.label, planned.config, planned.cost) == (specs[key].label, specs[key].config, 10.0)
    here, unreadable = outlines_here("toy/*")
    assert (list(here), unreadable) == ([attempt.id], [])
    assert outlines_here("other/*") == ({}, [])


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-20], lambda text: text.replace('"effect":1.0', '"effect":2.0'), lambda text: "[]"]
)
def test_a_damaged_or_edited_plan_is_refused_as_ever(plan: Path, damage) -> None:
    (stored,) = Path(".repro/plans").glob("*.json")
    for file in (plan, stored):
        text = file.read_text()
        assert damage(text) != text
        file.write_text(damage(text))
    with pytest.raises(PlanError, match=r"plan\.json"):
        outlines(plan)
    found, (error,) = outlines_here()
    assert found == {}
    assert stored.name in str(error)


def test_records_at_a_glance(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker.main([str(plan), "--out", str(RECORDS)]) == 0
    watcher = Watcher(RECORDS)
    seen = watcher.look(time.time())
    records = {record.key: record for record in RecordStore(RECORDS).all()}
    assert len(records) == 4
    assert set(seen.ended) == set(records)
    for key, (glimpse,) in seen.ended.items():
        record = records[key]
        assert (glimpse.status, glimpse.seconds, glimpse.flops) == ("finished", record.seconds, 10.0)
        assert (glimpse.recipe, glimpse.config, glimpse.label) == (record.recipe, record.config, record.label)
    monkeypatch.setattr(glimpses, "glimpse_of", lambda file: pytest.fail(f"{file} was read again"))
    assert watcher.look(time.time()).ended == seen.ended


def test_what_is_cut_short_is_damaged_and_not_done(plan: Path) -> None:
    assert worker.main([str(plan), "--out", str(RECORDS)]) == 0
    watcher = Watcher(RECORDS)
    before = watcher.look(time.time())
    file = next(RECORDS.glob("*.json"))
    file.write_text(file.read_text()[:200])
    seen = watcher.look(time.time())
    assert set(before.ended) - set(seen.ended) == {file.stem}
    assert seen.damaged == {file.stem: 1}
    assert file.exists()  # whoever runs the trial sets it aside
    assert worker.main([str(plan), "--out", str(RECORDS)]) == 0
    again = watcher.look(time.time())
    assert set(again.ended) == set(before.ended)
    assert again.damaged == {file.stem: 1}


def test_an_absent_directory_shows_nothing(tmp_path: Path) -> None:
    seen = Watcher(tmp_path / "none").look(1.0)
    assert not seen.ended
    assert not seen.running


def test_a_trial_runs_while_its_lock_is_held(tmp_path: Path) -> None:
    key = "a" * 40
    with runs(key, tmp_path):
        (running,) = Watcher(tmp_path).look(time.time()).running.values()
        assert (running.key, running.label, running.done) == (key, "n=8", 0.5)
        assert running.since == pytest.approx(time.time() - 60, abs=30)
    assert not Watcher(tmp_path).look(time.time()).running
    says_it_runs(key, tmp_path)
    assert not Watcher(tmp_path).look(time.time()).running


HOLD = """
import sys, time
from pathlib import Path
from repro.launch.running.trial_lock import take
lock = take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_trial_whose_worker_was_killed_runs_no_more(tmp_path: Path) -> None:
    key = "b" * 40
    says_it_runs(key, tmp_path)
    words = [sys.executable, "-c", HOLD, str(tmp_path / "locks" / f"{key}.lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert set(Watcher(tmp_path).look(time.time()).running) == {key}
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not Watcher(tmp_path).look(time.time()).running
