"""Are the scores that the Codex paper quotes in its abstract and text those of its own table?

Paper: Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (Codex), arXiv 2107.03374, Table 1 against the abstract
and section 3.4. Serves the claim `codex/humaneval_table1`.

Table 1 has pass@1, pass@10 and pass@100 on HumanEval of models by size, in % with two decimals. Abstract and text quote some of them with
one. A quotation is consistent if the table's value rounds to it.

Hardware and time: any CPU, milliseconds. Deviations: none; only printed digits enter.
"""

from dataclasses import dataclass

from repro.schema.context import Context

TABLE_1 = {
    "gpt_neo_125m": (0.75, 1.88, 2.97),
    "gpt_neo_1300m": (4.79, 7.47, 16.30),
    "gpt_neo_2700m": (6.41, 11.27, 21.37),
    "gpt_j_6b": (11.62, 15.74, 27.74),
    "tabnine": (2.58, 4.35, 7.59),
    "codex_12m": (2.00, 3.62, 8.58),
    "codex_25m": (3.21, 7.1, 12.89),
    "codex_42m": (5.06, 8.8, 15.55),
    "codex_85m": (8.22, 12.81, 22.4),
    "codex_300m": (13.17, 20.37, 36.27),
    "codex_679m": (16.22, 25.7, 40.95),
    "codex_2500m": (21.36, 35.42, 59.5),
    "codex_12b": (28.81, 46.81, 72.31),
}
"""pass@1, pass@10, pass@100 in %, in the table's order. Only the rows of GPT-Neo 2.7B, GPT-J and Codex 300M, 2.5B and 12B were seen in the
paper's text; the others come from notes on it, and no verdict of the claim rests on them: only its control reads one."""

QUOTED = {
    "abstract_codex_1": ("codex_12b", 1),
    "abstract_codex_100": ("codex_12b", 100),
    "abstract_gpt_j_1": ("gpt_j_6b", 1),
    "text_gpt_j_1": ("gpt_j_6b", 1),
    "text_gpt_j_100": ("gpt_j_6b", 100),
    "text_gpt_neo_1": ("gpt_neo_2700m", 1),
    "text_gpt_neo_100": ("gpt_neo_2700m", 100),
}
"""What is quoted, by where: the row of the table, and k."""


@dataclass(frozen=True)
class Config:
    """Where in the table a quoted score is looked up."""

    rows_above: int = 0
    """0 for the row of the model itself; 1 for the one above it, as if a reader's eye had slipped."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return Table 1's pass@k, in %, for every quotation of `QUOTED`."""
    models = list(TABLE_1)
    column = {1: 0, 10: 1, 100: 2}
    return {
        name: TABLE_1[models[models.index(model) - config.rows_above]][column[k]] for name, (model, k) in QUOTED.items()
    }


if __name__ == "__main__":
    for name, value in run(Config(), Context()).items():
        print(f"{name:20} {value:.2f}")
