"""8-bit products against 64-bit arithmetic and literals, the planted outliers, and the count of bytes."""

from dataclasses import replace

import pytest
import torch

from experiments.quantization import int8_outliers, weight_memory
from experiments.quantization.absmax import (
    absmax,
    int8_product,
    mixed,
    outlier_features,
    row_wise,
    set_apart,
    tensor_wise,
    vector_wise,
)
from experiments.quantization.int8_outliers import Config, draw, run
from repro.schema.context import Context

SMALL = Config(n=64, k=512, m=64, magnitudes=(6.0, 60.0), counts=(1, 20))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def integers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(-127, 128, shape, dtype=torch.int8, generator=torch.Generator().manual_seed(seed))


def test_absmax_of_literals() -> None:
    x = torch.tensor([[1.0, -2.0], [0.5, 127.0]])
    q, scale = absmax(x)
    assert (q.dtype, q.tolist(), scale.item()) == (
        torch.int8,
        [[1, -2], [0, 127]],
        1.0,
    )  # 0.5 goes to the even neighbour
    q, scale = absmax(x, 1)
    assert q.tolist() == [[64, -127], [0, 127]]  # 63.5 likewise; 0.5
    assert scale.flatten().tolist() == pytest.approx([2 / 127, 1.0])
    q, scale = absmax(x, 0)
    assert q.tolist() == [[127, -2], [64, 127]]
    assert scale.flatten().tolist() == pytest.approx([1 / 127, 1.0])


def test_zeros_stay_zeros() -> None:
    q, scale = absmax(torch.zeros(2, 3), 1)
    assert q.abs().sum() == 0
    assert torch.isfinite(scale).all()
    assert scale.min() > 0


@pytest.mark.parametrize("shape", [(1, 3, 2), (17, 512, 9), (40, 4096, 8)])
def test_integer_product_is_exact(shape: tuple[int, int, int]) -> None:
    n, k, m = shape
    a, b = integers(n, k, seed=1), integers(k, m, seed=2)
    product = int8_product(a, b)
    assert product.dtype == torch.int32
    assert torch.equal(product.long(), a.long() @ b.long())


def test_thirty_two_bits_hold_the_largest_sum() -> None:
    k = 133_144
    ones = torch.full((1, k), 127, dtype=torch.int8)
    assert int8_product(ones, ones.T).item() == 127 * 127 * k < 2**31 <= 127 * 127 * (k + 1)


@pytest.mark.parametrize(
    ("product", "along_x", "along_w"),
    [(tensor_wise, None, None), (row_wise, 1, None), (vector_wise, 1, 0)],
)
def test_products_are_those_of_rounded_matrices(product, along_x, along_w) -> None:  # type: ignore[no-untyped-def]
    x, w = normal(20, 64, seed=3), normal(64, 16, seed=4)

    def rounded(matrix: torch.Tensor, dim: int | None) -> torch.Tensor:
        matrix = matrix.double()
        largest = matrix.abs().amax() if dim is None else matrix.abs().amax(dim, keepdim=True)
        return (matrix * 127 / largest).round() * largest / 127

    assert torch.allclose(product(x, w).double(), rounded(x, along_x) @ rounded(w, along_w), rtol=1e-5, atol=1e-5)


def test_finer_scales_are_closer() -> None:
    x, w = (
        normal(200, 256, seed=5) * normal(200, 1, seed=6).exp(),
        normal(256, 64, seed=7) * normal(1, 64, seed=8).exp(),
    )
    exact = x.double() @ w.double()
    errors = [(product(x, w) - exact).square().mean().item() for product in (tensor_wise, row_wise, vector_wise)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_outliers_are_columns_that_reach_the_threshold() -> None:
    x = torch.tensor([[5.9, -6.0, 0.0], [1.0, 2.0, 7.0]])
    assert outlier_features(x, 6.0).tolist() == [False, True, True]


def test_the_decomposition_is_the_sum_of_two_products_of_fewer_columns() -> None:
    x, w = normal(30, 64, seed=9), normal(64, 24, seed=10)
    x[:, [3, 40]] *= 30
    apart = outlier_features(x, 6.0)
    assert apart.nonzero().flatten().tolist() == [3, 40]
    eight_bits = vector_wise(x[:, ~apart], w[~apart])
    sixteen = x[:, apart].half().float() @ w[apart].half().float()
    assert torch.allclose(mixed(x, w), eight_bits + sixteen, rtol=1e-6, atol=1e-5)


def test_without_outliers_it_is_vector_wise_and_with_all_apart_it_is_sixteen_bits() -> None:
    x, w = normal(30, 64, seed=11), normal(64, 24, seed=12)
    assert torch.equal(mixed(x, w, threshold=100.0), vector_wise(x, w))
    everything = torch.ones(64, dtype=torch.bool)
    assert torch.allclose(set_apart(x, w, everything), x.half().float() @ w.half().float(), atol=1e-6)


def test_planted_outliers_are_as_asked() -> None:
    x, w = draw(SMALL, outliers=6, magnitude=60.0)
    means = x.mean(0)
    assert (means.abs() > 40).sum() == 6
    assert outlier_features(x, 6.0).sum() == 6
    x_without, w_without = draw(SMALL, outliers=0, magnitude=60.0)
    assert torch.equal(w, w_without)
    assert (x != x_without).any(0).sum() == 6


def test_setting_outliers_apart_restores_the_precision() -> None:
    row = run(replace(SMALL, seed=1000), Context())
    assert max(row["row_wise"], row["vector_wise"]) < 0.1
    assert row["vector_wise"] == row["magnitude_60"] < row["magnitude_6"] < 1
    assert 0 < row["relative_error"] < 0.02


@pytest.mark.parametrize("changed", [{"outliers": 0}, {"threshold": 1000.0}])
def test_controls_gain_nothing(changed: dict[str, float]) -> None:
    assert run(replace(SMALL, seed=1000, **changed), Context())["vector_wise"] == 1.0  # type: ignore[arg-type]


def test_the_error_of_an_exact_product_is_zero() -> None:
    x, w = (each.double() for each in draw(SMALL, 0, 0.0))
    assert int8_outliers.error(torch.matmul, x, w) == 0


def test_bytes_of_a_tiny_model_by_hand() -> None:
    config = weight_memory.Config(n_layer=1, d_model=2, vocabulary=5, context=3, outliers=1)
    # 48 weights; 18 columns; vectors 18 + 8 + 4; embeddings (5 + 3)·2; 14 weights of rows set apart
    row = weight_memory.run(config, Context())
    assert row["gigabytes_16"] * 1e9 == pytest.approx(2 * (48 + 30 + 16))
    assert row["gigabytes_8"] * 1e9 == pytest.approx(48 + 4 * 18 + 2 * (14 + 30 + 16))
    assert row["ratio"] == pytest.approx(row["gigabytes_8"] / row["gigabytes_16"])


def test_half_at_the_largest_size_and_more_at_the_smallest() -> None:
    assert weight_memory.run(weight_memory.Config(), Context())["ratio"] == pytest.approx(0.5023, abs=1e-4)
    smallest = weight_memory.run(weight_memory.Config(n_layer=12, d_model=768), Context())
    assert smallest["ratio"] == pytest.approx(0.666, abs=1e-3)
    assert smallest["gigabytes_16"] == pytest.approx(0.25, abs=1e-3)


def test_sixteen_bit_weights_save_nothing() -> None:
    assert weight_memory.run(weight_memory.Config(weight_bytes=2, scale_bytes=0, outliers=0), Context())["ratio"] == 1.0
