"""Long training that goes on where it was stopped: a checkpoint every few minutes, and the same curve as without a stop.

    checkpoint = Checkpoint(context, model=model, optimizer=optimizer)
    for step in range(checkpoint.resume(), steps):
        ...                                        # one step
        checkpoint.log(step, loss=loss)            # in place of context.log
        checkpoint.save_if_due(step + 1)

Where the worker runs the trial, it names the directory; alone, nothing is written and `resume` returns 0. See docs/long_runs.md.
"""

import contextlib
import math
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from repro.lab import checkpoint_files as files
from repro.lab import sharded
from repro.lab.distributed import anywhere, world
from repro.schema.context import Context

DIRECTORY = "REPRO_CHECKPOINTS"
"""Variable that names the directory of the running trial's checkpoints; its last part is the trial's key."""
MINUTES = "REPRO_CHECKPOINT_MINUTES"
"""Variable that sets the minutes from one checkpoint to the next, for who is stopped more often."""
UNTIL = "REPRO_CHECKPOINT_UNTIL"
"""Variable that says when the worker's time is over, by `time.monotonic`: the last steps before it are kept."""
PREEMPTED = 143
"""Exit code after a last checkpoint: that of a process that SIGTERM ended."""


@runtime_checkable
class Stateful(Protocol):
    """What torch calls so: modules, optimizers, schedules, samplers."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take the state over."""


Part = Stateful | torch.Generator | list[Tensor] | MutableMapping[str, Any]
"""What a checkpoint holds: anything stateful, a generator, tensors that are changed in place, or a dict of plain values."""


