"""Parameters of BERT base and large, counted from the configuration.

Paper: Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", arXiv
1810.04805, section 3. Serves the claim `bert/parameter_counts`.

An encoder with token, position and segment embeddings and a layer norm after their sum; blocks with biases, inner width
4d and two layer norms; a pooler [d, d] with bias.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass

from repro.lab.parameters import block_parameters, layer_norm_parameters
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Section 3, and the conventions of the count."""

    n_layer: tuple[int, ...] = (12, 24)
    """Layers of base and large."""
    d_model: tuple[int, ...] = (768, 1024)
    """Width of base and large."""
    vocabulary: int = 30_522
    """Tokens of the released uncased vocabulary; the paper says 30,000."""
    positions: int = 512
    """Learned position vectors."""
    segments: int = 2
    """Segment vectors: sentence A and B."""
    embeddings: bool = True
    """Whether embeddings and their layer norm count."""
    pooler: bool = True
    """Whether the layer above the first token counts."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def encoder(n_layer: int, d: int, vocabulary: int, config: Config) -> int:
    """Count one model."""
    embeddings = (vocabulary + config.positions + config.segments) * d + layer_norm_parameters(d)
    pooler = d * d + d
    return (
        (embeddings if config.embeddings else 0)
        + n_layer * block_parameters(d, 4 * d)
        + (pooler if config.pooler else 0)
    )


def pretraining_heads(d: int, vocabulary: int) -> int:
    """Count what pre-training adds: a transform [d, d] with layer norm, an output bias, and the next-sentence classifier."""
    return d * d + d + layer_norm_parameters(d) + vocabulary + 2 * d + 2


def run(config: Config, context: Context) -> dict[str, float]:
    """Count both models.

    Returns:
        `<model>`: parameters, for `base` and `large`.
        `<model>_vocabulary_30000`: with the vocabulary that the paper names.
        `<model>_with_heads`: with the layers that only pre-training uses.
    """
    row: dict[str, float] = {}
    for model, n_layer, d in zip(("base", "large"), config.n_layer, config.d_model, strict=True):
        total = encoder(n_layer, d, config.vocabulary, config)
        row |= {
            model: float(total),
            f"{model}_vocabulary_30000": float(encoder(n_layer, d, 30_000, config)),
            f"{model}_with_heads": float(total + pretraining_heads(d, config.vocabulary)),
        }
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:24} {value:13,.0f}")
