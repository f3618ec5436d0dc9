"""The gated attention unit and mixed chunk attention of FLASH: the mechanism that `flash_step_time` measures.

Paper: Hua et al., "Transformer Quality in Linear Time", arXiv 2202.10447: section 2 (gated attention unit), section 3 (mixed
chunk attention). T tokens of width d; e = 2d is the inner width, s = 128 that of queries and keys, C = 256 a chunk.

    U = φ(X W_u), V = φ(X W_v)  [T, e],  Z = φ(X W_z)  [T, s],  φ = SiLU
    Q, K = per-dimension scales and offsets of Z
    A = relu²(Q Kᵀ / T + b),  O = (U ⊙ A V) W_o                                   FLASH-Quad: T² pairs
    V̂_g = relu²(Q_g K_gᵀ / C + b) V_g + Q'_g Σ_h K'_hᵀ V_h / T                    FLASH: C² pairs in each chunk g

The sum runs over all chunks h, or over those before g in a causal model. Two units of 3·d·e + d·s weights stand for one Transformer
layer of 12·d².

Deviations: LayerNorm before each unit instead of ScaleNorm; b is one learned number a distance (T5's way, without its
buckets) and there is no rotary part; products are divided by the number of keys that they are summed over at most (the paper's
formulas leave factors out).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relu_squared_attention(q: Tensor, k: Tensor, v: Tensor, b: Tensor) -> Tensor:
    """Return relu²(QKᵀ/T + b)V with every pair formed: q, k `[B, T, s]`, v `[B, T, e]`, b `[T, T]` to `[B, T, e]`.

    b is −∞ where a token must not look: relu² makes 0 of it.
    """
    return torch.baddbmm(b, q / k.shape[1], k.mT).relu().square() @ v


def chunk_sums(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Return Q_g Σ_h K_hᵀV_h / T: q, k `[B, G, C, s]`, v `[B, G, C, e]` to `[B, G, C, e]`; h runs over all chunks, or those before g."""
    sums = k.mT @ v / (k.shape[1] * k.shape[2])  # [B, G, s, e]
    return q @ (sums_before(sums) if causal else sums.sum(1, keepdim=True))


def sums_before(x: Tensor) -> Tensor:
    """Return for each g the sum over all h < g of x `[B, G, s, e]`.

    Within blocks of up to 32 it is a product with a triangle of ones, which is faster than a cumulative sum and, at this size of
    the blocks, still linear in G; only the blocks' totals are summed up one after the other.
    """
    block = math.gcd(x.shape[1], 32)
    blocks = x.flatten(2).unflatten(1, (-1, block))  # [B, G/block, block, s·e]
    within = torch.ones(block, block, dtype=x.dtype, device=x.device).tril(-1) @ blocks
    if block == x.shape[1]:
        return within.view_as(x)
    totals = blocks.sum(2, keepdim=True)
    return (within + totals.cumsum(1) - totals).view_as(x)


def mixed_chunk_attention(
    q: Tensor, k: Tensor, q_far: Tensor, k_far: Tensor, v: Tensor, b: Tensor, causal: bool
) -> Tensor:
    """Return V̂ `[B, T, e]` of q, k, q_far, k_far `[B, T, s]` and v `[B, T, e]`; b `[C, C]` sets the chunk.

    Raises:
        ValueError: if the chunk does not divide the sequence.
    """
    length, chunk = v.shape[1], b.shape[-1]
    if length % chunk:
        raise ValueError(f"the chunk must divide the sequence, and {chunk} does not divide {length}")
    q, k, q_far, k_far, v = (each.unflatten(1, (-1, chunk)) for each in (q, k, q_far, k_far, v))  # [B, G, C, ·]
    near = relu_squared_attention(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), b)
    return (near.view_as(v) + chunk_sums(q_far, k_far, v, causal)).flatten(1, 2)


class GatedAttentionUnit(nn.Module):
    """One unit with its norm and residual sum; with a chunk it is FLASH's, without FLASH-Quad's."""

    def __init__(self, d: int, s: int, context: int, causal: bool, chunk: int = 0) -> None:
        """Draw the weights from torch's global generator.

        Args:
            d: width.
            s: width of queries and keys.
            context: longest sequence, T.
            causal: whether a token sees only those before it.
            chunk: tokens of a chunk, C; 0 for none.
        """
        super().__init__()
        self.e, self.s, self.causal, self.chunk = 2 * d, s, causal, chunk
        self.norm = nn.LayerNorm(d)
        self.inner = nn.Linear(d, 2 * self.e + s, bias=False)  # W_u, W_v and W_z
        self.output = nn.Linear(self.e, d, bias=False)
        kinds = 4 if chunk else 2
        self.scale = nn.Parameter(torch.empty(kinds, s).normal_(std=0.02))
        self.offset = nn.Parameter(torch.zeros(kinds, s))
        self.bias = nn.Parameter(torch.zeros(2 * (chunk or context) - 1))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, d]` to `[B, T, d]`."""
        u, v, z = F.silu(self.inner(self.norm(x))).split((self.e, self.e, self.s), dim=-1)
        roles = [z * scale + offset for scale, offset in zip(self.scale, self.offset, strict=True)]
        b = distances(self.bias, self.chunk or x.shape[1])
        if self.causal:
            b = b + torch.full_like(b, -math.inf).triu(1)
        mixed = mixed_chunk_attention(*roles, v, b, self.causal) if self.chunk else relu_squared_attention(*roles, v, b)
        return x + self.output(u * mixed)


def distances(bias: Tensor, length: int) -> Tensor:
    """Return b `[T, T]` whose entry (i, j) is the number of `bias` `[≥ 2T − 1]` for the distance j − i, 0 in its middle."""
    middle = len(bias) // 2
    return bias[middle - length + 1 : middle + length].unfold(0, length, 1).flip(0)


class GatedAttentionModel(nn.Module):
    """Embedding, positions, gated attention units, and the embedding again as output matrix."""

    def __init__(self, units: int, d: int, s: int, vocabulary: int, context: int, causal: bool, chunk: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, d)
        nn.init.normal_(self.embedding.weight, std=d**-0.5)
        self.positions = nn.Parameter(torch.empty(context, d).normal_(std=0.02))
        self.units = nn.Sequential(*(GatedAttentionUnit(d, s, context, causal, chunk) for _ in range(units)))
        self.norm = nn.LayerNorm(d)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[B, T, V]` of `tokens` `[B, T]`."""
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim) + self.positions[: tokens.shape[1]]
        return self.norm(self.units(x)) @ self.embedding.weight.T
