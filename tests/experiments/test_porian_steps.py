import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.interpolate import Akima1DInterpolator
from scipy.optimize import minimize_scalar

from experiments.scaling_laws.porian_steps import SELECTED_BY, SETTINGS, Config, run
from experiments.scaling_laws.porian_steps_estimators import (
    Procedure,
    drawn_optimum,
    falls,
    line_through,
    noise_sd,
    published_fit,
    quantities,
)
from repro.catalog.estimators import estimate
from repro.catalog.load import load_claim, load_dataset, load_study
from repro.judge.rule import judge
from repro.judge.seal import seal
from repro.schema.context import Context
from repro.schema.dataset import file_sha256
from repro.schema.errors import EstimateError
from repro.stats.isoflop_points import parabola_exponents, profiles_of
from repro.stats.scaling_laws.approach2 import Profile
from scaling_law_runs import records_of

OUTCOMES = {
    "attention_flops_counted@parabola": ("inconclusive", ["warmup_scaled"]),
    "attention_flops_counted@published_procedure": ("match", []),
    "bootstrap_intervals@published_procedure": ("match", []),
    "line_fit_quality@published_procedure": ("inconclusive", ["step3_r_squared"]),
    "step1_kaplan_counting@parabola": ("inconclusive", ["step1"]),
    "step1_kaplan_counting@published_procedure": ("match", []),
    "step2_last_layer_counted@parabola": ("inconclusive", ["step2"]),
    "step2_last_layer_counted@published_procedure": ("match", []),
    "step3_warmup_scaled@parabola": ("inconclusive", ["step3"]),
    "step3_warmup_scaled@published_procedure": ("match", []),
    "step4_cosine_decay@parabola": ("inconclusive", ["step4"]),
    "step4_cosine_decay@published_procedure": ("match", []),
    "step5_tuned_no_decay@parabola": ("match", []),
    "step5_tuned_no_decay@published_procedure": ("match", []),
    "steps_in_order@published_procedure": ("inconclusive", ["fall_3"]),
    "tokens_per_parameter_ends@published_procedure": ("match", []),
    "tokens_per_parameter_flat@parabola": ("match", []),
    "tokens_per_parameter_flat@published_procedure": ("match", []),
    "tuned_kaplan_counting@parabola": ("inconclusive", ["tuned_kaplan"]),
    "tuned_kaplan_counting@published_procedure": ("match", []),
}
"""What came out: the outcome and the parts that do not match, by claim and protocol."""

SLOW = ("bootstrap_intervals@published_procedure", "line_fit_quality@published_procedure")

BY_AUTHORS = {
    "summary_df": {
        "kaplan_counting": (0.835, 0.824, 0.846),
        "last_layer_counted": (0.706, 0.691, 0.717),
        "warmup_scaled": (0.602, 0.591, 0.617),
        "cosine_decay": (0.571, 0.560, 0.589),
        "tuned_no_decay": (0.497, 0.491, 0.505),
    },
    "summary_df_att": {
        "attention_long_warmup": (0.717,),
        "attention_warmup_scaled": (0.622,),
        "attention_cosine_decay": (0.577,),
        "attention_tuned_no_decay": (0.505,),
    },
    "summary_df_kaplan_tuned_hparams": {"tuned_kaplan_counting": (0.711, 0.703, 0.721)},
}
"""Published exponent and interval, in the order in which the authors drew their noise."""

PUBLISHED = {name: ends[0] for settings in BY_AUTHORS.values() for name, ends in settings.items()}


@pytest.fixture(scope="module")
def published():
    """Return a function from a setting, and control parameters, to its records, or skip."""
    path = Path(os.environ.get("REPRO_DATA", "")) / load_dataset("porian_refinedweb").file
    if not path.is_file():
        pytest.skip("REPRO_DATA has no table of Porian et al.")
    context = Context(files={"porian_refinedweb": path})

    def records(setting, **params):
        return records_of(run(Config(setting=setting, **params), context), {"setting": setting, **params})

    return records


def every(published, **params):
    return [record for setting in SETTINGS for record in published(setting, **params)]


def csv(tmp_path, rows, columns=(*SELECTED_BY, "flops", "n", "tokens", "loss")):
    path = tmp_path / "points.csv"
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
    return Context(files={"porian_refinedweb": path})


KAPLAN, TUNED = SETTINGS["kaplan_counting"], SETTINGS["tuned_no_decay"]
ROWS = [(*KAPLAN, 6e15, 1e6, 1e9, 5.0), (*TUNED, 6e15, 2e6, 5e8, 4.0), (*KAPLAN, 12e15, 1e6, 2e9, 4.5)]


