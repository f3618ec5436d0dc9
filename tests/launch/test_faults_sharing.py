"""Two launchers on one plan: each trial runs once, and a dead one holds nobody up."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fault_support import RECIPE, tiny_plan
from repro.launch import worker
from repro.launch.attempt import carry_out, to_run
from repro.launch.records.store import RecordStore
from repro.launch.running import sharing, trial_lock
from repro.launch.running.trial_lock import is_held, take
from repro.launch.running.trials import run_together, run_trial
from repro.schema.errors import StoreError

HOLD = """
import os, sys, time
from pathlib import Path
from repro.launch.running.trial_lock import take
assert take(Path(sys.argv[1])) is not None
if not os.fork():
    print(os.getpid(), flush=True)  # the child itself: by now it has let go of what it inherited
time.sleep(600)
"""


def clock_that_sleeps_by(sleep: Callable[[float], None]) -> SimpleNamespace:
    return SimpleNamespace(monotonic=time.monotonic, sleep=sleep)


def test_two_workers_at_once_run_each_trial_once(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    journal = tmp_path / "journal"
    tiny_plan([{"seconds": 0.01, "journal": str(journal)}] * 40, tmp_path / "plan.json")
    command = [sys.executable, "-m", "repro.launch.worker", "plan.json", "--out", "records"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert Counter(journal.read_text().split()) == {str(seed): 1 for seed in range(40)}
    assert all("[40/40]" in out for out in printed)
    assert not list((tmp_path / "records" / "locks").iterdir())


def test_a_launcher_goes_on_with_others_and_takes_the_record_when_it_is_there(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims(recipe=RECIPE)
    journal = tmp_path / "journal"
    plan = tiny_plan([{"journal": str(journal)}] * 4, tmp_path / "plan.json")
    store = RecordStore(tmp_path / "records")
    lock = take(store.directory / "locks" / f"{plan.trials[1].key}.lock")
    assert lock is not None

    def the_other_finishes(_: float) -> None:
        assert sorted(journal.read_text().split()) == ["0", "2", "3"]
        run_trial(plan.trials[1], (), store)
        lock.release()

    monkeypatch.setattr(sharing, "time", clock_that_sleeps_by(the_other_finishes))
    assert worker.main([str(tmp_path / "plan.json"), "--out", str(store.directory)]) == 0
    assert sorted(journal.read_text().split()) == ["0", "1", "2", "3"]
    assert "1 trial run by another launcher; waiting for it." in capsys.readouterr().out


def test_a_trial_whose_launcher_was_killed_is_taken_over(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from repro.catalog.index import load_index
    from repro.launch.session import prepare

    write_claims()
    plan = prepare(["toy/mean", "scale=smoke"], load_index()).plan
    store = RecordStore(tmp_path / "records")
    lock = take(store.directory / "locks" / f"{plan.trials[0].key}.lock")
    assert lock is not None
    monkeypatch.setattr(sharing, "time", clock_that_sleeps_by(lambda _: lock.release()))
    seen: list[str] = []
    carry_out(plan, store, {"kind": "inline", "retries": 0}, lambda record: seen.append(record.key))
    assert sorted(seen) == sorted(spec.key for spec in plan.trials)
    assert seen[-1] == plan.trials[0].key
    assert to_run(plan, store) == []
    assert "run by another launcher" in capsys.readouterr().err


def test_a_trial_that_another_finished_meanwhile_is_not_run_again(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    plan = tiny_plan([{"journal": str(tmp_path / "journal")}] * 2)
    store = RecordStore(tmp_path / "records")
    first = run_together(plan.trials[:1], (), store)
    assert run_together(plan.trials[:1], (), store) == first
    assert (tmp_path / "journal").read_text().split() == ["0"]


def test_the_system_takes_the_lock_of_a_killed_process_back_though_its_child_lives(tmp_path: Path) -> None:
    file = tmp_path / "locks" / "a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            assert is_held(file)
            assert take(file) is None
            process.kill()
            process.wait()
            assert not is_held(file)
            lock = take(file)
            assert lock is not None
            assert lock.holds
            lock.release()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lock_whose_file_was_replaced_holds_nobody_off(tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    first = take(file)
    assert first is not None
    file.unlink()  # as another process does that released it between our opening and locking it
    second = take(file)
    assert second is not None
    assert second.holds
    assert take(file) is None
    second.release()
    first.release()


def test_a_directory_without_locks_is_said_and_used_all_the_same(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims(recipe=RECIPE)
    plan, store = tiny_plan([{}] * 2), RecordStore(tmp_path / "records")

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    monkeypatch.setattr(trial_lock, "_told", set())
    for spec in plan.trials:
        assert [record.status for record in run_together([spec], (), store)] == ["finished"]
    said = capsys.readouterr().err
    assert said.count("cannot hold locks (No locks available)") == 1
    assert "one launcher at a time" in said


def test_a_lock_that_cannot_be_made_is_one_clear_error(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE)
    plan = tiny_plan([{}])
    (tmp_path / "records").write_text("a file in the directory's place")
    with pytest.raises(StoreError, match="could not be made"):
        run_together(plan.trials, (), RecordStore(tmp_path / "records"))


def test_what_runs_is_known_by_its_lock_whatever_the_clock_says(tmp_path: Path) -> None:
    store, running = RecordStore(tmp_path), tmp_path / "running"
    running.mkdir()
    hour = 3600
    for name, lock, at in (
        ("held_long", "held_long", time.time() - hour),
        ("held_future", "held_future", time.time() + hour),
        ("dead", "dead", time.time()),
        ("no_lock_past", None, time.time() - hour),
        ("no_lock_future", None, time.time() + hour),
        ("no_lock_now", None, time.time()),
    ):
        text = (
            f'{{"label": "", "done": 0.5, "at": {at}, "lock": {"null" if lock is None else chr(34) + lock + chr(34)}}}'
        )
        (running / f"{name}.json").write_text(text)
    locks = [take(tmp_path / "locks" / f"{name}.lock") for name in ("held_long", "held_future", "dead")]
    assert locks[2] is not None
    locks[2].release()
    assert set(store.running()) == {"held_long", "held_future", "no_lock_now"}
    for lock in locks[:2]:
        assert lock is not None
        lock.release()
