"""IsoFLOP profiles: at a fixed training budget, how large should a language model be?

Paper: Hoffmann et al., "Training Compute-Optimal Large Language Models", arXiv 2203.15556, section 3.2 (Approach 2).
For each budget C train models of several sizes N, each on the D tokens that the budget leaves; the loss against ln N is
a parabola with its minimum at N_opt(C). Over budgets N_opt ∝ C^a and D_opt ∝ C^b (Table 2: a = 0.49, b = 0.51).

Serves: chinchilla/isoflop_params_exponent, chinchilla/isoflop_data_exponent. One trial is one training run.

Hardware and time: `smoke` seconds, `cpu` minutes on 2 cores, `gpu` laid out for one large GPU; see the study's notes.

Deviations from the paper: bytes instead of 32,000 SentencePiece tokens; Python source or books instead of MassiveText; a
plain GPT (rotary positions, tied embedding) instead of Gopher's relative positions; budgets smaller by 10⁶ to 10⁹.
"""

import contextlib
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from repro.lab.gpt import GPT, GPTShape
from repro.lab.optim import adamw, warmup_cosine
from repro.lab.seeding import derived_seed, seed_all
from repro.lab.text import VOCABULARY, Corpus, corpus, training_batches, validation_batches
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One training run, and at the end the layout of all of them."""

    source: str = "stdlib"
    """Text: `stdlib`, the running Python's own standard library, or the id of a data set that the study lists."""
    budget: float = 5e10
    """Training compute C, in FLOPs."""
    n_layer: int = 1
    """Blocks, L."""
    d_model: int = 16
    """Width, d."""
    d_head: int = 8
    """Width of a head, the same at every size."""
    context: int = 64
    """Tokens in a sequence, S."""
    reference_params: float = 2e4
    """The size at which `batch_tokens` and `lr` hold."""
    batch_tokens: float = 1065.0
    """Tokens in a batch at the reference size; 1065 at 20,000 parameters is 160 · 2048 at 108 million."""
    batch_exponent: float = 2 / 3
    """The batch grows as N to this power (after Porian et al., arXiv 2406.19146)."""
    min_steps: int = 400
    """A run has at least so many steps; its batch shrinks until it does."""
    lr: float = 0.02
    """Peak learning rate at the reference size."""
    lr_exponent: float = -1 / 3
    """The peak learning rate changes as N to this power (after Porian et al.)."""
    warmup_share: float = 0.05
    """Warm-up lasts min(N tokens, this share of D)."""
    warmup_steps: int = 0
    """If not 0, every run warms up over so many steps instead, as in Kaplan et al."""
    final_lr: float = 0.1
    """The cosine ends at this share of the peak, exactly at D."""
    beta2: float = 0.99
    """Decay rate of AdamW's second moment."""
    weight_decay: float = 0.1
    """Of matrices."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    validation_share: float = 0.05
    """Share of the documents that is held out."""
    eval_tokens: int = 131_072
    """Held-out tokens that the final loss is averaged over, the same for every run."""
    compile: bool = False
    """Compile the model (pays on a GPU)."""
    threads: int = 1
    """CPU threads; more than one slows models this small."""
    seed: int = 0
    """Of the weights and of the order of the text."""
    run: int = 0
    """Number of the run among those with the same budget, size and seed."""

    budgets: tuple[float, ...] = (5e10,)
    """Layout: the budgets, in FLOPs."""
    widths: tuple[int, ...] = (8, 16)
    """Layout: widths of the ladder of sizes, smallest first."""
    depths: tuple[int, ...] = (1, 1)
    """Layout: the number of blocks at each width."""
    first_size: tuple[int, ...] = (0,)
    """Layout: for each budget the rung of the ladder at which its sizes start."""
    sizes: int = 2
    """Layout: sizes at each budget, one a rung."""
    runs: tuple[int, ...] = (1,)
    """Layout: runs of each size, for each budget."""
    max_budgets: int = 0
    """Layout: only so many of the smallest budgets, if not 0."""
    max_runs: int = 0
    """Layout: only so many runs of each size, if not 0."""


def design(config: Config) -> list[dict[str, Any]]:
    """Lay out the runs: for each budget, `sizes` rungs of the ladder of shapes.

    The fields of the layout are emptied in every run, so that changing the layout leaves the keys of equal runs equal.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    if not len(config.budgets) == len(config.first_size) == len(config.runs):
        raise ValueError("budgets, first_size and runs must be equally long")
    if len(config.widths) != len(config.depths):
        raise ValueError("widths and depths must be equally long")
    if max(config.first_size) + config.sizes > len(config.widths):
        raise ValueError(f"the ladder has {len(config.widths)} rungs, too few for first_size {config.first_size}")
    emptied = {"budgets": (), "widths": (), "depths": (), "first_size": (), "runs": ()}
    emptied |= {"sizes": 0, "max_budgets": 0, "max_runs": 0}
    budgets = list(zip(config.budgets, config.first_size, config.runs, strict=True))
    return [
        {"budget": budget, "n_layer": config.depths[rung], "d_model": config.widths[rung], "run": run, **emptied}
        for budget, first, runs in budgets[: config.max_budgets or None]
        for rung in range(first, first + config.sizes)
        for run in range(min(runs, config.max_runs or runs))
    ]


def cost(config: Config) -> float:
    """Return the training FLOPs of a run."""
    return config.budget


def shape_of(config: Config) -> GPTShape:
    """Return the model's shape."""
    return GPTShape(config.n_layer, config.d_model, config.d_head, config.context, VOCABULARY)


