import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats import scaling_laws
from repro.stats.scaling_laws.approach2 import Profile, find_optimum, near_minimum, parabola, pooled_sd
from repro.stats.scaling_laws.law import ParametricLaw, log_optimal_params
from scaling_law_runs import EPOCH, record

isoflop_exponent = partial(scaling_laws.isoflop_exponent, counting="embedding+head+attention")

BUDGETS = tuple(3e13 * 4**k for k in range(5))
EXPONENT = EPOCH.beta / (EPOCH.alpha + EPOCH.beta)


def trained(
    budgets: Sequence[float] = BUDGETS,
    *,
    sizes: int = 7,
    ratio: float = 1.6,
    off_centre: float = 0.0,
    noise: float = 0.0,
    seeds: int = 1,
    seed: int = 0,
) -> list[dict[str, float]]:
    """Runs of EPOCH's law, sizes spaced by `ratio` about the optimum, which `off_centre` shifts by so many steps."""
    rng = np.random.default_rng(seed)
    rows = []
    for budget in budgets:
        steps = np.arange(sizes) - (sizes - 1) / 2 + off_centre
        for params in np.exp(log_optimal_params(EPOCH.theta, budget) + steps * math.log(ratio)):
            tokens = budget / (6 * params)
            loss = float(EPOCH.loss(params, tokens))
            rows += [
                {"budget": budget, "params": params, "tokens": tokens, "loss": loss + noise * rng.normal()}
                for _ in range(seeds)
            ]
    return rows


def records(rows: Sequence[dict[str, float]]) -> list[TrialRecord]:
    return [record([row], {}, i) for i, row in enumerate(rows)]


def profile(losses: Sequence[float], sizes: Sequence[float] | None = None) -> Profile:
    x = np.arange(len(losses), dtype=float) if sizes is None else np.array(sizes)
    return Profile(1e15, x, np.array(losses), np.ones(len(losses)))


@pytest.mark.parametrize("ratio", [1.3, 1.6, 2.0])
@pytest.mark.parametrize("budgets", [BUDGETS, tuple(6e18 * 4**k for k in range(5))])
@pytest.mark.parametrize(("of", "exponent"), [("params", EXPONENT), ("tokens", 1 - EXPONENT)])
def test_exponent_is_recovered_on_centred_grids(
    of: str, exponent: float, budgets: tuple[float, ...], ratio: float
) -> None:
    found = isoflop_exponent(records(trained(budgets, ratio=ratio)), of=of)
    assert found.value == pytest.approx(exponent, abs=1e-3)
    assert (found.dof, found.n, found.unit, found.flags) == (3, 5, "budget", ())
    assert found.extras[f"optimal_{of}_{budgets[0]:.3g}"] > 0


def test_parabola_and_line_are_those_of_polyfit() -> None:
    rows = trained(noise=0.003, off_centre=0.6, seed=3)
    optima = []
    for budget in BUDGETS:
        own = [(math.log(row["params"]), row["loss"]) for row in rows if row["budget"] == budget]
        own.sort(key=lambda point: point[1])
        near = [point for i, point in enumerate(own) if i < 5 or point[1] <= own[0][1] + 0.15]
        square, linear, _ = np.polyfit(*zip(*near, strict=True), 2)
        optima.append(-linear / (2 * square))
    found = isoflop_exponent(records(rows))
    for budget, optimum in zip(BUDGETS, optima, strict=True):
        assert found.extras[f"optimal_params_{budget:.3g}"] == pytest.approx(math.exp(optimum), rel=1e-6)
    # The line weighs budgets by their noise, polyfit does not; on optima this precise they agree closely.
    assert found.value == pytest.approx(np.polyfit(np.log(BUDGETS), optima, 1)[0], abs=0.003)


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_hundredth_of_a_nat_moves_the_exponent_by_less_than_three_hundredths(seed: int) -> None:
    found = isoflop_exponent(records(trained(noise=0.01, seeds=2, seed=seed)))
    assert found.value == pytest.approx(EXPONENT, abs=0.03)
    assert found.extras["seed_sd"] == pytest.approx(0.01, rel=0.4)
    errors = [found.extras[name] for name in ("se_noise", "se_leave_one_out", "se_regression")]
    assert found.se == max(errors)
    assert min(errors) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
def test_t_interval_covers_the_exponent(seeds: int) -> None:
    """The widest of three errors is conservative: the 90 % interval covers at least 90 % of 400 experiments."""
    covered = 0
    for seed in range(400):
        found = isoflop_exponent(records(trained(noise=0.02, seeds=seeds, seed=seed)), bootstrap=300)
        covered += abs(found.value - EXPONENT) < t.ppf(0.95, found.dof) * found.se
    assert covered / 400 >= 0.9


