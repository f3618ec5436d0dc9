import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.shapes import shape_penalty
from scaling_law_runs import record

SHAPES = {(2, 264): 1.00, (6, 144): 0.98, (9, 120): 0.99, (14, 96): 1.0, (25, 72): 1.01}
"""By layers and width the loss over 2 nats."""


def runs(repeats: int = 3, sd: float = 0.0, seed: int = 0, size_exponent: float = 0.0) -> list[TrialRecord]:
    rng = np.random.default_rng(seed)
    found = []
    for (depth, width), loss in SHAPES.items():
        params = 12.0 * depth * width**2
        for run in range(repeats):
            value = 2 * loss * (params / 1.6e6) ** -size_exponent * math.exp(sd * rng.normal())
            row = {"loss": value, "params_non_embedding": params}
            found.append(record([row], {"n_layer": depth, "d_model": width, "run": run}, run))
    return found


def test_the_penalty_is_the_worst_over_the_best() -> None:
    found = shape_penalty(runs(sd=1e-9), size_exponent=0.0)
    assert found.value == pytest.approx(100 * (1.01 / 0.98 - 1), rel=1e-6)
    assert (found.n, found.dof, found.unit, found.flags) == (3, 10, "seed", ())
    assert found.extras["aspect_range"] == pytest.approx(132 / 2.88)
    assert found.extras["penalty_6x144"] == 0.0
    assert found.extras["penalty_2x264"] == pytest.approx(100 * (1 / 0.98 - 1), rel=1e-6)
    assert "worst 25 layers of width 72, best 6 of 144" in found.note


def test_differences_of_size_are_compensated() -> None:
    records = runs(sd=1e-9, size_exponent=0.076)
    assert shape_penalty(records).value == pytest.approx(100 * (1.01 / 0.98 - 1), rel=1e-6)
    assert shape_penalty(records, size_exponent=0.0).value != pytest.approx(100 * (1.01 / 0.98 - 1), rel=1e-2)


def test_the_error_is_that_of_a_difference_of_two_means() -> None:
    records = runs(sd=0.005, seed=3)
    logs = np.log([r.value("loss") for r in records]).reshape(5, 3)
    pooled = math.sqrt(logs.var(axis=1, ddof=1).mean())
    found = shape_penalty(records, size_exponent=0.0)
    assert found.value == pytest.approx(100 * math.expm1(logs.mean(axis=1).max() - logs.mean(axis=1).min()))
    assert found.se == pytest.approx((100 + found.value) * pooled * math.sqrt(2 / 3))


def test_the_upper_bound_errs_on_the_side_against_the_claim() -> None:
    truth, above = 100 * (1.01 / 0.98 - 1), 0
    for seed in range(300):
        found = shape_penalty(runs(sd=0.005, seed=seed), size_exponent=0.0)
        assert found.value is not None
        assert found.se is not None
        above += found.value + t.ppf(0.95, found.dof) * found.se > truth
    assert above / 300 >= 0.95


def test_single_runs_have_no_interval_and_a_diverged_one_decides_nothing() -> None:
    alone = shape_penalty(runs(repeats=1))
    assert (alone.se, alone.dof, alone.flags) == (None, None, ())
    equal = shape_penalty(runs(repeats=2))
    assert (equal.se, equal.flags) == (None, ("no_spread",))
    records = runs(sd=0.01)
    gone = shape_penalty([replace(records[0], status="diverged", rows=()), *records[1:]])
    assert (gone.flags, gone.n, gone.dof) == (("diverged",), 2, 9)


def test_what_has_no_shapes_is_refused() -> None:
    records = runs()
    with pytest.raises(EstimateError, match="two or more shapes, got 1"):
        shape_penalty(records[:3])
    with pytest.raises(EstimateError, match="no field 'd_model'"):
        shape_penalty([replace(records[0], config={"n_layer": 2, "d_modle": 3})])
    with pytest.raises(EstimateError, match="Did you mean 'loss'"):
        shape_penalty(records, column="los")
