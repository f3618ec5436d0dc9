"""Whom should an agent play against? Self-play, fictitious self-play and its prioritised form in three matrix games.

Paper: Vinyals et al. 2019 (AlphaStar), "Grandmaster level in StarCraft II using multi-agent reinforcement learning", Methods
(multi-agent learning), Figure 3 C and D, Extended Data Figure 5. Serves `alphastar/{pfsp_beats_fsp, pfsp_pool_beats_fsp,
self_play_forgets, self_play_exploitable}`.

One agent learns; its copies, frozen at regular times, are the pool. It meets

    sp    itself as it is now,
    fsp   a member of the pool, all equally likely,
    pfsp  a member B with probability proportional to f(P[A beats B]), f(x) = (1 − x)^p: those that it does not beat.

An agent is a mixed strategy π = softmax(θ). It is no exact best response: θ follows the policy gradient of its expected payoff
against the sampled opponents, with Adam as the optimiser, and with a small bonus for entropy. Win rates and exploitability
are exact.

Hardware and time: about 2 s for ten seeds of one matchmaking on one core, all three games. All runs of one matchmaking are one
stack: tensors have a leading axis R of runs. Deviations: matrix games instead of StarCraft II; one learner instead of a
league; win rates exact instead of estimated from matches; always float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from experiments.game_leagues.matrix_games import NAMES, blotto, exploitability, mixed, rock_paper_scissors, transitive
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Games, matchmaking and training of one agent in each game."""

    matchmaking: str = "pfsp"
    """`sp`, `fsp` or `pfsp`."""
    p: float = 2.0
    """Exponent of the priority f(x) = (1 − x)^p."""
    priority: str = "hardest"
    """`hardest`: f as above; `easiest`: x^p, the plausible slip of taking the other's win rate."""
    cycles: bool = True
    """False: each game is replaced by a purely transitive one with as many strategies."""
    units: int = 10
    """Units of Blotto, on three fields: 10 give 66 pure strategies."""
    n_mixed: int = 200
    """Strategies of the mixed game."""
    cyclic: float = 2.0
    """Weight of the cycles in the mixed game, that of the ratings being 1."""
    snapshots: int = 40
    """Times that the agent is frozen into the pool after the first."""
    steps: int = 60
    """Gradient steps between two."""
    matches: int = 8
    """Opponents drawn for a step."""
    lr: float = 0.1
    """Learning rate of Adam."""
    entropy: float = 0.01
    """Weight of the entropy bonus, in payoffs a nat."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds the first strategy, the opponents drawn, and the mixed or transitive game."""


def games_of(config: Config) -> dict[str, Tensor]:
    """Return the payoffs of the three games, each [n, n]."""
    made = {
        "rps": rock_paper_scissors(),
        "blotto": blotto(config.units, 3),
        "mixed": mixed(config.n_mixed, config.seed, config.cyclic),
    }
    return made if config.cycles else {name: transitive(len(M), config.seed) for name, M in made.items()}


def priorities(config: Config, x: Tensor) -> Tensor:
    """Return the probabilities of meeting each member of the pool, given the win rates x against them, both [R, K]."""
    if config.matchmaking == "fsp":
        weights = torch.ones_like(x)
    else:
        weights = (1 - x if config.priority == "hardest" else x).clamp(min=0) ** config.p
    total = weights.sum(-1, keepdim=True)
    # Nobody left to learn from: all alike.
    return torch.where(total > 1e-10, weights / total.clamp(min=1e-10), torch.full_like(x, 1 / x.shape[-1]))


