import math
import runpy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import hyp1f1
from torch.nn import functional as F

from experiments.attention import kernel_error
from experiments.attention.kernel_error import Config, directions, lemma_2, pairs, run, theorem_2
from experiments.attention.kernel_error_estimators import error_decay, mean_by_row
from experiments.attention.performer import (
    PerformerAttention,
    causal_performer_attention,
    gaussian_features,
    orthogonal_features,
    performer_attention,
    positive_features,
    trigonometric_features,
)
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def queries_keys_values(n: int = 50, d: int = 8) -> tuple[torch.Tensor, ...]:
    return normal(2, 3, n, d, seed=1), normal(2, 3, n, d, seed=2), normal(2, 3, n, d, seed=3)


def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, omega: torch.Tensor, causal: bool) -> torch.Tensor:
    """The kernel's n² estimates as one matrix, each row divided by its sum."""
    d = q.shape[-1]
    rows = positive_features(q * d**-0.25, omega) @ positive_features(k * d**-0.25, omega).mT
    rows = rows.tril() if causal else rows
    return rows / rows.sum(-1, keepdim=True) @ v


@pytest.mark.parametrize("d", [4, 16])
@pytest.mark.parametrize("m", [3, 16, 40])
def test_orthogonal_directions(m: int, d: int) -> None:
    omega = orthogonal_features(m, d, generator()).double()
    assert omega.shape == (m, d)
    for block in omega.split(d):
        overlaps = block @ block.mT
        assert torch.allclose(overlaps, overlaps.diagonal().diag(), atol=1e-5 * d)


def test_one_orthogonal_direction_alone_is_gaussian() -> None:
    omega = orthogonal_features(40_000, 4, generator()).double()
    moments = omega.mean(0), omega.T @ omega / len(omega), (omega**4).mean(0)
    assert torch.allclose(moments[0], torch.zeros(4, dtype=torch.float64), atol=0.02)
    assert torch.allclose(moments[1], torch.eye(4, dtype=torch.float64), atol=0.03)
    assert torch.allclose(moments[2], torch.full((4,), 3.0, dtype=torch.float64), atol=0.2)


def test_features_by_hand() -> None:
    x, omega = torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    size = math.exp(-(0.25 + 1) / 2) / math.sqrt(2)
    assert positive_features(x, omega)[0].tolist() == pytest.approx([math.exp(-1.5) * size, math.exp(-1) * size])
    size = math.exp((0.25 + 1) / 2) / math.sqrt(2)
    expected = [math.cos(-1.5), math.cos(-1), math.sin(-1.5), math.sin(-1)]
    assert trigonometric_features(x, omega)[0].tolist() == pytest.approx([size * value for value in expected])


def test_the_mean_of_many_features_is_the_kernel() -> None:
    x, y = normal(5, 1, 4, seed=1) * 0.4, normal(6, 4, seed=2) * 0.4
    omega = gaussian_features(400_000, 4, generator()).double()
    for features, mse in zip((positive_features, trigonometric_features), lemma_2(x, y, 400_000), strict=True):
        off = (features(x, omega) @ features(y, omega).mT).squeeze(1) - torch.exp((x * y).sum(-1))
        assert (off.abs() < 5 * mse.sqrt()).all()


def test_attention_is_that_of_the_dense_kernel() -> None:
    q, k, v = queries_keys_values()
    omega = orthogonal_features(12, 8, generator()).double()
    assert torch.allclose(performer_attention(q, k, v, omega), dense(q, k, v, omega, causal=False), atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 8, 50, 64])
