"""Train small language models from scratch: the runs behind every trained scaling-law claim.

Papers: Hoffmann et al., "Training Compute-Optimal Large Language Models", arXiv 2203.15556 (sections 3.1 to 3.3, Appendices
B and C); Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361 (sections 3 and 4); Porian et al.,
"Resolving Discrepancies in Compute-Optimal Scaling of Language Models", arXiv 2406.19146; Muennighoff et al., "Scaling
Data-Constrained Language Models", arXiv 2305.16264. One trial is one training run: a model of N parameters on D tokens.

Serves: the studies `scaling_laws/{isoflop, isoflop_code, known_entropy, counting, kaplan_size, kaplan_data, kaplan_shape,
schedule_length, repeated_data, tuned_or_not, learning_rate}`. Equal runs of two studies are one trial.

Hardware and time: `smoke` seconds, `cpu` minutes on 2 cores, `gpu` one large GPU; see each study's notes.

Deviations from the papers: bytes or a small trained vocabulary instead of 32,000 to 50,000 tokens; Python source or books
instead of MassiveText, WebText2 and RefinedWeb; one plain GPT for all (rotary positions, RMS norm, no biases).
"""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from repro.lab.allocator import keep_freed_memory
from repro.lab.corpora import carry_tokens, data_sets, load_tokens
from repro.lab.counting import CONVENTIONS
from repro.lab.cuda_graph import replayed
from repro.lab.gpt import GPT, GPTShape, initial_weights
from repro.lab.mup import decay_scales, logit_scale, lr_scales
from repro.lab.optim import StackedAdamW, warmup_constant, warmup_cosine
from repro.lab.seeding import derived_seed, generator
from repro.lab.throughput import fastest_stack, throughput
from repro.lab.timing import time_call
from repro.lab.tokens import Tokens, Windows, gather, held_out
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One training run, and at the end the layout of all of them."""

    source: str = "stdlib"
    """Text: `stdlib`, `code`, `synthetic`, or the id of a data set that the study lists (see docs/corpora.md)."""
    vocabulary: int = 256
    """Tokens V: 256 are the bytes, more are trained byte pairs."""
    unique_tokens: float = 0.0
    """Train on no more than so many tokens, drawn by windows from the whole text, again and again; 0 for all there are."""

    budget: float = 0.0
    """Training compute C, in FLOPs: D is what it leaves. Either this or `tokens`."""
    tokens: float = 0.0
    """Training tokens D."""

    n_layer: int = 2
    """Blocks, L."""
    d_model: int = 16
    """Width, d."""
    d_head: int = 8
    """Width of a head, the same at every size."""
    context: int = 64
    """Tokens in a sequence, S."""
    tied: bool = True
    """Whether the head is the token embedding, or a matrix of its own."""
    positions: str = "rotary"
    """`rotary`, or `learned`: a vector for each position."""
    parametrization: str = "standard"
    """`standard`, or `mup`: a learning rate that holds at every width (then `lr_exponent` should be 0; see docs/lab.md)."""
    base_width: int = 0
    """Under `mup` the width at which both parametrizations are one."""

    reference_params: float = 2e4
    """The size N at which `batch_tokens` and `lr` hold."""
    batch_tokens: float = 1065.0
    """Tokens in a batch at the reference size; 1065 at 20,000 parameters is 160 · 2048 at 108 million (Porian et al.)."""
    batch_exponent: float = 2 / 3
    """The batch grows as N to this power (after Porian et al.)."""
    min_steps: int = 400
    """A run has at least so many steps; its batch shrinks until it does."""
    lr: float = 0.02
    """Peak learning rate at the reference size."""
    lr_exponent: float = -1 / 3
    """The peak learning rate changes as N to this power (after Porian et al.)."""
    warmup_share: float = 0.05
    """Warm-up lasts min(N tokens, this share of D)."""
    warmup_tokens: float = 0.0
    """If not 0, every run warms up over so many tokens instead, whatever its size, as in Kaplan et al."""
    decay: bool = True
    """Whether the learning rate follows a cosine; else it stays at its peak."""
    cycle: float = 1.0
    """Length of the cosine over that of the run."""
    final_lr: float = 0.1
    """The cosine ends at this share of the peak."""
    beta2: float = 0.99
    """Decay rate of AdamW's second moment."""
    weight_decay: float = 0.1
    """Of matrices."""
    clip: float = 1.0
    """Largest norm of the gradient."""

    eval_tokens: int = 131_072
    """Held-out tokens that a loss is averaged over, the same for every run."""
    evaluations: int = 1
    """Times that the held-out loss is measured, evenly spaced over the run; the last is at its end."""
    first_evaluation: float = 0.0
    """If not 0, the first comes after this share of the run, and each of the others the same factor after the one before."""
    compile: bool = False
    """Compile the model (pays on a GPU)."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Of the weights and of the order of the text."""
    run: int = 0
    """Number of the run among those with the same cell and seed."""

    budgets: tuple[float, ...] = ()
    """Layout `isoflop`: the budgets, in FLOPs."""
    widths: tuple[int, ...] = ()
    """Layout: widths of the ladder of sizes, smallest first."""
    depths: tuple[int, ...] = ()
    """Layout: the number of blocks at each width."""
    first_size: tuple[int, ...] = ()
    """Layout `isoflop`: for each budget the rung of the ladder at which its sizes start."""
    sizes: int = 0
    """Layout `isoflop`: sizes at each budget, one a rung."""
    smaller: int = 0
    """Layout `isoflop`: so many sizes more below each budget's first, as far down as the ladder goes."""
    sources: tuple[str, ...] = ()
    """Layout `isoflop`: the whole layout on each of these texts; on `source` alone if empty."""
    runs: tuple[int, ...] = ()
    """Layout: runs of each size, for each budget (`isoflop`) or rung (`ladder`)."""
    overrun: float = 1.0
    """Layout `ablation`: runs that are read at several budgets go on to this multiple of the largest one."""
    untuned_batch: float = 0.0
    """Layout `ablation`: batch, in tokens, that all sizes share before the optimiser is tuned."""
    untuned_lr: float = 0.0
    """Layout `ablation`: learning rate that all sizes share before the optimiser is tuned."""
    rates: tuple[float, ...] = ()
    """Layout `sweep`: learning rates, at the reference size and batch."""
    step_counts: tuple[int, ...] = ()
    """Layout `sweep`: numbers of steps that a batch must leave, each with every rate."""
    tokens_per_parameter: float = 0.0
    """Layout `sweep`: beside the budgets, train the first `sizes` sizes on so many tokens a parameter."""
    max_budgets: int = 0
    """Layout `isoflop`: only so many of the smallest budgets, if not 0."""
    max_runs: int = 0
    """Layout: only so many runs of each size, if not 0."""


