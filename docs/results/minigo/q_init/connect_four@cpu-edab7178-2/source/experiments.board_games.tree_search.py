"""PUCT tree search of many positions at once, on tensors: B trees grow in step, and each simulation asks the network once.

Papers: Silver et al. 2017 (AlphaGo Zero), Methods, "Search algorithm"; Silver et al. 2017 (AlphaZero), arXiv 1712.01815. Shared by
the recipes of this folder.

Every edge (s, a) holds N, W and P; Q = W / N. Each simulation descends from the root by

    a = argmax Q(s, a) + U(s, a),   U(s, a) = c_puct · P(s, a) · √(1 + Σ_b N(s, b)) / (1 + N(s, a))

to an edge that was never taken, or to the end of the game; asks for (P, v) there; and adds v to W along the path, its sign
changing with the player. What Q is before an edge was ever taken, the papers leave open: `unvisited`.

All trees live in one table with a row a node, so that a step of all descents is one gather. The 1 under the root is the node's own
evaluation: without it the first choice at a node would not look at P.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.board_games.tensor_games import Game, is_full, last_mover_won, legal, play

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Positions (current [B], mask [B]) to logits of the actions [B, A] and values for the player to move [B]."""

UNVISITED = ("loss", "parent", "draw")


@dataclass(frozen=True)
class Search:
    """How a tree is grown."""

    simulations: int = 50
    """Descents a move."""
    c_puct: float = 1.5
    """Weight of the prior."""
    unvisited: str = "draw"
    """Q of an action never taken: `loss` (−1), `draw` (0) or `parent` (the mean value of the position itself so far)."""
    noise: float = 0.0
    """Share of Dirichlet noise in the priors at the root, ε."""
    alpha: float = 1.0
    """Concentration of that noise."""

    def __post_init__(self) -> None:
        if self.unvisited not in UNVISITED:
            raise ValueError(f"unvisited must be one of {', '.join(UNVISITED)}, not {self.unvisited!r}")
        if self.simulations < 1:
            raise ValueError(f"a search needs at least one simulation, got {self.simulations}")


def priors(logits: Tensor, possible: Tensor) -> Tensor:
    """Return P over the possible actions [B, A], −∞ elsewhere: such an edge never has the largest Q + U."""
    P = logits.float().masked_fill(~possible, -math.inf).softmax(1)
    return P.masked_fill(~possible, -math.inf)


def dirichlet(possible: Tensor, alpha: float, draw: torch.Generator) -> Tensor:
    """Return Dirichlet(α) noise over the possible actions [B, A], drawn on the CPU."""
    concentration = torch.full(possible.shape, alpha, dtype=torch.float64)
    gamma = torch._standard_gamma(concentration, generator=draw).clamp_min(1e-30).to(possible.device)
    gamma = gamma.masked_fill(~possible, 0.0)
    return (gamma / gamma.sum(1, keepdim=True)).float()


@torch.no_grad()
def search(
    game: Game,
    current: Tensor,
    mask: Tensor,
    evaluate: Evaluate,
    how: Search,
    draw: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Grow a tree from each position [B], none of which may be over.

    Args:
        game: the rules.
        current: stones of the player to move.
        mask: all stones.
        evaluate: the network, or what stands in for it.
        how: settings.
        draw: for the noise at the root; without it there is none.

    Returns:
        The visits of the root's actions N [B, A], and the root's mean value [B] for the player to move.
    """
    B, A, device = len(mask), game.actions, mask.device
    nodes = how.simulations + 1
    # A row holds N, W and P of each action, and the node's own evaluation; `children` their rows, 0 where there is none yet.
    width = 3 * A + 1
    table = torch.zeros(B * nodes, width, device=device)
    children = torch.zeros(B * nodes, A, dtype=torch.int64, device=device)
    own, taken = (torch.zeros(B * nodes, dtype=torch.int64, device=device) for _ in range(2))
    result = torch.full((B * nodes,), math.nan, device=device)  # value for the player to move where the game is over
    root = torch.arange(B, device=device) * nodes
    own[root], taken[root] = current, mask

    logits, value = evaluate(current, mask)
    possible = legal(game, mask)
    P = priors(logits, possible)
    if how.noise and draw is not None:
        P = torch.where(possible, (1 - how.noise) * P + how.noise * dirichlet(possible, how.alpha, draw), P)
    table[root, 2 * A : 3 * A], table[root, 3 * A] = P, value.float()

    for simulation in range(how.simulations):
        # Descend: all games in step; one that has arrived stays, and its further steps count nothing.
        parent, going = root, torch.ones(B, dtype=torch.bool, device=device)
        action = _choose(table[parent], A, how)
        edges, counted = [parent * width + action], [going]
        while True:
            below = children[parent, action]
            going = going & (below > 0) & result[below].isnan()
            if not bool(going.any()):
                break
            parent = torch.where(going, below, parent)
            action = torch.where(going, _choose(table[parent], A, how), action)
            edges.append(parent * width + action)
            counted.append(going)
        # Expand: a new row for every tree, left unused where the game is over at a row that is there already.
        new = root + simulation + 1
        after, stones = play(game, own[parent], taken[parent], action)
        own[new], taken[new] = after, stones
        won = last_mover_won(game, after, stones)
        over = won | is_full(game, stones)
        result[new] = torch.where(over, -won.float(), math.nan)
        logits, value = evaluate(after, stones)
        table[new, 2 * A : 3 * A] = priors(logits, legal(game, stones))
        value = torch.where(over, -won.float(), value.float())
        table[new, 3 * A] = value
        children[parent, action] = torch.where(below > 0, below, new)
        # Back up: the value changes its sign with every step towards the root.
        counts = torch.stack(counted).float()  # [depth, B]; ones, then zeros
        steps = counts.flip(0).cumsum(0).flip(0)  # steps from the leaf, 1 at its edge
        signs = counts * (1 - 2 * (steps % 2))
        at_edges = torch.stack(edges).flatten()
        flat = table.view(-1)
        flat.index_add_(0, at_edges, counts.flatten())
        flat.index_add_(0, at_edges + A, (signs * value).flatten())
    rows = table[root]
    N, W = rows[:, :A], rows[:, A : 2 * A]
    return N, (rows[:, 3 * A] + W.sum(1)) / (1 + N.sum(1))


def _choose(rows: Tensor, A: int, how: Search) -> Tensor:
    """Return argmax Q + U [B] of rows [B, 3A + 1]; the first of equals."""
    N, W, P = rows[:, :A], rows[:, A : 2 * A], rows[:, 2 * A : 3 * A]
    total = N.sum(1, keepdim=True)
    Q = W / N.clamp_min(1)
    if how.unvisited == "parent":
        Q = torch.where(N > 0, Q, (rows[:, 3 * A :] + W.sum(1, keepdim=True)) / (1 + total))
    elif how.unvisited == "loss":
        Q = Q - (N == 0).float()
    return (Q + how.c_puct * P * (1 + total).sqrt() / (1 + N)).argmax(1)
