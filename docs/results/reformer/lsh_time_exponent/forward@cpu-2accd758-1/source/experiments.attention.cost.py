"""What a call of attention costs in time: softmax attention, plain and fused, and the mechanisms meant to be cheaper.

Papers: Vaswani et al., arXiv 1706.03762, equation 1 (softmax); Wang et al., arXiv 2006.04768, equation 7 (Linformer);
Choromanski et al., arXiv 2009.14794 (Performer, FAVOR+); Kitaev et al., arXiv 2001.04451 (Reformer, hashing). Attention alone
(`d_ff` = 0), or a whole encoder layer, as in Linformer's Table 3, which times a model.

Serves: linformer/inference_speedup, linformer/linear_time and the time exponents of other mechanisms. One trial is one
mechanism at one length; the planner runs all of them once before any a second time, so that a machine that slows down slows all.

Hardware and time: `cpu` minutes on one core; `gpu` laid out for n up to 65,536.

Deviations: no mask and no dropout; random weights and inputs; what a mechanism draws at random is drawn before the clock
starts; on a CPU the clock counts the seconds that this process computed on its one thread.
"""

import time
from dataclasses import dataclass

import torch

from experiments.attention.mechanisms import MECHANISMS, computation_of
from repro.lab.seeding import seed_all
from repro.lab.timing import time_call
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One point: a mechanism at a length."""

    mechanism: str = "softmax"
    """`softmax` (as written), `fused` (one kernel), `linformer`, `linformer_fused`, `performer` or `lsh`."""
    n: int = 1024
    """Tokens in a sequence."""
    heads: int = 1
    """Attention heads; the width is heads · d_head."""
    d_head: int = 64
    """Width of a head, d."""
    d_ff: int = 0
    """Inner width of the feed-forward part of a whole layer; 0 times attention alone."""
    tokens: int = 24_576
    """Batch · n, held constant so that short sequences fill the machine as well as long ones."""
    k: int = 128
    """Linformer: projected length."""
    m: int = 256
    """Performer: random features."""
    chunk: int = 64
    """Reformer: tokens in a chunk of the sorted sequence."""
    hashes: int = 4
    """Reformer: rounds of hashing."""
    backward: bool = False
    """Time the backward pass as well; without it gradients are off."""
    warmup: int = 1
    """Calls before the first timing."""
    timings: int = 3
    """Timings in this trial, of which the median counts; the study's replicates come on top."""
    min_loop_s: float = 0.02
    """Calls are repeated inside a timing until it lasts so long, in seconds."""
    threads: int = 1
    """CPU threads; with one, CPU seconds are those that a person would wait on an idle machine."""
    seed: int = 0
    """Of inputs, weights, features and rotations."""


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


def run(config: Config, context: Context) -> dict[str, float]:
    """Time one mechanism at one length.

    Returns:
        `seconds` a sequence (median of the timings; CPU seconds, or seconds on the GPU), `seconds_low` and `seconds_high` a
        sequence (fastest and slowest timing), `batch` (sequences in a call), `loops` (calls in a timing).

    Raises:
        ValueError: if the mechanism is unknown, or n does not divide the tokens of a call.
    """
    batch, rest = divmod(config.tokens, config.n)
    if rest:
        raise ValueError(f"n must divide the {config.tokens} tokens of a call, and {config.n} does not")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    seed_all("attention", config.seed)
    compute, inputs, learned = computation_of(
        config, batch, config.n, context.device, DTYPES[context.precision], config.backward
    )
    of = [tensor for tensor in (*inputs, *learned) if tensor.requires_grad]

    def call() -> None:
        with torch.set_grad_enabled(config.backward):
            output = compute()
        if config.backward:
            # Reformer has no keys of its own, so nothing reaches those given.
            torch.autograd.grad(output, of, torch.ones_like(output), allow_unused=True)

    timings = time_call(
        call,
        device=context.device,
        warmup=config.warmup,
        timings=config.timings,
        min_loop_s=config.min_loop_s,
        clock=time.process_time,
    )
    return {
        "seconds": timings.median / batch,
        "seconds_low": min(timings.seconds) / batch,
        "seconds_high": max(timings.seconds) / batch,
        "batch": float(batch),
        "loops": float(timings.loops),
    }


if __name__ == "__main__":
    for length in (512, 1024, 2048, 4096):
        times = {name: run(Config(mechanism=name, n=length), Context())["seconds"] for name in MECHANISMS}
        print(f"n = {length}:", ", ".join(f"{name} {seconds * 1e3:.3f} ms" for name, seconds in times.items()))
