"""Simulated records: laid out as the templates, with the truth asked for and the noise that the templates show."""

import math

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.schema.verdict import Estimate
from repro.stats.estimator import simulator_of
from repro.stats.extremes import worst_over_seeds
from repro.stats.reference_convergence import reference_convergence
from repro.stats.regression import log_log_slope
from repro.stats.scaling_laws import isoflop_exponent, parametric_fit
from repro.stats.simulators import exact, isoflop, law, means, reference, slope
from repro.stats.simulators.estimates import draw_estimate
from repro.stats.summary import mean_over_seeds, measured_parts, measured_value, paired_difference
from trial_records import make_record


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_estimator_that_names_a_simulator_has_it() -> None:
    from repro.catalog.estimators import _of_stats

    named = {name: f.simulator for name, f in _of_stats().items() if f.simulator}
    assert {"repro.stats.summary.mean_over_seeds", "repro.stats.regression.log_log_slope"} <= set(named)
    assert all(callable(simulator_of(_of_stats()[name])) for name in named)


def test_a_seal_does_not_cover_the_simulator() -> None:
    from repro.catalog.recipe import sources_of

    assert not any("simulators" in module for module in sources_of("repro.stats.summary"))


def test_means_have_the_true_mean_and_the_recorded_spread() -> None:
    records = [make_record(i, {"x": x, "other": 7.0}) for i, x in enumerate([1.0, 1.2, 1.1, 0.9, 1.3])]
    spread = mean_over_seeds(records, column="x").spread
    drawn = [means.runs(records, {"value": 3.0}, rng(i), column="x") for i in range(400)]
    values = np.array([[r.value("x") for r in one] for one in drawn])
    assert values.mean() == pytest.approx(3.0, abs=5 * spread / math.sqrt(values.size))
    assert values.std() == pytest.approx(spread, rel=0.08)
    assert [r.replicate for r in drawn[0]] == [r.replicate for r in records]
    assert all(r.rows[0]["other"] == 7.0 for r in drawn[0])


def test_lognormal_means_have_the_true_geometric_mean() -> None:
    records = [make_record(i, {"x": x}) for i, x in enumerate([1.0, 2.0, 4.0])]
    drawn = [means.runs(records, {"value": 5.0}, rng(i), column="x", noise="lognormal") for i in range(400)]
    logs = np.log([[r.value("x") for r in one] for one in drawn])
    assert logs.mean() == pytest.approx(math.log(5.0), abs=0.1)
    assert logs.std() == pytest.approx(math.log(2.0), rel=0.1)


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0, 1.0]])
def test_means_without_a_spread_are_refused(values: list[float]) -> None:
    records = [make_record(i, {"x": x}) for i, x in enumerate(values)]
    with pytest.raises(EstimateError, match="no noise can be simulated"):
        means.runs(records, {"value": 3.0}, rng(), column="x")


def test_a_diverged_run_stays_diverged() -> None:
    records = [make_record(i, {"x": x}) for i, x in enumerate([1.0, 1.2, 1.1])]
    records.append(make_record(3, {"x": None}, status="diverged"))
    drawn = means.runs(records, {"value": 3.0}, rng(), column="x")
    assert "diverged" in mean_over_seeds(drawn, column="x").flags


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_pairs_differ_by_the_truth_and_share_what_seeds_share(lower_is_better: bool) -> None:
    noise = rng(1).normal(size=(12, 3))
    records = []
    for i, (shared, a, b) in enumerate(noise):
        records.append(make_record(i, {"loss": 2 + shared + 0.1 * a}, arm="good"))
        records.append(make_record(i, {"loss": 3 + shared + 0.1 * b}, arm="bad"))
    arguments = {
        "column": "loss", "by": "arm", "better": "good", "worse": "bad", "lower_is_better": lower_is_better,
    }  # fmt: skip
    recorded = paired_difference(records, **arguments)
    estimates = [
        paired_difference(means.pairs(records, {"value": 0.4}, rng(i), **arguments), **arguments) for i in range(200)
    ]
    assert np.mean([e.value for e in estimates]) == pytest.approx(0.4, abs=5 * recorded.se / math.sqrt(200))
    assert np.mean([e.spread for e in estimates]) == pytest.approx(recorded.spread, rel=0.1)


