"""Does a masked bidirectional model fill a gap in a text better than a left-to-right one of the same shape and budget?

Paper: Devlin et al., "BERT", arXiv 1810.04805, section 3.1 (masked LM), section 5.1 and Table 5 (the same model trained left to
right), Appendix A.1 (masking procedure). Serves the claim `bert/bidirectional_pretraining`.

Two Transformers of equal shape, from the same initial weights, see the same windows of text for the same number of steps:

    masked         looks both ways; 15 % of the positions are chosen, of which 80 % become [MASK], 10 % a random byte and 10 % stay,
                   and the loss is the cross-entropy of the chosen bytes
    left_to_right  looks back only; the loss is the cross-entropy of every next byte

The probe hides one byte of a held-out window. The masked model sees all the others, the left-to-right model those before it: that
is what each has been trained to see. In the middle of the window the text after the gap can help; at the right edge there is none,
and the advantage of seeing both sides must vanish.

Hardware and time: see the study's notes. Deviations: a probe of the pre-training task itself instead of fine-tuning on five tasks;
bytes of Python source instead of word pieces of books and Wikipedia; pre-norm and ReLU instead of post-norm and GELU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.corpora import data_sets, load_tokens
from repro.lab.seeding import generator, seed_all
from repro.lab.tokens import Windows, gather
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context

BYTES = 256
MASK = BYTES
"""[MASK], the one token that is not a byte."""


@dataclass(frozen=True)
class Config:
    """The objective, the text, the model and its training."""

    objective: str = "masked"
    """`masked` or `left_to_right`."""
    source: str = "stdlib"
    """Text, see docs/corpora.md."""
    n_layer: int = 2
    """Layers."""
    d_model: int = 64
    """Width."""
    n_head: int = 4
    """Heads."""
    window: int = 32
    """Bytes seen at once."""
    steps: int = 1000
    """Training steps."""
    batch: int = 64
    """Windows in a step."""
    lr: float = 3e-3
    """Peak learning rate of Adam; the same for both objectives."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises; afterwards it falls linearly to 0 (Appendix A.2)."""
    mask_share: float = 0.15
    """Share of the positions that the masked model is asked for (section 3.1)."""
    probes: int = 4096
    """Held-out windows."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds weights, order of the text, masks and probes; the two objectives of one seed share weights and text."""


def shape_of(config: Config) -> TransformerShape:
    """Return the shape, which but for the mask of attention is the same for both objectives.

    Raises:
        ValueError: for an unknown objective.
    """
    if config.objective not in ("masked", "left_to_right"):
        raise ValueError(f"objective must be masked or left_to_right, not {config.objective!r}")
    return TransformerShape(
        n_layer=config.n_layer, d_model=config.d_model, n_head=config.n_head, d_ff=4 * config.d_model, context=config.window,
        vocabulary=BYTES + 1, causal=config.objective == "left_to_right", norm="pre", positions="sinusoidal",
    )  # fmt: skip


def corrupt(tokens: Tensor, share: float, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Appendix A.1: return `tokens` [B, S] with the chosen positions corrupted, and which they are, [B, S] of bool."""
    chosen = torch.rand(tokens.shape, generator=rng) < share
    fate = torch.rand(tokens.shape, generator=rng)
    random = torch.randint(BYTES, tokens.shape, generator=rng)
    corrupted = torch.where(fate < 0.8, MASK, torch.where(fate < 0.9, random, tokens))
    return torch.where(chosen, corrupted, tokens), chosen


def loss_of(model: Transformer, inputs: Tensor, chosen: Tensor | None, targets: Tensor) -> Tensor:
    """Mean cross-entropy (nats) of `targets` [B, S]: of the chosen ones, or without `chosen` of all."""
    if chosen is None:
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    logits = model.hidden(inputs)[chosen] @ model.embedding.weight.T
    return F.cross_entropy(logits, targets[chosen])


def train(config: Config, text: Tensor, context: Context) -> Transformer:
    """Train one model on the bytes `text` [T]."""
    device, half = context.device, context.precision == "bfloat16"
    seed_all("infilling probe", config.seed)
    model = Transformer(shape_of(config)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    warmup = max(1, round(config.warmup * config.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (config.steps - step) / max(1, config.steps - warmup))
    )
    windows = Windows(len(text), config.batch, config.window, config.seed)
    rng = generator("masks", config.seed)
    for step in range(config.steps):
        tokens, following = gather(text, windows.starts(step), config.window)
        chosen = None
        if config.objective == "masked":
            following = tokens
            tokens, chosen = corrupt(tokens, config.mask_share, rng)
            chosen = chosen.to(device, non_blocking=True)
        optimizer.zero_grad()
        inputs, targets = (t.to(device, non_blocking=True) for t in (tokens, following))
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = loss_of(model, inputs, chosen, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


def fill(model: Transformer, tokens: Tensor, position: int) -> Tensor:
    """Return the likeliest byte [B] at `position` of `tokens` [B, S], which the model does not get to see there."""
    if model.shape.causal:  # the byte after the text before the gap; a model of next bytes has seen no [MASK]
        hidden = model.hidden(tokens[:, :position])[:, -1]
    else:
        gap = torch.arange(tokens.shape[1], device=tokens.device) == position
        hidden = model.hidden(torch.where(gap, MASK, tokens))[:, position]
    return (hidden @ model.embedding.weight[:BYTES].T).argmax(-1)


def accuracy(model: Transformer, tokens: Tensor, position: int) -> float:
    """Return the share of `tokens` [B, S] whose byte at `position` is filled in correctly."""
    right = sum((fill(model, part, position) == part[:, position]).sum() for part in tokens.split(1024))
    return float(right) / len(tokens)


def cost(config: Config) -> float:
    """Return the training FLOPs: 6 per weight of the blocks and byte; the head for every byte, or for those asked for."""
    asked = config.mask_share if config.objective == "masked" else 1.0
    weights = 12 * config.n_layer * config.d_model**2 + asked * (BYTES + 1) * config.d_model
    return 6.0 * weights * config.window * config.batch * config.steps


def reads(config: Config) -> tuple[str, ...]:
    """Return the data sets that a run reads, by id."""
    return data_sets(config.source)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model and let it fill in bytes of held-out text.

    Returns:
        `accuracy`: share of probes filled in correctly in the middle of the window, text on both sides.
        `accuracy_right_edge`: the same at its last byte, text on the left alone.
        `flops`: as `cost`.
    """
    torch.set_num_threads(config.threads)
    text = load_tokens(config.source, BYTES, context.data)
    model = train(config, text.train, context).eval()
    starts = torch.randint(
        len(text.validation) - config.window, (config.probes,), generator=generator("probes", config.seed)
    )
    probes, _ = gather(text.validation, starts, config.window)
    probes = probes.to(context.device)
    with torch.no_grad():
        return {
            "accuracy": accuracy(model, probes, config.window // 2),
            "accuracy_right_edge": accuracy(model, probes, config.window - 1),
            "flops": cost(config),
        }


if __name__ == "__main__":
    for objective in ("masked", "left_to_right"):
        print(objective, run(Config(objective=objective), Context()))
