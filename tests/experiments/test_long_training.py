"""The long run: sizes and budgets of its study, two shrunken steps as on a GPU, and what the control turns round."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from experiments.language_models.long_training import Config, cost, processes, run, shape_of, steps_of
from repro.catalog.load import load_study
from repro.lab.gpt import GPT
from repro.schema.context import Context

SCALES = ("smoke", "cpu", "gpu", "paper")


def arms(scale: str, **more: Any) -> tuple[Config, Config]:
    study = load_study("language_models/head_to_head")
    delta = study.scales[scale]
    design = delta.design or study.design
    assert design.cells is not None
    given = [Config(**{**study.params, **delta.params, **cell, **more}) for cell in design.cells]
    predicted, oversized = given
    return predicted, oversized


def test_the_paper_scale_is_the_papers_two_models() -> None:
    predicted, oversized = arms("paper")
    assert shape_of(predicted).parameters == pytest.approx(2.80e9, rel=0.015)
    assert shape_of(oversized).parameters == pytest.approx(4.74e9, rel=0.005)
    with torch.device("meta"):
        for config in (predicted, oversized):
            model = GPT(shape_of(config), torch.empty(1, shape_of(config).parameters))
            assert model(torch.zeros(1, 1, 4, dtype=torch.int64)).shape == (1, 1, 4, 32_000)


@pytest.mark.parametrize("scale", SCALES)
def test_both_arms_cost_the_same_and_the_controls_read_the_same(scale: str) -> None:
    predicted, oversized = arms(scale)
    assert cost(predicted) == pytest.approx(predicted.flops, rel=0.02)
    assert cost(oversized) == pytest.approx(oversized.flops, rel=0.02)
    assert (predicted.model, oversized.model) == ("predicted", "oversized")
    assert predicted.batch % processes(predicted) == 0
    turned = arms(scale, equal="tokens")
    assert steps_of(turned[0]) == steps_of(turned[1])
    assert cost(turned[1]) > 1.5 * cost(turned[0])
    if scale != "smoke":
        assert steps_of(turned[0]) == pytest.approx(steps_of(predicted), rel=0.01)


def test_two_shrunken_steps_of_the_gpu_scale_run_in_bfloat16() -> None:
    predicted, _ = arms("gpu")
    small = replace(
        predicted, source="synthetic:1e4", n_layer=1, d_model=32, context=16, batch=4, micro_batch=3, equal="tokens",
        tokens=128.0, compile=False, eval_tokens=64,
    )  # fmt: skip
    row, exact = run(small, Context(precision="bfloat16")), run(small, Context())
    assert row["tokens"] == 128.0
    assert row["loss"] == pytest.approx(exact["loss"], abs=0.05)
    assert row["loss"] != exact["loss"]


def test_a_run_repeats_itself_and_hangs_on_its_seed() -> None:
    small = Config(source="synthetic:1e4", vocabulary=32, context=16, flops=3e7)
    assert run(small, Context()) == run(small, Context())
    assert run(replace(small, seed=1), Context()) != run(small, Context())
    with pytest.raises(ValueError, match="equal must be flops or tokens, not 'steps'"):
        run(replace(small, equal="steps"), Context())
