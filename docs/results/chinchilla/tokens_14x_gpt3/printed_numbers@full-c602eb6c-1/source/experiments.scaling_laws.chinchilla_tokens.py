"""How many tokens a compute-optimal model of GPT-3's size needs, as the text, two tables and a rule of thumb say.

Paper: Hoffmann et al., arXiv 2203.15556, section 3.4, against its Table 3 and Table A3, and GPT-3's 300B training tokens
(Table 1). Serves the claim `chinchilla/tokens_14x_gpt3`.

Hardware and time: any CPU, milliseconds. Deviations: the factor 14 is 4.2T over 300B; the paper does not print it.
"""

from dataclasses import dataclass

from repro.lab.flops import approximate_training_flops
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What the paper prints about models of 175B, 280B and 1T parameters."""

    params: float = 1.75e11
    """N of GPT-3."""
    gpt3_tokens: float = 3e11
    """Tokens that GPT-3 was trained on (Table 1)."""
    text_flops: float = 4.41e24
    """C for 175B parameters (section 3.4), FLOPs."""
    text_tokens: float = 4.2e12
    """"Over" so many tokens for 175B parameters (section 3.4)."""
    table3_tokens: float = 3.7e12
    """D for 175B in Table 3 (Approach 1)."""
    approach2_tokens: float = 4.3e12
    """D for 175B in Table A3."""
    approach3_tokens: float = 12.0e12
    """D for 175B in Table A3."""
    tokens_per_parameter: float = 20.0
    """The rule of thumb."""
    trillion_flops: float = 1e26
    """Compute below which a 1T model is unlikely to be optimal (section 3.4), FLOPs."""
    table3_trillion_flops: float = 1.27e26
    """C for 1T in Table 3, FLOPs."""
    approach2_trillion_flops: float = 1.59e26
    """C for 1T in Table A3, Approach 2, FLOPs."""
    gopher_flops: float = 5.76e23
    """Gopher's training compute, FLOPs."""
    text_280b: tuple[float, ...] = (1e25, 6.8e12)
    """C ("about") and D for 280B parameters (section 3.4)."""
    flops_per_parameter_token: float = 6.0
    """FLOPs a parameter and token: 6 for training, 2 for the forward pass alone."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Compare every statement of the paper on the same three models.

    Returns:
        `times_gpt3_<source>`: tokens for 175B over GPT-3's tokens, by `text`, `text_flops` (C/6N), `table3`, `approach2`,
        `approach3` and `twenty_per_parameter`.
        `gopher_multiple_1t_text`, `_table3`, `_approach2`: compute of the 1T model over Gopher's.
        `flops_1t_table3`, `flops_1t_for_250_gophers`: FLOPs.
        `text_6nd_over_c_280b`: 6ND of the text's 280B model over the C it states.
    """
    N = config.params
    tokens = {
        "text": config.text_tokens,
        "text_flops": config.text_flops / (config.flops_per_parameter_token * N),
        "table3": config.table3_tokens,
        "approach2": config.approach2_tokens,
        "approach3": config.approach3_tokens,
        "twenty_per_parameter": config.tokens_per_parameter * N,
    }
    C_280b, D_280b = config.text_280b
    return {f"times_gpt3_{source}": D / config.gpt3_tokens for source, D in tokens.items()} | {
        "gopher_multiple_1t_text": config.trillion_flops / config.gopher_flops,
        "gopher_multiple_1t_table3": config.table3_trillion_flops / config.gopher_flops,
        "gopher_multiple_1t_approach2": config.approach2_trillion_flops / config.gopher_flops,
        "flops_1t_table3": config.table3_trillion_flops,
        "flops_1t_for_250_gophers": 250 * config.gopher_flops,
        "text_6nd_over_c_280b": approximate_training_flops(2.8e11, D_280b, config.flops_per_parameter_token) / C_280b,
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:36} {value:.4g}")
