from dataclasses import replace

import numpy as np
import pyspiel
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.game_leagues.fictitious_play import (
    Adam,
    Config,
    best_mixture,
    drawn,
    games_of,
    gradient,
    league,
    priorities,
    run,
    run_batch,
)
from experiments.game_leagues.matrix_games import NAMES, blotto, exploitability, mixed, rock_paper_scissors, transitive
from repro.schema.context import Context

TINY = Config(snapshots=3, steps=5, n_mixed=12, units=4)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_game_is_symmetric_and_zero_sum(seed: int) -> None:
    for game in (games_of(Config(seed=seed)), games_of(Config(seed=seed, cycles=False))):
        assert [len(game[name]) for name in NAMES] == [3, 66, 200]
        for M in game.values():
            assert torch.equal(M, -M.T)
            assert M.abs().max() <= 1


def test_blotto_is_open_spiels() -> None:
    theirs = pyspiel.load_game("blotto(coins=4,fields=3,players=2)")
    game = pyspiel.extensive_to_matrix_game(theirs)
    M = torch.tensor(np.array(game.row_utilities()))
    assert M.shape == (15, 15)
    ours = blotto(4, 3)
    # Strategies may be numbered otherwise: what each strategy earns, sorted, is the same.
    assert sorted(map(tuple, ours.sort(-1).values.tolist())) == sorted(map(tuple, M.sort(-1).values.tolist()))


def test_a_transitive_game_has_a_strategy_that_beats_all_and_the_mixed_one_has_none() -> None:
    M = transitive(30, 0)
    assert int((M > 0).sum(1).max()) == 29
    assert int((mixed(200, 0, 2.0) > 0).sum(1).max()) < 199
    assert exploitability(M, torch.eye(30, dtype=torch.float64)[M.sum(1).argmax()]) == 0


def test_exploitability_is_zero_at_the_equilibrium_alone() -> None:
    M = rock_paper_scissors()
    assert exploitability(M, torch.full((3,), 1 / 3, dtype=torch.float64)) == pytest.approx(0, abs=1e-15)
    assert exploitability(M, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_nobody_is_less_exploitable_than_the_value_of_the_game(seed: int) -> None:
    pi = random(3, 66, seed=seed).softmax(-1)
    M = blotto(10, 3)
    each = exploitability(M.expand(3, -1, -1), pi)
    assert each.min() >= 0
    # The best mixture beats every member and the average, and is no better than an equilibrium.
    best = best_mixture(M, pi)
    assert -1e-9 <= best <= min(float(each.min()), float(exploitability(M, pi.mean(0)))) + 1e-9


def test_the_gradient_is_autograds() -> None:
    theta, u = random(4, 7).requires_grad_(), random(4, 7, seed=1)
    pi = theta.softmax(-1)
    (pi * u - 0.3 * pi * pi.log()).sum().backward()
    assert torch.allclose(gradient(theta.detach(), u, 0.3), theta.grad)


def test_adam_is_torchs() -> None:
    theta = random(2, 5)
    theirs = theta.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99), maximize=True)
    ours = Adam(theta, 0.1)
    for step in range(5):
        theirs.grad = random(2, 5, seed=step + 1)
        optimizer.step()
        theta = ours.step(theta, random(2, 5, seed=step + 1))
    assert torch.allclose(theta, theirs)


def test_priorities_follow_the_papers_formula() -> None:
    x = torch.tensor([[0.5, 0.9, 0.0]], dtype=torch.float64)
    assert torch.allclose(priorities(Config(p=2.0), x), torch.tensor([[0.25, 0.01, 1.0]], dtype=torch.float64) / 1.26)
    easiest = priorities(Config(p=2.0, priority="easiest"), x)
    assert torch.allclose(easiest, torch.tensor([[0.25, 0.81, 0.0]], dtype=torch.float64) / 1.06)
    assert torch.allclose(priorities(Config(matchmaking="fsp"), x), torch.full((1, 3), 1 / 3, dtype=torch.float64))
    # Nobody left to learn from.
    assert torch.allclose(
        priorities(Config(), torch.ones(1, 4, dtype=torch.float64)), torch.full((1, 4), 0.25).double()
    )


def test_opponents_are_met_as_often_as_their_priorities_say() -> None:
    probabilities = torch.tensor([[0.1, 0.6, 0.3]], dtype=torch.float64)
    uniform = torch.rand(1, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = torch.bincount(drawn(probabilities, uniform)[0], minlength=3) / 20_000
    assert torch.allclose(counts.double(), probabilities[0], atol=0.02)


def test_runs_of_a_stack_learn_as_they_would_alone() -> None:
    configs = [replace(TINY, seed=seed) for seed in (3, 4)]
    together = run_batch(configs, [Context()] * 2)
    for config, row in zip(configs, together, strict=True):
        assert row == pytest.approx(run(config, Context()), abs=1e-9)
    with pytest.raises(ValueError, match="seed alone"):
        run_batch([TINY, replace(TINY, lr=1.0)], [Context()] * 2)


def test_what_is_measured_is_what_the_pool_says() -> None:
    config = replace(TINY, matchmaking="fsp")
    M = games_of(config)["mixed"]
    pool, lowest = league(M[None], [config], [Context()], "mixed", 0.0)
    rates = (1 + pool[0] @ M @ pool[0].T) / 2
    expected = [min(float(rates[k, j]) for j in range(k)) for k in range(1, 4)]
    assert lowest[0].tolist() == pytest.approx(expected)
    row = run(config, Context())
    assert row["mixed_lowest_win_rate"] == pytest.approx(sum(expected) / 3)
    assert row["mixed_last"] == pytest.approx(float((M @ pool[0, -1]).max()))
    assert row["mixed_pool"] == pytest.approx(float((M @ pool[0].mean(0)).max()))


def test_without_cycles_self_play_forgets_nothing() -> None:
    row = run(Config(matchmaking="sp", cycles=False, snapshots=8, n_mixed=40, units=6), Context())
    for name in NAMES:
        assert row[f"{name}_lowest_win_rate"] > 0.49


def test_those_who_meet_the_easiest_do_not_adapt() -> None:
    """Beaten for certain by one member of the pool, and beating the others: the slip never shows whom to learn from."""
    x = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64)
    assert priorities(Config(), x)[0, 2] == 1
    assert priorities(Config(priority="easiest"), x)[0, 2] == 0


def test_an_unknown_matchmaking_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown matchmaking"):
        run(replace(TINY, matchmaking="psro"), Context())
