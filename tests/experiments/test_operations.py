"""Operations, chains and paths of the layers of Table 1 against counts by hand, and that the controls fail."""

from dataclasses import replace

import pytest
import torch

from experiments.attention import operations
from experiments.attention.operations import Config, Convolution, Recurrent, RestrictedSelfAttention, SelfAttention
from repro.schema.context import Context

N, D, K, R = 12, 8, 3, 4
SMALL = Config(n=16, d=8, r=4, pair_lengths=(4,))


def tokens(n: int = N, d: int = D, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(n, d, dtype=dtype)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (SelfAttention(D), 4 * N * N * D),
        (SelfAttention(D, projections=True), 4 * N * N * D + 8 * N * D * D),
        (Recurrent(D), 4 * N * D * D),
        (Convolution(D, K), 2 * K * N * D * D),
        (RestrictedSelfAttention(R), 4 * R * N * D),
    ],
)
def test_operations_on_literals(layer: torch.nn.Module, expected: int) -> None:
    assert operations.operations(layer, tokens()) == expected


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(SelfAttention(D), 2), (SelfAttention(D, projections=True), 4), (Recurrent(D), N), (Convolution(D, K), 1),
     (RestrictedSelfAttention(R), 2)],
)  # fmt: skip
def test_chains_of_products_on_literals(layer: torch.nn.Module, expected: int) -> None:
    assert operations.sequential(layer, tokens()) == expected


def test_self_attention_is_torchs_own() -> None:
    x = tokens(dtype=torch.float64)
    expected = torch.nn.functional.scaled_dot_product_attention(x[None], x[None], x[None])[0]
    torch.testing.assert_close(SelfAttention(D)(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("r", [4, 5])
def test_restricted_attention_is_attention_under_a_band(r: int) -> None:
    x = tokens(dtype=torch.float64)
    at = torch.arange(N)
    distance = at - at[:, None]
    band = (distance >= -(r // 2)) & (distance <= (r - 1) // 2)
    expected = torch.nn.functional.scaled_dot_product_attention(x[None], x[None], x[None], attn_mask=band)[0]
    torch.testing.assert_close(RestrictedSelfAttention(r)(x), expected, rtol=0, atol=1e-12)


def test_recurrent_layer_is_torchs_own_and_n_of_its_steps() -> None:
    x, layer = tokens(dtype=torch.float64), Recurrent(D).double()
    reference = torch.nn.RNN(D, D, bias=False).double()
    reference.load_state_dict({f"{name}_l0": weight for name, weight in layer.cell.state_dict().items()})
    torch.testing.assert_close(layer(x), reference(x)[0], rtol=0, atol=1e-12)
    h = torch.zeros_like(x)
    for _ in range(N):
        h = operations.recurrent_step(layer, x, h)
    torch.testing.assert_close(h, layer(x), rtol=0, atol=1e-12)


def test_paths_on_literals() -> None:
    """Counted by hand: windows of 5 reach 2 tokens a layer, dilated kernels of k see k^m tokens, others k − 1 more a layer."""
    assert operations.restricted_path(9, 5) == 4
    assert operations.recurrent_path(7) == 7
    assert operations.convolution_path(9, 3, dilated=True) == 2
    assert operations.convolution_path(10, 3, dilated=True) == 3
    assert operations.convolution_path(9, 3, dilated=False) == 4


@pytest.fixture(scope="module")
def row() -> dict[str, float]:
    return operations.run(SMALL, Context())


def test_exponents_are_those_of_table_1(row: dict[str, float]) -> None:
    assert row == {
        "self_attention_n": 2, "self_attention_d": 1, "self_attention_sequential": 0, "self_attention_path": 1,
        "recurrent_n": 1, "recurrent_d": 2, "recurrent_sequential": 1, "recurrent_path_n": 1,
        "convolution_n": 1, "convolution_d": 2, "convolution_k": 1, "convolution_sequential": 0, "convolution_path": 1,
        "restricted_n": 1, "restricted_d": 1, "restricted_r": 1, "restricted_sequential": 0,
        "restricted_path_n": 1, "restricted_path_r": -1, "pairs_4": 16,
    }  # fmt: skip


def test_the_controls_fail(row: dict[str, float]) -> None:
    changed = operations.run(replace(SMALL, projections=True, dilated=False, pairs="causal"), Context())
    differing = {name for name, value in changed.items() if value != row[name]}
    assert differing == {"self_attention_n", "self_attention_d", "convolution_path", "pairs_4"}
    assert changed["pairs_4"] == 10


def test_unknown_pairs_are_named() -> None:
    with pytest.raises(ValueError, match="full or causal, not 'half'"):
        operations.run(Config(pairs="half"), Context())
