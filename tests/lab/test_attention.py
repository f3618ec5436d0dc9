import pytest
import torch
import torch.nn.functional as F

from repro.lab import attention
from repro.lab.attention import causal_attention, pays, turning_tables
from repro.lab.gpt import rotary_tables, rotate


def by_torch(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    turned = rotate(heads[:, :, :2], cos[:, None, None], sin[:, None, None])
    q, k, v = (part.transpose(1, 2) for part in (turned[:, :, 0], turned[:, :, 1], heads[:, :, 2]))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


@pytest.mark.parametrize(("sequences", "length", "n_head", "d_head"), [(1, 1, 1, 2), (5, 12, 3, 8), (7, 33, 2, 4)])
@pytest.mark.parametrize("cached_scores", [1, 2**11, 2**17])
def test_output_and_gradient_are_those_of_torch(
    sequences: int, length: int, n_head: int, d_head: int, cached_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces of one sequence, of a few, and of all."""
    monkeypatch.setattr(attention, "CACHED_SCORES", cached_scores)
    draw = torch.Generator().manual_seed(0)
    heads = torch.randn(sequences, length, 3, n_head, d_head, generator=draw, dtype=torch.float64, requires_grad=True)
    cos, sin = (table.double() for table in rotary_tables(length, d_head))
    wanted = by_torch(heads, cos, sin)
    found = causal_attention(heads, *turning_tables(cos, sin))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    direction = torch.randn(wanted.shape, generator=draw, dtype=torch.float64)
    slopes = [torch.autograd.grad(output, heads, direction)[0] for output in (found, wanted)]
    torch.testing.assert_close(*slopes, rtol=1e-11, atol=1e-12)


def test_large_scores_do_not_overflow() -> None:
    heads = 300 * torch.randn(2, 16, 3, 1, 8)
    cos, sin = rotary_tables(16, 8)
    found = causal_attention(heads, *turning_tables(cos, sin))
    assert torch.isfinite(found).all()
    # The first position sees itself alone.
    torch.testing.assert_close(found[:, 0], heads[:, 0, 2, 0])


@pytest.mark.parametrize(
    ("length", "d_head", "dtype", "expected"),
    [
        (64, 8, torch.float32, True),
        (256, 4, torch.float64, True),
        (64, 8, torch.bfloat16, False),  # autocast
        (512, 8, torch.float32, False),
        (64, 16, torch.float32, False),
    ],
)
def test_where_it_pays(length: int, d_head: int, dtype: torch.dtype, expected: bool) -> None:
    assert pays(torch.zeros(1, length, 3, 1, d_head, dtype=dtype)) is expected
    assert not pays(torch.zeros(1, length, 3, 1, d_head, dtype=dtype, device="meta"))
