"""The batched search against the same algorithm written as a recursion, and against exact minimax."""

import math
from functools import cache

import pytest
import torch

from experiments.board_games.tensor_games import (
    CONNECT_FOUR,
    TIC_TAC_TOE,
    Game,
    is_full,
    last_mover_won,
    legal,
    play,
    random_action,
    start,
)
from experiments.board_games.tree_search import UNVISITED, Search, dirichlet, search

Pair = tuple[torch.Tensor, torch.Tensor]


def mixed(x: torch.Tensor) -> torch.Tensor:
    """Numbers that look random and depend on x alone, in [0, 1)."""
    return ((x * 2654435761) % 1000003).double().mul(0.6180339887).frac()


def pretend(game: Game):
    """A network that is a function of the position alone, whatever else is in the batch."""

    def evaluate(current: torch.Tensor, mask: torch.Tensor) -> Pair:
        key = current + 3 * mask
        logits = 3 * mixed(key[:, None] * 31 + torch.arange(game.actions))
        return logits.float(), (1.6 * mixed(key + 7) - 0.8).float()

    return evaluate


class Node:
    """One position of the plain search, with float32 numbers as in the batched one."""

    def __init__(self, game: Game, evaluate, current: torch.Tensor, mask: torch.Tensor) -> None:
        self.boards = current, mask
        self.won = bool(last_mover_won(game, current, mask))
        self.over = self.won or bool(is_full(game, mask))
        self.actions = legal(game, mask)[0].nonzero()[:, 0].tolist()
        logits, value = evaluate(current, mask)
        self.value = -float(self.won) if self.over else float(value)
        P = logits.masked_fill(~legal(game, mask), -math.inf).softmax(1)[0]
        self.P = {a: float(P[a]) for a in self.actions}
        self.N, self.W, self.children = dict.fromkeys(self.actions, 0), dict.fromkeys(self.actions, 0.0), {}


def visit(game: Game, evaluate, node: Node, how: Search) -> float:
    """One simulation from a node; return its value for the player to move there."""
    total = sum(node.N.values())
    own = (node.value + sum(node.W.values())) / (1 + total)
    first = {"loss": -1.0, "draw": 0.0, "parent": own}[how.unvisited]

    def score(a: int) -> float:
        Q = node.W[a] / node.N[a] if node.N[a] else first
        return Q + how.c_puct * node.P[a] * math.sqrt(1 + total) / (1 + node.N[a])

    action = max(node.actions, key=score)  # the first of equals
    if action not in node.children:
        after = play(game, *node.boards, torch.tensor([action]))
        node.children[action] = Node(game, evaluate, *after)
        value = -node.children[action].value
    elif node.children[action].over:
        value = -node.children[action].value
    else:
        value = -visit(game, evaluate, node.children[action], how)
    node.N[action] += 1
    node.W[action] += value
    return value


def some_positions(game: Game, count: int, plies: int, seed: int) -> Pair:
    draw = torch.Generator().manual_seed(seed)
    current, mask = start(game, count)
    for _ in range(plies):
        current, mask = play(game, current, mask, random_action(legal(game, mask), draw))
        on = ~(last_mover_won(game, current, mask) | is_full(game, mask))
        current, mask = current[on], mask[on]
    return current, mask


@pytest.mark.parametrize("unvisited", UNVISITED)
@pytest.mark.parametrize(("game", "plies"), [(TIC_TAC_TOE, 2), (CONNECT_FOUR, 12)])
def test_visits_are_those_of_the_recursion(game: Game, plies: int, unvisited: str) -> None:
    how, evaluate = Search(60, 1.3, unvisited), pretend(game)
    current, mask = some_positions(game, 6, plies, seed=1)
    N, value = search(game, current, mask, evaluate, how)
    assert N.sum(1).tolist() == [60.0] * len(mask)
    for b in range(len(mask)):
        root = Node(game, evaluate, current[b : b + 1], mask[b : b + 1])
        for _ in range(60):
            visit(game, evaluate, root, how)
        assert [root.N.get(a, 0) for a in range(game.actions)] == N[b].tolist()
        assert (root.value + sum(root.W.values())) / 61 == pytest.approx(float(value[b]), abs=1e-4)


