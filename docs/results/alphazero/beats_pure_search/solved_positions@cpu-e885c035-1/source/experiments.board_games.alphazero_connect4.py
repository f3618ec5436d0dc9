"""Self-play from nothing in Connect Four, held against perfect play: network alone, network with search, search alone.

Papers: Silver et al. 2017 (AlphaZero), arXiv 1712.01815; Silver et al. 2017 (AlphaGo Zero), DOI 10.1038/nature24270, section 4 and
Figure 6b (the network alone is far weaker than with search). Serves the claims `alphazero/beats_pure_search`,
`alphazero/search_beats_raw_network` and `alphazero/first_player_wins_self_play`, of one study.

One trial trains one network by self-play, and on the same batches a second one that gets the visits and results of other positions. Then
every player chooses a move in random positions in which exactly one move keeps the value of the game; a solver knows which. All
searches have equally many simulations. Positions that self-play has seen are left out.

Hardware and time: about two minutes of one CPU core a trial at `cpu`, the solver included. Deviations: another game, a small network, a
perceptron at `cpu`; no symmetry is used; see the claims.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.board_games.graded_positions import (
    Graded,
    agreement,
    decisive_positions,
    graded,
    keys,
    random_positions,
)
from experiments.board_games.self_play import (
    Network,
    SelfPlay,
    asked,
    chosen,
    loss_of,
    new_network,
    play_match,
    self_play,
)
from experiments.board_games.tensor_games import CONNECT_FOUR as GAME
from experiments.board_games.tensor_games import legal, mirrored, planes, random_action, random_result, start, stones_of
from experiments.board_games.tree_search import Evaluate, Search, priors, search
from repro.lab.seeding import generator
from repro.schema.context import Context

Player = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """One training run and its examination."""

    width: int = 256
    """Units of the two hidden layers, or channels."""
    blocks: int = 0
    """Residual blocks of convolutions; 0: a perceptron."""
    simulations: int = 50
    """Of every move, in training and in the examination."""
    c_puct: float = 1.5
    """Weight of the prior."""
    pure_c_puct: float = 2.5
    """The same of the searches without a network, where it weighs an even prior."""
    unvisited: str = "draw"
    """Q of an action never taken: `loss`, `parent` or `draw`."""
    noise: float = 0.25
    """ε, share of Dirichlet noise in the priors at the root in training."""
    alpha: float = 1.0
    """Concentration of that noise."""
    games: int = 512
    """Games played in step."""
    steps: int = 400
    """Moves made in each."""
    sampled_plies: int = 42
    """First moves of a game drawn in proportion to the visits; 42 are all."""
    replay: int = 100_000
    """Positions kept."""
    batch: int = 512
    """Positions of an update."""
    updates: int = 4
    """Updates after every step of all games."""
    lr: float = 2e-3
    """Peak learning rate of Adam."""
    positions: int = 600
    """Of the examination."""
    first_ply: int = 14
    """Fewest stones of its positions; the solver takes half a second for a position with 8, and 3 ms with 16."""
    last_ply: int = 24
    """Most stones."""
    own_games: int = 256
    """Games of the trained player against itself, without noise."""
    opening_plies: int = 6
    """First moves of those that are drawn in proportion to the visits, so that the games differ."""
    labelled: int = 20_000
    """Random games whose solved positions after 18 to 30 plies train the supervised network."""
    supervised_updates: int = 1500
    """Its updates."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, noise, moves, batches and positions."""


def cost(config: Config) -> float:
    """Return the FLOPs of the networks in training: 2 a product forward, 6 in an update of each of the two."""
    net = Network(GAME, config.width, config.blocks)
    products = sum(each.numel() * (GAME.cells if each.dim() == 4 else 1) for each in net.parameters() if each.dim() > 1)
    forward = config.games * config.steps * (config.simulations + 1)
    return 2.0 * products * (forward + 6.0 * config.steps * config.updates * config.batch)


