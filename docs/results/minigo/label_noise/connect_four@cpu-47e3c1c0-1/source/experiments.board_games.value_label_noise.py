"""What a few wrong outcomes among its training labels do to the error of a value network on Connect Four.

Source: MiniGo, `RESULTS.md` (commit 6d89c202), section on run v10 and issue 483: flipping 5 % of the game outcomes suffices to
affect the value error dramatically. Serves the claims `minigo/label_noise` and `minigo/label_noise_dose`.

    z ∈ {−1, 0, 1}: outcome for the player to move with perfect play;  v = tanh(net(position));  loss = (z − v)²
    value error = mean of (z − v)² over held-out positions with right labels

Positions come from games of random moves; z is exact, by our own solver. In each arm a share of the training labels changes sign.
The larger shares hold the smaller ones. All arms of a seed share positions, initial weights and order of the batches, and are
trained side by side as one batched product. A further arm, `again`, has right labels (its flips are put back) and an order of the
batches of its own: the ordinary scatter of training.

Hardware and time: `cpu` about 20 s of one core a seed, half of it solving; 260 MB for the solver. Deviations: a game that can be solved;
a small fully connected net with a value alone, no policy; labels are the truth instead of the outcomes of self-play.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from experiments.board_games.connect_four import COLUMNS, ROWS, STRIDE, Positions, mirrored, random_games, selected
from experiments.board_games.connect_four_solver import values
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Positions, network and training of all arms of one seed."""

    flips: tuple[float, ...] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
    """Shares of training labels that change sign, one arm each; rising from 0."""
    first_ply: int = 14
    """Least number of moves before a position."""
    last_ply: int = 24
    """Largest number of moves; every number between has as many games."""
    positions: int = 4000
    """Training positions; fewer where games end early or positions repeat is made up by playing more."""
    held_out: int = 2000
    """Positions on which the value error is measured; none is a training position or its mirror image."""
    width: int = 128
    """Units of each of the two hidden layers."""
    epochs: int = 20
    """Passes over the training positions."""
    batch: int = 100
    """Positions of a step."""
    lr: float = 0.001
    """Of Adam, falling linearly to 0."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws games, weights, flips and order."""


def different_positions(config: Config) -> Positions:
    """Return positions + held_out different positions of unfinished random games, in random order; no two are mirror images."""
    wanted, plies = config.positions + config.held_out, range(config.first_ply, config.last_ply + 1)
    draw = generator("label noise games", config.seed)
    found: Positions = (np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    while len(found[0]) < wanted:
        for ply in plies:
            drawn, going_on = random_games(wanted // len(plies) + 1, ply, draw)
            drawn = selected(drawn, going_on)
            found = np.concatenate([found[0], drawn[0]]), np.concatenate([found[1], drawn[1]])
        _, first = np.unique(
            np.minimum(found[0] + found[1], mirrored(found[0]) + mirrored(found[1])), return_index=True
        )
        found = selected(found, first)
    return selected(found, torch.randperm(len(found[0]), generator=draw)[:wanted].numpy())


def planes(positions: Positions) -> torch.Tensor:
    """Return [N, 84]: a one for each stone of the player to move, then for each of the opponent."""
    current, mask = positions
    squares = np.array([STRIDE * column + row for column in range(COLUMNS) for row in range(ROWS)], np.uint64)
    both = [(stones[:, None] >> squares) & np.uint64(1) for stones in (current, current ^ mask)]
    return torch.from_numpy(np.concatenate(both, 1).astype(np.float32))


def flipped(z: torch.Tensor, shares: torch.Tensor, chance: torch.Tensor) -> torch.Tensor:
    """Return labels [A, N]: in arm a, those of z [N] whose `chance` [N] in [0, 1) is below shares[a] change sign."""
    return torch.where(chance < shares[:, None], -z, z)


def initial_weights(config: Config, arms: int) -> list[torch.Tensor]:
    """Return weights from N(0, 2 / inputs) [A, in, out] and biases 0 [A, 1, out], the same in every arm."""
    draw, weights = generator("label noise weights", config.seed), []
    sizes = (2 * COLUMNS * ROWS, config.width, config.width, 1)
    for fan_in, fan_out in pairwise(sizes):
        w = torch.randn(fan_in, fan_out, generator=draw) * (2 / fan_in) ** 0.5
        weights += [w.repeat(arms, 1, 1), torch.zeros(arms, 1, fan_out)]
    return weights


def value(w: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return v [A, B] of positions x [A, B, 84], each arm by its own weights."""
    h = torch.baddbmm(w[1], x, w[0]).relu()
    h = torch.baddbmm(w[3], h, w[2]).relu()
    return torch.baddbmm(w[5], h, w[4]).squeeze(-1).tanh()


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Train one network for each share of flipped labels.

    Returns:
        one row a share, with `flips` (the share), `flipped` (labels that changed, which draws never do), `error` (value error on
        held-out positions, of a squared outcome), `train_error` (against the labels it was trained on, last epoch), and `again` (value
        error of the arm with right labels and an order of its own; the same in every row). A net that diverged has NaN.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    positions = different_positions(config)
    z = torch.from_numpy(values(*positions).astype(np.float32))
    context.progress(0.5)
    n, draw = config.positions, generator("label noise flips", config.seed)
    shares = torch.tensor([*config.flips, 0.0])
    labels = flipped(z[:n], shares, torch.rand(n, generator=draw))
    changed = (labels != z[:n]).sum(1).tolist()

    x, labels = planes(positions).to(context.device), labels.to(context.device)
    arms, last = len(shares), len(shares) - 1
    w = [each.to(context.device).requires_grad_() for each in initial_weights(config, arms)]
    optimizer = torch.optim.Adam(w, lr=config.lr)
    orders = [generator("label noise order", config.seed), generator("label noise order", config.seed, "again")]
    steps = n // config.batch
    for epoch in range(config.epochs):
        shared, own = (torch.randperm(n, generator=each).to(context.device) for each in orders)
        places = torch.stack([*[shared] * last, own])  # [A, N]
        total = torch.zeros(arms, device=context.device)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = config.lr * (1 - (epoch * steps + step) / (config.epochs * steps))
            here = places[:, step * config.batch : (step + 1) * config.batch]
            # Summed over arms: none has a say in the gradient of another.
            losses = (labels.gather(1, here) - value(w, x[here])).square().mean(1)
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
            total += losses.detach()
        context.log(epoch + 1, clean=(total[0] / steps).item(), most_flips=(total[last - 1] / steps).item())
        context.progress(0.5 + 0.5 * (epoch + 1) / config.epochs)

    with torch.no_grad():
        held_out = x[n:].expand(arms, -1, -1)
        errors = (z[n:].to(context.device) - value(w, held_out)).square().mean(1).tolist()
    train_errors = (total / steps).tolist()
    return [
        {
            "flips": share,
            "flipped": float(changed[arm]),
            "error": errors[arm],
            "train_error": train_errors[arm],
            "again": errors[last],
        }
        for arm, share in enumerate(config.flips)
    ]


if __name__ == "__main__":
    for row in run(Config(), Context()):
        print({name: round(value, 4) for name, value in row.items()})
