"""The global optimum: against linear programming, least squares, variable projection, and laws it must recover."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws import approach3, read_sweep
from repro.stats.scaling_laws.huber import (
    Runs,
    gradient_of_log_loss,
    log_loss,
    loss_and_gradient,
    residuals,
    starting_grid,
    summed_loss,
)
from repro.stats.scaling_laws.lad import fit
from repro.stats.scaling_laws.law import Array, ParametricLaw
from repro.stats.scaling_laws.newton import minimise
from repro.stats.scaling_laws.optimum import find_optimum, require_identified
from repro.stats.scaling_laws.varpro import map_exponents, project, zoom
from scaling_law_runs import EPOCH, drawn_runs, in_logs, published_runs_in_logs


def by_linear_programme(theta: Array, runs: Runs) -> float:
    """The least Σ|r| of the law linearised at θ, steps in θ up to 1e-3: HiGHS on Σ u, −u ≤ r − J d ≤ u."""
    r, jacobian = residuals(theta, runs), gradient_of_log_loss(theta[None], runs)[0].T
    n = len(r)
    scale = np.abs(jacobian).max(axis=0)
    J = jacobian / scale
    upper = np.block([[J, -np.eye(n)], [-J, -np.eye(n)]])
    found = optimize.linprog(
        np.concatenate([np.zeros(5), np.ones(n)]),
        A_ub=upper,
        b_ub=np.concatenate([r, -r]),
        bounds=[(-1e-3, 1e-3)] * 5 + [(0, None)] * n,
    )
    return float(found.fun)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_least_absolute_deviations_are_stationary_by_linear_programming(seed: int) -> None:
    runs = in_logs(drawn_runs(n=60, noise=0.01, seed=seed))
    theta, value = fit(EPOCH.theta[None], runs, delta=0.0)
    assert value[0] == pytest.approx(np.abs(residuals(theta[0], runs)).sum(), rel=1e-12)
    assert by_linear_programme(theta[0], runs) == pytest.approx(value[0], rel=1e-6)
    assert np.sort(np.abs(residuals(theta[0], runs)))[4] < 1e-13  # passes through five runs
    assert by_linear_programme(theta[0] + 1e-4, runs) < 0.9999 * np.abs(residuals(theta[0] + 1e-4, runs)).sum()


def test_a_wide_delta_is_least_squares() -> None:
    runs = in_logs(drawn_runs(n=60, noise=0.01))
    scipys = optimize.least_squares(
        lambda t: residuals(t, runs), EPOCH.theta, jac=lambda t: -gradient_of_log_loss(t[None], runs)[0].T,
        x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    ours, value = fit(EPOCH.theta[None], runs, delta=10.0)
    assert value[0] == pytest.approx(scipys.cost, rel=1e-10)
    assert ours[0] == pytest.approx(scipys.x, rel=1e-5)


def test_delta_narrows_to_least_absolute_deviations() -> None:
    runs = in_logs(drawn_runs(n=80, noise=0.01))
    value = {delta: float(fit(EPOCH.theta[None], runs, delta=delta)[1][0]) for delta in (1e-4, 1e-6, 1e-8, 0.0)}
    for delta in (1e-4, 1e-6, 1e-8):
        assert value[delta] / delta < value[0.0]
        assert value[delta] / delta == pytest.approx(value[0.0], abs=0.51 * 80 * delta)


@pytest.mark.parametrize("delta", [1.0, 1e-3, 1e-5, 0.0])
@pytest.mark.parametrize("seed", [3, 4])
def test_variable_projection_ends_where_the_descents_do(delta: float, seed: int) -> None:
    runs = in_logs(drawn_runs(n=70, noise=0.01, seed=seed))
    theta, value = fit(EPOCH.theta[None], runs, delta=delta)
    by_projection, projected = zoom(map_exponents(runs, delta).basins[0], runs, delta)
    assert by_projection == pytest.approx(value[0], rel=1e-9 if delta >= 1e-3 else 1e-4)
    assert by_projection >= value[0] * (1 - 1e-12)
    assert projected == pytest.approx(theta[0], rel=1e-3 if delta >= 1e-3 else 2e-2)


def test_projection_at_given_exponents_is_scipys() -> None:
    runs = in_logs(drawn_runs(n=40, noise=0.01))
    for alpha, beta in ((0.3, 0.4), (0.6, 0.2)):
        value, theta = project(np.array([alpha]), np.array([beta]), runs, 1e-3, rounds=400)

        def objective(logs: Array, a: float = alpha, b: float = beta) -> float:
            return 1e6 * float(summed_loss(np.array([[*logs, a, b]]), runs)[0])

        start = theta[0, :3]
        for _ in range(3):
            start = optimize.minimize(
                objective, start, method="Nelder-Mead", options={"xatol": 1e-11, "fatol": 1e-12}
            ).x
        assert value[0] == pytest.approx(objective(start) / 1e6, rel=1e-5)
        assert summed_loss(theta, runs)[0] == pytest.approx(value[0], rel=1e-9)


def test_the_certificate_says_what_was_tried() -> None:
    found = find_optimum(in_logs(drawn_runs(noise=0.007)))
    assert found.certified
    assert found.problem == ""
    assert abs(found.projected) < 1e-9
    assert found.basins >= 1
    assert 0 < found.arrived <= found.starts
    assert found.extras["certified"] == 1.0


def test_an_optimum_beyond_the_map_is_not_certified() -> None:
    steep = ParametricLaw(E=1.8, A=1e22, B=2000, alpha=2.8, beta=0.37)
    found = find_optimum(in_logs(drawn_runs(steep, n=60, noise=0.001)))
    assert not found.certified
    fit = approach3(read_sweep(drawn_runs(steep, n=60, noise=0.001), counting="none"), bootstrap=50)
    assert "uncertified_optimum" in fit["alpha"].flags
    assert "not certified" in fit["alpha"].note


@pytest.mark.slow
def test_screening_finds_what_all_starts_find() -> None:
    for runs in (published_runs_in_logs(), in_logs(drawn_runs(noise=0.01, n=60, seed=5))):
        screened, every = find_optimum(runs), find_optimum(runs, every_start=True)
        assert every.certified
        assert every.starts == len(starting_grid())
        assert screened.objective == pytest.approx(every.objective, rel=1e-10)
        assert every.arrived > 4000


def test_a_vanished_term_neither_stops_nor_fools_the_descent() -> None:
    runs = in_logs(drawn_runs(n=40, noise=0.01))
    lost = np.array([[0.0, 0.0, -1.0, 2.0, 2.0], [25.0, 0.0, 1.0, 0.0, 2.0], [-500.0, 7.0, 0.6, 0.3, 0.4]])
    reached, value = minimise(lost, runs)
    assert np.isfinite(reached).all()
    assert (value >= find_optimum(runs).objective * (1 - 1e-12)).all()


@settings(max_examples=25, deadline=None)
@given(
    alpha=st.floats(0.15, 0.8), beta=st.floats(0.15, 0.8), E=st.floats(0.3, 3.0),
    share_a=st.floats(0.1, 1.0), share_b=st.floats(0.1, 1.0), seed=st.integers(0, 99),
)  # fmt: skip
def test_laws_are_recovered_whatever_their_exponents(
    alpha: float, beta: float, E: float, share_a: float, share_b: float, seed: int
) -> None:
    """A and B are set so that both terms are a fair share of the loss in the middle of the sweep."""
    law = ParametricLaw(E=E, A=share_a * E * 1e9**alpha, B=share_b * E * 1e10**beta, alpha=alpha, beta=beta)
    runs = in_logs(drawn_runs(law, n=50, seed=seed))
    found = find_optimum(runs)
    assume(require_identified(found.theta, runs) < 500)
    assert found.theta == pytest.approx(law.theta, rel=1e-4, abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(unit_n=st.floats(1e-3, 1e3), unit_d=st.floats(1e-3, 1e3), unit_l=st.floats(0.5, 2.0), seed=st.integers(0, 9))
def test_units_of_size_tokens_and_loss_leave_the_exponents(
    unit_n: float, unit_d: float, unit_l: float, seed: int
) -> None:
    """ln 2 is among the units of loss: nats or bits."""
    runs = drawn_runs(n=40, noise=0.005)
    order = np.random.default_rng(seed).permutation(40)
    other = {"params": runs["params"] * unit_n, "tokens": runs["tokens"] * unit_d, "loss": runs["loss"] * unit_l}
    first, second = (
        approach3(read_sweep({k: v[o] for k, v in table.items()}, counting="none"), uncertainty="none")
        for table, o in ((runs, np.arange(40)), (other, order))
    )
    for name in ("alpha", "beta", "a"):
        assert second[name].value == pytest.approx(first[name].value, rel=1e-5)
    assert second["E"].value == pytest.approx(first["E"].value * unit_l, rel=1e-5)
    assert first["alpha"].extras["huber_loss"] == pytest.approx(second["alpha"].extras["huber_loss"], rel=1e-9)


def test_delta_below_zero_is_refused() -> None:
    sweep = read_sweep(drawn_runs(n=20), counting="none")
    with pytest.raises(EstimateError, match="delta must be 0"):
        approach3(sweep, delta=-1e-3)


def test_log_loss_and_its_gradient_agree() -> None:
    runs = in_logs(drawn_runs(n=20))
    numeric = optimize.approx_fprime(
        EPOCH.theta, lambda t: log_loss(t[None], runs.log_params, runs.log_tokens)[0], 1e-7
    )
    assert pytest.approx(numeric, abs=1e-5) == gradient_of_log_loss(EPOCH.theta[None], runs)[0].T


def two_laws(seed: int, n: int = 20) -> Runs:
    """Runs of which half follow another law: the objective has several local minima."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(1e7), np.log(1e10), n))
    tokens = params * np.exp(rng.uniform(0, np.log(300), n))
    one = ParametricLaw(E=1.7, A=0.7 * 1e8**0.3, B=0.7 * 5e9**0.6, alpha=0.3, beta=0.6)
    other = ParametricLaw(E=2.0, A=0.3 * 1e8**0.6, B=0.9 * 5e9**0.3, alpha=0.6, beta=0.3)
    loss = np.where(rng.random(n) < 0.5, one.loss(params, tokens), other.loss(params, tokens))
    return Runs(np.log(params), np.log(tokens), np.log(loss) + 0.02 * rng.normal(size=n))


