"""The rules as shifts of integers, against the rules on a grid and against another library's games."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.board_games.tensor_games import (
    CONNECT_FOUR,
    TIC_TAC_TOE,
    Game,
    has_line,
    is_full,
    last_mover_won,
    legal,
    mirrored,
    planes,
    play,
    random_result,
    start,
    stones_of,
)

GAMES = {"tic_tac_toe": TIC_TAC_TOE, "connect_four": CONNECT_FOUR}


def random_game(game: Game, seed: int) -> list[int]:
    """Moves of one random game up to its end."""
    draw = torch.Generator().manual_seed(seed)
    (current, mask), moves = start(game, 1), []
    while not moves or not (last_mover_won(game, current, mask) | is_full(game, mask)):
        possible = legal(game, mask)[0].nonzero()[:, 0]
        action = possible[torch.randint(len(possible), (1,), generator=draw)]
        current, mask = play(game, current, mask, action)
        moves.append(int(action))
    return moves


def line_on_grid(game: Game, grid: torch.Tensor) -> bool:
    """Whether ones on a grid [W, H] hold a line, by looking at every cell and direction."""
    for c in range(game.columns):
        for r in range(game.rows):
            for dc, dr in ((0, 1), (1, 0), (1, 1), (1, -1)):
                cells = [(c + i * dc, r + i * dr) for i in range(game.line)]
                inside = all(0 <= x < game.columns and 0 <= y < game.rows for x, y in cells)
                if inside and all(grid[x, y] for x, y in cells):
                    return True
    return False


@pytest.mark.parametrize("name", GAMES)
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_lines_are_those_seen_on_a_grid(name: str, seed: int) -> None:
    game = GAMES[name]
    grid = torch.rand(game.columns, game.rows, generator=torch.Generator().manual_seed(seed)) < 0.45
    place = (game.rows + 1) * torch.arange(game.columns)[:, None] + torch.arange(game.rows)
    board = (grid.long() << place).sum()[None]
    assert bool(has_line(game, board)) == line_on_grid(game, grid)
    assert bool(has_line(game, mirrored(game, board))) == line_on_grid(game, grid)
    assert int(stones_of(board)) == int(grid.sum())
    assert torch.equal(planes(game, board, board)[0, 0].bool(), grid)


@pytest.mark.parametrize(("name", "theirs"), [("tic_tac_toe", "tic_tac_toe"), ("connect_four", "connect_four")])
def test_games_go_as_in_another_library(name: str, theirs: str) -> None:
    pyspiel = pytest.importorskip("pyspiel")
    game = GAMES[name]
    for seed in range(40):
        state = pyspiel.load_game(theirs).new_initial_state()
        current, mask = start(game, 1)
        for action in random_game(game, seed):
            assert not state.is_terminal()
            # their cells of tic-tac-toe go along rows, ours along columns
            own = legal(game, mask)[0].nonzero()[:, 0].tolist()
            as_theirs = {a if game.gravity else 3 * (a % 3) + a // 3: a for a in own}
            assert sorted(as_theirs) == state.legal_actions()
            state.apply_action(next(k for k, v in as_theirs.items() if v == action))
            current, mask = play(game, current, mask, torch.tensor([action]))
        assert state.is_terminal()
        moves = int(stones_of(mask))
        first = float(last_mover_won(game, current, mask)) * (1 if moves % 2 else -1)
        assert state.returns()[0] == first


def test_tic_tac_toe_has_as_many_positions_as_known() -> None:
    boards, found = torch.stack(start(TIC_TAC_TOE, 1)), 1
    for _ in range(9):
        on = ~(last_mover_won(TIC_TAC_TOE, *boards) | is_full(TIC_TAC_TOE, boards[1]))
        place, action = legal(TIC_TAC_TOE, boards[1, on]).nonzero().T
        boards = torch.stack(play(TIC_TAC_TOE, *boards[:, on][:, place], action)).unique(dim=1)
        found += boards.shape[1]
    assert found == 5478


def test_random_play_from_the_start_is_won_as_often_as_known() -> None:
    current, mask = start(TIC_TAC_TOE, 4000)
    results = random_result(TIC_TAC_TOE, current, mask, torch.Generator().manual_seed(0))
    # 737/1260 of even play is won by the first player, 121/420 by the second
    assert float((results == 1).float().mean()) == pytest.approx(737 / 1260, abs=0.03)
    assert float((results == -1).float().mean()) == pytest.approx(121 / 420, abs=0.03)


def test_a_finished_position_is_not_played_on() -> None:
    full = torch.tensor([int((1 << torch.tensor([7 * c + r for c in range(7) for r in range(6)])).sum())])
    result = random_result(CONNECT_FOUR, torch.zeros_like(full), full, torch.Generator().manual_seed(0))
    assert result.tolist() == [0.0]
