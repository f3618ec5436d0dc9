"""One trial in several processes on this machine, started by torchrun: each calls the recipe, the first one's curves are recorded.

A recipe asks for them by a function `processes(config) -> int` beside `run`. What happens to one of them happens to all: a
failure, the time limit and Ctrl-C end every process.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from repro.catalog.recipe import has_function
from repro.schema.context import Context
from repro.schema.errors import TrialFailed
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialSpec

LOOK_EVERY_S = 0.1
PARENT = "REPRO_PARENT"
"""Variable that tells a process whose end is its own."""
TRIAL, EVENTS, OUTPUT, KILLED = "trial.json", "events.jsonl", "output.txt", "killed.json"
PATIENCE_S = 15.0


def processes_of(recipe: Any, spec: TrialSpec, config: Any) -> int:
    """Return how many processes a trial asks for: 1 unless its recipe has a function `processes`.

    Raises:
        ValueError: if it asks for none, or for more than this machine has GPUs.
    """
    if not has_function(spec.recipe, "processes"):
        return 1
    count = int(recipe.processes(config))
    if count < 1:
        raise ValueError(f"processes(config) must return at least 1, not {count}")
    return count


def run_in_processes(spec: TrialSpec, count: int, context: Context) -> list[dict[str, float]]:
    """Run a trial in `count` processes and return its rows; curves and progress go to `context` while it runs.

    Every process must return the same rows, to the last digit: what was summed over all of them is equal in each, and what
    differs shows weights that have drifted apart, or a mean over processes that was forgotten.

    Args:
        spec: the trial.
        count: processes.
        context: of the trial; each process gets the same but for its device, which is the GPU of its number.

    Raises:
        TrialFailed: if one of them failed, was killed, or returned other rows than the first.
        FloatingPointError: if one of them said so: the trial diverged.
    """
    with tempfile.TemporaryDirectory(prefix="repro-") as directory:
        place = Path(directory)
        files = {name: str(Path(file).resolve()) for name, file in context.files.items()}
        (place / TRIAL).write_text(json.dumps({"spec": to_json(spec), "files": files}), encoding="utf-8")
        (place / EVENTS).touch()
        with (place / EVENTS).open(encoding="utf-8") as events, (place / OUTPUT).open("wb") as output:
            command = [sys.executable, "-m", "repro.launch.running.ranks", str(place), str(count)]
            agent = subprocess.Popen(
                command, stdout=output, stderr=output, env=_environment(count), start_new_session=True
            )
            told = _Events(context)
            with _ended_together(agent, place):
                while _still_running(agent):
                    told.read(events.read())
            told.read(events.read())
        return _rows_of(place, count, agent.returncode)


def _environment(count: int) -> dict[str, str]:
    """Return the variables of the processes: all on this machine, so that no name is looked up and no network is needed."""
    given = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), PARENT: str(os.getpid())}
    given.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    if sys.platform == "linux":
        given.setdefault("GLOO_SOCKET_IFNAME", "lo")
        given.setdefault("NCCL_SOCKET_IFNAME", "lo")
    return given


def _still_running(agent: subprocess.Popen[bytes]) -> bool:
    try:
        agent.wait(LOOK_EVERY_S)
    except subprocess.TimeoutExpired:
        return True
    return False


@contextlib.contextmanager
def _ended_together(agent: subprocess.Popen[bytes], place: Path) -> Iterator[None]:
    """Pass SIGTERM on to the processes, so that they can write a last checkpoint; let none outlive the end of this."""
    told = False

    def pass_on(*_: object) -> None:
        nonlocal told
        told = True
        _signal(place, signal.SIGTERM)

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, pass_on) if in_main else None
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        if agent.poll() is None:
            agent.kill()
            agent.wait()
        _signal(place, signal.SIGKILL)
    if told:
        signal.raise_signal(signal.SIGTERM)  # now it means what it meant before
        raise SystemExit(128 + signal.SIGTERM)


def _signal(place: Path, number: signal.Signals) -> None:
    """Send a signal to every process of the trial that is there."""
    for file in place.glob("*.pid"):
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(file.read_text()), number)


class _Events:
    """Passes on what the first process logs, line by line."""

    def __init__(self, context: Context) -> None:
        self.context, self.rest = context, ""

    def read(self, text: str) -> None:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            event = json.loads(line)
            if "done" in event:
                self.context.progress(event["done"])
            else:
                self.context.log(event["step"], **{event["curve"]: event["value"]})


def _rows_of(place: Path, count: int, code: int) -> list[dict[str, float]]:
    ended: dict[int, Mapping[str, Any]] = {
        int(file.stem.partition("_")[2]): json.loads(file.read_text(encoding="utf-8"))
        for file in place.glob("process_*.json")
    }
    failures = sorted((end for end in ended.values() if "error" in end), key=lambda end: end["at"])
    if killed := _killed(place, failures[0]["at"] if failures else math.inf):
        raise TrialFailed(f"Process {killed[0]} of {count} was ended by {killed[1]}, and the others with it.")
    if failures:
        first = failures[0]
        if first["kind"] == "FloatingPointError":
            raise FloatingPointError(first["error"])
        raise TrialFailed(f"Process {first['rank']} of {count} failed, and the others were ended: {first['error']}")
    if code or len(ended) < count:
        *_, said = (place / OUTPUT).read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
        raise TrialFailed(f"The {count} processes of the trial ended with code {code}: {said}")
    rows: list[dict[str, float]] = ended[0]["rows"]
    for rank in range(1, count):
        _require_equal(rows, ended[rank]["rows"], rank)
    return rows


def _killed(place: Path, first_error: float) -> tuple[str, str] | None:
    """Return number and signal of a process that somebody killed, and not torchrun because another had failed before."""
    try:
        found = json.loads((place / KILLED).read_text(encoding="utf-8"))
    except OSError:
        return None
    signals: dict[str, str] = found["signals"]
    # torchrun ends the others by SIGTERM and, if that is not heeded, by SIGKILL half a minute later.
    own = {rank: name for rank, name in signals.items() if name != "SIGTERM" and found["at"] < first_error + PATIENCE_S}
    if not own and first_error == math.inf:
        own = signals
    return next(iter(own.items()), None)


def _require_equal(rows: list[dict[str, float]], others: list[dict[str, float]], rank: int) -> None:
    for row, other in zip(rows, others, strict=False):
        for name in sorted({*row, *other}):
            if repr(row.get(name)) != repr(other.get(name)):
                raise TrialFailed(
                    f"Process {rank} measured {name} = {other.get(name)}, and process 0 {row.get(name)}: every process of a "
                    f"trial must return the same. Take the mean over processes (repro.lab.distributed.mean) of what each "
                    f"measures for itself; if this was done, the weights have drifted apart."
                )
    if len(rows) != len(others):
        raise TrialFailed(
            f"Process {rank} returned {len(others)} rows, and process 0 {len(rows)}; they must be the same."
        )
