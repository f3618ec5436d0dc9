import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from repro.lab.optim import StackedAdamW, warmup_constant, warmup_cosine


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.5),  # half of a two-step warm-up
        (1, 1.0),
        (2, 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4))),
        (3, 0.55),  # the middle of the cosine
        (5, 0.1),  # the last step
    ],
)
def test_schedule_on_literals(step: int, expected: float) -> None:
    assert warmup_cosine(step, steps=6, warmup=2, peak=1.0, final_share=0.1) == pytest.approx(expected, abs=1e-15)


def test_a_warmup_longer_than_the_run_never_reaches_the_peak() -> None:
    rates = [warmup_cosine(step, steps=4, warmup=8, peak=0.8, final_share=0.1) for step in range(4)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4])


@given(st.integers(1, 300), st.integers(0, 300), st.floats(0.0, 1.0))
def test_schedule_rises_to_the_peak_falls_to_the_end_and_never_leaves_the_range(
    steps: int, warmup: int, share: float
) -> None:
    rates = [warmup_cosine(step, steps=steps, warmup=warmup, peak=2.0, final_share=share) for step in range(steps)]
    top = min(warmup, steps)
    assert all(a <= b for a, b in pairwise(rates[:top]))
    assert all(a >= b - 1e-12 for a, b in pairwise(rates[top:]))
    assert max(rates) <= 2.0
    if warmup < steps:
        assert rates[-1] == pytest.approx(2.0 * share)


@pytest.mark.parametrize("step", [-1, 5])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=r"step must be in \[0, 5\)"):
        warmup_cosine(step, steps=5, warmup=1, peak=1.0, final_share=0.1)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.25), (3, 1.0), (4, 1.0), (9, 1.0)])
def test_a_constant_schedule_stays_at_its_peak(step: int, expected: float) -> None:
    assert warmup_constant(step, steps=10, warmup=4, peak=1.0) == expected


def test_a_longer_cycle_is_the_beginning_of_a_longer_run() -> None:
    rates = [warmup_cosine(step, steps=10, warmup=2, peak=1.0, final_share=0.1, cycle=2.0) for step in range(10)]
    whole = [warmup_cosine(step, steps=20, warmup=2, peak=1.0, final_share=0.1) for step in range(20)]
    assert rates == whole[:10]
    with pytest.raises(ValueError, match="cycle must be at least 1"):
        warmup_cosine(0, steps=10, warmup=2, peak=1.0, final_share=0.1, cycle=0.5)


SETTINGS = [
    {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "clip": 1.0, "lr": 0.02},
    {"beta1": 0.8, "beta2": 0.95, "weight_decay": 0.0, "clip": 0.3, "lr": 0.1},
    {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.5, "clip": 1e9, "lr": 0.001},
]
"""Three models, each with settings of its own."""


def stacked(rows: torch.Tensor, lr_scale: torch.Tensor | None = None) -> StackedAdamW:
    columns = {
        name: torch.tensor([[each[name]] for each in SETTINGS], dtype=torch.float64)
        for name in ("beta1", "beta2", "weight_decay", "clip")
    }
    decayed = torch.cat([torch.ones(6), torch.zeros(2)]).double()
    return StackedAdamW(rows, **columns, decayed=decayed, lr_scale=lr_scale)


def gradients(steps: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(3, 8, generator=draw, dtype=torch.float64) * 10 ** (step % 3 - 1) for step in range(steps)]


def test_a_stack_steps_as_torch_does_model_by_model() -> None:
    """torch.optim.AdamW after clip_grad_norm_, on a matrix that decays and a gain that does not; clipped and not."""
    start = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = start.clone().requires_grad_()
    ours = stacked(rows)
    for step, grad in enumerate(gradients(12)):
        rows.grad = grad.clone()
        ours.step(torch.tensor([[each["lr"] / (1 + step)] for each in SETTINGS], dtype=torch.float64))
        assert rows.grad is None
    for model, settings in enumerate(SETTINGS):
        matrix, gain = (nn.Parameter(part.clone()) for part in start[model].split([6, 2]))
        theirs = torch.optim.AdamW(
            [{"params": [matrix], "weight_decay": settings["weight_decay"]}, {"params": [gain], "weight_decay": 0.0}],
            betas=(settings["beta1"], settings["beta2"]),
        )
        for step, grad in enumerate(gradients(12)):
            matrix.grad, gain.grad = (part.clone() for part in grad[model].split([6, 2]))
            nn.utils.clip_grad_norm_([matrix, gain], settings["clip"])
            for group in theirs.param_groups:
                group["lr"] = settings["lr"] / (1 + step)
            theirs.step()
        # float64 but for the number of steps taken, which is a float32 scalar and exact.
        torch.testing.assert_close(rows[model], torch.cat([matrix, gain]), rtol=1e-10, atol=1e-12)


def test_one_step_follows_the_paper() -> None:
    """Loshchilov and Hutter, Algorithm 2: after one step m̂ = g and v̂ = g², so θ − lr·(g/(|g| + ε) + λθ)."""
    start = torch.randn(3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows, scale = start.clone().requires_grad_(), torch.linspace(0.5, 2.0, 8, dtype=torch.float64)
    grad = 0.01 * gradients(1)[0]  # below every limit
    rows.grad = grad.clone()
    stacked(rows, lr_scale=scale).step(torch.full((3, 1), 0.01, dtype=torch.float64))
    decay = torch.tensor([[each["weight_decay"]] * 6 + [0.0] * 2 for each in SETTINGS], dtype=torch.float64)
    expected = start - 0.01 * scale * (grad / (grad.abs() + 1e-8) + decay * start)
    torch.testing.assert_close(rows.detach(), expected, rtol=0, atol=1e-12)


def test_the_state_is_everything_that_a_step_changes() -> None:
    rows = torch.ones(3, 8, dtype=torch.float64, requires_grad=True)
    optimizer = stacked(rows)
    kept = [each.detach().clone() for each in optimizer.state]
    ends = []
    for _ in range(2):
        for grad in gradients(3):
            rows.grad = grad.clone()
            optimizer.step(torch.full((3, 1), 0.01, dtype=torch.float64))
        ends.append(rows.detach().clone())
        with torch.no_grad():
            for tensor, value in zip(optimizer.state, kept, strict=True):
                tensor.copy_(value)
    assert torch.equal(*ends)


@pytest.mark.slow
def test_a_compiled_update_is_the_same_update() -> None:
    ends = []
    for compile in (False, True):
        rows = torch.ones(3, 8, requires_grad=True)
        optimizer = StackedAdamW(
            rows,
            beta1=torch.full((3, 1), 0.9),
            beta2=torch.full((3, 1), 0.99),
            weight_decay=torch.full((3, 1), 0.1),
            clip=torch.ones(3, 1),
            decayed=torch.ones(8),
            compile=compile,
        )
        for grad in gradients(3):
            rows.grad = grad.float()
            optimizer.step(torch.full((3, 1), 0.01))
        ends.append(rows.detach())
    torch.testing.assert_close(*ends)
