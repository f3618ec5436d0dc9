"""The Transformer of Vaswani et al., arXiv 1706.03762, as one stack of layers whose parts the ablations of many papers exchange.

`repro.lab.gpt` is the fast one, for many runs of one modern decoder. This one is for claims about the architecture itself: norm
before or after each part, sinusoidal or learned positions, dropout, a mask or none, and any other attention in place of its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TransformerShape:
    """What fixes the model; notation of Vaswani et al., section 3 and Table 3."""

    n_layer: int
    """Layers, N."""
    d_model: int
    """Width of the residual stream."""
    n_head: int
    """Heads, h."""
    d_ff: int
    """Inner width of the feed-forward part."""
    context: int
    """Tokens seen at once."""
    vocabulary: int
    """Tokens there are."""
    causal: bool
    """Whether a token sees only those before it, as in a decoder."""
    d_head: int = 0
    """Key and value size; 0 stands for d_model / h, as in the paper."""
    norm: Literal["post", "pre"] = "post"
    """Norm after the residual sum (the paper), or before each part (Xiong et al., arXiv 2002.04745, Figure 1)."""
    positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """Section 3.5, its learned alternative (Table 3, row E), or none."""
    dropout: float = 0.0
    """P_drop, applied as in section 5.4: to each part's output and to the sum of embedding and position."""

    def __post_init__(self) -> None:
        sizes = (self.n_layer, self.d_model, self.n_head, self.d_ff, self.context, self.vocabulary)
        if min(sizes) < 1 or self.d_head < 0:
            raise ValueError(f"every size of a model must be at least 1; got {self}")
        if not self.d_head and self.d_model % self.n_head:
            raise ValueError(f"d_model must be a multiple of n_head where d_head is not given; got {self}")
        if self.norm not in ("post", "pre"):
            raise ValueError(f"norm must be post or pre, not {self.norm!r}")
        if self.positions not in ("sinusoidal", "learned", "none"):
            raise ValueError(f"positions must be sinusoidal, learned or none, not {self.positions!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {self.dropout}")

    @property
    def head_width(self) -> int:
        """Width of one head, d_k = d_v."""
        return self.d_head or self.d_model // self.n_head


class MultiHeadAttention(nn.Module):
    """Section 3.2.2: h heads of softmax(QKᵀ/√d_k)V, concatenated and projected. No biases."""

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        inner = shape.n_head * shape.head_width
        self.n_head, self.causal = shape.n_head, shape.causal
        self.query_key_value = nn.Linear(shape.d_model, 3 * inner, bias=False)
        self.output = nn.Linear(inner, shape.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix `x` `[B, T, d]` into `[B, T, d]`."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)  # [B, h, T, d_k]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Section 3.1: attention, then the feed-forward part of section 3.3, each with a residual sum and a norm."""

    def __init__(self, shape: TransformerShape, attention: nn.Module) -> None:
        super().__init__()
        self.norm = shape.norm
        self.attention = attention
        self.up, self.down = nn.Linear(shape.d_model, shape.d_ff), nn.Linear(shape.d_ff, shape.d_model)
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(shape.d_model), nn.LayerNorm(shape.d_model)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, d]` to `[B, T, d]`."""
        if self.norm == "pre":
            x = x + self.dropout(self.attention(self.attention_norm(x)))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))  # type: ignore[no-any-return]
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))  # type: ignore[no-any-return]

    def feed_forward(self, x: Tensor) -> Tensor:
        """Equation 2: max(0, xW₁ + b₁)W₂ + b₂."""
        return self.down(F.relu(self.up(x)))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Embedding, positions, layers, and the embedding again as output matrix (section 3.4)."""

    position_table: Tensor

    def __init__(self, shape: TransformerShape, attention: Callable[[], nn.Module] | None = None) -> None:
        """Draw the weights from torch's global generator: seed it before.

        Args:
            shape: the sizes.
            attention: makes the attention of one layer, a module from `[B, T, d]` to `[B, T, d]`; that of the paper if None.
        """
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.d_model)
        nn.init.normal_(self.embedding.weight, std=shape.d_model**-0.5)
        if shape.positions == "learned":
            self.learned_positions = nn.Parameter(torch.randn(shape.context, shape.d_model) * shape.d_model**-0.5)
        elif shape.positions == "sinusoidal":
            self.register_buffer("position_table", sinusoidal_positions(shape.context, shape.d_model), persistent=False)
        make = attention if attention is not None else lambda: MultiHeadAttention(shape)
        self.layers = nn.ModuleList(Layer(shape, make()) for _ in range(shape.n_layer))
        # In a post-norm model the last layer ends with a norm of its own.
        self.final_norm = nn.LayerNorm(shape.d_model) if shape.norm == "pre" else nn.Identity()
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits `[B, T, V]` of `tokens` `[B, T]` (int64)."""
        return self.hidden(tokens) @ self.embedding.weight.T

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the last layer's output `[B, T, d]` of `tokens` `[B, T]`.

        Raises:
            ValueError: if the sequences are longer than the context.
        """
        return self.encode(self.embedding(tokens) * math.sqrt(self.shape.d_model))

    def encode(self, x: Tensor) -> Tensor:
        """Return the last layer's output `[B, T, d]` of embedded inputs `[B, T, d]`, to which positions are added.

        Raises:
            ValueError: if the sequences are longer than the context.
        """
        length = x.shape[1]
        if length > self.shape.context:
            raise ValueError(f"a sequence of {length} tokens does not fit a context of {self.shape.context}")
        if self.shape.positions == "learned":
            x = x + self.learned_positions[:length]
        elif self.shape.positions == "sinusoidal":
            x = x + self.position_table[:length]
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x)
        return self.final_norm(x)  # type: ignore[no-any-return]


def sinusoidal_positions(context: int, d_model: int) -> Tensor:
    """Return sines in even and cosines in odd columns, `[context, d]`: the angle is pos / 10000^(2i/d) (section 3.5)."""
    angles = torch.arange(context, dtype=torch.float64)[:, None] / 10_000.0 ** (
        torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    )
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d_model].float()


def inverse_square_root(step: int, warmup: int, peak: float) -> float:
    """Return the learning rate at `step` (from 0) of equation 3: linear up to `peak` in `warmup` steps, then ∝ step^(−1/2).

    The paper's peak is (d_model · warmup)^(−1/2). Without warm-up the rate starts at the peak.
    """
    count, warmup = step + 1, max(1, warmup)
    return peak * min(count / warmup, math.sqrt(warmup / count))
