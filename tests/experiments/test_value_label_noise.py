import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from experiments.board_games.connect_four import mirrored, over
from experiments.board_games.value_label_noise import (
    Config,
    different_positions,
    flipped,
    initial_weights,
    planes,
    run,
    value,
)
from experiments.board_games.value_label_noise_estimators import effect_in_seed_deviations
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

TINY = Config(first_ply=22, last_ply=26, positions=200, held_out=100, width=16, epochs=3, batch=50)


def test_positions_are_different_and_unfinished() -> None:
    current, mask = different_positions(TINY)
    sums = np.minimum(current + mask, mirrored(current) + mirrored(mask))
    assert len(np.unique(sums)) == 300
    assert not over((current, mask)).any()


def test_planes_hold_every_stone_once() -> None:
    current, mask = different_positions(TINY)
    x = planes((current, mask))
    assert x.shape == (300, 84)
    assert x[:, :42].sum(1).tolist() == [int(each).bit_count() for each in current]
    assert (x[:, :42] + x[:, 42:]).sum(1).tolist() == [int(each).bit_count() for each in mask]
    assert (x[:, :42] * x[:, 42:]).sum() == 0


def test_flips_are_nested_and_leave_draws() -> None:
    z = torch.tensor([1.0, -1.0, 0.0, 1.0])
    labels = flipped(z, torch.tensor([0.0, 0.3, 1.0]), torch.tensor([0.1, 0.5, 0.2, 0.9]))
    assert labels.tolist() == [[1, -1, 0, 1], [-1, -1, 0, 1], [-1, 1, 0, -1]]


def test_the_net_is_torchs() -> None:
    w = initial_weights(TINY, 2)
    net = nn.Sequential(nn.Linear(84, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1), nn.Tanh())
    with torch.no_grad():
        for layer, weight in zip(net[:5:2], w[::2], strict=True):
            layer.weight.copy_(weight[1].T)
            layer.bias.zero_()
    x = planes(different_positions(TINY))
    assert torch.allclose(value(w, x.expand(2, -1, -1))[1], net(x).squeeze(-1), atol=1e-6)


def test_arms_side_by_side_learn_as_they_would_alone() -> None:
    together, alone = run(TINY, Context()), run(replace(TINY, flips=(0.0,)), Context())
    assert together[0]["error"] == pytest.approx(alone[0]["error"], abs=1e-5)
    assert together[0]["flipped"] == 0
    assert together[0]["again"] == pytest.approx(alone[0]["again"], abs=1e-5)
    assert 0 < together[0]["again"] != together[0]["error"]


def test_turning_most_labels_round_turns_the_value_round() -> None:
    rows = run(replace(TINY, flips=(0.0, 0.95), epochs=20, lr=0.01), Context())
    assert rows[1]["flipped"] > 150
    assert rows[1]["error"] > rows[0]["error"] + 0.2


def noise(errors: list[tuple[float, float]]) -> list:
    rows = [({"flips": 0.0, "error": a, "again": a}, {"flips": 0.05, "error": b, "again": a + 0.01}) for a, b in errors]
    return [make_record(n, *each) for n, each in enumerate(rows)]


def test_the_effect_is_counted_in_deviations_over_seeds() -> None:
    errors = [(0.4, 0.6), (0.5, 0.65), (0.6, 0.85), (0.5, 0.7)]
    found = effect_in_seed_deviations(noise(errors), flips=0.05)
    clean, d = np.array([a for a, _ in errors]), np.array([b - a for a, b in errors])
    s0 = clean.std(ddof=1)
    assert found.value == pytest.approx(d.mean() / s0)
    assert found.se == pytest.approx(math.hypot(d.std(ddof=1) / s0 / 2, found.value / math.sqrt(6)))
    assert (found.n, found.dof) == (4, 3)
    control = effect_in_seed_deviations(noise(errors), flips=0.05, column="again")
    assert control.value == pytest.approx(0.01 / s0)


def test_the_standard_error_is_the_scatter_of_repeated_experiments() -> None:
    draw = np.random.default_rng(0)
    found = []
    for _ in range(300):
        clean = draw.normal(0.5, 0.02, 20)
        found.append(
            effect_in_seed_deviations(
                noise(list(zip(clean, clean + draw.normal(0.1, 0.02, 20), strict=True))), flips=0.05
            )
        )
    assert np.median([each.se for each in found]) == pytest.approx(np.std([each.value for each in found]), rel=0.25)


def test_a_net_that_diverged_is_not_hidden_and_a_missing_row_is_refused() -> None:
    diverged = effect_in_seed_deviations(noise([(0.4, 0.5), (0.5, math.nan)]), flips=0.05)
    assert diverged.value is None
    assert diverged.flags == ("diverged",)
    with pytest.raises(EstimateError, match="flips = 0.1"):
        effect_in_seed_deviations(noise([(0.4, 0.5), (0.5, 0.6)]), flips=0.1)
    with pytest.raises(EstimateError, match="at least two seeds"):
        effect_in_seed_deviations(noise([(0.4, 0.5)]), flips=0.05)
