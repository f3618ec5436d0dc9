import math

import numpy as np
import pytest
import statsmodels.api as sm

from repro.schema.errors import EstimateError
from repro.stats.isoflop_points import parabola_exponents, profiles_of, slope_with_error
from scaling_law_runs import records_of

BUDGETS = 1e17 * 4.0 ** np.arange(6)


def points(exponent=0.6, budgets=BUDGETS, off=(-1.5, -0.7, 0.0, 0.7, 1.5), noise=0.0, seed=0):
    """Losses with their minimum at ln N* = 2 + a ln C in every budget."""
    rng = np.random.default_rng(seed)
    rows = []
    for budget in budgets:
        optimum = 2 + exponent * math.log(budget)
        for away in off:
            size = math.exp(optimum + away)
            loss = 3 + 0.05 * away**2 + noise * rng.standard_normal()
            rows.append({"budget": budget, "params": size, "tokens": budget / 6 / size, "loss": loss})
    return rows


def fit(rows, **arguments):
    return parabola_exponents(records_of(rows, {"setting": "here"}), settings={"a": "here"}, **arguments)


@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.9])
def test_the_exponent_of_exact_parabolas_is_found(exponent):
    found = fit(points(exponent))
    assert found["a"].value == pytest.approx(exponent, abs=1e-9)
    assert found["a_ratio_slope"].value == pytest.approx(1 - 2 * exponent, abs=1e-9)
    assert (found["a"].dof, found["a"].n) == (4, 6)
    assert found["a"].extras["optimal_params_1e+17"] == pytest.approx(math.exp(2 + exponent * math.log(1e17)))


def test_slope_and_scatter_against_statsmodels_and_the_jackknife_by_hand():
    rng = np.random.default_rng(1)
    x, w = np.sort(rng.random(8)), rng.random(8) + 0.2
    y = 2 * x + 0.1 * rng.standard_normal(8)
    reference = sm.WLS(y, sm.add_constant(x), weights=w).fit()
    without = [
        sm.WLS(np.delete(y, k), sm.add_constant(np.delete(x, k)), weights=np.delete(w, k)).fit().params[1]
        for k in range(8)
    ]
    jackknife = math.sqrt(7 / 8 * ((np.array(without) - np.mean(without)) ** 2).sum())
    slope, se = slope_with_error(x, y, w)
    assert slope == pytest.approx(reference.params[1])
    assert se == pytest.approx(max(jackknife, reference.bse[1]))
    assert slope_with_error(x, y, w, noise=9.0)[1] == 9.0


def test_a_budget_whose_lowest_loss_is_at_the_edge_is_left_out_and_named():
    rows = points() + points(budgets=[4e20], off=(0.0, 0.5, 1.0, 1.5))
    found = fit(rows)["a"]
    assert found.value == pytest.approx(0.6, abs=1e-9)
    assert found.n == 6
    assert found.note == "6 of 7 budgets: no inner minimum at 4e+20 FLOPs"


def test_the_standard_error_covers_the_noise():
    errors = [fit(points(noise=0.005, seed=seed))["a"] for seed in range(40)]
    spread = np.std([found.value for found in errors])
    assert np.mean([found.se for found in errors]) > 0.8 * spread


def test_seeds_of_a_size_are_averaged_and_counted():
    rows = points() + [{**row, "loss": row["loss"] + 0.02} for row in points()]
    profiles, _ = profiles_of(records_of(rows, {"setting": "here"}), "here")
    assert len(profiles) == 6
    assert profiles[0].seeds.tolist() == [2.0] * 5
    assert profiles[0].loss == pytest.approx([3 + 0.05 * off**2 + 0.01 for off in (-1.5, -0.7, 0.0, 0.7, 1.5)])


def test_a_config_without_settings_is_taken_whole():
    found = parabola_exponents(records_of(points()), settings={"a": "anything"})
    assert found["a"].value == pytest.approx(0.6)


def without(column):
    return [{name: value for name, value in row.items() if name != column} for row in points()]


def changed(**values):
    return [{**points()[0], **values}, *points()[1:]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (without("loss"), "'loss'"),
        (without("budget"), "'budget'"),
        (changed(loss=math.nan), "row 1"),
        (changed(loss=None), "row 1"),
        (changed(params=0.0), "row 1"),
        (changed(params=-5.0), "row 1"),
        (changed(budget=math.inf), "row 1"),
        ([*points(), points()[7]], "stands in the table twice"),
        (points(budgets=BUDGETS[:1]), "needs 3 budgets"),
        (points(budgets=BUDGETS[:2]), "has 2"),
        (points(off=(0.0, 1.0)), "at least three sizes"),
        (points(off=(0.0, 0.5, 1.0, 1.5)), "no inner minimum at 1e\\+17, 4e\\+17"),
        ([], "'budget'"),
    ],
)
def test_bad_tables_are_refused_in_words(rows, message):
    with pytest.raises(EstimateError, match=message):
        fit(rows)


def test_an_unknown_setting_is_refused_with_the_nearest():
    with pytest.raises(EstimateError, match="Did you mean 'here'"):
        parabola_exponents(records_of(points(), {"setting": "here"}), settings={"a": "hers"})


def test_two_tables_of_one_setting_are_refused():
    records = [record for tag in (1, 2) for record in records_of(points(), {"setting": "here", "tag": tag})]
    with pytest.raises(EstimateError, match="got 2 tables"):
        parabola_exponents(records, settings={"a": "here"})


def test_replicates_that_disagree_decide_nothing():
    first, second = records_of(points(), {"setting": "here"})[0], records_of(points(0.5), {"setting": "here"})[1]
    found = parabola_exponents([first, second], settings={"a": "here"})
    assert found["a"].flags == ("not_deterministic",)
