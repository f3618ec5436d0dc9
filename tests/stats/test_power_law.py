import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.estimator import simulator_of
from repro.stats.power_law import power_law_exponent
from scaling_law_runs import record

SIZES = [1.6e3 * 2.3**k for k in range(6)]


def runs(
    exponent: float = 0.076,
    *,
    levels: Sequence[float] = SIZES,
    offset: float = 0.0,
    repeats: int = 1,
    noise: float = 0.0,
    seed: int = 0,
) -> list[TrialRecord]:
    """Runs of L = E + (8.8e13/N)^α with noise on ln L; N in a column, and as tokens in the config."""
    rng = np.random.default_rng(seed)
    rows = [
        (level, float((offset + (8.8e13 / level) ** exponent) * np.exp(noise * rng.normal())))
        for level in levels
        for _ in range(repeats)
    ]
    return [
        record([{"params": level, "loss": loss, "best_loss": 0.9 * loss}], {"unique_tokens": level, "run": i}, i)
        for i, (level, loss) in enumerate(rows)
    ]


@pytest.mark.parametrize("exponent", [0.05, 0.076, 0.095, 0.73, -0.02])
def test_a_power_law_gives_its_exponent_and_constant(exponent: float) -> None:
    found = power_law_exponent(runs(exponent), x="params")
    assert found.value == pytest.approx(exponent, abs=1e-9)
    assert found.se == pytest.approx(0.0, abs=1e-9)
    assert found.extras["constant"] == pytest.approx(8.8e13, rel=1e-6)
    assert found.extras["curvature"] == pytest.approx(0.0, abs=1e-9)
    assert (found.dof, found.n, found.unit, found.flags) == (4, 6, "level", ())


def test_a_field_of_the_config_serves_as_x_and_another_column_as_loss() -> None:
    found = power_law_exponent(runs(0.095), x="unique_tokens", loss="best_loss")
    assert found.value == pytest.approx(0.095, abs=1e-9)
    assert "best_loss of 6 runs at 6 values of unique_tokens from 1600" in found.note


def test_slope_and_errors_are_those_of_statsmodels() -> None:
    records = runs(noise=0.01, repeats=3, seed=4)
    logs = np.log([[r.value("params"), r.value("loss")] for r in records]).reshape(6, 3, 2)
    x, y = logs[:, 0, 0], logs[:, :, 1].mean(axis=1)
    ols = sm.OLS(y, sm.add_constant(x)).fit()
    found = power_law_exponent(records, x="params")
    assert found.value == pytest.approx(-ols.params[1], rel=1e-9)
    assert found.extras["se_line"] == pytest.approx(ols.bse[1], rel=1e-9)
    run_sd = math.sqrt(logs[:, :, 1].var(axis=1, ddof=1).mean())
    assert found.extras["run_sd"] == pytest.approx(run_sd, rel=1e-9)
    assert found.extras["se_runs"] == pytest.approx(
        run_sd / math.sqrt(3) / math.sqrt(((x - x.mean()) ** 2).sum()), rel=1e-9
    )
    without = [-np.polyfit(np.delete(x, k), np.delete(y, k), 1)[0] for k in range(6)]
    jackknife = math.sqrt(5 / 6 * sum((v - np.mean(without)) ** 2 for v in without))
    assert found.extras["se_leave_one_out"] == pytest.approx(jackknife, rel=1e-9)
    assert found.se == max(found.extras[name] for name in ("se_line", "se_runs", "se_leave_one_out"))  # type: ignore[type-var]


def test_an_irreducible_loss_is_found_beside_the_line_and_bends_it() -> None:
    found = power_law_exponent(runs(0.34, offset=1.7, levels=[1e6 * 4.0**k for k in range(7)]), x="params")
    assert found.extras["irreducible_loss"] == pytest.approx(1.7, abs=1e-3)
    assert found.extras["exponent_above_it"] == pytest.approx(0.34, abs=1e-3)
    assert found.value < 0.34
    assert found.extras["curvature"] > 5 * found.extras["curvature_se"] > 0  # type: ignore[operator]


