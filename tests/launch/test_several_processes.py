"""One trial in several processes: the same curve as one process, and what happens to one of them happens to all."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from repro.catalog.recipe import source_digest
from repro.launch.planning.planfile import write_plan
from repro.launch.records.store import RecordStore
from repro.launch.running.limits import OutOfTime
from repro.launch.running.several_processes import _require_equal
from repro.launch.running.stacks import stacks
from repro.launch.running.trials import run_trial
from repro.schema.errors import TrialFailed
from repro.schema.trial import Plan, TrialRecord, TrialSpec

LONG = "experiments.language_models.long_training"
TOLERANCE = 1e-5
"""Nats: one process and two add the same float32 numbers in another order; unequal halves of a batch differ by 0.1."""

RECIPE = '''"""Two processes that do as they are told.

Serves: toy/mean
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What process 1 does."""

    does: str = "agrees"
    """One of the words below."""
    pids: str = ""
    """Directory that takes the process ids."""
    processes: int = 2
    """Processes."""
    seed: int = 0


def processes(config: Config) -> int:
    return config.processes


def stack_of(config: Config) -> str:
    return "all"


def run_batch(configs, contexts):
    raise AssertionError("trials of several processes are never stacked")


def run(config: Config, context: Context) -> list[dict[str, float]]:
    rank = int(os.environ["RANK"])
    (Path(config.pids) / f"{rank}.there").write_text(str(os.getpid()))
    context.log(1, which=rank)
    context.log(2, which=float("nan"))
    context.progress(0.5)
    if rank == 1 and config.does == "fails":
        raise RuntimeError("the second one has had enough")
    if rank == 1 and config.does == "diverges":
        raise FloatingPointError("the loss is not finite")
    if rank == 1 and config.does == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    while config.does not in ("agrees", "differs"):
        time.sleep(0.05)
    return [{"x": 1.0, "y": float("nan"), "z": float(rank) if config.does == "differs" else 0.1}]
'''


def toy(write_claims: Any, place: Path, **config: Any) -> TrialSpec:
    write_claims(recipe=RECIPE)
    given = {"does": "agrees", "pids": str(place), "processes": 2, "seed": 0, **config}
    recipe = "recipes.toys.draws"
    return TrialSpec("toys/draws", recipe, given, 0, source_digest(recipe), "cpu", "float32", time_limit_s=60.0)


def pids(place: Path) -> list[int]:
    return [int(file.read_text()) for file in place.glob("*.there")]


def gone(pid: int) -> bool:
    """Say whether a process has ended, waiting for it; one that nobody waited for yet has ended too."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def when_all_are_there(place: Path, count: int, then: Any) -> threading.Thread:
    def wait() -> None:
        deadline = time.monotonic() + 60
        while len([file for file in place.glob("*.there") if file.read_text()]) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_measurements_must_be_equal_to_the_last_digit() -> None:
    _require_equal([{"x": 1.0, "y": float("nan")}], [{"x": 1.0, "y": float("nan")}], 1)
    with pytest.raises(
        TrialFailed, match=r"Process 1 measured x = 1\.0000000000000002, and process 0 1\.0: .*mean over processes"
    ):
        _require_equal([{"x": 1.0}], [{"x": 1.0000000000000002}], 1)
    with pytest.raises(TrialFailed, match="Process 3 measured y = 2.0, and process 0 None"):
        _require_equal([{"x": 1.0}], [{"x": 1.0, "y": 2.0}], 3)
    with pytest.raises(TrialFailed, match="Process 1 returned 2 rows, and process 0 1"):
        _require_equal([{"x": 1.0}], [{"x": 1.0}, {"x": 1.0}], 1)


def test_trials_of_several_processes_are_never_stacked(write_claims: Any, tmp_path: Path) -> None:
    several = [toy(write_claims, tmp_path, seed=seed) for seed in range(3)]
    alone = [toy(write_claims, tmp_path, seed=seed, processes=1) for seed in range(3)]
    assert sorted(map(len, stacks(several))) == [1, 1, 1]
    assert sorted(map(len, stacks(alone))) == [3]


def test_a_number_of_processes_that_makes_no_sense_is_a_failed_trial(write_claims: Any, tmp_path: Path) -> None:
    record = run_trial(toy(write_claims, tmp_path, processes=0), [], RecordStore(tmp_path / "records"))
    assert record.status == "failed"
    assert "processes(config) must return at least 1, not 0" in str(record.error)


