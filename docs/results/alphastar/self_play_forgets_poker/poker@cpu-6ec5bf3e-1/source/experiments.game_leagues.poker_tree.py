"""Two-player zero-sum poker as tables: every betting history that ends a hand, who chose what on the way, and what it pays.

The games are open_spiel's. A policy is a table of probabilities π [N, A] over the N information states of both players. With
r_i(z) the product of player i's own probabilities on the way to the end z, c(z) that of the cards and u(z) what the first player
wins there, the first player's expected payoff is Σ_z c(z) u(z) r_0(z) r_1(z).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import pyspiel
import torch
from torch import Tensor

GAMES = {"kuhn": "kuhn_poker", "leduc": "leduc_poker"}
"""open_spiel's name by ours."""


@dataclass(frozen=True)
class PokerTree:
    """A game laid out; Z ends, N information states, A actions, D decisions of one player at most."""

    game: Any
    """open_spiel's game."""
    names: tuple[str, ...]
    """Information states, [N]."""
    features: Tensor
    """open_spiel's description of each, [N, F], which says whose it is."""
    legal: Tensor
    """Which actions it allows, [N, A]."""
    stakes: Tensor
    """c(z) u(z), [Z]."""
    steps: Tensor
    """Index into the flattened table [N · A] of each decision of both players on the way to z, [2, Z, D]; N · A where there is none."""

    def to(self, device: str) -> "PokerTree":
        """Return the same with its tensors on a device."""
        tensors = (each.to(device) for each in (self.features, self.legal, self.stakes, self.steps))
        return PokerTree(self.game, self.names, *tensors)


@cache
def poker_tree(name: str) -> PokerTree:
    """Return the game `kuhn` or `leduc`, walked through from end to end."""
    game = pyspiel.load_game(GAMES[name])
    A = game.num_distinct_actions()
    index: dict[str, int] = {}
    features, legal, ends = [], [], []

    def walk(state: Any, chance: float, own: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
        if state.is_terminal():
            ends.append((chance * state.returns()[0], own))
        elif state.is_chance_node():
            for action, p in state.chance_outcomes():
                walk(state.child(action), chance * p, own)
        else:
            player = state.current_player()
            key = state.information_state_string(player)
            if key not in index:
                index[key] = len(index)
                features.append(state.information_state_tensor(player))
                legal.append([a in state.legal_actions() for a in range(A)])
            for action in state.legal_actions():
                step = (index[key] * A + action,)
                walk(state.child(action), chance, (own[0] + step, own[1]) if player == 0 else (own[0], own[1] + step))

    walk(game.new_initial_state(), 1.0, ((), ()))
    none, D = len(index) * A, max(len(own[i]) for _, own in ends for i in (0, 1))
    padded = [[own[i] + (none,) * (D - len(own[i])) for _, own in ends] for i in (0, 1)]
    return PokerTree(
        game,
        tuple(index),
        torch.tensor(features),
        torch.tensor(legal),
        torch.tensor([s for s, _ in ends]),
        torch.tensor(padded),
    )


def reach(tree: PokerTree, log_pi: Tensor) -> Tensor:
    """Return r [R, 2, Z] of policies ln π [R, N, A]."""
    flat = torch.nn.functional.pad(log_pi.flatten(1), (0, 1))
    return flat[:, tree.steps].sum(-1).exp()


def payoff(tree: PokerTree, a: Tensor, b: Tensor) -> Tensor:
    """Return what the policy of reach a [..., 2, Z] wins from that of reach b, chips a hand, the mean of both seats."""
    return ((a[..., 0, :] * b[..., 1, :] - a[..., 1, :] * b[..., 0, :]) * tree.stakes.to(a.dtype)).sum(-1) / 2


def exploitability(tree: PokerTree, pi: Tensor) -> float:
    """Return what a best response wins from the policy π [N, A], chips a hand, the mean of both seats: open_spiel's value."""
    rows = zip(tree.names, pi.double().tolist(), tree.legal.tolist(), strict=True)
    table = {name: [(a, p) for a, (p, ok) in enumerate(zip(row, may, strict=True)) if ok] for name, row, may in rows}
    return float(pyspiel.exploitability(tree.game, pyspiel.TabularPolicy(table)))
