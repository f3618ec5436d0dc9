"""A hundred rounds of SIGKILL at random moments: no finished trial is lost or run twice, and the result is as without them."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fault_support import RECIPE, tiny_plan
from repro.launch import worker
from repro.launch.executors import execute
from repro.launch.records.store import RecordStore
from repro.schema.trial import Plan
from repro.stats.summary import mean_over_seeds

TRIALS = 150
SECONDS = 0.004


def process_of(work: Callable[[], object]) -> int:
    """Start what is to be killed in a process group of its own, without the seconds that a new Python takes to import."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    try:
        work()
    finally:
        os._exit(0)


def finished(records: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in records.glob("*.json")}


def values(records: Path) -> dict[int, list[dict[str, float]]]:
    found = {}
    for text in finished(records).values():
        record = json.loads(text)
        found[record["replicate"]] = record["rows"]
    return found


def kill(child: int, records: Path, new: int, seconds: float, group: bool = False) -> None:
    """Kill a process so many seconds after there are `new` records more than before, or when it has ended."""
    wanted = len(list(records.glob("*.json"))) + new
    deadline = time.monotonic() + 60
    while len(list(records.glob("*.json"))) < wanted and time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            break
        time.sleep(0.001)
    time.sleep(seconds)
    (os.killpg if group else os.kill)(child, signal.SIGKILL)
    os.waitpid(child, 0)


def estimate(records: Path):
    return mean_over_seeds(sorted(RecordStore(records).all(), key=lambda record: record.replicate), column="x")


@pytest.mark.slow
def test_a_hundred_kills_lose_and_repeat_nothing(write_claims, tmp_path: Path) -> None:
    """Sixty times the worker, thirty times one of two workers on the same records and then the other, ten times a launcher with
    its processes, by turns alone and with its whole group."""
    write_claims(recipe=RECIPE)
    moments = random.Random(20240517)
    kinds = ["worker"] * 60 + ["two workers"] * 30 + ["launcher", "group"] * 5
    moments.shuffle(kinds)
    plan = tiny_plan([{"seconds": SECONDS}] * TRIALS, tmp_path / "plan.json")

    def work(records: Path) -> Callable[[], object]:
        return lambda: worker.main([str(tmp_path / "plan.json"), "--out", str(records)])

    def in_processes(records: Path, plan: Plan = plan) -> Callable[[], object]:
        def run() -> None:
            store = RecordStore(records)
            missing = [spec for spec in plan.trials if not store.ran_here(spec, "")]
            list(execute(missing, plan, store, {"kind": "processes", "jobs": 2}))

        return run

    undisturbed = tmp_path / "undisturbed"
    assert work(undisturbed)() == 0
    wanted = values(undisturbed)

    laps, amid, records = [tmp_path / "killed-0"], 0, tmp_path / "killed-0"
    for kind in kinds:
        before = finished(records)
        if len(before) == TRIALS:
            records = tmp_path / f"killed-{len(laps)}"
            laps.append(records)
            before = {}
        first = process_of((in_processes if kind in ("launcher", "group") else work)(records))
        second = process_of(work(records)) if kind == "two workers" else None
        kill(first, records, moments.randrange(6), moments.uniform(0.0, 0.012), group=kind == "group")
        if second is not None:
            kill(second, records, moments.randrange(4), moments.uniform(0.0, 0.012))
        after = finished(records)
        assert {name: after[name] for name in before} == before, f"a finished trial was lost or run again ({kind})"
        amid += len(before) < len(after) < TRIALS
    assert amid >= 50, "too few of the kills came while trials ran"

    for records in laps:
        # Processes whose launcher was killed may be at their last trial: their records count too.
        assert work(records)() == 0
        assert values(records) == wanted
        assert estimate(records) == estimate(undisturbed)
        store = RecordStore(records)
        assert {record.key for record in store.all()} == {spec.key for spec in plan.trials}
        assert store.damaged() == {}
        assert not list((records / "failed").glob("*"))
        assert store.running() == {}
