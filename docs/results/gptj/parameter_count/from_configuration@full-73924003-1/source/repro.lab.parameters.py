"""Exact parameter counts of transformers, piece by piece, with every convention an argument. No torch.

Notation: L layers of width d (`d_model`), heads × key size (`d_attention`), inner width of the feed-forward part
(`d_ff`), vocabulary V. Sources: Vaswani et al., arXiv 1706.03762, sections 3.2 to 3.4 (attention, feed-forward,
shared embedding); Kaplan et al., arXiv 2001.08361, Table 1 (matrices only, embeddings left out of N).
"""

from dataclasses import dataclass


def attention_parameters(
    d_model: int,
    d_attention: int,
    d_value: int | None = None,
    *,
    biases: bool,
    relative_positions: bool = False,
) -> int:
    """Count multi-head attention: query, key, value and output projections.

    Args:
        d_model: width d of what is read and written.
        d_attention: heads × key size, the width of queries and keys.
        d_value: heads × value size; None: as wide as the keys.
        biases: whether each of the four projections adds a vector.
        relative_positions: a fifth matrix [d, heads × key size] that projects position encodings, without bias
            (Dai et al., arXiv 1901.02860, section 3.3, W_{k,R}); the two bias vectors u, v of that scheme are left out.
    """
    values = d_attention if d_value is None else d_value
    matrices = 2 * d_model * d_attention + 2 * d_model * values
    vectors = 2 * d_attention + values + d_model if biases else 0
    return matrices + vectors + (d_model * d_attention if relative_positions else 0)


def feed_forward_parameters(d_model: int, d_ff: int, *, biases: bool) -> int:
    """Count the two matrices [d, d_ff] and [d_ff, d], and their bias vectors."""
    return 2 * d_model * d_ff + (d_ff + d_model if biases else 0)


def layer_norm_parameters(d_model: int) -> int:
    """Count one layer norm: gain and bias, 2d."""
    return 2 * d_model


def block_parameters(d_model: int, d_ff: int, d_attention: int | None = None) -> int:
    """Count one block with self-attention: attention, feed-forward, two layer norms, biases everywhere.

    Args:
        d_model: width d.
        d_ff: inner width.
        d_attention: heads × key size; None: d, as where the heads share out the width.
    """
    return (
        attention_parameters(d_model, d_model if d_attention is None else d_attention, biases=True)
        + feed_forward_parameters(d_model, d_ff, biases=True)
        + 2 * layer_norm_parameters(d_model)
    )


@dataclass(frozen=True)
class DecoderParameters:
    """Parameters of a decoder-only language model by the place where they stand."""

    token_embedding: int
    position_embedding: int
    blocks: int
    final_norm: int
    output_head: int
    """0 where the head is the token embedding again (tied)."""

    @property
    def total(self) -> int:
        """Every trained number."""
        return self.token_embedding + self.position_embedding + self.blocks + self.final_norm + self.output_head

    @property
    def non_embedding(self) -> int:
        """What Kaplan et al. call N: without token and position embeddings and without the head."""
        return self.blocks + self.final_norm


def decoder_parameters(
    n_layer: int,
    d_model: int,
    vocabulary: int,
    context: int,
    *,
    d_attention: int | None = None,
    tied: bool = True,
) -> DecoderParameters:
    """Count a pre-norm decoder with learned positions, biases, inner width 4d and a final layer norm.

    Args:
        n_layer: blocks, L.
        d_model: width, d.
        vocabulary: tokens, V.
        context: learned position vectors.
        d_attention: heads × key size; None: d.
        tied: whether the output head is the token embedding itself or a second matrix [d, V].
    """
    return DecoderParameters(
        token_embedding=vocabulary * d_model,
        position_embedding=context * d_model,
        blocks=n_layer * block_parameters(d_model, 4 * d_model, d_attention),
        final_norm=layer_norm_parameters(d_model),
        output_head=0 if tied else vocabulary * d_model,
    )