def flops_per_token(shape: GPTShape) -> float:
    """Return training FLOPs a token: 6 for each matrix weight, head included, and 6·L·S·d for causal attention.

    Forward, a weight costs 2 and attention's two products 2·(2·S·d), half of which the causal mask leaves; backward
    costs twice as much. The embedding is a lookup, but it is tied to the head, which is a product.
    """
    return 6.0 * shape.matrix_parameters + 6.0 * shape.n_layer * shape.context * shape.d_model


@dataclass(frozen=True)
class Schedule:
    """What budget and size leave of a run."""

    steps: int
    batch: int
    """Sequences."""
    warmup: int
    """Steps."""
    peak: float
    """Learning rate."""


def schedule_of(config: Config) -> Schedule:
    """Return steps, batch and learning rate from C and N, so that steps · batch · S is D = C / (FLOPs per token).

    Where `min_steps` makes the batch smaller than the rule has it, the learning rate shrinks with its square root
    (Malladi et al., arXiv 2205.10287, for Adam).
    """
    shape = shape_of(config)
    d = config.budget / flops_per_token(shape)
    relative_size = shape.parameters / config.reference_params
    wanted = config.batch_tokens * relative_size**config.batch_exponent
    batch = max(1, math.floor(min(wanted, d / config.min_steps) / config.context))
    steps = max(1, round(d / (batch * config.context)))
    warmup_tokens = min(float(shape.parameters), config.warmup_share * d)
    warmup = config.warmup_steps or max(1, round(warmup_tokens / (batch * config.context)))
    shrunk = min(1.0, batch * config.context / wanted)
    peak = config.lr * relative_size**config.lr_exponent * shrunk**0.5
    return Schedule(steps, batch, warmup, peak)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model on its share of the budget and return its held-out loss.

    Returns:
        `budget` (FLOPs asked for) and `flops` (spent); `params` (all), `params_non_embedding` (Kaplan's count);
        `tokens` (bytes trained on), `epochs` (of the text), `steps`, `batch_tokens`, `lr` (peak);
        `loss` (held-out, nats a token), `train_loss` (mean over the last twentieth of the steps, nats a token);
        `tokens_per_second`; `text_bytes` (both sides of the split) and `text_id` (first 12 hex digits of the text's
        sha256 as a number, because the standard library differs between Python versions).
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    text = load_text(config, context)
    shape, schedule = shape_of(config), schedule_of(config)
    seed_all("isoflop", config.seed, config.run)
    model = GPT(shape).to(context.device)
    step_loss = torch.compile(model) if config.compile else model
    on_gpu = context.device == "cuda"
    optimizer = adamw(
        model, lr=schedule.peak, betas=(0.9, config.beta2), weight_decay=config.weight_decay, fused=on_gpu
    )
    batches = training_batches(
        text.train.to(context.device),
        batch=schedule.batch,
        context=config.context,
        seed=derived_seed(config.seed, config.run),
    )

    # Losses stay on the device: reading one waits for it.
    losses = torch.zeros(schedule.steps, device=context.device)
    report_every = max(1, schedule.steps // 20)
    started = time.perf_counter()
    for step in range(schedule.steps):
        lr = warmup_cosine(
            step, steps=schedule.steps, warmup=schedule.warmup, peak=schedule.peak, final_share=config.final_lr
        )
        for group in optimizer.param_groups:
            group["lr"] = lr
        inputs, targets = next(batches)
        with autocast(context):
            loss = step_loss(inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses[step] = loss.detach()
        if (step + 1) % report_every == 0:
            recent = losses[step + 1 - report_every : step + 1].mean().item()
            context.log(step + 1, train_loss=recent, lr=lr)
            context.progress((step + 1) / schedule.steps)
            if not math.isfinite(recent):
                break
    seconds = time.perf_counter() - started

    tokens = float(schedule.steps * schedule.batch * config.context)
    return {
        "budget": config.budget,
        "flops": tokens * flops_per_token(shape),
        "params": float(shape.parameters),
        "params_non_embedding": float(shape.non_embedding_parameters),
        "tokens": tokens,
        "epochs": tokens / len(text.train),
        "steps": float(schedule.steps),
        "batch_tokens": float(schedule.batch * config.context),
        "lr": schedule.peak,
        "loss": held_out_loss(model, text.validation.to(context.device), config, context),
        "train_loss": losses[-report_every:].mean().item(),
        "tokens_per_second": tokens / seconds,
        "text_bytes": float(len(text.train) + len(text.validation)),
        "text_id": float(int(text.digest[:12], 16)),
    }


@torch.no_grad()
def held_out_loss(model: GPT, tokens: torch.Tensor, config: Config, context: Context) -> float:
    """Return the mean cross-entropy over the first `eval_tokens` held-out tokens, in nats a token."""
    total, count = 0.0, 0
    for inputs, targets in validation_batches(tokens, batch=64, context=config.context, limit=config.eval_tokens):
        with autocast(context):
            loss = model(inputs, targets)
        total, count = total + loss.item() * targets.numel(), count + targets.numel()
    return total / count


def load_text(config: Config, context: Context) -> Corpus:
    """Return the text that `source` names, split by document."""
    path = None if config.source == "stdlib" else context.data(config.source)
    return corpus(path, config.validation_share)


def autocast(context: Context) -> contextlib.AbstractContextManager[Any]:
    """Run matrix products in bfloat16 where the scale asks for it; weights and optimiser stay in float32."""
    if context.precision == "bfloat16":
        return torch.autocast(context.device, dtype=torch.bfloat16)
    return contextlib.nullcontext()


if __name__ == "__main__":
    print(run(Config(budget=2e9), Context()))