def test_rows_are_those_of_the_setting(tmp_path):
    rows = run(Config(), csv(tmp_path, ROWS))
    assert rows == [
        {"budget": 6e15, "params": 1e6, "tokens": 1e9, "loss": 5.0},
        {"budget": 12e15, "params": 1e6, "tokens": 2e9, "loss": 4.5},
    ]
    assert [row["loss"] for row in run(Config(setting="tuned_no_decay", seed=1), csv(tmp_path, ROWS))] == [4.0]


def test_a_run_without_a_loss_is_nan(tmp_path):
    (row,) = run(Config(), csv(tmp_path, [(*KAPLAN, 6e15, 1e6, 1e9, "")]))
    assert math.isnan(row["loss"])


@pytest.mark.parametrize(
    ("config", "rows", "columns", "message"),
    [
        (Config(setting="kaplan"), ROWS, None, "setting must be one of"),
        (Config(setting="cosine_decay"), ROWS, None, "no row of the setting 'cosine_decay'"),
        (Config(), [], None, "no row of the setting"),
        (Config(), [(*KAPLAN, 6e15, 1e6, 1e9, "low")], None, "line 2: column 'loss' must be a number, got 'low'"),
        (Config(), [row[:-1] for row in ROWS], (*SELECTED_BY, "flops", "n", "tokens"), "lacks the column 'loss'"),
        (Config(), [row[1:] for row in ROWS], (*SELECTED_BY[1:], "flops", "n", "tokens", "loss"), "column 'table'"),
    ],
)
def test_bad_files_are_refused_in_words(config, rows, columns, message, tmp_path):
    context = csv(tmp_path, rows, columns) if columns else csv(tmp_path, rows)
    with pytest.raises(ValueError, match=message):
        run(config, context)


def test_shuffled_budgets_keep_the_runs_together(published):
    straight, shuffled = (published("warmup_scaled", shuffle_budgets=flag)[0].rows for flag in (False, True))
    names = {(a["budget"], b["budget"]) for a, b in zip(straight, shuffled, strict=True)}
    assert len(names) == len({old for old, _ in names}) == len({new for _, new in names}) == 12
    assert [row["loss"] for row in straight] == [row["loss"] for row in shuffled]
    assert any(old != new for old, new in names)


def test_the_published_table_is_the_registered_one(published):
    data = load_dataset("porian_refinedweb")
    assert load_study("scaling_laws/porian_steps").data == ("porian_refinedweb",)
    assert file_sha256(Path(os.environ["REPRO_DATA"]) / data.file) == data.sha256
    counts = [len(published(setting)[0].rows) for setting in SETTINGS]
    assert counts == [107, 131, 132, 88, 121, 126, 126, 106, 123, 104]
    assert load_study("scaling_laws/porian_steps").design.grid["setting"] == tuple(SETTINGS)


@pytest.mark.parametrize(
    ("loss", "level", "sd"),
    [(3.0, "log_loss", 0.002), (19.0, "log_loss", 0.002), (math.exp(7), "log_loss", 0.05), (2.0, "loss", 0.002),
     (3.0, "loss", 0.002), (7.0, "loss", 0.05), (9.0, "loss", 0.05), (math.sqrt(21), "loss", 0.01)],
)  # fmt: skip
def test_noise_at_known_levels(loss, level, sd):
    assert noise_sd(np.array([loss]), level) == pytest.approx([sd])


def test_the_noise_free_optimum_against_a_continuous_minimum(published):
    profiles, _ = profiles_of(published("tuned_no_decay"), "tuned_no_decay")
    for profile in profiles:
        optimum = drawn_optimum(profile, np.random.default_rng(0), Procedure(draws=200))
        spline = Akima1DInterpolator(profile.log_size, np.log(profile.loss))
        near = int(profile.loss.argmin())
        found = minimize_scalar(spline, bounds=profile.log_size[[near - 1, near + 1]], method="bounded")
        step = np.ptp(profile.log_size) / (25 * (len(profile.loss) - 1) - 1)
        assert abs(optimum.noise_free - found.x) <= step
        assert optimum.sd >= 0.33 * 25 * step * (1 - 1e-9)