def test_seeds_of_a_cell_count_as_their_mean_with_its_weight() -> None:
    budgets = (6e18, 2.4e19, 9.6e19)
    rows = trained(budgets, ratio=1.3, noise=0.001, seeds=3)
    found = isoflop_exponent(records(rows[:21:3] + rows[21:]))  # one seed left in each cell of the first budget
    cells = np.array([row["loss"] for row in rows[21:42]]).reshape(7, 3).mean(axis=1)
    x = np.log([row["params"] for row in rows[21:42:3]])
    square, linear, _ = np.polyfit(x, cells, 2)
    assert cells.max() < cells.min() + 0.15
    assert found.extras["optimal_params_2.4e+19"] == pytest.approx(math.exp(-linear / (2 * square)), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(unit_c=st.floats(1e-3, 1e3), unit_n=st.floats(1e-3, 1e3), nats=st.floats(-1, 1))
def test_units_and_a_constant_loss_change_nothing(unit_c: float, unit_n: float, nats: float) -> None:
    rows = trained(noise=0.005, off_centre=0.4)
    other = [
        {**r, "budget": r["budget"] * unit_c, "params": r["params"] * unit_n, "loss": r["loss"] + nats} for r in rows
    ]
    first, second = (isoflop_exponent(records(some), bootstrap=100) for some in (rows, other))
    assert second.value == pytest.approx(first.value, abs=1e-6)
    assert second.se == pytest.approx(first.se, rel=1e-4)


@pytest.mark.parametrize(
    ("losses", "problem"),
    [
        ([2.0, 2.1, 2.3, 2.6, 3.0], "the lowest loss is at the smallest size of the grid"),
        ([3.0, 2.6, 2.3, 2.1, 2.0], "the lowest loss is at the largest size of the grid"),
        ([2.0, 2.1, 1.99, 2.1, 2.0], "the parabola has no minimum"),
        ([3.0, 2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.401], "the minimum of the parabola lies beyond the sizes"),
        ([2.0, 1.9], "only 2 sizes, a parabola needs 3"),
    ],
)
def test_an_optimum_that_would_be_extrapolated_is_refused(losses: list[float], problem: str) -> None:
    found = find_optimum(profile(losses), window=5.0)
    assert math.isnan(found.log_size)
    assert found.problem == problem


def test_a_refused_budget_refuses_the_exponent_and_is_named() -> None:
    rows = trained()
    cut = [
        r
        for r in rows
        if r["budget"] != BUDGETS[2] or r["params"] > math.exp(log_optimal_params(EPOCH.theta, BUDGETS[2]))
    ]
    found = isoflop_exponent(records(cut))
    assert found.value is None
    assert found.note.startswith("at 4.8e+14 FLOPs the lowest loss is at the smallest size of the grid")
    assert found.extras["optimal_params_4.8e+14"] is None
    assert found.extras["optimal_params_3e+13"] > 0


@pytest.mark.parametrize(
    ("losses", "window", "used"),
    [
        ([2.4, 2.1, 2.0, 2.05, 2.3, 2.5], 0.15, [0, 1, 2, 3, 4]),
        ([2.14, 2.1, 2.0, 2.05, 2.12, 2.13], 0.15, [0, 1, 2, 3, 4, 5]),
        ([2.4, 2.1, 2.0], 0.15, [0, 1, 2]),
    ],
)
def test_cells_near_the_minimum(losses: list[float], window: float, used: list[int]) -> None:
    assert near_minimum(np.array(losses), window, 5).tolist() == used


def test_parabola_weighs_cells_by_their_seeds_as_polyfit_does() -> None:
    rng = np.random.default_rng(0)
    x, seeds = np.sort(rng.normal(14, 1, 8)), rng.integers(1, 5, 8).astype(float)
    losses = 2 + 0.1 * (x - 14) ** 2 + rng.normal(0, 0.02, 8)
    constant, linear, square = parabola(x, seeds) @ losses
    assert [square, linear, constant] == pytest.approx(np.polyfit(x - x.mean(), losses, 2, w=np.sqrt(seeds)), rel=1e-9)


def test_three_points_are_met_exactly() -> None:
    found = find_optimum(profile([2.0 + 0.1 * (x - 1.3) ** 2 for x in range(3)]))
    assert found.log_size == pytest.approx(1.3)
    assert found.residuals == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("budgets", "value", "flags", "note"),
    [
        (BUDGETS[:2], EXPONENT, ("too_few_budgets",), "two budgets give no standard error"),
        (BUDGETS[:1], None, (), "one budget gives no slope"),
    ],
)
def test_two_budgets_give_no_interval(
    budgets: tuple[float, ...], value: float | None, flags: tuple[str, ...], note: str
) -> None:
    found = isoflop_exponent(records(trained(budgets)))
    assert found.value == (None if value is None else pytest.approx(value, abs=1e-3))
    assert (found.se, found.dof, found.n, found.flags) == (None, None, len(budgets), flags)
    assert found.note.startswith(note)


