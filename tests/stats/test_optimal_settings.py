"""The exponent of the best learning rate and batch, on sweeps whose best is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws.optimal_settings import optimal_setting_exponent, vertex
from scaling_law_runs import record

SIZES = [1e4, 3e4, 1e5, 3e5]


def swept(lr_exponent=-0.36, batch_exponent=0.7, noise=0.0, rates=7, tokens=20.0, coupling=0.5):
    """Losses with a valley: ln lr* = c + a ln N + coupling · (ln B − ln B*), as a larger batch bears a larger rate."""
    rng = np.random.default_rng(1)
    runs = []
    for size in SIZES:
        best_lr, best_batch = 0.1 * (size / 1e4) ** lr_exponent, 300 * (size / 1e4) ** batch_exponent
        for j in range(-2, 3):
            batch = best_batch * 2.0**j * 1.1
            for i in range(rates):
                lr = 0.1 * (size / 1e4) ** -0.3 * 2.0 ** (i - rates // 2)
                ridge = math.log(best_lr) + coupling * math.log(batch / best_batch)
                away = math.log(lr) - ridge
                loss = 2 + 0.05 * away**2 + 0.02 * math.log(batch / best_batch) ** 2 + noise * rng.standard_normal()
                row = {"params": size, "tokens": tokens * size, "lr": lr, "batch_tokens": batch, "loss": loss}
                runs.append(record([row], {"lr": lr}))
    return runs


@pytest.mark.parametrize(("of", "truth"), [("lr", -0.36), ("batch", 0.7)])
def test_the_exponent_of_exact_valleys_is_found(of, truth):
    found = optimal_setting_exponent(swept(), of=of)
    assert found.value == pytest.approx(truth, abs=1e-6)
    assert (found.dof, found.n) == (2, 4)
    assert found.extras[f"best_{of}_1e+04"] == pytest.approx({"lr": 0.1, "batch": 300}[of], rel=1e-6)


def test_noise_widens_the_standard_error_and_leaves_the_exponent_inside_it():
    found = optimal_setting_exponent(swept(noise=0.002), of="lr")
    assert 0.001 < found.se < 0.1
    assert found.value == pytest.approx(-0.36, abs=4 * found.se)


def test_only_runs_with_so_many_tokens_a_parameter_count():
    mixed = swept() + swept(lr_exponent=0.5, tokens=100.0)
    assert optimal_setting_exponent(mixed, of="lr", tokens_per_parameter=20.0).value == pytest.approx(-0.36, abs=1e-6)
    with pytest.raises(EstimateError, match="None of 280 runs finished with 7 tokens a parameter"):
        optimal_setting_exponent(mixed, of="lr", tokens_per_parameter=7.0)


def test_a_best_rate_at_the_edge_gives_no_value_and_is_named():
    found = optimal_setting_exponent(swept(lr_exponent=1.5), of="lr")
    assert found.value is None
    assert "the best lr is at the edge of those tried at N = " in found.note
    assert found.extras["best_lr_1e+04"] == pytest.approx(0.1, rel=1e-6)


def test_one_batch_gives_a_rate_but_no_batch():
    runs = [
        r
        for r in swept(coupling=0.0)
        if abs(math.log(r.value("batch_tokens") / 330) - 0.7 * math.log(r.value("params") / 1e4)) < 0.1
    ]
    assert optimal_setting_exponent(runs, of="lr").value == pytest.approx(-0.36, abs=1e-6)
    assert optimal_setting_exponent(runs, of="batch").value is None


def test_a_diverged_run_is_said_and_two_sizes_are_no_line():
    runs = swept()
    runs[6] = replace(runs[6], status="diverged", rows=())
    assert "1 runs diverged" in optimal_setting_exponent(runs, of="lr").note
    two = [r for r in swept() if r.value("params") < 5e4]
    assert optimal_setting_exponent(two, of="lr").note == "a line needs three sizes"
    with pytest.raises(EstimateError, match="beta2"):
        optimal_setting_exponent(swept(), of="beta2")


def test_the_vertex_of_a_parabola():
    x = np.array([0.0, 1.0, 3.0, 4.0])
    assert vertex(x, 2 + 0.5 * (x - 1.7) ** 2) == pytest.approx((1.7, 2.0))
    at, lowest = vertex(x, x)
    assert math.isnan(at)
    assert lowest == 0.0
