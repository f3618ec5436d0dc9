import math
from dataclasses import replace

import pytest
import torch

from experiments.board_games.alphazero_connect4 import Config, alone, blind, both_ways, cost, rollouts, run, with_search
from experiments.board_games.graded_positions import (
    Graded,
    agreement,
    decisive_positions,
    graded,
    keys,
    random_positions,
)
from experiments.board_games.self_play import asked, new_network
from experiments.board_games.tensor_games import (
    CONNECT_FOUR,
    is_full,
    last_mover_won,
    legal,
    mirrored,
    play,
    random_result,
    start,
    stones_of,
)
from experiments.board_games.tree_search import Search, search
from repro.lab.seeding import generator
from repro.schema.context import Context

TINY = Config(
    steps=12, games=32, simulations=8, width=16, batch=32, updates=1, positions=15, first_ply=24, last_ply=30,
    own_games=8, labelled=200, supervised_updates=5,
)  # fmt: skip


def value_by_search(current: torch.Tensor, mask: torch.Tensor, alpha: int = -1, beta: int = 1) -> int:
    """Value for the player to move by plain alpha-beta; late positions only."""
    if bool(last_mover_won(CONNECT_FOUR, current, mask)):
        return -1
    if bool(is_full(CONNECT_FOUR, mask)):
        return 0
    for move in legal(CONNECT_FOUR, mask)[0].nonzero()[:, 0]:
        alpha = max(alpha, -value_by_search(*play(CONNECT_FOUR, current, mask, move[None]), -beta, -alpha))
        if alpha >= beta:
            break
    return alpha


def test_grades_are_those_of_plain_search() -> None:
    current, mask = random_positions(600, (34, 36), generator("test", 0))
    solved = graded(current[:8], mask[:8])
    for b in range(8):
        for a in range(7):
            if not bool(legal(CONNECT_FOUR, mask[b : b + 1])[0, a]):
                assert int(solved.values[b, a]) == -2
                continue
            after = play(CONNECT_FOUR, current[b : b + 1], mask[b : b + 1], torch.tensor([a]))
            assert int(solved.values[b, a]) == -value_by_search(*after)


def test_random_positions_are_open_distinct_and_of_the_plies_asked_for() -> None:
    current, mask = random_positions(500, (8, 12), generator("test", 1))
    assert set(stones_of(mask).tolist()) == {8, 9, 10, 11, 12}
    assert not bool(last_mover_won(CONNECT_FOUR, current, mask).any())
    assert len(keys(current + mask).unique()) == len(mask)
    turned = mirrored(CONNECT_FOUR, current) + mirrored(CONNECT_FOUR, mask)
    assert torch.equal(keys(current + mask), keys(turned))
    assert len(torch.stack([current, mask]).unique(dim=1)[0]) == len((current + mask).unique())
    assert int((stones_of(current) - stones_of(mask) // 2).abs().max()) == 0


def test_an_exact_player_agrees_everywhere_and_the_worst_nowhere() -> None:
    positions = decisive_positions(20, (24, 30), generator("test", 2))
    assert len(positions) == 20
    assert bool((positions.keeping.sum(1) == 1).all())
    assert agreement(positions.values.argmax(1), positions) == 1.0
    worst = positions.values.masked_fill(positions.values == -2, 9).argmin(1)
    assert agreement(worst, positions) == 0.0
    with pytest.raises(ValueError, match="reached"):
        decisive_positions(5, (42, 42), generator("test", 3))


def test_more_simulations_keep_the_value_more_often() -> None:
    positions = decisive_positions(60, (24, 30), generator("test", 4))
    shares = []
    for simulations in (8, 400):
        player = with_search(blind, Search(simulations, 2.5, "draw"))
        shares.append(agreement(player(positions.current, positions.mask), positions))
    assert shares[1] > shares[0]
    assert shares[1] > 0.8


def test_rollouts_are_random_games() -> None:
    current, mask = start(CONNECT_FOUR, 3000)
    logits, value = rollouts(torch.Generator().manual_seed(0))(current, mask)
    assert float(logits.abs().max()) == 0
    # of even chance the first player wins 55.6 %, the second 44.2 %
    assert float(value.mean()) == pytest.approx(0.114, abs=0.06)
    assert torch.equal(value, random_result(CONNECT_FOUR, current, mask, torch.Generator().manual_seed(0)))


def test_both_ways_treats_a_position_as_its_mirror_image() -> None:
    ask = both_ways(asked(CONNECT_FOUR, new_network(CONNECT_FOUR, 16, 0, "cpu", 1)))
    current, mask = random_positions(30, (10, 20), generator("test", 5))
    logits, value = ask(current, mask)
    turned, value_turned = ask(mirrored(CONNECT_FOUR, current), mirrored(CONNECT_FOUR, mask))
    assert torch.allclose(logits, turned.flip(1), atol=1e-5)
    assert torch.allclose(value, value_turned, atol=1e-6)


def test_alone_takes_the_most_probable_legal_action() -> None:
    current, mask = random_positions(50, (20, 30), generator("test", 6))
    for column in range(7):

        def wants(c: torch.Tensor, m: torch.Tensor, column: int = column) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.eye(7)[column].expand(len(m), 7), torch.zeros(len(m))

        possible = legal(CONNECT_FOUR, mask)[:, column]
        assert torch.equal(alone(wants)(current, mask) == column, possible)


def test_a_network_of_convolutions_and_a_perceptron_search_alike() -> None:
    current, mask = start(CONNECT_FOUR, 4)
    for blocks in (0, 2):
        ask = asked(CONNECT_FOUR, new_network(CONNECT_FOUR, 8, blocks, "cpu", 1))
        N, _ = search(CONNECT_FOUR, current, mask, ask, Search(10))
        assert N.sum(1).tolist() == [10.0] * 4


def test_the_cost_counts_products() -> None:
    flat = Config(games=1, steps=1, simulations=1, batch=1, updates=1, width=10)
    assert cost(flat) == 2 * (84 * 10 + 100 + 80) * (2 + 6)
    assert cost(replace(flat, blocks=1)) > cost(flat)


@pytest.mark.slow
def test_a_trial_repeats_itself_and_measures_every_player() -> None:
    row = run(TINY, Context())
    assert row == run(TINY, Context())
    players = (
        "random",
        "blind",
        "rollouts",
        "raw",
        "search",
        "shuffled_search",
        "untrained_search",
        "supervised_search",
    )
    assert all(0 <= row[name] <= 1 for name in players)
    assert row["search_over_raw"] == row["search"] - row["raw"]
    assert row["seen"] == 0
    assert all(math.isfinite(value) for value in row.values())


def test_positions_can_be_picked() -> None:
    positions = Graded(torch.arange(3), torch.arange(3), torch.arange(21).view(3, 7))
    assert positions.pick(torch.tensor([False, True, False])).values.tolist() == [list(range(7, 14))]
