"""Train a small Transformer on bytes, with one of its parts changed: positions, heads, dropout, depth, norm, warm-up.

Papers: Vaswani et al., "Attention Is All You Need", arXiv 1706.03762, sections 3 and 5 and Table 3; Xiong et al., "On Layer
Normalization in the Transformer Architecture", arXiv 2002.04745. One trial is one training run; arms of one seed share the
weights they start from, as far as both have them, and the order of the text.

Serves the claims `transformer/{positional_encodings_equivalent, head_count, dropout_effect, depth_effect}` and
`layer_norm_placement/{post_norm_needs_warmup, pre_norm_needs_no_warmup}`; each is a study of `conf/study/transformer`.

Hardware and time: `cpu` 3 to 20 s a run on one core; `gpu` about 20 s a run.

Deviations: a decoder that predicts the next byte of Python source instead of an encoder and a decoder that translate; a
hundredth of the parameters (cpu); no label smoothing, which would change the loss that is compared; no averaged checkpoints.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from repro.lab.corpora import data_sets, load_tokens
from repro.lab.flops import forward_flops, training_flops
from repro.lab.optim import warmup_cosine
from repro.lab.seeding import generator, seed_all
from repro.lab.tokens import Windows, gather, held_out
from repro.lab.transformer import Transformer, TransformerShape, inverse_square_root
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One run: the model, its training and its text."""

    n_layer: int = 2
    """Layers, N."""
    d_model: int = 64
    """Width; the feed-forward part is four times as wide inside, as in the paper."""
    n_head: int = 4
    """Heads, h; each has d_model / h units, so that the cost stays the same."""
    context: int = 64
    """Tokens seen at once."""
    norm: str = "post"
    """`post` (the paper) or `pre`."""
    positions: str = "sinusoidal"
    """`sinusoidal`, `learned` or `none`."""
    dropout: float = 0.0
    """P_drop."""
    batch: int = 8
    """Sequences in a step."""
    steps: int = 800
    """Steps of training."""
    schedule: str = "inverse_square_root"
    """`inverse_square_root` (equation 3 of the paper), or `cosine`: half a cosine down to a tenth of the peak."""
    warmup_share: float = 0.1
    """Share of the steps over which the learning rate rises linearly; 0: it starts at the peak."""
    peak: float = 0.004
    """Largest learning rate."""
    source: str = "stdlib"
    """Text, by its name in `repro.lab.corpora`; its tokens are bytes."""
    unique_tokens: int = 0
    """Tokens of the text that training sees, a stretch drawn from the seed; 0: all."""
    eval_tokens: int = 65_536
    """Held-out tokens of the final loss."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds weights, order of the text, its stretch, and dropout."""


def shape_of(config: Config) -> TransformerShape:
    """Return the sizes of the model; it sees bytes, and each only those before it."""
    return TransformerShape(
        n_layer=config.n_layer,
        d_model=config.d_model,
        n_head=config.n_head,
        d_ff=4 * config.d_model,
        context=config.context,
        vocabulary=256,
        causal=True,
        norm=config.norm,
        positions=config.positions,
        dropout=config.dropout,
    )


def cost(config: Config) -> float:
    """Return the training FLOPs of a run."""
    forward = forward_flops(
        n_layer=config.n_layer,
        d_model=config.d_model,
        d_ff=4 * config.d_model,
        n_head=config.n_head,
        d_head=config.d_model // config.n_head,
        vocabulary=256,
        length=config.context,
        embedding_product=False,
        logits=True,
    )
    return config.steps * config.batch * training_flops(forward.total)


def reads(config: Config) -> tuple[str, ...]:
    """Return the data sets that a run reads, by id."""
    return data_sets(config.source)


def initial_model(config: Config) -> Transformer:
    """Return the untrained model. Those of one seed that differ in their positions alone share all other weights."""
    shape = shape_of(config)
    seed_all("weights", config.seed)
    shared = Transformer(replace(shape, positions="none")).state_dict()
    model = Transformer(shape)
    model.load_state_dict(shared, strict=False)
    return model