def test_without_an_offset_in_the_data_none_is_found() -> None:
    found = power_law_exponent(runs(0.2), x="params")
    assert found.extras["irreducible_loss"] == pytest.approx(0.0, abs=1e-3)
    assert found.extras["exponent_above_it"] == pytest.approx(0.2, abs=1e-4)


def test_three_levels_give_an_exponent_and_no_fit_of_an_offset() -> None:
    found = power_law_exponent(runs(levels=SIZES[:3]), x="params")
    assert found.dof == 1
    assert found.extras["irreducible_loss"] is None
    assert found.extras["curvature_se"] is None
    assert found.extras["run_sd"] is None


@pytest.mark.parametrize(("repeats", "noise", "off_line"), [(1, 0.01, 0.0), (3, 0.01, 0.0), (2, 0.003, 0.01)])
def test_the_interval_holds_the_truth_as_often_as_it_says(repeats: int, noise: float, off_line: float) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(150):
        shifts = {level: math.exp(off_line * rng.normal()) for level in SIZES}
        records = [
            replace(r, rows=({**r.rows[0], "loss": r.value("loss") * shifts[r.value("params")]},))
            for r in runs(repeats=repeats, noise=noise, seed=seed)
        ]
        found = power_law_exponent(records, x="params")
        assert found.value is not None
        assert found.se is not None
        held += abs(found.value - 0.076) < t.ppf(0.95, found.dof) * found.se
    # 90 % intervals; the widest of three errors errs on the wide side.
    assert 0.87 <= held / 150 <= 1.0


@given(st.floats(0.01, 1.0), st.floats(0.1, 10.0))
def test_units_of_size_and_loss_do_not_matter(exponent: float, unit: float) -> None:
    records = runs(exponent, levels=SIZES[:3], noise=0.01, seed=2)
    scaled = [
        replace(r, rows=({**r.rows[0], "params": 7 * r.value("params"), "loss": unit * r.value("loss")},))
        for r in records
    ]
    a, b = (power_law_exponent(some, x="params") for some in (records, scaled))
    assert b.value == pytest.approx(a.value, abs=1e-9)
    assert b.se == pytest.approx(a.se, abs=1e-9)


def test_a_diverged_run_is_left_out_and_decides_nothing() -> None:
    records = runs(repeats=2)
    gone = replace(records[0], status="diverged", rows=({**records[0].rows[0], "loss": math.nan},))
    found = power_law_exponent([gone, *records[1:]], x="params")
    assert found.flags == ("diverged",)
    assert found.value == pytest.approx(0.076, abs=1e-9)
    assert "1 diverged" in found.note


def test_what_cannot_be_fitted_is_refused_in_a_sentence() -> None:
    with pytest.raises(EstimateError, match="3 or more values of params with finished runs, got 2"):
        power_law_exponent(runs(levels=SIZES[:2], repeats=3), x="params")
    with pytest.raises(EstimateError, match="params_total"):
        power_law_exponent(runs(), x="params_total")
    with pytest.raises(EstimateError, match="above 0"):
        power_law_exponent([record([{"params": 0.0, "loss": 1.0}], {})], x="params")


def test_the_simulator_moves_the_exponent_and_keeps_the_noise() -> None:
    records = runs(repeats=3, noise=0.01, seed=6)
    recorded = power_law_exponent(records, x="params")
    simulate = simulator_of(power_law_exponent)  # type: ignore[arg-type]
    assert simulate is not None
    rng = np.random.default_rng(0)
    found = [power_law_exponent(simulate(records, {"value": 0.12}, rng, x="params"), x="params") for _ in range(60)]
    values = np.array([each.value for each in found])
    assert values.mean() == pytest.approx(0.12, abs=3 * values.std() / math.sqrt(60))
    assert np.mean([each.extras["run_sd"] for each in found]) == pytest.approx(recorded.extras["run_sd"], rel=0.15)
