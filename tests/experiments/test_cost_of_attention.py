"""The shared recipes of attention's cost: what is timed and counted, for every mechanism."""

from collections.abc import Callable
from dataclasses import replace
from math import log2

import pytest
import torch
from torch import nn

from experiments.attention import cost, live_memory
from experiments.attention.mechanisms import MECHANISMS, Projected, attention_of, computation_of
from experiments.attention.softmax import fused_attention, softmax_attention
from repro.lab.seeding import seed_all
from repro.lab.transformer import Layer, TransformerShape
from repro.schema.context import Context

TINY = cost.Config(
    n=32, heads=2, d_head=8, tokens=64, k=8, m=8, chunk=8, hashes=2, timings=1, min_loop_s=1e-6, warmup=1
)
BYTES = live_memory.Config(lengths=(64, 128), heads=2, d_head=8, k=16, m=16, chunk=16, hashes=2)


def inputs(n: int = 32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    seed_all("cost inputs")
    return tuple(torch.randn(2, 2, n, 8, dtype=torch.float64) for _ in range(3))


def test_softmax_attention_is_torchs() -> None:
    q, k, v = inputs()
    expected = nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(softmax_attention(q, k, v), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(fused_attention(q, k, v), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("d_ff", [0, 16])
@pytest.mark.parametrize("backward", [False, True])
def test_every_mechanism_is_timed_alone_and_in_a_layer(mechanism: str, d_ff: int, backward: bool) -> None:
    row = cost.run(replace(TINY, mechanism=mechanism, d_ff=d_ff, backward=backward), Context())
    assert 0 < row["seconds_low"] <= row["seconds"] <= row["seconds_high"]
    assert row["batch"] == 2


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("d_ff", [0, 16])
@pytest.mark.parametrize("backward", [False, True])
def test_shapes_alone_give_the_count_of_real_tensors(mechanism: str, d_ff: int, backward: bool) -> None:
    config = replace(BYTES, mechanism=mechanism, d_ff=d_ff, backward=backward)
    assert live_memory.run(replace(config, shapes_only=True), Context()) == live_memory.run(config, Context())


@pytest.mark.parametrize(
    ("mechanism", "numbers"),
    [
        ("softmax", lambda n: 2 * n * n),  # scores and probabilities
        ("linformer", lambda n: 2 * n * 16 + 2 * 16 * 8),  # the same with 16 keys; EK and FV
        ("fused", lambda n: n * 8 + n),  # the output, and one number a row
        ("linformer_fused", lambda n: n * 8 + n + 2 * 16 * 8),
    ],
)
def test_live_bytes_are_those_of_the_equation(mechanism: str, numbers: Callable[[int], int]) -> None:
    for row in live_memory.run(replace(BYTES, mechanism=mechanism), Context()):
        n = int(row["length"])
        assert row["extra_bytes"] == 2 * 4 * numbers(n)  # two heads, four bytes a number
        assert row["sequence_bytes"] == row["extra_bytes"] + 3 * 2 * 4 * n * 8
        assert row["peak_bytes"] == row["sequence_bytes"] + ("linformer" in mechanism) * 2 * 4 * 16 * n


def test_the_layer_is_the_transformers_own_with_the_mechanism_inside() -> None:
    sizes = replace(TINY, mechanism="softmax", d_ff=16)
    seed_all("layer")
    compute, (x,), weights = computation_of(sizes, 2, 32, "cpu", torch.float32, False)
    shape = TransformerShape(1, 16, 2, 16, context=32, vocabulary=1, causal=False)
    expected = Layer(shape, Projected(16, 2, fused_attention))
    for own, given in zip(expected.parameters(), weights, strict=True):
        own.data.copy_(given)
    torch.testing.assert_close(compute(), expected(x), rtol=0, atol=1e-5)


def test_gradients_reach_the_learned_projections() -> None:
    sizes = replace(TINY, mechanism="linformer")
    compute, inputs_, (E, F) = computation_of(sizes, 1, 32, "cpu", torch.float32, True)
    found = torch.autograd.grad(compute().square().sum(), (*inputs_, E, F))
    assert all(gradient.abs().sum() > 0 for gradient in found)


def test_what_is_drawn_once_depends_on_the_seed_alone() -> None:
    for mechanism in ("linformer", "performer", "lsh"):
        sizes = replace(TINY, mechanism=mechanism)
        first, again, other = (
            attention_of(replace(sizes, seed=seed), 32, "cpu", torch.float32)[1] for seed in (0, 0, 1)
        )
        assert all(map(torch.equal, first, again))
        assert not torch.equal(first[0], other[0])


def test_controls_of_the_exponents_fail_and_linformer_is_linear() -> None:
    """linformer/linear_memory: softmax attention must be seen to be quadratic."""

    def slope(mechanism: str, backward: bool) -> float:
        config = live_memory.Config(mechanism=mechanism, lengths=(8192, 65536), backward=backward, shapes_only=True)
        low, high = (row["extra_bytes"] for row in live_memory.run(config, Context()))
        return log2(high / low) / 3

    for backward in (False, True):
        assert slope("linformer", backward) == pytest.approx(1, abs=0.02)
        assert slope("softmax", backward) == pytest.approx(2, abs=0.02)


def test_unknown_mechanisms_and_lengths_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="mechanism must be one of softmax"):
        cost.run(replace(TINY, mechanism="softmex"), Context())
    with pytest.raises(ValueError, match="must divide the 64 tokens"):
        cost.run(replace(TINY, n=48), Context())
