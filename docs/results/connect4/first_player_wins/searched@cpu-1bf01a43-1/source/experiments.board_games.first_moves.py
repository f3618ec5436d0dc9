"""What each of the seven first moves of Connect Four is worth with perfect play, solved without a book.

Source: Allis 1988 (and Allen in the same year): the first player wins by opening in the centre, draws in the columns
beside it, and loses in the others. Serves the claim `connect4/first_player_wins`.

After each first move, our own solver settles by alpha-beta search whether the player to move wins, draws or loses. The three
right-hand columns are mirror images of the left-hand ones, and the transposition table knows that.

Hardware and time: one thread, about 5 minutes and 260 MB. Deviations: brute-force search instead of the rules by which Allis
proved the result; only who wins, not by which move at the latest.
"""

from dataclasses import dataclass

import numpy as np

from experiments.board_games.connect_four import empty_board, landing, played
from experiments.board_games.connect_four_solver import move_values
from repro.schema.context import Context

NAMES = "abcdefg"


@dataclass(frozen=True)
class Config:
    """From where."""

    moves: str = ""
    """Moves already played, by the names of their columns, `a` to `g`; none: the empty board."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the proof."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Solve the position after every move.

    Returns:
        `<column>`, for the columns a to g: 1 if a stone there wins for the player to move, 0 if it draws, −1 if it loses;
        `<column>_for_the_other`, the same from the other player's side. A column that is full is NaN.

    Raises:
        ValueError: if the moves given beforehand cannot be played.
    """
    positions = empty_board()
    for name in config.moves:
        square = landing(positions[1], NAMES.index(name))
        if not square[0]:
            raise ValueError(f"column {name} of the moves {config.moves!r} is full")
        positions = played(positions, square)
    found = move_values(*positions)[0].astype(float)
    found[found < -1] = np.nan
    context.progress(1.0)
    own = dict(zip(NAMES, found.tolist(), strict=True))
    return own | {f"{name}_for_the_other": 0.0 - value for name, value in own.items()}


if __name__ == "__main__":
    print(run(Config(moves="ddddddcc"), Context()))
