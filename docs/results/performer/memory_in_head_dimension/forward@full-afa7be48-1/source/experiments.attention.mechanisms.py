"""The attention mechanisms whose cost is compared, each behind one signature, alone or inside a Transformer layer."""

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from experiments.attention.linformer import fused_linformer_attention, linformer_attention
from experiments.attention.performer import orthogonal_features, performer_attention
from experiments.attention.reformer import hash_rotations, lsh_attention
from experiments.attention.softmax import fused_attention, softmax_attention
from repro.lab.transformer import Layer, TransformerShape

MECHANISMS = ("softmax", "fused", "linformer", "linformer_fused", "performer", "lsh")

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values, each `[B, H, n, d]`, to `[B, H, n, d]`."""


class Sizes(Protocol):
    """What a recipe's Config says about a mechanism; the fields are described there."""

    mechanism: str
    heads: int
    d_head: int
    d_ff: int
    k: int
    m: int
    chunk: int
    hashes: int
    seed: int


def attention_of(sizes: Sizes, n: int, device: str, dtype: torch.dtype) -> tuple[Attention, tuple[Tensor, ...]]:
    """Return the mechanism for sequences of n tokens, and the tensors it keeps from call to call.

    Linformer's E and F `[k, n]` are learned and returned; so are Performer's features `[m, d]` and Reformer's
    rotations `[hashes, d, buckets/2]`, drawn once, as both papers redraw them rarely or not within a pass.

    Raises:
        ValueError: if the mechanism is unknown.
    """
    if sizes.mechanism not in MECHANISMS:
        raise ValueError(f"mechanism must be one of {', '.join(MECHANISMS)}, not {sizes.mechanism!r}")
    generator = torch.Generator().manual_seed(sizes.seed)
    if sizes.mechanism == "softmax":
        return softmax_attention, ()
    if sizes.mechanism == "fused":
        return fused_attention, ()
    if sizes.mechanism == "performer":
        omega = orthogonal_features(sizes.m, sizes.d_head, generator).to(device, dtype)
        return lambda q, k, v: performer_attention(q, k, v, omega), (omega,)
    if sizes.mechanism == "lsh":
        # Chunks hold two average buckets (Kitaev et al., arXiv 2001.04451, section 2).
        buckets = max(2, 2 * n // sizes.chunk)
        rotations = hash_rotations(sizes.hashes, sizes.d_head, buckets, generator).to(device, dtype)
        # Queries and keys are one in Reformer, so the keys given here are not used.
        return lambda q, _, v: lsh_attention(q, v, rotations, chunk=sizes.chunk, causal=False), (rotations,)
    E, F = ((torch.randn(sizes.k, n, generator=generator) / math.sqrt(n)).to(device, dtype) for _ in range(2))
    projected = linformer_attention if sizes.mechanism == "linformer" else fused_linformer_attention
    return lambda q, k, v: projected(q, k, v, E, F), (E, F)


class Projected(nn.Module):
    """An attention mechanism between the projections of Vaswani et al., section 3.2.2."""

    def __init__(self, d_model: int, heads: int, attention: Attention) -> None:
        """Take the mechanism; the width of a head is d_model / heads."""
        super().__init__()
        self.heads, self.attention = heads, attention
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, n, d_model]` to the same."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.output(self.attention(q, k, v).transpose(1, 2).flatten(2))


def computation_of(
    sizes: Sizes, batch: int, n: int, device: str, dtype: torch.dtype, backward: bool
) -> tuple[Callable[[], Tensor], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return a call of the mechanism on random inputs, its inputs, and what it keeps from call to call.

    With d_ff = 0 that is attention alone on queries, keys and values `[B, H, n, d]`; else a whole encoder layer on `[B, n, H·d]`:
    projections, attention, feed-forward part with d_ff units, sums and norms.
    """
    attention, kept = attention_of(sizes, n, device, dtype)
    learned = tuple(tensor.requires_grad_(backward) for tensor in kept) if "linformer" in sizes.mechanism else kept
    if not sizes.d_ff:
        shape = (batch, sizes.heads, n, sizes.d_head)
        q, k, v = (torch.randn(shape, device=device, dtype=dtype, requires_grad=backward) for _ in range(3))
        return lambda: attention(q, k, v), (q, k, v), learned
    d_model = sizes.heads * sizes.d_head
    shape_of_layer = TransformerShape(1, d_model, sizes.heads, sizes.d_ff, context=n, vocabulary=1, causal=False)
    layer = Layer(shape_of_layer, Projected(d_model, sizes.heads, attention)).to(device, dtype).requires_grad_(backward)
    x = torch.randn((batch, n, d_model), device=device, dtype=dtype, requires_grad=backward)
    return lambda: layer(x), (x,), (*learned, *layer.parameters())