def test_line_interval_and_r_squared_against_statsmodels(published):
    how = Procedure()
    profiles, _ = profiles_of(published("warmup_scaled"), "warmup_scaled")
    optima = [drawn_optimum(profile, np.random.default_rng(3), how) for profile in profiles]
    x = sm.add_constant(np.log([o.budget for o in optima]))
    y, w = np.array([np.median(o.drawn) for o in optima]), np.array([o.sd**-2 for o in optima])
    line = sm.WLS(y, x, weights=w).fit()
    found = quantities(optima, how, None)
    assert found[""] == pytest.approx(line.params[1])
    assert found["_r_squared"] == pytest.approx(1 - (line.resid**2).sum() / ((y - y.mean()) ** 2).sum())
    r = min(len(o.drawn) for o in optima)
    slopes = [sm.WLS([o.drawn[k] for o in optima], x, weights=w).fit().params[1] for k in range(r)]
    assert (found["_low"], found["_high"]) == pytest.approx(tuple(np.quantile(slopes, [0.025, 0.975])))
    plain = sm.OLS(y, x).fit()
    assert found["_ratio_slope"] == pytest.approx(1 - 2 * plain.params[1])
    assert found["_ratio_first"] == pytest.approx(1.25e16 / 6 / math.exp(plain.predict(x)[0]) ** 2)


def test_a_budget_with_few_inner_minima_is_dropped_and_its_error_inflated():
    x, how = np.log([1e6, 2e6, 4e6, 8e6]), Procedure(draws=2000)
    flat = Profile(1e17, x, np.array([3.0002, 3.0, 3.01, 3.02]), np.ones(4))
    rare = drawn_optimum(flat, np.random.default_rng(0), how)
    assert rare is not None
    assert len(rare.drawn) < 2000
    assert rare.sd == pytest.approx(max(rare.drawn.std(), 0.33 * 25 * np.ptp(x) / 74) * 2000 / len(rare.drawn))
    edge = replace(flat, loss=np.array([3.0, 3.05, 3.1, 3.2]))
    assert drawn_optimum(edge, np.random.default_rng(0), how) is None


def test_the_published_digits_come_out_with_the_authors_generator_and_seed(published):
    """NumPy's legacy generator, seed 42 for each of their tables; they draw as much again for D* at each budget."""
    how = Procedure()
    for settings in BY_AUTHORS.values():
        rng = np.random.RandomState(42)
        for setting, printed in settings.items():
            optima = []
            for profile in profiles_of(published(setting), setting)[0]:
                optima.append(drawn_optimum(profile, rng, how))
                rng.normal(size=(1000, len(profile.loss)))
            found = quantities([o for o in optima if o is not None], how, (1.25e16, 2.56e19))
            for ending, value in zip(("", "_low", "_high"), printed, strict=False):
                assert round(found[ending], 3) == value, setting + ending
            if setting == "kaplan_counting":
                assert (round(found["_ratio_first"]), round(found["_ratio_last"])) == (1473, 9)
            if setting == "tuned_no_decay":
                assert (round(found["_ratio_first"], 1), round(found["_ratio_last"], 1)) == (14.9, 15.6)
            if setting == "warmup_scaled":
                assert round(found["_r_squared"], 3) == 0.993


@pytest.mark.parametrize(
    ("arguments", "farthest"),
    [
        ({"weights": "equal"}, 0.0050),
        ({"interpolation": "cubic"}, 0.0068),
        ({"interpolation": "pchip"}, 0.0192),
        ({"noise_level": "loss"}, 0.0049),
    ],
)
def test_other_estimators_do_not_give_the_published_values(arguments, farthest, published):
    settings = {name: name for name in SETTINGS}
    theirs, other = (published_fit(every(published), settings=settings, repeats=2, **some) for some in ({}, arguments))
    assert max(abs(theirs[name].value - PUBLISHED[name]) for name in SETTINGS) < 0.0025
    assert max(abs(other[name].value - PUBLISHED[name]) for name in SETTINGS) == pytest.approx(farthest, abs=7e-4)


def test_parabolas_do_not_give_the_published_values_at_any_window(published):
    settings = {name: name for name in SETTINGS}
    for window, farthest in {0.03: 0.029, 0.15: 0.024, 0.6: 0.027, 9.0: 0.073}.items():
        found = parabola_exponents(every(published), settings=settings, window=window)
        assert max(abs(found[name].value - PUBLISHED[name]) for name in SETTINGS) == pytest.approx(farthest, abs=1e-3)


def table(budgets=6, exponent=0.5):
    return [
        {"budget": c, "params": n, "tokens": c / 6 / n, "loss": 3 + 0.05 * math.log(n / (2 * c**exponent)) ** 2}
        for c in 1e17 * 4.0 ** np.arange(budgets)
        for n in 2 * c**exponent * np.array([0.1, 0.3, 0.9, 2.0, 5.0, 12.0])
    ]


