"""Self-play with tree search: moves a second of ours, all games in step, against open_spiel's search one position after the other.

Connect Four, one thread, seconds of the processor. The same network and the same number of simulations; and pure search, with one random
game at each leaf, where open_spiel's search is the compiled one. Beside them steps of the bare rules. All take turns.

Run: python -m benchmarks self_play
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pyspiel
import torch
from open_spiel.python.algorithms import mcts

from experiments.board_games.alphazero_connect4 import rollouts
from experiments.board_games.self_play import asked, new_network
from experiments.board_games.tensor_games import CONNECT_FOUR as GAME
from experiments.board_games.tensor_games import is_full, last_mover_won, legal, play, random_action, start
from experiments.board_games.tree_search import Search, search
from repro.lab.allocator import keep_freed_memory

SIMULATIONS, WIDTH, C_PUCT = 50, 256, 1.5
GAMES = 1024
"""Games in step of ours."""
MOVES = 8
"""Moves that open_spiel's searches make in a turn."""
ROUNDS = 5


class OfNetwork(mcts.Evaluator):
    """Our network, asked for one position at a time as open_spiel's search does; an answer is kept for the rest of a search."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.net = net
        self.known: dict[str, tuple[np.ndarray, float]] = {}

    @torch.no_grad()
    def _ask(self, state: pyspiel.State) -> tuple[np.ndarray, float]:
        key = state.history_str()
        if key == "":
            self.known.clear()  # a new search, whose first question is about its root
        if key not in self.known:
            self.known[key] = self._answer(state)
        return self.known[key]

    def _answer(self, state: pyspiel.State) -> tuple[np.ndarray, float]:
        x = np.asarray(state.observation_tensor(state.current_player()), dtype=np.float32).reshape(3, 6, 7)[:2]
        logits, value = self.net(torch.from_numpy(x.copy()).mT.contiguous()[None])
        return logits[0].numpy(), float(value)

    def evaluate(self, state: pyspiel.State) -> np.ndarray:
        """Return the value for both players."""
        value = self._ask(state)[1] * (1 if state.current_player() == 0 else -1)
        return np.array([value, -value])

    def prior(self, state: pyspiel.State) -> list[tuple[int, float]]:
        """Return the legal actions with their probabilities."""
        logits, legal_ = self._ask(state)[0], state.legal_actions()
        p = np.exp(logits[legal_] - logits[legal_].max())
        return list(zip(legal_, p / p.sum(), strict=True))


def ours(evaluate: Callable) -> Callable[[], int]:
    def move() -> int:
        current, mask = start(GAME, GAMES)
        search(GAME, current, mask, evaluate, Search(SIMULATIONS, C_PUCT))
        return GAMES

    return move


def theirs(bot: object) -> Callable[[], int]:
    state = pyspiel.load_game("connect_four").new_initial_state()

    def move() -> int:
        for _ in range(MOVES):
            bot.step(state)
        return MOVES

    return move


def our_steps() -> int:
    """Return the number of steps of even chance made."""
    draw = torch.Generator().manual_seed(0)
    current, mask = start(GAME, GAMES)
    for _ in range(60):
        current, mask = play(GAME, current, mask, random_action(legal(GAME, mask), draw))
        over = last_mover_won(GAME, current, mask) | is_full(GAME, mask)
        current, mask = current.masked_fill(over, 0), mask.masked_fill(over, 0)
    return 60 * GAMES


def their_steps() -> int:
    """The same with states of open_spiel."""
    draw, game, steps = np.random.default_rng(0), pyspiel.load_game("connect_four"), 0
    for _ in range(60):
        state = game.new_initial_state()
        while not state.is_terminal():
            actions = state.legal_actions()
            state.apply_action(actions[int(draw.integers(len(actions)))])
            steps += 1
    return steps


def rates(ways: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Return what each way does in a second of the processor: the median of some turns after a first one."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            began = time.process_time()
            done = way()
            found[name].append(done / (time.process_time() - began))
    return {name: statistics.median(turns[1:]) for name, turns in found.items()}


def main() -> None:
    """Print the ratios."""
    keep_freed_memory()
    torch.set_num_threads(1)
    game, net = pyspiel.load_game("connect_four"), new_network(GAME, WIDTH, 0, "cpu", "benchmark")
    compiled = pyspiel.MCTSBot(
        game, pyspiel.RandomRolloutEvaluator(1, 1), C_PUCT, SIMULATIONS, 1000, False, 1, False,
        pyspiel.ChildSelectionPolicy.PUCT,
    )  # fmt: skip
    python = mcts.MCTSBot(game, C_PUCT, SIMULATIONS, OfNetwork(net), child_selection_fn=mcts.SearchNode.puct_value)
    pairs = {
        f"moves a second, network of width {WIDTH}, {SIMULATIONS} simulations": {
            f"ours ({GAMES} games in step)": ours(asked(GAME, net)),
            "open_spiel's Python search": theirs(python),
        },
        f"moves a second, random games, {SIMULATIONS} simulations": {
            f"ours ({GAMES} games in step)": ours(rollouts(torch.Generator().manual_seed(0))),
            "open_spiel's compiled search": theirs(compiled),
        },
        "steps of the rules a second": {f"ours ({GAMES} games in step)": our_steps, "open_spiel's states": their_steps},
    }
    for name, ways in pairs.items():
        found = rates(ways)
        mine, other = found.values()
        print(f"{name}: {mine / other:.1f} times; {', '.join(f'{way} {rate:,.0f}' for way, rate in found.items())}")


if __name__ == "__main__":
    main()
