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
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from experiments.scaling_laws.training_run import (
    Config,
    evaluation_shares,
    flops_per_token,
    learning_rates,
    schedule_of,
    shape_of,
)
from repro.lab.allocator import keep_freed_memory
from repro.lab.corpora import carry_tokens, data_sets, load_tokens
from repro.lab.cuda_graph import replayed
from repro.lab.gpt import GPT, initial_weights
from repro.lab.mup import decay_scales, logit_scale, lr_scales
from repro.lab.optim import StackedAdamW
from repro.lab.seeding import derived_seed, generator
from repro.lab.throughput import fastest_stack, throughput
from repro.lab.timing import time_call
from repro.lab.tokens import Tokens, Windows, gather, held_out
from repro.schema.context import Context


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


def model_of(config: Config, seeds: Sequence[int], context: Context) -> GPT:
    """Return a stack of untrained models, one for each seed."""
    shape, parametrization = shape_of(config), (config.parametrization, config.base_width)
    rows = initial_weights(shape, seeds, *parametrization).to(context.device)
    model = GPT(shape, rows, logit_scale(shape, *parametrization))
    if config.compile:
        model.compile_parts()
    return model


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
