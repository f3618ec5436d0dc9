"""Trials that end badly by themselves: not a number, out of memory, hung; and clocks that jump."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fault_support import RECIPE, SMALLER, tiny_plan
from repro.launch import worker
from repro.launch.records.store import RecordStore
from repro.launch.running import limits, memory, progress_file, trials

LAUNCH = """
import sys
from repro.launch import worker
from repro.launch.running import limits
limits.GRACE_S = 0.3
sys.exit(worker.main())
"""


def test_a_trial_that_is_not_a_number_is_counted_and_told(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims(recipe=RECIPE)
    tiny_plan([{}, {"trouble": "nan"}], tmp_path / "plan.json")
    assert worker.main([str(tmp_path / "plan.json"), "--out", str(tmp_path / "records")]) == 0
    assert "seed=1: diverged in" in capsys.readouterr().out
    assert sorted(record.status for record in RecordStore(tmp_path / "records").all()) == ["diverged", "finished"]


def test_repro_run_tells_of_a_diverged_trial(write_claims, repro) -> None:
    from tests_support import RECIPE as DRAWS

    write_claims(recipe=DRAWS.replace('return {"x": x,', 'return {"x": x if config.seed else float("inf"),'))
    code, out, err = repro("run", "toy/mean", "scale=smoke")
    assert code == 0
    assert "diverged: seed=0" in err
    assert "diverged" in out


def test_memory_that_runs_out_is_told_with_the_size_and_tried_no_smaller_unasked(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    plan, store = tiny_plan([{"trouble": "device memory"}, {"trouble": "memory"}]), RecordStore(tmp_path / "records")
    device, machine = [trials.run_trial(spec, (), store) for spec in plan.trials]
    assert (device.status, machine.status) == ("failed", "failed")
    assert device.error == (
        "out of memory at micro_batch=8 (OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.); the recipe "
        "declares no smaller(config) that leaves the result as it is"
    )
    assert "out of memory at micro_batch=8 (MemoryError: Unable to allocate 2 TiB)" in (machine.error or "")


def test_a_smaller_size_is_tried_where_the_recipe_declares_it_harmless_and_never_silently(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims(recipe=RECIPE + SMALLER)
    plan = tiny_plan([{"trouble": "device memory"}], tmp_path / "plan.json")
    assert worker.main([str(tmp_path / "plan.json"), "--out", str(tmp_path / "records")]) == 0
    (record,) = RecordStore(tmp_path / "records").all()
    said = (
        "Ran with micro_batch=2: out of memory at micro_batch=8, micro_batch=4. The recipe declares that this leaves the "
        "result as it is."
    )
    assert (record.status, record.error) == ("finished", said)
    assert record.key == plan.trials[0].key
    assert record.curves["asked"] == ((0, 2.0),)
    assert said in capsys.readouterr().out


def test_where_the_smallest_size_fails_too_all_that_were_tried_are_told(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE + SMALLER)
    spec = tiny_plan([{"trouble": "memory"}]).trials[0]
    record = trials.run_trial(spec, (), RecordStore(tmp_path / "records"))
    assert record.status == "failed"
    assert "out of memory at micro_batch=1 after micro_batch=8, micro_batch=4, micro_batch=2" in (record.error or "")


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error: Exception, is_memory: bool) -> None:
    assert memory.is_out_of_memory(error) is is_memory


def test_torchs_own_error_is_one_of_memory() -> None:
    torch = pytest.importorskip("torch")
    assert memory.is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory"))


def launch(directory: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, "plan.json", "--out", "records", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120)


def test_a_trial_that_hangs_in_c_fails_and_the_others_run_all_the_same(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    journal = {"journal": str(tmp_path / "journal")}
    plan = tiny_plan([{**journal, "trouble": "hangs in C"}, journal, journal], tmp_path / "plan.json", time_limit_s=0.2)
    done = launch(tmp_path, LAUNCH)
    assert done.returncode == 3
    assert "It starts anew without this trial." in done.stderr
    assert "1 of 3 trials failed" in done.stderr
    assert "Traceback" not in done.stderr
    store = RecordStore(tmp_path / "records")
    assert {record.replicate for record in store.all()} == {1, 2}
    (failure,) = store.failures(plan.trials[0].key)
    assert failure.error == "the trial ran longer than its limit of 0.2 s and hung in native code"
    assert (tmp_path / "journal").read_text().split() == ["0", "1", "2"]
    assert store.running() == {}


def test_a_trial_that_hangs_past_the_given_minutes_ends_the_worker(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    tiny_plan([{"trouble": "hangs in C"}], tmp_path / "plan.json", time_limit_s=60)
    done = launch(tmp_path, LAUNCH, "--minutes", "0.005")
    assert done.returncode == 3
    assert "the time is over, and the trial hangs in native code" in done.stderr
    assert not (tmp_path / "records" / "failed").exists()


def test_a_trial_that_keeps_the_interpreter_to_itself_ends_its_process(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    tiny_plan([{"trouble": "hangs with the interpreter"}], tmp_path / "plan.json", time_limit_s=0.2)
    done = launch(tmp_path, LAUNCH)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert RecordStore(tmp_path / "records").running() == {}


def test_only_the_command_itself_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "pytest", "tests"])
    for words, expected in ((["repro", "run", "claim"], False), (["pytest", "tests"], True)):
        monkeypatch.setattr(limits, "_restarts", limits.threading.Event())
        monkeypatch.setattr(sys, "argv", words)
        limits.start_anew_if_hung()
        assert limits._restarts.is_set() is expected
    monkeypatch.setenv(limits.HUNG, "a,b,a")
    assert limits.hung_before() == ["a", "b", "a"]


def test_a_trial_that_kills_its_process_leaves_the_others_whole(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from repro.launch.executors import execute

    write_claims(recipe=RECIPE)
    plan, store = tiny_plan([{}, {}, {"trouble": "kills its process"}, {}]), RecordStore(tmp_path / "records")
    found = list(execute(plan.trials, plan, store, {"kind": "processes", "jobs": 2}))
    assert {record.replicate: record.status for record in found} == {
        0: "finished",
        1: "finished",
        2: "failed",
        3: "finished",
    }
    (failure,) = store.failures(plan.trials[2].key)
    assert "ended with code -9" in (failure.error or "")
    assert "a worker process died" in capsys.readouterr().err
    assert store.running() == {}


@pytest.mark.parametrize("jump", [-1e8, 1e8])
def test_a_clock_that_jumps_changes_neither_seconds_nor_limits_nor_who_runs(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    write_claims(recipe=RECIPE)
    spec = replace(tiny_plan([{"seconds": 0.05}]).trials[0], time_limit_s=30.0)
    store, real, seen = RecordStore(tmp_path / "records"), time.time, []

    def jumping() -> float:
        seen.append(real() + jump * (len(seen) % 2))
        return seen[-1]

    clock = SimpleNamespace(time=jumping, monotonic=time.monotonic)
    monkeypatch.setattr(progress_file, "time", clock)
    monkeypatch.setattr(progress_file, "PROGRESS_EVERY_S", 0.0)
    running = []
    report = progress_file.ProgressFile.report

    def look(file: progress_file.ProgressFile, done: float) -> None:
        report(file, done)
        running.append(set(store.running()))

    monkeypatch.setattr(progress_file.ProgressFile, "report", look)
    (record,) = trials.run_together([spec], (), store)
    assert record.status == "finished"
    assert 0.05 <= record.seconds < 20
    assert len(running) > 1
    assert all(keys == {spec.key} for keys in running)
    assert store.running() == {}


def test_a_progress_file_that_cannot_be_written_disturbs_nothing(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    store = RecordStore(tmp_path / "records")
    store.directory.mkdir()
    (store.directory / "running").write_text("a file in its place")
    (record,) = trials.run_together(tiny_plan([{}]).trials, (), store)
    assert record.status == "finished"
    assert json.loads((store.directory / record.file_name).read_text())["status"] == "finished"
    assert os.listdir(store.directory / "locks") == []
