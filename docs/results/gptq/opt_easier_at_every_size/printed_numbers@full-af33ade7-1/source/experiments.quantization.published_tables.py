"""Perplexities printed by LLM.int8() and GPTQ, one row a model, with the ratios that their sentences are about.

Papers: Dettmers et al. 2022, arXiv 2208.07339, Table 1 (C4, five sizes, 32-bit floats against three kinds of 8-bit integers); Frantar et
al. 2022, arXiv 2210.17323, Table 3 (WikiText2, nine sizes of OPT, 16-bit floats against 4 and 3 bits). Serves the claims
`llm_int8/table1_orderings`, `llm_int8/vector_wise_below_absmax`, `gptq/opt_perplexity` and `gptq/opt_easier_at_every_size`.

A relative loss is ln(perplexity / perplexity in full precision), in nats a token.

Hardware and time: any CPU, milliseconds. Deviations: none; only printed digits enter.
"""

from dataclasses import dataclass
from math import log

from repro.schema.context import Context

LLM_INT8_TABLE_1 = {
    "size": (125e6, 1.3e9, 2.7e9, 6.7e9, 13e9),
    "full": (25.65, 15.91, 14.43, 13.30, 12.45),
    "absmax": (87.76, 16.55, 15.11, 14.59, 19.08),
    "vector_wise": (35.84, 16.82, 14.98, 14.13, 16.48),
    "llm_int8": (25.83, 15.93, 14.44, 13.24, 12.45),
}
"""C4 perplexity by method and size."""

GPTQ_TABLE_3 = {
    "size": (125e6, 350e6, 1.3e9, 2.7e9, 6.7e9, 13e9, 30e9, 66e9, 175e9),
    "full": (27.65, 22.00, 14.63, 12.47, 10.86, 10.13, 9.56, 9.34, 8.34),
    "rounded_4": (37.28, 25.94, 48.17, 16.92, 12.10, 11.32, 10.98, 110.0, 10.54),
    "gptq_4": (31.12, 24.24, 15.47, 12.87, 11.39, 10.31, 9.63, 9.55, 8.37),
    "gptq_3": (53.85, 33.79, 20.97, 16.88, 14.86, 11.61, 10.27, 14.16, 8.68),
}
"""WikiText2 perplexity of OPT by method and size; OPT's sizes are the names of its models."""

TABLES = {"llm_int8": LLM_INT8_TABLE_1, "gptq": GPTQ_TABLE_3}


@dataclass(frozen=True)
class Config:
    """Which table, and which of its models."""

    table: str = "llm_int8"
    """`llm_int8` or `gptq`."""
    without: tuple[float, ...] = ()
    """Sizes left out, in parameters: exceptions that the paper itself names."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a model.

    Columns: `size` (parameters); the perplexity of each method; `loss_<method>`, its relative loss (nats a token); of Table 1
    and `size_of_loss_<method>`, its absolute value.
    """
    if config.table not in TABLES:
        raise ValueError(f"table must be one of {', '.join(TABLES)}, not {config.table!r}")
    rows = []
    for values in zip(*TABLES[config.table].values(), strict=True):
        row = dict(zip(TABLES[config.table], values, strict=True))
        if row["size"] in config.without:
            continue
        losses = {f"loss_{name}": log(row[name] / row["full"]) for name in row if name not in ("size", "full")}
        rows.append(row | losses | {f"size_of_{name}": abs(loss) for name, loss in losses.items()})
    return rows


if __name__ == "__main__":
    for name in TABLES:
        for each in run(Config(table=name), Context()):
            print({key: round(value, 4) for key, value in each.items()})
