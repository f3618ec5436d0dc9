from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.stats import scaling_laws
from repro.stats.scaling_laws.approach3 import best_fit, bootstrap_fits
from repro.stats.scaling_laws.huber import summed_loss
from repro.stats.scaling_laws.newton import minimise
from repro.stats.scaling_laws.starts import lbfgs
from scaling_law_runs import EPOCH, TEX, drawn_records, drawn_runs, in_logs, record, records_of

constants_rejected, early_stop, fit_invariance, log_likelihoods, parametric_fit = (
    partial(getattr(scaling_laws, name), counting="unstated")
    for name in ("constants_rejected", "early_stop", "fit_invariance", "log_likelihoods", "parametric_fit")
)
parametric_fit_errors, parametric_fit_intervals, runs_for_interval_width = (
    partial(getattr(scaling_laws, name), counting="unstated")
    for name in ("parametric_fit_errors", "parametric_fit_intervals", "runs_for_interval_width")
)

EPOCH_PARTS = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
TEX_PARTS = {"E": 1.6933737, "A": 406.40102, "B": 410.72283, "alpha": 0.33917084, "beta": 0.2849083}
ROW = {"params": 1e9, "tokens": 2e10, "loss": 2.5}


def test_fit_recovers_the_constants_within_its_standard_errors() -> None:
    fit = parametric_fit(drawn_records(noise=0.007), bootstrap=300)
    for name, value in EPOCH_PARTS.items():
        assert fit[name].value == pytest.approx(value, abs=3 * fit[name].se)
        assert fit[name].extras["percentile_2.5"] < fit[name].value < fit[name].extras["percentile_97.5"]
    assert fit["a"].value == pytest.approx(fit["beta"].value / (fit["alpha"].value + fit["beta"].value))
    assert {(e.dof, e.n, e.unit, e.deterministic, e.flags) for e in fit.values()} == {(235, 240, "run", False, ())}


def test_bootstrap_error_is_the_scatter_over_repeated_experiments() -> None:
    fits = []
    for seed in range(150):
        runs = in_logs(drawn_runs(n=240, noise=0.007, seed=seed))
        fits.append(minimise(EPOCH.theta[None], runs)[0][0])
    logs = parametric_fit(drawn_records(n=240, noise=0.007, seed=7), bootstrap=400)
    scatter = dict(zip(("A", "B", "E", "alpha", "beta"), np.std(fits, axis=0, ddof=1), strict=True))
    for name in ("A", "B", "E"):
        assert logs[name].log_se == pytest.approx(scatter[name], rel=0.5)
    for name in ("alpha", "beta"):
        assert logs[name].se == pytest.approx(scatter[name], rel=0.5)


def test_equal_seeds_give_equal_bootstraps() -> None:
    records = drawn_records(noise=0.01, n=40)
    one, two, other = (parametric_fit(records, bootstrap=200, seed=seed)["E"].se for seed in (0, 0, 1))
    assert one == two != other


@pytest.mark.parametrize("objective", ["huber", "likelihood"])
def test_same_table_leaves_no_sampling_error(objective: str) -> None:
    fit = parametric_fit(drawn_records(noise=0.01), objective=objective, uncertainty="none")
    assert {(e.se, e.n, e.deterministic, e.flags) for e in fit.values()} == {(0.0, 1, True, ())}
    assert fit["E"].value == pytest.approx(1.8172, abs=0.1)


