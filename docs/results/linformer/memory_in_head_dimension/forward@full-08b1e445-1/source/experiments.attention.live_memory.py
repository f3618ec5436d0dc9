"""What a call of attention costs in memory: softmax attention, plain and fused, and the mechanisms meant to be cheaper.

Papers: as in `cost.py`. The count is exact: bytes of all tensors alive at once, not what the process holds, so it is the same
on every machine. With `shapes_only` no number is computed: tensors have shapes and no contents, which reaches any length.

Serves: linformer/memory_saving, linformer/linear_memory and the memory exponents of other mechanisms. One trial is one
mechanism at several lengths; one row a length.

Hardware and time: seconds; with `shapes_only` at any length, otherwise up to 8192 tokens on a CPU.

Deviations: one sequence; no mask and no dropout; a kernel's own scratch space is no tensor and is not counted, which matters for
the fused kernel (on a GPU the allocator's peak is reported beside it).
"""

from dataclasses import dataclass

import torch

from experiments.attention.mechanisms import MECHANISMS, computation_of
from repro.lab.memory import LiveStorage
from repro.lab.seeding import seed_all
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One mechanism at several lengths."""

    mechanism: str = "softmax"
    """`softmax` (as written), `fused` (one kernel), `linformer`, `linformer_fused`, `performer` or `lsh`."""
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096)
    """Tokens in a sequence, n; one row each."""
    heads: int = 1
    """Attention heads; the width is heads · d_head."""
    d_head: int = 64
    """Width of a head, d."""
    d_ff: int = 0
    """Inner width of the feed-forward part of a whole layer; 0 counts attention alone."""
    k: int = 128
    """Linformer: projected length."""
    m: int = 256
    """Performer: random features."""
    chunk: int = 64
    """Reformer: tokens in a chunk of the sorted sequence."""
    hashes: int = 4
    """Reformer: rounds of hashing."""
    backward: bool = False
    """Include what is kept for the backward pass, and the pass itself; without it gradients are off."""
    shapes_only: bool = False
    """Count shapes on torch's device without memory; the fused kernel then counts as the one for CPUs."""
    seed: int = 0
    """Of inputs, weights, features and rotations."""


DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Count the bytes of one mechanism at every length.

    Returns:
        A row a length: `length` (n); `extra_bytes`, the most that was live beyond inputs and weights while one sequence was
        processed; `sequence_bytes`, the same with the inputs, which is what each further sequence of a batch takes; `peak_bytes`,
        the same with inputs and weights; on a GPU also `allocator_bytes`, the allocator's own peak, kernels' scratch space
        included.

    Raises:
        ValueError: if the mechanism is unknown.
    """
    seed_all("attention", config.seed)
    rows = []
    for done, length in enumerate(config.lengths, start=1):
        rows.append({"length": float(length), **peak(config, context, length)})
        context.progress(done / len(config.lengths))
    return rows


def peak(config: Config, context: Context, n: int) -> dict[str, float]:
    """Return the peak of live bytes while one sequence of n tokens is processed."""
    on_gpu = context.device == "cuda" and not config.shapes_only
    device = "meta" if config.shapes_only else context.device
    compute, inputs, learned = computation_of(config, 1, n, device, DTYPES[context.precision], config.backward)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with LiveStorage(already_live=(*inputs, *learned)) as live, torch.set_grad_enabled(config.backward):
        before = live.current_bytes
        output = compute()
        if config.backward:
            of = [tensor for tensor in (*inputs, *learned) if tensor.requires_grad]
            # Reformer has no keys of its own, so nothing reaches those given.
            torch.autograd.grad(output, of, torch.ones_like(output), allow_unused=True)
    extra = live.peak_bytes - before
    row = {
        "extra_bytes": float(extra),
        "sequence_bytes": float(extra + sum(tensor.numel() * tensor.element_size() for tensor in inputs)),
        "peak_bytes": float(live.peak_bytes),
    }
    if on_gpu:
        row["allocator_bytes"] = float(torch.cuda.max_memory_allocated())
    return row


if __name__ == "__main__":
    for name in MECHANISMS:
        print(name, {int(row["length"]): int(row["extra_bytes"]) for row in run(Config(mechanism=name), Context())})
