"""Does the best sampling temperature rise with the number of samples? A small Transformer writes programs for a stack machine.

Paper: Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (Codex), arXiv 2107.03374, section 3.3 and Figure 5:
for a model of 679 million parameters the best temperature is 0.2 for pass@1 and 0.8 for pass@100. Serves the claim
`codex/temperature_vs_k`.

    pass@k = E over problems of 1 − C(n − c, k) / C(n, k)                                        (equation 1)

with n samples of a problem, c of which pass its unit tests. Here a problem is a few input-output examples of an unknown program
of the language in `stack_programs.py`, beside this file; a sample is a program; the unit tests are further examples that the model
does not see, and the interpreter runs them.

A trial trains one model on programs drawn at random with their examples, draws `samples` programs for each of `tasks` new tasks
at each temperature, and finds T*(k), the temperature with the highest pass@k. A softer distribution spends more samples on
programs that are less likely: it loses where one sample counts and may win where one of a hundred is enough.

Hardware and time: half a minute of one CPU core a trial at `cpu`. Deviations: see the claim.
"""

import math
from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.code_generation.stack_programs import BLANK, DEPTH, END, INPUTS, Tasks, passes, random_tasks
from repro.lab.optim import warmup_cosine
from repro.lab.seeding import derived_seed, generator, seed_all
from repro.schema.context import Context

KS = (1, 10, 100)
START = END + 1
"""The token that stands before the first operation."""
LEAST, MOST = 0.10, 0.60
"""Bounds of pass@1: outside them nearly every task fails, or passes, at any temperature."""

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values [B, H, S, C] of every layer."""


@dataclass(frozen=True)
class Config:
    """The language model, its training and its sampling."""

    n_layer: int = 2
    """Layers."""
    d_model: int = 64
    """Width of the residual stream."""
    n_head: int = 4
    """Heads."""
    shown: int = 4
    """Examples in the prompt."""
    hidden: int = 16
    """Examples that are the unit tests."""
    longest: int = 4
    """Most operations of a task's program."""
    steps: int = 1200
    """Training steps, each on new programs."""
    batch: int = 64
    """Programs of a step."""
    lr: float = 2e-3
    """Peak learning rate of AdamW; a warm-up over a tenth of the steps, then half a cosine to a tenth."""
    tasks: int = 80
    """Tasks that programs are written for."""
    samples: int = 200
    """Programs for each task at each temperature, n."""
    temperatures: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
    """T."""
    top_p: float = 0.95
    """Nucleus sampling: the most likely tokens whose probabilities add up to at least this."""
    chunk: int = 16_000
    """Programs that are written at the same time; of one task all or none of a temperature's."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws weights, programs for training, tasks and samples."""


