import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.board_games import first_moves, opening_positions, ply_counts
from experiments.board_games.connect_four import (
    BOARD,
    BOTTOM,
    all_positions,
    empty_board,
    four_in_line,
    landing,
    mirrored,
    over,
    played,
    quiet,
    random_games,
    selected,
    wins_at_once,
)
from experiments.board_games.first_moves_estimators import measured_columns
from repro.lab.seeding import generator
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record


def grid(bits: int) -> list[list[bool]]:
    return [[bool(bits >> (7 * column + row) & 1) for row in range(6)] for column in range(7)]


def four_by_hand(bits: int) -> bool:
    """Walk along every line of the board, square by square."""
    board = grid(bits)
    for column in range(7):
        for row in range(6):
            for right, up in ((1, 0), (0, 1), (1, 1), (1, -1)):
                line = [(column + i * right, row + i * up) for i in range(4)]
                if all(0 <= c < 7 and 0 <= r < 6 and board[c][r] for c, r in line):
                    return True
    return False


def after(moves: str) -> tuple[np.ndarray, np.ndarray]:
    positions = empty_board()
    for name in moves:
        positions = played(positions, landing(positions[1], "abcdefg".index(name)))
    return positions


@given(st.integers(0, (1 << 49) - 1))
@settings(max_examples=200, deadline=None)
def test_a_line_of_four_is_one_found_by_walking(bits: int) -> None:
    bits &= int(BOARD)
    assert four_in_line(np.array([bits], np.uint64))[0] == four_by_hand(bits)


@given(st.integers(0, (1 << 49) - 1))
@settings(max_examples=50, deadline=None)
def test_mirror_images_turn_columns_round_and_back(bits: int) -> None:
    one = np.array([bits], np.uint64)
    assert int(mirrored(mirrored(one))[0]) == bits
    assert grid(int(mirrored(one)[0])) == grid(bits)[::-1]


def test_positions_agree_with_open_spiel() -> None:
    pyspiel = pytest.importorskip("pyspiel")
    game, draw = pyspiel.load_game("connect_four"), np.random.default_rng(0)
    for _ in range(20):
        state, positions = game.new_initial_state(), empty_board()
        while not state.is_terminal():
            assert not over(positions)[0]
            legal = [column for column in range(7) if landing(positions[1], column)[0]]
            assert legal == state.legal_actions()
            column = int(draw.choice(legal))
            state.apply_action(column)
            positions = played(positions, landing(positions[1], column))
        assert over(positions)[0]
        assert four_in_line(positions[0] ^ positions[1])[0] == (state.returns()[0] != 0)


def test_counts_are_those_of_a_set_of_games_played_by_hand() -> None:
    level = {((), (), (), (), (), (), ())}
    for ply in range(1, 6):
        nxt = set()
        for board in level:
            for column in range(7):
                if len(board[column]) < 6:
                    nxt.add((*board[:column], (*board[column], ply % 2), *board[column + 1 :]))
        level = nxt  # nobody can have four in a line before the seventh move
        assert len(all_positions(ply)[0]) == len(level)


def test_going_on_after_a_win_adds_positions_from_the_eighth_move_on() -> None:
    right = ply_counts.run(ply_counts.Config(last_ply=8), Context())
    wrong = ply_counts.run(ply_counts.Config(last_ply=8, finished="continued"), Context())
    assert [wrong[f"ply_{n}"] == right[f"ply_{n}"] for n in range(9)] == [True] * 8 + [False]


def test_quiet_positions_are_those_without_a_winning_stone_for_either() -> None:
    assert not quiet(after("dcdcdc"))[0]  # both have three in a column
    assert not quiet(after("dcdcd"))[0]  # the other has
    assert not quiet(after("dcdcdcd"))[0]  # over
    assert quiet(after("dcdc"))[0]
    current, mask = after("dcdcdc")
    assert wins_at_once(current, mask)[0]


def test_an_unknown_word_is_refused() -> None:
    for config in (ply_counts.Config(which="some"), ply_counts.Config(finished="never")):
        with pytest.raises(ValueError, match="must be"):
            ply_counts.run(config, Context())


def test_random_games_are_legal_and_stop_when_over() -> None:
    positions, going_on = random_games(300, 20, generator("test"))
    current, mask = positions
    heights = (mask + BOTTOM) & ~mask  # one bit on top of each column, or none if stones hang in the air
    assert all(int(each).bit_count() == 7 for each in heights)
    assert (over(positions) == ~going_on).all()
    counts = np.array([int(each).bit_count() for each in mask])
    assert (counts[going_on] == 20).all()
    assert 0 < going_on.mean() < 1
    own = np.array([int(each).bit_count() for each in current])
    assert (own == counts // 2).all()


def test_a_sample_is_drawn_from_the_set_and_counts_add_up_to_it() -> None:
    rows = opening_positions.rows_of_the_set(4)
    assert len(rows[0]) < len(all_positions(4)[0])
    assert quiet(rows).all()
    assert len(selected(rows, rows[1] <= BOARD)[0]) == len(rows[0])


@pytest.mark.slow
def test_a_sample_of_openings_is_solved() -> None:
    row = opening_positions.run(opening_positions.Config(sample=2), Context())
    assert row["wins"] + row["draws"] + row["losses"] == pytest.approx(67557)
    assert (row["rows"], row["solved"]) == (67557, 2)


def test_columns_of_a_deterministic_trial_become_parts() -> None:
    records = [make_record(seed, {"a": 1.0, "b": -1.0}) for seed in (0, 1)]
    found = measured_columns(records, columns={"a": "b"})
    assert {part: estimate.value for part, estimate in found.items()} == {"a": -1.0}
    with pytest.raises(EstimateError, match="no 'c'"):
        measured_columns(records, columns={"a": "c"})


def test_a_full_column_cannot_be_among_the_moves_before() -> None:
    with pytest.raises(ValueError, match="full"):
        first_moves.run(first_moves.Config(moves="ddddddd"), Context())