def fit(rows, **arguments):
    return published_fit(records_of(rows), settings={"a": "any"}, **{"draws": 100, "repeats": 4, **arguments})


def test_a_known_exponent_is_found():
    found = fit(table(exponent=0.6), draws=1000)
    assert found["a"].value == pytest.approx(0.6, abs=0.005)
    assert found["a_low"].value < found["a"].value < found["a_high"].value
    assert found["a_ratio_slope"].value == pytest.approx(1 - 2 * 0.6, abs=0.01)
    assert found["a"].se == pytest.approx(np.std(found["a"].units, ddof=1) * math.sqrt(1.25))
    assert (found["a"].n, found["a"].dof) == (4, 3)


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (table(), {"interpolation": "akina"}, "Did you mean 'akima'"),
        (table(), {"optimum": "mean"}, "optimum must be one of"),
        (table(), {"weights": "none"}, "weights must be one of"),
        (table(), {"noise_level": "ln"}, "noise_level must be one of"),
        (table(), {"repeats": 1}, "repeats >= 2"),
        (table(), {"between": [1e17]}, "two budgets"),
        (table(budgets=2), {}, "needs 3 budgets"),
        ([{**row, "loss": row["loss"] / 1000} for row in table()], {}, "drown in the noise"),
        ([{**row, "loss": math.nan} for row in table()], {}, "36 of 36 runs"),
        ([{**row, "params": 1e6} for row in table()], {}, "needs 3 budgets"),
        ([row for row in table() for _ in range(2)], {}, "stands in the table twice"),
        ([], {}, "'budget'"),
    ],
)
def test_bad_tables_and_arguments_are_refused_in_words(rows, arguments, message):
    with pytest.raises(EstimateError, match=message):
        fit(rows, **arguments)


def test_falls_add_errors_in_squares_and_need_two_settings(published):
    names = ["kaplan_counting", "last_layer_counted", "warmup_scaled"]
    records = every(published)
    found, back = falls(records, settings=names), falls(records, settings=names[::-1])
    assert list(found) == ["fall_1", "fall_2"]
    assert found["fall_1"].value == pytest.approx(-back["fall_2"].value)
    assert found["fall_1"].se == pytest.approx(back["fall_2"].se)
    assert found["fall_1"].value == pytest.approx(0.130, abs=0.003)
    assert 9 < found["fall_1"].dof < 19
    with pytest.raises(EstimateError, match="two settings"):
        falls(records, settings=names[:1])


def test_lines_of_noise_free_optima_and_equal_weights(published):
    profiles, _ = profiles_of(published("tuned_no_decay"), "tuned_no_decay")
    optima = [drawn_optimum(profile, np.random.default_rng(0), Procedure(draws=50)) for profile in profiles]
    x, y, w, line = line_through(optima, Procedure(optimum="noise_free", weights="equal"))
    assert line.slope == pytest.approx(np.polyfit(x, y, 1)[0])
    assert w.tolist() == [1.0] * 12
    assert y.tolist() == [o.noise_free for o in optima]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in OUTCOMES]
)
def test_the_published_points_decide_as_reported(name, published):
    claim_name, protocol_name = name.split("@")
    claim = load_claim(f"porian/{claim_name}")
    protocol, study = claim.protocols[protocol_name], load_study("scaling_laws/porian_steps")
    arms = [("main", {}, {})] + [(key, c.params, c.estimator) for key, c in protocol.controls.items()]
    estimates = {
        arm: estimate(
            protocol.estimator, study.recipe, every(published, **params), {**protocol.estimator.arguments, **changed}
        )
        for arm, params, changed in arms
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
    unmatched = [part for part, decided in verdict.parts.items() if decided.outcome != "match"]
    assert (verdict.outcome, unmatched) == OUTCOMES[name]
    assert all(control.failed for control in verdict.controls.values())


def test_every_claim_is_composed_or_blocked():
    conf = Path(__file__).parents[2] / "conf/claim/porian"
    claims = {file.stem: load_claim(f"porian/{file.stem}") for file in conf.glob("*.yaml")}
    reanalysed = {
        f"{name}@{key}"
        for name, claim in claims.items()
        for key, protocol in claim.protocols.items()
        if protocol.study == "scaling_laws/porian_steps"
    }
    assert reanalysed == set(OUTCOMES)
    assert [name for name, claim in claims.items() if claim.blocked] == ["five_steps_owt2"]
