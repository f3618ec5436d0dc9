"""Train a small language model on bytes, quantize it in several ways, and see what that costs on held-out text.

Papers: Dettmers et al. 2022 (LLM.int8()), arXiv 2208.07339, sections 3 and 4; Frantar et al. 2022 (GPTQ), arXiv 2210.17323, section 3
and Algorithm 1. Serves the claims `llm_int8/planted_outliers`, `gptq/trained_model_loss` and `gptq/layer_error`. One trial trains
one model and measures every way to quantize it, so that all of them are of the same weights.

LLM.int8(): outlier features appear in models of billions of parameters, and a small one has hardly any. So some are planted: a gain
of the norms is multiplied by s and the rows of the next matrices that read it are divided by s. The model computes the same
function, but now one of its features reaches magnitudes as large models' do.

GPTQ: 128 windows of training text calibrate it, block after block, as in the paper. Against it stand round-to-nearest on the same
grids, and GPTQ with the Hessian's features in another order.

Hardware and time: see the notes of the study. Deviations: models of 0.1 (cpu) to 19 million parameters (gpu); bytes; planted outliers.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.quantization.absmax import mixed, outlier_features, set_apart, vector_wise
from experiments.quantization.optimal_brain import gptq, grid_of, layer_error
from experiments.quantization.quantized_gpt import (
    Multiply,
    exact,
    held_out_loss,
    largest_inputs,
    quantized,
    with_outliers,
    with_product,
)
from repro.lab.corpora import data_sets, load_tokens
from repro.lab.gpt import GPT, GPTShape, initial_weights
from repro.lab.optim import warmup_cosine
from repro.lab.seeding import derived_seed, generator
from repro.lab.tokens import Tokens, Windows, gather
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """The model, its training, and both ways to quantize it."""

    source: str = "stdlib"
    """Text, as `repro.lab.corpora` names it; bytes."""
    n_layer: int = 2
    """Blocks."""
    d_model: int = 64
    """Width."""
    d_head: int = 16
    """Width of a head."""
    context: int = 64
    """Tokens seen at once."""
    tokens: float = 2.0e6
    """Training tokens."""
    batch: int = 16
    """Windows of a step."""
    lr: float = 6e-3
    """Peak learning rate of Adam."""
    warmup_share: float = 0.05
    """Of the steps."""
    eval_tokens: int = 32_768
    """Held-out tokens."""
    calibration: int = 128
    """Windows of training text that GPTQ sees, and that outliers are scaled by."""
    block: int = 128
    """Columns of a block of GPTQ, B."""
    damping: float = 0.01
    """Of the mean diagonal of the Hessian."""
    outliers: int = 1
    """Features planted in every norm, the same in all of them."""
    magnitude: float = 60.0
    """What they reach on the calibration text."""
    threshold: float = 6.0
    """α of LLM.int8()."""
    seed: int = 0
    """Of weights, order of the text, calibration windows and planted features."""
    threads: int = 1
    """Of the processor."""


def shape_of(config: Config) -> GPTShape:
    """Return the model's shape."""
    return GPTShape(config.n_layer, config.d_model, config.d_head, config.context, vocabulary=256)


def steps_of(config: Config) -> int:
    """Return the number of training steps."""
    return max(1, math.ceil(config.tokens / (config.batch * config.context)))


def cost(config: Config) -> float:
    """Return the FLOPs of a trial: 6 a weight and training token, 2 a weight and token of 13 evaluations."""
    trained = steps_of(config) * config.batch * config.context
    return shape_of(config).matrix_parameters * (6.0 * trained + 26.0 * config.eval_tokens)


def reads(config: Config) -> tuple[str, ...]:
    """Return the data sets that a trial reads, by id."""
    return data_sets(config.source)


