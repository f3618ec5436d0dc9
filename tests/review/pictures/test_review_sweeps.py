"""What stands behind an attempt: its sweep, the profiles in it, the law that fits it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from review_book import record
from scaling_book import BUDGETS, LAW, best, judged, run, runs

from repro.review.pictures.sweeps import groups_of, law_of, main_arm, profiles_of, sweep_of_runs, varied
from repro.stats.scaling_laws import isoflop_exponent


def test_profiles_have_the_optima_that_the_estimator_reports() -> None:
    trials = runs()
    attempt = judged(trials)
    sweep = sweep_of_runs(attempt, trials)
    assert sweep is not None
    found = profiles_of(attempt, sweep)
    assert found is not None
    reported = isoflop_exponent(trials, counting="embedding+head", checks=False)
    for curve, budget in zip(found.curves, BUDGETS, strict=True):
        assert curve.budget == budget
        assert curve.optimum == pytest.approx(reported.extras[f"optimal_params_{budget:.3g}"], rel=1e-9)
        assert curve.optimum == pytest.approx(best(budget), rel=0.1)  # a parabola is a little off
        size, height = curve.fitted
        assert height.min() == pytest.approx(curve.lowest, rel=1e-4)
        assert size[0] == pytest.approx(curve.size[0])


def test_the_slope_is_the_judged_one_where_there_is_one_and_else_that_of_the_optima() -> None:
    trials = runs()
    sweep = sweep_of_runs(judged(trials), trials)
    assert sweep is not None
    ours = profiles_of(judged(trials, 0.4321), sweep)
    none = profiles_of(judged(trials, None), sweep)
    several = profiles_of(judged(trials, 0.4321), sweep, alone=False)
    assert ours is not None
    assert none is not None
    assert several is not None
    assert (ours.slope, ours.judged, ours.comparable) == (0.4321, True, True)
    assert none.slope == pytest.approx(LAW.beta / (LAW.alpha + LAW.beta), abs=1e-6)
    assert (none.judged, none.comparable) == (False, True)
    assert (several.judged, several.comparable) == (False, False)
    middle = math.exp(sum(math.log(budget) for budget in BUDGETS) / len(BUDGETS))
    centre = math.exp(sum(math.log(curve.optimum or 0) for curve in ours.curves) / len(BUDGETS))
    assert ours.line(middle, 0.1) == pytest.approx(centre)
    assert ours.line(10 * middle, 0.5) == pytest.approx(centre * math.sqrt(10))


def test_an_optimum_at_the_edge_is_refused_and_the_others_stay() -> None:
    trials = [
        run(budget, share)
        for budget in BUDGETS
        for share in ((1, 2, 4, 8, 16) if budget == 1e12 else (0.25, 0.5, 1, 2, 4))
    ]
    attempt = judged(trials)
    sweep = sweep_of_runs(attempt, trials)
    assert sweep is not None
    found = profiles_of(attempt, sweep)
    assert found is not None
    assert found.curves[0].optimum is None
    assert "smallest size" in found.curves[0].problem
    assert found.curves[1].optimum is not None


def test_the_law_is_found_again() -> None:
    trials = runs()
    attempt = judged(trials)
    sweep = sweep_of_runs(attempt, trials)
    assert sweep is not None
    law = law_of(attempt, sweep)
    assert law.problem == ""
    np.testing.assert_allclose(law.theta, LAW.theta, rtol=1e-3)


def test_one_budget_has_neither_profiles_nor_a_law() -> None:
    trials = [run(1e12, share) for share in (0.5, 1.0, 2.0)]
    attempt = judged(trials)
    sweep = sweep_of_runs(attempt, trials)
    assert sweep is not None
    assert profiles_of(attempt, sweep) is None
    law = law_of(attempt, sweep)
    assert law.theta == ()
    assert "more than five runs" in law.problem


def test_a_diverged_run_is_left_out_of_the_sweep_and_trials_that_are_no_runs_have_none() -> None:
    trials = runs()
    lost = record("lost", rows=({"budget": 1e12, "params": 5.0, "tokens": 9.0, "loss": None},), status="diverged")
    attempt = judged([*trials, lost])
    sweep = sweep_of_runs(attempt, [*trials, lost])
    assert sweep is not None
    assert (len(sweep), sweep.diverged) == (len(trials), 1)
    assert sweep_of_runs(attempt, [record("t1")]) is None
    assert sweep_of_runs(attempt, []) is None


def test_only_records_of_the_main_arm_count_and_failed_ones_do_not() -> None:
    trials = runs()
    attempt = judged(trials[:3])
    failed = record(trials[0].key, status="failed", rows=())
    assert main_arm(attempt, [failed, *trials[1:]]) == trials[1:3]


def test_runs_that_differ_in_a_setting_are_sweeps_of_their_own() -> None:
    mixed = [*runs(source="prose", decay=True), *runs(source="code", decay=True)]
    assert varied(mixed) == ("source",)
    groups = groups_of(mixed)
    assert {label: len(group) for label, group in groups.items()} == {"source prose": 15, "source code": 15}
    assert list(groups_of(runs())) == [""]


def test_runs_without_budgets_are_a_sweep_without_profiles() -> None:
    trials = [
        record(
            str(i),
            config={"seed": i},
            rows=({"budget": 0.0, "params": 1e4 * 2**i, "tokens": 1e6, "loss": 2.0 - i / 10},),
        )
        for i in range(4)
    ]
    plain = judged(trials)
    other = replace(plain.sealed, arguments={"column": "loss"}, estimator="repro.stats.summary.mean_over_seeds")
    attempt = replace(plain, sealed=other)
    sweep = sweep_of_runs(attempt, trials)
    assert sweep is not None
    assert sweep.budget is None
    assert profiles_of(attempt, sweep) is None
