"""Reformer's loss at an equal number of steps: a causal byte model with hashing, with shared queries and keys, and with neither.

Paper: Kitaev et al., "Reformer: The Efficient Transformer", arXiv 2001.04451; its abstract says that the Reformer "performs on par
with Transformer models". It differs from a Transformer in three things: queries are keys, pairs are found by hashing, layers are
reversible. The last saves memory only; the arms here separate the first two.

Serves: reformer/quality_parity. One trial is one kind of attention and one seed; all arms of a seed read the same windows in the
same order.

Hardware and time: `cpu` a quarter to half a minute a trial on one core; `gpu` laid out for sequences of 4096 bytes.

Deviations: no reversible layers; two small layers on bytes of Python source instead of 12 large ones on enwik8 or imagenet64.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.attention.reformer import LSHAttention
from repro.lab.corpora import data_sets, load_tokens
from repro.lab.optim import warmup_cosine
from repro.lab.seeding import seed_all
from repro.lab.tokens import Windows, gather, held_out
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One arm and seed."""

    attention: str = "lsh"
    """`softmax` (queries, keys and values), `shared_qk` (queries are keys), or `lsh` (those, found by hashing)."""
    n: int = 128
    """Bytes in a sequence."""
    chunk: int = 16
    """Tokens in a chunk of hashing."""
    hashes: int = 4
    """Rounds of hashing."""
    n_layer: int = 2
    """Layers."""
    d_model: int = 64
    """Width; the inner width of the feed-forward part is four times it."""
    n_head: int = 2
    """Heads."""
    source: str = "stdlib"
    """Text; its bytes are the tokens."""
    batch: int = 16
    """Sequences a step."""
    steps: int = 400
    """Optimizer steps."""
    warmup: int = 50
    """Steps of linear warm-up; a cosine to a tenth follows."""
    lr: float = 3.0e-3
    """Peak learning rate of AdamW (betas .9, .98; weight decay .01)."""
    eval_windows: int = 512
    """Held-out sequences."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Of weights, order of the text, and rotations."""


BYTES = 256

ATTENTIONS = ("softmax", "shared_qk", "lsh")


def cost(config: Config) -> float:
    """FLOPs of one trial: matrix products of three passes (one forward, two for the backward), and of the evaluation."""
    d, window = config.d_model, (2 * config.chunk * config.hashes if config.attention == "lsh" else config.n)
    projections = (4 if config.attention == "softmax" else 3) * d * d
    layer = 2 * (projections + 8 * d * d) + 4 * d * window
    token = config.n_layer * layer + 2 * d * BYTES
    return float(token * config.n * (3 * config.steps * config.batch + config.eval_windows))


def reads(config: Config) -> tuple[str, ...]:
    """Return the data sets that a run reads, by id."""
    return data_sets(config.source)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one arm and measure its held-out loss.

    Returns:
        `loss` (nats a byte, held out), `parameters`, `flops`.

    Raises:
        ValueError: if the attention is unknown.
    """
    if config.attention not in ATTENTIONS:
        raise ValueError(f"attention must be one of {', '.join(ATTENTIONS)}, not {config.attention!r}")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    tokens = load_tokens(config.source, BYTES, context.data)
    text = tokens.train.to(context.device)
    seed_all("reformer_quality", config.seed)
    model = build(config).to(context.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=0.01)
    windows = Windows(len(text), config.batch, config.n, seed=config.seed)
    automatic = torch.autocast(context.device, torch.bfloat16, enabled=context.precision == "bfloat16")
    for step in range(config.steps):
        rate = warmup_cosine(step, steps=config.steps, warmup=config.warmup, peak=config.lr, final_share=0.1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, targets = gather(text, windows.starts(step).to(context.device, non_blocking=True), config.n)
        with automatic:
            logits = model(inputs)
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        context.progress(step / config.steps)
    with torch.no_grad(), automatic:
        final = evaluate(model, tokens.validation.to(context.device), config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"loss": final, "parameters": float(parameters), "flops": cost(config)}


def build(config: Config) -> Transformer:
    """Return the decoder of one arm."""
    shape = TransformerShape(
        n_layer=config.n_layer,
        d_model=config.d_model,
        n_head=config.n_head,
        d_ff=4 * config.d_model,
        context=config.n,
        vocabulary=BYTES,
        causal=True,
        norm="pre",
        positions="sinusoidal",
    )
    if config.attention == "softmax":
        return Transformer(shape)
    hashes = config.hashes if config.attention == "lsh" else 0
    return Transformer(shape, lambda: LSHAttention(shape, hashes=hashes, chunk=config.chunk))


def evaluate(model: Transformer, validation: Tensor, config: Config) -> float:
    """Held-out loss in nats a byte, over windows spread evenly, with the rounds of hashing of training."""
    sums = [
        F.cross_entropy(model(inputs).float().flatten(0, 1), targets.flatten(), reduction="sum")
        for inputs, targets in held_out(validation, batch=64, context=config.n, limit=config.eval_windows * config.n)
    ]
    count = min(config.eval_windows, (len(validation) - 1) // config.n) * config.n
    return torch.stack(sums).sum().item() / count


if __name__ == "__main__":
    for name in ATTENTIONS:
        print(f"{name}:", run(Config(attention=name), Context()))
