from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import yaml

from experiments.code_generation.humaneval_tables import QUOTED, TABLE_1, Config, run
from repro.schema.context import Context

CLAIM = yaml.safe_load((Path(__file__).parents[2] / "conf/claim/codex/humaneval_table1.yaml").read_text())


def rounded(value: float) -> str:
    return str(Decimal(str(value)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def test_what_rounds_to_its_quotation_by_decimal_arithmetic() -> None:
    row = run(Config(), Context())
    agree = {name for name, part in CLAIM["parts"].items() if rounded(row[name]) == part["printed"]}
    assert set(row) - agree == {"abstract_codex_100", "abstract_gpt_j_1", "text_gpt_neo_100"}
    assert set(row) == set(QUOTED) == set(CLAIM["parts"])


def test_the_row_above_misses_every_quotation() -> None:
    row = run(Config(rows_above=1), Context())
    for name, part in CLAIM["parts"].items():
        assert rounded(row[name]) != part["printed"], name
        assert abs(row[name] - float(part["printed"])) > 0.05


def test_more_samples_solve_more_and_larger_codex_solves_more() -> None:
    assert all(one < ten < hundred for one, ten, hundred in TABLE_1.values())
    codex = [scores for name, scores in TABLE_1.items() if name.startswith("codex")]
    assert [sorted(column) for column in zip(*codex, strict=True)] == [
        list(column) for column in zip(*codex, strict=True)
    ]
