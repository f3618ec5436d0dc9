"""How many positions Connect Four has after each number of moves, counted one by one.

Sources: OEIS A212693 (positions by number of moves, those with a line of four included, none continued after one); Tromp's data
set of positions after 8 moves (UCI, `connect-4.names`: nobody has won and the next move is not forced; 67,557 rows). Serves the
claims `connect4/ply_counts` and `connect4/tromp_8ply_rows`.

A breadth-first search: all different positions one move later, until the last number of moves. A position is told from all
others by the sum of its two bitboards, so `numpy.unique` of the sums removes the transpositions.

Hardware and time: any CPU, one thread; up to 11 moves about 6 s and 1 GB of memory, up to 8 moves a fraction of a second.
Deviations: none.
"""

from dataclasses import dataclass

from experiments.board_games.connect_four import Positions, empty_board, next_ply, one_of_each_pair, quiet, selected
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """How far, and what counts as a position."""

    last_ply: int = 11
    """Moves up to which positions are counted."""
    which: str = "all"
    """`all` positions that games reach; or `quiet` ones: nobody has won or could win with one stone of its own."""
    mirrors: str = "apart"
    """`apart`: a position and its mirror image count as two; `merged`: as one."""
    finished: str = "end"
    """`end`: no move follows a line of four; `continued`: the game goes on, against the rules."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the count."""


def counted(positions: Positions, config: Config) -> int:
    """Return how many of the positions count.

    Raises:
        ValueError: for a word that the config does not know.
    """
    if config.which not in ("all", "quiet") or config.mirrors not in ("apart", "merged"):
        raise ValueError(
            f"which must be all or quiet and mirrors apart or merged, not {config.which!r} and {config.mirrors!r}"
        )
    if config.which == "quiet":
        positions = selected(positions, quiet(positions))
    if config.mirrors == "merged":
        positions = one_of_each_pair(positions)
    return len(positions[0])


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `ply_<n>`, the number of different positions after n moves, for n from 0 to `last_ply`."""
    if config.finished not in ("end", "continued"):
        raise ValueError(f"finished must be end or continued, not {config.finished!r}")
    positions = empty_board()
    row = {"ply_0": float(counted(positions, config))}
    for ply in range(1, config.last_ply + 1):
        positions = next_ply(positions, go_on_after_a_win=config.finished == "continued")
        row[f"ply_{ply}"] = float(counted(positions, config))
        context.progress(ply / config.last_ply)
    return row


if __name__ == "__main__":
    for name, count in run(Config(), Context()).items():
        print(f"{name:8} {count:12,.0f}")
    print("rows of Tromp's set", run(Config(last_ply=8, which="quiet", mirrors="merged"), Context())["ply_8"])
