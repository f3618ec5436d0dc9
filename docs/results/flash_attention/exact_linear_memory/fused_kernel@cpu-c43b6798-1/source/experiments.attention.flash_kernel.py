"""Does one fused kernel give the numbers of softmax attention, and how much memory does it take beside its inputs?

Paper: Dao et al., "FlashAttention", arXiv 2205.14135, Theorem 1: softmax(QKᵀ/√d)V exactly, in O(n²·d) operations and with O(n)
memory beyond inputs and output. torch's `scaled_dot_product_attention` is such a kernel: on a GPU FlashAttention's own
algorithm, on a CPU one that works through tiles in the same way. Without gradients it returns the output and keeps one
number a row.

Serves: flash_attention/exact_linear_memory. Errors are against equation 1 in float64 from the same rounded inputs, as the largest
difference over the largest |V|; memory is the most bytes alive beyond Q, K and V.

Hardware and time: `cpu` seconds; `gpu` laid out. Both formats belong to the claim, so the precision of the context is not used.

Deviations: exact in the paper means no approximation; rounding differs, within tolerances of the format. Random inputs, one
sequence, one head. On a CPU a kernel's own scratch space is not counted (measured apart: constant, see docs/papers/attention.md); on
a GPU the allocator's peak counts, which holds it.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from repro.lab.memory import LiveStorage
from repro.lab.seeding import seed_all
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One variant at several lengths."""

    variant: str = "fused"
    """`fused` (one kernel), `textbook` (equation 1 as written), or `window` (equation 1 of the nearest keys only)."""
    lengths: tuple[int, ...] = (1024, 2048, 4096)
    """Tokens n at which memory is measured; errors at the first."""
    d: int = 64
    """Width of the head."""
    window: int = 256
    """Keys on either side that `window` looks at."""
    seed: int = 0
    """Of the inputs."""


def textbook(q: Tensor, k: Tensor, v: Tensor, window: int | None = None) -> Tensor:
    """Return softmax(QKᵀ/√d)V of `[n, d]` with all pairs stored; `window` hides what is farther away."""
    pairs = q @ k.T * q.shape[-1] ** -0.5
    if window is not None:
        at = torch.arange(len(q), device=q.device)
        pairs = pairs.masked_fill((at - at[:, None]).abs() > window, -math.inf)
    return pairs.softmax(-1) @ v


def attention(config: Config, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the variant's output `[n, d]` of `[n, d]` three times.

    Raises:
        ValueError: if the variant is unknown.
    """
    if config.variant == "fused":
        return F.scaled_dot_product_attention(q[None, None], k[None, None], v[None, None])[0, 0]
    if config.variant in ("textbook", "window"):
        return textbook(q, k, v, config.window if config.variant == "window" else None)
    raise ValueError(f"variant must be fused, textbook or window, not {config.variant!r}")


def error(config: Config, device: str, dtype: torch.dtype) -> float:
    """Return max |output − exact| / max |V| at the first length, exact in float64 from the same inputs."""
    q, k, v = torch.randn(3, config.lengths[0], config.d, device=device).to(dtype)
    exact = textbook(q.double(), k.double(), v.double())
    return float((attention(config, q, k, v).double() - exact).abs().max() / v.double().abs().max())


def extra_bytes(config: Config, device: str, n: int) -> int:
    """Return the most bytes alive beyond Q, K and V `[n, d]` in bfloat16 (on a GPU the allocator's count)."""
    q, k, v = torch.randn(3, n, config.d, device=device).bfloat16()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    with LiveStorage(already_live=(q, k, v)) as live, torch.no_grad():
        inputs = live.current_bytes
        attention(config, q, k, v)
    return torch.cuda.max_memory_allocated() - before if device == "cuda" else live.peak_bytes - inputs


def run(config: Config, context: Context) -> dict[str, float]:
    """Measure errors in both formats and the growth of memory.

    Returns:
        `float32`, `bfloat16`: largest difference over the largest |V|; `memory_exponent`: d ln bytes / d ln n between the first
        and the last length; `bytes_per_token` at the last length.
    """
    if context.device == "cpu":
        torch.set_num_threads(1)
    seed_all("flash_kernel", config.seed)
    with torch.no_grad():
        row = {name: error(config, context.device, getattr(torch, name)) for name in ("float32", "bfloat16")}
    first, last = config.lengths[0], config.lengths[-1]
    sizes = [extra_bytes(config, context.device, n) for n in (first, last)]
    row["memory_exponent"] = math.log(sizes[1] / sizes[0]) / math.log(last / first)
    row["bytes_per_token"] = sizes[1] / last
    return row


if __name__ == "__main__":
    for variant in ("fused", "textbook", "window"):
        print(variant, run(Config(variant=variant, seed=1000), Context()))
