import csv
import os
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from experiments.trends import dataset_sizes, gpu_price_performance, model_estimates, model_growth, rates_recomputed
from repro.catalog.estimators import estimate
from repro.catalog.load import load_claim, load_dataset, load_study
from repro.judge.rule import judge
from repro.judge.seal import seal
from repro.schema.context import Context
from repro.schema.dataset import find
from trial_records import make_record

MODEL_COLUMNS = [
    "Model",
    "Publication date",
    "Domain",
    "Notability criteria",
    "Training compute (FLOP)",
    "Training dataset size (datapoints)",
    "Training compute cost (2023 USD)",
]
MODELS = [
    ("A", "2012-01-01", "Vision", "Highly cited", "1e15", "1e6", "10"),
    ("B", "2014-07-02", "Language", "Highly cited", "1e17", "1e8", ""),
    ("C", "2014-07-02", "Language,Vision", "SOTA", "1e16", "0", "30"),
    ("D", "2016-01-01", "Language", "", "1e20", "1e9", "99"),
    ("E", "2017-01-01", "Language", "SOTA", "", "1e10", "5"),
]
CHIP_COLUMNS = list(gpu_price_performance.COLUMNS)
CHIPS = [
    ("X 1", "NVIDIA", "GPU", "2007-03-05", "$1,000.00", "1e12", ""),
    ("X 1 again", "NVIDIA", "GPU", "2007-04-01", "1000", "1e12", ""),
    ("X 2", "NVIDIA", "GPU", "2007-03-20", "500", "2e12", "4e12"),
    ("Y", "AMD", "GPU", "2010-06-01", "250", "5e12", "1e11"),
    ("CPU", "Intel", "CPU", "2010-06-01", "250", "5e12", ""),
    ("Late", "AMD", "GPU", "2023-06-01", "250", "5e13", ""),
    ("Unpriced", "AMD", "GPU", "2012-06-01", "", "5e12", ""),
]


def write(path: Path, columns: list[str], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


@pytest.fixture
def models(tmp_path: Path):
    def context(rows=MODELS, columns=MODEL_COLUMNS) -> Context:
        return Context(files={"epoch_models_2025_02": write(tmp_path / "models.csv", columns, rows)})

    return context


@pytest.fixture
def chips(tmp_path: Path):
    def context(rows=CHIPS, columns=CHIP_COLUMNS) -> Context:
        index = write(
            tmp_path / "index.csv", ["observation_date", "X"], [("2007-01-01", "50"), ("2021-12-01", "100"), ()]
        )
        return Context(
            files={
                "epoch_chips_2025_06": write(tmp_path / "chips.csv", columns, rows),
                "epoch_ml_hardware_2026_04": write(tmp_path / "ml.csv", CHIP_COLUMNS, CHIPS[2:3]),
                "fred_ppi_hosting": index,
            }
        )

    return context


@pytest.mark.parametrize(
    ("text", "year"), [("2024-01-01", 2024.0), ("2024-07-02", 2024.5), ("2023-07-02", 2023 + 182 / 365)]
)
def test_a_date_is_a_year_with_its_fraction(text: str, year: float) -> None:
    assert model_growth.decimal_year(text) == pytest.approx(year)
    assert gpu_price_performance.decimal_year(date.fromisoformat(text)) == pytest.approx(year)


def test_rows_are_notable_models_that_have_the_quantity(models) -> None:
    rows = model_growth.run(model_growth.Config(), models())
    assert [(row["model"], row["value"]) for row in rows] == [(2, 1e15), (3, 1e17), (4, 1e16)]
    assert [(row["language"], row["language_only"]) for row in rows] == [(0, 0), (1, 1), (1, 0)]
    assert [row["rank"] for row in rows] == [1, 1, 2]
    assert len(model_growth.run(model_growth.Config(notable_only=False), models())) == 4
    assert [row["model"] for row in model_growth.run(model_growth.Config(quantity="cost"), models())] == [2, 4, 6]


def test_an_unknown_size_written_as_zero_is_none(models) -> None:
    assert [row["value"] for row in model_growth.run(model_growth.Config(quantity="dataset"), models())] == [
        1e6,
        1e8,
        1e10,
    ]


def test_shuffled_dates_keep_dates_and_values(models) -> None:
    straight = model_growth.run(model_growth.Config(), models())
    shuffled, again = (
        model_growth.run(model_growth.Config(shuffle_dates=True, seed=seed), models()) for seed in (0, 1)
    )
    assert shuffled == again
    for column in ("year", "value"):
        assert sorted(row[column] for row in shuffled) == sorted(row[column] for row in straight)
    other = model_growth.run(model_growth.Config(shuffle_dates=True, shuffle_seed=3), models())
    assert any(run != straight for run in (shuffled, other))


def test_the_rank_counts_larger_models_published_up_to_the_day() -> None:
    years = np.array([2010.0, 2011.0, 2012.0, 2012.0, 2013.0])
    compute = np.array([5.0, 3.0, 9.0, np.nan, 4.0])
    assert model_growth.rank_at_release(years, compute).tolist() == [1, 2, 1, 1e9, 3]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*MODELS, MODELS[0]], "'A' of 2012-01-01 twice, in lines 2 and 7"),
        ([("A", "2012-01-01", "Vision", "SOTA", "much", "", "")], "must be a number, got 'much'"),
        ([("A", "2012-01-01", "Vision", "SOTA", "-1e15", "", "")], "must be positive and finite"),
        ([], "must have the columns"),
    ],
)
def test_a_bad_table_of_models_is_refused(rows, message: str, models) -> None:
    with pytest.raises(ValueError, match=message):
        model_growth.run(model_growth.Config(), models(rows))


