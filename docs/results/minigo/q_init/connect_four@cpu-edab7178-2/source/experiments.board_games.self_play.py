"""Learning by self-play: a network that guides the search, games of the search against itself, and training on them.

Papers: Silver et al. 2017 (AlphaZero), arXiv 1712.01815; Silver et al. 2017 (AlphaGo Zero), DOI 10.1038/nature24270. Shared by the
recipes of this folder.

    (p, v) = f_θ(s),   loss = (z − v)² − πᵀ log p + c ‖θ‖²                       (equation 1)

π are the visits of the search in position s, divided by their sum, z the result of that game for the player to move. Many games are
played in step; one that ends is replaced by a new one at once, and its positions go to the replay.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.board_games.tensor_games import Game, is_full, last_mover_won, planes, play, start, stones_of
from experiments.board_games.tree_search import Evaluate, Search, search
from repro.lab.seeding import derived_seed, generator


@dataclass(frozen=True)
class SelfPlay:
    """How games are played and learnt from."""

    games: int
    """Games played in step, B."""
    steps: int
    """Moves made in each of them; 0 leaves the network untrained."""
    search: Search
    """Of every move, with its noise."""
    sampled_plies: int
    """First moves of a game that are drawn in proportion to the visits; later ones are the most visited."""
    replay: int
    """Positions kept, the latest."""
    batch: int
    """Positions of an update."""
    updates: int
    """Updates after every step of all games, once the replay holds a batch."""
    lr: float
    """Peak learning rate of Adam; falls linearly to a tenth of it."""
    l2: float = 1e-4
    """c of equation 1."""


@dataclass
class Played:
    """What self-play left behind."""

    results: Tensor
    """Result for the player who began, 1, 0 or −1, of every finished game in order [G]."""
    plies: Tensor
    """Their lengths [G]."""
    seen: Tensor
    """`current + mask` of every position a move was chosen in, a number of its own for each [T]."""
    losses: list[float] = field(default_factory=list)
    """Of policy and value together, by update; NaN says that training diverged."""


class Network(nn.Module):
    """f_θ: planes [B, 2, W, H] to logits [B, A] and values [B]; a perceptron, or residual convolutions without any batch norm."""

    def __init__(self, game: Game, width: int, blocks: int = 0) -> None:
        """Make a perceptron of two hidden layers if `blocks` is 0, else that many residual blocks of `width` channels."""
        super().__init__()
        self.actions, flat = game.actions, game.cells
        if blocks == 0:
            self.body: nn.Module = nn.Sequential(
                nn.Flatten(), nn.Linear(2 * flat, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
            )
            self.head = nn.Linear(width, game.actions + 1)
        else:
            tower = [nn.Conv2d(2, width, 3, padding=1), nn.ReLU(), *(Block(width) for _ in range(blocks))]
            squeeze = [nn.Conv2d(width, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * flat, 2 * width), nn.ReLU()]
            self.body = nn.Sequential(*tower, *squeeze)
            self.head = nn.Linear(2 * width, game.actions + 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, A] and v = tanh(·) [B]."""
        out = self.head(self.body(x))
        return out[:, :-1], out[:, -1].tanh()


class Block(nn.Module):
    """x + conv(relu(conv(x))), the last convolution zero at first, so that a deep tower starts as a shallow one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.two.weight)
        nn.init.zeros_(self.two.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, W, H] to the same."""
        return F.relu(x + self.two(F.relu(self.one(x))))


def new_network(game: Game, width: int, blocks: int, device: str, *names: int | str) -> Network:
    """Return an untrained network whose weights depend on `names` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("network", *names))
        return Network(game, width, blocks).to(device)


def asked(game: Game, net: Network, precision: str = "float32") -> Evaluate:
    """Return the network as the search asks it."""

    def evaluate(current: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(mask.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            return net(planes(game, current, mask))

    return evaluate


def loss_of(net: Network, x: Tensor, pi: Tensor, z: Tensor) -> Tensor:
    """Return equation 1 without its last term, which is the optimiser's, for planes x, visits pi [b, A] and results z [b]."""
    logits, v = net(x)
    return F.mse_loss(v.float(), z) + F.cross_entropy(logits.float(), pi)


class Replay:
    """The latest positions with visits and result, as a ring."""

    def __init__(self, game: Game, size: int, device: str) -> None:
        self.size, self.filled, self.next = size, 0, 0
        self.boards = torch.zeros(2, size, dtype=torch.int64, device=device)
        self.pi, self.z = torch.zeros(size, game.actions, device=device), torch.zeros(size, device=device)

    def add(self, boards: Tensor, pi: Tensor, z: Tensor) -> None:
        """Put in boards [2, n], pi [n, A] and z [n]."""
        at = (self.next + torch.arange(len(z), device=z.device)) % self.size
        self.boards[:, at], self.pi[at], self.z[at] = boards, pi, z
        self.next, self.filled = (self.next + len(z)) % self.size, min(self.size, self.filled + len(z))


