"""How fast models train: against what the device could do, and how many of them are best trained side by side."""

import math
import time
from collections.abc import Callable
from functools import cache
from typing import Literal

import torch

from repro.lab.timing import time_call

Precision = Literal["float32", "bfloat16", "float64"]

DATA_SHEETS: dict[str, dict[str, float]] = {
    "H200": {"bfloat16": 989.4e12, "float32": 66.9e12},
    "H100 80GB HBM3": {"bfloat16": 989.4e12, "float32": 66.9e12},
    "H100 PCIe": {"bfloat16": 756e12, "float32": 51e12},
    "A100": {"bfloat16": 312e12, "float32": 19.5e12},
    "L40S": {"bfloat16": 362e12, "float32": 91.6e12},
    "RTX 4090": {"bfloat16": 165.2e12, "float32": 82.6e12},
    "RTX 3090": {"bfloat16": 71e12, "float32": 35.6e12},
}
"""FLOP/s of matrix products by a part of the device's name, from NVIDIA's data sheets: dense, bfloat16 summed in float32, and
float32 without TensorFloat-32, which torch does not use unless told to."""


def peak_flops(device: str, precision: Precision) -> float:
    """Return the FLOP/s that the device could reach: the yardstick of `mfu` (Chowdhery et al., arXiv 2204.02311, Appendix B).

    For a GPU whose data sheet is known that figure; otherwise the speed of a large matrix product, measured once in a
    process for each number of threads.

    Args:
        device: `cpu` or `cuda`.
        precision: of the numbers that are multiplied.
    """
    if device == "cuda":
        name = torch.cuda.get_device_name()
        for part, peaks in DATA_SHEETS.items():
            if part in name and precision in peaks:
                return peaks[precision]
    return _matrix_product_flops(device, precision, torch.get_num_threads())


@cache
def _matrix_product_flops(device: str, precision: Precision, threads: int) -> float:
    """Return the FLOP/s of the fastest of several square matrix products; `threads` is there to tell apart what is kept."""
    size = 8192 if device == "cuda" else 768
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
    return 2.0 * size**3 / min(time_call(lambda: a @ b, device=device, timings=5, min_loop_s=0.01).seconds)


def throughput(*, tokens: float, flops: float, seconds: float, device: str, precision: Precision) -> dict[str, float]:
    """Return a training run's speed: `tokens_per_second`, `model_flops_per_second` and `mfu`, their share of the device's peak.

    Args:
        tokens: trained on, by all models that shared the device.
        flops: that the models' definition asks for, forward and backward; what an implementation computes twice does not count.
        seconds: that the training steps took.
        device: as in `peak_flops`.
        precision: likewise.
    """
    speed = flops / seconds
    return {
        "tokens_per_second": tokens / seconds,
        "model_flops_per_second": speed,
        "mfu": speed / peak_flops(device, precision),
    }


def fastest_stack(
    seconds_a_step: Callable[[int], float],
    *,
    largest: int,
    steps: int,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Return how many models train fastest side by side, by trying 1, 2, 4, ... of them.

    The next number is tried as long as what the last doubling saves is more than the next trial costs, and so many models fit
    into the device's memory. Where two numbers are within 3 % of one another, the smaller one is taken.

    Args:
        seconds_a_step: measures one step of so many models; raises `torch.OutOfMemoryError` where they do not fit.
        largest: models there are.
        steps: of each model's run.
        clock: returns seconds.
    """
    size, best, best_seconds, last_seconds = 1, 1, math.inf, math.inf
    while True:
        began = clock()
        try:
            seconds = steps * largest * seconds_a_step(size) / size  # that all models would take
        except torch.OutOfMemoryError:
            return best
        saved = min(last_seconds - seconds, seconds)
        if seconds * 1.03 < best_seconds:
            best, best_seconds = size, seconds
        if size >= largest or saved < 2 * (clock() - began):
            return best
        size, last_seconds = min(2 * size, largest), seconds
