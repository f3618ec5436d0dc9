"""A solver for Connect Four: who wins with perfect play, for any position of the 7 × 6 board, without a book.

Shared by recipes of this folder; it is no recipe. A position is (current, mask), two 64-bit numbers: the stones of the
player to move, and all stones. Bit 7 · column + row stands for a square; row 6 of every column stays empty, so that a
shift does not run from one column into the next.

The search is negamax with alpha-beta and a transposition table. Four things keep it small. Only moves are tried after which
the opponent does not win at once. Moves that make many threats come first, then those near the centre. Where one side has no
line of four left, the other cannot lose. And where every column holds an even number of stones, the opponent can always
answer in the same column: if the squares that the player to move then gets hold no line of four, that player cannot win.

`values` asks two yes-or-no questions (is it a win? is it at least a draw?), which is far cheaper than `scores`.
One table serves all calls in a process: 2^25 entries, 256 MB.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from experiments.board_games.connect_four import BOARD, BOTTOM, COLUMNS, SQUARES, STRIDE

# The squares of the first, third and fifth row: where the player to move lands if each stone is answered above it.
FIRST_OF_PAIRS = np.uint64(int(BOTTOM) * 0b010101)
ILLEGAL = -2

_ZERO, _ONE, _STRIDE = np.uint64(0), np.uint64(1), np.uint64(STRIDE)
_COLUMN = np.uint64((1 << STRIDE) - 1)
_CENTRE_FIRST = np.array([3, 2, 4, 1, 5, 0, 6])
_MIRRORED_PLIES = 14  # up to here a position and its mirror image share an entry of the table
_TABLE_BITS = 25
_SHIFT = np.uint64(64 - _TABLE_BITS)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
# An entry: 49 bits of key, 3 of work, 6 each of the upper and the lower bound
_SIX_BITS, _OFFSET = np.uint64(63), 32
_table: list[NDArray[np.uint64]] = []


@njit(inline="always")
def count(bits):
    """Number of ones in a 64-bit number."""
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit
def has_four(stones):
    """Whether `stones` hold four in a line: up, across, or along a diagonal."""
    for step in (1, STRIDE - 1, STRIDE, STRIDE + 1):
        pairs = stones & (stones >> np.uint64(step))
        if pairs & (pairs >> np.uint64(2 * step)):
            return True
    return False


@njit
def fourth_squares(stones, mask):
    """Empty squares that would complete a line of four of `stones`, reachable now or later."""
    found = (stones << np.uint64(1)) & (stones << np.uint64(2)) & (stones << np.uint64(3))
    for step in (STRIDE - 1, STRIDE, STRIDE + 1):
        one, two, three = np.uint64(step), np.uint64(2 * step), np.uint64(3 * step)
        found |= (stones << one) & (stones << two) & ((stones << three) | (stones >> one))
        found |= (stones >> one) & (stones >> two) & ((stones << one) | (stones >> three))
    return found & (BOARD ^ mask)


@njit
def mirror(bits):
    """The same squares seen from the other side of the board."""
    turned = _ZERO
    for _ in range(COLUMNS):
        turned = (turned << _STRIDE) | (bits & _COLUMN)
        bits = bits >> _STRIDE
    return turned


@njit
def _search(current, mask, plies, alpha, beta, table, moves, ranks, nodes):
    """Score of a position in which no stone wins at once: exact between alpha and beta, else a bound beyond them."""
    nodes[0] += 1
    before = nodes[0]
    opponent = current ^ mask

    # Moves that do not lose at once
    possible = (mask + BOTTOM) & BOARD
    threats = fourth_squares(opponent, mask)
    forced = possible & threats
    if forced:
        if forced & (forced - _ONE):
            return (plies + 1) // 2 - 21
        possible = forced
    possible &= ~(threats >> _ONE)
    if plies >= SQUARES:
        return 0
    if possible == _ZERO:
        return (plies + 1) // 2 - 21
    if plies >= SQUARES - 2:
        return 0

    # What the rest of the game can bring at all
    low, high = (plies + 1) // 2 - 20, 20 - plies // 2
    free = BOARD ^ mask
    if not has_four(current | free):
        high = 0
    elif ((mask + BOTTOM) & BOARD & ~FIRST_OF_PAIRS) == _ZERO and not has_four(current | (free & FIRST_OF_PAIRS)):
        high = -1 if has_four(opponent | (free & ~FIRST_OF_PAIRS)) else 0
    if not has_four(opponent | free):
        low = 0
    if low >= beta or low >= high:
        return low
    if high <= alpha:
        return high

    # What is known from before
    key = current + mask + BOTTOM
    if plies <= _MIRRORED_PLIES:
        key = min(key, mirror(current) + mirror(mask) + BOTTOM)
    slot = np.int64((key * _MULTIPLIER) >> _SHIFT) & ~1
    for at in range(slot, slot + 2):
        entry = table[at]
        if entry >> np.uint64(15) == key:
            low = max(low, np.int64(entry & _SIX_BITS) - _OFFSET)
            high = min(high, np.int64((entry >> np.uint64(6)) & _SIX_BITS) - _OFFSET)
            if low >= beta or low >= high:
                return low
            if high <= alpha:
                return high
            break
    lower, upper = max(alpha, low), min(beta, high)

    # Moves with most threats first, then from the centre outwards
    first = plies * COLUMNS
    n = 0
    for column in _CENTRE_FIRST:
        move = possible & (_COLUMN << np.uint64(STRIDE * column))
        if move:
            child = opponent + (mask | move) + BOTTOM
            if plies < _MIRRORED_PLIES:
                child = min(child, mirror(opponent) + mirror(mask | move) + BOTTOM)
            place = np.int64((child * _MULTIPLIER) >> _SHIFT) & ~1
            rank = 4 * count(fourth_squares(current | move, mask | move))
            for at in range(place, place + 2):
                entry = table[at]
                if entry >> np.uint64(15) == child:
                    most = np.int64((entry >> np.uint64(6)) & _SIX_BITS) - _OFFSET
                    if -most >= upper:
                        return -most
                    least = np.int64(entry & _SIX_BITS) - _OFFSET
                    if -least <= lower:
                        rank -= 100
                    break
            at = first + n
            while at > first and ranks[at - 1] < rank:
                ranks[at], moves[at] = ranks[at - 1], moves[at - 1]
                at -= 1
            ranks[at], moves[at] = rank, move
            n += 1

    best = -_OFFSET
    a = lower
    for i in range(first, first + n):
        move = moves[i]
        score = -_search(opponent, mask | move, plies + 1, -upper, -a, table, moves, ranks, nodes)
        if score > best:
            best = score
            if score >= upper:
                break
            a = max(a, score)
    # fail-soft: a cut gives a lower bound, no move above `lower` an upper one
    if best > lower:
        low = max(low, best)
    if best < upper:
        high = min(high, best)

    # Of the two places, the second always takes the newest; the first keeps the one that cost most
    work = 0
    spent = nodes[0] - before
    while work < 7 and spent >= 8:
        spent >>= 3
        work += 1
    entry = (key << np.uint64(15)) | np.uint64((work << 12) | ((high + _OFFSET) << 6) | (low + _OFFSET))
    kept = table[slot]
    if kept >> np.uint64(15) == key or work >= np.int64((kept >> np.uint64(12)) & np.uint64(7)):
        if kept >> np.uint64(15) != key:
            table[slot + 1] = kept
        table[slot] = entry
    else:
        table[slot + 1] = entry
    return best


@njit
def _sign(current, mask, plies, table, moves, ranks, nodes):
    """1 win, 0 draw, -1 loss for the player to move, in a position where nobody has four yet."""
    if (mask + BOTTOM) & BOARD & fourth_squares(current, mask):
        return 1
    if _search(current, mask, plies, 0, 1, table, moves, ranks, nodes) > 0:
        return 1
    return -1 if _search(current, mask, plies, -1, 0, table, moves, ranks, nodes) < 0 else 0


@njit
def _score(current, mask, plies, table, moves, ranks, nodes):
    """Score of a position in which nobody has four yet: narrow the interval by yes-or-no questions, those near 0 first."""
    if (mask + BOTTOM) & BOARD & fourth_squares(current, mask):
        return 21 - plies // 2
    low, high = (plies + 1) // 2 - 21, 20 - plies // 2
    while low < high:
        middle = (low + high) // 2
        if middle <= 0 and low // 2 < middle:
            middle = low // 2
        elif middle >= 0 and high // 2 > middle:
            middle = high // 2
        answer = _search(current, mask, plies, middle, middle + 1, table, moves, ranks, nodes)
        if answer <= middle:
            high = answer
        else:
            low = answer
    return low


@njit
def _all(current, mask, exact, table, moves, ranks, nodes):
    out = np.zeros(len(current), np.int8)
    for i in range(len(current)):
        plies = count(mask[i])
        if has_four(current[i] ^ mask[i]):
            out[i] = (plies + 1) // 2 - 22 if exact else -1
        elif exact:
            out[i] = _score(current[i], mask[i], plies, table, moves, ranks, nodes)
        else:
            out[i] = _sign(current[i], mask[i], plies, table, moves, ranks, nodes)
    return out


@njit
def _children(current, mask):
    """Every move of N positions: current, mask [7 N] of the position after it, and what stands in its way.

    The third array [7 N] is 0 where the game goes on, 1 where the move wins, `ILLEGAL` where the column is full or the game over.
    """
    after, stones = np.zeros(7 * len(current), np.uint64), np.zeros(7 * len(current), np.uint64)
    known = np.zeros(7 * len(current), np.int8)
    for i in range(len(current)):
        over = has_four(current[i] ^ mask[i])
        for column in range(COLUMNS):
            at = 7 * i + column
            move = (mask[i] + BOTTOM) & BOARD & (_COLUMN << np.uint64(STRIDE * column))
            if over or not move:
                known[at] = ILLEGAL
            elif has_four(current[i] | move):
                known[at] = 1
            after[at], stones[at] = current[i] ^ mask[i], mask[i] | move
    return after, stones, known


def _solve(current: NDArray[np.uint64], mask: NDArray[np.uint64], exact: bool) -> tuple[NDArray[np.int8], int]:
    if not _table:
        _table.append(np.zeros(1 << _TABLE_BITS, np.uint64))
    moves, ranks = np.zeros((SQUARES + 1) * COLUMNS, np.uint64), np.zeros((SQUARES + 1) * COLUMNS, np.int64)
    nodes = np.zeros(1, np.int64)
    out = _all(
        np.ascontiguousarray(current, np.uint64),
        np.ascontiguousarray(mask, np.uint64),
        exact,
        _table[0],
        moves,
        ranks,
        nodes,
    )
    return out, int(nodes[0])


def values(current: NDArray[np.uint64], mask: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Return for positions `current`, `mask` [N] who wins: 1 the player to move, 0 nobody, -1 the other. int8 [N]."""
    return _solve(current, mask, False)[0]


def scores(current: NDArray[np.uint64], mask: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Return how soon the winner wins: 1 with the last of its 21 stones, 2 with the one before it; less than 0 for a loss. int8 [N]."""
    return _solve(current, mask, True)[0]


def nodes_of(current: NDArray[np.uint64], mask: NDArray[np.uint64]) -> tuple[NDArray[np.int8], int]:
    """Return `values` and the number of positions that the search looked at."""
    return _solve(current, mask, False)


def move_values(current: NDArray[np.uint64], mask: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Return for positions [N] what each column is worth to the player to move; `ILLEGAL` where it cannot be played. int8 [N, 7]."""
    after, stones, known = _children(np.ascontiguousarray(current, np.uint64), np.ascontiguousarray(mask, np.uint64))
    found = known.copy()
    open_ = known == 0
    found[open_] = -values(after[open_], stones[open_])
    return found.reshape(-1, COLUMNS)
