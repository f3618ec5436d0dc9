"""Estimators of our own training runs, on runs drawn from laws whose truth is known."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from repro.catalog.estimators import estimators_of
from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.scaling_laws import isoflop_exponent
from repro.stats.scaling_laws.checkpoint_envelope import checkpoint_envelope
from repro.stats.scaling_laws.corpora import exponents_by_corpus
from repro.stats.scaling_laws.counted_surface import (
    Counted,
    count,
    counting_fall,
    exponent,
    exponents_by_counting,
)
from repro.stats.scaling_laws.finished_runs import checkpoints
from repro.stats.scaling_laws.held_out_budget import trained_isoflop_exponent
from repro.stats.scaling_laws.irreducible_loss import irreducible_excess
from repro.stats.scaling_laws.law import ParametricLaw
from repro.stats.scaling_laws.tokens_per_parameter import tokens_per_parameter_slope
from repro.stats.scaling_laws.trained_law import trained_law_exponents
from scaling_law_runs import record

LAW = ParametricLaw(E=1.2, A=7.0, B=90.0, alpha=0.35, beta=0.35)
STEEP = ParametricLaw(E=1.2, A=30.0, B=60.0, alpha=0.5, beta=0.3)
BUDGETS = (5e10, 1.5e11, 4.5e11, 1.35e12, 4.05e12)
TOTAL = "embedding+head"

Loss = Callable[[float, float], float]


def optimum(law: ParametricLaw, compute: float) -> float:
    """Return N* of the law under C = 6ND by a plain search."""
    n = np.geomspace(1e2, 1e8, 200_001)
    return float(n[law.loss(n, compute / 6 / n).argmin()])


def runs(
    law: ParametricLaw = LAW,
    budgets: Sequence[float] = BUDGETS,
    noise: float = 0.0,
    repeats: int = 1,
    embedding: float = 0.0,
    seed: int = 0,
    **columns: float,
) -> list[TrialRecord]:
    """Return runs of seven sizes at each budget, powers of 1.5 about the law's optimum, with curves that follow the law.

    `embedding` is V·d with d from N = 24 d² + V·d, so that non-embedding parameters are what two blocks have.
    """
    rng = np.random.default_rng(seed)
    found = []
    for budget in budgets:
        middle = round(math.log(optimum(law, budget)) / math.log(1.5))
        for rung in range(middle - 3, middle + 4):
            for repeat in range(repeats):
                n = 1.5**rung
                width = (-embedding + math.sqrt(embedding**2 + 96 * n)) / 48
                d, luck = budget / 6 / n, math.exp(rng.normal(0, noise)) if noise else 1.0
                steps = 100.0
                row = {
                    "budget": budget,
                    "flops": budget,
                    "params": n,
                    "params_non_embedding": n - embedding * width,
                    "tokens": d,
                    "steps": steps,
                    "lr": 0.01,
                    "epochs": 0.5,
                    "loss": float(law.loss(np.array(n), np.array(d))) * luck,
                    **columns,
                }
                curve = tuple((k * 10, float(law.loss(np.array(n), np.array(d * k / 10))) * luck) for k in range(1, 11))
                made = record([row], {"source": "stdlib", "run": repeat}, len(found))
                found.append(replace(made, curves={"loss": curve}))
    return found


@pytest.mark.parametrize("law", [LAW, STEEP])
def test_the_envelope_of_curves_has_the_laws_exponent(law: ParametricLaw) -> None:
    a = law.beta / (law.alpha + law.beta)
    params = checkpoint_envelope(runs(law), counting=TOTAL, bootstrap=100)
    tokens = checkpoint_envelope(runs(law), counting=TOTAL, of="tokens", bootstrap=100)
    assert params.value == pytest.approx(a, abs=0.03)
    assert tokens.value == pytest.approx(1 - a, abs=0.03)
    assert params.extras["ends_exponent"] == pytest.approx(a, abs=0.06)
    assert "too high" in params.note


def test_curves_that_are_high_amid_a_run_show_beside_the_ends() -> None:
    """A loss that is a tenth too high until the run ends moves the curves and leaves the ends."""
    plain = runs(STEEP)
    lifted = [
        replace(r, curves={"loss": tuple((s, v * (1.0 if s == 100 else 1.1)) for s, v in r.curves["loss"])})
        for r in plain
    ]
    above, even = (checkpoint_envelope(r, counting=TOTAL, bootstrap=50) for r in (lifted, plain))
    assert abs(above.value - even.value) > 1e-5
    assert above.extras["ends_exponent"] == even.extras["ends_exponent"]


def test_checkpoints_are_where_the_steps_say() -> None:
    rows = checkpoints(runs()[:2])
    assert [row["run"] for row in rows] == [0.0] * 10 + [1.0] * 10
    assert rows[4]["flops"] == BUDGETS[0] / 2
    assert rows[4]["tokens"] == pytest.approx(BUDGETS[0] / 12 / rows[4]["params"])
    alone = [replace(r, curves={"loss": r.curves["loss"][-1:]}) for r in runs()]
    with pytest.raises(EstimateError, match="`evaluations`"):
        checkpoints(alone)


def test_isoflop_of_our_runs_is_approach_2_with_a_forecast_of_the_top_budget() -> None:
    records = runs(noise=0.001, repeats=2)
    ours = trained_isoflop_exponent(records, counting=TOTAL)
    plain = isoflop_exponent(records, counting=TOTAL)
    assert (ours.value, ours.se, ours.dof, ours.n) == (plain.value, plain.se, plain.dof, plain.n)
    assert abs(ours.extras["held_out_size_percent"]) < 10
    assert abs(ours.extras["held_out_loss_percent"]) < 0.3
    assert ours.extras["most_epochs"] == 0.5


def test_a_top_budget_off_the_line_is_seen() -> None:
    """Its losses are 5 % too high throughout: the law of the others misses them by that, and the optimum stays."""
    records = [
        replace(r, rows=({**r.rows[0], "loss": r.rows[0]["loss"] * (1.05 if r.value("budget") == BUDGETS[-1] else 1)},))
        for r in runs()
    ]
    found = trained_isoflop_exponent(records, counting=TOTAL)
    assert found.extras["held_out_loss_percent"] == pytest.approx(5, abs=0.05)
    assert found.extras["held_out_size_percent"] == pytest.approx(0, abs=0.5)


def test_three_budgets_forecast_nothing() -> None:
    found = trained_isoflop_exponent(runs(budgets=BUDGETS[:3]), counting=TOTAL)
    assert found.extras["held_out_size_percent"] is None
    assert found.value == pytest.approx(0.5, abs=0.01)


def test_text_seen_more_than_four_times_is_flagged() -> None:
    found = trained_isoflop_exponent(runs(epochs=4.5), counting=TOTAL)
    assert "repeated_data" in found.flags
    assert "35 of 35 runs saw their text more than 4 times" in found.note
    assert "repeated_data" not in trained_isoflop_exponent(runs(epochs=4.0), counting=TOTAL).flags


def test_a_diverged_run_is_flagged_everywhere() -> None:
    records = [*runs(), record([], {"source": "stdlib"}, 99, status="diverged")]
    assert "diverged" in trained_isoflop_exponent(records, counting=TOTAL).flags
    assert "diverged" in checkpoint_envelope(records, counting=TOTAL, bootstrap=50).flags
    assert "diverged" in counting_fall(records, less="none", more=TOTAL).flags
    assert "diverged" in tokens_per_parameter_slope(records, counting=TOTAL).flags
    assert "diverged" in trained_law_exponents(records, counting=TOTAL, bootstrap=50)["data"].flags


@pytest.mark.parametrize("law", [LAW, STEEP])
def test_the_fitted_law_gives_both_exponents(law: ParametricLaw) -> None:
    found = trained_law_exponents(runs(law, noise=1e-4), counting=TOTAL, bootstrap=100)
    a = law.beta / (law.alpha + law.beta)
    assert found["params"].value == pytest.approx(a, abs=0.02)
    assert found["data"].value == pytest.approx(1 - a, abs=0.02)
    assert found["params"].se == found["data"].se > 0
    assert found["data"].extras["E"] == pytest.approx(law.E, abs=0.05)


@pytest.mark.parametrize(("law", "slope"), [(LAW, 0.0), (STEEP, 0.5 / 0.8 - 0.3 / 0.8)])
def test_tokens_per_parameter_follow_the_law(law: ParametricLaw, slope: float) -> None:
    found = tokens_per_parameter_slope(runs(law, noise=1e-4, repeats=2), counting=TOTAL, extrapolate_to=1e16)
    assert found.value == pytest.approx(slope, abs=0.01)
    for budget in BUDGETS:
        n = optimum(law, budget)
        assert found.extras[f"tokens_per_parameter_{budget:.3g}"] == pytest.approx(budget / 6 / n**2, rel=0.08)
    n = optimum(law, 1e16)
    low, middle, high = (found.extras[f"extrapolated_1e+16{end}"] for end in ("_low", "", "_high"))
    assert low < middle < high
    assert middle == pytest.approx(1e16 / 6 / n**2, rel=0.25)
    assert found.extras["orders_of_magnitude_beyond"] == pytest.approx(math.log10(1e16 / BUDGETS[-1]))


def test_its_error_is_the_sum_of_both_exponents_errors() -> None:
    records = runs(noise=0.003, repeats=2)
    a, b = (isoflop_exponent(records, counting=TOTAL, of=of) for of in ("params", "tokens"))
    found = tokens_per_parameter_slope(records, counting=TOTAL)
    assert found.value == pytest.approx(b.value - a.value)
    assert found.se == pytest.approx(a.se + b.se)


def test_an_optimum_on_the_edge_has_no_tokens_per_parameter() -> None:
    edge = [r for r in runs() if r.value("params") >= 0.99 * optimum(LAW, r.value("budget"))]
    found = tokens_per_parameter_slope(edge, counting=TOTAL)
    assert found.value is None
    assert "lowest loss is at the smallest size" in found.note or "only" in found.note


def exponent_without_embedding(law: ParametricLaw, embedding: float) -> float:
    """Return the slope of ln n* on ln(6nD) where N = n + V·d and n = 24 d², by a plain search over n at the budgets' middle range."""
    sizes = np.geomspace(50, 1e7, 100_001)
    total = sizes + embedding * np.sqrt(sizes / 24)
    x, y = [], []
    for compute in np.geomspace(BUDGETS[0], BUDGETS[-1], 15) / 2.5:
        y.append(math.log(sizes[law.loss(total, compute / 6 / sizes).argmin()]))
        x.append(math.log(compute))
    return float(np.polyfit(x, y, 1)[0])


