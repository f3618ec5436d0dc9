import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize

from repro.stats.scaling_laws.huber import (
    Runs,
    huber,
    log_loss,
    loss_and_gradient,
    residuals,
    starting_grid,
    summed_loss,
)
from repro.stats.scaling_laws.law import Array, ParametricLaw, log_optimal_params, tokens_per_parameter
from repro.stats.scaling_laws.likelihood import best_scale, log_likelihood, maximise
from repro.stats.scaling_laws.newton import derivatives, minimise
from scaling_law_runs import EPOCH, TEX, drawn_runs, in_logs


def by_scipy(start: Array, runs: Runs, weights: Array | None = None) -> Array:
    """SciPy's BFGS on the objective written out anew, restarted until it stands still."""
    c = np.ones(len(runs)) if weights is None else weights

    def objective(theta: Array) -> float:
        a, b, e, alpha, beta = theta
        terms = np.array([a - alpha * runs.log_params, b - beta * runs.log_tokens, np.full(len(runs), e)])
        r = np.abs(runs.log_loss - np.logaddexp.reduce(terms, axis=0))
        return 1e3 * float(c @ np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)))

    theta = start
    for _ in range(3):
        theta = optimize.minimize(objective, theta, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-12}).x
        theta = optimize.minimize(objective, theta, method="BFGS", options={"gtol": 1e-10}).x
    return theta


@pytest.mark.parametrize(
    ("residual", "value"), [(0.0, 0.0), (5e-4, 1.25e-7), (-1e-3, 5e-7), (2e-3, 1.5e-6), (-1.0, 9.995e-4)]
)
def test_huber_on_literals(residual: float, value: float) -> None:
    assert huber(np.array([residual]), 1e-3)[0] == pytest.approx(value, rel=1e-12)


def test_the_law_is_the_exponential_of_the_log_sum_exp() -> None:
    runs = drawn_runs(n=30)
    fitted = log_loss(EPOCH.theta[None], np.log(runs["params"]), np.log(runs["tokens"]))[0]
    assert np.exp(fitted) == pytest.approx(
        1.8172 + 482.01 / runs["params"] ** 0.3478 + 2085.43 / runs["tokens"] ** 0.3658
    )


@pytest.mark.parametrize("law", [EPOCH, TEX])
@pytest.mark.parametrize("flops", [1e18, 5.76e23])
def test_optimal_params_minimise_the_loss_at_fixed_compute(law: ParametricLaw, flops: float) -> None:
    def loss(log_params: float) -> float:
        params = np.array(math.exp(log_params))
        return float(law.loss(params, flops / (6 * params)))

    found = optimize.minimize_scalar(loss, bounds=(10, 40), method="bounded", options={"xatol": 1e-9})
    assert log_optimal_params(law.theta, flops) == pytest.approx(found.x, abs=1e-5)
    assert tokens_per_parameter(law.theta, flops) == pytest.approx(flops / 6 / math.exp(found.x) ** 2, rel=1e-4)


def test_gradient_and_hessian_are_those_of_finite_differences() -> None:
    runs = in_logs(drawn_runs(n=40, noise=0.01))
    theta = EPOCH.theta + np.array([0.1, -0.1, 0.02, 0.003, -0.004])
    value, slope = loss_and_gradient(theta, runs, delta=1.0)  # δ = 1 keeps every run off the kink
    assert value == pytest.approx(float(summed_loss(theta[None], runs, delta=1.0)[0]))
    numeric = optimize.approx_fprime(theta, lambda t: loss_and_gradient(t, runs, delta=1.0)[0], 1e-7)
    assert slope == pytest.approx(numeric, rel=1e-4, abs=1e-6)
    _, same, hessian, _ = derivatives(theta[None], runs, np.ones((1, 40)), 1.0)
    assert same[0] == pytest.approx(slope)
    for k in range(5):
        step = np.eye(5)[k] * 1e-6
        ahead, behind = (loss_and_gradient(theta + s, runs, delta=1.0)[1] for s in (step, -step))
        assert hessian[0, k] == pytest.approx((ahead - behind) / 2e-6, rel=1e-4, abs=1e-5)


def test_grid_is_that_of_appendix_d2() -> None:
    grid = starting_grid()
    assert len(np.unique(grid, axis=0)) == 4500
    assert [len(np.unique(column)) for column in grid.T] == [6, 6, 5, 5, 5]
    assert grid.min(axis=0).tolist() == [0, 0, -1, 0, 0]
    assert grid.max(axis=0).tolist() == [25, 25, 1, 2, 2]


