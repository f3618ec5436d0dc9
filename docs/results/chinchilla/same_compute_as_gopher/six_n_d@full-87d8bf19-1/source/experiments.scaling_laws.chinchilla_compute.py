"""Whether Gopher and Chinchilla cost the same compute.

Paper: Hoffmann et al., arXiv 2203.15556, abstract, section 4 and Appendix F: Gopher (280B parameters, 300B tokens) and
Chinchilla (70B, 1.4T) used 5.76e23 FLOPs each; a finer count gives 6.3e23. Serves the claim
`chinchilla/same_compute_as_gopher`.

Each model is counted as C = 6ND, and beside it by the formula of Appendix F on its printed shape.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass

from repro.lab.flops import approximate_training_flops, forward_flops, training_flops
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Sizes, tokens and shapes of both models (Tables 1 and 4)."""

    gopher_params: float = 2.8e11
    """N of Gopher."""
    gopher_tokens: float = 3e11
    """D of Gopher."""
    chinchilla_params: float = 7e10
    """N of Chinchilla."""
    chinchilla_tokens: float = 1.4e12
    """D of Chinchilla."""
    gopher_shape: tuple[int, ...] = (80, 16384, 128, 128)
    """Layers, width, heads, key size."""
    chinchilla_shape: tuple[int, ...] = (80, 8192, 64, 128)
    """Layers, width, heads, key size."""
    vocabulary: int = 32_000
    """Tokens of the vocabulary."""
    length: int = 2048
    """Tokens in a sequence."""
    flops_per_parameter_token: float = 6.0
    """FLOPs a parameter and token: 6 for training, 2 for the forward pass alone."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def appendix_f_flops(shape: tuple[int, ...], tokens: float, config: Config) -> float:
    """Return training FLOPs by Appendix F as printed, embedding and logits included."""
    n_layer, d_model, n_head, d_head = shape
    forward = forward_flops(
        n_layer=n_layer,
        d_model=d_model,
        d_ff=4 * d_model,
        n_head=n_head,
        d_head=d_head,
        vocabulary=config.vocabulary,
        length=config.length,
        embedding_product=True,
        logits=True,
    )
    return training_flops(forward.total) * tokens / config.length


def run(config: Config, context: Context) -> dict[str, float]:
    """Count the training compute of both models.

    Returns:
        `gopher_flops`, `chinchilla_flops`: 6ND (FLOPs); `chinchilla_over_gopher`: their ratio.
        `gopher_appendix_f_flops`, `chinchilla_appendix_f_flops`, `chinchilla_over_gopher_appendix_f`: the same by
        Appendix F.
    """
    gopher = approximate_training_flops(config.gopher_params, config.gopher_tokens, config.flops_per_parameter_token)
    chinchilla = approximate_training_flops(
        config.chinchilla_params, config.chinchilla_tokens, config.flops_per_parameter_token
    )
    gopher_fine = appendix_f_flops(config.gopher_shape, config.gopher_tokens, config)
    chinchilla_fine = appendix_f_flops(config.chinchilla_shape, config.chinchilla_tokens, config)
    return {
        "gopher_flops": gopher,
        "chinchilla_flops": chinchilla,
        "chinchilla_over_gopher": chinchilla / gopher,
        "gopher_appendix_f_flops": gopher_fine,
        "chinchilla_appendix_f_flops": chinchilla_fine,
        "chinchilla_over_gopher_appendix_f": chinchilla_fine / gopher_fine,
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:36} {value:.4g}")
