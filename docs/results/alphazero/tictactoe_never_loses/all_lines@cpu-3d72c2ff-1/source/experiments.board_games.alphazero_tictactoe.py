"""Self-play from nothing in tic-tac-toe: does the player it makes ever lose?

Paper: Silver et al. 2017 (AlphaZero), arXiv 1712.01815: from random play and the rules alone, self-play with tree search reaches
superhuman play. Serves the claim `alphazero/tictactoe_never_loses`, the same in a game where the optimum is known: a player who
makes no mistake never loses, in either seat.

After training, the player chooses the most visited action of a search without noise. It is therefore a function of the position, and every
reply of every opponent can be tried: all lines of play are followed, and those that end with a line of the opponent are counted.

Hardware and time: 10 to 20 s of one CPU core a trial at `cpu`, of which the enumeration takes a second. Deviations: another game; a
perceptron of 20,000 weights; see the claim.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.board_games.self_play import SelfPlay, asked, new_network, self_play
from experiments.board_games.tensor_games import TIC_TAC_TOE as GAME
from experiments.board_games.tensor_games import is_full, last_mover_won, legal, play, start
from experiments.board_games.tree_search import Search, priors, search
from repro.schema.context import Context

Player = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """One training run and the search of its player."""

    width: int = 128
    """Units of the two hidden layers."""
    simulations: int = 25
    """Of every move, in training and in the enumeration."""
    c_puct: float = 1.5
    """Weight of the prior."""
    unvisited: str = "draw"
    """Q of an action never taken: `loss`, `parent` or `draw`."""
    noise: float = 0.25
    """ε, share of Dirichlet noise in the priors at the root in training."""
    alpha: float = 1.0
    """Concentration of that noise."""
    games: int = 512
    """Games played in step."""
    steps: int = 350
    """Moves made in each; 0: the network stays as drawn."""
    sampled_plies: int = 9
    """First moves of a game drawn in proportion to the visits; 9 are all."""
    replay: int = 40_000
    """Positions kept."""
    batch: int = 256
    """Positions of an update."""
    updates: int = 4
    """Updates after every step of all games."""
    lr: float = 3e-3
    """Peak learning rate of Adam."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, noise, moves and batches."""


def lines_of_play(player: Player, seat: int, device: str) -> tuple[int, int, int]:
    """Return how many lines of play against all opponents are won, drawn and lost by a player who moves first (seat 0) or second.

    Lines that reach one position are followed together, with their number.
    """
    current, mask = start(GAME, 1, device)
    lines = torch.ones(1, dtype=torch.int64, device=device)
    counts = {"won": 0, "drawn": 0, "lost": 0}
    for ply in range(GAME.cells):
        own = ply % 2 == seat
        if own:
            current, mask = play(GAME, current, mask, player(current, mask))
        else:
            place, action = legal(GAME, mask).nonzero().T
            current, mask = play(GAME, current[place], mask[place], action)
            lines = lines[place]
        won, full = last_mover_won(GAME, current, mask), is_full(GAME, mask)
        counts["won" if own else "lost"] += int(lines[won].sum())
        counts["drawn"] += int(lines[full & ~won].sum())
        on = ~(won | full)
        boards, where = torch.stack([current[on], mask[on]]).unique(dim=1, return_inverse=True)
        (current, mask), lines = boards, torch.zeros_like(boards[0]).index_add_(0, where, lines[on])
        if len(mask) == 0:
            break
    return counts["won"], counts["drawn"], counts["lost"]


def run(config: Config, context: Context) -> dict[str, float]:
    """Train by self-play, then follow all lines.

    Returns:
        `<player>_losses_<seat>` for the players `search` and `raw` (the most probable action of the network, without search) and the seats
        `first` and `second`: lines of play lost (count; NaN if training diverged); `search_lines_<seat>`, `search_wins_<seat>`: all lines,
        and those won; `games` of self-play that were finished; `drawn_late`: share of draws among the last tenth of them; `loss`: of the last updates.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    how = Search(config.simulations, config.c_puct, config.unvisited, config.noise, config.alpha)
    net = new_network(GAME, config.width, 0, context.device, "tic-tac-toe", config.seed)
    plan = SelfPlay(
        config.games, config.steps, how, config.sampled_plies, config.replay, config.batch, config.updates, config.lr
    )
    played = self_play(
        GAME,
        net,
        plan,
        ("tic-tac-toe", config.seed),
        context.precision,
        progress=lambda done: context.progress(0.9 * done),
    )
    for place in range(0, len(played.losses), max(1, len(played.losses) // 20)):
        context.log(place, loss=played.losses[place])
    ask, quiet = asked(GAME, net, context.precision), Search(config.simulations, config.c_puct, config.unvisited)

    def with_search(current: Tensor, mask: Tensor) -> Tensor:
        return search(GAME, current, mask, ask, quiet)[0].argmax(1)

    @torch.no_grad()
    def raw(current: Tensor, mask: Tensor) -> Tensor:
        return priors(ask(current, mask)[0], legal(GAME, mask)).argmax(1)

    late = played.losses[-50:]
    diverged = bool(late) and not math.isfinite(sum(late))
    row = {
        "games": float(len(played.results)),
        "drawn_late": float((played.results[-(len(played.results) // 10 + 1) :] == 0).float().mean()),
        "loss": sum(late) / len(late) if late else 0.0,
    }
    for name, player in (("search", with_search), ("raw", raw)):
        for seat, where in enumerate(("first", "second")):
            won, drawn, lost = lines_of_play(player, seat, context.device)
            row[f"{name}_losses_{where}"] = math.nan if diverged else float(lost)
            if name == "search":
                row[f"search_lines_{where}"], row[f"search_wins_{where}"] = float(won + drawn + lost), float(won)
    return row


if __name__ == "__main__":
    for steps in (0, 350):
        print(f"steps={steps}", run(Config(steps=steps), Context()))
