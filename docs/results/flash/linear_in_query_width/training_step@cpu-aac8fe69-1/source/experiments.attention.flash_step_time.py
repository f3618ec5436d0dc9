"""Time of a training step of FLASH, of FLASH-Quad and of a Transformer with as many weights, by length of the context.

Paper: Hua et al., "Transformer Quality in Linear Time", arXiv 2202.10447: FLASH's cost is linear in the context, FLASH-Quad's
quadratic (section 3), and training is up to 4.9 (Wiki-40B), 12.1 (PG-19) and 4.8 (C4, masked) times as fast as a Transformer's
at contexts of 512 to 8192 tokens (abstract).

Serves: flash/training_speedup, flash/half_the_speedup, flash/linear_time, flash/quadratic_time_of_quad. A step is forward, cross-entropy,
backward and AdamW on random tokens. One trial times one model at one context, and if a baseline is named that one too, in
turns with it. Two gated attention units stand for each layer of the Transformer, whose feed-forward part is 4·d wide.

Hardware and time: `cpu` minutes on one core; `gpu` laid out at the paper's size, 110 million weights and 8192 tokens.

Deviations: see `flash`; dropout and padding are left out; the Transformer has a norm before each part and learned positions,
as FLASH has here. On a CPU the clock counts the seconds that the process computed.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.attention.flash import GatedAttentionModel
from repro.lab.allocator import keep_freed_memory
from repro.lab.seeding import seed_all
from repro.lab.timing import time_call
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}


@dataclass(frozen=True)
class Config:
    """One point: a model at a context."""

    model: str = "flash"
    """`flash`, `flash_quad`, `transformer` (fused attention) or `textbook` (all pairs stored)."""
    baseline: str = "none"
    """Another of these, timed in turns with the model, or `none`."""
    n: int = 1024
    """Context, in tokens."""
    tokens: int = 4096
    """Tokens of a step, held constant; n divides them."""
    layers: int = 1
    """Layers of the Transformer; twice as many gated attention units."""
    d: int = 64
    """Width."""
    heads: int = 1
    """Heads of the Transformer."""
    s: int = 32
    """Width of queries and keys of a gated attention unit."""
    chunk: int = 64
    """Tokens of a chunk, C."""
    vocabulary: int = 256
    """Tokens there are."""
    causal: bool = True
    """Autoregressive, or else masked as C4's model is: every token sees every other."""
    compile: bool = False
    """Compile the models' forward and backward."""
    warmup: int = 1
    """Steps before the first timing."""
    timings: int = 3
    """Timings of each, in turns; the median counts."""
    min_loop_s: float = 0.02
    """Steps are repeated inside a timing until it lasts so long, in seconds."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Of weights and tokens."""


class TextbookAttention(nn.Module):
    """The Transformer's attention with every pair stored (Vaswani et al., equation 1)."""

    def __init__(self, d: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.query_key_value, self.output = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, d]` to `[B, T, d]`."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # [B, h, T, d/h]
        pairs = (q * q.shape[-1] ** -0.5) @ k.mT
        if self.causal:
            after = torch.ones(pairs.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
            pairs = pairs.masked_fill(after, float("-inf"))
        return self.output((pairs.softmax(-1) @ v).transpose(1, 2).flatten(2))


def model_of(name: str, config: Config) -> nn.Module:
    """Return the model of that name: tokens `[B, n]` to logits `[B, n, V]`.

    Raises:
        ValueError: if there is none of that name.
    """
    if name in ("flash", "flash_quad"):
        chunk = config.chunk if name == "flash" else 0
        return GatedAttentionModel(
            2 * config.layers, config.d, config.s, config.vocabulary, config.n, config.causal, chunk
        )
    shape = TransformerShape(
        config.layers, config.d, config.heads, 4 * config.d, config.n, config.vocabulary, config.causal,
        norm="pre", positions="learned",
    )  # fmt: skip
    if name == "transformer":
        return Transformer(shape)
    if name == "textbook":
        return Transformer(shape, lambda: TextbookAttention(config.d, config.heads, config.causal))
    raise ValueError(f"a model must be one of flash, flash_quad, transformer, textbook, not {name!r}")


def step_of(model: nn.Module, tokens: Tensor, targets: Tensor, compiled: bool) -> Callable[[], None]:
    """Return the training step that is timed; tokens and targets `[B, n]`."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    forward = torch.compile(model) if compiled else model

    def step() -> None:
        loss = F.cross_entropy(forward(tokens).flatten(0, 1).float(), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def run(config: Config, context: Context) -> dict[str, float]:
    """Time one model at one context, and its baseline.

    Returns:
        `seconds` a sequence of n tokens in a training step (median; CPU seconds, or seconds on the GPU), `seconds_low` and
        `seconds_high` (fastest and slowest timing), `batch` (sequences in a step), `parameters`; with a baseline `baseline_seconds`, `baseline_parameters`
        and `speedup` (baseline's seconds over the model's: median of the ratios of neighbouring timings).

    Raises:
        ValueError: if n does not divide the tokens of a step, or a model is unknown.
    """
    batch, rest = divmod(config.tokens, config.n)
    if rest or not batch:
        raise ValueError(f"n must divide the {config.tokens} tokens of a step, and {config.n} does not")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
        keep_freed_memory()  # fresh pages for every array of pairs would cost the long contexts more than the short ones

    seed_all("flash", config.seed)
    tokens, targets = torch.randint(config.vocabulary, (2, batch, config.n), device=context.device)
    names = [config.model] if config.baseline == "none" else [config.model, config.baseline]
    models = [model_of(name, config).to(context.device, DTYPES[context.precision]) for name in names]
    steps = [step_of(model, tokens, targets, config.compile) for model in models]
    timed: list[list[float]] = [[] for _ in steps]
    for turn in range(config.timings):
        for step, seconds in zip(steps, timed, strict=True):
            warmup = config.warmup if turn == 0 else 1
            once = time_call(
                step,
                device=context.device,
                warmup=warmup,
                timings=1,
                min_loop_s=config.min_loop_s,
                clock=time.process_time,
            )
            seconds.append(once.median / batch)
    row = {
        "seconds": statistics.median(timed[0]),
        "seconds_low": min(timed[0]),
        "seconds_high": max(timed[0]),
        "batch": float(batch),
        "parameters": float(sum(p.numel() for p in models[0].parameters())),
    }
    if config.baseline != "none":
        row["baseline_seconds"] = statistics.median(timed[1])
        row["baseline_parameters"] = float(sum(p.numel() for p in models[1].parameters()))
        row["speedup"] = statistics.median(theirs / ours for ours, theirs in zip(*timed, strict=True))
    return row


if __name__ == "__main__":
    for n in (512, 1024, 2048, 4096):
        times = {
            name: run(Config(model=name, n=n), Context()) for name in ("flash", "flash_quad", "transformer", "textbook")
        }
        print(f"n = {n}:", ", ".join(f"{name} {row['seconds'] * 1e3:.1f} ms" for name, row in times.items()))