def rate(config: Config, step: int) -> float:
    """Return the learning rate of `step`, counted from 0.

    Raises:
        ValueError: for an unknown schedule.
    """
    warmup = round(config.warmup_share * config.steps)
    if config.schedule == "inverse_square_root":
        return inverse_square_root(step, warmup, config.peak)
    if config.schedule == "cosine":
        return warmup_cosine(step, steps=config.steps, warmup=warmup, peak=config.peak, final_share=0.1)
    raise ValueError(f"schedule must be inverse_square_root or cosine, not {config.schedule!r}")


def seen_text(train: Tensor, config: Config) -> Tensor:
    """Return the stretch of `train` `[T]` that training reads."""
    length = config.unique_tokens or len(train)
    if not config.context < length <= len(train):
        raise ValueError(f"unique_tokens must be above the context and at most {len(train)}, not {length}")
    first = int(torch.randint(len(train) - length + 1, (), generator=generator("stretch", config.seed)))
    return train[first : first + length]


def batches(train: Tensor, config: Config, ahead: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the inputs and targets of every step, each `[B, T]`; the order of `ahead` steps goes to the device at once."""
    windows = Windows(len(train), ahead * config.batch, config.context, config.seed)
    for step in range(config.steps):
        if step % ahead == 0:
            starts = windows.starts(step // ahead).to(train.device).view(ahead, config.batch)
        yield gather(train, starts[step % ahead], config.context)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model.

    Returns:
        `loss` (held-out, nats a byte), `log_loss` (its natural logarithm: a difference of 0.01 is one of 1 %), `train_loss`
        (mean over the last twentieth of the steps, with dropout), `params`, `epochs` of the text that was seen, `flops`, and
        `text_id` (first 12 hex digits of the text's sha256 as a number: the standard library differs between Python versions).
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    text = load_tokens(config.source, 256, context.data)
    train, validation = seen_text(text.train, config).to(context.device), text.validation.to(context.device)
    model = initial_model(config).to(context.device)
    # Section 5.3
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9, fused=True)
    seed_all("dropout", config.seed)

    def loss_of(inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(context.device, torch.bfloat16, enabled=context.precision == "bfloat16"):
            logits = model(inputs)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    # Nothing in the loop waits for the device but a report.
    report_every = max(1, config.steps // 20)
    losses = torch.full((config.steps,), math.nan, device=context.device)
    for step, (inputs, targets) in enumerate(batches(train, config, report_every)):
        optimizer.param_groups[0]["lr"] = rate(config, step)
        loss = loss_of(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[step] = loss.detach()
        if (step + 1) % report_every == 0:
            recent = losses[step + 1 - report_every : step + 1].mean().item()
            context.log(step + 1, train_loss=recent, lr=rate(config, step))
            context.progress((step + 1) / config.steps)
            if not math.isfinite(recent):
                break

    model.eval()
    with torch.no_grad():
        sums = [
            torch.stack(
                [loss_of(inputs, targets) * targets.numel(), torch.tensor(float(targets.numel())).to(inputs.device)]
            )
            for inputs, targets in held_out(validation, batch=64, context=config.context, limit=config.eval_tokens)
        ]
    total, count = torch.stack(sums).sum(0).tolist()
    held_out_loss = total / count
    context.log(step + 1, loss=held_out_loss)
    train_loss = losses[-report_every:].mean().item()
    return {
        "loss": held_out_loss,
        "log_loss": math.log(held_out_loss),
        "train_loss": train_loss,
        "gap": held_out_loss - train_loss,
        "params": float(sum(each.numel() for each in model.parameters())),
        "epochs": config.steps * config.batch * config.context / (len(train) - 1),
        "flops": cost(config),
        "text_id": float(int(text.digest[:12], 16)),
    }


if __name__ == "__main__":
    for positions in ("sinusoidal", "learned", "none"):
        print(positions, run(Config(positions=positions), Context()))