def blind(current: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Know nothing but the rules: an even prior and the value of a draw."""
    return torch.zeros(len(mask), GAME.actions, device=mask.device), torch.zeros(len(mask), device=mask.device)


def rollouts(draw: torch.Generator) -> Evaluate:
    """Return the evaluation of pure search: an even prior, and the result of one random game from the position."""

    def evaluate(current: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return blind(current, mask)[0], random_result(GAME, current, mask, draw)

    return evaluate


def with_search(ask: Evaluate, how: Search) -> Player:
    """Return the player who takes the most visited action."""
    return lambda current, mask: search(GAME, current, mask, ask, how)[0].argmax(1)


def alone(ask: Evaluate) -> Player:
    """Return the player who takes the most probable action, without search."""
    return lambda current, mask: priors(ask(current, mask)[0], legal(GAME, mask)).argmax(1)


def both_ways(ask: Evaluate) -> Evaluate:
    """Return the mean of the network's answers to a position and to its mirror image: more evaluation, but no look ahead."""

    def evaluate(current: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        logits, value = ask(current, mask)
        turned, value_turned = ask(mirrored(GAME, current), mirrored(GAME, mask))
        return (logits.float().log_softmax(1) + turned.flip(1).float().log_softmax(1)) / 2, (value + value_turned) / 2

    return evaluate


def supervised(config: Config, net: Network, avoid: Tensor, device: str) -> Network:
    """Train `net` on the truth about random positions, none of which has one of the keys in `avoid`: what such a network can know."""
    draw = generator("labelled", config.seed)
    current, mask = random_positions(config.labelled, (18, 30), draw)
    new = ~torch.isin(keys(current + mask), avoid)
    known = graded(current[new], mask[new]).to(device)
    pi = known.keeping.float() / known.keeping.sum(1, keepdim=True)
    z = known.values.max(1).values.float()
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr, weight_decay=2e-4)
    for step in range(config.supervised_updates):
        at = torch.randint(len(known), (config.batch,), generator=draw).to(device)
        optimizer.param_groups[0]["lr"] = config.lr * (1 - 0.9 * step / config.supervised_updates)
        loss = loss_of(net, planes(GAME, known.current[at], known.mask[at]), pi[at], z[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def own_games(ask: Evaluate, how: Search, config: Config, device: str) -> Tensor:
    """Return the results of a player's games against itself for the one who begins [own_games]."""
    draw = generator("own games", config.seed)

    def player(current: Tensor, mask: Tensor) -> Tensor:
        visits, _ = search(GAME, current, mask, ask, how)
        return chosen(visits, stones_of(mask) < config.opening_plies, draw)

    return play_match(GAME, player, player, *start(GAME, config.own_games, device))


def random_games(config: Config) -> Tensor:
    """Return the results of as many games of even chance, for the one who begins."""
    draw = generator("random games", config.seed)

    def player(current: Tensor, mask: Tensor) -> Tensor:
        return random_action(legal(GAME, mask), draw)

    return play_match(GAME, player, player, *start(GAME, config.own_games))


@torch.no_grad()
def examine(players: Mapping[str, Player], positions: Graded) -> dict[str, float]:
    """Return the share of positions in which each player keeps the value of the game."""
    return {name: agreement(player(positions.current, positions.mask), positions) for name, player in players.items()}


def run(config: Config, context: Context) -> dict[str, float]:
    """Train by self-play, then examine.

    Returns:
        Share of positions whose chosen move keeps the value, for `random` (expected), `blind` and `rollouts` (pure search: even prior, with
        the value of a draw or of a random game at its leaves), `raw` and `search` (the network alone, and with search),
        `raw_both_ways`, `shuffled_raw` and `shuffled_search` (trained on other positions' targets), `untrained_search`, `supervised_raw`
        and `supervised_search`. NaN for the trained ones if training diverged.
        `<a>_over_<b>`: their differences; `first_player_wins`: share of the trained player's games against itself, the same of random play
        as `random_first_player_wins`, and of the last tenth of the training games as `training_first_player_wins`; `games` of
        self-play that ended, their mean `plies` among the last tenth; `seen`: share of positions left out; `loss` of the last updates; `flops`.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    device, names = context.device, ("connect four", config.seed)
    how = Search(config.simulations, config.c_puct, config.unvisited, config.noise, config.alpha)
    quiet = Search(config.simulations, config.c_puct, config.unvisited)
    plan = SelfPlay(
        config.games, config.steps, how, config.sampled_plies, config.replay, config.batch, config.updates, config.lr
    )
    net, shadow, untrained, taught = (new_network(GAME, config.width, config.blocks, device, *names) for _ in range(4))
    played = self_play(GAME, net, plan, names, context.precision, shadow, lambda done: context.progress(0.6 * done))
    for place in range(0, len(played.losses), max(1, len(played.losses) // 20)):
        context.log(place, loss=played.losses[place])

    positions = decisive_positions(
        config.positions, (config.first_ply, config.last_ply), generator("positions", config.seed)
    )
    context.progress(0.8)
    its_keys = keys(positions.current + positions.mask)
    seen = torch.isin(its_keys, keys(played.seen))
    taught = supervised(config, taught, its_keys, device)
    positions = positions.pick(~seen).to(device)
    ask, of_shadow, of_taught = (asked(GAME, each, context.precision) for each in (net, shadow, taught))
    pure = Search(config.simulations, config.pure_c_puct, "draw")
    row = examine(
        {
            "blind": with_search(blind, pure),
            "rollouts": with_search(rollouts(generator("rollouts", config.seed)), pure),
            "raw": alone(ask),
            "raw_both_ways": alone(both_ways(ask)),
            "search": with_search(ask, quiet),
            "shuffled_raw": alone(of_shadow),
            "shuffled_search": with_search(of_shadow, quiet),
            "untrained_search": with_search(asked(GAME, untrained, context.precision), quiet),
            "supervised_raw": alone(of_taught),
            "supervised_search": with_search(of_taught, quiet),
        },
        positions,
    )
    context.progress(0.95)
    possible = legal(GAME, positions.mask)
    row["random"] = float((positions.keeping.sum(1) / possible.sum(1)).mean())
    tenth, late = -(len(played.results) // 10 + 1), played.losses[-50:]
    row["first_player_wins"] = float((own_games(ask, quiet, config, device) == 1).float().mean())
    if late and not math.isfinite(sum(late)):
        row |= dict.fromkeys(("raw", "raw_both_ways", "search", "first_player_wins"), math.nan)
    compared = (("search", "rollouts"), ("shuffled_search", "rollouts"), ("search", "raw"), ("raw_both_ways", "raw"))
    row |= {f"{a}_over_{b}": row[a] - row[b] for a, b in compared}
    return row | {
        "random_first_player_wins": float((random_games(config) == 1).float().mean()),
        "training_first_player_wins": float((played.results[tenth:] == 1).float().mean()),
        "games": float(len(played.results)),
        "plies": float(played.plies[tenth:].float().mean()),
        "seen": float(seen.float().mean()),
        "loss": sum(late) / len(late) if late else 0.0,
        "flops": cost(config),
    }


if __name__ == "__main__":
    for column, value in run(Config(steps=100, positions=200, first_ply=18, labelled=5000), Context()).items():
        print(f"{column:28} {value:.4g}")