@contextlib.contextmanager
def _alarm_waits() -> Iterator[None]:
    """Let a time limit that is reached while a checkpoint is written end the trial when it is whole.

    Torch would make an error of its own of the interruption, and a limit that went by unheard is none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    rang: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rang.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        if rang:
            signal.raise_signal(signal.SIGALRM)


class Checkpoint:
    """The state of one training run, saved now and then and resumed bit for bit.

    Beside the parts it holds the random states of Python, NumPy and torch (CPU and GPU) and the curve logged so far. In a
    trial of several processes each keeps its own random states and generators; of all else the first process's copy is
    kept, for they are equal, but for parts sharded over the processes, which torch.distributed.checkpoint writes.
    """

    def __init__(self, context: Context, *, minutes: float = 5.0, **parts: Part) -> None:
        """Name what a step changes.

        Args:
            context: of the trial; takes the curve.
            minutes: from one checkpoint to the next; 0 for one after every step.
            **parts: the state by name.
        """
        named = os.environ.get(DIRECTORY)
        self.directory = Path(named) if named else None
        self.context = context
        self.parts = parts
        self.until = float(os.environ.get(UNTIL) or math.inf)
        # Where time is short a few are written in it, so that it is known how long one takes.
        wanted = 60.0 * float(os.environ.get(MINUTES) or minutes)
        self.seconds_between = max(0.0, min(wanted, (self.until - time.monotonic()) / 4))
        self.curve: list[tuple[str, int, float]] = []
        self._clock = self._saved = self._last_step = time.monotonic()
        self._save_took = 0.0
        self._stop = False
        self._before: Any = None
        if self.directory is not None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._heed)  # whoever started the trial puts it back

    def resume(self) -> int:
        """Put the newest whole checkpoint into the parts; return the number of steps that were done, 0 without one.

        Everything must have been built before, as for a fresh start. Random states come last, so that the next draw is the
        one that would have followed.

        Raises:
            RecordError: if the checkpoint is another trial's.
        """
        if self.directory is None:
            return 0
        found = self._agreed_on()
        if found is None:
            return 0
        whole = torch.load(found.path / "whole.pt", map_location="cpu", weights_only=True)
        own = torch.load(found.path / f"process_{world().rank}.pt", map_location="cpu", weights_only=True)
        for name, state in {**whole["parts"], **own["parts"]}.items():
            _restore(self.parts[name], state)
        sharded.load(found.path / "sharded", self._sharded())
        for name, step, value in whole["curve"]:
            self.log(step, **{name: value})
        _restore_random_states(own["random"])
        self._clock = time.monotonic() - found.seconds
        if world().first:
            files.note_resumed(self.directory, found)
        return found.step

    def log(self, step: int, **values: float) -> None:
        """Add one point at `step` to each named curve, as `Context.log` does, so that a resumed trial has the whole of it."""
        self.context.log(step, **values)
        if self.directory is not None:
            self.curve += [(name, step, float(value)) for name, value in values.items()]

    def save_if_due(self, step: int) -> None:
        """Save if it is time, or if the process was asked to end. All processes of a trial must call it after the same steps.

        Args:
            step: steps that are done.

        Raises:
            SystemExit: after a last checkpoint, if SIGTERM came: a scheduler wants the machine back.
        """
        if self.directory is None:
            return
        now = time.monotonic()
        in_reach = 2 * (self._save_took + now - self._last_step)  # another step and its checkpoint would hardly be done
        due = now - self._saved >= self.seconds_between or self.until - now < in_reach
        self._last_step = now
        stop, due = anywhere(self._stop, due and world().first)
        if stop or due:
            self.save(step)
            self._last_step = time.monotonic()
        if stop:
            if world().first:
                print(f"Asked to end: stopped after step {step}. Run the same command again to go on.", file=sys.stderr)
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)  # now it means what it meant before
            raise SystemExit(PREEMPTED)

    def save(self, step: int) -> None:
        """Save now. Where the disk cannot take it, training goes on with a warning, and the next one is tried in its time."""
        if self.directory is not None:
            with _alarm_waits():
                self._save(self.directory, step)

    def _save(self, directory: Path, step: int) -> None:
        started, first = time.monotonic(), world().first
        phases: list[Callable[[], None]] = [
            lambda: files.begin(directory, step) if first else None,
            lambda: self._write(files.building_place(directory, step)),
            lambda: self._publish(directory, step, started) if first else None,
        ]
        for phase in phases:
            failure = ""
            try:
                phase()
            except (OSError, RuntimeError) as reason:  # torch turns a full disk into a RuntimeError
                failure = str(reason)
                warnings.warn(f"No checkpoint after step {step}, training goes on: {failure}", stacklevel=4)
            if any(anywhere(bool(failure))):
                break
        self._saved = time.monotonic()
        self._save_took = self._saved - started

    def _publish(self, directory: Path, step: int, now: float) -> None:
        spent = now - self._clock
        files.publish(directory, step, trial=directory.name, processes=world().size, seconds=spent)

    def _heed(self, *_: object) -> None:
        self._stop = True

    def _sharded(self) -> dict[str, Any]:
        return {name: part for name, part in self.parts.items() if sharded.is_sharded(part)}

    def _write(self, place: Path) -> None:
        shards = self._sharded()
        own = {name: part for name, part in self.parts.items() if isinstance(part, torch.Generator)}
        common = {name: part for name, part in self.parts.items() if name not in {*shards, *own}}
        _store(
            {"parts": {name: _state(part) for name, part in own.items()}, "random": _random_states()},
            place / f"process_{world().rank}.pt",
        )
        sharded.save(place / "sharded", shards)
        if world().first:
            _store(
                {"parts": {name: _state(part) for name, part in common.items()}, "curve": self.curve},
                place / "whole.pt",
            )

    def _agreed_on(self) -> files.Found | None:
        """Let the first process choose the checkpoint for all; each says so if there is none to be had."""
        assert self.directory is not None
        here = world()
        choice: list[Any] = [None]
        if here.first:
            try:
                choice = [files.newest(self.directory, trial=self.directory.name, processes=here.size)]
            except Exception as reason:
                choice = [reason]
        if here.size > 1:
            dist.broadcast_object_list(choice, device=torch.device("cpu"))
        if isinstance(choice[0], Exception):
            raise choice[0]
        found: files.Found | None = choice[0]
        return found


def _state(part: Part) -> Any:
    if isinstance(part, torch.Generator):
        return part.get_state()
    if isinstance(part, list):
        return [tensor.detach() for tensor in part]
    return dict(part) if isinstance(part, MutableMapping) else part.state_dict()


@torch.no_grad()
def _restore(part: Part, state: Any) -> None:
    if isinstance(part, torch.Generator):
        part.set_state(state)
    elif isinstance(part, list):
        for tensor, value in zip(part, state, strict=True):
            tensor.copy_(value)
    elif isinstance(part, MutableMapping):
        part.clear()
        part.update(state)
    else:
        part.load_state_dict(state)


def _store(content: dict[str, Any], file: Path) -> None:
    with file.open("wb") as stream:
        torch.save(content, stream)


def _random_states() -> dict[str, Any]:
    """Return the states of all global generators as plain values and tensors, which torch loads without running code."""
    kind, words, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(words).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if _on_gpu() else None,
    }


def _on_gpu() -> bool:
    """Say whether this process uses a GPU; asking for its random state would make it do so."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _restore_random_states(states: dict[str, Any]) -> None:
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    kind, numbers, *rest = states["numpy"]
    np.random.set_state((kind, numbers.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None:
        torch.cuda.set_rng_state(states["cuda"])