def test_a_missing_column_or_quantity_is_named(models) -> None:
    with pytest.raises(ValueError, match="lacks 'Domain'"):
        model_growth.run(model_growth.Config(), models(columns=[c.replace("Domain", "Field") for c in MODEL_COLUMNS]))
    with pytest.raises(ValueError, match="quantity must be one of"):
        model_growth.run(model_growth.Config(quantity="params"), models())


def test_one_row_a_chip_and_the_best_of_each_month(chips) -> None:
    rows = gpu_price_performance.run(gpu_price_performance.Config(), chips())
    assert [(row["all"], row["ml"]) for row in rows] == [(1, 0), (1, 0), (1, 0), (0, 1)]
    assert [row["fp32"] for row in rows] == pytest.approx([1e9, 4e9, 2e10, 4e9])
    assert [row["flops32"] for row in rows] == [1e12, 2e12, 5e12, 2e12]
    assert [row["top"] for row in rows] == [0, 1, 1, 0]
    # Y's FP16 is fifty times below its FP32; the ML table's FP16 does not count.
    assert [(row["has_fp16"], row["fp16"]) for row in rows] == [(0, 0), (1, 8e9), (0, 0), (0, 0)]


def test_deflated_prices_and_reversed_time(chips) -> None:
    plain, deflated, backwards = (
        gpu_price_performance.run(replace(gpu_price_performance.Config(), **changed), chips())
        for changed in ({}, {"deflate": True}, {"reverse_time": True})
    )
    level = np.interp(plain[0]["year"], [2007.0, 2021 + 334 / 365], [50.0, 100.0])
    assert deflated[0]["fp32"] == pytest.approx(plain[0]["fp32"] * level / 100)
    assert [row["year"] for row in backwards] == pytest.approx([4028 - row["year"] for row in plain])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("Z", "AMD", "GPU", "2010-06-01", "-250", "5e12", ""), "'Z': release price must be positive"),
        (("Z", "AMD", "GPU", "2010-06-01", "0", "5e12", ""), "'Z': release price must be positive"),
        (("Z", "AMD", "GPU", "2010-06-01", "cheap", "5e12", ""), "'Z': release price must be a number"),
        (("Z", "AMD", "GPU", "2010-06-01", "250", "-5e12", ""), "'Z': FP32 must be positive"),
    ],
)
def test_a_bad_chip_is_refused(row, message: str, chips) -> None:
    with pytest.raises(ValueError, match=message):
        gpu_price_performance.run(gpu_price_performance.Config(), chips([*CHIPS, row]))


def test_a_missing_price_column_is_named(chips) -> None:
    with pytest.raises(ValueError, match="lacks 'Release price"):
        gpu_price_performance.run(
            gpu_price_performance.Config(), chips(columns=[c.replace("Release price", "Price") for c in CHIP_COLUMNS])
        )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("s", "2011-01-01", "-5")], "must be positive and finite"),
        ([("s", "2011-01-01", "nan")], "must be positive and finite"),
        ([("s", "2011-01-01", "many")], "must be a number of words"),
        ([("s", "2011-01-01", "5"), ("s", "2012-01-01", "6")], "'s' twice"),
        ([], "must have the columns"),
    ],
)
def test_a_bad_table_of_texts_is_refused(rows, message: str, tmp_path: Path) -> None:
    context = Context(files={"epoch_dataset_sizes": write(tmp_path / "d.csv", ["system", "date", "dataset"], rows)})
    with pytest.raises(ValueError, match=message):
        dataset_sizes.run(dataset_sizes.Config(), context)


def test_a_model_that_is_not_there_once_is_refused(models) -> None:
    with pytest.raises(ValueError, match="must hold 'GPT-4' once"):
        model_estimates.run(model_estimates.Config(), models())
    found = model_estimates.run(model_estimates.Config(models=("A", "D")), models())
    assert found == {"gpt_4": 1e15, "gemini_ultra": 1e20}


def test_printed_rates_by_hand() -> None:
    found = rates_recomputed.run(rates_recomputed.Config(), Context())
    assert found["tenfold_all"] == pytest.approx(2.46 * 3.321928)
    assert 4.6 ** (found["months_at_4_6"] / 12) == pytest.approx(2)


