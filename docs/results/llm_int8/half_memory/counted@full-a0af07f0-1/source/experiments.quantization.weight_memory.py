"""Bytes of a language model's weights with LLM.int8(), over those with 16-bit floats.

Paper: Dettmers et al. 2022 (LLM.int8()), arXiv 2208.07339, abstract. Serves the claim `llm_int8/half_memory`.

A decoder as GPT-3's: in each of L layers query, key, value and output [d, d] and two feed-forward matrices [d, 4d], which take 8 bits
a weight and one scale a column; biases, norms, token embedding (tied to the head) and positions stay in 16 bits. The rows of
outlier features are held in 16 bits as well.

Hardware and time: any CPU, milliseconds. Deviations: weights alone, without activations and caches.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Shape of the model, and what is kept beside the integers."""

    n_layer: int = 96
    """Layers, L."""
    d_model: int = 12_288
    """Width, d."""
    vocabulary: int = 50_257
    """Tokens in the vocabulary."""
    context: int = 2048
    """Learned position vectors."""
    weight_bytes: int = 1
    """Of a quantized weight."""
    scale_bytes: int = 4
    """Of the scale of a column."""
    outliers: int = 7
    """Outlier features, the same in every layer."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Count; return `ratio` (bytes over bytes), `gigabytes_16` and `gigabytes_8` (10⁹ bytes), `embedding_share` (of the weights)."""
    d, layers = config.d_model, config.n_layer
    matrices = 12 * d * d * layers
    columns = (3 * d + d + 4 * d + d) * layers
    vectors = (
        columns + 4 * d * layers + 2 * d
    )  # a bias for each column; gain and bias of two norms a layer, and of the last
    embeddings = (config.vocabulary + config.context) * d
    rows_apart = config.outliers * (3 * d + 4 * d) * layers  # of the matrices that read the residual stream
    full = 2 * (matrices + vectors + embeddings)
    quantized = matrices * config.weight_bytes + columns * config.scale_bytes + 2 * (rows_apart + vectors + embeddings)
    return {
        "ratio": quantized / full,
        "gigabytes_16": full / 1e9,
        "gigabytes_8": quantized / 1e9,
        "embedding_share": 2 * embeddings / full,
    }


if __name__ == "__main__":
    for n_layer, d_model in ((12, 768), (24, 2048), (32, 4096), (40, 5140), (96, 12_288)):
        print(n_layer, d_model, run(Config(n_layer=n_layer, d_model=d_model), Context()))