def train(config: Config, text: Tokens, context: Context) -> GPT:
    """Return one trained model: Adam, a warm-up, half a cosine down to a tenth."""
    model = GPT(shape_of(config), initial_weights(shape_of(config), [config.seed]).to(context.device))
    adam = torch.optim.Adam([model.rows], betas=(0.9, 0.95), fused=context.device == "cuda")
    steps, train_text = steps_of(config), text.train.to(context.device)
    windows = Windows(len(train_text), config.batch, config.context, derived_seed("text", config.seed))
    starts = torch.stack([windows.starts(step) for step in range(steps)]).to(context.device)
    warmup = math.ceil(config.warmup_share * steps)
    half = context.precision == "bfloat16"
    for step in range(steps):
        inputs, targets = gather(train_text, starts[step], config.context)
        with torch.autocast(context.device, torch.bfloat16) if half else contextlib.nullcontext():
            loss = model(inputs[None], targets[None]).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([model.rows], 1.0)
        adam.param_groups[0]["lr"] = warmup_cosine(step, steps=steps, warmup=warmup, peak=config.lr, final_share=0.1)
        adam.step()
        adam.zero_grad()
        if (step + 1) % max(1, steps // 20) == 0:
            context.log(step + 1, train_loss=float(loss.detach()))
            context.progress(0.8 * (step + 1) / steps)
    return model.requires_grad_(False)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model and return its held-out losses, in nats a token, and the errors of its layers.

    Returns:
        `loss`: of the model as trained. For b = 4 and 3 bits `rounded_<b>`, `gptq_<b>`, `shuffled_<b>`: round-to-nearest, GPTQ, and GPTQ
        with the Hessian's features in another order; `layer_<b>`, `layer_shuffled_<b>`: the largest over the matrices of
        ‖WX − QX‖² of the two, over that of round-to-nearest on the same inputs; `layer_mean_<b>` their geometric mean.
        `vector_wise`, `mixed`: 8-bit products, of which `mixed` is LLM.int8(). `planted`: the loss of the planted model, which is that
        of the model; `planted_vector_wise`, `planted_mixed`; `planted_neighbours`: the features next to the outliers are set
        apart in their stead. `largest_input`, `features_over_threshold`: of the model as trained; the features of the matrix
        that has most. `text_id`: of the text, as the standard library differs between Python versions.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    text = load_tokens(config.source, 256, context.data)
    model = train(config, text, context)
    w = {name: weight[0] for name, weight in model.weights().items()}
    validation = text.validation.to(context.device)

    def loss(weights: dict[str, Tensor], multiply: Multiply | None = None) -> float:
        return held_out_loss(model, weights, multiply or exact(weights), validation, config.eval_tokens, config.batch)

    draw = generator("calibration", config.seed)
    starts = torch.randint(len(text.train) - config.context, (config.calibration,), generator=draw)
    tokens, _ = gather(text.train, starts, config.context)
    tokens = tokens.to(context.device)

    row = {"loss": loss(w)}
    for bits in (4, 3):
        row |= gptq_against_rounding(config, model, w, tokens, bits, loss)

    largest, over = largest_inputs(model, w, tokens, config.threshold)
    features = torch.randperm(config.d_model, generator=draw)[: config.outliers].to(context.device)
    planted = with_outliers(w, largest, features, config.magnitude)

    def decomposed(x: Tensor, matrix: Tensor) -> Tensor:
        return mixed(x, matrix, config.threshold)

    def neighbours(x: Tensor, matrix: Tensor) -> Tensor:
        return set_apart(x, matrix, outlier_features(x, config.threshold).roll(1))

    row |= {
        "vector_wise": loss(w, with_product(w, vector_wise)),
        "mixed": loss(w, with_product(w, decomposed)),
        "planted": loss(planted),
        "planted_vector_wise": loss(planted, with_product(planted, vector_wise)),
        "planted_mixed": loss(planted, with_product(planted, decomposed)),
        "planted_neighbours": loss(planted, with_product(planted, neighbours)),
        "largest_input": float(torch.stack([each.amax() for each in largest.values()]).amax()),
        "features_over_threshold": float(over),
        "text_id": float(int(text.digest[:12], 16)),
    }
    context.progress(1.0)
    return row


def gptq_against_rounding(
    config: Config, model: GPT, w: dict[str, Tensor], tokens: Tensor, bits: int, loss: Callable[..., float]
) -> dict[str, float]:
    """Quantize with so many bits in three ways; return the losses and the layer errors that `run` names."""
    order = {
        len(matrix): torch.randperm(len(matrix), generator=generator("shuffled", config.seed, len(matrix)))
        for name, matrix in w.items()
        if matrix.ndim == 2 and name != "embedding"
    }
    shares: dict[str, list[Tensor]] = {"own": [], "shuffled": []}

    def rounded(name: str, matrix: Tensor, h: Tensor) -> Tensor:
        return grid_of(matrix, bits).nearest(matrix)

    def compensated(which: str) -> Callable[[str, Tensor, Tensor], Tensor]:
        def quantize(name: str, matrix: Tensor, h: Tensor) -> Tensor:
            moved = order[len(h)].to(h.device)
            given = h if which == "own" else h[moved][:, moved]
            grid = grid_of(matrix, bits)
            q = gptq(matrix, given, grid, config.block, config.damping)
            shares[which].append(layer_error(matrix, q, h) / layer_error(matrix, grid.nearest(matrix), h))
            return q

        return quantize

    row = {
        f"rounded_{bits}": loss(quantized(model, w, tokens, rounded)),
        f"gptq_{bits}": loss(quantized(model, w, tokens, compensated("own"))),
        f"shuffled_{bits}": loss(quantized(model, w, tokens, compensated("shuffled"))),
    }
    own, shuffled = torch.stack(shares["own"]), torch.stack(shares["shuffled"])
    return row | {
        f"layer_{bits}": float(own.amax()),
        f"layer_mean_{bits}": float(own.log().mean().exp()),
        f"layer_shuffled_{bits}": float(shuffled.amax()),
    }


if __name__ == "__main__":
    print(run(Config(), Context()))