@pytest.mark.parametrize("law", [LAW, STEEP])
def test_two_bookkeepings_of_the_same_runs(law: ParametricLaw) -> None:
    records = runs(law, embedding=256.0)
    found = exponents_by_counting(records, countings={"total": TOTAL, "bare": "none"}, bootstrap=50)
    a, bare = law.beta / (law.alpha + law.beta), exponent_without_embedding(law, 256.0)
    assert bare > a + 0.05
    assert found["total"].value == pytest.approx(a, abs=0.02)
    assert found["bare"].value == pytest.approx(bare, abs=0.04)
    fall = counting_fall(records, less="none", more=TOTAL, bootstrap=50)
    assert fall.value == pytest.approx(found["bare"].value - found["total"].value)
    assert (fall.extras["exponent_less"], fall.extras["exponent_more"]) == (found["bare"].value, found["total"].value)
    assert counting_fall(records, less=TOTAL, more="none", bootstrap=50).value == pytest.approx(-fall.value)


def test_the_error_of_a_fall_is_its_scatter_over_repeated_experiments() -> None:
    found = [
        counting_fall(runs(embedding=256.0, noise=0.004, seed=s), less="none", more=TOTAL, bootstrap=100)
        for s in range(40)
    ]
    scatter = np.std([f.value for f in found], ddof=1)
    assert 0.7 * scatter < np.median([f.se for f in found]) < 3 * scatter
    assert found[0].dof == len(BUDGETS) - 2