def test_causal_attention_is_that_of_the_masked_kernel(chunk: int) -> None:
    q, k, v = queries_keys_values()
    omega = orthogonal_features(12, 8, generator()).double()
    found = causal_performer_attention(q, k, v, omega, chunk=chunk)
    assert torch.allclose(found, dense(q, k, v, omega, causal=True), atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_are_those_of_the_dense_kernel(causal: bool) -> None:
    inputs = [tensor.requires_grad_() for tensor in queries_keys_values(n=10)]
    omega = orthogonal_features(12, 8, generator()).double()
    found = (causal_performer_attention if causal else performer_attention)(*inputs, omega)
    weights = normal(*found.shape, seed=4)
    for ours, reference in zip(
        torch.autograd.grad((found * weights).sum(), inputs),
        torch.autograd.grad((dense(*inputs, omega, causal) * weights).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(ours, reference, atol=1e-10)


def test_more_features_come_nearer_to_softmax_attention() -> None:
    q, k, v = (tensor * 0.5 for tensor in queries_keys_values())
    softmax = F.scaled_dot_product_attention(q, k, v)

    def off(m: int) -> float:
        omega = orthogonal_features(m, 8, generator()).double()
        return float((performer_attention(q, k, v, omega) - softmax).norm() / softmax.norm())

    assert off(20_000) < 0.1
    assert 4 < off(200) / off(20_000) < 25  # √100, were there no noise in either


def test_long_vectors_do_not_overflow() -> None:
    q, k, v = (tensor.float() * 40 for tensor in queries_keys_values())
    assert performer_attention(q, k, v, orthogonal_features(32, 8, generator())).isfinite().all()


@pytest.mark.parametrize("causal", [False, True])
def test_the_module_serves_a_transformer(causal: bool) -> None:
    torch.manual_seed(0)
    shape = TransformerShape(n_layer=2, d_model=16, n_head=2, d_ff=32, context=20, vocabulary=11, causal=causal)
    model = Transformer(shape, attention=lambda: PerformerAttention(16, 2, m=8, causal=causal))
    tokens = torch.arange(40).reshape(2, 20) % 11
    logits = model(tokens)
    F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    changed = tokens.clone()
    changed[:, -1] = 5
    same = torch.isclose(model(changed)[:, :-1], logits[:, :-1], atol=1e-6).all()
    assert bool(same) == causal


def test_the_module_wants_heads_that_divide_the_width() -> None:
    with pytest.raises(ValueError, match="multiple of n_head"):
        PerformerAttention(10, 3, m=8, causal=False)


SMALL = Config(m=(8, 16), draws=2000, blocks="orthogonal")


def test_pairs_have_the_lengths_and_angles_asked_for() -> None:
    x, y = pairs(SMALL, generator())
    assert x.norm(dim=-1).tolist() == pytest.approx(SMALL.norm_x)
    assert y.norm(dim=-1).tolist() == pytest.approx(SMALL.norm_y)
    cosines = (x * y).sum(-1) / x.norm(dim=-1) / y.norm(dim=-1)
    assert cosines.tolist() == pytest.approx([math.cos(math.radians(angle)) for angle in SMALL.angle])


def test_lemma_2_is_the_variance_of_one_feature_over_m() -> None:
    """By quadrature over the one Gaussian number that each estimator depends on, in place of the paper's algebra."""
    x, y = torch.tensor([0.3, 0.4], dtype=torch.float64), torch.tensor([-0.2, 0.7], dtype=torch.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    sizes = float(x @ x + y @ y) / 2
    for values, found in zip(
        (
            np.exp(float((x + y).norm()) * nodes - sizes),
            np.cos(float((x - y).norm()) * nodes) * math.exp(sizes),
        ),
        lemma_2(x, y, m=5),
        strict=True,
    ):
        mean = (weights * values).sum()
        assert mean == pytest.approx(math.exp(float(x @ y)))
        assert float(found) == pytest.approx((weights * (values - mean) ** 2).sum() / 5)


def exact_orthogonal_gain(x: torch.Tensor, y: torch.Tensor, m: int) -> torch.Tensor:
    """MSE⁺ of independent minus that of orthogonal directions, from a series that the paper does not have.

    For orthogonal ω₁, ω₂ the sum ω₁ + ω₂ points anywhere alike and its square is χ² with 2d degrees of freedom, so
    E exp(u·(ω₁ + ω₂)) = ₁F₁(d; d/2; ‖u‖²/2), against exp(‖u‖²) for independent ones; m(m − 1) of the m² products gain.
    """
    d, s = x.shape[-1], (x + y).square().sum(-1)
    series = torch.from_numpy(np.asarray(hyp1f1(d, d / 2, (s / 2).numpy())))
    return (m - 1) / m * torch.exp(-x.square().sum(-1) - y.square().sum(-1)) * (torch.exp(s) - series)


def test_theorem_2_is_below_the_exact_gain_and_meets_it_for_short_sums() -> None:
    config = Config(norm_x=(0.5, 1.0, 1.0, 0.05), norm_y=(0.5, 1.0, 1.0, 0.05), angle=(90.0, 120.0, 60.0, 90.0))
    x, y = pairs(config, generator())
    for m in (2, 8, 16):
        ratio = exact_orthogonal_gain(x, y, m) / theorem_2(x, y, m)
        assert (ratio >= 1).all()
        assert ratio[:2].tolist() == pytest.approx([1.2130, 1.4528], abs=1e-3)
        assert float(ratio[3]) == pytest.approx(1, abs=0.01)


def test_measured_errors_are_the_closed_forms() -> None:
    config = replace(SMALL, m=(16,), draws=100_000, seed=1000)
    x, y = pairs(config, generator(1000))
    gain = exact_orthogonal_gain(x, y, 16)
    for row in run(config, Context()):
        assert row["positive_over_lemma"] == pytest.approx(1, abs=0.08)
        assert row["trigonometric_over_lemma"] == pytest.approx(1, abs=0.05)
        expected = float(lemma_2(x, y, 16)[0][int(row["pair"])] - gain[int(row["pair"])])
        assert row["blocks_mse"] == pytest.approx(expected, rel=0.08)
        assert abs(row["positive_bias"]) + abs(row["blocks_bias"]) < 0.02


def test_rows_of_a_trial() -> None:
    rows = run(SMALL, Context())
    assert [(row["m"], row["pair"]) for row in rows] == [(m, pair) for m in (8, 16) for pair in range(4)]
    assert rows[0]["kernel"] == pytest.approx(math.exp(0.5 * 0.5 * 0.5))
    assert rows == run(SMALL, Context())
    assert rows != run(replace(SMALL, seed=1), Context())
    assert "over_theorem" not in run(replace(SMALL, m=(32,)), Context())[0]


def test_directions_of_the_controls() -> None:
    shared = directions("shared", 5, 8, 4, generator())
    assert shared.shape == (5, 8, 4)
    assert (shared == shared[:, :1]).all()
    parallel = directions("parallel", 4, 8, 4, generator())
    units = F.normalize(parallel, dim=-1)
    assert torch.allclose((units[:, :4] @ units[:, :4].mT), torch.ones(4, 4, 4), atol=1e-5)
    assert (parallel.norm(dim=-1).std(-1) > 0.1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"angle": (60.0,)}, "one entry a pair"),
        ({"directions": "random"}, "not 'random'"),
        ({"m": (12,)}, "must divide"),
    ],
)
def test_wrong_configs_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(replace(SMALL, **changes), Context())  # type: ignore[arg-type]


def test_controls_fail() -> None:
    def rows(**changes: object) -> list[dict[str, float]]:
        return run(replace(SMALL, seed=1000, **changes), Context())  # type: ignore[arg-type]

    assert min(row["positive_over_lemma"] for row in rows(directions="shared")) > 4
    assert max(row["trigonometric_over_lemma"] for row in rows(directions="orthogonal") if row["m"] == 16) < 0.8
    assert max(row["log_gain"] for row in rows(blocks="parallel")) < -1
    for row in rows(norm_factor=False):
        assert min(abs(row[f"{name}_bias"]) for name in ("positive", "trigonometric", "blocks")) > 0.15
    assert max(row["log_advantage"] for row in rows(angle=(15.0,) * 4)) < -2


def test_error_decay_is_a_slope_in_logs() -> None:
    def record(seed: int, slope: float):
        return make_record(seed, *({"m": m, "mse": 3 * m**slope} for m in (16.0, 64.0, 256.0)))

    found = error_decay([record(seed, -1 + 0.1 * (seed - 1)) for seed in range(3)], columns={"value": "mse"})["value"]
    assert (found.value, found.n) == (pytest.approx(-1), 3)
    assert found.se == pytest.approx(0.1 / math.sqrt(3))
    with pytest.raises(EstimateError, match="two different m"):
        error_decay([make_record(0, {"m": 16.0, "mse": 1.0})], columns={"value": "mse"})


def test_mean_by_row_names_rows_and_leaves_others_out() -> None:
    def record(seed: int):
        return make_record(
            seed, *({"m": m, "pair": pair, "bias": 10 * m + pair + seed} for m in (8.0, 16.0) for pair in (0.0, 1.0))
        )

    records = [record(seed) for seed in range(3)]
    found = mean_by_row(records, columns={"b": "bias"}, by=["m", "pair"])
    assert {name: estimate.value for name, estimate in found.items()} == {
        "b_m8_pair0": 81,
        "b_m8_pair1": 82,
        "b_m16_pair0": 161,
        "b_m16_pair1": 162,
    }
    assert list(mean_by_row(records, columns={"b": "bias"}, by=["pair"], where={"m": 16})) == ["b_pair0", "b_pair1"]
    with pytest.raises(EstimateError, match="apart"):
        mean_by_row(records, columns={"b": "bias"}, by=["pair"])
    with pytest.raises(EstimateError, match="none is left"):
        mean_by_row(records, columns={"b": "bias"}, by=["pair"], where={"m": 4})


def test_the_recipe_runs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(kernel_error.__file__), run_name="__main__")
    assert capsys.readouterr().out.count("over_theorem") == 4
