"""FLASH's unit against a dense formulation, its step times, and the exactness of the fused kernel."""

import math
from dataclasses import replace

import pytest
import torch

from experiments.attention import flash, flash_kernel, flash_live_memory, flash_step_time
from experiments.attention.flash_step_time_estimators import speedups
from repro.lab.memory import LiveStorage
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

B, T, S, E, C = 2, 12, 3, 5, 4


def dense(
    q: torch.Tensor,
    k: torch.Tensor,
    q_far: torch.Tensor,
    k_far: torch.Tensor,
    v: torch.Tensor,
    b: torch.Tensor,
    causal: bool,
) -> torch.Tensor:
    """Token by token: relu² of the pairs in one's own chunk, plain products with those outside it (before it, if causal)."""
    output = torch.zeros(B, T, E, dtype=v.dtype)
    for i in range(T):
        for j in range(T):
            if i // C == j // C and (j <= i or not causal):
                weight = torch.relu((q[:, i] * k[:, j]).sum(-1) / C + b[i % C, j % C]) ** 2
                output[:, i] += weight[:, None] * v[:, j]
            if j // C < i // C or not causal:
                output[:, i] += (q_far[:, i] * k_far[:, j]).sum(-1)[:, None] * v[:, j] / T
    return output


@pytest.mark.parametrize("causal", [True, False])
def test_mixed_chunk_attention_equals_its_dense_form(causal: bool) -> None:
    torch.manual_seed(0)
    roles = [torch.randn(B, T, S, dtype=torch.float64) for _ in range(4)]
    v, b = torch.randn(B, T, E, dtype=torch.float64), torch.randn(C, C, dtype=torch.float64)
    masked = b + torch.full_like(b, -torch.inf).triu(1) if causal else b
    mixed = flash.mixed_chunk_attention(*roles, v, masked, causal)
    torch.testing.assert_close(mixed, dense(*roles, v, b, causal), rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunks", [1, 3, 32, 48, 64, 96])
def test_sums_over_earlier_chunks_are_a_cumulative_sum(chunks: int) -> None:
    x = torch.randn(B, chunks, S, E, dtype=torch.float64)
    torch.testing.assert_close(flash.sums_before(x), x.cumsum(1) - x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk", [0, C])
@pytest.mark.parametrize("causal", [True, False])
def test_a_unit_equals_the_formulas(chunk: int, causal: bool) -> None:
    """U, V, Z, Q, K and O written out with their own matrices, and attention in the dense form."""
    torch.manual_seed(1)
    d = 6
    unit = flash.GatedAttentionUnit(d, S, T, causal, chunk).double()
    for parameter in unit.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(B, T, d, dtype=torch.float64)
    normed = torch.nn.functional.layer_norm(x, (d,), unit.norm.weight, unit.norm.bias)
    w_u, w_v, w_z = unit.inner.weight.split((2 * d, 2 * d, S))
    u, v, z = ((normed @ w.T) * torch.sigmoid(normed @ w.T) for w in (w_u, w_v, w_z))
    roles = [z * scale + offset for scale, offset in zip(unit.scale, unit.offset, strict=True)]
    length = chunk or T
    at = torch.arange(length)
    b = unit.bias[at - at[:, None] + length - 1]
    mixed = torch.zeros_like(v)
    for i in range(T):
        for j in range(T):
            near = not chunk or i // C == j // C
            if near and (j <= i or not causal):
                weight = torch.relu((roles[0][:, i] * roles[1][:, j]).sum(-1) / length + b[i % length, j % length]) ** 2
                mixed[:, i] += weight[:, None] * v[:, j]
            if chunk and (j // C < i // C or not causal):
                mixed[:, i] += (roles[2][:, i] * roles[3][:, j]).sum(-1)[:, None] * v[:, j] / T
    torch.testing.assert_close(unit(x), x + (u * mixed) @ unit.output.weight.T, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["flash", "flash_quad", "transformer", "textbook"])
def test_a_causal_model_does_not_look_ahead_and_a_masked_one_does(name: str) -> None:
    config = flash_step_time.Config(n=16, tokens=16, d=8, s=4, chunk=4)
    for causal in (True, False):
        torch.manual_seed(2)
        model = flash_step_time.model_of(name, replace(config, causal=causal))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        tokens = torch.arange(16)[None]
        changed = tokens.clone()
        changed[0, 9] = 100
        with torch.no_grad():
            same = (model(tokens) == model(changed)).all(-1)[0]
        assert bool(same[:9].all()) is causal
        # relu² is 0 for half of the pairs, so that a single later token may be untouched, though not all of them.
        assert not bool(same[9])
        assert not bool(same[10:].all())


def test_gradients_pass_the_mask_of_a_causal_unit() -> None:
    unit = flash.GatedAttentionUnit(8, S, T, causal=True)
    unit(torch.randn(B, T, 8)).square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in unit.parameters())


def test_the_models_have_equally_many_weights() -> None:
    """The bias and the scales are left out of the comparison by hand: two units have 12·d² + 2·d·s, a layer 12·d²."""
    config = flash_step_time.Config(d=192, heads=3, s=32, chunk=64)
    counts = {}
    for name in ("flash", "flash_quad", "transformer", "textbook"):
        model = flash_step_time.model_of(name, config)
        counts[name] = sum(p.numel() for p in model.parameters() if p.ndim == 2 and p.shape[0] != 1024)
    assert counts["transformer"] == counts["textbook"] == 12 * 192**2 + 256 * 192
    assert counts["flash_quad"] - counts["transformer"] == 2 * (192 * 32 + 2 * 2 * 32)
    assert counts["flash"] / counts["transformer"] == pytest.approx(1, abs=0.03)


QUICK = flash_step_time.Config(n=64, tokens=128, d=16, s=4, chunk=16, timings=1, min_loop_s=0.001)


@pytest.mark.parametrize("causal", [True, False])
def test_a_step_is_timed_for_one_sequence_and_beside_its_baseline(causal: bool) -> None:
    row = flash_step_time.run(replace(QUICK, baseline="textbook", causal=causal), Context())
    assert row["batch"] == 2
    assert 0 < row["seconds_low"] <= row["seconds"] <= row["seconds_high"]
    assert row["speedup"] == pytest.approx(row["baseline_seconds"] / row["seconds"])
    assert "speedup" not in flash_step_time.run(QUICK, Context())


def test_wrong_points_are_refused() -> None:
    with pytest.raises(ValueError, match="64 tokens of a step, and 48 does not"):
        flash_step_time.run(replace(QUICK, n=48, tokens=64), Context())
    with pytest.raises(ValueError, match="16 does not divide 40"):
        flash_step_time.run(replace(QUICK, n=40, tokens=40), Context())
    with pytest.raises(ValueError, match="textbook, not 'mamba'"):
        flash_step_time.run(replace(QUICK, model="mamba"), Context())


def test_memory_of_a_step_is_linear_for_flash_and_quadratic_for_quad() -> None:
    def peak(name: str, n: int) -> int:
        config = replace(QUICK, n=n, tokens=n)
        model, tokens = flash_step_time.model_of(name, config), torch.zeros(1, n, dtype=torch.int64)
        with LiveStorage() as live:
            model(tokens).sum().backward()
        return live.peak_bytes

    growth = {name: peak(name, 1024) / peak(name, 512) for name in ("flash", "flash_quad")}
    assert growth["flash"] == pytest.approx(2, abs=0.1)
    assert growth["flash_quad"] > 3.2


LIVE = flash_live_memory.Config(lengths=(8, 16), d=2, s=2, chunk=4, causal=False)


@pytest.mark.parametrize(
    ("model", "whole", "floats"),
    [
        # b, then V̂ within chunks, V̂ across them, and their sum: C² + 3·T·e
        ("flash", False, (16 + 3 * 8 * 4, 16 + 3 * 16 * 4)),
        # b, and the pairs before and after relu: 3·T²
        ("flash_quad", False, (3 * 8 * 8, 3 * 16 * 16)),
        # u, v and z: T·(2e + s); four roles of z: 4·T·s; then as above
        ("flash", True, (8 * 10 + 4 * 8 * 2 + 16 + 3 * 8 * 4, 16 * 10 + 4 * 16 * 2 + 16 + 3 * 16 * 4)),
        ("flash_quad", True, (8 * 10 + 2 * 8 * 2 + 3 * 8 * 8, 16 * 10 + 2 * 16 * 2 + 3 * 16 * 16)),
    ],
)
def test_live_bytes_are_those_counted_by_hand(model: str, whole: bool, floats: tuple[int, int]) -> None:
    rows = flash_live_memory.run(replace(LIVE, model=model, whole=whole), Context())
    assert [row["length"] for row in rows] == [8, 16]
    assert [row["extra_bytes"] for row in rows] == [4 * count for count in floats]
    numbers = {  # of x and the unit's weights, or of roles, values and bias, at T = 8
        ("flash", True): 8 * 2 + 2 * 2 + 10 * 2 + 2 * 4 + 2 * 4 * 2 + 7,
        ("flash_quad", True): 8 * 2 + 2 * 2 + 10 * 2 + 2 * 4 + 2 * 2 * 2 + 15,
        ("flash", False): 4 * 8 * 2 + 8 * 4 + 7,
        ("flash_quad", False): 2 * 8 * 2 + 8 * 4 + 15,
    }[model, whole]
    assert rows[0]["peak_bytes"] - rows[0]["extra_bytes"] == 4 * numbers


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("model", ["flash", "flash_quad"])
def test_shapes_alone_count_the_same_bytes_of_a_unit(model: str, backward: bool, whole: bool) -> None:
    for causal in (True, False):
        config = replace(LIVE, model=model, whole=whole, backward=backward, causal=causal, lengths=(64, 256))
        counted = flash_live_memory.run(config, Context())
        assert flash_live_memory.run(replace(config, shapes_only=True), Context()) == counted


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("backward", [True, False])
def test_memory_of_a_unit_is_linear_with_chunks_and_quadratic_without(backward: bool, whole: bool) -> None:
    """At the study's sizes, over the three octaves that are fitted."""
    config = flash_live_memory.Config(
        whole=whole, lengths=(16384, 131072), d=768, s=128, chunk=256, backward=backward, shapes_only=True
    )
    slopes = {}
    for model in ("flash", "flash_quad"):
        low, high = (row["extra_bytes"] for row in flash_live_memory.run(replace(config, model=model), Context()))
        slopes[model] = math.log2(high / low) / 3
    assert slopes["flash"] == pytest.approx(1, abs=0.005)
    assert 1.9 < slopes["flash_quad"] < 2.001


def test_wrong_units_are_refused() -> None:
    with pytest.raises(ValueError, match="flash_quad, not 'mamba'"):
        flash_live_memory.run(replace(LIVE, model="mamba"), Context())
    with pytest.raises(ValueError, match="4 does not divide 10"):
        flash_live_memory.run(replace(LIVE, lengths=(10,)), Context())


def test_speedups_are_geometric_means_by_kind() -> None:
    records = [
        make_record(i, {"speedup": value}, causal=causal)
        for i, (value, causal) in enumerate([(2.0, True), (8.0, True), (3.0, False), (3.1, False)])
    ]
    parts = speedups(records, parts={"wiki": True, "pg": True, "c4": False})
    assert parts["wiki"].value == pytest.approx(4)
    assert parts["pg"] == parts["wiki"]
    assert parts["c4"].value == pytest.approx((3.0 * 3.1) ** 0.5)
    with pytest.raises(EstimateError, match="'c4' needs trials with causal = False"):
        speedups(records[:2], parts={"c4": False})


KERNEL = flash_kernel.Config(lengths=(256, 512), window=32)


def test_the_fused_kernel_is_exact_and_linear_and_its_controls_are_not() -> None:
    rows = {
        name: flash_kernel.run(replace(KERNEL, variant=name), Context()) for name in ("fused", "textbook", "window")
    }
    assert rows["fused"]["float32"] < 4.8e-7
    assert rows["fused"]["bfloat16"] < 0.03125
    assert rows["fused"]["memory_exponent"] == pytest.approx(1)
    assert rows["fused"]["bytes_per_token"] == 2 * 64 + 4  # the output in bfloat16, and one float32 a row
    assert rows["textbook"]["memory_exponent"] > 1.9
    assert min(rows["window"]["float32"], rows["window"]["bfloat16"]) > 0.03125


def test_the_textbook_is_a_weighted_mean_of_the_values() -> None:
    torch.manual_seed(3)
    q, k, v = torch.randn(3, 20, 8, dtype=torch.float64)
    for window in (None, 4):
        output = flash_kernel.textbook(q, k, v, window)
        near = [j for j in range(20) if window is None or abs(j - 6) <= window]
        weights = torch.stack([(q[6] @ k[j] / 8**0.5).exp() for j in near])
        expected = sum(w * v[j] for w, j in zip(weights / weights.sum(), near, strict=True))
        torch.testing.assert_close(output[6], expected, rtol=0, atol=1e-12)


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match="window, not 'sparse'"):
        flash_kernel.run(replace(KERNEL, variant="sparse"), Context())
