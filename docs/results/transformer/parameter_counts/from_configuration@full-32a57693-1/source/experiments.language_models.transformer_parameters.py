"""Parameters of the Transformer's base and big models and of nine variants, counted from Table 3.

Paper: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, Table 3. Serves the claim
`transformer/parameter_counts`.

An encoder of N blocks (self-attention, feed-forward) and a decoder of N blocks (self-attention, attention to the
encoder, feed-forward), a layer norm after each; no bias in attention, biases in the feed-forward part; sinusoidal
positions; one matrix [V, d] for both embeddings and the output.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass
from math import ceil, floor, inf

from repro.lab.parameters import attention_parameters, feed_forward_parameters, layer_norm_parameters
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Rows of Table 3 that change the number of parameters, and the conventions of the count."""

    labels: tuple[str, ...] = (
        "base", "big", "key16", "key32", "layers2", "layers4", "layers8", "width256", "width1024", "inner1024", "inner4096",
    )  # fmt: skip
    """Rows: base, big, then what each variant changes."""
    printed_millions: tuple[float, ...] = (65, 213, 58, 60, 36, 50, 80, 28, 168, 53, 90)
    """Parameters as printed; used only for the vocabulary that each row would need."""
    n_layer: tuple[int, ...] = (6, 6, 6, 6, 2, 4, 8, 6, 6, 6, 6)
    """N: blocks of the encoder, and of the decoder."""
    d_model: tuple[int, ...] = (512, 1024, 512, 512, 512, 512, 512, 256, 1024, 512, 512)
    """Width."""
    d_ff: tuple[int, ...] = (2048, 4096, 2048, 2048, 2048, 2048, 2048, 2048, 2048, 1024, 4096)
    """Inner width."""
    n_head: tuple[int, ...] = (8, 16, 8, 8, 8, 8, 8, 8, 8, 8, 8)
    """Heads."""
    d_key: tuple[int, ...] = (64, 64, 16, 32, 64, 64, 64, 32, 128, 64, 64)
    """Key size."""
    d_value: tuple[int, ...] = (64, 64, 64, 64, 64, 64, 64, 32, 128, 64, 64)
    """Value size."""
    vocabulary: int = 37_000
    """Tokens of the shared vocabulary ("about 37000", section 5.1)."""
    embedding_matrices: int = 1
    """Matrices [V, d]: 1 where source, target and output share one (section 3.4), 3 where they do not."""
    attention_biases: bool = False
    """Whether attention projections add a vector."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def blocks(n_layer: int, d: int, d_ff: int, n_head: int, d_key: int, d_value: int, biases: bool) -> int:
    """Count encoder and decoder without embeddings."""
    attention = attention_parameters(d, n_head * d_key, n_head * d_value, biases=biases) + layer_norm_parameters(d)
    feed_forward = feed_forward_parameters(d, d_ff, biases=True) + layer_norm_parameters(d)
    encoder_block = attention + feed_forward
    decoder_block = 2 * attention + feed_forward
    return n_layer * (encoder_block + decoder_block)


def run(config: Config, context: Context) -> dict[str, float]:
    """Count every row.

    Returns:
        `<row>`: parameters.
        `vocabulary_for_<row>`: the vocabulary with which the count would be exactly the printed number.
        `vocabulary_low`, `vocabulary_high`: the vocabularies for which every row but big rounds to its printed number;
        `vocabulary_low_big`, `vocabulary_high_big`: those for which big does. Low above high means that there is none.
    """
    row: dict[str, float] = {}
    low, high = {"": -inf, "_big": -inf}, {"": inf, "_big": inf}
    shapes = zip(config.n_layer, config.d_model, config.d_ff, config.n_head, config.d_key, config.d_value, strict=True)
    for label, printed, shape in zip(config.labels, config.printed_millions, shapes, strict=True):
        d = shape[1]
        without_embedding = blocks(*shape, biases=config.attention_biases)
        row[label] = float(without_embedding + config.embedding_matrices * config.vocabulary * d)
        row[f"vocabulary_for_{label}"] = (printed * 1e6 - without_embedding) / d
        group = "_big" if label == "big" else ""
        low[group] = max(low[group], ceil(((printed - 0.5) * 1e6 - without_embedding) / d))
        high[group] = min(high[group], floor(((printed + 0.5) * 1e6 - without_embedding) / d))
    for group in low:
        row |= {f"vocabulary_low{group}": float(low[group]), f"vocabulary_high{group}": float(high[group])}
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:26} {value:13,.0f}")
