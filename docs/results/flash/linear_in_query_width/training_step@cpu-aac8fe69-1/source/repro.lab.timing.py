"""Time of a call: warm-up, inner loops long enough for the clock, and each repetition kept."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch


@dataclass(frozen=True)
class Timings:
    """Repeated timings of one call."""

    seconds: tuple[float, ...]
    """Seconds a call, one value a timing."""
    loops: int
    """Calls inside each timing."""

    @property
    def median(self) -> float:
        """Median of the timings, in seconds a call: what another program on the machine disturbs least."""
        return statistics.median(self.seconds)


def time_call(
    call: Callable[[], object],
    *,
    device: str = "cpu",
    warmup: int = 3,
    timings: int = 7,
    min_loop_s: float = 0.02,
    clock: Callable[[], float] = time.perf_counter,
) -> Timings:
    """Time `call`, in seconds.

    After `warmup` calls the number of calls in a timing is set so that a timing lasts at least `min_loop_s`; then
    `timings` of them are taken.

    Args:
        call: what is timed.
        device: on `cuda` the clock is a pair of CUDA events around the loop, and `clock` is not used.
        warmup: calls before the first timing.
        timings: how many.
        min_loop_s: seconds that one timing lasts at least.
        clock: returns seconds. `time.process_time` counts what this process computed, whatever else the machine was
            busy with; `time.perf_counter` counts what a person waited.

    Raises:
        ValueError: if fewer than one warm-up call or timing is asked for.
    """
    if warmup < 1 or timings < 1:
        raise ValueError(f"warmup and timings must be at least 1, not {warmup} and {timings}")
    loop_seconds = _cuda_loop if device == "cuda" else partial(_cpu_loop, clock)
    loop_seconds(call, warmup)
    loops = 1
    while (took := loop_seconds(call, loops)) < min_loop_s:
        # Aim a fifth above the floor, so that a timing a little faster than this one still reaches it.
        loops = max(loops + 1, math.ceil(loops * 1.2 * min_loop_s / max(took, 1e-9)))
        loops = min(loops, 1_000_000)
    return Timings(tuple(loop_seconds(call, loops) / loops for _ in range(timings)), loops)


def _cpu_loop(clock: Callable[[], float], call: Callable[[], object], loops: int) -> float:
    start = clock()
    for _ in range(loops):
        call()
    return clock() - start


def _cuda_loop(call: Callable[[], object], loops: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(loops):
        call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3
