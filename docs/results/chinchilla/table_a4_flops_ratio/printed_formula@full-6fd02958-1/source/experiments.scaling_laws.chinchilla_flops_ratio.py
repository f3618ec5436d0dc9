"""Exact training FLOPs over 6ND for six model shapes, under a stated bookkeeping.

Paper: Hoffmann et al., arXiv 2203.15556, Appendix F and Table A4. Serves the claim `chinchilla/table_a4_flops_ratio`.

Appendix F counts, for one forward pass over S tokens: the embedding as a product with one-hot vectors, 2SVd; a layer's
query, key and value projections, scores, softmax (3 operations a score), weighted values and output projection; the
feed-forward part; and the logits, 2SdV. The backward pass costs twice the forward one. How N was counted is not stated.

The defaults are the formula as printed. Beside the ratios asked for, the recipe counts how many bookkeepings of a fixed
list meet all six printed ratios: embedding FLOPs or not; logit FLOPs or not; 4 or 5 attention projections in the FLOPs
(a fifth would project relative positions); all query-key pairs, the causal half, or none; 4 or 5 projections in N; no,
one or two embedding matrices in N.

Hardware and time: any CPU, milliseconds. Deviations: none in the formula.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

from repro.lab.flops import approximate_training_flops, forward_flops, training_flops
from repro.lab.parameters import attention_parameters, feed_forward_parameters
from repro.schema.context import Context

PRINTED = {"73M": 1.03, "305M": 1.10, "552M": 1.08, "1100M": 1.04, "1600M": 1.03, "6800M": 0.99}
"""Table A4, last column; enters only the list of bookkeepings, the targets stand in the claim."""


@dataclass(frozen=True)
class Config:
    """The shapes of Table A4 and the bookkeeping."""

    labels: tuple[str, ...] = ("73M", "305M", "552M", "1100M", "1600M", "6800M")
    """Models as named in Table A4."""
    n_layer: tuple[int, ...] = (10, 20, 24, 26, 28, 40)
    """Layers."""
    d_model: tuple[int, ...] = (640, 1024, 1280, 1792, 2048, 3584)
    """Width."""
    d_ff: tuple[int, ...] = (2560, 4096, 5120, 7168, 8192, 14336)
    """Inner width of the feed-forward part."""
    n_head: tuple[int, ...] = (10, 16, 10, 14, 16, 28)
    """Heads."""
    d_head: tuple[int, ...] = (64, 64, 128, 128, 128, 128)
    """Key size and value size."""
    vocabulary: int = 32_000
    """Tokens of the vocabulary, V."""
    length: int = 2048
    """Tokens in a sequence, S."""
    embedding_flops: bool = True
    """Count the token embedding as a matrix product."""
    logit_flops: bool = True
    """Count the product with the output matrix."""
    flops_projections: int = 4
    """Attention projections a layer in the FLOPs."""
    pairs: str = "full"
    """Query-key pairs: `full`, `causal` or `none`."""
    backward_per_forward: float = 2.0
    """FLOPs of the backward pass over those of the forward pass."""
    params_projections: int = 5
    """Attention projections a layer in N; the fifth is that of relative positions."""
    params_embeddings: int = 1
    """Matrices [V, d] in N: 1 where embedding and output share one."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


Shape = tuple[int, int, int, int, int]
"""Layers, width, inner width, heads, key size."""


def count_params(shape: Shape, vocabulary: int, projections: int, embeddings: int) -> int:
    """Return N: the matrices of all layers, and `embeddings` matrices [V, d]."""
    n_layer, d_model, d_ff, n_head, d_head = shape
    attention = attention_parameters(d_model, n_head * d_head, biases=False, relative_positions=projections == 5)
    layer = attention + feed_forward_parameters(d_model, d_ff, biases=False)
    return n_layer * layer + embeddings * vocabulary * d_model


def flops_ratio(shape: Shape, config: Config, **bookkeeping: Any) -> float:
    """Return exact training FLOPs over 6ND; `bookkeeping` replaces fields of the config of the same name."""
    chosen = {**vars(config), **bookkeeping}
    n_layer, d_model, d_ff, n_head, d_head = shape
    forward = forward_flops(
        n_layer=n_layer,
        d_model=d_model,
        d_ff=d_ff,
        n_head=n_head,
        d_head=d_head,
        vocabulary=config.vocabulary,
        length=config.length,
        embedding_product=chosen["embedding_flops"],
        logits=chosen["logit_flops"],
        projections=chosen["flops_projections"],
        pairs=chosen["pairs"],
    )
    N = count_params(shape, config.vocabulary, chosen["params_projections"], chosen["params_embeddings"])
    exact = training_flops(forward.total, config.backward_per_forward)
    return exact / approximate_training_flops(N, config.length)


def bookkeepings() -> list[dict[str, Any]]:
    """Return every combination of the conventions listed above, 144 in all."""
    options: dict[str, tuple[Any, ...]] = {
        "embedding_flops": (False, True),
        "logit_flops": (False, True),
        "flops_projections": (4, 5),
        "pairs": ("full", "causal", "none"),
        "params_projections": (4, 5),
        "params_embeddings": (0, 1, 2),
    }
    return [dict(zip(options, choice, strict=True)) for choice in product(*options.values())]


def run(config: Config, context: Context) -> dict[str, float]:
    """Count FLOPs and parameters of every shape.

    Returns:
        `ratio_<model>`: exact FLOPs over 6ND.
        `params_<model>`: N as counted, in millions.
        `bookkeepings_tried`; `bookkeepings_that_fit`: how many of them round to all six printed ratios;
        `models_met`: ratios that this bookkeeping meets.
    """
    columns = (config.n_layer, config.d_model, config.d_ff, config.n_head, config.d_head)
    shapes: dict[str, Shape] = dict(zip(config.labels, zip(*columns, strict=True), strict=True))

    def met(**bookkeeping: Any) -> int:
        """Count printed ratios within half a unit of their last digit."""
        return sum(abs(flops_ratio(shapes[m], config, **bookkeeping) - r) <= 0.005 for m, r in PRINTED.items())

    row = {f"ratio_{model}": flops_ratio(shape, config) for model, shape in shapes.items()}
    for model, shape in shapes.items():
        N = count_params(shape, config.vocabulary, config.params_projections, config.params_embeddings)
        row[f"params_{model}"] = N / 1e6
    tried = bookkeepings()
    return row | {
        "models_met": float(met()),
        "bookkeepings_tried": float(len(tried)),
        "bookkeepings_that_fit": float(sum(met(**bookkeeping) == len(PRINTED) for bookkeeping in tried)),
    }


if __name__ == "__main__":
    printed_formula = run(Config(), Context())
    without_embeddings = run(Config(embedding_flops=False, logit_flops=False), Context())
    for column, value in printed_formula.items():
        print(f"{column:24} {value:10.4f} {without_embeddings[column]:10.4f}")
