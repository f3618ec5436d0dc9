import math
from dataclasses import replace

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.seed_noise import run_to_run_sd
from scaling_law_runs import record


def runs(sizes: int = 6, repeats: int = 3, sd: float = 0.02, seed: int = 0) -> list[TrialRecord]:
    rng = np.random.default_rng(seed)
    return [
        record([{"loss": 3.0 - 0.2 * size + sd * rng.normal()}], {"d_model": size, "run": run, "seed": 0}, run)
        for size in range(sizes)
        for run in range(repeats)
    ]


def test_the_variance_is_pooled_over_sizes() -> None:
    records = runs()
    losses = np.array([r.value("loss") for r in records]).reshape(6, 3)
    found = run_to_run_sd(records)
    assert found.value == pytest.approx(math.sqrt(losses.var(axis=1, ddof=1).mean()), rel=1e-12)
    assert (found.dof, found.n, found.unit, found.flags) == (12, 12, "repeat", ())
    assert found.log_se == pytest.approx(1 / math.sqrt(24))
    assert found.se == pytest.approx(found.value / math.sqrt(24))
    # In the order of the mean loss, so the largest size comes first.
    assert found.extras["sd_of_cell_0"] == pytest.approx(losses[5].std(ddof=1))


def test_the_error_of_the_log_is_that_of_simulations() -> None:
    found = [run_to_run_sd(runs(seed=seed)) for seed in range(400)]
    logs = np.log([each.value for each in found])
    assert logs.mean() == pytest.approx(math.log(0.02), abs=0.06)
    assert logs.std() == pytest.approx(found[0].log_se, rel=0.12)


def test_single_runs_count_for_nothing_and_unequal_cells_by_their_degrees_of_freedom() -> None:
    records = [
        record([{"loss": loss}], {"d": d, "run": i}, i)
        for i, (d, loss) in enumerate([(1, 3.0), (1, 3.2), (2, 2.0), (2, 2.0), (2, 2.3), (3, 1.0)])
    ]
    found = run_to_run_sd(records)
    assert found.value == pytest.approx(math.sqrt((0.02 + 0.06) / 3))
    assert found.dof == 3
    assert found.note == "5 runs in 2 cells"


def test_pooling_everything_takes_size_for_noise() -> None:
    assert run_to_run_sd(runs(), among="all").value > 10 * 0.02  # type: ignore[operator]


def test_the_scatter_of_a_token_is_that_of_a_byte_times_its_bytes() -> None:
    one, four = run_to_run_sd(runs()), run_to_run_sd(runs(), bytes_per_token=4.0)
    assert four.value == pytest.approx(4 * one.value, rel=1e-12)
    assert four.se == pytest.approx(4 * one.se, rel=1e-12)
    assert four.log_se == one.log_se


def test_what_shows_no_noise_has_no_interval() -> None:
    alone = run_to_run_sd(runs(repeats=1))
    assert alone.value is None
    assert "No cell has two finished runs" in alone.note
    equal = run_to_run_sd(runs(sd=0.0))
    assert (equal.value, equal.se, equal.flags) == (0.0, None, ("no_spread",))


def test_a_diverged_run_is_left_out_and_decides_nothing() -> None:
    records = runs()
    found = run_to_run_sd([replace(records[0], status="diverged", rows=()), *records[1:]])
    assert (found.flags, found.dof) == (("diverged",), 11)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(EstimateError, match="Did you mean 'repeats'"):
        run_to_run_sd(runs(), among="repeat")  # type: ignore[arg-type]
    with pytest.raises(EstimateError, match="Did you mean 'loss'"):
        run_to_run_sd(runs(), column="los")
    with pytest.raises(EstimateError, match="above 0"):
        run_to_run_sd(runs(), bytes_per_token=0.0)
