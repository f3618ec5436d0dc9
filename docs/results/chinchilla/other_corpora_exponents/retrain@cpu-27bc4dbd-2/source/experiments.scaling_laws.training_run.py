"""One training run of a small language model: its size, text and budget, and the schedule that follows from them.

The fields and rules that the recipe `language_model` trains by, and the fields that `layouts` lays runs out by.
"""

import math
from dataclasses import dataclass

from repro.lab.counting import CONVENTIONS
from repro.lab.gpt import GPTShape
from repro.lab.optim import warmup_constant, warmup_cosine


@dataclass(frozen=True)
class Config:
    """One training run, and at the end the layout of all of them."""

    source: str = "stdlib"
    """Text: `stdlib`, `code`, `synthetic`, or the id of a data set that the study lists (see docs/corpora.md)."""
    vocabulary: int = 256
    """Tokens V: 256 are the bytes, more are trained byte pairs."""
    unique_tokens: float = 0.0
    """Train on no more than so many tokens, drawn by windows from the whole text, again and again; 0 for all there are."""

    budget: float = 0.0
    """Training compute C, in FLOPs: D is what it leaves. Either this or `tokens`."""
    tokens: float = 0.0
    """Training tokens D."""

    n_layer: int = 2
    """Blocks, L."""
    d_model: int = 16
    """Width, d."""
    d_head: int = 8
    """Width of a head, the same at every size."""
    context: int = 64
    """Tokens in a sequence, S."""
    tied: bool = True
    """Whether the head is the token embedding, or a matrix of its own."""
    positions: str = "rotary"
    """`rotary`, or `learned`: a vector for each position."""
    parametrization: str = "standard"
    """`standard`, or `mup`: a learning rate that holds at every width (then `lr_exponent` should be 0; see docs/lab.md)."""
    base_width: int = 0
    """Under `mup` the width at which both parametrizations are one."""

    reference_params: float = 2e4
    """The size N at which `batch_tokens` and `lr` hold."""
    batch_tokens: float = 1065.0
    """Tokens in a batch at the reference size; 1065 at 20,000 parameters is 160 · 2048 at 108 million (Porian et al.)."""
    batch_exponent: float = 2 / 3
    """The batch grows as N to this power (after Porian et al.)."""
    min_steps: int = 400
    """A run has at least so many steps; its batch shrinks until it does."""
    lr: float = 0.02
    """Peak learning rate at the reference size."""
    lr_exponent: float = -1 / 3
    """The peak learning rate changes as N to this power (after Porian et al.)."""
    warmup_share: float = 0.05
    """Warm-up lasts min(N tokens, this share of D)."""
    warmup_tokens: float = 0.0
    """If not 0, every run warms up over so many tokens instead, whatever its size, as in Kaplan et al."""
    decay: bool = True
    """Whether the learning rate follows a cosine; else it stays at its peak."""
    cycle: float = 1.0
    """Length of the cosine over that of the run."""
    final_lr: float = 0.1
    """The cosine ends at this share of the peak."""
    beta2: float = 0.99
    """Decay rate of AdamW's second moment."""
    weight_decay: float = 0.1
    """Of matrices."""
    clip: float = 1.0
    """Largest norm of the gradient."""

    eval_tokens: int = 131_072
    """Held-out tokens that a loss is averaged over, the same for every run."""
    evaluations: int = 1
    """Times that the held-out loss is measured, evenly spaced over the run; the last is at its end."""
    first_evaluation: float = 0.0
    """If not 0, the first comes after this share of the run, and each of the others the same factor after the one before."""
    compile: bool = False
    """Compile the model (pays on a GPU)."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Of the weights and of the order of the text."""
    run: int = 0
    """Number of the run among those with the same cell and seed."""

    budgets: tuple[float, ...] = ()
    """Layout `isoflop`: the budgets, in FLOPs."""
    widths: tuple[int, ...] = ()
    """Layout: widths of the ladder of sizes, smallest first."""
    depths: tuple[int, ...] = ()
    """Layout: the number of blocks at each width."""
    first_size: tuple[int, ...] = ()
    """Layout `isoflop`: for each budget the rung of the ladder at which its sizes start."""
    sizes: int = 0
    """Layout `isoflop`: sizes at each budget, one a rung."""
    smaller: int = 0
    """Layout `isoflop`: so many sizes more below each budget's first, as far down as the ladder goes."""
    sources: tuple[str, ...] = ()
    """Layout `isoflop`: the whole layout on each of these texts; on `source` alone if empty."""
    runs: tuple[int, ...] = ()
    """Layout: runs of each size, for each budget (`isoflop`) or rung (`ladder`)."""
    overrun: float = 1.0
    """Layout `ablation`: runs that are read at several budgets go on to this multiple of the largest one."""
    untuned_batch: float = 0.0
    """Layout `ablation`: batch, in tokens, that all sizes share before the optimiser is tuned."""
    untuned_lr: float = 0.0
    """Layout `ablation`: learning rate that all sizes share before the optimiser is tuned."""
    rates: tuple[float, ...] = ()
    """Layout `sweep`: learning rates, at the reference size and batch."""
    step_counts: tuple[int, ...] = ()
    """Layout `sweep`: numbers of steps that a batch must leave, each with every rate."""
    tokens_per_parameter: float = 0.0
    """Layout `sweep`: beside the budgets, train the first `sizes` sizes on so many tokens a parameter."""
    max_budgets: int = 0
    """Layout `isoflop`: only so many of the smallest budgets, if not 0."""
    max_runs: int = 0
    """Layout: only so many runs of each size, if not 0."""


