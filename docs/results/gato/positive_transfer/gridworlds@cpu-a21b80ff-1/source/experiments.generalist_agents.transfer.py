"""Does imitating experts of other tasks help an agent to learn a new one from a few demonstrations?

Paper: Reed et al. 2022, "A Generalist Agent" (Gato), arXiv 2205.06175, section 5.2 and Figure 9: a policy pretrained on other tasks, then
fine-tuned on a few demonstrations of a held-out task, against one trained on those alone. Serves the claim `gato/positive_transfer`.

Tasks are the gridworlds of `gridworlds.py` beside this file. A policy sees the world and which task it is, and gives probabilities of four
actions; it is trained by cross-entropy on the expert's actions (behaviour cloning) and acts by drawing from them. A trial pretrains:

    all         on demonstrations of every pretraining task
    same        on those of the held-out task's own kind alone
    no_control  on the same pictures as `all`, with a question about the picture (in which quarter is A?) instead of an action
    shuffled    on the same pictures and actions as `all`, the actions having changed places at random: a control

and fine-tunes each, and `scratch`, which was not pretrained, on `demonstrations` of every held-out task. All arms of a seed begin with the
same weights, take the same number of steps on the same demonstrations, and each has its own best learning rate of those given, chosen on
validation worlds for every task and number of demonstrations. Return is measured on other worlds, in points: 0 a random policy, 100 the expert.

Hardware and time: half a minute of one CPU core a trial at `cpu`. All policies of a stage train side by side as one stack. Deviations: see
the claim.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.generalist_agents.gridworlds import (
    ACTIONS,
    CHANNELS,
    GAMMA,
    Worlds,
    demonstrate,
    expert_return,
    observe,
    random_worlds,
    step,
)
from repro.lab.optim import StackedAdamW, warmup_cosine
from repro.lab.seeding import derived_seed, generator
from repro.schema.context import Context

ARMS = ("scratch", "all", "same", "no_control", "shuffled")


@dataclass(frozen=True)
class Config:
    """Tasks, policy, pretraining and fine-tuning."""

    side: int = 5
    """Cells of a world's side, n."""
    walls: int = 4
    """Walls of a world."""
    pretrain: tuple[str, ...] = (
        "reach/plain/walled", "reach/mirrored/walled", "reach/plain/wrapped",
        "fetch/plain/walled", "fetch/mirrored/walled", "fetch/plain/wrapped",
    )  # fmt: skip
    """Tasks to learn from beforehand."""
    held_out: tuple[str, ...] = ("reach/turned/walled", "fetch/mirrored/wrapped")
    """Tasks to be learned from a few demonstrations."""
    demonstrations: tuple[int, ...] = (4, 16, 64)
    """Of a held-out task; fewer are the first of more."""
    width: int = 128
    """Units of each hidden layer."""
    layers: int = 2
    """Hidden layers."""
    worlds: int = 2000
    """Worlds of each pretraining task; the expert walks once in each."""
    pretrain_steps: int = 2000
    """Steps of pretraining, the same for every arm."""
    pretrain_batch: int = 256
    """States of such a step."""
    pretrain_lr: float = 2e-3
    """Peak learning rate of pretraining."""
    tune_steps: int = 300
    """Steps of fine-tuning, the same for every arm."""
    tune_batch: int = 64
    """States of such a step."""
    tune_lrs: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    """Peak learning rates of fine-tuning, of which every arm takes its best."""
    validation_worlds: int = 200
    """Worlds on which the learning rate is chosen."""
    test_worlds: int = 400
    """Worlds on which return is measured."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, worlds, batches and actions."""


def sizes(config: Config) -> list[int]:
    """Return the units of every layer: what is seen and which task it is, hidden layers, actions."""
    inputs = CHANNELS * config.side**2 + len(config.pretrain) + len(config.held_out)
    return [inputs, *[config.width] * config.layers, ACTIONS]


def initial_rows(config: Config, device: str) -> Tensor:
    """Return the weights of one policy as a row [1, P]: matrices from N(0, 2 / inputs), the last N(0, 1 / inputs) / 10; biases 0."""
    draw, pieces = generator("gridworld policy", config.seed), []
    for place, (a, b) in enumerate(pairwise(sizes(config))):
        std = (2 / a) ** 0.5 if place < config.layers else 0.1 * a**-0.5
        pieces += [torch.randn(a * b, generator=draw) * std, torch.zeros(b)]
    return torch.cat(pieces)[None].to(device)


def logits(rows: Tensor, x: Tensor, config: Config) -> Tensor:
    """Return the action logits [M, B, 4] of M policies with weights [M, P], each for its own inputs [M, B, F]."""
    first, place = 0, 0
    for a, b in pairwise(sizes(config)):
        W = rows[:, first : first + a * b].view(-1, a, b)
        bias = rows[:, first + a * b : first + a * b + b].unsqueeze(1)
        x = torch.baddbmm(bias, x, W)
        first, place = first + a * b + b, place + 1
        x = F.relu(x) if place <= config.layers else x
    return x


