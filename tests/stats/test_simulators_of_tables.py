"""Simulated tables: trends, growth over time, published IsoFLOP points, one cell a part."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.growth import growth_parts, log_linear_growth
from repro.stats.isoflop_points import parabola_exponents
from repro.stats.simulators import convergence, growth, isoflop, trend
from repro.stats.simulators.trend import in_order
from repro.stats.trend import estimated_trend, exact_trend, monotone_trend
from trial_records import make_record

LEVELS = (1.0, 2.0, 4.0, 8.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def losses(noise: float, seeds: int = 4, step: float = -0.2) -> list[TrialRecord]:
    """One trial a level and seed; what a seed shares moves all its levels."""
    draw = rng(3)
    shared = draw.normal(0.0, 0.3, seeds)
    return [
        make_record(s, {"loss": 3.0 + step * k + shared[s] + noise * draw.normal()}, size=level)
        for s in range(seeds)
        for k, level in enumerate(LEVELS)
    ]


def table(*rows: tuple[float, float], **config: object) -> list[TrialRecord]:
    return [make_record(i, *({"x": x, "y": y} for x, y in rows), **config) for i in range(2)]


def test_the_order_of_the_levels_is_the_truth() -> None:
    means = np.array([3.0, 1.0, 2.0])
    assert in_order(means, 1.0).tolist() == [1.0, 2.0, 3.0]
    assert in_order(means, -1.0).tolist() == [3.0, 2.0, 1.0]
    assert in_order(means, 0.0).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("runs", ["paired", "independent"])
@pytest.mark.parametrize(("truth", "tau"), [(1.0, 1.0), (-1.0, -1.0)])
@pytest.mark.parametrize("step", [-0.2, 0.2])
def test_a_clear_trend_goes_the_true_way_whichever_way_it_was_recorded(
    runs: str, truth: float, tau: float, step: float
) -> None:
    records = losses(0.001, step=step)
    records = (
        records if runs == "paired" else [replace(r, rows=({"loss": 3.0 + step * r.config["size"]},)) for r in records]
    )
    drawn = trend.levels(records, {"value": truth}, rng(), x="size", y="loss", runs=runs)
    assert monotone_trend(drawn, x="size", y="loss", runs=runs).value == pytest.approx(tau)


def test_without_a_trend_the_p_values_are_those_of_chance() -> None:
    # Page's p of equally likely orders: P(p ≤ α) ≤ α, nearly equal for 4 seeds of 4 levels.
    ps = [
        monotone_trend(trend.levels(losses(0.1), {"value": 0.0}, rng(i), x="size", y="loss"), x="size", y="loss").extras
        for i in range(300)
    ]
    share = np.mean([p["trend_p"] <= 0.05 for p in ps])
    assert stats.binomtest(int(share * 300), 300, 0.05).pvalue > 1e-3


def test_paired_levels_keep_what_a_seed_shares() -> None:
    records = losses(0.02, seeds=12)
    recorded = np.array([r.value("loss") for r in records]).reshape(12, 4)
    drawn = np.array(
        [
            [r.value("loss") for r in trend.levels(records, {"value": 1.0}, rng(i), x="size", y="loss")]
            for i in range(200)
        ]
    ).reshape(-1, 4)
    for rows, others in zip(np.cov(np.log(drawn).T), np.cov(np.log(recorded).T), strict=True):
        assert rows == pytest.approx(others, rel=0.25)


def test_one_run_a_level_scatters_about_a_line_as_recorded() -> None:
    rows = [(float(k), 10.0 - k + (0.3 if k % 2 else -0.3)) for k in range(8)]
    given = {"x": "x", "y": "y", "runs": "rows"}
    values = np.array([y for _, y in rows])
    line = stats.linregress(np.arange(8), np.log(values))
    scatter = math.sqrt(((np.log(values) - line.intercept - line.slope * np.arange(8)) ** 2).sum() / 6)
    drawn = [trend.levels(table(*rows), {"value": 0.0}, rng(i), **given)[1].column("y") for i in range(400)]
    assert np.std(np.log(drawn)) == pytest.approx(scatter, rel=0.05)


def test_runs_that_are_rows_agree_between_replicates_and_diverged_ones_stay() -> None:
    drawn = trend.levels(table((1, 2.0), (1, 2.2), (2, 3.0), (3, 5.0)), {"v": 1.0}, rng(), x="x", y="y", runs="rows")
    assert drawn[0].rows == drawn[1].rows
    records = losses(0.1)
    records[0] = replace(records[0], status="diverged", rows=({"loss": None},))
    found = monotone_trend(trend.levels(records, {"v": 1.0}, rng(), x="size", y="loss"), x="size", y="loss")
    assert found.extras["diverged"] == 1.0


@pytest.mark.parametrize(("truth", "reversals"), [(1.0, 0), (0.0, 1), (-1.0, 3)])
@pytest.mark.parametrize("direction", ["increasing", "decreasing"])
def test_a_table_without_noise_reverses_no_step_the_smallest_or_all(
    truth: float, reversals: int, direction: str
) -> None:
    given = {"x": "x", "y": "y", "direction": direction}
    drawn = trend.table(table((1, 5.0), (2, 1.0), (3, 9.0), (4, 2.0)), {"value": truth}, rng(), **given)
    found = exact_trend(drawn, **given)
    assert found.extras["trend_reversals"] == reversals
    assert truth or found.value == -1.0  # 1 and 2 are nearest to each other


def test_of_estimates_the_least_significant_step_vanishes() -> None:
    rows = [{"x": float(k), "y": y, "s": 0.1} for k, y in enumerate((4.0, 3.0, 2.5, 1.0))]
    records, given = [make_record(i, *rows) for i in range(2)], {"x": "x", "y": "y", "se": "s"}
    found = [
        estimated_trend(trend.estimates(records, {"v": t}, rng(i), **given), **given)
        for t in (1.0, 0.0)
        for i in range(200)
    ]
    shown = [f.extras["trend_p"] <= 0.05 for f in found]
    # The weakest step, 0.5, with its standard error 0.1·√2; at 0 the level of the test itself.
    power = stats.norm.sf(stats.norm.isf(0.05) - 0.5 / (0.1 * math.sqrt(2)))
    assert np.mean(shown[:200]) == pytest.approx(power, abs=5 * math.sqrt(power * (1 - power) / 200))
    assert np.mean(shown[200:]) == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / 200))


def test_levels_without_an_order_to_give_are_refused() -> None:
    with pytest.raises(EstimateError, match="no order to give"):
        trend.levels(table((1, 2.0), (2, 2.0), (3, 2.0)), {"v": 1.0}, rng(), x="x", y="y", runs="rows")
    with pytest.raises(EstimateError, match="at least three levels"):
        trend.levels(table((1, 2.0), (2, 3.0)), {"v": 1.0}, rng(), x="x", y="y", runs="rows")
    with pytest.raises(EstimateError, match="no order to give"):
        trend.table(table((1, 2.0), (2, 2.0)), {"v": 1.0}, rng(), x="x", y="y")


def chips(n: int = 60, noise: float = 0.5) -> list[TrialRecord]:
    draw = rng(8)
    years = draw.uniform(2006, 2022, n)
    rows = [
        {"year": float(t), "y": math.exp(0.3 * (t - 2014) + noise * draw.normal()), "all": 1.0, "ml": float(i % 3 == 0)}
        for i, t in enumerate(years)
    ]
    return [make_record(i, *rows) for i in range(2)]


def test_growth_that_is_not_sampled_becomes_the_truth_exactly() -> None:
    given = {"y": "y", "report": "doubling_time", "where": {"year": [2008, 2020]}}
    drawn = growth.rate(chips(), {"value": 2.5}, rng(), **given)
    assert log_linear_growth(drawn, **given).value == pytest.approx(2.5, rel=1e-12)
    assert drawn == growth.rate(chips(), {"value": 2.5}, rng(9), **given)


def test_sampled_growth_scatters_about_the_truth_by_its_standard_error() -> None:
    given = {"y": "y", "report": "orders", "uncertainty": "bootstrap", "bootstrap": 200}
    drawn = [growth.rate(chips(), {"value": 0.2}, rng(i), **given) for i in range(200)]
    values = np.array([log_linear_growth(one, **{**given, "bootstrap": 10}).value for one in drawn])
    se = log_linear_growth(chips(), **{**given, "bootstrap": 2000}).se
    assert values.mean() == pytest.approx(0.2, abs=5 * se / math.sqrt(200))
    assert values.std() == pytest.approx(se, rel=0.25)


def test_parts_that_share_rows_each_grow_at_their_own_rate() -> None:
    given = {
        "shared": {"y": "y", "report": "doubling_time", "uncertainty": "bootstrap", "bootstrap": 10},
        "parts": {"all": {"where": {"all": [1, 1]}}, "ml": {"where": {"ml": [1, 1]}}},
    }
    truth = {"all": 2.46, "ml": 2.07}
    rates = [
        {name: 1 / e.value for name, e in growth_parts(growth.rates(chips(), truth, rng(i), **given), **given).items()}
        for i in range(100)
    ]
    for name, value in truth.items():
        own = np.array([r[name] for r in rates])
        assert own.mean() == pytest.approx(1 / value, abs=5 * own.std() / 10)
    drawn = growth.rates(chips(noise=0.0), truth, rng(), **given)
    assert {n: e.value for n, e in growth_parts(drawn, **given).items()} == pytest.approx(truth)


@pytest.mark.parametrize(
    ("arguments", "truth", "message"),
    [
        ({"report": "low"}, 2.0, "no rate of growth"),
        ({"report": "doubling_time"}, -1.0, "no rate of growth has"),
        ({"where": {"year": [2006, 2006.01]}}, 2.0, "fewer than three"),
    ],
)
def test_growth_that_no_table_has_is_refused(arguments: dict, truth: float, message: str) -> None:
    with pytest.raises(EstimateError, match=message):
        growth.rate(chips(), {"value": truth}, rng(), y="y", **arguments)


def test_parts_of_the_same_rows_cannot_differ() -> None:
    with pytest.raises(EstimateError, match="hold the same rows"):
        growth.rates(chips(), {"a": 2.0, "b": 3.0}, rng(), parts={"a": {"y": "y"}, "b": {"y": "y"}})


def points(setting: str, exponent: float, noise: float = 0.001) -> list[TrialRecord]:
    """Six budgets of nine sizes; the lowest loss of the last is at its smallest size."""
    draw, rows = rng(len(setting)), []
    for b in range(6):
        budget = 1e15 * 4.0**b
        best = 0.5 + exponent * math.log(budget) + 0.02 * draw.normal()
        for step in np.linspace(-1.5, 1.5, 9) + (2.0 if b == 5 else 0.0):
            size = math.exp(best + step)
            loss = 2.0 + 0.05 * step**2 + noise * draw.normal()
            rows.append({"budget": budget, "params": size, "tokens": budget / 6 / size, "loss": loss})
    return [make_record(i, *rows, setting=setting) for i in range(2)]


def test_published_points_have_the_true_exponents_and_the_same_budgets() -> None:
    records, settings = [*points("one", 0.5), *points("three", 0.6)], {"a": "one", "b": "three"}
    truth = {"a": 0.45, "b_ratio_slope": -0.1}
    drawn = [isoflop.settings(records, truth, rng(i), settings=settings) for i in range(60)]
    found = [parabola_exponents(one, settings=settings) for one in drawn]
    assert {f["a"].n for f in found} == {5}
    assert all(not f["a"].flags for f in found)
    for part, value in (*truth.items(), ("b", 0.55)):
        values = np.array([f[part].value for f in found], dtype=float)
        assert values.mean() == pytest.approx(value, abs=5 * values.std() / math.sqrt(60) + 1e-3), part


def test_exponents_fall_by_the_truth() -> None:
    names = ("one", "three", "seven")
    records = [r for name, a in zip(names, (0.8, 0.7, 0.5), strict=True) for r in points(name, a, 0.0)]
    drawn = [
        isoflop.falls(records, {"fall_1": 0.02, "fall_2": 0.3}, rng(i), settings=names, draws=9) for i in range(40)
    ]
    found = [parabola_exponents(one, settings={n: n for n in names}) for one in drawn]
    falls = np.array([[f["one"].value - f["three"].value, f["three"].value - f["seven"].value] for f in found])
    assert falls.mean(axis=0) == pytest.approx([0.02, 0.3], abs=0.01)


def test_points_that_cannot_be_drawn_are_refused() -> None:
    records = points("one", 0.5)
    with pytest.raises(EstimateError, match="two exponents"):
        isoflop.settings(records, {"a": 0.5, "a_ratio_slope": 0.1}, rng(), settings={"a": "one"})
    with pytest.raises(EstimateError, match="no exponent of a setting"):
        isoflop.settings(records, {"a_r_squared": 0.9}, rng(), settings={"a": "one"})
    with pytest.raises(EstimateError, match="no finished trial"):
        isoflop.settings(records, {"a": 0.9}, rng(), settings={"a": "two"})


def test_one_cell_a_part_each_with_its_own_truth() -> None:
    cells = {"bert": (1.0, 2.0, 4.0), "resnet": (8.0, 4.0, 2.0)}
    records = [
        make_record(i, *({"batch_size": float(k), "epochs": v} for k, v in enumerate(values)), benchmark=name)
        for i in range(2)
        for name, values in cells.items()
    ]
    drawn = convergence.benchmarks(records, {"bert": -1.0, "resnet": 1.0}, rng())
    assert [r.config["benchmark"] for r in drawn] == ["bert", "resnet"] * 2
    assert [r.column("epochs") for r in drawn[:2]] == [
        pytest.approx((4.0, 2.0, 1.0)),
        pytest.approx((2.0, 4.0, 8.0)),
    ]
    with pytest.raises(EstimateError, match="part 'gpt3'"):
        convergence.benchmarks(records, {"gpt3": 1.0}, rng())


def test_newer_runs_take_the_true_multiple() -> None:
    draw = rng(1)
    rows = [
        {"batch_size": 448.0, "is_reference": float(ref), "epochs": float(draw.normal(10.0 if ref else 8.0, 0.2))}
        for ref in (1, 0)
        for _ in range(20)
    ]
    config = {"benchmark": "bert", "batch_size": 448, "newer": "training_2.1.0"}
    records = [make_record(i, *rows, **config) for i in range(2)]
    ratios = []
    for i in range(50):
        (first, second) = convergence.replaced_points(records, {"bert_448_2_1_0": 0.9}, rng(i))
        assert first.rows == second.rows
        epochs, is_reference = (np.array(first.column(name)) for name in ("epochs", "is_reference"))
        ratios.append(epochs[is_reference == 0].mean() / epochs[is_reference == 1].mean())
    assert np.mean(ratios) == pytest.approx(0.9, abs=0.005)
    assert np.std(ratios) > 0.001
