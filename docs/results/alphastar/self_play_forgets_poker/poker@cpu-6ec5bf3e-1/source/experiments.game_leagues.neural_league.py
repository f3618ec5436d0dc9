"""Does a small network that plays poker against itself forget? Self-play against fictitious self-play in Kuhn and Leduc poker.

Paper: Vinyals et al. 2019 (AlphaStar), Figure 3 C and D. Serves `alphastar/{self_play_forgets_poker,
self_play_exploitable_poker}`.

One network plays both seats: it reads open_spiel's description of an information state and gives probabilities of fold,
call and raise. It meets itself as it is now (`sp`), or frozen copies of itself, all equally likely (`fsp`). Its weights
follow the gradient of its expected payoff, taken over all deals and betting histories at once, so that no hand is
sampled; opponents are. This is no exact best response. Payoffs against all copies are exact, exploitability is open_spiel's.

Hardware and time: eight seeds of one matchmaking take about 30 s on one core, most of it Leduc. Runs of one matchmaking are one stack: weights have a leading axis R.
Deviations: poker instead of StarCraft II, two hidden layers, one learner, no exploiters; policy gradient in expectation
instead of an actor-critic on samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from experiments.game_leagues.poker_tree import GAMES, PokerTree, exploitability, payoff, poker_tree, reach
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Matchmaking, network and training."""

    matchmaking: str = "fsp"
    """`sp` or `fsp`."""
    hidden: int = 64
    """Units of each of the two hidden layers."""
    snapshots: int = 30
    """Times that the agent is frozen into the pool after the first."""
    steps: int = 60
    """Gradient steps between two."""
    matches: int = 8
    """Opponents drawn for a step."""
    lr: float = 0.003
    """Learning rate of Adam."""
    entropy: float = 0.01
    """Weight of the entropy bonus, chips a nat, of the mean over information states."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds the weights and the opponents drawn."""


class Networks:
    """R networks F → hidden → hidden → A, their weights side by side."""

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int], name: str, device: str) -> None:
        rngs = [generator("weights", name, seed) for seed in seeds]

        def layer(inputs: int, outputs: int) -> Tensor:
            # He et al. 2015; a tenth of it before the softmax, so that play starts near uniform.
            scale = math.sqrt(2 / inputs) * (0.1 if outputs == sizes[-1] else 1.0)
            rows = [scale * torch.randn(inputs, outputs, generator=rng) for rng in rngs]
            return torch.stack(rows).to(device).requires_grad_()

        pairs = list(pairwise(sizes))
        self.W = [layer(*pair) for pair in pairs]
        self.b = [torch.zeros(len(seeds), 1, outputs, device=device, requires_grad=True) for _, outputs in pairs]

    def log_policy(self, tree: PokerTree) -> Tensor:
        """Return ln π [R, N, A]; −∞ for what is not allowed."""
        x = tree.features.expand(len(self.W[0]), -1, -1)
        for W, b in zip(self.W[:-1], self.b[:-1], strict=True):
            x = torch.baddbmm(b, x, W).relu()
        logits = torch.baddbmm(self.b[-1], x, self.W[-1])
        return logits.masked_fill(~tree.legal, -math.inf).log_softmax(-1)


def objective(tree: PokerTree, log_pi: Tensor, own: Tensor, met: Tensor, entropy: float) -> Tensor:
    """Return each run's payoff against opponents of mean reach `met` [R, 2, Z] plus the entropy bonus, [R]."""
    surprise = log_pi.masked_fill(~tree.legal, 0.0)
    return payoff(tree, own, met) - entropy * (surprise.exp() * surprise).sum(-1).mean(-1)


def league(
    tree: PokerTree, configs: Sequence[Config], contexts: Sequence[Context], name: str, done: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Train one agent a run.

    Returns:
        The last policy [R, N, A]; each copy's lowest payoff against all before it [R, K]; that against the one just before it [R, K].
    """
    config, R, K = configs[0], len(configs), configs[0].snapshots
    device = tree.stakes.device
    sizes = (tree.features.shape[1], config.hidden, config.hidden, tree.legal.shape[1])
    networks = Networks(sizes, [each.seed for each in configs], name, str(device))
    optimizer = torch.optim.Adam([*networks.W, *networks.b], lr=config.lr, maximize=True)
    pool = torch.zeros(R, K + 1, 2, len(tree.stakes), device=device)
    lowest, newest = torch.zeros(2, R, K, device=device)
    rngs = [generator("opponents", name, each.seed) for each in configs]
    every = torch.arange(R, device=device)[:, None]
    for k in range(K + 1):
        with torch.no_grad():
            log_pi = networks.log_policy(tree)
            pool[:, k] = reach(tree, log_pi)
            if k:
                against = payoff(tree, pool[:, k, None], pool[:, :k])
                lowest[:, k - 1], newest[:, k - 1] = against.amin(1), against[:, -1]
                for r, context in enumerate(contexts):
                    context.log(k, **{f"{name}_lowest_payoff": float(lowest[r, k - 1])})
                    context.progress(done + k / K / len(GAMES))
        if k == K:
            return log_pi.exp(), lowest, newest
        shape = (config.steps, config.matches)
        opponents = torch.stack([torch.randint(k + 1, shape, generator=rng) for rng in rngs], 1).to(device)
        for met in opponents:
            log_pi = networks.log_policy(tree)
            own = reach(tree, log_pi)
            other = own.detach() if config.matchmaking == "sp" else pool[every, met].mean(1)
            total = objective(tree, log_pi, own, other, config.entropy).sum()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    raise AssertionError("unreachable: the loop returns after the last copy")


def stack_of(config: Config) -> object:
    """Return what runs must have in common to be one stack: all but the seed."""
    return replace(config, seed=0)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one agent in each game; see `run_batch`."""
    return run_batch([config], [context])[0]


def run_batch(configs: Sequence[Config], contexts: Sequence[Context]) -> list[dict[str, float]]:
    """Train the agents of several seeds side by side.

    Returns:
        For each run and each game `kuhn` and `leduc`, in chips a hand:
        `<game>_last`: exploitability of the last agent.
        `<game>_lowest_payoff`: lowest payoff against all earlier copies, averaged over time.
        `<game>_newest_payoff`: payoff against the copy just before, averaged over time.

    Raises:
        ValueError: for an unknown matchmaking, or runs that are not one stack.
    """
    config, context = configs[0], contexts[0]
    if config.matchmaking not in ("sp", "fsp"):
        raise ValueError(f"matchmaking must be sp or fsp, not {config.matchmaking!r}")
    if len({stack_of(each) for each in configs}) > 1:
        raise ValueError("run_batch trains runs that differ in their seed alone")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    rows: list[dict[str, float]] = [{} for _ in configs]
    for i, name in enumerate(GAMES):
        tree = poker_tree(name).to(context.device)
        pi, lowest, newest = league(tree, configs, contexts, name, i / len(GAMES))
        for r, row in enumerate(rows):
            finite = bool(pi[r].isfinite().all())
            row[f"{name}_last"] = exploitability(tree, pi[r]) if finite else math.nan
            row[f"{name}_lowest_payoff"] = float(lowest[r].mean())
            row[f"{name}_newest_payoff"] = float(newest[r].mean())
    return rows


if __name__ == "__main__":
    for matchmaking in ("sp", "fsp"):
        print(matchmaking, run(Config(matchmaking=matchmaking), Context()))
