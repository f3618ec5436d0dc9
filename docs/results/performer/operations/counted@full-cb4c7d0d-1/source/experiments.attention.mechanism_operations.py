"""Exact operation counts of the mechanisms that the cost recipes time, so that an exponent of the clock has one of the count beside it.

Papers: Wang et al., arXiv 2006.04768, equation 7; Choromanski et al., arXiv 2009.14794, section 2; Kitaev et al., arXiv
2001.04451, section 2; Hua et al., arXiv 2202.10447, sections 2 and 3. For n tokens and heads of width d:

    Linformer, projected length k    n·k·d
    Performer, m features            n·m·d
    Reformer, r rounds, chunks C     n·r·C·d, and what hashing into about n/C buckets takes
    FLASH, chunks C                  n·C·(s + e) inside the chunks, n·s·e across them; FLASH-Quad n²·(s + e)

Serves: linformer/operations, performer/operations, reformer/operations, flash/operations. (Softmax attention's are in
`operations.py`.) Nothing is timed; torch's FLOP counter counts products. Hardware and time: any CPU, seconds.

Deviations: an exponent is read between a size and eight times that size, where a power gives it exactly. Sorting, exponentials and
sums are no products and are not counted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.attention.flash import mixed_chunk_attention, relu_squared_attention
from experiments.attention.mechanisms import computation_of
from repro.lab.seeding import seed_all
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """A mechanism, and the sizes from which exponents are read up to eight times as much."""

    mechanism: str = "linformer"
    """`linformer`, `performer`, `lsh`, `flash` or `flash_quad`."""
    n: int = 8192
    """Smallest number of tokens: long enough for Reformer to hash in two steps, and for 32 chunks of FLASH."""
    d_head: int = 32
    """Smallest width of a head, d; FLASH's s, and half of its e."""
    k: int = 32
    """Linformer: smallest projected length."""
    m: int = 32
    """Performer: fewest random features."""
    chunk: int = 64
    """Reformer and FLASH: tokens of a chunk."""
    hashes: int = 2
    """Reformer: fewest rounds of hashing."""
    heads: int = 1
    """Attention heads."""
    d_ff: int = 0
    """0: attention alone; else the inner width of the layer around it, whose projections cost d² products a token."""
    seed: int = 0
    """Of inputs, on which nothing depends."""


SIZES = {
    "linformer": {"n": "n", "d": "d_head", "k": "k"},
    "performer": {"n": "n", "d": "d_head", "m": "m"},
    "lsh": {"n": "n", "d": "d_head", "rounds": "hashes"},
    "flash": {"n": "n"},
    "flash_quad": {"n": "n"},
}
"""What the operations of a mechanism are a power of, with the fields of the config; FLASH's are no power of its widths."""


def operations(config: Config) -> int:
    """Return the FLOPs of the products of one forward pass over one sequence."""
    if config.mechanism.startswith("flash"):
        compute = gated_attention(config)
    else:
        compute, _, _ = computation_of(config, 1, config.n, "cpu", torch.float32, backward=False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute()
    return counter.get_total_flops()


def gated_attention(config: Config) -> Callable[[], torch.Tensor]:
    """Return a call of mixed chunk attention, or of the one with every pair, on random inputs; s = d, e = 2d."""
    n, d = config.n, config.d_head
    q, k, q_far, k_far = torch.randn(4, 1, n, d)
    v = torch.randn(1, n, 2 * d)
    if config.mechanism == "flash_quad":
        return lambda: relu_squared_attention(q, k, v, torch.zeros(n, n))
    b = torch.zeros(config.chunk, config.chunk)
    return lambda: mixed_chunk_attention(q, k, q_far, k_far, v, b, causal=False)


def exponent(config: Config, size: str) -> float:
    """Return d ln operations / d ln size between the config's size and eight times as much."""
    more = replace(config, **{size: 8 * getattr(config, size)})
    return math.log2(operations(more) / operations(config)) / 3


def run(config: Config, context: Context) -> dict[str, float]:
    """Count one mechanism.

    Returns:
        The exponents of the operations in `n`, and where they are a power of it in `d`, `k`, `m` or `rounds`.

    Raises:
        ValueError: if the mechanism is unknown.
    """
    if config.mechanism not in SIZES:
        raise ValueError(f"mechanism must be one of {', '.join(SIZES)}, not {config.mechanism!r}")
    if context.device == "cpu":
        torch.set_num_threads(1)
    seed_all("operations", config.seed)
    return {name: exponent(config, size) for name, size in SIZES[config.mechanism].items()}


if __name__ == "__main__":
    for name in SIZES:
        print(name, run(Config(mechanism=name, n=1024 if name == "flash_quad" else 8192), Context()))
