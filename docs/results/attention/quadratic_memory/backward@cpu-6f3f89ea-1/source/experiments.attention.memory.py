"""How the memory of attention grows with the length of the sequence.

Paper: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, equation 1, softmax(QKᵀ/√d)V: QKᵀ holds n² pairs.
Two controls compute without storing them: the same function in one fused kernel (Dao et al., arXiv 2205.14135, Theorem 1:
O(n) additional memory) and linear attention (Katharopoulos et al., arXiv 2006.16236, equations 5 and 7).

Serves: attention/quadratic_memory. One trial is one variant at all lengths; one row a length. The count is exact: the bytes
of all tensors alive at once, not what the process holds, so it is the same on every machine.

Hardware and time: `cpu` seconds and 0.6 GB for n up to 8192; `gpu` laid out for n up to 65,536 (17 GB in bfloat16).

Deviations: attention alone, without projections, mask and dropout, one sequence and one head; a kernel's own scratch space
is no tensor and is not counted, which matters for the fused kernel (on a GPU the allocator's peak is reported beside it).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from repro.lab.memory import LiveStorage
from repro.lab.seeding import seed_all
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One variant at several lengths."""

    variant: str = "softmax"
    """`softmax` (equation 1 as written), `fused` (one kernel) or `linear` (feature maps)."""
    lengths: tuple[int, ...] = (512, 1024, 2048, 4096)
    """Tokens in a sequence, n; one row each."""
    heads: int = 1
    """Attention heads; the width is heads · d_head."""
    d_head: int = 64
    """Width of a head, d."""
    backward: bool = False
    """Include what is kept for the backward pass, and the pass itself; without it gradients are off."""
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


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Measure one variant at every length.

    Returns:
        A row a length: `length` (n); `extra_bytes`, the most that was live beyond the inputs while one sequence was
        processed; `peak_bytes`, the same with the inputs; on a GPU also `allocator_bytes`, the allocator's own peak,
        kernels' scratch space included.

    Raises:
        ValueError: if the variant is unknown.
    """
    if config.variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {config.variant!r}")
    seed_all("attention", config.seed)
    rows = []
    for done, length in enumerate(config.lengths, start=1):
        rows.append({"length": float(length), **peak(config, context, length)})
        context.progress(done / len(config.lengths))
    return rows


def peak(config: Config, context: Context, n: int) -> dict[str, float]:
    """Return the peak of live bytes while one sequence of n tokens is processed."""
    shape, dtype = (1, config.heads, n, config.d_head), DTYPES[context.precision]
    q, k, v = (torch.randn(shape, device=context.device, dtype=dtype, requires_grad=config.backward) for _ in range(3))
    on_gpu = context.device == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with LiveStorage(already_live=(q, k, v)) as live, torch.set_grad_enabled(config.backward):
        inputs = live.current_bytes
        output = VARIANTS[config.variant](q, k, v)
        if config.backward:
            torch.autograd.grad(output, (q, k, v), torch.ones_like(output))
    row = {"extra_bytes": float(live.peak_bytes - inputs), "peak_bytes": float(live.peak_bytes)}
    if on_gpu:
        row["allocator_bytes"] = float(torch.cuda.max_memory_allocated())
    return row


if __name__ == "__main__":
    for name in VARIANTS:
        print(name, {int(row["length"]): int(row["extra_bytes"]) for row in run(Config(variant=name), Context())})