def test_replicates_must_agree_and_come_from_two_processes() -> None:
    records = drawn_records(noise=0.01, n=40)
    alone = parametric_fit(records[:1], uncertainty="none")
    one_process = parametric_fit([replace(r, process="1") for r in records], uncertainty="none")
    other_rows = replace(records[1], rows=records[1].rows[::-1])
    for fit in (alone, one_process, parametric_fit([records[0], other_rows], uncertainty="none")):
        assert fit["E"].flags == ("not_deterministic",)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "has no rows"),
        ([record([], {}, status="failed")], "has no rows"),
        ([record([ROW] * 9, {"drop": 1}, 0), record([ROW] * 9, {"drop": 2}, 1)], "of one config, got 2 configs"),
        (records_of([{"params": 1e9, "loss": 2.0}] * 9), "has no column 'tokens'"),
        (records_of([{**ROW, "loss": 2.5 + k} for k in range(5)]), "more than five runs, got 5"),
        (records_of([*[ROW] * 8, {**ROW, "loss": -1.0}]), "column 'loss' of a sweep must be a number above zero"),
    ],
)
def test_records_without_a_usable_table_are_refused(records: list, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        parametric_fit(records)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"objective": "hubert"}, "Did you mean 'huber'"),
        ({"uncertainty": "bootstarp"}, "Did you mean 'bootstrap'"),
        ({"objective": "likelihood", "uncertainty": "bootstrap"}, "use objective: huber"),
    ],
)
def test_unknown_arguments_are_refused(arguments: dict, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        parametric_fit(drawn_records(n=20), **arguments)


def test_errors_and_intervals_are_those_of_the_draws() -> None:
    records = drawn_records(noise=0.01, n=60)
    runs = in_logs(drawn_runs(noise=0.01, n=60))
    draws = bootstrap_fits(runs, best_fit(runs), 400, seed=3)
    errors = parametric_fit_errors(records, bootstrap=400, seed=3)
    ends = parametric_fit_intervals(records, level=0.8, bootstrap=400, seed=3)
    assert errors["alpha"].value == pytest.approx(draws[:, 3].std(ddof=1))
    assert errors["B"].value == pytest.approx(np.exp(draws[:, 1]).std(ddof=1))
    assert ends["beta_low"].value == pytest.approx(np.percentile(draws[:, 4], 10))
    assert ends["E_high"].value == pytest.approx(np.percentile(np.exp(draws[:, 2]), 90))
    assert {(e.dof, e.n, e.unit) for e in (*errors.values(), *ends.values())} == {(19, 20, "bootstrap batch")}


def test_monte_carlo_error_is_the_scatter_over_bootstrap_seeds() -> None:
    records = drawn_records(noise=0.01, n=60)
    repeats = [parametric_fit_errors(records, bootstrap=400, seed=seed)["alpha"] for seed in range(12)]
    scatter = np.std([estimate.value for estimate in repeats], ddof=1)
    assert np.mean([estimate.se for estimate in repeats]) == pytest.approx(scatter, rel=0.6)


def test_a_bootstrap_too_small_for_batches_is_refused() -> None:
    with pytest.raises(EstimateError, match="set bootstrap to 200 or more, not 100"):
        parametric_fit_errors(drawn_records(n=20), bootstrap=100)


def test_runs_needed_go_with_the_inverse_square_of_the_width() -> None:
    records = drawn_records(noise=0.004)
    wide, narrow = (runs_for_interval_width(records, width=w, bootstrap=1000) for w in (0.01, 0.005))
    a = parametric_fit(records, bootstrap=1000)["a"]
    for part in ("percentile", "delta_method"):
        assert narrow[part].value == pytest.approx(4 * wide[part].value)
        # For near-normal a: width of the 80 % interval is 2 · 1.2816 standard errors.
        assert wide[part].value == pytest.approx(240 * (2 * 1.2816 * a.se / 0.01) ** 2, rel=0.15)


def test_constants_are_rejected_where_they_are_wrong_alone() -> None:
    records = drawn_records(noise=0.007)
    true = constants_rejected(records, constants=EPOCH_PARTS, bootstrap=400)
    wrong = constants_rejected(records, constants=TEX_PARTS, bootstrap=400)
    assert min(true["wald_p"].value, true["likelihood_ratio_p"].value) > 0.001
    assert max(wrong["wald_p"].value, wrong["likelihood_ratio_p"].value) < 1e-10
    assert wrong["likelihood_ratio"].value > true["likelihood_ratio"].value > 0
    assert wrong["likelihood_ratio_p"].deterministic
    assert not wrong["wald_p"].deterministic


@pytest.mark.parametrize(
    ("constants", "said"),
    [
        ({**EPOCH_PARTS, "gamma": 1.0}, "constants has the unknown constant 'gamma'"),
        ({"E": 1.8}, "constants lacks the constant"),
    ],
)
def test_incomplete_constants_are_refused(constants: dict, said: str) -> None:
    with pytest.raises(EstimateError, match=said):
        constants_rejected(drawn_records(n=20), constants=constants, bootstrap=200)


def test_no_constants_are_likelier_than_the_refit() -> None:
    found = log_likelihoods(drawn_records(noise=0.007), constants={"true": EPOCH_PARTS, "other": TEX_PARTS})
    assert found["refit"].value > found["true"].value > found["other"].value
    assert abs(found["true"].extras["mean_residual"]) < 0.01 < abs(found["other"].extras["mean_residual"])


def test_refit_may_leave_out_the_highest_losses_and_still_score_all() -> None:
    records = drawn_records(noise=0.007, n=60)
    every, fewer = (log_likelihoods(records, constants={}, fit_without_highest=k)["refit"].value for k in (0, 10))
    assert fewer < every


def test_reductions_of_lbfgs_differ_in_where_they_stop() -> None:
    runs = in_logs(drawn_runs(noise=0.007))
    start = TEX.theta[None]
    best = float(minimise(start, runs)[1][0])
    reached = {name: float(lbfgs(start, runs, name)[1][0]) for name in ("mean", "sum", "inflated")}
    assert best <= reached["inflated"] < reached["sum"] < reached["mean"] < float(summed_loss(start, runs)[0])


def test_averaging_stops_early_and_inflating_does_not() -> None:
    records = drawn_records(noise=0.007)
    mean, inflated = (early_stop(records, reduction=name, starts=10) for name in ("mean", "inflated"))
    assert mean.value > 0 > inflated.value
    assert sorted(abs(unit) for unit in mean.units) == list(range(1, 11))
    assert mean.flags == ("ranked",)
    assert mean.extras["starts_stopped_higher"] == 10
    with pytest.raises(EstimateError, match="Did you mean 'mean'"):
        early_stop(records, reduction="meen")


def test_invariance_takes_no_reduction_but_the_sum_for_newton_steps() -> None:
    with pytest.raises(EstimateError, match="reduction must be one of sum, not 'mean'"):
        fit_invariance(drawn_records(n=20), reduction="mean")