def ends_of_lbfgs(runs: Runs, starts: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    middle = Runs(runs.log_params - runs.log_params.mean(), runs.log_tokens - runs.log_tokens.mean(), runs.log_loss)

    def scaled(theta: Array) -> tuple[float, Array]:
        value, slope = loss_and_gradient(theta, middle)
        return 1e3 * value, 1e3 * slope

    low, high = np.array([-4, -4, -3, 0.02, 0.02]), np.array([1.5, 1.5, 1.2, 1.5, 1.5])
    ends = [
        optimize.minimize(scaled, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-12}).fun / 1e3
        for start in rng.uniform(low, high, (starts, 5))
    ]
    return np.array(ends)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_random_starts_find_nothing_lower_where_there_are_several_minima(seed: int) -> None:
    runs = two_laws(seed)
    found, ends = find_optimum(runs), ends_of_lbfgs(runs, 100, seed)
    assert ends.min() > found.objective * (1 - 1e-10)
    assert found.certified
    assert np.isfinite(found.runner_up) or found.arrived == found.starts


def test_a_term_that_the_map_drops_can_return() -> None:
    """With E next to zero the map's best law has none; descents from it must still arrive."""
    runs = in_logs(drawn_runs(ParametricLaw(E=2e-3, A=400, B=1200, alpha=0.34, beta=0.34), n=40, noise=1e-4))
    start = map_exponents(runs, 1e-3).basins
    assert (start[:, :3] > -50).all()
    assert fit(start, runs)[1].min() == pytest.approx(find_optimum(runs).objective, rel=1e-8)


def test_a_start_at_the_minimum_ends_within_a_few_steps() -> None:
    runs = in_logs(drawn_runs(n=60, noise=0.01))
    best = find_optimum(runs)
    theta, value = minimise(best.theta[None], runs, max_steps=3, damping=1e-6)
    assert value[0] == pytest.approx(best.objective, rel=1e-12)
    assert theta[0] == pytest.approx(best.theta, rel=1e-6)
