"""Does a language model's loss fall with the position of the token, that is, with the text it has seen?

Papers: Kaplan et al., "Scaling Laws for Neural Language Models", arXiv 2001.08361, Appendix D.5 and Figure 20: at a fixed size the
loss falls with the position T in the context, as a power law. Brown et al., arXiv 2005.14165 (GPT-3), section 1, call what a model makes of its
context learning in context. Serves the claims `kaplan/loss_by_position` and `kaplan/loss_by_position_late`.

One small model is trained on windows of text. At position T it predicts a byte from the T bytes before it in the window. Windows start
anywhere, so bytes at all positions are alike; the loss at T is therefore measured on the same held-out bytes for every T, each given the T
bytes before it. That leaves out the scatter of one position's bytes against another's. As a control the same bytes are predicted from the
one byte before them behind T − 1 bytes of another place in the text.

Hardware and time: see the study's notes. Deviations: bytes of Python source or books instead of word pieces of WebText2, contexts of 128
to 256 bytes instead of 1,024 tokens, models of 10⁵ to 10⁷ weights instead of up to 774 million.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from repro.lab.corpora import data_sets, load_tokens
from repro.lab.gpt import GPT, GPTShape, initial_weights
from repro.lab.mup import decay_scales
from repro.lab.optim import StackedAdamW, warmup_cosine
from repro.lab.seeding import generator
from repro.lab.tokens import Windows, gather
from repro.schema.context import Context

BYTES = 256


@dataclass(frozen=True)
class Config:
    """The text, the model and its training."""

    source: str = "stdlib"
    """Text, see docs/corpora.md."""
    n_layer: int = 2
    """Layers."""
    d_model: int = 64
    """Width."""
    d_head: int = 16
    """Width of a head."""
    window: int = 128
    """Bytes seen at once, the largest T; a power of two."""
    steps: int = 1000
    """Training steps."""
    batch: int = 16
    """Windows in a step."""
    lr: float = 5e-3
    """Peak learning rate of AdamW."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; afterwards half a cosine takes it to a tenth."""
    test_windows: int = 8192
    """Held-out windows; a quarter of them serves the control."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds weights, order of the text and held-out windows."""


def shape_of(config: Config) -> GPTShape:
    """Return the shape: rotary positions, tied head."""
    return GPTShape(config.n_layer, config.d_model, config.d_head, config.window, BYTES)


def train(config: Config, text: Tensor, context: Context) -> GPT:
    """Train one model, a stack of one, on the bytes `text` [T]."""
    shape = shape_of(config)
    model = GPT(shape, initial_weights(shape, [config.seed]).to(context.device))
    one = torch.ones(1, 1, device=context.device)
    decayed = decay_scales(shape).to(context.device)
    optimizer = StackedAdamW(
        model.rows, beta1=0.9 * one, beta2=0.99 * one, weight_decay=0.1 * one, clip=one, decayed=decayed
    )
    windows, warmup = Windows(len(text), config.batch, config.window, config.seed), round(config.warmup * config.steps)
    half = context.precision == "bfloat16"
    for step in range(config.steps):
        inputs, targets = gather(text, windows.starts(step)[None], config.window)
        inputs, targets = (t.to(context.device, non_blocking=True) for t in (inputs, targets))
        with torch.autocast(context.device, torch.bfloat16, enabled=half):
            loss = model(inputs, targets).sum()
        loss.backward()
        rate = warmup_cosine(step, steps=config.steps, warmup=warmup, peak=config.lr, final_share=0.1)
        optimizer.step(rate * one)
    return model


@torch.no_grad()
def losses_by_length(model: GPT, windows: Tensor, lengths: list[int]) -> list[float]:
    """Return the mean loss (nats) of the last byte of `windows` [B, S+1], given the T bytes before it, for every T in `lengths`."""
    losses = []
    for T in lengths:
        total = 0.0
        for part in windows.split(128 * windows.shape[1] // T):  # as many bytes in a pass at every length
            logits = model(part[None, :, -T - 1 : -1])[0, :, -1].float()  # [B, V]
            total = total + F.cross_entropy(logits, part[:, -1], reduction="sum").double()
        losses.append(float(total) / len(windows))
    return losses


def elsewhere(windows: Tensor) -> Tensor:
    """Return `windows` [B, S+1] with all but the last two bytes from another of them: the next one."""
    return torch.cat([windows.roll(1, 0)[:, :-2], windows[:, -2:]], dim=1)


def slope(losses: list[float]) -> float:
    """Return the least-squares slope of losses at T, 2T, 4T, ... on log₂ T: nats per doubling of the context."""
    x = torch.arange(len(losses), dtype=torch.float64)
    x = x - x.mean()
    return float(x @ torch.tensor(losses, dtype=torch.float64) / x.square().sum())


def cost(config: Config) -> float:
    """Return the training FLOPs: 6 per weight of the matrices and byte, attention left out."""
    return 6.0 * shape_of(config).matrix_parameters * config.window * config.batch * config.steps


def reads(config: Config) -> tuple[str, ...]:
    """Return the data sets that a run reads, by id."""
    return data_sets(config.source)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model, then measure its held-out loss at every position.

    Returns:
        `slope`: of the loss on log₂ T, T = 1, 2, 4, ... up to the window (nats per doubling of T).
        `slope_late`: the same over the last two doublings.
        `slope_elsewhere`, `slope_late_elsewhere`: the same with the context of another place.
        `loss_<T>`: the loss at T (nats).
        `flops`: as `cost`.
    """
    torch.set_num_threads(config.threads)
    text = load_tokens(config.source, BYTES, context.data)
    model = train(config, text.train, context)
    starts = torch.randint(
        len(text.validation) - config.window,
        (config.test_windows,),
        generator=generator("held-out windows", config.seed),
    )
    inputs, targets = gather(text.validation, starts, config.window)
    windows = torch.cat([inputs, targets[:, -1:]], dim=1).to(context.device)
    lengths = [2**i for i in range(config.window.bit_length())]
    losses = losses_by_length(model, windows, lengths)
    unrelated = losses_by_length(model, elsewhere(windows[: config.test_windows // 4]), lengths)
    return {
        "slope": slope(losses),
        "slope_late": slope(losses[-3:]),
        "slope_elsewhere": slope(unrelated),
        "slope_late_elsewhere": slope(unrelated[-3:]),
        **{f"loss_{T}": loss for T, loss in zip(lengths, losses, strict=True)},
        "flops": cost(config),
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:20} {value:.4g}")
