"""The rules of Connect Four for many positions at once, in numpy: moves, lines of four, mirror images, random games.

Shared by recipes of this folder; it is no recipe. A position is (current, mask), two 64-bit numbers: the stones of the
player to move, and all stones. Bit 7 · column + row stands for a square of the 7 × 6 board; row 6 of every column stays
empty, so that a shift does not run from one column into the next. The sum current + mask tells a position from all others.
"""

import numpy as np
import torch
from numpy.typing import NDArray

COLUMNS, ROWS = 7, 6
STRIDE = ROWS + 1
SQUARES = COLUMNS * ROWS
BOTTOM = np.uint64(sum(1 << STRIDE * column for column in range(COLUMNS)))
BOARD = np.uint64(int(BOTTOM) * ((1 << ROWS) - 1))

Bits = NDArray[np.uint64]
Truth = NDArray[np.bool_]
Positions = tuple[Bits, Bits]
"""(current, mask), each [N]."""

_OF_COLUMN = [np.uint64(((1 << ROWS) - 1) << STRIDE * column) for column in range(COLUMNS)]


def empty_board() -> Positions:
    """Return the position before the first move, N = 1."""
    return np.zeros(1, np.uint64), np.zeros(1, np.uint64)


def four_in_line(stones: Bits) -> Truth:
    """Return whether `stones` [N] hold four in a line: up, along either diagonal, or across."""
    found = np.zeros(len(stones), bool)
    for step in (1, STRIDE - 1, STRIDE, STRIDE + 1):
        pairs = stones & (stones >> np.uint64(step))
        found |= (pairs & (pairs >> np.uint64(2 * step))) != 0
    return found


def over(positions: Positions) -> Truth:
    """Return whether the game has ended [N]: the last move made a line of four, or the board is full."""
    current, mask = positions
    return four_in_line(current ^ mask) | (mask == BOARD)


def landing(mask: Bits, column: int) -> Bits:
    """Return the square [N] that a stone in `column` falls on; 0 where the column is full."""
    return (mask + BOTTOM) & _OF_COLUMN[column]


def played(positions: Positions, squares: Bits) -> Positions:
    """Return the positions [N] after a stone of the player to move on `squares` [N]; then the other is to move."""
    current, mask = positions
    return current ^ mask, mask | squares


def wins_at_once(stones: Bits, mask: Bits) -> Truth:
    """Return whether the owner of `stones` [N], were it to move, could complete a line of four with one stone."""
    found = np.zeros(len(stones), bool)
    for column in range(COLUMNS):
        square = landing(mask, column)
        found |= (square != 0) & four_in_line(stones | square)
    return found


def quiet(positions: Positions) -> Truth:
    """Return where the game goes on and neither player could win with a stone of its own now [N]: the next move is not forced."""
    current, mask = positions
    opponent = current ^ mask
    return ~over(positions) & ~wins_at_once(current, mask) & ~wins_at_once(opponent, mask)


def mirrored(bits: Bits) -> Bits:
    """Return the squares [N] seen from the other side of the board."""
    turned = np.zeros_like(bits)
    for _ in range(COLUMNS):
        turned = (turned << np.uint64(STRIDE)) | (bits & np.uint64((1 << STRIDE) - 1))
        bits = bits >> np.uint64(STRIDE)
    return turned


def selected(positions: Positions, which: NDArray[np.generic]) -> Positions:
    """Return some of the positions, by a mask or by places."""
    return positions[0][which], positions[1][which]


def one_of_each_pair(positions: Positions) -> Positions:
    """Return one of each position and its mirror image, that of the smaller sum."""
    current, mask = positions
    return selected(positions, current + mask <= mirrored(current) + mirrored(mask))


def next_ply(positions: Positions, go_on_after_a_win: bool = False) -> Positions:
    """Return all different positions one move later, in the order of their sums.

    Args:
        positions: different positions of one ply.
        go_on_after_a_win: play on where the game is over, which the rules forbid.
    """
    if not go_on_after_a_win:
        positions = selected(positions, ~four_in_line(positions[0] ^ positions[1]))
    found: list[Positions] = []
    for column in range(COLUMNS):
        squares = landing(positions[1], column)
        found.append(selected(played(positions, squares), squares != 0))
    current, mask = (np.concatenate(each) for each in zip(*found, strict=True))
    del found
    _, first = np.unique(current + mask, return_index=True)
    return current[first], mask[first]


def all_positions(plies: int) -> Positions:
    """Return all positions that games reach after `plies` moves, those with a line of four among them."""
    positions = empty_board()
    for _ in range(plies):
        positions = next_ply(positions)
    return positions


def random_games(games: int, plies: int, draw: torch.Generator) -> tuple[Positions, Truth]:
    """Play games of random legal moves up to `plies` moves.

    Returns:
        the positions [games], and whether the game was still going on there [games]; where it ended earlier, the position is
        the one in which it ended.
    """
    positions: Positions = (np.zeros(games, np.uint64), np.zeros(games, np.uint64))
    for _ in range(plies):
        squares = np.stack([landing(positions[1], column) for column in range(COLUMNS)])
        # The largest of random numbers, one for each open column, picks among them evenly.
        chance = torch.rand(COLUMNS, games, generator=draw, dtype=torch.float64).numpy()
        choice = np.where(squares != 0, chance, -1.0).argmax(0)
        going_on = ~over(positions)
        after = played(positions, squares[choice, np.arange(games)])
        positions = np.where(going_on, after[0], positions[0]), np.where(going_on, after[1], positions[1])
    return positions, ~over(positions)