EMPTY_LAYOUT: dict[str, Any] = {
    "budgets": (),
    "widths": (),
    "depths": (),
    "first_size": (),
    "sizes": 0,
    "smaller": 0,
    "sources": (),
    "runs": (),
    "overrun": 1.0,
    "untuned_batch": 0.0,
    "untuned_lr": 0.0,
    "rates": (),
    "step_counts": (),
    "tokens_per_parameter": 0.0,
    "max_budgets": 0,
    "max_runs": 0,
}
"""The fields of a layout are emptied in every run, so that changing the layout leaves the keys of equal runs equal."""


def isoflop(config: Config) -> list[dict[str, Any]]:
    """Lay out IsoFLOP profiles: for each budget, `sizes` rungs of the ladder of shapes, and `smaller` below them.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    require_budgets(config)
    budgets = list(zip(config.budgets, config.first_size, config.runs, strict=True))[: config.max_budgets or None]
    return [
        {**size_of(config, rung), "source": source, "budget": budget, "run": run}
        for source in config.sources or (config.source,)
        for budget, first, runs in budgets
        for rung in range(max(0, first - config.smaller), first + config.sizes)
        for run in range(min(runs, config.max_runs or runs))
    ]


SCOUT_SEED = 1000
"""Seed of scout runs: no sealed trial has it."""


def scout(config: Config) -> list[dict[str, Any]]:
    """Lay out the runs that centre a study's grids: at each budget every other rung, from two below its sizes to two above.

    At the smallest budget three of those sizes also train at half and at twice the learning rate.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    require_budgets(config)
    cells = []
    for number, (budget, first) in enumerate(zip(config.budgets, config.first_size, strict=True)):
        if config.max_budgets and number >= config.max_budgets:
            break
        coarse = [rung for rung in range(first - 2, first + config.sizes + 2, 2) if 0 <= rung < len(config.widths)]
        inside = [rung for rung in coarse if first <= rung < first + config.sizes]
        swept = {inside[0], inside[len(inside) // 2], inside[-1]} if number == 0 else set()
        cells += [
            {**size_of(config, rung), "budget": budget, "lr": config.lr * factor, "evaluations": 1, "seed": SCOUT_SEED}
            for rung in coarse
            for factor in ((0.5, 1.0, 2.0) if rung in swept else (1.0,))
        ]
    return cells


def size_of(config: Config, rung: int) -> dict[str, Any]:
    """Return the fields of a run whose model stands on this rung of the ladder."""
    return {**EMPTY_LAYOUT, "n_layer": config.depths[rung], "d_model": config.widths[rung]}


def require_budgets(config: Config) -> None:
    """Raise `ValueError` unless budgets, first sizes, runs and the ladder fit together."""
    if not len(config.budgets) == len(config.first_size) == len(config.runs):
        raise ValueError("budgets, first_size and runs must be equally long")
    if len(config.widths) != len(config.depths):
        raise ValueError("widths and depths must be equally long")
    if max(config.first_size) + config.sizes > len(config.widths):
        raise ValueError(f"the ladder has {len(config.widths)} rungs, too few for first_size {config.first_size}")


def ladder(config: Config) -> list[dict[str, Any]]:
    """Lay out every rung of a ladder of shapes, all on the same `tokens`: `runs` of each.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    if not len(config.widths) == len(config.depths) == len(config.runs):
        raise ValueError("widths, depths and runs must be equally long")
    return [
        {**size_of(config, rung), "run": run}
        for rung, runs in enumerate(config.runs)
        for run in range(min(runs, config.max_runs or runs))
    ]


def ablation(config: Config) -> list[dict[str, Any]]:
    """Lay out four settings, each one step from the last, on the sizes and budgets of `isoflop` (Porian et al., Figure 1).

    Before tuning, all sizes share one batch and one learning rate. The first two settings, a warm-up of `warmup_tokens` and
    one of N tokens, have a constant rate: one run of each size, with its losses on the way, is read at all its budgets. It goes on
    to the budget after its last, or beyond the largest, as Kaplan's counting gives a small model more tokens. The third decays
    to the end of every budget, and the fourth has the config's own rules for batch and rate and no decay.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    require_budgets(config)
    at_budgets = isoflop(replace(config, runs=(1,) * len(config.budgets)))
    beyond = dict(zip(config.budgets, (*config.budgets[1:], config.overrun * config.budgets[-1]), strict=True))
    largest: dict[tuple[int, int], dict[str, Any]] = {}
    for cell in at_budgets:
        largest[cell["n_layer"], cell["d_model"]] = {**cell, "budget": beyond[cell["budget"]]}
    once = {"evaluations": 1, "first_evaluation": 0.0}
    one_setting = {"batch_tokens": config.untuned_batch, "batch_exponent": 0.0, "min_steps": 1}
    one_setting |= {"lr": config.untuned_lr, "lr_exponent": 0.0, "beta2": 0.95}
    scaled = {"warmup_tokens": 0.0, "warmup_share": 1.0}
    settings = (
        (largest.values(), {**one_setting, "decay": False}),
        (largest.values(), {**one_setting, **scaled, "decay": False}),
        (at_budgets, {**one_setting, **scaled, **once, "decay": True}),
        (at_budgets, {**scaled, **once, "decay": False}),
    )
    return [{**cell, **setting} for cells, setting in settings for cell in cells]


def sweep(config: Config) -> list[dict[str, Any]]:
    """Lay out a search for learning rate and batch: every one of `rates` with every one of `step_counts`.

    Every size trains at every budget; the first `sizes` also on `tokens_per_parameter`, at a constant rate after a warm-up of N
    tokens, as Porian et al. sweep. Numbers of steps that leave the same batch count once.
    """
    constant = {"decay": False, "warmup_share": 1.0}
    cells = []
    for rung in range(len(config.widths)):
        size = size_of(config, rung)
        extents: list[dict[str, Any]] = [{"budget": budget} for budget in config.budgets]
        if rung < config.sizes:
            params = shape_of(replace(config, **size)).parameters
            extents.append({"tokens": config.tokens_per_parameter * params, **constant})
        for extent in extents:
            batches = set()
            for steps in config.step_counts:
                cell = {**size, **extent, "min_steps": steps}
                batch = schedule_of(replace(config, **cell)).batch
                if batch not in batches:
                    batches.add(batch)
                    cells += [{**cell, "lr": rate} for rate in config.rates]
    return cells


def cost(config: Config) -> float:
    """Return the training FLOPs of a run."""
    return config.budget or config.tokens * flops_per_token(shape_of(config))


def reads(config: Config) -> tuple[str, ...]:
    """Return the data sets that a run reads, by id."""
    return data_sets(config.source)


def carry(configs: Sequence[Config], context: Context, directory: Path) -> None:
    """Put those tokens into `directory` that another machine could not make, or would make otherwise (see docs/corpora.md)."""
    for source, vocabulary in sorted({(each.source, each.vocabulary) for each in configs}):
        carry_tokens(source, vocabulary, context.data, directory)


def shape_of(config: Config) -> GPTShape:
    """Return the model's shape."""
    size = config.n_layer, config.d_model, config.d_head, config.context, config.vocabulary
    return GPTShape(*size, config.tied, config.positions)


def model_of(config: Config, seeds: Sequence[int], context: Context) -> GPT:
    """Return a stack of untrained models, one for each seed."""
    shape, parametrization = shape_of(config), (config.parametrization, config.base_width)
    rows = initial_weights(shape, seeds, *parametrization).to(context.device)
    model = GPT(shape, rows, logit_scale(shape, *parametrization))
    if config.compile:
        model.compile_parts()
    return model


def flops_per_token(shape: GPTShape) -> float:
    """Return training FLOPs a token: 6 for each matrix weight, head included, and 6·L·S·d for causal attention.

    Forward, a weight costs 2 and attention's two products 2·(2·S·d), half of which the causal mask leaves; backward
    costs twice as much. The embedding is a lookup, but it is tied to the head, which is a product.
    """
    return CONVENTIONS["matrices_causal_attention"](shape)


@dataclass(frozen=True)
class Schedule:
    """What compute, data and size leave of a run."""

    steps: int
    batch: int
    """Sequences."""
    warmup: int
    """Steps."""
    peak: float
    """Learning rate."""


def schedule_of(config: Config) -> Schedule:
    """Return steps, batch and learning rate from C (or D) and N, so that steps · batch · S is D.

    Where `min_steps` makes the batch smaller than the rule has it, the learning rate shrinks with its square root
    (Malladi et al., arXiv 2205.10287, for Adam).

    Raises:
        ValueError: unless exactly one of `budget` and `tokens` is given.
    """
    if (config.budget > 0) == (config.tokens > 0):
        raise ValueError(f"give either budget or tokens, got budget={config.budget:g} and tokens={config.tokens:g}")
    shape = shape_of(config)
    d = config.tokens or config.budget / flops_per_token(shape)
    relative_size = shape.parameters / config.reference_params
    wanted = config.batch_tokens * relative_size**config.batch_exponent
    batch = max(1, math.floor(min(wanted, d / config.min_steps) / config.context))
    steps = max(1, round(d / (batch * config.context)))
    warmup_tokens = config.warmup_tokens or min(float(shape.parameters), config.warmup_share * d)
    warmup = max(1, round(warmup_tokens / (batch * config.context)))
    shrunk = min(1.0, batch * config.context / wanted)
    peak = config.lr * relative_size**config.lr_exponent * shrunk**0.5
    return Schedule(steps, batch, warmup, peak)


def learning_rates(config: Config, schedule: Schedule) -> list[float]:
    """Return the learning rate of every step."""
    steps, warmup, peak = schedule.steps, schedule.warmup, schedule.peak
    if not config.decay:
        return [warmup_constant(step, steps=steps, warmup=warmup, peak=peak) for step in range(steps)]
    return [
        warmup_cosine(step, steps=steps, warmup=warmup, peak=peak, final_share=config.final_lr, cycle=config.cycle)
        for step in range(steps)
    ]


def stack_of(config: Config) -> object:
    """Return what two runs must have in common to be trained side by side by `run_batch`; equal is trained together."""
    free = {"lr", "warmup_share", "warmup_tokens", "decay", "cycle", "final_lr", "beta2", "weight_decay", "clip"}
    free |= {"seed", "run", "unique_tokens", "budget", "tokens"}
    # These say no more than the number of steps, the batch and the peak learning rate.
    free |= {"lr_exponent", "reference_params", "batch_tokens", "batch_exponent", "min_steps"}
    default = Config()
    schedule = schedule_of(config)
    shared = replace(config, **{name: getattr(default, name) for name in free})
    return shared, schedule.steps, schedule.batch


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model and return its held-out loss; see `run_batch`."""
    return run_batch([config], [context])[0]


def run_batch(configs: Sequence[Config], contexts: Sequence[Context]) -> list[dict[str, float]]:
    """Train models of one `stack_of` side by side; each learns as it would alone.

    Returns:
        For each run `budget` (FLOPs asked for) and `flops` (spent); `params` (all), `params_non_embedding` (Kaplan's count);
        `tokens`, `epochs` (of the text), `steps`, `batch_tokens`, `lr` (peak); `loss` (held-out, nats a token),
        `best_loss` (lowest over the evaluations), `loss_per_byte` (nats), `train_loss` (mean over the last twentieth of the
        steps, nats a token); `stacked` (models side by side) and the speed of all of them together, evaluations left out:
        `tokens_per_second`, `model_flops_per_second`, `mfu` (share of the device's peak); `text_id` (first 12 hex digits of
        the text's sha256 as a number, because the standard library differs between Python versions); of a text whose entropy
        rate is known also `entropy_rate` (exact, nats a token).
    """
    config, context = configs[0], contexts[0]
    if len({stack_of(each) for each in configs}) > 1:
        raise ValueError("run_batch trains runs of one shape, batch and number of steps; these differ")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
        keep_freed_memory()
    shape, schedules = shape_of(config), [schedule_of(each) for each in configs]
    steps, batch = schedules[0].steps, schedules[0].batch
    text = load_tokens(config.source, config.vocabulary, context.data)
    train = text.train.to(context.device)
    readable = [readable_windows(each, len(train)) for each in configs]
    usable = [len(each) * config.context + 1 for each in readable]
    seeds = [derived_seed(each.seed, each.run) for each in configs]
    model = model_of(config, seeds, context)
    optimizer = adamw(model, configs, context)
    rates = torch.tensor([learning_rates(c, s) for c, s in zip(configs, schedules, strict=True)]).T.to(context.device)

    # Nothing in the loop waits for the device but a report: losses stay there, and the text's order comes a report ahead.
    losses = torch.full((steps, len(configs)), math.nan, device=context.device)
    report_every = max(1, steps // 20)
    windows = [Windows(n, report_every * batch, config.context, seed) for n, seed in zip(usable, seeds, strict=True)]
    evaluate_at = {math.ceil(steps * share) for share in evaluation_shares(config)}
    evaluated: list[list[float]] = []
    train_step = training_step(model, optimizer, train, config, batch, context)
    seconds, started = 0.0, now(context)
    for step in range(steps):
        if step % report_every == 0:
            numbers = [each.starts(step // report_every) // config.context for each in windows]
            ahead = torch.stack([text_starts[i] for text_starts, i in zip(readable, numbers, strict=True)])
            starts = ahead.unflatten(1, (report_every, batch)).transpose(0, 1).contiguous().to(context.device)
        losses[step] = train_step(starts[step % report_every], rates[step, :, None])
        if (step + 1) % report_every == 0:
            recent = losses[step + 1 - report_every : step + 1].mean(0).tolist()
            for each, value, rate in zip(contexts, recent, rates[step].tolist(), strict=True):
                each.log(step + 1, train_loss=value, lr=rate)
                each.progress((step + 1) / steps)
            if not any(map(math.isfinite, recent)):
                seconds += now(context) - started
                evaluated.append([math.nan] * len(configs))
                break
        if step + 1 in evaluate_at:
            seconds += now(context) - started
            evaluated.append(held_out_losses(model, text, config, context))
            for each, value in zip(contexts, evaluated[-1], strict=True):
                each.log(step + 1, loss=value)
            started = now(context)
    trained = float((step + 1) * batch * config.context)
    speed = throughput(
        tokens=len(configs) * trained,
        flops=len(configs) * trained * flops_per_token(shape),
        seconds=seconds,
        device=context.device,
        precision=context.precision,
    )

    tokens = float(steps * batch * config.context)
    train_losses = losses[-report_every:].mean(0).tolist()
    return [
        {
            "budget": each.budget,
            "flops": tokens * flops_per_token(shape),
            "params": float(shape.parameters),
            "params_non_embedding": float(shape.non_embedding_parameters),
            "tokens": tokens,
            "epochs": tokens / (usable[i] - 1),
            "steps": float(steps),
            "batch_tokens": float(batch * config.context),
            "lr": schedules[i].peak,
            "loss": evaluated[-1][i],
            "best_loss": min(at[i] for at in evaluated),
            "loss_per_byte": evaluated[-1][i] / text.bytes_per_token,
            "train_loss": train_losses[i],
            "stacked": float(len(configs)),
            **speed,
            "text_id": float(int(text.digest[:12], 16)),
            **({"entropy_rate": text.entropy_rate} if math.isfinite(text.entropy_rate) else {}),
        }
        for i, each in enumerate(configs)
    ]


def evaluation_shares(config: Config) -> list[float]:
    """Return after which shares of a run its held-out loss is measured, the last of them 1."""
    last = config.evaluations
    if not config.first_evaluation or last == 1:
        return [k / last for k in range(1, last + 1)]
    return [config.first_evaluation ** ((last - k) / (last - 1)) for k in range(1, last + 1)]


def readable_windows(config: Config, length: int) -> torch.Tensor:
    """Return where the windows that a run trains on start in a text of `length` tokens.

    `unique_tokens` are drawn from everywhere in it, other ones for every seed: its first ones would be a few documents. Runs of one
    seed draw from one order, so that more tokens contain the fewer.
    """
    starts = torch.arange((length - 1) // config.context) * config.context
    if not config.unique_tokens:
        return starts
    drawn = torch.randperm(len(starts), generator=generator("unique", config.seed, config.run))
    return starts[drawn[: max(1, int(config.unique_tokens) // config.context)]]


def training_step(
    model: GPT, optimizer: StackedAdamW, text: torch.Tensor, config: Config, batch: int, context: Context
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the function that trains a stack for one step and returns its losses `[M]`; on a GPU it is one CUDA graph.

    Its arguments are where in the `text` each model's windows start, `[M, batch]`, and the learning rates `[M, 1]`.
    """

    def step(starts: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
        inputs, targets = gather(text, starts, config.context)
        with autocast(context):
            loss = model(inputs, targets)
        loss.sum().backward()
        optimizer.step(rates)
        return loss.detach()

    if context.device != "cuda":
        return step
    starts = torch.zeros(len(model.rows), batch, dtype=torch.int64, device=context.device)
    return replayed(step, [starts, torch.zeros(len(model.rows), 1, device=context.device)], optimizer.state)


def stack_size(configs: Sequence[Config], context: Context) -> int:
    """Return how many runs of one `stack_of` train fastest side by side on this device, by timing a few steps of each number."""
    config, schedule = configs[0], schedule_of(configs[0])
    known = (stack_of(config), len(configs), context.device, context.precision)
    if known not in MEASURED_STACKS:
        if context.device == "cpu":
            torch.set_num_threads(config.threads)
            keep_freed_memory()
        MEASURED_STACKS[known] = fastest_stack(
            lambda models: seconds_a_step(config, models, schedule.batch, context),
            largest=len(configs),
            steps=schedule.steps,
        )
    return MEASURED_STACKS[known]


MEASURED_STACKS: dict[object, int] = {}
"""What `stack_size` found in this process."""


def seconds_a_step(config: Config, models: int, batch: int, context: Context) -> float:
    """Time a training step of so many models on a text without meaning. Compiling is left out: it changes all sizes alike."""
    config = replace(config, compile=False)
    model = model_of(config, range(models), context)
    text = torch.randint(config.vocabulary, (2 * config.context + 2,), device=context.device)
    step = training_step(model, adamw(model, [config] * models, context), text, config, batch, context)
    starts = torch.zeros(models, batch, dtype=torch.int64, device=context.device)
    rates = torch.full((models, 1), 1e-4, device=context.device)
    # With one thread the processor's time is what counts, whatever else the machine is busy with.
    clock = time.process_time if config.threads == 1 else time.perf_counter
    return time_call(
        lambda: step(starts, rates), device=context.device, warmup=1, timings=3, min_loop_s=0.005, clock=clock
    ).median


def now(context: Context) -> float:
    """Return seconds, after all that the device was told to do is done."""
    if context.device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def adamw(model: GPT, configs: Sequence[Config], context: Context) -> StackedAdamW:
    """Return the optimiser of a stack, with each run's own settings."""

    def column(value: Callable[[Config], float]) -> torch.Tensor:
        return torch.tensor([[value(each)] for each in configs], device=context.device)

    parametrization = model.shape, configs[0].parametrization, configs[0].base_width
    return StackedAdamW(
        model.rows,
        beta1=column(lambda _: 0.9),
        beta2=column(lambda each: each.beta2),
        weight_decay=column(lambda each: each.weight_decay),
        clip=column(lambda each: each.clip),
        decayed=decay_scales(*parametrization).to(context.device),
        lr_scale=lr_scales(*parametrization).to(context.device) if configs[0].parametrization == "mup" else None,
        compile=configs[0].compile,
    )


@torch.no_grad()
def held_out_losses(model: GPT, text: Tokens, config: Config, context: Context) -> list[float]:
    """Return each model's mean cross-entropy over the first `eval_tokens` held-out tokens, in nats a token."""
    models = len(model.rows)
    total, count = torch.zeros(models, dtype=torch.float64, device=context.device), 0
    tokens = text.validation.to(context.device)
    for inputs, targets in held_out(tokens, batch=32, context=config.context, limit=config.eval_tokens):
        with autocast(context):
            loss = model(inputs.expand(models, -1, -1), targets.expand(models, -1, -1))
        total, count = total + loss.double() * targets.numel(), count + targets.numel()
    return [float(value) for value in total / count]


def autocast(context: Context) -> contextlib.AbstractContextManager[Any]:
    """Run matrix products in bfloat16 where the scale asks for it; weights and optimiser stay in float32."""
    if context.precision == "bfloat16":
        return torch.autocast(context.device, dtype=torch.bfloat16)
    return contextlib.nullcontext()


if __name__ == "__main__":
    print(run(Config(budget=2e9), Context()))
