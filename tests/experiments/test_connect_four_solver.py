"""The solver against plain minimax, against another solver, and against the laws of the game."""

from functools import cache

import numpy as np
import pytest

from experiments.board_games import first_moves
from experiments.board_games.connect_four import (
    BOARD,
    COLUMNS,
    Positions,
    empty_board,
    four_in_line,
    landing,
    mirrored,
    played,
    random_games,
    selected,
)
from experiments.board_games.connect_four_solver import ILLEGAL, move_values, scores, values
from repro.lab.seeding import generator
from repro.schema.context import Context


def positions_at(ply: int, n: int) -> Positions:
    positions, going_on = random_games(8000 if ply > 30 else 4 * n, ply, generator("solver test", ply))
    return selected(positions, np.flatnonzero(going_on)[:n])


@cache
def minimax(current: int, mask: int) -> int:
    """Score by looking at every line of play: 22 less the winner's stones, negative for a loss."""
    one, all_ = np.array([current], np.uint64), np.array([mask], np.uint64)
    stones = mask.bit_count()
    if four_in_line(one ^ all_)[0]:
        return -(22 - (stones + 1) // 2)
    if mask == int(BOARD):
        return 0
    squares = [landing(all_, column)[0] for column in range(COLUMNS)]
    return max(-minimax(current ^ mask, mask | int(square)) for square in squares if square)


@pytest.mark.parametrize(("ply", "n"), [(34, 30), (37, 30), (40, 20), (41, 20)])
def test_scores_and_values_are_those_of_plain_minimax(ply: int, n: int) -> None:
    current, mask = positions_at(ply, n)
    expected = [minimax(int(c), int(m)) for c, m in zip(current, mask, strict=True)]
    assert len(expected) > 3
    assert scores(current, mask).tolist() == expected
    assert values(current, mask).tolist() == np.sign(expected).tolist()


def test_finished_games_keep_their_outcome() -> None:
    positions = empty_board()
    for column in (3, 2, 3, 2, 3, 2, 3):
        positions = played(positions, landing(positions[1], column))
    assert values(*positions).tolist() == [-1]
    assert scores(*positions).tolist() == [-18]  # won with the fourth stone
    assert (move_values(*positions) == ILLEGAL).all()


def test_a_position_is_worth_its_best_move() -> None:
    positions = positions_at(22, 200)
    moves, own = move_values(*positions), values(*positions)
    assert (moves.max(1) == own).all()
    full = np.stack([landing(positions[1], column) == 0 for column in range(COLUMNS)], 1)
    assert ((moves == ILLEGAL) == full).all()
    assert set(own.tolist()) == {-1, 0, 1}


def test_mirror_images_are_worth_the_same() -> None:
    current, mask = positions_at(18, 60)
    assert (scores(current, mask) == scores(mirrored(current), mirrored(mask))).all()
    assert (move_values(current, mask) == move_values(mirrored(current), mirrored(mask))[:, ::-1]).all()


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    current, mask = positions_at(16, 40)
    before = values(current, mask)
    order = np.arange(40)[::-1]
    assert (values(current[order], mask[order])[order] == before).all()
    assert (np.sign(scores(current, mask)) == before).all()


def test_another_solver_agrees() -> None:
    bitbully = pytest.importorskip("bitbully")
    solver, draw = bitbully.BitBully(opening_book=None), np.random.default_rng(1)
    checked = 0
    while checked < 100:
        positions, moves = empty_board(), []
        for _ in range(int(draw.integers(14, 36))):
            column = int(draw.choice([c for c in range(COLUMNS) if landing(positions[1], c)[0]]))
            moves.append(column)
            positions = played(positions, landing(positions[1], column))
            if four_in_line(positions[0] ^ positions[1])[0]:
                break
        else:
            theirs = solver.score_all_moves(bitbully.Board(moves))
            expected = [int(np.sign(theirs[c])) if c in theirs else ILLEGAL for c in range(COLUMNS)]
            assert move_values(*positions)[0].tolist() == expected
            assert scores(*positions)[0] == max(theirs.values())
            checked += 1


def test_first_moves_are_given_for_both_players() -> None:
    row = first_moves.run(first_moves.Config(moves="dddccceebb"), Context())
    assert row["d"] == 1
    assert row["d_for_the_other"] == -1
    assert len(row) == 14
