"""Parameters and training FLOPs of a GPT under every convention that papers use, each with a name.

The conventions disagree most where models are small: of a model of two blocks of width 16 on bytes, two fifths are embedding.
An exponent of N or C means nothing without the name of its convention. Multiplying a convention's FLOPs a token by the tokens D
gives its C; a training step costs three forward passes (Kaplan et al., arXiv 2001.08361, section 2.1).
"""

from collections.abc import Callable, Mapping

from repro.lab.flops import Pairs, approximate_training_flops, forward_flops, training_flops
from repro.lab.gpt import GPTShape


def with_head(shape: GPTShape) -> int:
    """N without the input embedding and positions but with the head, tied or not (Porian et al., arXiv 2406.19146)."""
    return shape.non_embedding_parameters + shape.vocabulary * shape.d_model


def with_embedding(shape: GPTShape) -> int:
    """N with the input embedding and positions and without a head of its own; a tied head is the embedding."""
    own_head = 0 if shape.tied else shape.vocabulary * shape.d_model
    return shape.parameters - own_head


PARAMETERS: Mapping[str, Callable[[GPTShape], int]] = {
    "total": lambda shape: shape.parameters,
    "non_embedding": lambda shape: shape.non_embedding_parameters,
    "with_head": with_head,
    "with_embedding": with_embedding,
    "block_matrices": lambda shape: shape.block_matrix_parameters,
    "matrices": lambda shape: shape.matrix_parameters,
}
"""N by the name of its convention.

`total` is every trained weight (Hoffmann et al., arXiv 2203.15556); `non_embedding` leaves out embedding, positions and head;
`block_matrices` is 12·L·d², as Kaplan et al. print that count (Equation 2.1); `matrices` adds the head's V·d to it: what is
multiplied for every token.
"""


def _attention(shape: GPTShape, pairs: Pairs) -> float:
    """Training FLOPs a token of queries times keys and weights times values."""
    seen = {"full": float(shape.context), "causal": shape.context / 2, "none": 0.0}[pairs]
    return training_flops(shape.n_layer * 2 * 2 * seen * shape.d_model)


def _six(parameters: str, pairs: Pairs = "none") -> Callable[[GPTShape], float]:
    """6 FLOPs a token for each parameter counted, and attention's products over the pairs counted."""
    return lambda shape: (
        approximate_training_flops(PARAMETERS[parameters](shape), tokens=1.0) + _attention(shape, pairs)
    )


def _exact(pairs: Pairs, *, embedding_product: bool, softmax_per_score: int) -> Callable[[GPTShape], float]:
    """Count the products of one sequence of full length, per token."""

    def count(shape: GPTShape) -> float:
        forward = forward_flops(
            n_layer=shape.n_layer,
            d_model=shape.d_model,
            d_ff=4 * shape.d_model,
            n_head=shape.d_model // shape.d_head,
            d_head=shape.d_head,
            vocabulary=shape.vocabulary,
            length=shape.context,
            embedding_product=embedding_product,
            logits=True,
            pairs=pairs,
            softmax_per_score=softmax_per_score,
        )
        return training_flops(forward.total) / shape.context

    return count


CONVENTIONS: Mapping[str, Callable[[GPTShape], float]] = {
    "six_total": _six("total"),
    "six_non_embedding": _six("non_embedding"),
    "six_with_head": _six("with_head"),
    "six_block_matrices": _six("block_matrices"),
    "block_matrices_causal_attention": _six("block_matrices", "causal"),
    "matrices": _six("matrices"),
    "matrices_causal_attention": _six("matrices", "causal"),
    "matrices_full_attention": _six("matrices", "full"),
    "total_full_attention": _six("total", "full"),
    "exact_causal": _exact("causal", embedding_product=False, softmax_per_score=0),
    "everything": _exact("full", embedding_product=True, softmax_per_score=3),
}
"""Training FLOPs a token, by the name of the convention.

- `six_total`: 6N with N all weights, the C = 6ND of Hoffmann et al. (arXiv 2203.15556).
- `six_non_embedding`, `six_block_matrices`: 6N without embedding and head; the latter is 6·12·L·d², Kaplan et al.'s own C.
- `six_with_head`: 6N without the embedding but with the head (Porian et al., arXiv 2406.19146).
- `block_matrices_causal_attention`: Kaplan et al.'s whole formula, C_forward = 2N + 2·L·S·d (Table 1), of which they dropped the
  second term.
- `matrices`, `matrices_causal_attention`: all products but attention's, and with them: 6·(12·L·d² + V·d) + 6·L·S·d. The latter is
  what the recipes spend.
- `matrices_full_attention`: the same over all S² pairs, which is what a machine computes that masks the scores afterwards.
- `total_full_attention`: 6N + 12·L·S·d, the usual count for utilisation (Chowdhery et al., arXiv 2204.02311, Appendix B).
- `exact_causal`: `matrices_causal_attention` with the diagonal, S(S + 1)/2 pairs instead of S²/2.
- `everything`: the embedding as a product, all pairs, and three operations a score for the softmax (Hoffmann et al., Appendix F).
"""
