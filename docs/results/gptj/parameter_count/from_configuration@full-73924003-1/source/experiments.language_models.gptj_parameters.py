"""Parameters of GPT-J-6B, counted from its hyperparameters, and whence the printed integer comes.

Sources: README of the authors' repository (kingoflolz/mesh-transformer-jax), table of hyperparameters, which prints 6,053,381,344
parameters; the repository's `mesh_transformer/layers.py` and `configs/6B_roto_256.json` for what the table leaves open. Serves the
claim `gptj/parameter_count`.

A block has one layer norm, and attention and the feed-forward part side by side. Attention has no biases, the feed-forward part and
the output head have; rotary positions have no parameters; the head is a matrix of its own. So with L blocks of width d, inner width f
and vocabulary V

    N = V d + L (2d + 4d² + 2df + f + d) + 2d + (V d + V)

The model is trained in S = 8 shards. Each holds its part of every matrix, but a copy of its own of what is as wide as the model: layer norms,
the bias after the feed-forward part, and a bias after the embedding, which released copies fold into the embedding. Counting
the numbers that the shards hold adds (S − 1) (3 d L + 2d) for the copies and S d for the embedding's biases.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass

from repro.lab.parameters import attention_parameters, feed_forward_parameters, layer_norm_parameters
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """The table of hyperparameters, and the conventions of the count."""

    n_layer: int = 28
    """Blocks, L."""
    d_model: int = 4096
    """Width, d; 16 heads of 256."""
    d_ff: int = 16_384
    """Inner width, f."""
    printed: int = 6_053_381_344
    """The published count; only the reported differences use it."""
    tied: bool = False
    """Whether the output head's matrix is the token embedding."""
    shards: int = 8
    """Parts in which the model is trained, S."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def parameters(config: Config, vocabulary: int, biases: str = "code") -> int:
    """Count N for a vocabulary V.

    Args:
        config: the sizes, and whether the head is tied.
        vocabulary: V.
        biases: `code` as in the authors' code; `none`; or `all`, in attention as well.
    """
    L, d, f = config.n_layer, config.d_model, config.d_ff
    block = (
        attention_parameters(d, d, biases=biases == "all")
        + feed_forward_parameters(d, f, biases=biases != "none")
        + layer_norm_parameters(d)
    )
    head = (0 if config.tied else vocabulary * d) + (0 if biases == "none" else vocabulary)
    return vocabulary * d + L * block + layer_norm_parameters(d) + head


def held_by_shards(config: Config, vocabulary: int) -> int:
    """Count the numbers that all shards together hold: what is as wide as the model stands in each of them."""
    L, d, S = config.n_layer, config.d_model, config.shards
    copied = L * (layer_norm_parameters(d) + d) + layer_norm_parameters(d)
    return parameters(config, vocabulary) + (S - 1) * copied + S * d


def run(config: Config, context: Context) -> dict[str, float]:
    """Count under every convention that the sources leave open.

    Returns:
        `vocabulary_50257`, `vocabulary_50400`: N with the tokenizer's vocabulary, or with the padded one of the code.
        `over_shards`: what the shards hold, with 50,400 (parameters).
        `<each>_difference`: that minus the printed count (parameters).
        `no_biases_<V>_difference`, `all_biases_<V>_difference`, `tied_<V>_difference`: the same under other conventions.
    """
    counted = {"over_shards": held_by_shards(config, 50_400)}
    others: dict[str, int] = {}
    tied = Config(config.n_layer, config.d_model, config.d_ff, tied=True)
    for V in (50_257, 50_400):
        counted[f"vocabulary_{V}"] = parameters(config, V)
        others |= {
            f"{biases}_biases_{V}": parameters(config, V, biases.replace("no", "none")) for biases in ("no", "all")
        }
        others[f"tied_{V}"] = parameters(tied, V)
    differences = {f"{name}_difference": N - config.printed for name, N in (counted | others).items()}
    return {column: float(number) for column, number in (counted | differences).items()}


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:32} {value:15,.0f}")