def chosen(visits: Tensor, sampled: Tensor, draw: torch.Generator) -> Tensor:
    """Return an action [B]: drawn in proportion to the visits [B, A] where `sampled` [B], else the most visited."""
    drawn = torch.multinomial(visits.cpu(), 1, generator=draw)[:, 0].to(visits.device)
    return torch.where(sampled, drawn, visits.argmax(1))


def self_play(
    game: Game,
    net: Network,
    how: SelfPlay,
    names: tuple[int | str, ...],
    precision: str = "float32",
    shadow: Network | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Played:
    """Play and learn; `net` is trained in place.

    Args:
        game: the rules.
        net: the network.
        how: settings.
        names: the draws depend on them alone.
        precision: of the network's arithmetic.
        shadow: a second network that never plays: it gets every batch with the visits and results of other positions of it.
        progress: told the share that is done.

    Returns:
        The games and the losses.
    """
    device, B, longest = next(net.parameters()).device.type, how.games, game.cells
    draw = generator("self-play", *names)
    ask, replay = asked(game, net, precision), Replay(game, how.replay, device)
    learners = [_Learner(net, how), *([_Learner(shadow, how)] if shadow is not None else [])]
    current, mask = start(game, B, device)
    boards = torch.zeros(longest, 2, B, dtype=torch.int64, device=device)
    visits = torch.zeros(longest, B, game.actions, device=device)
    each, results, plies, seen, losses = torch.arange(B, device=device), [], [], [], []
    for step in range(how.steps):
        N, _ = search(game, current, mask, ask, how.search, draw)
        ply = stones_of(mask)
        seen.append((current + mask).cpu())
        boards[ply, :, each], visits[ply, each] = torch.stack([current, mask], 1), N / N.sum(1, keepdim=True)
        current, mask = play(game, current, mask, chosen(N, ply < how.sampled_plies, draw))
        won = last_mover_won(game, current, mask)
        over = won | is_full(game, mask)
        if bool(over.any()):
            ended = over.nonzero()[:, 0]
            length, won_by_last = stones_of(mask[ended]), won[ended].float()
            ply = torch.arange(longest, device=device)[:, None]  # [longest, 1] against [ended]
            z = won_by_last * (1 - 2 * ((length - 1 - ply) % 2))
            played = ply < length
            replay.add(boards[:, :, ended].transpose(1, 2)[played].T, visits[:, ended][played], z[played])
            results.append((won_by_last * (2 * (length % 2) - 1)).cpu())
            plies.append(length.cpu())
            current, mask = current.masked_fill(over, 0), mask.masked_fill(over, 0)
        if replay.filled >= how.batch:
            for _ in range(how.updates):
                losses.append(_update(game, learners, replay, how, step, draw))
        progress((step + 1) / how.steps)
    none = torch.zeros(0)
    return Played(
        torch.cat(results) if results else none,
        torch.cat(plies) if plies else none,
        torch.cat(seen) if seen else none.long(),
        torch.stack(losses).tolist() if losses else [],
    )


class _Learner:
    """A network and its optimiser; L2 acts through the gradient, as equation 1 writes it."""

    def __init__(self, net: Network, how: SelfPlay) -> None:
        self.net = net
        self.optimizer = torch.optim.Adam(net.parameters(), lr=how.lr, weight_decay=2 * how.l2)


def _update(
    game: Game, learners: list[_Learner], replay: Replay, how: SelfPlay, step: int, draw: torch.Generator
) -> Tensor:
    """Make one update of each learner on one batch; return the first one's loss."""
    at = torch.randint(replay.filled, (how.batch,), generator=draw).to(replay.z.device)
    x, pi, z = planes(game, *replay.boards[:, at]), replay.pi[at], replay.z[at]
    first = torch.tensor(math.nan)
    for place, learner in enumerate(learners):
        if place == 1:
            others = torch.randperm(how.batch, generator=draw).to(z.device)
            pi, z = pi[others], z[others]
        learner.optimizer.param_groups[0]["lr"] = how.lr * (1 - 0.9 * step / how.steps)
        loss = loss_of(learner.net, x, pi, z)
        learner.optimizer.zero_grad()
        loss.backward()
        learner.optimizer.step()
        first = loss.detach() if place == 0 else first
    return first


@torch.no_grad()
def play_match(
    game: Game,
    first: Callable[[Tensor, Tensor], Tensor],
    second: Callable[[Tensor, Tensor], Tensor],
    current: Tensor,
    mask: Tensor,
) -> Tensor:
    """Play every position [B] to its end; return 1, 0 or −1 for the player who is to move in it.

    A player takes positions [B], [B] to actions [B]. All boards must hold equally many stones.
    """
    result, running, sign = torch.zeros(len(mask), device=mask.device), torch.ones_like(mask, dtype=torch.bool), 1.0
    players = (first, second)
    while bool(running.any()):
        at = running.nonzero()[:, 0]
        after = play(game, current[at], mask[at], players[0](current[at], mask[at]))
        current, mask = current.index_put((at,), after[0]), mask.index_put((at,), after[1])
        won = running & last_mover_won(game, current, mask)
        result = torch.where(won, sign, result)
        running = running & ~won & ~is_full(game, mask)
        players, sign = players[::-1], -sign
    return result
