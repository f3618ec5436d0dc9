"""GPT-J: compute, parameters and printed scores, each against another way to count."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from experiments.language_models import gptj_compute, gptj_parameters, gptj_parity
from repro.schema.context import Context

PRINTED = 6_053_381_344


def shapes_of_one_shard(L: int, d: int, f: int, V: int, S: int) -> list[tuple[int, ...]]:
    """Every array that one of S shards holds, written out by hand."""
    block = [(d,), (d,)]  # layer norm
    block += [(d, d // S)] * 3 + [(d // S, d)]  # attention, no biases
    block += [(d, f // S), (f // S,), (f // S, d), (d,)]  # feed-forward; its second bias is as wide as the model
    return [(V // S, d), (d,)] + L * block + [(d,), (d,), (d, V // S), (V // S,)]


def test_the_printed_integer_is_what_eight_shards_hold() -> None:
    total = 8 * sum(math.prod(shape) for shape in shapes_of_one_shard(28, 4096, 16_384, 50_400, 8))
    row = gptj_parameters.run(gptj_parameters.Config(), Context())
    assert total == row["over_shards"] == PRINTED
    assert row["vocabulary_50400_difference"] == -(7 * (28 * 3 + 2) * 4096 + 8 * 4096)


def test_the_count_is_that_of_another_implementation() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPTJConfig(
        vocab_size=50_400, n_positions=2048, n_embd=4096, n_layer=28, n_head=16, rotary_dim=64
    )
    with torch.device("meta"):
        model = transformers.GPTJForCausalLM(config)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert total == gptj_parameters.run(gptj_parameters.Config(), Context())["vocabulary_50400"]


def test_a_tied_head_and_a_single_shard_miss_the_printed_integer() -> None:
    tied = gptj_parameters.run(gptj_parameters.Config(tied=True), Context())
    assert all(tied[part] < 0.999 * PRINTED for part in ("vocabulary_50257", "vocabulary_50400", "over_shards"))
    single = gptj_parameters.run(gptj_parameters.Config(shards=1), Context())
    assert single["over_shards"] - single["vocabulary_50400"] == 4096  # the embedding's bias alone


def test_compute_by_hand() -> None:
    row = gptj_compute.run(gptj_compute.Config(), Context())
    assert row["flops_gptj"] == pytest.approx(1.46007e22, rel=1e-4)
    assert row["flops_gpt_neo_2_7b"] == pytest.approx(6.678e21)
    assert row["tokens_gptj"] == 383_500 * 2**20
    forward = gptj_compute.run(replace(gptj_compute.Config(), flops_per_parameter_token=2.0), Context())
    assert forward["ratio_gptj"] == pytest.approx(row["ratio_gptj"] / 3)


def test_the_standard_error_is_that_of_simulated_answers() -> None:
    n, rng = 1838, np.random.default_rng(6)
    drawn = (rng.binomial(n, 0.765, 20_000) - rng.binomial(n, 0.78, 20_000)) * 100 / n
    row = gptj_parity.run(gptj_parity.Config(), Context())
    assert row["piqa_se"] == pytest.approx(drawn.std(), rel=0.03)
    assert row["piqa_z"] == pytest.approx(-1.5 / row["piqa_se"])


@given(st.floats(1, 99), st.floats(1, 99), st.integers(10, 10_000))
def test_the_standard_error_falls_as_one_over_the_root_of_the_questions(p1: float, p2: float, n: int) -> None:
    assert gptj_parity.standard_error(p1, p2, 4 * n) == pytest.approx(gptj_parity.standard_error(p1, p2, n) / 2)


def test_a_smaller_model_is_not_on_par() -> None:
    for reference in ("gpt3_6_7b", "gpt3_curie"):
        row = gptj_parity.run(gptj_parity.Config(model="gpt_neo_2_7b", reference=reference), Context())
        assert all(row[task] < -4 for task in gptj_parity.QUESTIONS)