def see(worlds: Worlds, which: Tensor, cell: Tensor, stage: Tensor, config: Config) -> Tensor:
    """Return the policy's input [..., F]: the picture and, as zeros and a one, the task."""
    known = [*config.pretrain, *config.held_out]
    task = F.one_hot(torch.tensor(known.index(worlds.task), device=cell.device), len(known)).float()
    return torch.cat([observe(worlds, which, cell, stage), task.expand(*cell.shape, -1)], dim=-1)


def quarter(worlds: Worlds, which: Tensor) -> Tensor:
    """Return in which quarter of the picture A lies, 0 … 3: the question of the arm without control."""
    side = round(worlds.walls.shape[1] ** 0.5)
    A = worlds.objects[which, 0]
    return 2 * (2 * (A // side) >= side).long() + (2 * (A % side) >= side).long()


def clone(
    rows: Tensor,
    lrs: Tensor,
    inputs: Tensor,
    answers: Tensor,
    pools: Sequence[Tensor],
    steps: int,
    batch: int,
    config: Config,
    names: tuple[int | str, ...],
) -> tuple[Tensor, Tensor]:
    """Train M policies side by side by cross-entropy, each with its own answers on its own states.

    Weights `rows` [M, P], peak rates `lrs` [M, 1], `inputs` [N, F] of all states there are, `answers` [M, N], and M times which states a
    policy sees, [n]. Policies with equal pools see the same states in the same order. Returns the weights [M, P] and the mean
    loss over the last tenth of the steps [M].
    """
    device, rows = rows.device, rows.clone().requires_grad_()
    one = torch.ones_like(lrs)
    optimizer = StackedAdamW(
        rows, beta1=0.9 * one, beta2=0.99 * one, weight_decay=0.01 * one, clip=one, decayed=torch.ones_like(rows[0])
    )
    pool = torch.nn.utils.rnn.pad_sequence(list(pools), batch_first=True)
    counts = torch.tensor([[len(each)] for each in pools], device=device)
    draw, recent, last = generator("gridworld batches", *names), max(1, steps // 10), torch.zeros_like(lrs[:, 0])
    for done in range(steps):
        chance = torch.rand(1, batch, generator=draw, dtype=torch.float64).to(device)
        places = pool.gather(1, (chance * counts).long())  # [M, batch]
        z, y = logits(rows, inputs[places], config), answers.gather(1, places)
        losses = F.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)
        losses.sum().backward()
        share = warmup_cosine(done, steps=steps, warmup=max(1, steps // 20), peak=1.0, final_share=0.05)
        optimizer.step(lrs * share)
        if done >= steps - recent:
            last += losses.detach() / recent
    return rows.detach(), last


@torch.no_grad()
def returns(rows: Tensor, worlds: Worlds, config: Config, name: str) -> Tensor:
    """Return the mean return [M] of M policies on the same worlds, with the same chance for all."""
    device, shape = rows.device, (len(rows), len(worlds.start))
    draw = torch.Generator(device).manual_seed(derived_seed("gridworld actions", name, worlds.task, config.seed))
    which = torch.arange(shape[1], device=device).expand(shape)
    cell, stage = worlds.start.expand(shape), torch.zeros(shape, dtype=torch.int64, device=device)
    over, total = torch.zeros_like(stage, dtype=torch.bool), torch.zeros(shape, dtype=torch.float64, device=device)
    for t in range(1, 8 * config.side + 1):
        # The largest of logits with Gumbel noise is a draw from their softmax.
        gumbel = -torch.empty(shape[1], ACTIONS, device=device).exponential_(generator=draw).log()
        action = (logits(rows, see(worlds, which, cell, stage, config), config) + gumbel).argmax(-1)
        cell, stage, lost = step(worlds, which, cell, stage, action)
        arrived = stage >= worlds.stages
        total = torch.where(arrived & ~over, GAMMA**t, total)
        over = over | lost | arrived
        if bool(over.all()):
            break
    return total.mean(1)


def pretrained(config: Config, start: Tensor, context: Context) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Return the weights [1, P] of every pretrained arm, `same` by kind as `same/<kind>`, and their training losses."""
    pictures, actions, questions, kinds = [], [], [], []
    for task in config.pretrain:
        draw = generator("gridworld pretraining", task, config.seed)
        worlds = random_worlds(task, config.worlds, config.side, config.walls, draw).to(context.device)
        which, cell, stage, action = demonstrate(worlds)
        pictures.append(see(worlds, which, cell, stage, config))
        actions.append(action)
        questions.append(quarter(worlds, which))
        kinds += [task.split("/")[0]] * len(which)
    inputs, action = torch.cat(pictures), torch.cat(actions)
    device, every = inputs.device, torch.arange(len(inputs), device=inputs.device)
    order = torch.randperm(len(inputs), generator=generator("gridworld shuffle", config.seed)).to(device)
    answers, pools = {"all": action}, {"all": every}
    for kind in dict.fromkeys(task.split("/")[0] for task in config.held_out):
        own = torch.tensor([each == kind for each in kinds], device=device)
        answers[f"same/{kind}"], pools[f"same/{kind}"] = action, every[own]
    answers |= {"no_control": torch.cat(questions), "shuffled": action[order]}
    pools |= {"no_control": every, "shuffled": every}
    lrs = torch.full((len(pools), 1), config.pretrain_lr, device=device)
    rows, losses = clone(
        start.expand(len(pools), -1), lrs, inputs, torch.stack(list(answers.values())), list(pools.values()),
        config.pretrain_steps, config.pretrain_batch, config, ("pretraining", config.seed),
    )  # fmt: skip
    names = list(pools)
    return (
        {name: rows[i : i + 1] for i, name in enumerate(names)},
        {f"pretraining_loss_{name.replace('/', '_')}": float(losses[i]) for i, name in enumerate(names)},
    )


def fine_tuned(config: Config, task: str, arms: Sequence[Tensor], device: str) -> Tensor:
    """Return the return in points [arms, numbers of demonstrations] on a held-out task, each at its best learning rate."""
    taught, valid, test = (
        random_worlds(task, n, config.side, config.walls, generator("gridworld", name, task, config.seed)).to(device)
        for name, n in (
            ("teaching", max(config.demonstrations)),
            ("validation", config.validation_worlds),
            ("test", config.test_worlds),
        )
    )
    which, cell, stage, action = demonstrate(taught)
    inputs, every = see(taught, which, cell, stage, config), torch.arange(len(which), device=which.device)
    shape = (len(arms), len(config.demonstrations), len(config.tune_lrs))
    rows = torch.stack(list(arms)).view(shape[0], 1, 1, -1).expand(*shape, -1).flatten(0, 2)
    lrs = torch.tensor(config.tune_lrs, device=device).expand(shape).reshape(-1, 1)
    pools = [every[which < k] for _ in arms for k in config.demonstrations for _ in config.tune_lrs]
    rows, _ = clone(
        rows, lrs, inputs, action.expand(len(rows), -1), pools, config.tune_steps, config.tune_batch, config,
        ("tuning", task, config.seed),
    )  # fmt: skip
    best = returns(rows, valid, config, "validation").view(shape).argmax(-1, keepdim=True)
    found = returns(rows, test, config, "test").view(shape).gather(-1, best)[..., 0]
    unsure = torch.zeros(8, rows.shape[1], device=device)  # all weights 0: every action as likely
    lowest = torch.stack([returns(unsure[:1], test, config, f"random {i}") for i in range(8)]).mean()
    points = 100 * (found - lowest) / (expert_return(test) - lowest)
    return points.where(rows.view(*shape, -1).isfinite().all(-1).all(-1), math.nan).cpu()


def cost(config: Config) -> float:
    """Return the FLOPs of training: 6 per weight and state, over all arms, tasks, numbers of demonstrations and learning rates."""
    weights = sum(a * b for a, b in pairwise(sizes(config)))
    kinds = len({task.split("/")[0] for task in config.held_out})
    before = (len(ARMS) - 2 + kinds) * config.pretrain_steps * config.pretrain_batch
    runs = len(ARMS) * len(config.held_out) * len(config.demonstrations) * len(config.tune_lrs)
    return 6.0 * weights * (before + runs * config.tune_steps * config.tune_batch)


def run(config: Config, context: Context) -> dict[str, float]:
    """Pretrain, fine-tune on every held-out task, measure.

    Returns, in points (0 random, 100 expert; NaN where a policy diverged):
        `<arm>`: mean over held-out tasks and numbers of demonstrations; `<arm>_<k>`: with k demonstrations;
        `<arm>_<kind>_<controls>_<edges>`: on one task.
        `gain_<arm>`, `gain_<arm>_...`: the same, minus that of `scratch`.
        `pretraining_loss_<arm>`: nats an action, over the last tenth of the steps; `flops`: as `cost`.
    """
    torch.set_num_threads(config.threads)
    start = initial_rows(config, context.device)
    weights, row = pretrained(config, start, context)
    found = []
    for done, task in enumerate(config.held_out):
        context.progress(0.4 + 0.6 * done / len(config.held_out))
        own = f"same/{task.split('/')[0]}"
        arms = [start if arm == "scratch" else weights[own if arm == "same" else arm] for arm in ARMS]
        found.append(fine_tuned(config, task, [arm[0] for arm in arms], context.device))
    points = torch.stack(found)  # [tasks, arms, demonstrations]
    for i, arm in enumerate(ARMS):
        cells = {"": points[:, i].mean()}
        cells |= {f"_{k}": points[:, i, j].mean() for j, k in enumerate(config.demonstrations)}
        cells |= {f"_{task.replace('/', '_')}": points[t, i].mean() for t, task in enumerate(config.held_out)}
        row |= {f"{arm}{name}": float(value) for name, value in cells.items()}
        if arm != "scratch":
            row |= {f"gain_{arm}{name}": float(value) - row[f"scratch{name}"] for name, value in cells.items()}
    return row | {"flops": cost(config)}


if __name__ == "__main__":
    for column, value in run(Config(), Context(on_progress=lambda done: print(f"{done:.0%}", end="\r"))).items():
        print(f"{column:40} {value:.4g}")
