"""The projections of Table 3 and Table A3, each row against C = 6ND and each column against its order.

Paper: Hoffmann et al., arXiv 2203.15556, Table 3 (Approach 1) and Table A3 (Approaches 2 and 3): estimated optimal
training FLOPs and tokens for nine model sizes. Serves the claims `chinchilla/table3_projections` and
`chinchilla/table_a3_projections`.

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass
from itertools import pairwise

from repro.lab.flops import approximate_training_flops
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Both tables as printed, one value a model size, smallest size first."""

    labels: tuple[str, ...] = ("400M", "1B", "10B", "67B", "175B", "280B", "520B", "1T", "10T")
    """Model sizes as printed."""
    params: tuple[float, ...] = (4e8, 1e9, 1e10, 6.7e10, 1.75e11, 2.8e11, 5.2e11, 1e12, 1e13)
    """N."""
    table3_flops: tuple[float, ...] = (
        1.92e19, 1.21e20, 1.23e22, 5.76e23, 3.85e24, 9.90e24, 3.43e25, 1.27e26, 1.30e28,
    )  # fmt: skip
    """C of Approach 1, FLOPs."""
    table3_tokens: tuple[float, ...] = (8.0e9, 20.2e9, 205.1e9, 1.5e12, 3.7e12, 5.9e12, 11.0e12, 21.2e12, 216.2e12)
    """D of Approach 1."""
    approach2_flops: tuple[float, ...] = (
        1.84e19, 1.20e20, 1.32e22, 6.88e23, 4.54e24, 1.18e25, 4.19e25, 1.59e26, 1.75e28,
    )  # fmt: skip
    """C of Approach 2, FLOPs."""
    approach2_tokens: tuple[float, ...] = (7.7e9, 20.0e9, 219.5e9, 1.7e12, 4.3e12, 7.1e12, 13.4e12, 26.5e12, 292.0e12)
    """D of Approach 2."""
    approach3_flops: tuple[float, ...] = (
        2.21e19, 1.62e20, 2.46e22, 1.71e24, 1.26e24, 3.52e25, 1.36e26, 5.65e26, 8.55e28,
    )  # fmt: skip
    """C of Approach 3, FLOPs."""
    approach3_tokens: tuple[float, ...] = (
        9.2e9, 27.1e9, 410.1e9, 4.1e12, 12.0e12, 20.1e12, 43.5e12, 94.1e12, 1425.5e12,
    )  # fmt: skip
    """D of Approach 3."""
    gopher_flops: float = 5.76e23
    """Gopher's training compute, the unit of Table 3's third column, FLOPs."""
    flops_per_parameter_token: float = 6.0
    """FLOPs a parameter and token: 6 for training, 2 for the forward pass alone."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def grows(values: tuple[float, ...]) -> float:
    """Return 1 if every value is larger than the one before it, else 0."""
    return float(all(first < second for first, second in pairwise(values)))


def run(config: Config, context: Context) -> dict[str, float]:
    """Recompute the tables row by row.

    Returns:
        For `table3`, `approach2` and `approach3`, and every size:
        `<table>_flops_<size>`: 6ND (FLOPs); `<table>_printed_over_6nd_<size>`: printed FLOPs over it;
        `<table>_tokens_per_parameter_<size>`: D/N.
        `<table>_flops_grow`, `<table>_tokens_grow`: 1 if the printed column grows with size, else 0.
        `table3_gopher_over_flops_<size>` up to Gopher's compute, and `table3_flops_over_gopher_<size>` above it:
        the multiple of Gopher's compute that the printed FLOPs make.
    """
    row: dict[str, float] = {}
    tables = {
        "table3": (config.table3_flops, config.table3_tokens),
        "approach2": (config.approach2_flops, config.approach2_tokens),
        "approach3": (config.approach3_flops, config.approach3_tokens),
    }
    for table, (flops, tokens) in tables.items():
        row |= {f"{table}_flops_grow": grows(flops), f"{table}_tokens_grow": grows(tokens)}
        for label, N, C, D in zip(config.labels, config.params, flops, tokens, strict=True):
            counted = approximate_training_flops(N, D, config.flops_per_parameter_token)
            row[f"{table}_flops_{label}"] = counted
            row[f"{table}_printed_over_6nd_{label}"] = C / counted
            row[f"{table}_tokens_per_parameter_{label}"] = D / N
    for label, C in zip(config.labels, config.table3_flops, strict=True):
        if config.gopher_flops > C:
            row[f"table3_gopher_over_flops_{label}"] = config.gopher_flops / C
        else:
            row[f"table3_flops_over_gopher_{label}"] = C / config.gopher_flops
    return row


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:40} {value:.5g}")
