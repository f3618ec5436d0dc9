"""What a gated attention unit of FLASH or of FLASH-Quad costs in memory, by length of the context.

Paper: Hua et al., "Transformer Quality in Linear Time", arXiv 2202.10447, sections 2 (gated attention unit, all pairs) and 3 (mixed
chunk attention). The count is exact: bytes of all tensors alive at once beyond inputs and weights, not what the process holds, so
it is the same on every machine. With `shapes_only` no number is computed, which reaches any length.

Serves: flash/linear_memory. One trial is one model at several lengths; one row a length.

Hardware and time: seconds; with `shapes_only` at any length, otherwise up to some thousand tokens on a CPU.

Deviations: see `flash`; one sequence and one unit, no dropout; a kernel's own scratch space is no tensor and is not counted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.attention.flash import GatedAttentionUnit, distances, mixed_chunk_attention, relu_squared_attention
from repro.lab.memory import LiveStorage
from repro.lab.seeding import seed_all
from repro.schema.context import Context

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


@dataclass(frozen=True)
class Config:
    """One model at several lengths."""

    model: str = "flash"
    """`flash` (pairs in chunks, sums across them) or `flash_quad` (all pairs)."""
    whole: bool = True
    """Count a whole unit, from x to x + O; otherwise its attention alone, from queries, keys and values to V̂."""
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096)
    """Tokens in a sequence, T; one row each."""
    d: int = 64
    """Width; the inner width is e = 2d."""
    s: int = 32
    """Width of queries and keys."""
    chunk: int = 64
    """Tokens of a chunk, C; it divides every length."""
    causal: bool = True
    """A token sees only those before it."""
    backward: bool = False
    """Include what is kept for the backward pass, and the pass itself; without it gradients are off."""
    shapes_only: bool = False
    """Count shapes on torch's device without memory."""
    seed: int = 0
    """Of inputs and weights."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Count the bytes of one model at every length.

    Returns:
        A row a length: `length` (T); `extra_bytes`, the most that was live beyond inputs and weights while one sequence was
        processed; `peak_bytes`, the same with inputs and weights.

    Raises:
        ValueError: if there is no such model, or the chunk does not divide a length.
    """
    if config.model not in ("flash", "flash_quad"):
        raise ValueError(f"a model must be flash or flash_quad, not {config.model!r}")
    seed_all("flash_live_memory", config.seed)
    rows = []
    for done, length in enumerate(config.lengths, start=1):
        rows.append({"length": float(length), **peak(config, context, length)})
        context.progress(done / len(config.lengths))
    return rows


def peak(config: Config, context: Context, length: int) -> dict[str, float]:
    """Return the peak of live bytes while one sequence of that many tokens is processed."""
    device = torch.device("meta" if config.shapes_only else context.device)
    with device:
        compute, given = computation_of(config, length, DTYPES[context.precision])
    with LiveStorage(already_live=given) as live, torch.set_grad_enabled(config.backward):
        before = live.current_bytes
        output = compute()
        if config.backward:
            torch.autograd.grad(output, given, torch.ones_like(output))
    return {"extra_bytes": float(live.peak_bytes - before), "peak_bytes": float(live.peak_bytes)}


def computation_of(config: Config, length: int, dtype: torch.dtype) -> tuple[Callable[[], Tensor], tuple[Tensor, ...]]:
    """Return what is counted, on the current device, and its inputs and weights.

    A whole unit takes x `[1, T, d]`; attention alone takes Q, K (and Q', K' across chunks) `[1, T, s]`, V `[1, T, e]` and
    the position bias, one number a distance.
    """
    chunk = config.chunk if config.model == "flash" else 0
    if config.whole:
        unit = GatedAttentionUnit(config.d, config.s, length, config.causal, chunk).to(dtype)
        x = torch.randn(1, length, config.d, dtype=dtype, requires_grad=True)
        return lambda: unit(x), (x, *unit.parameters())

    kinds, span = (4, chunk) if chunk else (2, length)
    q, k, *far = (torch.randn(1, length, config.s, dtype=dtype, requires_grad=True) for _ in range(kinds))
    v = torch.randn(1, length, 2 * config.d, dtype=dtype, requires_grad=True)
    bias = torch.zeros(2 * span - 1, dtype=dtype, requires_grad=True)

    def attention() -> Tensor:
        b = distances(bias, span)  # [span, span]
        if config.causal:
            b = b + torch.full_like(b, -math.inf).triu(1)
        if not chunk:
            return relu_squared_attention(q, k, v, b)
        return mixed_chunk_attention(q, k, far[0], far[1], v, b, config.causal)

    return attention, (q, k, *far, v, bias)


if __name__ == "__main__":
    for name in ("flash", "flash_quad"):
        print(name, {int(row["length"]): int(row["extra_bytes"]) for row in run(Config(model=name), Context())})
