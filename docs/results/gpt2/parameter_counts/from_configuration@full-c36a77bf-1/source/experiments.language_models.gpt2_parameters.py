"""Parameters of GPT-2's four sizes, counted from the configuration.

Paper: Radford et al., "Language Models are Unsupervised Multitask Learners", OpenAI report, 2019, Table 2. Serves the
claim `gpt2/parameter_counts`.

A pre-norm decoder with learned positions, biases, inner width 4d, a final layer norm, and an output head that is the
token embedding. The same four counts are compared with three published series: the sizes of the released tensors, the
corrected names (124M, ...), and the names printed in Table 2 (117M, ...). Beside them stand the vocabularies with which
the counts would round to the printed names.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass
from math import ceil, floor, inf

from repro.lab.parameters import decoder_parameters
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Table 2, and the conventions of the count."""

    n_layer: tuple[int, ...] = (12, 24, 36, 48)
    """Layers."""
    d_model: tuple[int, ...] = (768, 1024, 1280, 1600)
    """Width."""
    printed: tuple[str, ...] = ("117M", "345M", "762M", "1542M")
    """Names of Table 2, in millions of parameters."""
    corrected: tuple[str, ...] = ("124M", "355M", "774M", "1558M")
    """Names that the authors' repository uses since."""
    vocabulary: int = 50_257
    """Tokens of the vocabulary."""
    context: int = 1024
    """Learned position vectors."""
    tied: bool = True
    """Whether the output head is the token embedding; False counts a second matrix [d, V]."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Count all parameters of each size.

    Returns:
        `released_<corrected name>`, `corrected_<corrected name>`, `printed_<printed name>`: the count, once for each
        published figure that it is compared with.
        `vocabulary_low`, `vocabulary_high`: the vocabularies for which, all else equal, every count rounds to its printed
        name; low above high means that there is none.
    """
    row: dict[str, float] = {}
    low, high = -inf, inf
    for n_layer, d, printed, corrected in zip(
        config.n_layer, config.d_model, config.printed, config.corrected, strict=True
    ):
        total = decoder_parameters(n_layer, d, config.vocabulary, config.context, tied=config.tied).total
        row |= {f"released_{corrected}": total, f"corrected_{corrected}": total, f"printed_{printed}": total}
        without_tokens = decoder_parameters(n_layer, d, 0, config.context).total
        name = float(printed.removesuffix("M"))
        low = max(low, ceil(((name - 0.5) * 1e6 - without_tokens) / d))
        high = min(high, floor(((name + 0.5) * 1e6 - without_tokens) / d))
    row |= {"vocabulary_low": low, "vocabulary_high": high}
    return {column: float(count) for column, count in row.items()}


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:20} {value:15,.0f}")