def test_unequal_flanks_are_part_of_the_error() -> None:
    """On an exact surface with a term x³: its valley at the mean of ln C, from the roots of the derivative."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1.5, 1.5, 5)))
    loss = 0.7 - 0.02 * x - 0.2 * y + 0.1 * x**2 - 0.09 * x * y + 0.01 * y**2 + 0.02 * x**3
    counted = Counted(x + 10, y + 25, loss, np.exp(y + 25))
    found = exponent(counted, 50, 0)
    roots = np.roots([3 * 0.02, 2 * 0.1, -0.02]).real
    valley = next(r for r in roots if 2 * 0.1 + 6 * 0.02 * r > 0)
    assert found.skewed == pytest.approx(0.09 / (2 * 0.1 + 6 * 0.02 * valley), rel=1e-6)
    assert found.value == pytest.approx(0.45, abs=0.01)
    twice = found.minus(found)
    assert (twice.value, twice.skewed, float(np.abs(twice.without).max())) == (0, 0, 0)


def test_runs_are_counted_from_their_columns() -> None:
    records = runs(embedding=256.0)
    bare, total, attention = (count(records, name) for name in ("none", TOTAL, "attention"))
    first = records[0].rows[0]
    assert bare.log_params[0] == pytest.approx(math.log(first["params_non_embedding"]))
    assert bare.log_flops[0] == pytest.approx(math.log(6 * first["params_non_embedding"] * first["tokens"]))
    assert total.log_flops[0] == pytest.approx(math.log(first["budget"]))
    assert attention.log_flops[0] == pytest.approx(math.log(first["flops"]))


@pytest.mark.parametrize(
    ("records", "counting", "message"),
    [
        (runs(budgets=BUDGETS[:3]), "none", "needs 4 budgets"),
        (runs(), "unstated", "counted in a way that is stated"),
        ([replace(r, rows=({**r.rows[0], "loss": 3 - r.value("loss")},)) for r in runs()], "none", "no valley"),
    ],
)
def test_a_surface_that_says_nothing_is_refused(records: list[TrialRecord], counting: str, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        counting_fall(records, less=counting, more=counting)


def test_two_corpora_have_the_exponents_of_their_laws() -> None:
    text, code = runs(LAW), [replace(r, config={**r.config, "source": "code"}) for r in runs(STEEP)]
    found = exponents_by_corpus([*text, *code], counting=TOTAL)
    a = STEEP.beta / (STEEP.alpha + STEEP.beta)
    assert list(found) == ["text_params", "text_data", "code_params", "code_data"]
    assert found["text_params"].value == pytest.approx(0.5, abs=0.01)
    assert found["code_params"].value == pytest.approx(a, abs=0.01)
    assert found["code_data"].value == pytest.approx(1 - a, abs=0.01)
    assert found["text_data"].extras["code_minus_text"] == pytest.approx(0.5 - a, abs=0.02)
    turned = exponents_by_corpus([*text, *code], counting=TOTAL, turned=True)
    assert turned["code_params"].value == pytest.approx(-a, abs=0.01)


def test_one_corpus_is_no_comparison() -> None:
    with pytest.raises(EstimateError, match="'code' and one other; the runs are on stdlib"):
        exponents_by_corpus(runs(), counting=TOTAL)


@pytest.mark.parametrize("law", [LAW, STEEP])
def test_irreducible_loss_is_compared_with_the_entropy(law: ParametricLaw) -> None:
    records = runs(law, noise=2e-4, repeats=2, entropy_rate=1.1)
    found = irreducible_excess(records, counting=TOTAL, bootstrap=200)
    assert found.value == pytest.approx(0.1, abs=0.03)
    assert found.extras["E"] == pytest.approx(found.value + 1.1)
    lowest = irreducible_excess(records, counting=TOTAL, floor="lowest")
    assert lowest.value == pytest.approx(min(r.value("loss") for r in records) - 1.1)
    assert lowest.value > found.value + 0.1
    assert lowest.dof == len(records) // 2
    assert lowest.se == pytest.approx(2e-4 * 2, rel=0.5)


def test_an_entropy_that_is_not_known_is_asked_for() -> None:
    with pytest.raises(EstimateError, match="source 'synthetic'"):
        irreducible_excess(runs(), counting=TOTAL)
    two = [*runs(budgets=BUDGETS[:2], entropy_rate=1.0), *runs(budgets=BUDGETS[2:], entropy_rate=2.0)]
    with pytest.raises(EstimateError, match="2 languages"):
        irreducible_excess(two, counting=TOTAL)
    with pytest.raises(EstimateError, match="repeats of a cell"):
        irreducible_excess(runs(entropy_rate=1.0), counting=TOTAL, floor="lowest")


def test_no_finished_run_is_said_so() -> None:
    with pytest.raises(EstimateError, match="got none of 1"):
        counting_fall([record([], {}, 0, status="diverged")], less="none", more=TOTAL)


def test_claims_may_name_them() -> None:
    names = estimators_of("experiments.scaling_laws.language_model")
    for name in (
        "checkpoint_envelope.checkpoint_envelope",
        "counted_surface.counting_fall",
        "counted_surface.exponents_by_counting",
        "corpora.exponents_by_corpus",
        "held_out_budget.trained_isoflop_exponent",
        "irreducible_loss.irreducible_excess",
        "tokens_per_parameter.tokens_per_parameter_slope",
        "trained_law.trained_law_exponents",
    ):
        assert f"repro.stats.scaling_laws.{name}" in names