@cache
def minimax(current: int, mask: int) -> int:
    """Value of a position of tic-tac-toe for the player to move."""
    boards = torch.tensor([current]), torch.tensor([mask])
    if last_mover_won(TIC_TAC_TOE, *boards):
        return -1
    if is_full(TIC_TAC_TOE, boards[1]):
        return 0
    return max(after_move(current, mask, a) for a in legal(TIC_TAC_TOE, boards[1])[0].nonzero()[:, 0].tolist())


def after_move(current: int, mask: int, action: int) -> int:
    """Value of a move for the player who makes it."""
    after = play(TIC_TAC_TOE, torch.tensor([current]), torch.tensor([mask]), torch.tensor([action]))
    return -minimax(int(after[0]), int(after[1]))


def flat(current: torch.Tensor, mask: torch.Tensor) -> Pair:
    return torch.zeros(len(mask), TIC_TAC_TOE.actions), torch.zeros(len(mask))


@pytest.mark.parametrize("unvisited", ["draw", "parent"])
def test_with_enough_simulations_the_move_is_minimaxs(unvisited: str) -> None:
    current, mask = some_positions(TIC_TAC_TOE, 40, 4, seed=2)
    N, value = search(TIC_TAC_TOE, current, mask, flat, Search(1500, 1.5, unvisited))
    for b in range(len(mask)):
        best = minimax(int(current[b]), int(mask[b]))
        assert after_move(int(current[b]), int(mask[b]), int(N[b].argmax())) == best
        assert float(value[b]) == pytest.approx(best, abs=0.35)


def test_a_win_at_hand_is_found_and_a_loss_is_parried() -> None:
    # three in the first column, and a free fourth cell above them
    three = torch.tensor([0b111])
    others = torch.tensor([0b111 << 42])

    def flat_four(current: torch.Tensor, mask: torch.Tensor) -> Pair:
        return torch.zeros(len(mask), 7), torch.zeros(len(mask))

    N, value = search(CONNECT_FOUR, three, three | others, flat_four, Search(50))
    assert int(N.argmax()) == 0
    assert float(value) > 0.8
    two = torch.tensor([0b11 | 1 << 14])
    N, _ = search(CONNECT_FOUR, two, two | others, flat_four, Search(200))
    assert int(N.argmax()) == 6


def test_trees_do_not_touch_each_other() -> None:
    how, evaluate = Search(40, 1.3, "parent"), pretend(CONNECT_FOUR)
    current, mask = some_positions(CONNECT_FOUR, 9, 10, seed=3)
    together, _ = search(CONNECT_FOUR, current, mask, evaluate, how)
    alone = [search(CONNECT_FOUR, current[b : b + 1], mask[b : b + 1], evaluate, how)[0] for b in range(len(mask))]
    assert torch.equal(together, torch.cat(alone))


def test_noise_is_a_distribution_over_what_is_possible() -> None:
    possible = torch.tensor([[True, True, False], [False, True, False]]).repeat(2000, 1)
    noise = dirichlet(possible, 1.0, torch.Generator().manual_seed(0))
    assert torch.allclose(noise.sum(1), torch.ones(4000))
    assert float(noise.masked_select(~possible).abs().max()) == 0
    first = noise[::2, 0].double()  # Dirichlet(1, 1): even on [0, 1]
    assert float(first.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(first.var()) == pytest.approx(1 / 12, abs=0.005)


def test_noise_changes_visits_and_is_repeated_by_its_draw() -> None:
    current, mask = some_positions(CONNECT_FOUR, 8, 6, seed=4)
    how, evaluate = Search(30, noise=0.9), pretend(CONNECT_FOUR)

    def visits(seed: int) -> list[list[float]]:
        return search(CONNECT_FOUR, current, mask, evaluate, how, torch.Generator().manual_seed(seed))[0].tolist()

    assert visits(1) == visits(1)
    assert visits(1) != visits(2)


@pytest.mark.parametrize("wrong", [{"unvisited": "win"}, {"simulations": 0}])
def test_wrong_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError):
        Search(**wrong)
