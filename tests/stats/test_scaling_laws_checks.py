"""The parabola's bias, the quartic and the cubic: against another group's simulation and against polyfit."""

import math

import numpy as np
import pytest

from repro.stats.scaling_laws import approach2, read_sweep
from repro.stats.scaling_laws.approach2 import Profile, find_optimum
from repro.stats.scaling_laws.isoflop_checks import asymmetry, bias_under, quartic_shift
from repro.stats.scaling_laws.law import ParametricLaw, log_optimal_params
from repro.stats.scaling_laws.sweep import Sweep

CHINCHILLA = ParametricLaw(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
SYMMETRIC = ParametricLaw(E=1.69, A=400.0, B=400.0, alpha=0.31, beta=0.31)
ASYMMETRIC = ParametricLaw(E=1.69, A=400.0, B=400.0, alpha=0.465, beta=0.155)
BUDGETS = (1e17, 1e18, 1e19, 1e20, 1e21)


def swept(law: ParametricLaw, reach: float, sizes: int = 15, drift: float = 0.0, noise: float = 0.0) -> Sweep:
    """Runs about the law's own optima, ± a factor `reach`; the grid's centre drifts by `drift` in ln N a decade of compute."""
    rng = np.random.default_rng(0)
    columns: dict[str, list[float]] = {name: [] for name in ("params", "tokens", "loss", "budget")}
    for k, budget in enumerate(BUDGETS):
        steps = np.linspace(-math.log(reach), math.log(reach), sizes) + drift * (k - 2)
        for params in np.exp(log_optimal_params(law.theta, budget) + steps):
            tokens = budget / (6 * params)
            loss = float(law.loss(params, tokens)) + noise * rng.normal()
            for name, value in zip(columns, (params, tokens, loss, budget), strict=True):
                columns[name].append(float(value))
    return read_sweep(columns, counting="unstated")


@pytest.mark.parametrize(
    ("law", "reach", "tokens_percent"),
    [
        (CHINCHILLA, 2, -0.326937803732719),
        (CHINCHILLA, 4, -1.301125043704300),
        (CHINCHILLA, 8, -2.902904738135434),
        (CHINCHILLA, 16, -5.100244551712022),
        (ASYMMETRIC, 2, -1.674747716507073),
        (ASYMMETRIC, 8, -13.910418584294648),
        (ASYMMETRIC, 16, -23.116308048545221),
        (SYMMETRIC, 16, 0.0),
    ],
)
def test_intercept_bias_is_that_of_czech_et_al(law: ParametricLaw, reach: float, tokens_percent: float) -> None:
    """Their noise-free simulation with 15 sizes a budget, error of D* in per cent (repository
    Open-Athena/scaling-law-analysis, commit 0e623021, results/article/extrapolation_error/extrapolation_error_data.csv)."""
    found = bias_under(law.theta, swept(law, reach), "tokens", window=100.0, min_points=5)
    assert found is not None
    assert found["intercept_bias_percent"] == pytest.approx(tokens_percent, abs=1e-4)
    assert found["bias_bar"] < 1e-6  # grids centred alike leave the exponent


def test_a_drifting_grid_biases_the_exponent() -> None:
    still, drifting = (
        bias_under(CHINCHILLA.theta, swept(CHINCHILLA, 8, drift=d), "params", 100.0, 5) for d in (0.0, 0.2)
    )
    assert still is not None
    assert drifting is not None
    assert still["bias_bar"] < 1e-6
    assert drifting["bias_bar"] == abs(drifting["exponent_bias"]) > 5e-4
    found = approach2(swept(CHINCHILLA, 8, drift=0.2), window=100.0)
    a = CHINCHILLA.beta / (CHINCHILLA.alpha + CHINCHILLA.beta)
    assert found.value - a == pytest.approx(found.extras["exponent_bias"], abs=1e-6)  # the line's own weights


@pytest.mark.parametrize("of", ["params", "tokens"])
def test_the_bias_bar_is_measured_on_the_law_fitted_to_the_sweep(of: str) -> None:
    found = approach2(swept(CHINCHILLA, 8), of=of, window=100.0)
    expected = 100 * (1 / (1 - 0.029029) - 1) if of == "params" else -2.9029
    assert found.extras["intercept_bias_percent"] == pytest.approx(expected, abs=0.01)
    noisy = approach2(swept(CHINCHILLA, 8, noise=0.002), of=of, window=100.0)
    assert noisy.extras["intercept_bias_percent"] == pytest.approx(expected, abs=1.0)


def test_a_quartic_removes_most_of_the_parabolas_bias() -> None:
    found = approach2(swept(CHINCHILLA, 8), window=100.0)
    left = (1 + found.extras["quartic_intercept_percent"] / 100) * (
        1 + found.extras["intercept_bias_percent"] / 100
    ) - 1
    assert abs(left) < 0.05 * found.extras["intercept_bias_percent"] / 100
    assert abs(found.extras["quartic_shift"]) < 1e-3
    few = approach2(swept(CHINCHILLA, 8, sizes=5), window=100.0)
    assert few.extras["quartic_shift"] is None
    assert few.extras["bias_bar"] is not None


def test_quartic_minimum_and_asymmetry_are_those_of_the_polynomial_given() -> None:
    x = np.linspace(-1.0, 1.0, 9)
    profiles, optima = [], []
    for budget, moved in ((1e18, 0.0), (1e19, 0.1)):
        loss = 2 + (x - moved) ** 2 + 0.15 * (x - moved) ** 3 + 0.1 * (x - moved) ** 4
        profiles.append(Profile(budget, 20 + x, loss, np.ones(9)))
        optima.append(find_optimum(profiles[-1], window=100.0))
    shift, percent = quartic_shift(profiles, optima)
    parabolas = np.array([o.log_size for o in optima]) - 20
    assert shift == pytest.approx((0.1 - (parabolas[1] - parabolas[0])) / math.log(10), abs=1e-6)
    assert percent == pytest.approx(100 * (math.exp(0.05 - parabolas.mean()) - 1), abs=1e-4)
    cubic, square, *_ = np.polyfit(x - parabolas[0], profiles[0].loss, 3)
    other, other_square, *_ = np.polyfit(x - parabolas[1], profiles[1].loss, 3)
    assert asymmetry(profiles, optima) == pytest.approx((cubic / square + other / other_square) / 2)
    assert asymmetry(profiles, optima) > 0.1


def test_a_sweep_without_a_law_has_no_bias_bar() -> None:
    found = approach2(swept(SYMMETRIC, 4).rows(np.arange(75) % 15 < 15), window=100.0, checks=False)
    assert "bias_bar" not in found.extras
    sweep = swept(SYMMETRIC, 4)
    constant = read_sweep(
        {"params": sweep.params, "tokens": 20 * sweep.params, "loss": sweep.loss, "budget": sweep.budget},
        counting="unstated",
    )
    without = approach2(constant, window=100.0)
    assert without.extras["bias_bar"] is None
    assert "no bias bar, because no law can be fitted to the sweep (ln N and ln D lie on a line" in without.note