def test_exact_values_become_the_truth() -> None:
    records = [make_record(i, {"a": 1.0, "b": 2.0}) for i in range(2)]
    assert measured_value(exact.shift_value(records, {"value": 9.0}, rng(), column="b"), column="b").value == 9.0
    parts = measured_parts(exact.shift_parts(records, {"a": 1.0, "b": 5.0}, rng()))
    assert (parts["a"].value, parts["b"].value, parts["a"].flags) == (1.0, 5.0, ())


@pytest.mark.parametrize("truth", [0.5, 0.0, 4.0])
def test_the_worst_seed_has_the_truth(truth: float) -> None:
    records = [make_record(i, {"error": e}) for i, e in enumerate([0.1, 2.0, 0.3])]
    drawn = exact.shift_worst(records, {"error": truth}, rng(3), columns=["error"])
    assert worst_over_seeds(drawn, columns=["error"])["error"].value == truth


def curve(passes: int, noise: float) -> list:
    draw = rng(5)
    return [
        make_record(r, {"t": n**1.9 * math.exp(noise * draw.normal()) + 5.0}, n=n)
        for r in range(passes)
        for n in (64, 128, 256, 512, 1024)
    ]


@pytest.mark.parametrize("passes", [1, 3, 5])
def test_a_tilted_curve_has_the_true_slope(passes: int) -> None:
    records = curve(passes, 0.02)
    values = [log_log_slope(slope.tilt(records, {"value": 1.0}, rng(i), x="n", y="t"), x="n", y="t") for i in range(60)]
    error = np.std([v.value for v in values]) / math.sqrt(60)
    assert error > 0
    assert np.mean([v.value for v in values]) == pytest.approx(1.0, abs=5 * error + 0.003)


def test_a_curve_without_noise_is_tilted_exactly() -> None:
    records = [make_record(r, {"t": 3.0 * n**2 + n}, n=n) for r in range(2) for n in (64, 128, 256, 512)]
    found = log_log_slope(slope.tilt(records, {"value": 1.0}, rng(), x="n", y="t"), x="n", y="t")
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert found.extras["se_window"] == pytest.approx(log_log_slope(records, x="n", y="t").extras["se_window"])


def profiles(noise: float, exponent: float = 0.5, budgets: int = 4, seeds: int = 2, scatter: float = 0.0) -> list:
    draw, records = rng(2), []
    for b in range(budgets):
        budget = 1e15 * 4.0**b
        best = 0.5 + exponent * math.log(budget) + scatter * draw.normal()
        for i, step in enumerate(np.linspace(-1.5, 1.5, 9)):
            params = math.exp(best + step)
            for seed in range(seeds):
                row = {
                    "budget": budget,
                    "params": params,
                    "tokens": budget / 6 / params,
                    "loss": 2.0 + 0.05 * step**2 + noise * draw.normal(),
                }
                records.append(make_record(seed, row, size=i, budget=budget))
    return records


@pytest.mark.parametrize("of", ["params", "tokens"])
@pytest.mark.parametrize("truth", [0.4, 0.5, 0.6])
def test_profiles_have_the_true_exponent(of: str, truth: float) -> None:
    records = profiles(0.002)
    drawn = [isoflop.profiles(records, {"value": truth}, rng(i), counting="none", of=of) for i in range(20)]
    found = np.array(
        [isoflop_exponent(one, counting="none", of=of, bootstrap=20, checks=False).value for one in drawn], dtype=float
    )
    assert found.std() > 0
    assert found.mean() == pytest.approx(truth, abs=5 * found.std() / math.sqrt(20) + 0.005)


def test_optima_scatter_about_the_line_as_recorded() -> None:
    def spread(records: list) -> float:
        drawn = [isoflop.profiles(records, {"value": 0.5}, rng(i), counting="none") for i in range(30)]
        return float(
            np.std([isoflop_exponent(one, counting="none", bootstrap=20, checks=False).value for one in drawn])
        )

    assert spread(profiles(1e-4, scatter=0.2)) > 10 * spread(profiles(1e-4))


def test_profiles_of_one_budget_are_refused() -> None:
    with pytest.raises(EstimateError, match="at least two budgets"):
        isoflop.profiles(profiles(0.01, budgets=1), {"value": 0.5}, rng(), counting="none")


