"""A smaller model trained for longer against a larger one, at the same compute: one long run in one or several processes.

Paper: Hoffmann et al., "Training Compute-Optimal Large Language Models", arXiv 2203.15556, Appendix D.4: at 1e21 FLOPs a model
of 2.80 billion parameters beats one of 4.74 billion. Serves the claim `chinchilla/head_to_head_1e21`.

A run is written as it is at any size: N processes with one GPU each share every batch and average their gradients
(DistributedDataParallel), each takes its part in micro-batches, and a checkpoint every few minutes lets the run go on where it was
stopped. One process and several see the same batches in the same order.

Hardware and time: see the study's notes. Deviations: a plain GPT of `repro.lab.gpt` instead of Gopher's architecture; AdamW; the texts
of docs/corpora.md instead of MassiveText, which was never released.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.lab.checkpoint import Checkpoint
from repro.lab.corpora import load_tokens
from repro.lab.counting import CONVENTIONS
from repro.lab.distributed import World, averaging, data_parallel, joined, mean, part
from repro.lab.gpt import GPT, GPTShape, initial_weights
from repro.lab.mup import decay_scales
from repro.lab.optim import StackedAdamW, warmup_cosine
from repro.lab.tokens import Windows, gather, held_out
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One training run."""

    model: str = "predicted"
    """`predicted` for the size that is optimal at this compute, `oversized` for the larger one; a name, the sizes stand below."""
    n_layer: int = 2
    """Blocks, L."""
    d_model: int = 16
    """Width, d."""
    d_head: int = 4
    """Width of a head."""
    context: int = 64
    """Tokens in a sequence, S."""
    source: str = "stdlib"
    """Text (see docs/corpora.md)."""
    vocabulary: int = 256
    """Tokens V: 256 are the bytes."""
    equal: str = "flops"
    """What models of all sizes have in common: `flops` for the same compute, `tokens` for as many tokens."""
    flops: float = 1e9
    """Training compute C; the run is as long as it allows."""
    tokens: float = 1e4
    """Training tokens D where these are `equal`: about what the compute leaves to the predicted size."""
    batch: int = 8
    """Sequences in a step, over all processes."""
    micro_batch: int = 8
    """Sequences that one process takes at once; gradients of the rest of its part are added up."""
    processes: int = 1
    """Processes that train together, each on a GPU of its own where the scale has GPUs."""
    lr: float = 0.028
    """Peak learning rate at `reference_params`."""
    lr_exponent: float = -0.2
    """The peak changes as N to this power."""
    reference_params: float = 2e4
    """The size N at which `lr` holds."""
    warmup_share: float = 0.05
    """Share of the steps in which the rate rises; afterwards half a cosine to a tenth of the peak."""
    weight_decay: float = 0.1
    """Of matrices."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    eval_tokens: int = 65_536
    """Held-out tokens that the last loss is measured on."""
    log_points: int = 100
    """Points of the training curve."""
    checkpoint_minutes: float = 5.0
    """Minutes from one checkpoint to the next."""
    compile: bool = False
    """Whether to compile the model's parts, which pays on a GPU."""
    threads: int = 1
    """CPU threads of a process."""
    seed: int = 0
    """Seeds the weights and the order of the text, which models of one seed share."""


def processes(config: Config) -> int:
    """Return how many processes the worker starts for a trial."""
    return config.processes


def shape_of(config: Config) -> GPTShape:
    """Return the model's shape."""
    return GPTShape(config.n_layer, config.d_model, config.d_head, config.context, config.vocabulary)


def flops_per_token(config: Config) -> float:
    """Return the training FLOPs a token: six a weight that is multiplied, and causal attention."""
    return float(CONVENTIONS["matrices_causal_attention"](shape_of(config)))


def steps_of(config: Config) -> int:
    """Return the steps that the compute, or the tokens, allow.

    Raises:
        ValueError: if neither is to be equal.
    """
    if config.equal not in ("flops", "tokens"):
        raise ValueError(f"equal must be flops or tokens, not {config.equal!r}")
    tokens = config.tokens if config.equal == "tokens" else config.flops / flops_per_token(config)
    return max(1, round(tokens / (config.batch * config.context)))


def cost(config: Config) -> float:
    """Return the training FLOPs of a trial."""
    return flops_per_token(config) * steps_of(config) * config.batch * config.context


