"""Every convention against literals worked out by hand, the lab's exact counts, and torch's own counters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from repro.lab.counting import CONVENTIONS, PARAMETERS
from repro.lab.flops import forward_flops, training_flops
from repro.lab.gpt import GPT, GPTShape
from repro.lab.parameters import attention_parameters, feed_forward_parameters

TIED = GPTShape(n_layer=2, d_model=16, d_head=8, context=64, vocabulary=256)
UNTIED = GPTShape(n_layer=3, d_model=32, d_head=16, context=8, vocabulary=100, tied=False, positions="learned")

SHAPES = st.builds(
    lambda n_layer, heads, half, context, vocabulary, tied, positions: GPTShape(
        n_layer, heads * 2 * half, 2 * half, context, vocabulary, tied, positions
    ),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 20),
    st.integers(1, 500),
    st.integers(1, 2000),
    st.booleans(),
    st.sampled_from(["rotary", "learned"]),
)


def on_meta(shape: GPTShape) -> GPT:
    return GPT(shape, torch.empty(1, shape.parameters, device="meta"))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        # V·d = 4,096; 12·L·d² = 6,144; five gains of 16.
        (
            TIED,
            {
                "total": 4_096 + 6_144 + 80,
                "non_embedding": 6_144 + 80,
                "with_head": 6_144 + 80 + 4_096,
                "with_embedding": 6_144 + 80 + 4_096,
                "block_matrices": 6_144,
                "matrices": 6_144 + 4_096,
            },
        ),
        # V·d = 3,200 twice; S·d = 256; 12·L·d² = 36,864; seven gains of 32.
        (
            UNTIED,
            {
                "total": 2 * 3_200 + 256 + 36_864 + 224,
                "non_embedding": 36_864 + 224,
                "with_head": 36_864 + 224 + 3_200,
                "with_embedding": 36_864 + 224 + 3_200 + 256,
                "block_matrices": 36_864,
                "matrices": 36_864 + 3_200,
            },
        ),
    ],
)
def test_parameters_on_literals(shape: GPTShape, expected: dict[str, int]) -> None:
    assert {name: count(shape) for name, count in PARAMETERS.items()} == expected


def test_flops_on_literals() -> None:
    # L·S·d = 2·64·16 = 2,048; forward, attention's two products cost 4 of these over all pairs.
    assert {name: count(TIED) for name, count in CONVENTIONS.items()} == {
        "six_total": 6 * 10_320,
        "six_non_embedding": 6 * 6_224,
        "six_with_head": 6 * 10_320,
        "six_block_matrices": 6 * 6_144,
        "block_matrices_causal_attention": 6 * 6_144 + 6 * 2_048,
        "matrices": 6 * 10_240,
        "matrices_causal_attention": 6 * 10_240 + 6 * 2_048,
        "matrices_full_attention": 6 * 10_240 + 12 * 2_048,
        "total_full_attention": 6 * 10_320 + 12 * 2_048,
        "exact_causal": 6 * 10_240 + 6 * 2_048 + 6 * 2 * 16,  # the diagonal
        "everything": 6 * 10_240 + 12 * 2_048 + 6 * 4_096 + 3 * 3 * 2 * 64 * 2,  # three a score and head, three passes
    }


def test_the_names_of_parameters_are_the_columns_that_sweeps_read() -> None:
    from repro.stats.scaling_laws import Counting

    for words in ("embedding+head", "embedding", "head", "none"):
        assert Counting.of(words).params_column.removeprefix("params_") in PARAMETERS


@settings(deadline=None)
@given(SHAPES)
def test_parameters_are_those_of_the_tensors(shape: GPTShape) -> None:
    sizes = {name: weight.numel() for name, weight in on_meta(shape).weights().items()}
    head = sizes["embedding" if shape.tied else "head"]
    blocks = sum(size for name, size in sizes.items() if name not in ("embedding", "positions", "head"))
    assert PARAMETERS["total"](shape) == sum(sizes.values())
    assert PARAMETERS["non_embedding"](shape) == blocks
    assert PARAMETERS["with_head"](shape) == blocks + head
    assert PARAMETERS["with_embedding"](shape) == sum(sizes.values()) - sizes.get("head", 0)


@settings(deadline=None)
@given(SHAPES)
def test_block_matrices_are_those_of_the_exact_count(shape: GPTShape) -> None:
    d = shape.d_model
    layer = attention_parameters(d, d, biases=False) + feed_forward_parameters(d, 4 * d, biases=False)
    assert PARAMETERS["block_matrices"](shape) == shape.n_layer * layer


@pytest.mark.parametrize("shape", [TIED, UNTIED])
def test_torch_counts_the_products_of_a_training_step(shape: GPTShape) -> None:
    model, tokens = on_meta(shape), torch.zeros(1, 2, shape.context, dtype=torch.int64, device="meta")
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(tokens, tokens).sum().backward()
    assert counter.get_total_flops() == tokens.numel() * CONVENTIONS["matrices_full_attention"](shape)


@settings(deadline=None)
@given(SHAPES)
def test_flops_are_those_of_the_exact_count(shape: GPTShape) -> None:
    def exact(pairs: str, **others: object) -> float:
        sizes = {"n_layer": shape.n_layer, "d_model": shape.d_model, "d_ff": 4 * shape.d_model}
        sizes |= {"n_head": shape.d_model // shape.d_head, "d_head": shape.d_head, "length": shape.context}
        choices = {"vocabulary": shape.vocabulary, "embedding_product": False, "logits": True, "softmax_per_score": 0}
        forward = forward_flops(**sizes, **(choices | others), pairs=pairs)
        return training_flops(forward.total) / shape.context

    diagonal = 6 * shape.n_layer * shape.d_model
    for name, expected in {
        "matrices": exact("none"),
        "six_block_matrices": exact("none", logits=False),
        "block_matrices_causal_attention": exact("causal", logits=False) - diagonal,
        "matrices_causal_attention": exact("causal") - diagonal,
        "exact_causal": exact("causal"),
        "matrices_full_attention": exact("full"),
        "everything": exact("full", embedding_product=True, softmax_per_score=3),
    }.items():
        assert CONVENTIONS[name](shape) == pytest.approx(expected, rel=1e-12), name


@settings(deadline=None)
@given(SHAPES)
def test_what_counts_more_is_never_less(shape: GPTShape) -> None:
    chains = [
        ("six_block_matrices", "six_non_embedding", "six_with_head", "six_total", "total_full_attention"),
        ("matrices", "matrices_causal_attention", "exact_causal", "matrices_full_attention", "everything"),
        ("six_block_matrices", "block_matrices_causal_attention", "matrices_causal_attention"),
    ]
    for chain in chains:
        counts = [CONVENTIONS[name](shape) for name in chain]
        assert counts == sorted(counts)