@pytest.mark.parametrize("law", [EPOCH, TEX])
def test_constants_are_recovered_without_noise(law: ParametricLaw) -> None:
    reached, loss = minimise(starting_grid()[::97], in_logs(drawn_runs(law)))
    best = reached[loss.argmin()]
    assert loss.min() < 1e-20
    assert best == pytest.approx(law.theta, rel=1e-6)


@pytest.mark.parametrize("seed", [1, 2])
def test_minimum_is_scipys(seed: int) -> None:
    runs = in_logs(drawn_runs(n=80, noise=0.01, seed=seed))
    weights = np.random.default_rng(seed).multinomial(80, np.full(80, 1 / 80)).astype(float)
    for c in (None, weights):
        ours, loss = minimise(EPOCH.theta[None], runs, None if c is None else c[None])
        scipys = by_scipy(ours[0] + 0.01, runs, c)
        theirs = float(summed_loss(scipys[None], runs, None if c is None else c[None])[0])
        assert loss[0] <= theirs * (1 + 1e-8)
        assert loss[0] == pytest.approx(theirs, rel=1e-5)


def test_a_weight_of_two_is_a_run_twice() -> None:
    runs = in_logs(drawn_runs(n=60, noise=0.01))
    times = np.arange(60) % 3
    repeated = Runs(*(np.repeat(column, times) for column in (runs.log_params, runs.log_tokens, runs.log_loss)))
    weighted, by_weight = minimise(EPOCH.theta[None], runs, times[None].astype(float))
    twice, by_repeat = minimise(EPOCH.theta[None], repeated)
    assert by_weight == pytest.approx(by_repeat, rel=1e-12)
    assert weighted == pytest.approx(twice, rel=1e-6)


def test_a_batch_is_its_fits_one_by_one() -> None:
    runs = in_logs(drawn_runs(n=50, noise=0.01))
    weights = np.random.default_rng(0).multinomial(50, np.full(50, 1 / 50), size=300).astype(float)
    together = minimise(np.tile(EPOCH.theta, (300, 1)), runs, weights)
    for i in (0, 255, 256, 299):
        alone = minimise(EPOCH.theta[None], runs, weights[i : i + 1])
        assert together[1][i] == pytest.approx(alone[1][0], rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(log_unit=st.floats(-5, 5))
def test_a_unit_of_parameters_changes_a_alone(log_unit: float) -> None:
    runs = in_logs(drawn_runs(n=60, noise=0.005))
    scaled = Runs(runs.log_params + log_unit, runs.log_tokens, runs.log_loss)
    first, second = (minimise(EPOCH.theta[None], some) for some in (runs, scaled))
    assert second[1] == pytest.approx(first[1], rel=1e-9)
    assert second[0][0, 1:] == pytest.approx(first[0][0, 1:], rel=1e-5)
    assert second[0][0, 0] == pytest.approx(first[0][0, 0] + first[0][0, 3] * log_unit, rel=1e-5)


@pytest.mark.parametrize("delta", [1e-3, 0.5])
def test_likelihood_is_that_of_a_normalised_density_at_its_best_scale(delta: float) -> None:
    r = np.random.default_rng(0).laplace(0, 0.01, 50)
    Z = 2 * integrate.quad(lambda x: math.exp(-float(huber(np.array([x]), delta)[0])), 0, 60 / delta, points=[delta])[0]

    def minus_log_likelihood(log_scale: float) -> float:
        scale = math.exp(log_scale)
        return float(huber(r / scale, delta).sum()) + 50 * (math.log(Z) + log_scale)

    found = optimize.minimize_scalar(minus_log_likelihood, bounds=(-20, 3), method="bounded", options={"xatol": 1e-10})
    assert best_scale(r, delta) == pytest.approx(math.exp(found.x), rel=1e-4)
    assert log_likelihood(r, delta) == pytest.approx(-found.fun, abs=1e-6)


def test_maximum_of_the_likelihood_is_a_least_absolute_deviations_fit() -> None:
    runs = in_logs(drawn_runs(n=80, noise=0.01))
    fit = maximise(minimise(EPOCH.theta[None], runs)[0][0], runs)
    r = np.sort(np.abs(residuals(fit, runs)))
    assert r[4] < 1e-7 < r[5]  # five constants pass through five runs
    nearby = fit + np.random.default_rng(0).normal(0, 1e-4, (200, 5))
    assert all(log_likelihood(residuals(theta, runs)) < log_likelihood(residuals(fit, runs)) for theta in nearby)
