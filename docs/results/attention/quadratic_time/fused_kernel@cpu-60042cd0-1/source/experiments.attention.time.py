"""How the time of attention grows with the length of the sequence.

Paper: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, equation 1, softmax(QKᵀ/√d)V: n tokens make n² pairs
(Table 1: O(n²·d) operations a layer). Beside it the same function in one fused kernel (Dao et al., arXiv 2205.14135), whose
time is quadratic too, and as the control linear attention (Katharopoulos et al., arXiv 2006.16236, equations 5 and 7),
which replaces the exponential by a product of feature maps, so that no pair is ever formed.

Serves: attention/quadratic_time. One trial is one variant at one length; the planner runs all lengths once before any
length a second time, so that a machine that slows down slows all of them.

Hardware and time: `cpu` under a minute on one core for n up to 4096; `gpu` laid out for n up to 65,536.

Deviations: attention alone, without projections, mask and dropout; normal random inputs; on a CPU the clock counts the
seconds that this process computed on its one thread, so that other programs lengthen no timing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from repro.lab.seeding import seed_all
from repro.lab.timing import time_call
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One point: a variant at a length."""

    variant: str = "softmax"
    """`softmax` (equation 1 as written), `fused` (one kernel) or `linear` (feature maps)."""
    n: int = 1024
    """Tokens in a sequence."""
    heads: int = 1
    """Attention heads; the width is heads · d_head."""
    d_head: int = 64
    """Width of a head, d."""
    tokens: int = 24_576
    """Batch · n, held constant so that short sequences fill the machine as well as long ones."""
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
    """Of the inputs."""


def softmax_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Vaswani et al., equation 1, as written: all n² pairs are stored. `[B, H, n, d]` three times to `[B, H, n, d]`."""
    pairs = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return torch.softmax(pairs, dim=-1) @ v


def fused_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The same function in one kernel, which holds one tile of the pairs at a time. Shapes as above."""
    return F.scaled_dot_product_attention(q, k, v)


def linear_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Katharopoulos et al., equation 5 without a mask: φ(Q)(φ(K)ᵀV) over φ(Q)Σφ(K), with φ(x) = elu(x) + 1 (equation 7).

    Shapes as above. φ(K)ᵀV is d × d, whatever n is.
    """
    phi_q, phi_k = F.elu(q) + 1, F.elu(k) + 1
    normaliser = phi_q @ phi_k.sum(dim=-2).unsqueeze(-1)
    return phi_q @ (phi_k.transpose(-2, -1) @ v) / normaliser


VARIANTS = {"softmax": softmax_attention, "fused": fused_attention, "linear": linear_attention}

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


def run(config: Config, context: Context) -> dict[str, float]:
    """Time one variant at one length.

    Returns:
        `seconds` a sequence (median of the timings; CPU seconds, or seconds on the GPU), `seconds_low` and `seconds_high` a sequence (fastest and slowest
        timing), `batch` (sequences in a call), `loops` (calls in a timing).

    Raises:
        ValueError: if the variant is unknown, or n does not divide the tokens of a call.
    """
    if config.variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {config.variant!r}")
    batch, rest = divmod(config.tokens, config.n)
    if rest:
        raise ValueError(f"n must divide the {config.tokens} tokens of a call, and {config.n} does not")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)

    seed_all("attention", config.seed)
    shape, dtype = (batch, config.heads, config.n, config.d_head), DTYPES[context.precision]
    q, k, v = (torch.randn(shape, device=context.device, dtype=dtype, requires_grad=config.backward) for _ in range(3))
    timings = time_call(
        call_of(VARIANTS[config.variant], q, k, v, config.backward),
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


def call_of(
    attention: Callable[..., torch.Tensor], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, backward: bool
) -> Callable[[], None]:
    """Return the call that is timed: forward, or forward and backward."""

    def forward() -> None:
        with torch.no_grad():
            attention(q, k, v)

    def forward_and_backward() -> None:
        output = attention(q, k, v)
        torch.autograd.grad(output, (q, k, v), torch.ones_like(output))

    return forward_and_backward if backward else forward


if __name__ == "__main__":
    for length in (512, 1024, 2048, 4096):
        times = {name: run(Config(variant=name, n=length), Context())["seconds"] for name in VARIANTS}
        print(f"n = {length}:", ", ".join(f"{name} {seconds * 1e3:.3f} ms" for name, seconds in times.items()))
