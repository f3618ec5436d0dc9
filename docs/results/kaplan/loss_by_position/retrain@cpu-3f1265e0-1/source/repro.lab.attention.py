"""Causal attention for many short sequences and narrow heads on a CPU, where torch's own kernel is slow.

With positions in the last dimension every product of `[d_head, S]` and `[S, S]` matrices fills the processor's vectors, which
heads 8 wide do not: forward, backward and rotation take about 0.6 of the time of `scaled_dot_product_attention`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHED_SCORES = 2**17
"""Attention scores worked on at a time: half a megabyte in float32."""


def pays(heads: Tensor) -> bool:
    """Return whether `heads` `[N, S, 3, H, d_head]` are better attended to by `causal_attention` than by torch.

    So it is on a CPU in full precision for heads up to 8 wide (of 16, both take the same time; wider ones torch does faster) as
    long as a head's scores `[S, S]` stay in the processor's cache.
    """
    length, width = heads.shape[1], heads.shape[-1]
    small = heads.device.type == "cpu" and heads.dtype != torch.bfloat16 and length <= 256 and width <= 8
    return small and not torch.compiler.is_compiling()


def turning_tables(cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two factors `[2, d_head, S]` that turn queries and keys and scale queries by 1/√d_head.

    Turned is `x · first + swapped(x) · second`, where `swapped` exchanges the two of every pair of neighbours.

    Args:
        cos: of the angle at each position and pair, `[S, d_head/2]`.
        sin: alike.
    """
    scale = torch.tensor([(2 * cos.shape[1]) ** -0.5, 1.0], dtype=cos.dtype)[:, None, None]
    return scale * torch.stack([cos, cos], -1).flatten(1).T, scale * torch.stack([-sin, sin], -1).flatten(1).T


def causal_attention(heads: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Map queries, keys and values `[N, S, 3, H, d_head]` to attention's output `[N, S, H·d_head]`.

    Args:
        heads: before they are turned and scaled.
        first: factor of queries and keys `[2, d_head, S]`; see `turning_tables`.
        second: factor of their swapped neighbours.
    """
    return _CausalAttention.apply(heads, first, second)  # type: ignore[no-any-return,no-untyped-call]


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, first: Tensor, second: Tensor) -> Tensor:
        n, length, _, n_head, d_head = heads.shape
        ahead = torch.full((length, length), -torch.inf, dtype=heads.dtype).triu_(1)
        at_once = max(1, CACHED_SCORES // (n_head * length**2))
        mixed = heads.new_empty(n, length, n_head, d_head)
        kept = []
        for given, mix in zip(torch.split(heads, at_once), torch.split(mixed, at_once), strict=True):
            parts = given.permute(2, 0, 3, 4, 1).clone(memory_format=torch.contiguous_format)  # [3, n, H, d_head, S]
            _turn(parts[:2], first, second)
            q, k, v = parts.flatten(1, 2)
            shares = torch.baddbmm(ahead, q.mT, k).softmax(-1)
            mix.copy_(torch.bmm(v, shares.mT).view_as(parts[2]).permute(0, 3, 1, 2))
            kept += [parts, shares]
        ctx.save_for_backward(first, second, *kept)
        return mixed.flatten(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        first, second, *kept = ctx.saved_tensors
        _, n, n_head, d_head, length = kept[0].shape
        grad = torch.unflatten(grad, 2, (n_head, d_head))
        to_heads = grad.new_empty(len(grad), length, 3, n_head, d_head)
        for parts, shares, g, result in zip(
            kept[::2], kept[1::2], torch.split(grad, n), torch.split(to_heads, n), strict=True
        ):
            q, k, v = parts.flatten(1, 2)
            g_t = g.permute(0, 2, 3, 1).contiguous().view_as(v)
            slopes = torch.empty_like(parts)
            to_q, to_k, to_v = slopes.flatten(1, 2)
            torch.bmm(g_t, shares, out=to_v)
            scores = torch._softmax_backward_data(torch.bmm(g_t.mT, v), shares, -1, shares.dtype)
            torch.bmm(k, scores.mT, out=to_q)
            torch.bmm(q, scores, out=to_k)
            _turn(slopes[:2], first, -second)
            result.copy_(slopes.permute(1, 4, 0, 2, 3))
        return to_heads, None, None


def _turn(x: Tensor, first: Tensor, second: Tensor) -> None:
    """Turn queries and keys `[2, N, H, d_head, S]` in place."""
    swapped = torch.unflatten(x, -2, (-1, 2)).flip(-2).view_as(x)
    x.mul_(first[:, None, None]).addcmul_(swapped, second[:, None, None])
