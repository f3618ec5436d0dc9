import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_spiel.python import policy as spiel_policy
from open_spiel.python.algorithms import expected_game_score

from experiments.game_leagues.neural_league import Config, Networks, league, objective, run, run_batch
from experiments.game_leagues.poker_tree import PokerTree, exploitability, payoff, poker_tree, reach
from repro.schema.context import Context

TINY = Config(hidden=8, snapshots=3, steps=4)


def random_policies(tree: PokerTree, count: int, seed: int = 0) -> torch.Tensor:
    logits = torch.randn(count, *tree.legal.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return logits.masked_fill(~tree.legal, -math.inf).log_softmax(-1)


def spiels(tree: PokerTree, log_pi: torch.Tensor) -> spiel_policy.TabularPolicy:
    table = spiel_policy.TabularPolicy(tree.game)
    for name, row in zip(tree.names, log_pi.exp().tolist(), strict=True):
        table.action_probability_array[table.state_lookup[name]] = row
    return table


@pytest.mark.parametrize(("name", "states", "ends"), [("kuhn", 12, 30), ("leduc", 936, 5520)])
def test_the_tree_has_all_states_and_ends(name: str, states: int, ends: int) -> None:
    tree = poker_tree(name)
    assert (len(tree.names), len(tree.stakes)) == (states, ends)
    assert tree.features.shape[0] == tree.legal.shape[0] == states


@pytest.mark.parametrize("name", ["kuhn", "leduc"])
def test_the_payoff_is_open_spiels(name: str) -> None:
    tree = poker_tree(name)
    a, b = random_policies(tree, 2)
    r = reach(tree, torch.stack([a, b]))
    root = tree.game.new_initial_state()
    first = expected_game_score.policy_value(root, [spiels(tree, a), spiels(tree, b)])[0]
    second = expected_game_score.policy_value(root, [spiels(tree, b), spiels(tree, a)])[1]
    assert float(payoff(tree, r[0], r[1])) == pytest.approx((first + second) / 2, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_nobody_wins_more_than_a_best_response(seed: int) -> None:
    tree = poker_tree("kuhn")
    log_pi = random_policies(tree, 2, seed)
    r = reach(tree, log_pi)
    won = float(payoff(tree, r[0], r[1]))
    assert won == pytest.approx(-float(payoff(tree, r[1], r[0])))
    assert payoff(tree, r[0], r[0]) == pytest.approx(0, abs=1e-12)
    assert won <= exploitability(tree, log_pi[1].exp()) + 1e-6


def test_exploitability_is_zero_at_kuhns_equilibrium() -> None:
    """Kuhn 1950 with α = 0: the first player passes, calls with a queen a third of the time; the second bluffs a third of its jacks."""
    tree = poker_tree("kuhn")
    bet = {"0": 0, "1": 0, "2": 0, "0pb": 0, "1pb": 1 / 3, "2pb": 1}
    bet |= {"0p": 1 / 3, "1p": 0, "2p": 1, "0b": 0, "1b": 1 / 3, "2b": 1}
    pi = torch.tensor([[1 - bet[name], bet[name]] for name in tree.names], dtype=torch.float64)
    assert exploitability(tree, pi) == pytest.approx(0, abs=1e-12)
    assert exploitability(tree, torch.full_like(pi, 0.5)) == pytest.approx(0.458333, abs=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    tree = poker_tree("kuhn")
    opponent = reach(tree, random_policies(tree, 1, 5))
    legal = random_policies(tree, 1, 6)

    def value(logits: torch.Tensor) -> torch.Tensor:
        log_pi = logits.log_softmax(-1)
        return objective(tree, log_pi, reach(tree, log_pi), opponent, 0.1).sum()

    assert torch.autograd.gradcheck(value, legal.clone().requires_grad_())


def test_a_network_never_plays_what_is_not_allowed() -> None:
    tree = poker_tree("leduc")
    log_pi = Networks((tree.features.shape[1], 8, 8, 3), [0, 1], "leduc", "cpu").log_policy(tree)
    assert (log_pi.exp()[:, ~tree.legal] == 0).all()
    assert torch.allclose(log_pi.exp().sum(-1), torch.ones(2, 936))
    assert not torch.allclose(log_pi[0], log_pi[1])


def test_what_is_measured_is_what_the_copies_win() -> None:
    tree = poker_tree("kuhn")
    pi, lowest, newest = league(tree, [TINY], [Context()], "kuhn", 0.0)
    assert (lowest <= newest).all()
    assert pi.shape == (1, 12, 2)
    row = run(TINY, Context())
    assert row["kuhn_lowest_payoff"] == pytest.approx(float(lowest.mean()))
    assert row["kuhn_last"] == pytest.approx(exploitability(tree, pi[0]))


def test_runs_of_a_stack_learn_as_they_would_alone() -> None:
    tree = poker_tree("kuhn")
    configs = [replace(TINY, seed=seed) for seed in (3, 4)]
    both, _, _ = league(tree, configs, [Context()] * 2, "kuhn", 0.0)
    for i, config in enumerate(configs):
        alone, _, _ = league(tree, [config], [Context()], "kuhn", 0.0)
        assert torch.allclose(both[i], alone[0], atol=1e-4)
    with pytest.raises(ValueError, match="seed alone"):
        run_batch([TINY, replace(TINY, lr=1.0)], [Context()] * 2)
    with pytest.raises(ValueError, match="sp or fsp"):
        run(replace(TINY, matchmaking="pfsp"), Context())


def test_a_network_learns_to_beat_a_fixed_opponent() -> None:
    """The response is a gradient and no best response; it still gains most of what there is to gain."""
    tree = poker_tree("kuhn")
    opponent = random_policies(tree, 1, 7).float()
    met, best = reach(tree, opponent), exploitability(tree, opponent[0].exp())
    networks = Networks((tree.features.shape[1], 32, 32, 2), [0], "kuhn", "cpu")
    optimizer = torch.optim.Adam([*networks.W, *networks.b], lr=0.01, maximize=True)
    for _ in range(100):
        log_pi = networks.log_policy(tree)
        own = reach(tree, log_pi)
        optimizer.zero_grad()
        objective(tree, log_pi, own, met, 0.01).sum().backward()
        optimizer.step()
    assert 0.5 * best < float(payoff(tree, own, met).detach()) <= best + 1e-6


def test_drowned_in_entropy_agents_play_at_random() -> None:
    tree = poker_tree("kuhn")
    config = replace(TINY, entropy=100.0, steps=60)
    policies = [
        league(tree, [replace(config, matchmaking=each)], [Context()], "kuhn", 0.0)[0] for each in ("sp", "fsp")
    ]
    assert (policies[0] - policies[1]).abs().max() < 0.02
    assert (policies[0] - 0.5).abs().max() < 0.05
