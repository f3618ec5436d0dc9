"""Linformer's mechanism, the recipe of its quality, and its printed table."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from experiments.attention import linformer_quality, linformer_table3
from experiments.attention.linformer import LinformerAttention, fused_linformer_attention, linformer_attention
from repro.lab.seeding import generator, seed_all
from repro.lab.transformer import MultiHeadAttention, Transformer, TransformerShape
from repro.schema.context import Context

TINY = linformer_quality.Config(
    fold=4, n=16, n_layer=1, d_model=16, n_head=2, d_ff=16, batch=4, steps=3, warmup=1, eval_tokens=256
)


def inputs(n: int = 12, d: int = 8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    seed_all("linformer inputs")
    return tuple(torch.randn(2, 3, n, d, dtype=torch.float64) for _ in range(3))


def test_linformer_attention_is_equation_7_row_by_row() -> None:
    q, k, v = inputs()
    E, projection = torch.randn(2, 5, 12, dtype=torch.float64)
    output = linformer_attention(q, k, v, E, projection)
    for b, h, i in [(0, 0, 0), (1, 2, 11)]:
        keys = [sum(E[j, t] * k[b, h, t] for t in range(12)) for j in range(5)]
        values = [sum(projection[j, t] * v[b, h, t] for t in range(12)) for j in range(5)]
        weights = np.exp([(q[b, h, i] @ key).item() / 8**0.5 for key in keys])
        expected = sum(w * value for w, value in zip(weights / weights.sum(), values, strict=True))
        torch.testing.assert_close(output[b, h, i], expected, rtol=0, atol=1e-12)


def test_the_fused_form_is_the_same_function_with_the_same_gradients() -> None:
    q, k, v = (x.requires_grad_() for x in inputs())
    E, projection = (x.requires_grad_() for x in torch.randn(2, 5, 12, dtype=torch.float64).unbind())
    both = [f(q, k, v, E, projection) for f in (linformer_attention, fused_linformer_attention)]
    torch.testing.assert_close(*both, rtol=0, atol=1e-12)
    of = (q, k, v, E, projection)
    for plain, fused in zip(*(torch.autograd.grad(y.square().sum(), of) for y in both), strict=True):
        torch.testing.assert_close(plain, fused, rtol=0, atol=1e-10)


def test_with_identity_projections_it_is_softmax_attention() -> None:
    q, k, v = inputs()
    eye = torch.eye(12, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(linformer_attention(q, k, v, eye, eye), expected, rtol=0, atol=1e-12)


def test_one_projected_row_mixes_all_values_alike() -> None:
    q, k, v = inputs()
    E, projection = torch.randn(2, 1, 12, dtype=torch.float64)
    output = linformer_attention(q, k, v, E, projection)
    torch.testing.assert_close(output, (projection @ v).expand_as(output), rtol=0, atol=1e-12)


def test_the_module_with_identity_projections_is_multi_head_attention() -> None:
    shape = TransformerShape(n_layer=1, d_model=16, n_head=4, d_ff=16, context=6, vocabulary=5, causal=False)
    seed_all("module")
    ours, torchs = LinformerAttention(16, 4, n=6, k=6), MultiHeadAttention(shape)
    ours.query_key_value.load_state_dict(torchs.query_key_value.state_dict())
    ours.output.load_state_dict(torchs.output.state_dict())
    with torch.no_grad():
        ours.E.copy_(torch.eye(6))
        ours.F.copy_(torch.eye(6))
    x = torch.randn(2, 6, 16)
    torch.testing.assert_close(ours(x), torchs(x), rtol=0, atol=1e-5)


def test_the_module_serves_as_the_attention_of_a_transformer() -> None:
    shape = TransformerShape(n_layer=2, d_model=16, n_head=2, d_ff=16, context=8, vocabulary=5, causal=False)
    model = Transformer(shape, lambda: LinformerAttention(16, 2, n=8, k=2))
    assert model(torch.zeros(3, 8, dtype=torch.long)).shape == (3, 8, 5)
    assert sum(p.numel() for p in model.layers[0].attention.parameters()) == 4 * 16 * 16 + 2 * 2 * 8


@pytest.mark.parametrize(("fold", "k"), [(0, 0), (4, 4)])
def test_a_trial_of_masked_language_modelling_is_repeatable(fold: int, k: int) -> None:
    config = replace(TINY, fold=fold)
    first, again = (linformer_quality.run(config, Context()) for _ in range(2))
    assert first == again
    assert 3.0 < first["loss"] < 9.0
    assert first["flops"] == linformer_quality.cost(config)
    assert first["parameters"] == 257 * 16 + 4 * 16 * 16 + 2 * 16 * 16 + 16 + 16 + 3 * 2 * 16 + (2 * k * 16)


def test_a_masked_token_is_not_seen() -> None:
    seed_all("masked")
    model = linformer_quality.build(TINY)
    text = torch.randint(256, (2, 16))
    positions = linformer_quality.chosen(2, TINY, generator("positions"))
    assert positions.shape == (2, 2)
    assert all(len(set(row)) == 2 for row in positions.tolist())
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    loss = linformer_quality.masked_loss(model, text, positions)
    linformer_quality.masked_loss(model, text.scatter(1, positions, 7), positions)
    assert torch.equal(*seen)
    logits = model(text.scatter(1, positions, linformer_quality.MASK))
    dense = F.cross_entropy(logits.transpose(1, 2), text, reduction="none").gather(1, positions).mean()
    torch.testing.assert_close(loss, dense)


def test_the_cost_counts_the_products_of_a_trial() -> None:
    for fold in (0, 4):
        config = replace(TINY, fold=fold, eval_tokens=0)
        model = linformer_quality.build(config)
        positions = linformer_quality.chosen(4, config, generator("positions"))
        # torch's counter knows the products of the textbook formula, not those of the CPU's fused kernel.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            linformer_quality.masked_loss(model, torch.zeros(4, 16, dtype=torch.long), positions)
        counted = counter.get_total_flops() * 3 * config.steps
        exact = replace(config, masked=positions.shape[1] / config.n)
        assert linformer_quality.cost(exact) == pytest.approx(counted)


def test_the_printed_table_is_read_cell_by_cell() -> None:
    measured = linformer_table3.run(linformer_table3.Config(), Context())
    assert measured["memory_ties"] == 2  # 56, 56 at k = 128 and 48, 48 at k = 256
    assert measured["time_falls_in_n"] == measured["memory_rises_in_k"] == 0
    x = np.log([8192, 16384, 32768, 65536])
    y = np.log([5.5, 8.6, 13, 20])
    assert measured["time_exponent"] == pytest.approx(((x - x.mean()) @ (y - y.mean())) / ((x - x.mean()) ** 2).sum())
    assert all(len(row) == 8 for table in (linformer_table3.TIME, linformer_table3.MEMORY) for row in table.values())


def test_the_controls_of_the_printed_table_fail() -> None:
    lengths = linformer_table3.run(linformer_table3.Config(reverse_lengths=True), Context())
    columns = linformer_table3.run(linformer_table3.Config(reverse_k=True), Context())
    assert lengths["time_falls_in_n"] > 20
    assert lengths["time_exponent"] < 0
    assert columns["memory_rises_in_k"] > 20
