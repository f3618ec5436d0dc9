"""Ctrl-C and SIGTERM: what is being written is written, then the program stops and says how to go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fault_support import RECIPE, tiny_plan
from repro.launch.records.store import RecordStore
from repro.launch.running import trials
from repro.launch.running.interrupts import Stopping, exit_code, finishing, stoppable
from tests_support import with_interrupts

STUBBORN = RECIPE.replace(
    "    end = time.monotonic()",
    """    while config.trouble == "stubborn":
        try:
            Path(config.journal + ".asleep").touch()
            time.sleep(600)
        except KeyboardInterrupt:
            Path(config.journal).with_name("told").touch()
    end = time.monotonic()""",
)


def worker_at(directory: Path, ready: Path) -> subprocess.Popen[str]:
    """Start a worker in a directory and return it once a file is there."""
    command = [sys.executable, "-m", "repro.launch.worker", "plan.json", "--out", "records"]
    process = subprocess.Popen(
        command, cwd=directory, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=with_interrupts
    )
    wait_for(ready, process)
    return process


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert file.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_worker_told_to_stop_says_how_to_go_on(write_claims, tmp_path: Path, number: int, code: int) -> None:
    write_claims(recipe=RECIPE)
    plan = tiny_plan([{}, {"seconds": 300, "journal": str(tmp_path / "journal")}], tmp_path / "plan.json")
    process = worker_at(tmp_path, tmp_path / "journal")
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert said.strip() == "Stopped. Finished trials are kept; run the same command again to resume."
    store = RecordStore(tmp_path / "records")
    assert [record.key for record in store.all()] == [plan.trials[0].key]
    assert store.running() == {}
    assert not (store.directory / "failed").exists()


def test_a_second_ctrl_c_ends_at_once_whatever_the_recipe_does(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=STUBBORN)
    told = tmp_path / "told"
    tiny_plan([{"trouble": "stubborn", "journal": str(tmp_path / "journal")}], tmp_path / "plan.json")
    process = worker_at(tmp_path, tmp_path / "journal.asleep")
    process.send_signal(signal.SIGINT)
    wait_for(told, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_record_that_is_being_written_is_written(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write_claims(recipe=RECIPE)
    (spec,), store = tiny_plan([{}]).trials, RecordStore(tmp_path / "records")
    write = RecordStore.write

    def told_while_writing(*arguments: object) -> Path:
        os.kill(os.getpid(), number)
        return write(*arguments)

    monkeypatch.setattr(RecordStore, "write", told_while_writing)
    # Whoever counts lines answers SIGTERM too, and what somebody answers is left to them.
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        with pytest.raises(Stopping) as stopped, stoppable():
            trials.run_together([spec], (), store)
    finally:
        signal.signal(number, before)
    assert exit_code(stopped.value) == 128 + number
    assert [record.key for record in store.all()] == [spec.key]


def test_a_signal_that_is_switched_off_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable(), finishing():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