def micro_batches(tokens: Tensor, starts: Tensor, config: Config) -> Iterator[tuple[Tensor, Tensor, float, bool]]:
    """Yield inputs and targets `[1, b, S]` of this process's part of a step, each with its share of the part and whether it is last."""
    mine = part(starts)
    pieces = mine.split(config.micro_batch)
    for number, piece in enumerate(pieces, start=1):
        inputs, targets = gather(tokens, piece, config.context)
        yield inputs[None], targets[None], len(piece) / len(mine), number == len(pieces)


@torch.no_grad()
def held_out_loss(model: torch.nn.Module, tokens: Tensor, config: Config, world: World) -> float:
    """Return the mean loss in nats a token over the held-out windows, which the processes share out."""
    loss = windows = 0.0
    batches = held_out(tokens, batch=config.micro_batch, context=config.context, limit=config.eval_tokens)
    for number, (inputs, targets) in enumerate(batches):
        if number % world.size == world.rank:
            loss += model(inputs[None], targets[None]).double().sum().item() * len(inputs)
            windows += len(inputs)
    return mean(loss) / mean(windows)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model.

    Returns:
        `loss`: nats a token on the held-out text after the last step; `train_loss`: over the last tenth of the steps.
        `params`: weights, N; `tokens`: trained on, D; `epochs`: D over the tokens of the text.
        `flops`: training FLOPs, as `cost`.
    """
    torch.set_num_threads(config.threads)
    with joined(context.device) as world:
        return train(config, context, world)


def train(config: Config, context: Context, world: World) -> dict[str, float]:
    """Train one model as process `world.rank` of `world.size`; see `run`."""
    device, steps, shape = context.device, steps_of(config), shape_of(config)
    text = load_tokens(config.source, config.vocabulary, data=context.data)
    train_text, validation = text.train.to(device), text.validation.to(device)
    windows = Windows(len(text.train), config.batch, config.context, config.seed)
    weights_in = torch.float64 if context.precision == "float64" else torch.float32
    # Every process draws the same weights; DistributedDataParallel would copy those of the first anyway.
    model = GPT(shape, initial_weights(shape, [config.seed]).to(device, weights_in))
    if config.compile:
        model.compile_parts()
    together = data_parallel(model)
    one = torch.ones(1, 1, device=device, dtype=weights_in)
    optimizer = StackedAdamW(
        model.rows, beta1=0.9 * one, beta2=0.99 * one, weight_decay=config.weight_decay * one, clip=config.clip * one,
        decayed=decay_scales(shape).to(device, weights_in), compile=config.compile,
    )  # fmt: skip
    peak = config.lr * (shape.parameters / config.reference_params) ** config.lr_exponent
    low = torch.autocast(device, torch.bfloat16, enabled=context.precision == "bfloat16")

    late = {"loss": 0.0, "steps": 0}  # of the last tenth
    checkpoint = Checkpoint(context, minutes=config.checkpoint_minutes, training=optimizer.state, late=late)
    for step in range(checkpoint.resume(), steps):
        loss = torch.zeros((), device=device, dtype=torch.float64)
        for inputs, targets, share, last in micro_batches(train_text, windows.starts(step).to(device), config):
            with averaging(together, last):
                with low:
                    piece = together(inputs, targets).sum() * share
                piece.backward()
            loss += piece.detach()
        rate = warmup_cosine(
            step, steps=steps, warmup=max(1, round(config.warmup_share * steps)), peak=peak, final_share=0.1
        )
        optimizer.step(rate * one)
        logged = (step + 1) % max(1, steps // config.log_points) == 0 or step + 1 == steps
        if logged or step >= 0.9 * steps:
            value = mean(loss.item())
            if logged:
                checkpoint.log(step + 1, train_loss=value)
            if step >= 0.9 * steps:
                late["loss"] += value
                late["steps"] += 1
        context.progress((step + 1) / steps)
        checkpoint.save_if_due(step + 1)

    with low:
        final = held_out_loss(model, validation, config, world)
    tokens = steps * config.batch * config.context
    return {
        "loss": final,
        "train_loss": late["loss"] / max(1, late["steps"]),
        "params": float(shape.parameters),
        "tokens": float(tokens),
        "epochs": tokens / len(text.train),
        "flops": cost(config),
    }


if __name__ == "__main__":
    for column, value in run(Config(), Context()).items():
        print(f"{column:12} {value:.6g}")
