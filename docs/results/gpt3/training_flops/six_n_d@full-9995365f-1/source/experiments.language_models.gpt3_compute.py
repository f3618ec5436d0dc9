"""Parameters and training compute of GPT-3's eight sizes.

Paper: Brown et al., "Language Models are Few-Shot Learners", arXiv 2005.14165, Tables 2.1 and D.1. Serves the claims
`gpt3/training_flops` and `gpt3/parameter_counts`.

Training compute is 6ND with the printed N and 300B tokens; a petaFLOP/s-day is 8.64e19 FLOPs. Parameters are counted
from layers and width as for GPT-2: learned positions, biases, inner width 4d, tied head.

Hardware and time: any CPU, milliseconds. Deviations: the alternating dense and sparse attention of the paper changes no
parameter and no term of 6ND.
"""

from dataclasses import dataclass

from repro.lab.flops import PETAFLOP_S_DAY, approximate_training_flops
from repro.lab.parameters import decoder_parameters
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Tables 2.1 and D.1, and the conventions of the count."""

    labels: tuple[str, ...] = ("125M", "356M", "760M", "1320M", "2650M", "6660M", "12850M", "174600M")
    """Models by their parameters in Table D.1."""
    params: tuple[float, ...] = (125e6, 356e6, 760e6, 1320e6, 2650e6, 6660e6, 12850e6, 174600e6)
    """N in Table D.1."""
    tokens: float = 3e11
    """Training tokens, D, of every model."""
    n_layer: tuple[int, ...] = (12, 24, 24, 24, 32, 32, 40, 96)
    """Layers."""
    d_model: tuple[int, ...] = (768, 1024, 1536, 2048, 2560, 4096, 5140, 12288)
    """Width as printed."""
    n_head: tuple[int, ...] = (12, 16, 16, 24, 32, 32, 40, 96)
    """Heads."""
    d_head: tuple[int, ...] = (64, 64, 96, 128, 80, 128, 128, 128)
    """Size of a head."""
    vocabulary: int = 50_257
    """Tokens of the vocabulary."""
    context: int = 2048
    """Learned position vectors."""
    flops_per_parameter_token: float = 6.0
    """FLOPs a parameter and token: 6 for training, 2 for the forward pass alone."""
    count: str = "total"
    """`total`, or `non_embedding`: without token and position embeddings, as Kaplan et al. count."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Count compute and parameters of each size.

    Returns:
        `flops_<model>`: 6ND (FLOPs); `pf_days_<model>`: the same in petaFLOP/s-days.
        `params_<model>`: parameters counted with attention as wide as the model.
        `head_width_<model>`: heads × head size, which the paper sets equal to the width.
        `params_<model>_by_heads`: parameters with heads × head size as the width of attention, where it differs.
        `params_<model>_width_by_heads`: parameters with heads × head size as the width d, where it differs.
    """
    row: dict[str, float] = {}
    shapes = zip(config.n_layer, config.d_model, config.n_head, config.d_head, strict=True)
    for label, N, (n_layer, d, n_head, d_head) in zip(config.labels, config.params, shapes, strict=True):
        flops = approximate_training_flops(N, config.tokens, config.flops_per_parameter_token)
        counted = decoder_parameters(n_layer, d, config.vocabulary, config.context)
        row |= {
            f"flops_{label}": flops,
            f"pf_days_{label}": flops / PETAFLOP_S_DAY,
            f"params_{label}": float({"total": counted.total, "non_embedding": counted.non_embedding}[config.count]),
            f"head_width_{label}": float(n_head * d_head),
        }
        if n_head * d_head != d:
            by_heads = decoder_parameters(n_layer, d, config.vocabulary, config.context, d_attention=n_head * d_head)
            width_by_heads = decoder_parameters(n_layer, n_head * d_head, config.vocabulary, config.context)
            row[f"params_{label}_by_heads"] = float(by_heads.total)
            row[f"params_{label}_width_by_heads"] = float(width_by_heads.total)
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:32} {value:.5g}")
