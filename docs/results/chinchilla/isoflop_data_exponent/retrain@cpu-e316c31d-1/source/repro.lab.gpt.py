"""A small decoder-only transformer: pre-norm, rotary positions, tied embedding, no biases."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class GPTShape:
    """What fixes the model's size. Notation of Kaplan et al.: L layers of width d over a context of S tokens."""

    n_layer: int
    """Blocks, L."""
    d_model: int
    """Width of the residual stream, d; a multiple of `d_head`."""
    d_head: int
    """Width of one attention head; even, and the same at every size."""
    context: int
    """Tokens seen at once, S."""
    vocabulary: int
    """Tokens there are, V."""

    def __post_init__(self) -> None:
        if self.d_model % self.d_head or self.d_head % 2:
            raise ValueError(
                f"d_model must be a multiple of d_head, and d_head even; got d_model={self.d_model}, d_head={self.d_head}"
            )

    @property
    def embedding_parameters(self) -> int:
        """V·d: one matrix that serves as embedding and as head."""
        return self.vocabulary * self.d_model

    @property
    def block_matrix_parameters(self) -> int:
        """12·L·d²: query, key, value, output (4d²) and the two feed-forward matrices of inner width 4d (8d²)."""
        return 12 * self.n_layer * self.d_model**2

    @property
    def matrix_parameters(self) -> int:
        """Weights that take part in a matrix product for every token: the blocks' and the head's."""
        return self.block_matrix_parameters + self.embedding_parameters

    @property
    def parameters(self) -> int:
        """All trained weights: the matrices and the gains of 2L + 1 norms."""
        return self.matrix_parameters + (2 * self.n_layer + 1) * self.d_model

    @property
    def non_embedding_parameters(self) -> int:
        """N as Kaplan et al. count it (arXiv 2001.08361, section 2.1), without embedding and head."""
        return self.parameters - self.embedding_parameters


class Attention(nn.Module):
    """Causal multi-head self-attention with rotary positions (Su et al., arXiv 2104.09864, equation 34)."""

    def __init__(self, shape: GPTShape) -> None:
        super().__init__()
        self.d_head = shape.d_head
        self.query_key_value = nn.Linear(shape.d_model, 3 * shape.d_model, bias=False)
        self.output = nn.Linear(shape.d_model, shape.d_model, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Map `[B, S, d]` to `[B, S, d]`; `cos` and `sin` are `[S, d_head/2]`."""
        batch, length, width = x.shape
        heads = self.query_key_value(x).view(batch, length, 3, width // self.d_head, self.d_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, H, S, d_head]
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)) with inner width 4d and GELU."""

    def __init__(self, shape: GPTShape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.d_model)
        self.attention = Attention(shape)
        self.feed_forward_norm = nn.RMSNorm(shape.d_model)
        self.up = nn.Linear(shape.d_model, 4 * shape.d_model, bias=False)
        self.down = nn.Linear(4 * shape.d_model, shape.d_model, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Map `[B, S, d]` to `[B, S, d]`."""
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.down(F.gelu(self.up(self.feed_forward_norm(x))))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """The model. Weights start as N(0, 1/fan-in), the two that write to the residual stream smaller by √(2L)."""

    def __init__(self, shape: GPTShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.d_model)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.n_layer))
        self.final_norm = nn.RMSNorm(shape.d_model)
        cos, sin = rotary_tables(shape.context, shape.d_head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                # The embedding's rows are the head's weights: their fan-in is d as well.
                std = weight.shape[1] ** -0.5
                residual = name.endswith(("attention.output.weight", "down.weight"))
                nn.init.normal_(weight, std=std * (2 * shape.n_layer) ** -0.5 if residual else std)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits `[B, S, V]`, or with `targets` the mean cross-entropy in nats a token (a scalar).

        Args:
            tokens: `[B, S]` (int64), S at most the context.
            targets: `[B, S]` (int64), the successor of each token.
        """
        length = tokens.shape[1]
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos[:length], self.sin[:length])  # type: ignore[index]
        logits = F.linear(self.final_norm(x), self.embedding.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def rotary_tables(context: int, d_head: int, base: float = 10_000.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines `[context, d_head/2]` of the angles m·base^(−2i/d_head) at position m, pair i."""
    frequencies = base ** (-torch.arange(0, d_head, 2, dtype=torch.float32) / d_head)
    angles = torch.outer(torch.arange(context, dtype=torch.float32), frequencies)
    return angles.cos(), angles.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate the pairs (first half, second half) of the last dimension of `x` `[..., S, d_head]` by their angles."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
