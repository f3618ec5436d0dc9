"""Tic-tac-toe and Connect Four, many games at once: a position is two integers, and all rules are shifts of them.

Shared by the recipes of this folder; written for the claims about self-play of AlphaZero (arXiv 1712.01815) and AlphaGo Zero.

A board of H rows has H + 1 bits a column, the topmost always empty, so that no line runs from one column into the next:
bit (H + 1) · column + row. A position is `current`, the stones of the player to move, and `mask`, all stones, both int64 [B].
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Game:
    """A game on a small board in which a straight line of stones wins."""

    rows: int
    """H."""
    columns: int
    """W."""
    line: int
    """Stones in a line that win: 3 or 4."""
    gravity: bool
    """Whether a stone falls to the lowest empty cell of its column; actions are then columns, else cells."""

    @property
    def cells(self) -> int:
        """Return the number of cells, which is the longest game."""
        return self.rows * self.columns

    @property
    def actions(self) -> int:
        """Return the number of actions, A: columns, or cells in the order column · H + row."""
        return self.columns if self.gravity else self.cells


TIC_TAC_TOE = Game(rows=3, columns=3, line=3, gravity=False)
CONNECT_FOUR = Game(rows=6, columns=7, line=4, gravity=True)


@cache
def cell_bits(game: Game, device: str = "cpu") -> Tensor:
    """Return the place [cells] of every cell's bit, in the order column · H + row."""
    column, row = torch.arange(game.columns), torch.arange(game.rows)
    return ((game.rows + 1) * column[:, None] + row).flatten().to(device)


@cache
def _bottoms(game: Game, device: str) -> Tensor:
    """Return the lowest cell of each column as a board [W]."""
    return (1 << ((game.rows + 1) * torch.arange(game.columns))).to(device)


def start(game: Game, games: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Return empty boards: `current` and `mask`, each [B]."""
    empty = torch.zeros(games, dtype=torch.int64, device=device)
    return empty, empty.clone()


def legal(game: Game, mask: Tensor) -> Tensor:
    """Return which actions are possible [B, A] in positions that are not over."""
    if game.gravity:
        return (mask[:, None] & (_bottoms(game, str(mask.device)) << (game.rows - 1))) == 0
    return (mask[:, None] >> cell_bits(game, str(mask.device))) & 1 == 0


def play(game: Game, current: Tensor, mask: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions [B], [B] after a legal action [B]; the other player is to move in them."""
    device = str(mask.device)
    if game.gravity:
        taken = mask | (
            mask + _bottoms(game, device)[action]
        )  # adding to the lowest cell carries to the first empty one
    else:
        taken = mask | (1 << cell_bits(game, device)[action])
    return current ^ mask, taken


def has_line(game: Game, stones: Tensor) -> Tensor:
    """Return whether stones [B] hold a line: a board meets itself shifted along one of four directions."""
    found = torch.zeros_like(stones)
    for step in (1, game.rows, game.rows + 1, game.rows + 2):
        pairs = stones & (stones >> step)
        found |= pairs & (pairs >> (step * (game.line - 2)))
    return found != 0


def last_mover_won(game: Game, current: Tensor, mask: Tensor) -> Tensor:
    """Return whether the player who has just moved has a line [B]."""
    return has_line(game, current ^ mask)


def is_full(game: Game, mask: Tensor) -> Tensor:
    """Return whether no cell is empty [B]."""
    return mask == int((1 << cell_bits(game)).sum())


def stones_of(mask: Tensor) -> Tensor:
    """Return the number of stones [B], by folding the bits of a board that is below 2⁶³."""
    x = mask - ((mask >> 1) & 0x5555555555555555)
    x = (x & 0x3333333333333333) + ((x >> 2) & 0x3333333333333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F
    x = x + (x >> 8)
    x = x + (x >> 16)
    return (x + (x >> 32)) & 0x7F


def planes(game: Game, current: Tensor, mask: Tensor) -> Tensor:
    """Return what a network sees: own stones and the other's, float [B, 2, W, H]."""
    both = torch.stack([current, current ^ mask], 1)[:, :, None]
    seen = (both >> cell_bits(game, str(mask.device))) & 1
    return seen.view(-1, 2, game.columns, game.rows).float()


def mirrored(game: Game, board: Tensor) -> Tensor:
    """Return boards [B] with left and right exchanged."""
    height = game.rows + 1
    column = (1 << height) - 1
    out = torch.zeros_like(board)
    for c in range(game.columns):
        out |= ((board >> (height * c)) & column) << (height * (game.columns - 1 - c))
    return out


def random_action(possible: Tensor, draw: torch.Generator) -> Tensor:
    """Return an action [B] drawn evenly from those possible [B, A]; chance comes from the CPU on every device."""
    chance = torch.rand(possible.shape, generator=draw).to(possible.device)
    return chance.masked_fill(~possible, -1.0).argmax(1)


def random_result(game: Game, current: Tensor, mask: Tensor, draw: torch.Generator) -> Tensor:
    """Play positions [B] to their end by even chance; return the result for the player to move [B], 0 where they are over."""
    result, sign = torch.zeros(len(mask), device=mask.device), 1.0
    running = ~(last_mover_won(game, current, mask) | is_full(game, mask))
    while bool(running.any()):
        action = random_action(legal(game, mask), draw)
        after = play(game, current, mask, action)
        current, mask = torch.where(running, after[0], current), torch.where(running, after[1], mask)
        won = running & last_mover_won(game, current, mask)
        result = torch.where(won, torch.full_like(result, sign), result)
        running = running & ~won & ~is_full(game, mask)
        sign = -sign
    return result
