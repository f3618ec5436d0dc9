"""What is a move worth that the search has never tried? A loss, the value of the position so far, or a draw: three players learn so.

Source: MiniGo (RESULTS.md at commit 6d89c202, and the paper of 2019): AlphaGo Zero does not say what Q is on an edge without visits; runs
v11 (Q = 0) and v14 (the parent's value replaced by a loss) differ in it. Serves the claim `minigo/q_init`.

One trial trains three networks on Connect Four by self-play, alike in everything but that value, from the same weights. Each then
plays the others, both sides with the value they learnt with, from openings of random moves that are played twice with seats
exchanged. Because one player may only have learnt to beat another, each also chooses moves in random positions in which exactly
one move keeps the value of the game, as a solver knows.

Hardware and time: about a minute and a half of one CPU core a trial at `cpu`, the solver included. Deviations: another game; small runs of one
length each instead of months of one run; see the claim.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from experiments.board_games.graded_positions import agreement, decisive_positions, random_positions
from experiments.board_games.self_play import Network, SelfPlay, asked, new_network, play_match, self_play
from experiments.board_games.tensor_games import CONNECT_FOUR as GAME
from experiments.board_games.tensor_games import legal
from experiments.board_games.tree_search import UNVISITED, Search, priors, search
from repro.lab.seeding import generator
from repro.schema.context import Context

Player = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """Three runs and the games between them."""

    width: int = 256
    """Units of the two hidden layers, or channels."""
    blocks: int = 0
    """Residual blocks of convolutions; 0: a perceptron."""
    simulations: int = 50
    """Of every move, in training, in the games and in the examination."""
    c_puct: float = 1.5
    """Weight of the prior."""
    noise: float = 0.25
    """ε, share of Dirichlet noise in the priors at the root in training."""
    alpha: float = 1.0
    """Concentration of that noise."""
    games: int = 512
    """Games played in step."""
    steps: int = 120
    """Moves made in each."""
    sampled_plies: int = 42
    """First moves of a game drawn in proportion to the visits; 42 are all."""
    replay: int = 50_000
    """Positions kept."""
    batch: int = 512
    """Positions of an update."""
    updates: int = 4
    """Updates after every step of all games."""
    lr: float = 2e-3
    """Peak learning rate of Adam."""
    pairs: int = 200
    """Openings of a match; each is played twice, with seats exchanged."""
    opening: int = 4
    """Random moves of an opening."""
    positions: int = 400
    """Of the examination."""
    first_ply: int = 16
    """Fewest stones of its positions."""
    last_ply: int = 24
    """Most stones."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, noise, moves, batches, openings and positions."""


def cost(config: Config) -> float:
    """Return the FLOPs of the three networks in training."""
    net = Network(GAME, config.width, config.blocks)
    products = sum(each.numel() * (GAME.cells if each.dim() == 4 else 1) for each in net.parameters() if each.dim() > 1)
    forward = config.games * config.steps * (config.simulations + 1)
    return 6.0 * products * (forward + 3.0 * config.steps * config.updates * config.batch)


def match_points(one: Player, other: Player, current: Tensor, mask: Tensor) -> float:
    """Return the share of points that `one` takes from `other`, each opening [n] played with both to move first; a draw is half."""
    to_move = play_match(GAME, one, other, current, mask)
    replying = -play_match(GAME, other, one, current, mask)
    return float((torch.cat([to_move, replying]) + 1).mean() / 2)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train three networks and compare them.

    Returns:
        For each pair, `<a>_against_<b>`: points that a takes from b less one half (1; from −½ to ½). For each value of an untried move
        `<a>_search` and `<a>_raw`: share of positions in which the player keeps the value of the game, with search and by the network
        alone; `<a>_loss`, of its last updates; `<a>_games` and `<a>_plies`, finished games and their mean length in the last
        tenth. `search_<a>_over_<b>`: differences of `<a>_search`; `flops`. NaN where a run diverged.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    device = context.device
    players: dict[str, Player] = {}
    row: dict[str, float] = {}
    positions = decisive_positions(
        config.positions, (config.first_ply, config.last_ply), generator("positions", config.seed)
    ).to(device)
    current, mask = random_positions(
        config.pairs, (config.opening, config.opening), generator("openings", config.seed), distinct=False
    )
    current, mask = current.to(device), mask.to(device)
    for done, unvisited in enumerate(UNVISITED):
        net = new_network(GAME, config.width, config.blocks, device, "unvisited", config.seed)
        how = Search(config.simulations, config.c_puct, unvisited, config.noise, config.alpha)
        plan = SelfPlay(
            config.games,
            config.steps,
            how,
            config.sampled_plies,
            config.replay,
            config.batch,
            config.updates,
            config.lr,
        )
        played = self_play(GAME, net, plan, ("unvisited", config.seed), context.precision)
        for place in range(0, len(played.losses), max(1, len(played.losses) // 20)):
            context.log(place, **{f"{unvisited}_loss": played.losses[place]})
        ask, quiet = asked(GAME, net, context.precision), Search(config.simulations, config.c_puct, unvisited)
        players[unvisited] = _searching(ask, quiet)
        with torch.no_grad():
            raw = priors(ask(positions.current, positions.mask)[0], legal(GAME, positions.mask)).argmax(1)
        late, tenth = played.losses[-50:], -(len(played.results) // 10 + 1)
        row |= {
            f"{unvisited}_search": agreement(players[unvisited](positions.current, positions.mask), positions),
            f"{unvisited}_raw": agreement(raw, positions),
            f"{unvisited}_loss": sum(late) / len(late) if late else 0.0,
            f"{unvisited}_games": float(len(played.results)),
            f"{unvisited}_plies": float(played.plies[tenth:].float().mean()),
        }
        context.progress((done + 1) / (len(UNVISITED) + 1))
    for a, b in combinations(UNVISITED, 2):
        diverged = not math.isfinite(row[f"{a}_loss"] + row[f"{b}_loss"])
        points = math.nan if diverged else match_points(players[a], players[b], current, mask)
        row[f"{a}_against_{b}"], row[f"{b}_against_{a}"] = points - 0.5, 0.5 - points
        difference = math.nan if diverged else row[f"{a}_search"] - row[f"{b}_search"]
        row[f"search_{a}_over_{b}"], row[f"search_{b}_over_{a}"] = difference, -difference
    return row | {"flops": cost(config)}


def _searching(ask: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], how: Search) -> Player:
    return lambda current, mask: search(GAME, current, mask, ask, how)[0].argmax(1)


if __name__ == "__main__":
    for column, value in run(Config(steps=40, pairs=50, positions=100, first_ply=18), Context()).items():
        print(f"{column:28} {value:.4g}")