def table(noise: float = 0.002) -> list:
    draw, rows = rng(4), []
    for params in np.geomspace(5e7, 1e10, 12):
        for tokens in np.geomspace(1e9, 3e11, 6):
            loss = (1.8 + 480 / params**0.35 + 2000 / tokens**0.37) * math.exp(noise * draw.normal())
            rows.append({"params": float(params), "tokens": float(tokens), "loss": loss})
    return [make_record(i, *rows) for i in range(2)]


TRUE = {"E": 1.7, "A": 400.0, "B": 1500.0, "alpha": 0.34, "beta": 0.36}


def test_a_redrawn_table_has_the_true_constants() -> None:
    drawn = law.refit(table(), TRUE, rng(), counting="none", uncertainty="none")
    found = parametric_fit(drawn, counting="none", uncertainty="none")
    assert "not_deterministic" not in found["E"].flags
    for name, value in TRUE.items():
        assert found[name].value == pytest.approx(value, rel=1e-4), name


def test_a_redrawn_table_scatters_where_the_estimator_counts_sampling() -> None:
    one, two = (law.refit(table(), TRUE, rng(i), counting="none")[0].column("loss") for i in range(2))
    same = [law.refit(table(), TRUE, rng(i), counting="none", uncertainty="none")[0].column("loss") for i in range(2)]
    assert one != two
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({"wald_p": 0.1}, "no constant"),
        ({"A": -1.0}, "above zero"),
        ({"alpha": 0.3, "beta": 0.3, "a": 0.9}, "contradicts"),
    ],
)
def test_a_truth_that_no_table_can_hold_is_refused(truth: dict[str, float], message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        law.refit(table(), truth, rng(), counting="none")


def test_drawn_estimates_follow_t() -> None:
    recorded = Estimate(0.5, se=0.02, dof=4, n=5, unit="budget", flags=("diverged", "skew_guard"))
    drawn = [draw_estimate(recorded, 1.0, rng(i)) for i in range(4000)]
    t = np.array([(d.value - 1.0) / d.se for d in drawn])
    # The 95 % point of t with 4 degrees of freedom.
    assert np.mean(np.abs(t) < 2.776) == pytest.approx(0.95, abs=0.015)
    assert drawn[0].flags == ("skew_guard",)


def test_drawn_estimates_of_factors_scatter_in_logs() -> None:
    recorded = Estimate(100.0, se=30.0, log_se=0.3, dof=20, n=25)
    drawn = [draw_estimate(recorded, 400.0, rng(i), log=True) for i in range(2000)]
    logs = np.log([d.value for d in drawn])
    assert logs.mean() == pytest.approx(math.log(400), abs=0.03)
    assert logs.std() == pytest.approx(0.3, rel=0.06)


def test_an_estimate_without_an_error_gives_no_noise() -> None:
    with pytest.raises(EstimateError, match="no standard error"):
        draw_estimate(Estimate(0.5, se=None), 1.0, rng())


def published_convergence() -> list:
    draw = rng(6)
    rows = [
        {"batch_size": 256.0, "is_reference": float(ref), "epochs": float(draw.normal(10.0 if ref else 9.0, 0.3))}
        for ref in (1, 0)
        for _ in range(20 if ref else 8)
    ]
    return [make_record(i, *rows) for i in range(2)]


@pytest.mark.parametrize("truth", [1.0, 0.8])
def test_submissions_take_the_true_multiple_of_the_reference(truth: float) -> None:
    records = published_convergence()
    drawn = [reference.submissions(records, {"value": truth}, rng(i), batch_size=256.0, runs=5) for i in range(60)]
    found = [reference_convergence(one, batch_size=256.0, runs=5) for one in drawn]
    assert all(f.flags == () for f in found)
    assert np.std([f.value for f in found]) > 0.003
    assert np.mean([f.value for f in found]) == pytest.approx(truth, abs=0.01)


def test_submissions_against_a_given_reference() -> None:
    records = [make_record(i, {"epochs": 9.0 + 0.1 * i}) for i in range(8)]
    given = {"batch_size": 256.0, "runs": 5, "reference": {"256": [10.0, 10.2, 9.8, 10.1, 9.9, 10.0]}}
    found = [
        reference_convergence(reference.submissions(records, {"value": 1.1}, rng(i), **given), **given).value
        for i in range(60)
    ]
    assert np.mean(found) == pytest.approx(1.1, abs=0.01)
