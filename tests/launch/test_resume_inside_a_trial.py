"""A trial that was stopped in the middle goes on from its checkpoint, and its record is that of a trial that was not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from repro.catalog.recipe import source_digest
from repro.launch.planning.planfile import write_plan
from repro.launch.records.store import RecordStore, read_record
from repro.launch.running.resuming import can_go_on, place_of
from repro.launch.running.trials import run_trial
from repro.launch.worker import main
from repro.schema.jsonform import to_json
from repro.schema.trial import Plan, TrialRecord, TrialSpec

LONG = "experiments.language_models.long_training"
MAY_DIFFER = ("seconds", "started", "process", "digest")

COUNTING = '''"""Adds up random numbers, and stops where a file says so.

Serves: toy/mean
"""

import random
from dataclasses import dataclass
from pathlib import Path

from repro.lab.checkpoint import Checkpoint
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """How far."""

    stop: str = ""
    """File with the step at which the machine fails."""
    seed: int = 0


def run(config: Config, context: Context) -> dict[str, float]:
    random.seed(config.seed)
    sums = {"x": 0.0}
    checkpoint = Checkpoint(context, minutes=0.0, sums=sums)
    for step in range(checkpoint.resume(), 10):
        stop = Path(config.stop)
        if stop.exists() and int(stop.read_text()) == step:
            stop.unlink()
            raise OSError("the machine failed")
        sums["x"] += random.random()
        checkpoint.log(step, x=sums["x"])
        checkpoint.save_if_due(step + 1)
    return {"x": sums["x"]}
'''


def counting(write_claims: Any, stop: Path, seed: int = 0) -> TrialSpec:
    write_claims(recipe=COUNTING)
    recipe = "recipes.toys.draws"
    return TrialSpec(
        "toys/draws", recipe, {"stop": str(stop), "seed": seed}, seed, source_digest(recipe), "cpu", "float32"
    )


def content(record: TrialRecord) -> dict[str, Any]:
    """Return what must be equal of two records of one trial."""
    return {name: value for name, value in to_json(record).items() if name not in MAY_DIFFER}


def test_a_failed_trial_goes_on_and_leaves_nothing_behind(write_claims: Any, tmp_path: Path) -> None:
    spec = counting(write_claims, tmp_path / "stop")
    whole = run_trial(spec, ["s"], RecordStore(tmp_path / "whole"))
    store = RecordStore(tmp_path / "records")
    (tmp_path / "stop").write_text("6")
    failed = run_trial(spec, ["s"], store)
    assert failed.status == "failed"
    assert "the machine failed" in str(failed.error)
    assert can_go_on(store.directory, spec.key)
    (tmp_path / "stop").write_text("8")
    again = run_trial(spec, ["s"], store)
    assert again.status == "failed"
    assert again.started > failed.started
    resumed = run_trial(spec, ["s"], store)
    assert content(resumed) == content(whole)
    assert len(resumed.curves["x"]) == 10
    assert not place_of(store.directory, spec.key).exists()
    assert "REPRO_CHECKPOINTS" not in os.environ


def test_a_seal_that_came_after_the_first_start_did_not_come_before_the_trial(
    write_claims: Any, tmp_path: Path
) -> None:
    spec, store = counting(write_claims, tmp_path / "stop"), RecordStore(tmp_path / "records")
    (tmp_path / "stop").write_text("6")
    first = run_trial(spec, ["early", "both"], store)
    resumed = run_trial(spec, ["both", "late"], store)
    assert resumed.seals == ("both",)
    assert resumed.started[:19] == first.started[:19] or resumed.started < first.started
    assert resumed.seconds > 0
    (tmp_path / "stop").write_text("0")  # before the first checkpoint: nothing of it is known, so it begins anew
    other = counting(write_claims, tmp_path / "stop", seed=1)
    assert run_trial(other, ["early"], store).status == "failed"
    assert run_trial(other, ["late"], store).seals == ("late",)


def test_a_checkpoint_of_other_sources_is_refused(write_claims: Any, tmp_path: Path) -> None:
    spec, store = counting(write_claims, tmp_path / "stop"), RecordStore(tmp_path / "records")
    (tmp_path / "stop").write_text("6")
    run_trial(spec, [], store)
    write_claims(recipe=COUNTING.replace("random.random()", "2 * random.random()"))
    changed = replace(spec, sources=source_digest(spec.recipe))
    assert changed.key != spec.key
    place_of(store.directory, spec.key).rename(place_of(store.directory, changed.key))
    record = run_trial(changed, [], store)
    assert record.status == "failed"
    assert "is a checkpoint of another trial" in str(record.error)
    assert f"Remove checkpoints/{changed.key} in the record directory" in str(record.error)
    assert str(tmp_path) not in str(record.error)


def test_recipes_without_checkpoints_get_no_directory(write_claims: Any, tmp_path: Path) -> None:
    write_claims()
    recipe = "recipes.toys.draws"
    config = {"effect": 1.0, "spread": 0.1}
    spec = TrialSpec("toys/draws", recipe, config, 0, source_digest(recipe), "cpu", "float32")
    assert run_trial(spec, [], RecordStore(tmp_path / "records")).status == "finished"
    assert not (tmp_path / "records" / "checkpoints").exists()


def long_plan(place: Path, processes: int, flops: float = 1e9) -> tuple[TrialSpec, Path]:
    from experiments.language_models.long_training import Config

    config = Config(source="synthetic:1e4", vocabulary=32, context=16, flops=flops, processes=processes)
    spec = TrialSpec("t", LONG, asdict(config), 0, source_digest(LONG), "cpu", "float32", time_limit_s=200.0)
    write_plan(Plan((), (spec,), "2024-01-01T00:00:00+00:00"), place / "plan.json")
    return spec, place / "plan.json"


def worker(plan: Path, out: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "REPRO_CHECKPOINT_MINUTES": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "repro.launch.worker", str(plan), "--out", str(out)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def steps(out: Path, spec: TrialSpec) -> list[int]:
    return sorted(int(path.name[5:]) for path in place_of(out, spec.key).glob("step_*"))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_in_the_middle_and_run_again_the_record_is_the_same(tmp_path: Path, processes: int) -> None:
    spec, plan = long_plan(tmp_path, processes)
    out = tmp_path / "records"
    seen = [0]
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process = worker(plan, out)
        wait_until(lambda: max(steps(out, spec), default=0) >= seen[-1] + 5, process)
        os.kill(process.pid, kill)
        _, errors = process.communicate(timeout=60)
        seen.append(max(steps(out, spec)))
        if kill == signal.SIGTERM:
            assert process.returncode in (143, -signal.SIGTERM)
        assert not (out / f"{spec.key}.json").exists()
        assert not list((out / "failed").glob("*")), errors
    assert seen == sorted(set(seen)), "every start went on where the one before had stopped"
    last = worker(plan, out)
    printed, errors = last.communicate(timeout=120)
    assert last.returncode == 0, printed + errors
    whole = run_trial(spec, [], RecordStore(tmp_path / "whole"))
    resumed = read_record(out / f"{spec.key}.json")
    kept = ("rows", "curves", "status", "key", "config", "sources", "data")
    assert {name: to_json(resumed)[name] for name in kept} == {name: to_json(whole)[name] for name in kept}
    assert len(resumed.curves["train_loss"]) > 50
    assert not place_of(out, spec.key).exists()


@pytest.mark.slow
def test_so_many_minutes_at_a_time_a_long_trial_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(
        "REPRO_CHECKPOINT_MINUTES", raising=False
    )  # the last steps before the end of the call are kept anyway
    spec, plan = long_plan(tmp_path, 1, flops=1.2e10)
    whole = run_trial(spec, [], RecordStore(tmp_path / "whole"))
    share = whole.seconds / 4
    arguments, reached = [str(plan), "--out", str(tmp_path / "records"), "--minutes", str(share / 60)], [-1]
    for _ in range(40):
        code = main(arguments)
        printed = capsys.readouterr().out
        assert code == 0, printed
        if "finished in" in printed:
            break
        assert "1 trial left, run again" in printed
        reached.append(max(steps(tmp_path / "records", spec), default=0))
    assert reached == sorted(reached)
    assert len(set(reached)) > 2, "calls bring it nearer to its end"
    resumed = read_record(tmp_path / "records" / f"{spec.key}.json")
    assert (resumed.rows, resumed.curves) == (whole.rows, whole.curves)
    assert resumed.seconds > 1.5 * share, "the time of earlier calls counts: no call had more than one share"
