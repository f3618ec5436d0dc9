"""Linformer: Wang et al., "Linformer: Self-Attention with Linear Complexity", arXiv 2006.04768, section 4.

Keys and values are projected along the sequence, from n rows to k, before softmax attention compares each of the n queries
with each of the k projected keys: n·k pairs in place of n².
"""

import torch
from torch import Tensor, nn

from experiments.attention.softmax import fused_attention, softmax_attention


def linformer_attention(q: Tensor, k: Tensor, v: Tensor, E: Tensor, F: Tensor) -> Tensor:
    """Equation 7: P̄·(FV) with P̄ = softmax(Q(EK)ᵀ/√d), P̄ stored. E and F are shared by all heads ("headwise").

    Args:
        q: queries `[B, H, n, d]`.
        k: keys `[B, H, n, d]`.
        v: values `[B, H, n, d]`.
        E: projection of the keys, `[k, n]`.
        F: projection of the values, `[k, n]`.

    Returns:
        `[B, H, n, d]`.
    """
    return softmax_attention(q, E @ k, F @ v)


def fused_linformer_attention(q: Tensor, k: Tensor, v: Tensor, E: Tensor, F: Tensor) -> Tensor:
    """The same function with the fused kernel, which does not store P̄. Shapes as above."""
    return fused_attention(q, E @ k, F @ v)


class LinformerAttention(nn.Module):
    """Multi-head attention of equation 7 with learned E and F, shared by the heads of its layer. No biases."""

    def __init__(self, d_model: int, n_head: int, n: int, k: int, d_head: int = 0) -> None:
        """Draw the weights from torch's global generator.

        Args:
            d_model: width of the residual stream.
            n_head: heads.
            n: length of every sequence: E and F have a column for each position.
            k: projected length.
            d_head: width of a head; 0 stands for d_model / n_head.
        """
        super().__init__()
        inner = n_head * (d_head or d_model // n_head)
        self.n_head = n_head
        self.query_key_value = nn.Linear(d_model, 3 * inner, bias=False)
        self.output = nn.Linear(inner, d_model, bias=False)
        # Standard deviation n^(−1/2): a random mixture of n keys is as long as one key.
        self.E, self.F = (nn.Parameter(torch.randn(k, n) * n**-0.5) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Mix `x` `[B, n, d_model]` into `[B, n, d_model]`."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)  # [B, H, n, d]
        return self.output(fused_linformer_attention(q, k, v, self.E, self.F).transpose(1, 2).flatten(2))