def test_few_sizes_are_flagged() -> None:
    found = isoflop_exponent(records(trained(BUDGETS[:3], sizes=4)))
    assert found.flags == ("few_points",)
    assert "fewer than 5 sizes at 3e+13, 1.2e+14, 4.8e+14 FLOPs" in found.note


def test_exact_parabolas_without_repeats_leave_the_noise_unknown() -> None:
    found = isoflop_exponent(records(trained(BUDGETS[:3], sizes=3)))
    assert found.extras["se_noise"] is None
    assert found.se == max(found.extras["se_leave_one_out"], found.extras["se_regression"])


def test_diverged_runs_are_flagged_and_counted() -> None:
    runs = records(trained(noise=0.002))
    runs[3] = record([{**runs[3].rows[0], "loss": None}], {}, 3)
    runs[9] = record([], {}, 9, status="diverged")
    found = isoflop_exponent(runs)
    assert found.flags == ("diverged",)
    assert found.note.startswith("2 runs diverged")
    assert found.value == pytest.approx(EXPONENT, abs=0.03)


def test_records_without_the_columns_are_refused() -> None:
    with pytest.raises(EstimateError, match="has no training tokens D"):
        isoflop_exponent(records([{"budget": 1e15, "params": 1e6, "loss": 2.0}]), of="tokens")
    with pytest.raises(EstimateError, match="needs finished training runs; the sweep has no rows .1 diverged"):
        isoflop_exponent([record([], {}, 0, status="diverged")])


def test_pooled_sd_is_that_of_repeats_alone() -> None:
    assert pooled_sd([np.array([1.0]), np.array([2.0])]) is None
    assert pooled_sd([np.array([1.0, 3.0]), np.array([5.0]), np.array([1.0, 2.0, 3.0])]) == pytest.approx(
        math.sqrt(4 / 3)
    )


def test_two_cells_are_no_parabola() -> None:
    found = find_optimum(profile([3.0, 2.0, 2.1, 3.2]), window=0.2, min_points=1)
    assert (math.isnan(found.log_size), found.problem) == (
        True,
        "only 2 sizes are near the lowest loss, a parabola needs 3",
    )


def test_checkpoints_of_one_run_are_no_repeats() -> None:
    """Three checkpoints next to one another share their run's noise: as seeds they would show almost none."""
    rows = trained(noise=0.01, sizes=9, seed=4)
    close = [
        {**row, "run": i, "tokens": row["tokens"] * near, "loss": row["loss"] + 1e-6 * near}
        for i, row in enumerate(rows)
        for near in (0.999, 1.0, 1.001)
    ]
    single, found = isoflop_exponent(records(rows)), isoflop_exponent(records(close))
    assert found.extras["seed_sd"] == pytest.approx(single.extras["seed_sd"], rel=1e-3)
    assert found.se == pytest.approx(single.se, rel=0.1)
    assert "noise of one run from the scatter" in found.note


def test_sizes_that_differ_by_rounding_are_one_cell() -> None:
    rows = trained(noise=0.01, seeds=3, seed=2)
    shaken = [{**row, "params": row["params"] * (1 + 1e-12 * (i % 3))} for i, row in enumerate(rows)]
    plain, found = isoflop_exponent(records(rows)), isoflop_exponent(records(shaken))
    assert found.value == pytest.approx(plain.value, abs=1e-9)
    assert found.extras["seed_sd"] == pytest.approx(plain.extras["seed_sd"])
    assert found.extras["bias_bar"] == pytest.approx(plain.extras["bias_bar"], abs=1e-9)


def test_a_bias_beyond_the_error_is_flagged() -> None:
    """Grids that drift against the optimum, on a law with unequal exponents, move the exponent; nothing random shows it."""
    law = ParametricLaw(E=1.7, A=70.0, B=28000.0, alpha=0.25, beta=0.5)
    rng = np.random.default_rng(0)
    rows = []
    for k, budget in enumerate(1e19 * 3.0 ** np.arange(5)):
        centre = log_optimal_params(law.theta, budget) - 0.6 * (k - 2) * math.log(1.8)
        for params in np.exp(centre + np.arange(-5, 6) * math.log(1.8)):
            tokens = budget / 6 / params
            loss = float(law.loss(params, tokens)) + 0.001 * rng.normal()
            rows.append({"budget": budget, "params": params, "tokens": tokens, "loss": loss})
    found = isoflop_exponent(records(rows))
    assert found.extras["bias_bar"] > found.se
    assert "systematic_error" in found.flags
    assert "parabolas on these grids are off by" in found.note
    assert found.value - found.extras["exponent_bias"] == pytest.approx(2 / 3, abs=0.01)