def drawn(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Return indices [R, m] drawn by `uniform` [R, m] from `probabilities` [R, K]."""
    return torch.searchsorted(probabilities.cumsum(-1), uniform).clamp(max=probabilities.shape[-1] - 1)


def gradient(theta: Tensor, u: Tensor, entropy: float) -> Tensor:
    """Return d/dθ of π·u + entropy · H(π), π = softmax(θ): π (u − π·u) − entropy · π (ln π + H), all [R, n]."""
    pi, log_pi = theta.softmax(-1), theta.log_softmax(-1)
    value = u - entropy * log_pi
    return pi * (value - (pi * value).sum(-1, keepdim=True))


class Adam:
    """Adam (Kingma and Ba 2015) uphill; β₁ = 0.9, β₂ = 0.99, ε = 1e-8."""

    def __init__(self, like: Tensor, lr: float) -> None:
        self.m, self.v, self.lr, self.t = torch.zeros_like(like), torch.zeros_like(like), lr, 0

    def step(self, theta: Tensor, g: Tensor) -> Tensor:
        """Return θ a step further along g."""
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.99 * self.v + 0.01 * g * g
        return theta + self.lr * (self.m / (1 - 0.9**self.t)) / ((self.v / (1 - 0.99**self.t)).sqrt() + 1e-8)


def best_mixture(M: Tensor, pool: Tensor) -> float:
    """Return the exploitability of the least exploitable mixture of the pool [K, n] in the game M [n, n], a linear program."""
    answers = (M @ pool.T).cpu().numpy()  # [n, K]: each pure reply against each member
    n, K = answers.shape
    found = linprog(
        np.r_[np.zeros(K), 1.0],
        A_ub=np.c_[answers, -np.ones(n)],
        b_ub=np.zeros(n),
        A_eq=[np.r_[np.ones(K), 0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * K + [(None, None)],
    )
    return float(found.fun)


def league(
    M: Tensor, configs: Sequence[Config], contexts: Sequence[Context], name: str, done: float
) -> tuple[Tensor, Tensor]:
    """Train one agent a run in the games M [R, n, n].

    Returns:
        The pool [R, K, n] with the last agent at its end, and each member's lowest win rate against all before it [R, K − 1].
    """
    config, (R, n, _) = configs[0], M.shape
    first = [torch.randn(n, generator=generator("first", name, each.seed), dtype=torch.float64) for each in configs]
    theta = torch.stack(first).to(M.device)
    adam = Adam(theta, config.lr)
    K, shape = config.snapshots, (config.snapshots, config.steps, config.matches)
    uniform = [
        torch.rand(shape, generator=generator("opponents", name, each.seed), dtype=torch.float64) for each in configs
    ]
    draws = torch.stack(uniform, 2).to(M.device)  # [K, steps, R, m]
    pool, answers = (torch.zeros(R, K + 1, n, dtype=torch.float64, device=M.device) for _ in range(2))
    lowest = torch.zeros(R, K, dtype=torch.float64, device=M.device)
    for k in range(K + 1):
        pi = theta.softmax(-1)
        pool[:, k], answers[:, k] = pi, (M @ pi[..., None]).squeeze(-1)
        if k:
            lowest[:, k - 1] = ((1 + answers[:, :k] @ pi[..., None]) / 2).squeeze(-1).amin(-1)
            for context, value, low in zip(
                contexts, answers[:, k].amax(-1).tolist(), lowest[:, k - 1].tolist(), strict=True
            ):
                context.log(k, **{f"{name}_exploitability": value, f"{name}_lowest_win_rate": low})
                context.progress(done + k / K / len(NAMES))
        if k == K:
            break
        met = answers[:, : k + 1]
        for uniforms in draws[k]:
            pi = theta.softmax(-1)
            if config.matchmaking == "sp":
                u = (M @ pi[..., None]).squeeze(-1)
            else:
                x = (1 + (met @ pi[..., None]).squeeze(-1)) / 2
                opponents = drawn(priorities(config, x), uniforms)
                u = met.gather(1, opponents[..., None].expand(-1, -1, n)).mean(1)
            theta = adam.step(theta, gradient(theta, u, config.entropy))
    return pool, lowest


def stack_of(config: Config) -> object:
    """Return what runs must have in common to be one stack: all but the seed."""
    return replace(config, seed=0)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one agent in each of the three games; see `run_batch`."""
    return run_batch([config], [context])[0]


def run_batch(configs: Sequence[Config], contexts: Sequence[Context]) -> list[dict[str, float]]:
    """Train the agents of several seeds side by side.

    Returns:
        For each run and each game `rps`, `blotto`, `mixed`:
        `<game>_last`: exploitability of the last agent (payoff, 0 to 1).
        `<game>_pool`: exploitability of the average of all its frozen copies (payoff).
        `<game>_best_mixture`: exploitability of their least exploitable mixture (payoff).
        `<game>_lowest_win_rate`: lowest win rate against all earlier copies, averaged over time (share, at most about ½).

    Raises:
        ValueError: for an unknown matchmaking or priority, or runs that are not one stack.
    """
    config, context = configs[0], contexts[0]
    if config.matchmaking not in ("sp", "fsp", "pfsp") or config.priority not in ("hardest", "easiest"):
        raise ValueError(f"unknown matchmaking {config.matchmaking!r} or priority {config.priority!r}")
    if len({stack_of(each) for each in configs}) > 1:
        raise ValueError("run_batch trains runs that differ in their seed alone")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    rows: list[dict[str, float]] = [{} for _ in configs]
    payoffs = [games_of(each) for each in configs]
    for i, name in enumerate(NAMES):
        M = torch.stack([each[name] for each in payoffs]).to(context.device)
        pool, lowest = league(M, configs, contexts, name, i / len(NAMES))
        last, average = exploitability(M, pool[:, -1]).tolist(), exploitability(M, pool.mean(1)).tolist()
        for r, row in enumerate(rows):
            row[f"{name}_last"], row[f"{name}_pool"] = last[r], average[r]
            row[f"{name}_best_mixture"] = best_mixture(M[r], pool[r])
            row[f"{name}_lowest_win_rate"] = float(lowest[r].mean())
    return rows


if __name__ == "__main__":
    for matchmaking in ("sp", "fsp", "pfsp"):
        print(matchmaking, run(Config(matchmaking=matchmaking), Context()))