def shape_of(config: Config) -> GPTShape:
    """Return the model's shape."""
    size = config.n_layer, config.d_model, config.d_head, config.context, config.vocabulary
    return GPTShape(*size, config.tied, config.positions)


def flops_per_token(shape: GPTShape) -> float:
    """Return training FLOPs a token: 6 for each matrix weight, head included, and 6·L·S·d for causal attention.

    Forward, a weight costs 2 and attention's two products 2·(2·S·d), half of which the causal mask leaves; backward
    costs twice as much. The embedding is a lookup, but it is tied to the head, which is a product.
    """
    return CONVENTIONS["matrices_causal_attention"](shape)


@dataclass(frozen=True)
class Schedule:
    """What compute, data and size leave of a run."""

    steps: int
    batch: int
    """Sequences."""
    warmup: int
    """Steps."""
    peak: float
    """Learning rate."""


def schedule_of(config: Config) -> Schedule:
    """Return steps, batch and learning rate from C (or D) and N, so that steps · batch · S is D.

    Where `min_steps` makes the batch smaller than the rule has it, the learning rate shrinks with its square root
    (Malladi et al., arXiv 2205.10287, for Adam).

    Raises:
        ValueError: unless exactly one of `budget` and `tokens` is given.
    """
    if (config.budget > 0) == (config.tokens > 0):
        raise ValueError(f"give either budget or tokens, got budget={config.budget:g} and tokens={config.tokens:g}")
    shape = shape_of(config)
    d = config.tokens or config.budget / flops_per_token(shape)
    relative_size = shape.parameters / config.reference_params
    wanted = config.batch_tokens * relative_size**config.batch_exponent
    batch = max(1, math.floor(min(wanted, d / config.min_steps) / config.context))
    steps = max(1, round(d / (batch * config.context)))
    warmup_tokens = config.warmup_tokens or min(float(shape.parameters), config.warmup_share * d)
    warmup = max(1, round(warmup_tokens / (batch * config.context)))
    shrunk = min(1.0, batch * config.context / wanted)
    peak = config.lr * relative_size**config.lr_exponent * shrunk**0.5
    return Schedule(steps, batch, warmup, peak)


def learning_rates(config: Config, schedule: Schedule) -> list[float]:
    """Return the learning rate of every step."""
    steps, warmup, peak = schedule.steps, schedule.warmup, schedule.peak
    if not config.decay:
        return [warmup_constant(step, steps=steps, warmup=warmup, peak=peak) for step in range(steps)]
    return [
        warmup_cosine(step, steps=steps, warmup=warmup, peak=peak, final_share=config.final_lr, cycle=config.cycle)
        for step in range(steps)
    ]


def evaluation_shares(config: Config) -> list[float]:
    """Return after which shares of a run its held-out loss is measured, the last of them 1."""
    last = config.evaluations
    if not config.first_evaluation or last == 1:
        return [k / last for k in range(1, last + 1)]
    return [config.first_evaluation ** ((last - k) / (last - 1)) for k in range(1, last + 1)]
