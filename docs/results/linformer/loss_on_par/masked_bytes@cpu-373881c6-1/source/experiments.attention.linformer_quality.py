"""Linformer's loss at an equal number of steps: masked language modelling with softmax attention and with projected keys and values.

Paper: Wang et al., "Linformer: Self-Attention with Linear Complexity", arXiv 2006.04768. Its abstract says that Linformer "performs on
par with standard Transformer models"; it pretrains on masked tokens, as RoBERTa does. Here the same Transformer is trained on masked
bytes once with equation 1 of Vaswani et al. (arXiv 1706.03762) and once with equation 7 of the paper.

Serves: linformer/loss_on_par. One trial is one ratio n/k (0: softmax attention) and one seed; all arms of a seed see the
same windows with the same masks.

Hardware and time: `cpu` half a minute a trial on one core; `gpu` laid out for RoBERTa's length of 512.

Deviations: thousands of times smaller; bytes of the Python standard library instead of books and Wikipedia; every chosen token is
replaced by the mask (no random and no kept ones); pre-norm and sinusoidal positions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.attention.linformer import LinformerAttention
from repro.lab.corpora import load_tokens
from repro.lab.optim import warmup_cosine
from repro.lab.seeding import generator, seed_all
from repro.lab.tokens import Windows
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One arm and seed."""

    fold: int = 4
    """Positions to a projected key, n/k; 0 for softmax attention over all n positions."""
    n: int = 64
    """Tokens in a sequence."""
    n_layer: int = 2
    """Layers."""
    d_model: int = 64
    """Width."""
    n_head: int = 2
    """Heads."""
    d_ff: int = 256
    """Inner width of the feed-forward part."""
    source: str = "stdlib"
    """Text; its bytes are the tokens."""
    masked: float = 0.15
    """Share of the positions that are masked and predicted."""
    batch: int = 16
    """Sequences a step."""
    steps: int = 1600
    """Optimizer steps."""
    warmup: int = 50
    """Steps of linear warm-up; a cosine to a tenth follows."""
    lr: float = 3e-3
    """Peak learning rate of AdamW (betas .9, .98; weight decay .01)."""
    eval_tokens: int = 131_072
    """Held-out tokens, of which the masked ones are predicted."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Of weights, windows and masks."""

    @property
    def k(self) -> int:
        """Projected length; 0 for softmax attention."""
        return max(1, self.n // self.fold) if self.fold else 0


MASK = 256
"""The token after the 256 bytes."""


def cost(config: Config) -> float:
    """FLOPs of one trial: matrix products of three passes (one forward, two for the backward), and of the evaluation."""
    keys = config.k or config.n
    attention = 4 * config.d_model * keys + (4 * config.d_model * keys if config.k else 0)  # pairs; E·K and F·V
    layer = 8 * config.d_model**2 + 4 * config.d_model * config.d_ff + attention
    token = config.n_layer * layer + config.masked * 2 * config.d_model * (MASK + 1)
    return token * (3.0 * config.steps * config.batch * config.n + config.eval_tokens)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one arm and measure its held-out loss.

    Returns:
        `loss` (nats a masked byte, held out), `parameters`, `flops`.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    tokens = load_tokens(config.source, MASK, context.data)
    train = tokens.train.to(context.device)
    seed_all("linformer quality", config.seed)
    model = build(config).to(context.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, betas=(0.9, 0.98), weight_decay=0.01)
    windows = Windows(len(train), config.batch, config.n, seed=config.seed)
    masks = generator("masks", config.seed)
    automatic = torch.autocast(context.device, torch.bfloat16, enabled=context.precision == "bfloat16")
    for step in range(config.steps):
        rate = warmup_cosine(step, steps=config.steps, warmup=config.warmup, peak=config.lr, final_share=0.1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        text = windows_of(train, windows.starts(step), config.n)
        with automatic:
            loss = masked_loss(model, text, chosen(len(text), config, masks).to(context.device, non_blocking=True))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % max(1, config.steps // 20) == 0:
            context.log(step, train_loss=float(loss.detach()))
            context.progress(step / config.steps)
    with torch.no_grad(), automatic:
        held_out = evaluate(model, tokens.validation.to(context.device), config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"loss": held_out, "parameters": float(parameters), "flops": cost(config)}


def build(config: Config) -> Transformer:
    """Return the encoder of one arm."""
    shape = TransformerShape(
        n_layer=config.n_layer,
        d_model=config.d_model,
        n_head=config.n_head,
        d_ff=config.d_ff,
        context=config.n,
        vocabulary=MASK + 1,
        causal=False,
        norm="pre",
        positions="sinusoidal",
    )
    if not config.k:
        return Transformer(shape)
    return Transformer(shape, lambda: LinformerAttention(config.d_model, config.n_head, config.n, config.k))


def windows_of(tokens: Tensor, starts: Tensor, n: int) -> Tensor:
    """Return the windows `[B, n]` (int64) of `tokens` `[T]` that begin at `starts` `[B]`."""
    starts = starts.to(tokens.device, non_blocking=True)
    return tokens[starts[:, None] + torch.arange(n, device=tokens.device)].long()


def chosen(batch: int, config: Config, masks: torch.Generator) -> Tensor:
    """Draw the masked positions of every sequence, `[batch, M]`: the same number in each, without repetition."""
    count = max(1, round(config.masked * config.n))
    return torch.rand((batch, config.n), generator=masks).topk(count).indices


def masked_loss(model: Transformer, text: Tensor, positions: Tensor) -> Tensor:
    """Mean cross-entropy (nats) of the tokens of `text` `[B, n]` at `positions` `[B, M]`, which the model sees masked."""
    hidden = model.hidden(text.scatter(1, positions, MASK))  # [B, n, d]
    at = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))  # [B, M, d]
    logits = at @ model.embedding.weight.T  # [B, M, V]
    return F.cross_entropy(logits.float().flatten(0, 1), text.gather(1, positions).flatten())


def evaluate(model: Transformer, validation: Tensor, config: Config) -> float:
    """Held-out loss in nats a masked byte, over windows spread evenly and masks that every trial shares."""
    count = min(len(validation) // config.n, max(1, config.eval_tokens // config.n))
    starts = torch.arange(count) * (len(validation) // config.n) // count * config.n
    masks = generator("held-out masks")
    losses = [
        masked_loss(
            model, windows_of(validation, part, config.n), chosen(len(part), config, masks).to(validation.device)
        )
        * len(part)
        for part in starts.split(64)
    ]
    return float(torch.stack(losses).sum() / count)


if __name__ == "__main__":
    for fold in (0, 4, 64):
        print(f"n/k = {fold}:", run(Config(fold=fold), Context()))
