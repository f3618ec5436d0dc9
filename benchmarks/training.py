"""Training steps on the processor: models side by side against one after another, and ours against transformers' GPT-2.

Side by side: every model of at most 50,000 weights of the study `scaling_laws/isoflop` at scale `cpu`, with the batch that its
schedule gives it, and as many of them as `stack_size` chooses out of 16. Two ratios of model steps a second, one thread a
process, in seconds of the processor, so that other work on the machine counts little:

- `a core`: a stack against one after another, in one process;
- `all cores`: a stack in a process a core at the same time, as `executor=processes` runs them, against one after another in one.

GPT-2: as many blocks, widths, heads, tokens and sequences as ours, float32, one thread, no dropout, in nanoGPT's loop (forward,
cross-entropy, backward, clipping, AdamW, which is not the fused one on a processor; with that in brackets). Both have what
`keep_freed_memory` gives, so that only the step differs.

Run: python -m benchmarks training
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import torch
from torch.nn.functional import cross_entropy

from experiments.scaling_laws import language_model
from experiments.scaling_laws.language_model import Config, adamw, model_of, schedule_of, shape_of, training_step
from repro.catalog.load import load_scale, load_study
from repro.lab.allocator import keep_freed_memory
from repro.launch.planning.layout import lay_out
from repro.launch.running.trials import config_of
from repro.schema.context import Context

ROUNDS, LARGEST, STACK = 5, 50_000, 16
ROUND_S = 0.25
"""Seconds of each timing, at least."""
STACKED_AIM, STEP_AIM = 2.0, 1.0
"""Ratios that the project asks of itself."""
SMALL = Config(tokens=1e6, batch_tokens=640.0, batch_exponent=0.0, d_model=16)
MEDIUM = Config(tokens=1e6, batch_tokens=768.0, batch_exponent=0.0, n_layer=4, d_model=128, d_head=32)
"""What nanoGPT's README trains on a processor: 4 layers of width 128, 12 sequences of 64 tokens."""
PLAIN = {
    "10,000 weights": replace(SMALL, positions="learned"),
    "10,000 weights, ours with rotary positions": SMALL,
    "nanoGPT's settings for a processor": replace(MEDIUM, positions="learned"),
    "nanoGPT's settings for a processor, ours with rotary positions": MEDIUM,
}
"""Shapes of the comparison with GPT-2, which has learned positions (and biases)."""


def cells() -> list[Config]:
    """Return one config for each small model and batch of the study."""
    specs = lay_out(load_study("scaling_laws/isoflop"), load_scale("cpu"), [0])
    configs = [config_of(language_model, spec) for spec in specs]
    small = [each for each in configs if shape_of(each).parameters <= LARGEST]
    return list({(shape_of(each), schedule_of(each).batch): each for each in small}.values())


def our_step(config: Config, models: int) -> Callable[[], object]:
    """Return a training step of the recipe, for so many models."""
    context, batch = Context(), schedule_of(config).batch
    model = model_of(config, range(models), context)
    text = torch.randint(config.vocabulary, (100_000,), generator=torch.Generator().manual_seed(0))
    step = training_step(model, adamw(model, [config] * models, context), text, config, batch, context)
    starts = torch.randint(len(text) - config.context - 1, (models, batch))
    rates = torch.full((models, 1), 1e-3)
    return lambda: step(starts, rates)


def gpt2_step(config: Config, fused: bool) -> Callable[[], object]:
    """Return a training step of transformers' GPT-2 of the same shape."""
    from transformers import GPT2Config, GPT2LMHeadModel

    shape, batch = shape_of(config), schedule_of(config).batch
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocabulary,
            n_positions=shape.context,
            n_embd=shape.d_model,
            n_layer=shape.n_layer,
            n_head=shape.d_model // shape.d_head,
            activation_function="gelu",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    decays, others = [[p for p in model.parameters() if (p.ndim > 1) is matrix] for matrix in (True, False)]
    groups = [{"params": decays, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=fused)
    window = torch.randint(shape.vocabulary, (batch, shape.context + 1))

    def step() -> None:
        logits = model(window[:, :-1]).logits
        loss = cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def seconds(step: Callable[[], object]) -> float:
    """Return seconds of the processor a step, after one to warm up."""
    step()
    began, waited, steps = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - waited < ROUND_S:
        step()
        steps += 1
    return (time.process_time() - began) / steps


def model_seconds(config: Config, models: int) -> float:
    """Return seconds a model and step; what a process of the pool is given to do."""
    keep_freed_memory()
    torch.set_num_threads(1)
    return seconds(our_step(config, models)) / models


def median_ratio(pairs: list[tuple[float, float]]) -> float:
    """Return the median of the ratios of pairs that were timed one right after the other."""
    return statistics.median(a / b for a, b in pairs)


def side_by_side(cores: int) -> None:
    """Print the gain of a stack for each model and batch, and over all of them."""
    print(f"training side by side: models of isoflop, scale cpu, at most {LARGEST:,} weights; {cores} cores")
    totals: dict[str, list[float]] = {}
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        for config in cells():
            models = language_model.stack_size([config] * STACK, Context())
            one, many = our_step(config, 1), our_step(config, models)
            core, processes = [], []
            for _ in range(ROUNDS):
                alone = seconds(one)
                core.append((alone, seconds(many) / models))
                shares = pool.map(model_seconds, [config] * cores, [models] * cores)
                processes.append((alone, 1 / sum(1 / share for share in shares)))
            batch, found = schedule_of(config).batch * config.context, []
            for name, pairs in (("a core", core), ("all cores", processes)):
                found.append(f"{name} {median_ratio(pairs):.2f}")
                sums = totals.setdefault(name, [0.0, 0.0])
                for side in (0, 1):
                    sums[side] += schedule_of(config).steps * statistics.median(pair[side] for pair in pairs)
            each = statistics.median(pair[0] for pair in core), statistics.median(pair[1] for pair in core)
            print(
                f"  {shape_of(config).parameters:6,} weights, {batch:4} tokens a batch, {models:2} side by side: "
                f"{each[0] * 1e3:.2f} ms against {each[1] * 1e3:.2f} ms; {', '.join(found)}"
            )
    text = ", ".join(f"{name} {alone / together:.2f}" for name, (alone, together) in totals.items())
    print(f"training side by side, time of one run of each: {text} times as fast (aim {STACKED_AIM})")


def against_gpt2() -> None:
    """Print our step against that of transformers' GPT-2."""
    torch.set_num_threads(1)
    for name, config in PLAIN.items():
        try:
            plain, fused = (gpt2_step(config, fused=each) for each in (False, True))
        except ImportError:
            print("training step against GPT-2: transformers is not installed (pip install 'repro-tracker[bench]')")
            return
        ours = our_step(config, 1)
        timed = [(seconds(plain), seconds(ours), seconds(fused)) for _ in range(ROUNDS)]
        tokens = schedule_of(config).batch * config.context
        theirs_s, ours_s, _ = (statistics.median(times) for times in zip(*timed, strict=True))
        print(
            f"training step, {name}: {median_ratio([(a, b) for a, b, _ in timed]):.2f} times transformers' GPT-2 (at least "
            f"{STEP_AIM}; with fused AdamW {median_ratio([(c, b) for _, b, c in timed]):.2f}); {tokens / ours_s:,.0f} tokens a second "
            f"against {tokens / theirs_s:,.0f}, {tokens} tokens a batch, float32, one thread"
        )


def main() -> None:
    """Print the ratios."""
    keep_freed_memory()
    against_gpt2()
    side_by_side(os.cpu_count() or 1)


if __name__ == "__main__":
    main()
