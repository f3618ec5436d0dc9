"""Language models trained side by side learn as they would alone, and how many are is measured."""

import math
from dataclasses import replace

import pytest
import torch

from experiments.scaling_laws import language_model
from experiments.scaling_laws.language_model import (
    Config,
    adamw,
    model_of,
    run,
    run_batch,
    schedule_of,
    stack_of,
    stack_size,
    training_step,
)
from repro.lab.optim import warmup_cosine
from repro.lab.seeding import derived_seed
from repro.lab.tokens import Windows
from repro.schema.context import Context

QUICK = Config(source="synthetic", tokens=20_000, d_model=16, min_steps=60, eval_tokens=4096, evaluations=2)
TIMED = {"tokens_per_second", "model_flops_per_second", "mfu", "stacked"}
DIFFERENT = [
    QUICK,
    replace(QUICK, seed=1, lr=0.05, clip=0.1),
    replace(QUICK, run=1, beta2=0.95, weight_decay=0.0, decay=False),
    replace(QUICK, unique_tokens=5_000.0, warmup_tokens=2_000.0, cycle=2.0),
]


def without_clock(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in TIMED}


@pytest.fixture(scope="module")
def alone() -> list[dict[str, float]]:
    return [run(each, Context()) for each in DIFFERENT]


def test_side_by_side_each_run_is_bit_for_bit_what_it_is_alone(alone: list[dict[str, float]]) -> None:
    curves: list[list[tuple[str, int, float]]] = [[] for _ in DIFFERENT]
    contexts = [Context(on_curve=lambda *point, to=curve: to.append(point)) for curve in curves]
    together = run_batch(DIFFERENT, contexts)
    assert [without_clock(row) for row in together] == [without_clock(row) for row in alone]
    assert len({row["loss"] for row in together}) == len(DIFFERENT)
    assert {row["stacked"] for row in together} == {4.0}
    for row, curve in zip(together, curves, strict=True):
        assert [value for name, _, value in curve if name == "loss"][-1] == row["loss"]


def test_every_row_says_how_fast_it_was(alone: list[dict[str, float]]) -> None:
    for row in alone:
        flops_per_token = row["flops"] / row["tokens"]
        assert row["model_flops_per_second"] == pytest.approx(row["tokens_per_second"] * flops_per_token)
        assert 0 < row["mfu"] < 1


def test_a_run_that_diverges_does_not_harm_its_neighbours(alone: list[dict[str, float]]) -> None:
    broken = replace(QUICK, lr=1e30, clip=1e30)
    lost, kept = run_batch([broken, QUICK], [Context(), Context()])
    assert math.isnan(lost["loss"])
    assert without_clock(kept) == without_clock(alone[0])


def test_a_run_that_diverges_alone_stops_and_has_no_loss() -> None:
    steps: list[int] = []
    context = Context(on_curve=lambda name, step, value: steps.append(step))
    row = run(replace(QUICK, lr=1e30, clip=1e30, evaluations=20), context)
    assert math.isnan(row["loss"])
    assert max(steps) < row["steps"]


def test_runs_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape, batch and number of steps"):
        run_batch([QUICK, replace(QUICK, d_model=24)], [Context(), Context()])


@pytest.mark.parametrize(
    ("change", "together"),
    [
        ({"seed": 3, "lr": 0.1, "clip": 2.0}, True),
        ({"lr_exponent": 0.0}, True),
        ({"tokens": 19_990}, True),  # the same number of steps
        ({"tokens": 40_000}, False),
        ({"batch_tokens": 128.0}, False),
        ({"d_model": 24}, False),
        ({"evaluations": 3}, False),
        ({"threads": 2}, False),
    ],
)
def test_what_may_be_trained_together(change: dict, together: bool) -> None:
    assert (stack_of(replace(QUICK, **change)) == stack_of(QUICK)) is together


def test_the_loop_is_the_training_written_out(alone: list[dict[str, float]]) -> None:
    """One model, torch's own AdamW and clipping, one step after another as in any tutorial."""
    schedule, text = schedule_of(QUICK), language_model.load_tokens(QUICK.source, QUICK.vocabulary, Context().data)
    seed = derived_seed(QUICK.seed, QUICK.run)
    model = model_of(QUICK, [seed], Context())
    windows = Windows(len(text.train), schedule.batch, QUICK.context, seed)
    optimizer = torch.optim.AdamW([model.rows], betas=(0.9, QUICK.beta2), weight_decay=0.0)
    decay = torch.cat([torch.full((math.prod(s),), float(len(s) > 1)) for s in model.layout.values()])
    for step in range(schedule.steps):
        window = torch.stack([text.train[s : s + QUICK.context + 1].long() for s in windows.starts(step)])
        rate = warmup_cosine(
            step, steps=schedule.steps, warmup=schedule.warmup, peak=schedule.peak, final_share=QUICK.final_lr
        )
        optimizer.zero_grad()
        loss = model(window[None, :, :-1], window[None, :, 1:]).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([model.rows], QUICK.clip)
        with torch.no_grad():
            model.rows.mul_(1 - rate * QUICK.weight_decay * decay)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    held_out = language_model.held_out_losses(model, text, QUICK, Context())[0]
    # Rounding differs, and 60 and more steps amplify it.
    assert held_out == pytest.approx(alone[0]["loss"], abs=2e-4)


def test_a_step_of_mixed_precision_learns() -> None:
    context = Context(precision="bfloat16")
    model = model_of(QUICK, [0, 1], context)
    step = training_step(model, adamw(model, [QUICK] * 2, context), torch.arange(200) % 7, QUICK, 3, context)
    starts = torch.tensor([[0, 7, 14], [21, 28, 35]])
    losses = torch.stack([step(starts, torch.full((2, 1), 0.01)) for _ in range(30)])
    assert (losses[-1] < 0.5 * losses[0]).all()


def test_the_size_of_a_stack_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def seconds(config: Config, models: int, batch: int, context: Context) -> float:
        tried.append(models)
        return max(1.0, models / 4)

    monkeypatch.setattr(language_model, "seconds_a_step", seconds)
    monkeypatch.setattr(language_model, "MEASURED_STACKS", {})
    assert stack_size([QUICK] * 16, Context()) == 4
    assert stack_size([replace(QUICK, seed=5)] * 16, Context()) == 4
    assert tried == [1, 2, 4, 8]
    assert stack_size([replace(QUICK, d_model=24)] * 16, Context()) == 4
    assert len(tried) == 8


def test_measuring_a_stack_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, alone: list[dict[str, float]]) -> None:
    monkeypatch.setattr(language_model, "MEASURED_STACKS", {})
    assert 1 <= stack_size(DIFFERENT, Context()) <= len(DIFFERENT)
    assert without_clock(run(QUICK, Context())) == without_clock(alone[0])


@pytest.mark.slow
def test_a_compiled_run_is_the_same_run_to_rounding() -> None:
    short = replace(QUICK, tokens=4_000, min_steps=12)
    plain, compiled = (run_batch([replace(short, compile=c)] * 2, [Context()] * 2)[0] for c in (False, True))
    assert compiled["loss"] == pytest.approx(plain["loss"], abs=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_a_stack_in_a_graph_learns_as_on_the_processor(alone: list[dict[str, float]]) -> None:
    together = run_batch(DIFFERENT, [Context(device="cuda")] * len(DIFFERENT))
    for found, expected in zip(together, alone, strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], abs=5e-3)
