import math

import pytest
import torch

from experiments.board_games.tensor_games import CONNECT_FOUR, has_line, legal, play, start
from experiments.board_games.tree_search import Search, search
from experiments.board_games.unvisited_value import Config, match_points, run
from repro.schema.context import Context

TINY = Config(
    steps=12, games=32, simulations=6, width=16, batch=32, updates=1, positions=10, first_ply=24, last_ply=30, pairs=6
)


def random_player(seed: int):
    draw = torch.Generator().manual_seed(seed)

    def player(current: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.multinomial(legal(CONNECT_FOUR, mask).float(), 1, generator=draw)[:, 0]

    return player


def wins_at_once_or_random(seed: int):
    fallback = random_player(seed)

    def player(current: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        action = fallback(current, mask)
        for column in range(7):
            after = play(CONNECT_FOUR, current, mask, torch.full_like(mask, column))
            wins = legal(CONNECT_FOUR, mask)[:, column] & has_line(CONNECT_FOUR, after[0] ^ after[1])
            action = torch.where(wins, column, action)
        return action

    return player


def test_points_are_even_between_equals_and_favour_the_better() -> None:
    openings = start(CONNECT_FOUR, 300)
    assert match_points(random_player(1), random_player(2), *openings) == pytest.approx(0.5, abs=0.06)
    better = match_points(wins_at_once_or_random(1), random_player(2), *openings)
    assert better > 0.7
    assert match_points(random_player(2), wins_at_once_or_random(1), *openings) < 0.3


def test_what_untried_moves_are_worth_decides_how_many_are_tried() -> None:
    """A network that finds every position bad: then untried moves look good as a draw, and bad as a loss."""
    current, mask = start(CONNECT_FOUR, 1)

    def gloomy(c: torch.Tensor, m: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # the one to move at odd plies is told that all is well, so the root's player sees only bad ends
        odd = torch.tensor([int(x).bit_count() % 2 for x in m])
        return torch.zeros(len(m), 7), 0.6 * (2.0 * odd - 1)

    tried = {
        unvisited: int((search(CONNECT_FOUR, current, mask, gloomy, Search(7, 0.3, unvisited))[0] > 0).sum())
        for unvisited in ("loss", "parent", "draw")
    }
    assert tried["draw"] == 7
    assert tried["loss"] < tried["parent"] <= tried["draw"]


@pytest.mark.slow
def test_the_exchanged_players_have_the_opposite_sign() -> None:
    row = run(TINY, Context())
    assert row == run(TINY, Context())
    assert row["loss_against_parent"] == -row["parent_against_loss"]
    assert row["search_loss_over_parent"] == -row["search_parent_over_loss"]
    assert abs(row["loss_against_parent"]) <= 0.5
    assert all(math.isfinite(value) for value in row.values())