OUTCOMES = {
    "epoch_trends/compute_doubling_time@printed_numbers": ("match", None),
    "epoch_trends/dataset_size_orders@authors_table": ("match", None),
    "epoch_trends/frontier_compute_growth@running_top_10": ("mismatch", None),
    "epoch_trends/frontier_compute_growth@running_top_5": ("match", None),
    "epoch_trends/gpu_performance@priced_gpus": ("inconclusive", "underpowered"),
    "epoch_trends/gpu_price_performance@dollars_of_2021": ("inconclusive", "underpowered"),
    "epoch_trends/gpu_price_performance@dollars_of_the_day": ("mismatch", None),
    "epoch_trends/gpu_tenfold_time@printed_numbers": ("match", None),
    "epoch_trends/language_model_compute_growth@any_language": ("mismatch", None),
    "epoch_trends/language_model_compute_growth@language_only": ("mismatch", None),
    "epoch_trends/model_compute_estimates@models_2025_02": ("match", None),
    "epoch_trends/model_compute_estimates@models_2025_08": ("match", None),
    "epoch_trends/training_compute_growth@models_2025_02": ("match", None),
    "epoch_trends/training_compute_growth@models_2025_08": ("match", None),
    "epoch_trends/training_compute_table@models_2025_02": ("mismatch", None),
    "epoch_trends/training_compute_table@models_2025_08": ("match", None),
    "epoch_trends/training_cost_growth@running_top_10": ("match", None),
    "modded_nanogpt/current_record@public_logs": ("mismatch", None),
    "modded_nanogpt/current_record@record_table": ("match", None),
    "modded_nanogpt/loss_buffer@submitted_runs": ("match", None),
    "modded_nanogpt/printed_p_values@public_logs": ("match", None),
    "modded_nanogpt/printed_p_values_other_logs@public_logs": ("match", None),
    "modded_nanogpt/printed_spreads@public_logs": ("match", None),
    "modded_nanogpt/record_progression@record_table": ("match", None),
    "modded_nanogpt/run_spread@records_of_those_months": ("inconclusive", "underpowered"),
    "modded_nanogpt/run_spread@records_since": ("inconclusive", "underpowered"),
    "modded_nanogpt/significance_rule@public_logs": ("match", None),
    "modded_nanogpt/softcap_t_test@printed_losses": ("match", None),
}
"""What came out, by claim and protocol; every control fails."""


def records_of(study, params):
    files = {}
    for name in study.data:
        path = find(load_dataset(name))
        if path is None:
            pytest.skip(f"{load_dataset(name).file} is not in REPRO_DATA ({os.environ.get('REPRO_DATA')}) or the cache")
        files[name] = path
    module = import_module(study.recipe)
    given = {**study.params, **params}
    config = {name: tuple(value) if isinstance(value, list | tuple) else value for name, value in given.items()}
    rows = [module.run(module.Config(**config, seed=seed), Context(files=files)) for seed in (0, 1)]
    return [make_record(i, *([row] if isinstance(row, dict) else row), **config) for i, row in enumerate(rows)]


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_published_tables_decide_as_reported(name: str) -> None:
    claim_id, _, protocol_name = name.partition("@")
    claim = load_claim(claim_id)
    protocol = claim.protocols[protocol_name]
    study = load_study(protocol.study)
    arms = {"main": ({}, {})} | {key: (c.params, c.estimator) for key, c in protocol.controls.items()}
    estimates = {
        arm: estimate(
            protocol.estimator, study.recipe, records_of(study, params), {**protocol.estimator.arguments, **arguments}
        )
        for arm, (params, arguments) in arms.items()
    }
    sealed = seal(
        claim,
        protocol_name,
        "full",
        study,
        arms=dict.fromkeys(estimates, ("0" * 40, "1" * 40)),
        replicates=(0, 1),
        max_replicates=2,
        estimator_sources="",
        resampling_unit="",
    )
    verdict = judge(sealed, estimates)
    assert (verdict.outcome, verdict.reason) == OUTCOMES[name], verdict.detail
    assert {key: control.failed for key, control in verdict.controls.items()} == dict.fromkeys(protocol.controls, True)


def test_every_protocol_has_its_outcome_here() -> None:
    root = Path(__file__).parents[2] / "conf/claim"
    protocols = {
        f"{claim}@{name}"
        for folder in ("epoch_trends", "modded_nanogpt")
        for file in (root / folder).glob("*.yaml")
        for claim in [f"{folder}/{file.stem}"]
        for name in load_claim(claim).protocols
    }
    assert protocols == set(OUTCOMES)


def test_rocks_law_is_about_factories_and_blocked() -> None:
    claim = load_claim("epoch_trends/rocks_law")
    assert claim.blocked is not None
    assert "factory" in claim.statement
    assert claim.parts["value"].target.source == "secondary"


def test_the_database_moves_and_one_copy_has_the_published_number_of_models() -> None:
    study = load_study("trends/model_growth_compute_2025_08")
    rows = [row for row in records_of(study, {})[0].rows if row["year"] >= 2010]
    assert len(rows) == 428
