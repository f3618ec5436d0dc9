"""Exact floating-point operations of a decoder, piece by piece, with every convention an argument. No torch.

A multiplication and an addition are two operations, so a product of [m, k] and [k, n] costs 2mkn. Norms, activations,
biases and residual sums are left out, as in Kaplan et al., arXiv 2001.08361, Table 1, and Hoffmann et al., arXiv
2203.15556, Appendix F.
"""

from dataclasses import dataclass
from typing import Literal

PETAFLOP_S_DAY = 1e15 * 24 * 3600
"""One petaFLOP/s for a day in FLOPs, 8.64e19 (Brown et al., arXiv 2005.14165, Appendix D)."""

Pairs = Literal["full", "causal", "none"]


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of one forward pass over one sequence, by the place where they arise."""

    embedding: int
    """Token lookup counted as a product with one-hot vectors; 0 where it counts as a lookup."""
    projections: int
    """Query, key, value and output projections of all layers."""
    scores: int
    """Queries times keys."""
    softmax: int
    mixing: int
    """Attention weights times values."""
    feed_forward: int
    logits: int

    @property
    def total(self) -> int:
        """FLOPs of the whole forward pass."""
        return (
            self.embedding
            + self.projections
            + self.scores
            + self.softmax
            + self.mixing
            + self.feed_forward
            + self.logits
        )


def forward_flops(
    *,
    n_layer: int,
    d_model: int,
    d_ff: int,
    n_head: int,
    d_head: int,
    vocabulary: int,
    length: int,
    embedding_product: bool,
    logits: bool,
    projections: int = 4,
    pairs: Pairs = "full",
    softmax_per_score: int = 3,
) -> ForwardFlops:
    """Count one forward pass over one sequence of `length` tokens.

    With `embedding_product=True`, `logits=True` and the defaults this is Appendix F of Hoffmann et al. as printed.

    Args:
        n_layer: blocks.
        d_model: width d.
        d_ff: inner width of the feed-forward part.
        n_head: heads.
        d_head: key size, and value size.
        vocabulary: tokens V.
        length: tokens in the sequence, S.
        embedding_product: count the token embedding as a product [S, V] · [V, d] instead of a lookup.
        logits: count the product with the output matrix [d, V].
        projections: products [S, d] · [d, n_head·d_head] a layer: 4, or 5 with one for relative positions.
        pairs: query-key pairs counted: all S², the S(S+1)/2 that a causal mask leaves, or none.
        softmax_per_score: operations a score for the softmax; 3 in Appendix F.

    Raises:
        ValueError: for an unknown kind of `pairs`.
    """
    by_kind = {"full": length * length, "causal": length * (length + 1) // 2, "none": 0}
    if pairs not in by_kind:
        raise ValueError(f"pairs must be one of {', '.join(by_kind)}, not {pairs!r}")
    n_pairs = by_kind[pairs]
    d_attention = n_head * d_head
    return ForwardFlops(
        embedding=2 * length * vocabulary * d_model if embedding_product else 0,
        projections=n_layer * projections * 2 * length * d_model * d_attention,
        scores=n_layer * 2 * n_pairs * d_attention,
        softmax=n_layer * softmax_per_score * n_pairs * n_head,
        mixing=n_layer * 2 * n_pairs * d_attention,
        feed_forward=n_layer * 2 * 2 * length * d_model * d_ff,
        logits=2 * length * d_model * vocabulary if logits else 0,
    )


def training_flops(forward: float, backward_per_forward: float = 2.0) -> float:
    """Return forward plus backward FLOPs; the backward pass costs twice the forward one (Kaplan et al., section 2.1)."""
    return forward * (1 + backward_per_forward)


def approximate_training_flops(parameters: float, tokens: float, per_parameter_token: float = 6.0) -> float:
    """Return C = 6·N·D: 2 FLOPs a parameter and token forward, 4 backward (Kaplan et al., section 2.1).

    Args:
        parameters: N, with or without embeddings as the caller counts it.
        tokens: D.
        per_parameter_token: 6 for training, 2 for the forward pass alone.
    """
    return per_parameter_token * parameters * tokens
