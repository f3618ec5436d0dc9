"""Connect Four positions of random play with the value of every move, and how often a player keeps the value of the game.

Shared by the recipes of this folder. Most positions of random play are decided, and any move will do in them; so only those count in which
exactly one move keeps the value. Each position stands once; a mirror image is the same position.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.board_games.connect_four_solver import move_values
from experiments.board_games.tensor_games import (
    CONNECT_FOUR,
    is_full,
    last_mover_won,
    legal,
    mirrored,
    play,
    random_action,
    start,
)

CHUNK = 400
"""Positions solved at a time; solving stops with the chunk that has the last one wanted."""


@dataclass(frozen=True)
class Graded:
    """Positions and the truth about them."""

    current: Tensor
    """Stones of the player to move [n]."""
    mask: Tensor
    """All stones [n]."""
    values: Tensor
    """Value of the game after each move, for the player to move [n, 7]: 1, 0, −1; −2 where the move is illegal."""

    def __len__(self) -> int:
        return len(self.mask)

    def pick(self, which: Tensor) -> "Graded":
        """Return some of them."""
        return Graded(self.current[which], self.mask[which], self.values[which])

    def with_(self, others: "Graded") -> "Graded":
        """Return these and others after them."""
        pairs = ((getattr(self, name), getattr(others, name)) for name in ("current", "mask", "values"))
        return Graded(*map(torch.cat, pairs))

    @property
    def keeping(self) -> Tensor:
        """Return which moves keep the value of the game [n, 7]."""
        return self.values == self.values.max(1, keepdim=True).values

    def to(self, device: str) -> "Graded":
        """Return them on a device."""
        return Graded(self.current.to(device), self.mask.to(device), self.values.to(device))


def keys(sums: Tensor) -> Tensor:
    """Return a number [n] for `current + mask` [n] that a position shares with its mirror image alone.

    The sum tells positions apart, because the stones of a column leave no gap; within a column it never carries beyond its 7 bits.
    """
    return torch.minimum(sums, mirrored(CONNECT_FOUR, sums))


def random_positions(
    count: int, plies: tuple[int, int], draw: torch.Generator, distinct: bool = True
) -> tuple[Tensor, Tensor]:
    """Return the positions, at most `count`, of that many random games after an even draw of `plies` (from, to).

    Games that end before are left out; of positions that come twice one is kept, unless not `distinct`.
    """
    current, mask = start(CONNECT_FOUR, count)
    until = torch.randint(plies[0], plies[1] + 1, (count,), generator=draw)
    good = torch.ones(count, dtype=torch.bool)
    for ply in range(plies[1]):
        on = good & (until > ply)
        action = random_action(legal(CONNECT_FOUR, mask), draw)
        after = play(CONNECT_FOUR, current, mask, action)
        current, mask = torch.where(on, after[0], current), torch.where(on, after[1], mask)
        good &= ~(on & (last_mover_won(CONNECT_FOUR, current, mask) | is_full(CONNECT_FOUR, mask)))
    current, mask = current[good], mask[good]
    if not distinct:
        return current, mask
    _, first = np.unique(keys(current + mask).numpy(), return_index=True)
    kept = torch.from_numpy(np.sort(first))
    return current[kept], mask[kept]


def graded(current: Tensor, mask: Tensor) -> Graded:
    """Solve positions."""
    solved = move_values(current.numpy().astype(np.uint64), mask.numpy().astype(np.uint64))
    return Graded(current, mask, torch.from_numpy(solved.astype(np.int64)))


def decisive_positions(count: int, plies: tuple[int, int], draw: torch.Generator) -> Graded:
    """Return `count` random positions in which exactly one move keeps the value.

    Raises:
        ValueError: if random play does not reach as many.
    """
    current, mask = random_positions(40 * count + CHUNK, plies, draw)
    found = graded(current[:0], mask[:0])
    for place in range(0, len(mask), CHUNK):
        here = graded(current[place : place + CHUNK], mask[place : place + CHUNK])
        found = found.with_(here.pick(here.keeping.sum(1) == 1))
        if len(found) >= count:
            return found.pick(torch.arange(count))
    raise ValueError(f"random play at plies {plies} reached {len(found)} positions with one best move, not {count}")


def agreement(action: Tensor, positions: Graded) -> float:
    """Return the share of positions whose chosen action [n] keeps the value of the game."""
    return float(positions.keeping.gather(1, action[:, None]).float().mean())