@pytest.mark.slow
def test_the_first_process_is_recorded(write_claims: Any, tmp_path: Path) -> None:
    record = run_trial(toy(write_claims, tmp_path), ["s"], RecordStore(tmp_path / "records"))
    assert record.error is None
    assert record.rows == ({"x": 1.0, "y": None, "z": 0.1},)
    assert record.curves == {"which": ((1, 0.0), (2, None))}
    assert record.status == "diverged"  # of a NaN, as in one process
    assert list((tmp_path / "records" / "running").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("does", "status", "reason"),
    [
        (
            "fails",
            "failed",
            "Process 1 of 2 failed, and the others were ended: RuntimeError: the second one has had enough",
        ),
        ("diverges", "diverged", "the loss is not finite"),
        ("dies", "failed", "Process 1 of 2 was ended by SIGKILL"),
        ("differs", "failed", "Process 1 measured z = 1.0, and process 0 0.0"),
    ],
)
def test_what_happens_to_one_happens_to_all(
    write_claims: Any, tmp_path: Path, does: str, status: str, reason: str
) -> None:
    record = run_trial(toy(write_claims, tmp_path, does=does), [], RecordStore(tmp_path / "records"))
    assert record.status == status
    assert reason in str(record.error)
    assert pids(tmp_path)
    assert all(map(gone, pids(tmp_path)))


@pytest.mark.slow
def test_ctrl_c_the_time_limit_and_the_callers_time_end_all(write_claims: Any, tmp_path: Path) -> None:
    # Tests that a script starts in the background inherit that Ctrl-C is ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    spec, store = toy(write_claims, tmp_path, does="waits"), RecordStore(tmp_path / "records")
    waiting = when_all_are_there(tmp_path, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run_trial(spec, [], store)
    signal.signal(signal.SIGINT, inherited)
    waiting.join()
    first = pids(tmp_path)
    with pytest.raises(OutOfTime):
        run_trial(spec, [], store, until=time.monotonic() + 4)
    limited = replace(spec, time_limit_s=4.0)
    record = run_trial(limited, [], store)
    assert record.status == "failed"
    assert "longer than its limit of 4 s" in str(record.error)
    assert all(map(gone, [*first, *pids(tmp_path)]))


@pytest.mark.slow
def test_no_process_outlives_the_worker(write_claims: Any, tmp_path: Path) -> None:
    spec = toy(write_claims, tmp_path, does="waits")
    write_plan(Plan((), (spec,), "2024-01-01T00:00:00+00:00"), tmp_path / "plan.json")
    command = [sys.executable, "-m", "repro.launch.worker", "plan.json", "--out", "records"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    when_all_are_there(tmp_path, 2, process.kill).join()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert len(pids(tmp_path)) == 2
    assert all(map(gone, pids(tmp_path)))


def trained(directory: Path, precision: str = "float32", **config: Any) -> TrialRecord:
    from experiments.language_models.long_training import Config

    whole = asdict(Config(source="synthetic:1e4", vocabulary=32, context=16, flops=3e8, **config))
    spec = TrialSpec("t", LONG, whole, 0, source_digest(LONG), "cpu", precision, time_limit_s=100.0)
    record = run_trial(spec, [], RecordStore(directory))
    assert record.error is None
    return record


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    one, two = trained(tmp_path), trained(tmp_path, processes=2)
    curve, other = one.curves["train_loss"], two.curves["train_loss"]
    assert len(curve) > 20
    assert [step for step, _ in curve] == [step for step, _ in other]
    assert max(abs(a - b) for (_, a), (_, b) in zip(curve, other, strict=True)) < TOLERANCE
    assert two.value("loss") == pytest.approx(one.value("loss"), abs=TOLERANCE)
    assert curve != other, "in float32 the sums differ in their last digits, or there were not two processes"
    assert curve[0][1] - curve[-1][1] > 0.1, "it learned"


def test_micro_batches_add_up_to_the_batch(tmp_path: Path) -> None:
    whole, pieces = trained(tmp_path), trained(tmp_path, micro_batch=3)
    for (_, a), (_, b) in zip(whole.curves["train_loss"], pieces.curves["train_loss"], strict=True):
        assert a == pytest.approx(b, abs=TOLERANCE)
