"""Seals attempts of the small claims without the index of all others, and pretends that trials run."""

import contextlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

from repro.catalog.load import load_claim, load_scale, load_study
from repro.launch import worker
from repro.launch.planning.plan import Shape, Source, plan_attempt
from repro.launch.planning.planfile import write_plan
from repro.launch.planning.stored import store_plan
from repro.launch.running.trial_lock import take
from repro.schema.trial import Plan

HOME_RECORDS = Path(".repro/records")


def seal(
    claim: str = "toy/mean",
    *,
    seeds: int = 2,
    first: int = 0,
    counter: int = 1,
    command: str = "repro run toy/mean scale=cpu",
) -> Plan:
    """Seal an attempt at scale cpu in this directory, as `repro run` does before it runs, and write it to plan.json."""
    loaded = load_claim(claim)
    (protocol,) = loaded.protocols
    source = Source(loaded, protocol, load_study(loaded.protocols[protocol].study), load_scale("cpu"))
    shape = Shape(counter, tuple(range(first, first + seeds)), True)
    attempt, specs = plan_attempt(source, shape)
    plan = Plan((attempt,), tuple(specs.values()), f"2024-01-0{counter}T00:00:00+00:00")
    provenance = {attempt.id: {"command": command}}
    store_plan(plan, provenance)
    write_plan(plan, Path("plan.json"), provenance)
    return plan


def work(*keys: str, records: Path = HOME_RECORDS) -> int:
    """Run trials of plan.json, or all of them, as a worker does; return its exit code."""
    only = [word for key in keys for word in ("--only", key)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return worker.main(["plan.json", "--out", str(records), *only])


def says_it_runs(key: str, records: Path = HOME_RECORDS, done: float = 0.5, label: str = "n=8") -> None:
    """Write what a worker writes about a trial it is at."""
    (records / "running").mkdir(parents=True, exist_ok=True)
    said = {"label": label, "done": done, "at": time.time(), "since": time.time() - 60, "lock": key}
    (records / "running" / f"{key}.json").write_text(json.dumps(said))


@contextlib.contextmanager
def runs(key: str, records: Path = HOME_RECORDS, done: float = 0.5) -> Iterator[None]:
    """Have a trial run meanwhile, as far as anybody can see."""
    says_it_runs(key, records, done)
    lock = take(records / "locks" / f"{key}.lock")
    assert lock is not None
    with lock:
        yield
    (records / "running" / f"{key}.json").unlink()
