from collections.abc import Callable

import pytest
import torch

from repro.lab.throughput import DATA_SHEETS, fastest_stack, peak_flops, throughput


@pytest.mark.parametrize(
    ("name", "precision", "expected"),
    [
        ("NVIDIA H200", "bfloat16", 989.4e12),
        ("NVIDIA H100 80GB HBM3", "float32", 66.9e12),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312e12),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 165.2e12),
    ],
)
def test_the_peak_of_a_named_gpu_is_that_of_its_data_sheet(
    name: str, precision: str, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    assert peak_flops("cuda", precision) == expected


def test_no_data_sheet_name_is_part_of_another() -> None:
    names = list(DATA_SHEETS)
    assert not [(a, b) for a in names for b in names if a != b and a in b]


def test_the_peak_of_a_processor_is_measured_once_for_each_number_of_threads() -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        peak = peak_flops("cpu", "float32")
        assert 1e9 < peak < 1e13
        assert peak_flops("cpu", "float32") == peak
        torch.set_num_threads(2)
        assert peak_flops("cpu", "float32") != peak
    finally:
        torch.set_num_threads(threads)


def test_throughput_on_literals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.lab.throughput.peak_flops", lambda device, precision: 4e9)
    found = throughput(tokens=1e6, flops=1e10, seconds=5.0, device="cpu", precision="float32")
    assert found == {"tokens_per_second": 2e5, "model_flops_per_second": 2e9, "mfu": 0.5}


class Machine:
    """A device on which a step of so many models takes as long as `seconds` says, and trying it ten steps."""

    def __init__(self, seconds: Callable[[int], float], memory: int = 10**9) -> None:
        self.seconds, self.memory, self.time, self.tried = seconds, memory, 0.0, list[int]()

    def step(self, models: int) -> float:
        self.tried.append(models)
        if models > self.memory:
            raise torch.OutOfMemoryError
        self.time += 10 * self.seconds(models)
        return self.seconds(models)

    def clock(self) -> float:
        return self.time


@pytest.mark.parametrize(
    ("seconds", "memory", "largest", "steps", "best", "tried"),
    [
        # Launches alone: all at once.
        (lambda m: 1.0, 10**9, 6, 10**6, 6, [1, 2, 4, 6]),
        # Arithmetic alone: one after another.
        (lambda m: float(m), 10**9, 64, 10**6, 1, [1, 2]),
        # A processor that is full at eight.
        (lambda m: max(1.0, m / 8), 10**9, 64, 10**6, 8, [1, 2, 4, 8, 16]),
        # Larger stacks leave the cache.
        (lambda m: 1.0 if m <= 4 else 0.5 * m, 10**9, 64, 10**6, 4, [1, 2, 4, 8]),
        # Memory ends before the gain does.
        (lambda m: 1.0, 20, 64, 10**6, 16, [1, 2, 4, 8, 16, 32]),
        # A single run.
        (lambda m: 1.0, 10**9, 1, 10**6, 1, [1]),
        # So short that measuring would take longer than it saves.
        (lambda m: 1.0, 10**9, 8, 2, 1, [1]),
        # A gain of 2 % is no reason for a larger stack.
        (lambda m: m / 1.02 if m > 1 else 1.0, 10**9, 64, 10**6, 1, [1, 2, 4]),
    ],
)
def test_the_stack_is_chosen_by_its_speed(
    seconds: Callable[[int], float], memory: int, largest: int, steps: int, best: int, tried: list[int]
) -> None:
    machine = Machine(seconds, memory)
    assert fastest_stack(machine.step, largest=largest, steps=steps, clock=machine.clock) == best
    assert machine.tried == tried


def test_a_machine_on_which_not_even_one_fits_trains_one_and_fails_there() -> None:
    assert fastest_stack(Machine(float, memory=0).step, largest=4, steps=100, clock=lambda: 0.0) == 1
