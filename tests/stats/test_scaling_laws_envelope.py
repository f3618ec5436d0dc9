import math

import numpy as np
import pytest

from repro.schema.errors import EstimateError
from repro.stats.scaling_laws import approach1, envelope_exponent, read_sweep
from repro.stats.scaling_laws.law import ParametricLaw, log_optimal_params
from repro.stats.scaling_laws.sweep import Sweep
from scaling_law_runs import EPOCH, record

STEEP = ParametricLaw(E=1.8, A=2000.0, B=400.0, alpha=0.5, beta=0.25)
SIZES = tuple(1e7 * 1.4**k for k in range(16))


def curves(
    law: ParametricLaw = EPOCH, sizes: tuple[float, ...] = SIZES, noise: float = 0.0, seed: int = 0, points: int = 60
) -> dict[str, list[float]]:
    """Curves from 1/30 to 30 times the tokens at which each size is compute-optimal; each run has a loss of its own luck."""
    rng = np.random.default_rng(seed)
    table: dict[str, list[float]] = {name: [] for name in ("params", "tokens", "loss", "run")}
    for number, params in enumerate(sizes):
        low, high = 1e10, 1e40
        while high / low > 1.0001:  # the compute at which this size is optimal
            middle = math.sqrt(low * high)
            low, high = (middle, high) if log_optimal_params(law.theta, middle) < math.log(params) else (low, middle)
        best = low / (6 * params)
        luck = rng.normal(0, noise)
        for tokens in np.geomspace(best / 30, best * 30, points):
            loss = float(law.loss(np.array(params), np.array(tokens))) * math.exp(luck)
            for name, value in zip(table, (params, float(tokens), loss, float(number)), strict=True):
                table[name].append(value)
    return table


def read(table: dict[str, list[float]]) -> Sweep:
    return read_sweep(table, counting="unstated", derive="flops")


@pytest.mark.parametrize("law", [EPOCH, STEEP])
@pytest.mark.parametrize("rows", ["curves", "finals"])
def test_the_envelope_has_the_laws_exponent(law: ParametricLaw, rows: str) -> None:
    a = law.beta / (law.alpha + law.beta)
    sweep = read(curves(law))
    params = approach1(sweep, rows=rows, bootstrap=100)
    tokens = approach1(sweep, rows=rows, of="tokens", bootstrap=100)
    assert params.value == pytest.approx(a, abs=0.015)
    assert tokens.value == pytest.approx(1 - a, abs=0.015)
    assert params.value + tokens.value == pytest.approx(1, abs=1e-3)  # C = 6ND along the envelope
    assert params.extras["censored_share"] > 0
    assert params.dof == params.n - 2 == params.extras["envelope_sizes"] - 2


def test_levels_and_winners_are_those_of_a_plain_search() -> None:
    table = curves(noise=0.002, sizes=SIZES[:6])
    sweep = read(table)
    grid = np.linspace(np.log(sweep.flops.min()), np.log(sweep.flops.max()), 300)
    x, y = [], []
    for level in grid:
        found = {}
        for size in sorted(set(table["params"])):
            own = np.array(table["params"]) == size
            c = np.log(6 * np.array(table["params"])[own] * np.array(table["tokens"])[own])
            if c[0] <= level <= c[-1]:
                found[size] = float(np.interp(level, c, np.array(table["loss"])[own]))
        best = min(found, key=found.__getitem__)
        if min(found) < best < max(found):
            x.append(level)
            y.append(math.log(best))
    ours = approach1(sweep, rows="curves", levels=300, bootstrap=50)
    assert ours.extras["envelope_levels"] == len(x)
    assert ours.value == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-9)


def test_the_error_is_the_scatter_over_repeated_experiments() -> None:
    found = [
        approach1(read(curves(noise=0.003, seed=s, points=30)), rows="curves", bootstrap=60, levels=400)
        for s in range(25)
    ]
    scatter = np.std([f.value for f in found], ddof=1)
    assert 0.6 * scatter < np.median([f.se for f in found]) < 4 * scatter


def test_an_envelope_of_edge_sizes_is_refused() -> None:
    found = approach1(read(curves(sizes=SIZES[:4])), rows="curves", bootstrap=50)
    assert found.value is None
    assert found.extras["envelope_sizes"] == 2
    assert found.note.startswith("only 2 sizes are best anywhere between a smaller and a larger one")


def test_one_run_that_beats_all_others_is_no_envelope() -> None:
    table: dict[str, list[float]] = {name: [] for name in ("params", "tokens", "loss", "run")}
    for number, params in enumerate(SIZES[:7]):
        for compute in np.geomspace(1e18, 1e20, 20):
            row = (params, compute / 6 / params, 2.0 + 0.1 * abs(number - 3) - 0.01 * math.log(compute), float(number))
            for name, value in zip(table, row, strict=True):
                table[name].append(value)
    found = approach1(read(table), rows="curves", bootstrap=50)
    assert found.value is None
    assert (found.extras["envelope_runs"], found.extras["censored_share"]) == (1, 0)
    assert found.note.startswith("only 1 sizes are best")


def test_runs_without_curves_are_refused() -> None:
    table = curves(points=1)
    with pytest.raises(EstimateError, match="runs with at least two checkpoints each, got 0"):
        approach1(read(table), rows="curves")
    with pytest.raises(EstimateError, match="sizes trained over at least two horizons each, got 0"):
        approach1(read(table), rows="finals")
    table = curves()
    table["run"] = [0.0] * len(table["run"])
    with pytest.raises(EstimateError, match="rows of one training run must have one size"):
        approach1(read(table), rows="curves")


def test_the_estimator_reads_trials() -> None:
    table = curves()
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    trials = [record(rows, {"seed": seed}, seed) for seed in (0, 1)]
    found = envelope_exponent(trials, counting="unstated", rows="curves", derive="flops", bootstrap=50)
    assert found.flags == ()
    assert found.value == approach1(read(table), rows="curves", bootstrap=50).value


def test_equal_computes_of_one_size_are_averaged_and_single_points_are_named() -> None:
    table = curves()
    once = approach1(read(table), rows="finals", bootstrap=50)
    twice: dict[str, object] = {name: list(values) * 2 for name, values in table.items()}
    half = [loss + 0.01 for loss in table["loss"]] + [loss - 0.01 for loss in table["loss"]]
    seeds = [0] * len(half) + [1] * len(half)
    runs = list(range(len(half)))
    both = approach1(read({**twice, "loss": half, "seed": seeds[::2], "run": runs}), rows="finals", bootstrap=50)
    assert both.value == pytest.approx(once.value, abs=1e-6)
    alone = {name: [*values, values[-1]] for name, values in table.items()}
    alone["params"][-1], alone["run"][-1] = 9.9e9, -1.0
    found = approach1(read(alone), rows="curves", bootstrap=50)
    assert "1 runs with a single point are no curve and are left out" in found.note


def test_the_sizes_exponent_needs_no_tokens() -> None:
    sweep = read(curves())
    table = {"params": sweep.params, "loss": sweep.loss, "flops": sweep.flops, "run": sweep.run}
    assert approach1(read_sweep(table, counting="unstated"), rows="curves", bootstrap=50) == approach1(
        sweep, rows="curves", bootstrap=50
    )
    with pytest.raises(EstimateError, match="no training tokens D"):
        approach1(read_sweep(table, counting="unstated"), rows="curves", of="tokens")
