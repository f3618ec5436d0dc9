"""The published runs of Chinchilla's Figure 4: our fits against SciPy's, and against what was printed about them."""

import numpy as np
import pytest
from scipy import optimize
from scipy.stats import chi2

from repro.stats.scaling_laws import fit_invariance
from repro.stats.scaling_laws.approach3 import best_fit, bootstrap_fits, named_constants
from repro.stats.scaling_laws.huber import Runs, loss_and_gradient, residuals, summed_loss
from repro.stats.scaling_laws.law import Array
from repro.stats.scaling_laws.likelihood import log_likelihood, maximise
from repro.stats.scaling_laws.newton import minimise
from repro.stats.scaling_laws.records import published_runs
from scaling_law_runs import TEX, published_records

TEX_THETA = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])
"""θ of Hoffmann et al. with all digits of their TeX source, from the same notebook."""

HEADLINE = np.array([6.17795598, 7.64273236, 0.59711196, 0.34781303, 0.36585412])
"""θ of the refit with all its digits, from the authors' notebook."""


@pytest.fixture
def runs() -> Runs:
    return published_runs(published_records())[0]


def resampled(runs: Runs, drawn: Array) -> Runs:
    return Runs(runs.log_params[drawn], runs.log_tokens[drawn], runs.log_loss[drawn])


def converged(start: Array, runs: Runs) -> float:
    """The loss that SciPy's L-BFGS-B and then BFGS reach with tolerances next to nothing."""

    def inflated(theta: Array) -> tuple[float, Array]:
        value, slope = loss_and_gradient(theta, runs)
        return 1e3 * value, 1e3 * slope

    tight = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 20_000, "maxfun": 40_000}
    theta = optimize.minimize(inflated, start, jac=True, method="L-BFGS-B", options=tight).x
    for _ in range(2):
        theta = optimize.minimize(inflated, theta, jac=True, method="BFGS", options={"gtol": 1e-10}).x
    return float(summed_loss(theta[None], runs)[0])


def test_optimum_is_scipys(runs: Runs) -> None:
    ours = float(summed_loss(best_fit(runs)[None], runs)[0])
    assert ours == pytest.approx(converged(TEX.theta, runs), rel=1e-8)


def test_bootstrap_fits_are_scipys(runs: Runs) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 240, (25, 240))
    weights = np.array([np.bincount(row, minlength=240) for row in drawn], dtype=float)
    _, losses = minimise(np.tile(best_fit(runs), (25, 1)), runs, weights)
    for row, ours in zip(drawn, losses, strict=True):
        assert ours == pytest.approx(converged(TEX.theta, resampled(runs, row)), rel=1e-8)


def test_bootstrap_fits_do_not_depend_on_their_start(runs: Runs) -> None:
    weights = np.random.default_rng(1).multinomial(240, np.full(240, 1 / 240), size=200).astype(float)
    warm, cold = (minimise(np.tile(start, (200, 1)), runs, weights)[1] for start in (best_fit(runs), TEX.theta))
    assert warm == pytest.approx(cold, rel=1e-10)


def test_default_lbfgs_stays_at_the_constants_it_starts_from(runs: Runs) -> None:
    found = optimize.minimize(lambda t: loss_and_gradient(t, runs), TEX.theta, jac=True, method="L-BFGS-B")
    assert found.success
    assert np.exp(found.x[2]) == pytest.approx(1.70, abs=0.005)
    assert found.fun > 1.1 * float(summed_loss(best_fit(runs)[None], runs)[0])


def test_published_log_likelihoods(runs: Runs) -> None:
    assert log_likelihood(residuals(TEX.theta, runs)) == pytest.approx(837.78, abs=0.005)
    fit = maximise(best_fit(runs), runs)
    assert fit == pytest.approx(HEADLINE, rel=1e-6)
    assert log_likelihood(residuals(fit, runs)) == pytest.approx(879.77, abs=0.005)


def test_published_second_fit(runs: Runs) -> None:
    constants = named_constants(best_fit(runs)[None])
    assert constants["A"][0] == pytest.approx(477.8, abs=0.05)
    assert constants["B"][0] == pytest.approx(2143.9, rel=3e-4)


@pytest.mark.slow
def test_the_authors_bootstrap_is_reproduced(runs: Runs) -> None:
    """Their draws (NumPy's legacy generator, seed 42), start (the TeX constants) and optimiser (SciPy's BFGS as it is)."""
    generator = np.random.RandomState(42)
    draws = []
    for _ in range(4000):
        some = resampled(runs, generator.choice(240, size=240, replace=True))
        draws.append(optimize.minimize(loss_and_gradient, TEX_THETA, args=(some,), jac=True, method="BFGS").x)
    thetas = np.array(draws)
    found = named_constants(thetas)
    assert found["A"].std() == pytest.approx(124.58, rel=1e-3)
    assert found["B"].std() == pytest.approx(1293.23, rel=1e-3)
    assert np.percentile(found["B"], [2.5, 97.5]) == pytest.approx([1042, 5810], abs=1)
    low, high = np.percentile(found["a"], [10, 90])
    assert 240 * ((high - low) / 0.001) ** 2 == pytest.approx(634_773, rel=5e-4)
    distance = TEX_THETA - HEADLINE
    square = distance @ np.linalg.solve(np.cov(thetas.T), distance)
    assert square == pytest.approx(238.4, abs=0.05)
    assert chi2.sf(square, 5) == pytest.approx(1.7e-49, rel=0.05)
    ours = named_constants(bootstrap_fits(runs, best_fit(runs), 4000, seed=0))
    assert found["B"].std() == pytest.approx(ours["B"].std(), rel=0.25)


@pytest.mark.slow
def test_every_slice_of_the_grid_leads_to_one_optimum() -> None:
    records = published_records()
    converged_fit = fit_invariance(records, counting="unstated")
    assert converged_fit.value < 1e-6
    assert converged_fit.extras["slices_at_the_optimum"] == 27
    assert converged_fit.extras["starts_at_the_optimum"] > 4000
    assert converged_fit.extras["interior_starts_at_the_optimum"] > 400
    averaged = fit_invariance(records, counting="unstated", optimiser="lbfgs", reduction="mean")
    assert averaged.value > 0.1
    assert averaged.extras["huber_loss"] > 1.05 * converged_fit.extras["huber_loss"]
