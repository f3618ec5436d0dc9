"""The forward pass of a trained `repro.lab.gpt` model with its block matrices' products exchanged: for 8-bit products and for GPTQ.

A block multiplies its inputs by four matrices, `query_key_value`, `output`, `up` and `down`; embedding, norms and head stay as
they are, as in both papers. Matrices map from their first dimension to their second; GPTQ's W is the transpose.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.quantization.absmax import outlier_features
from repro.lab.gpt import GPT, embed, rotate
from repro.lab.rms_norm import rms_norm
from repro.lab.tokens import held_out

MATRICES = ("query_key_value", "output", "up", "down")

Weights = Mapping[str, Tensor]
"""One model's weights by name, without the dimension of the stack."""
Multiply = Callable[[str, Tensor], Tensor]
"""The product of inputs [N, fan-in] and the matrix of a name, such as `0.up`: [N, fan-out]."""


def exact(w: Weights) -> Multiply:
    """Multiply as the model itself does."""
    return lambda name, a: a @ w[name]


def with_product(w: Weights, product: Callable[[Tensor, Tensor], Tensor]) -> Multiply:
    """Multiply inputs and matrix by `product`, such as `vector_wise`."""
    return lambda name, a: product(a, w[name])


def attention(model: GPT, heads: Tensor, length: int) -> Tensor:
    """Causal attention within sequences of `length`, from queries, keys and values `heads` [N, 3d]: [N, d]."""
    queries_keys, values = heads.view(-1, length, 3, *model.shape.heads).split([2, 1], dim=2)
    queries_keys = rotate(queries_keys, model.cos[:length, None, None], model.sin[:length, None, None])
    q, k = queries_keys.transpose(1, 3).unbind(2)
    mixed = F.scaled_dot_product_attention(q, k, values.squeeze(2).transpose(1, 2), is_causal=True)
    return mixed.transpose(1, 2).reshape(len(heads), -1)


def block(model: GPT, layer: int, x: Tensor, length: int, w: Weights, multiply: Multiply) -> Tensor:
    """One layer: residual stream `x` [N, d] of N/length sequences to [N, d]."""
    heads = multiply(f"{layer}.query_key_value", rms_norm(x) * w[f"{layer}.attention_norm"])
    x = x + multiply(f"{layer}.output", attention(model, heads, length))
    hidden = multiply(f"{layer}.up", rms_norm(x) * w[f"{layer}.feed_forward_norm"])
    return x + multiply(f"{layer}.down", F.gelu(hidden))


def embedded(w: Weights, tokens: Tensor) -> Tensor:
    """Residual stream [B·S, d] before the first layer, of `tokens` [B, S]."""
    return embed(w["embedding"][None], tokens[None])[0]


@torch.no_grad()
def held_out_loss(model: GPT, w: Weights, multiply: Multiply, text: Tensor, limit: int, batch: int) -> float:
    """Mean cross-entropy in nats a token over about `limit` tokens of `text`, with the weights `w` of a model like `model`."""
    total, count = torch.zeros((), dtype=torch.float64, device=text.device), 0
    for inputs, targets in held_out(text, batch=batch, context=model.shape.context, limit=limit):
        x = embedded(w, inputs)
        for layer in range(model.shape.n_layer):
            x = block(model, layer, x, inputs.shape[1], w, multiply)
        loss = model.losses(x[None], w["final_norm"][None], w["embedding"][None], targets.flatten()[None])
        total, count = total + loss[0].double() * targets.numel(), count + targets.numel()
    return float(total / count)


@torch.no_grad()
def quantized(
    model: GPT, w: Weights, tokens: Tensor, quantize: Callable[[str, Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return the weights with every block matrix quantized, block after block.

    Args:
        model: of the shape.
        w: its weights.
        tokens: calibration text [B, S].
        quantize: from a matrix's name, W [fan-out, fan-in] and H = 2XXᵀ [fan-in, fan-in], in float64, to Q. X are the inputs that
            the matrix has in a block not yet quantized, behind blocks that are.
    """
    x, made = embedded(w, tokens), dict(w)
    for layer in range(model.shape.n_layer):
        hessians: dict[str, Tensor] = {}

        def collect(name: str, a: Tensor, into: dict[str, Tensor] = hessians) -> Tensor:
            into[name] = 2 * a.double().T @ a.double()
            return a @ w[name]

        block(model, layer, x, tokens.shape[1], w, collect)
        for name, h in hessians.items():
            made[name] = quantize(name, w[name].T.double(), h).T.to(w[name].dtype)
        x = block(model, layer, x, tokens.shape[1], made, exact(made))
    return made


@torch.no_grad()
def largest_inputs(model: GPT, w: Weights, tokens: Tensor, threshold: float) -> tuple[dict[str, Tensor], Tensor]:
    """Return each feature's largest magnitude among the inputs of every matrix, and how many features reach the threshold.

    The count is the largest of any matrix: a scalar.
    """
    x, largest, counts = embedded(w, tokens), {}, []

    def look(name: str, a: Tensor) -> Tensor:
        largest[name] = a.abs().amax(0)
        counts.append(outlier_features(a, threshold).sum())
        return a @ w[name]

    for layer in range(model.shape.n_layer):
        x = block(model, layer, x, tokens.shape[1], w, look)
    return largest, torch.stack(counts).amax()


def with_outliers(w: Weights, largest: Mapping[str, Tensor], features: Tensor, magnitude: float) -> dict[str, Tensor]:
    """Return weights of the same function in which `features` [F] of every normed input reach `magnitude`.

    The norm's gain of a feature times s and the matrix' row divided by s leave each product as it was.
    """
    made = dict(w)
    for name in largest:
        layer, matrix = name.split(".")
        norm = {"query_key_value": f"{layer}.attention_norm", "up": f"{layer}.feed_forward_norm"}.get(matrix)
        if norm is not None:
            s = torch.ones_like(w[norm])
            s[features] = magnitude / largest[name][features]
            made[norm], made[name] = w[norm] * s, w[name] / s[:, None]
    return made