class Block(nn.Module):
    """Pre-norm causal self-attention, then a feed-forward part of inner width 4d."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        d, self.n_head = config.d_model, config.n_head
        self.norm_attention, self.norm_dense = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        with torch.no_grad():  # keys begin as queries: slots with the same digits find each other from the start
            self.qkv.weight[:d] *= 2
            self.qkv.weight[d : 2 * d] = self.qkv.weight[:d]

    def forward(self, x: Tensor, past: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x [B, S, d] to the same; with `past`, keys and values of the tokens before it, x is one token. Returns those with x's own."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=past is None)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_dense(x)))), (k, v)


class Writer(nn.Module):
    """A decoder whose prompt has one token for each slot of inputs and outputs, in which the slot's digits of all examples lie side by side."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        d, self.slots = config.d_model, INPUTS + DEPTH
        self.digits = nn.Embedding(config.shown * (BLANK + 1), d)
        self.tokens = nn.Embedding(START + 1, d)
        self.positions = nn.Parameter(torch.zeros(self.slots + 1 + config.longest, d))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, START)
        for embedding in (self.digits, self.tokens):
            nn.init.normal_(embedding.weight, std=0.5)
        nn.init.normal_(self.positions, std=0.5)

    def prompt(self, tasks: Tasks) -> Tensor:
        """Embed the examples of N tasks: [N, slots, d]."""
        slots = torch.cat([tasks.inputs, tasks.outputs], dim=2)  # [N, E, slots]
        own = torch.arange(slots.shape[1], device=slots.device)[:, None] * (BLANK + 1)  # one table an example
        return self.digits(slots + own).sum(1) / slots.shape[1] ** 0.5

    def decode(self, x: Tensor, first: int, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Embedded tokens x [B, S, d], the first at position `first`, to logits [B, S, START] and the cache with them in it."""
        x, kept = x + self.positions[first : first + x.shape[1]], []
        for place, block in enumerate(self.blocks):
            x, own = block(x, None if cache is None else cache[place])
            kept.append(own)
        return self.head(self.norm(x)), kept

    def loss(self, tasks: Tasks) -> Tensor:
        """Return the mean cross-entropy of the programs [N, longest + 1] up to and with their first END, in nats a token."""
        before = F.pad(tasks.programs[:, :-1], (1, 0), value=START)
        x = torch.cat([self.prompt(tasks), self.tokens(before)], dim=1)
        logits = self.decode(x, 0)[0][:, self.slots :]
        targets = torch.where(before == END, -100, tasks.programs)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def train(config: Config, context: Context) -> tuple[Writer, float]:
    """Train on random programs; return the model and its loss over the last tenth of the steps."""
    seed_all("stack programs", config.seed)
    model = Writer(config).to(context.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    draw, recent = generator("stack programs to learn from", config.seed), []
    for step in range(config.steps):
        tasks = random_tasks(config.batch, config.longest, config.shown, draw)
        tasks = Tasks(*(part.to(context.device) for part in vars(tasks).values()))
        warmup = max(1, config.steps // 10)
        optimizer.param_groups[0]["lr"] = warmup_cosine(
            step, steps=config.steps, warmup=warmup, peak=config.lr, final_share=0.1
        )
        with torch.autocast(context.device, torch.bfloat16, enabled=context.precision == "bfloat16"):
            loss = model.loss(tasks)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step >= 0.9 * config.steps - 1:
            recent.append(loss.detach())
        if step % 50 == 0:
            context.log(step, loss=float(loss.detach()))
            context.progress(0.7 * step / config.steps)
    return model.eval(), float(torch.stack(recent).mean())


def nucleus(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """Return the probabilities [B, V] at a temperature, cut to the fewest most likely tokens that hold `top_p` (Holtzman et al. 2019)."""
    p, order = (logits.float() / temperature).softmax(-1).sort(-1, descending=True)
    p = p * (p.cumsum(-1) - p < top_p)  # a token stays if those before it do not hold top_p yet
    return torch.zeros_like(p).scatter_(-1, order, p / p.sum(-1, keepdim=True))


@torch.no_grad()
def write(model: Writer, tasks: Tasks, config: Config, temperature: float, draw: torch.Generator) -> Tensor:
    """Draw `samples` programs for each of N tasks: [N · samples, longest + 1], those of a task side by side."""
    _, cache = model.decode(model.prompt(tasks), 0)
    cache = [(k.repeat_interleave(config.samples, 0), v.repeat_interleave(config.samples, 0)) for k, v in cache]
    token = torch.full((len(tasks.inputs) * config.samples,), START, device=tasks.inputs.device)
    written = []
    for place in range(config.longest + 1):
        logits, cache = model.decode(model.tokens(token[:, None]), model.slots + place, cache)
        token = torch.multinomial(nucleus(logits[:, 0], temperature, config.top_p), 1, generator=draw)[:, 0]
        written.append(token)
    return torch.stack(written, dim=1)


def pass_at_k(n: int, c: Tensor, k: int) -> float:
    """Equation 1, averaged over problems of which c [N] of n samples pass."""
    return sum(1 - comb(n - each, k) / comb(n, k) for each in c.tolist()) / len(c)


def best_temperature(rates: list[float], temperatures: tuple[float, ...]) -> float:
    """Return T*, where pass@k is highest; the geometric mean of those that share the highest."""
    best = [math.log(T) for T, rate in zip(temperatures, rates, strict=True) if rate == max(rates)]
    return math.exp(sum(best) / len(best))


def cost(config: Config) -> float:
    """Return the FLOPs: 6 per weight and token of training and 2 of sampling, 12·L·d² weights (attention's products left out)."""
    weights, own = 12 * config.n_layer * config.d_model**2, config.longest + 1
    trained = config.steps * config.batch * (INPUTS + DEPTH + own)
    sampled = config.tasks * config.samples * len(config.temperatures) * own
    return weights * (6.0 * trained + 2.0 * sampled)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model, write programs at every temperature and test them.

    Returns:
        `best_<k>`: T*(k), k = 1, 10, 100 (those up to n); `best_1_of_first_half` and `best_1_of_second_half`: T*(1) of the
        first and of the last n/2 samples of every task.
        `pass_<k>_at_<T>`: pass@k, T in hundredths (share of the tasks).
        `pass_1`: the highest pass@1; `vacuous`: 1 if it is outside 0.1 to 0.6, else 0.
        `loss`: training loss over the last tenth of the steps (nats a token); `flops`: as `cost`.
        A model that diverged has NaN in all of them.
    """
    torch.set_num_threads(config.threads)
    model, loss = train(config, context)
    tasks = random_tasks(
        config.tasks, config.longest, config.shown + config.hidden, generator("stack tasks", config.seed)
    )
    tasks = Tasks(*(part.to(context.device) for part in vars(tasks).values()))
    shown = Tasks(tasks.programs, tasks.inputs[:, : config.shown], tasks.outputs[:, : config.shown])
    tests = Tasks(tasks.programs, tasks.inputs[:, config.shown :], tasks.outputs[:, config.shown :])
    n, half = config.samples, config.samples // 2
    ks = [k for k in KS if k <= n]
    names = [f"best_{k}" for k in ks] + ["best_1_of_first_half", "best_1_of_second_half", "pass_1", "vacuous"]
    if not math.isfinite(loss):
        return dict.fromkeys(names, math.nan) | {"loss": loss, "flops": cost(config)}

    row, passed = {}, []
    draw = torch.Generator(context.device).manual_seed(derived_seed("stack samples", config.seed))
    for place, T in enumerate(config.temperatures):
        found = []
        for some in torch.arange(config.tasks, device=context.device).split(max(1, config.chunk // n)):
            asked = Tasks(*(part[some] for part in vars(shown).values()))
            programs = write(model, asked, config, T, draw)
            found.append(passes(programs, tests, some.repeat_interleave(n)).view(-1, n))
        passed.append(torch.cat(found).cpu())  # [tasks, n]
        context.progress(0.7 + 0.3 * (place + 1) / len(config.temperatures))
    for k in ks:
        rates = [pass_at_k(n, each.sum(1), k) for each in passed]
        row |= {f"pass_{k}_at_{round(100 * T)}": rate for T, rate in zip(config.temperatures, rates, strict=True)}
        row[f"best_{k}"] = best_temperature(rates, config.temperatures)
    for name, part in (("first", slice(half)), ("second", slice(n - half, n))):
        rates = [pass_at_k(half, each[:, part].sum(1), 1) for each in passed]
        row[f"best_1_of_{name}_half"] = best_temperature(rates, config.temperatures)
    row["pass_1"] = max(row[f"pass_1_at_{round(100 * T)}"] for T in config.temperatures)
    row["vacuous"] = float(not LEAST <= row["pass_1"] <= MOST)
    return row | {"loss": loss, "flops": cost(config)}


if __name__ == "__main__":
    for column, value in run(Config(), Context(on_progress=lambda done: print(f"{done:.0%}", end="\r"))).items():
        print(f"{column:24} {value:.4g}")
