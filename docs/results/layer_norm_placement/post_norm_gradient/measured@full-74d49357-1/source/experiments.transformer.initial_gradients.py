"""How large is the gradient of a Transformer's last layer before training, at growing depth, with norm after or before?

Paper: Xiong et al., "On Layer Normalization in the Transformer Architecture", arXiv 2002.04745, Theorem 1: at initialisation
the gradient of the last feed-forward matrix W^{2,L} is bounded by

    post-norm   ‖∂L̃/∂W^{2,L}‖_F ≤ O(d √(ln d)),         whatever the depth L,
    pre-norm    ‖∂L̃/∂W^{2,L}‖_F ≤ O(d √(ln d / L)),

because the last norm divides by the length of its input, which is about √(3d/2) in the one and grows as √(L d) in the other
(Lemmas 2 and 3). Serves the claims `layer_norm_placement/{post_norm_gradient, pre_norm_gradient}`.

The setting is that of section 3.3: one head; every matrix d × d, also those of the feed-forward part; Gaussian Xavier weights
N(0, 2/(n_in + n_out)) and no biases; queries and keys zero, so that attention averages; Gaussian inputs; a softmax over W_emb.
L̃ is the mean loss over the positions.

Hardware and time: any CPU, seconds on one thread. Deviations: inputs see one another without a mask; targets are random, as is
W_emb, whose rows have length 1 in the mean (the paper gives no scale).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.seeding import generator
from repro.lab.transformer import MultiHeadAttention, Transformer, TransformerShape
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Sizes, and what is compared."""

    depths: tuple[int, ...] = (8, 12, 16, 24, 32, 48, 64)
    """Depths L."""
    d_model: int = 64
    """Width d."""
    length: int = 32
    """Positions of a sequence."""
    batch: int = 8
    """Sequences."""
    vocabulary: int = 256
    """Entries of the softmax."""
    models: int = 4
    """Models of each depth and kind, whose norms are averaged: the theorem is about a typical one."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds weights, inputs and targets."""


def initial_model(config: Config, n_layer: int, norm: str, draws: torch.Generator) -> Transformer:
    """Return a model of `n_layer` layers as section 3.3 initialises it, from the generator `draws`."""
    d = config.d_model
    shape = TransformerShape(
        n_layer=n_layer,
        d_model=d,
        n_head=1,
        d_ff=d,
        context=config.length,
        vocabulary=config.vocabulary,
        causal=False,
        norm=norm,
        positions="none",
    )
    model = Transformer(shape)
    with torch.no_grad():
        model.embedding.weight.copy_(torch.randn(config.vocabulary, d, generator=draws) * d**-0.5)
        for layer in model.layers:
            assert isinstance(layer.attention, MultiHeadAttention)
            query, key, value = layer.attention.query_key_value.weight.chunk(3)
            query.zero_()
            key.zero_()
            for matrix in (value, layer.attention.output.weight, layer.up.weight, layer.down.weight):
                matrix.copy_(torch.randn(matrix.shape, generator=draws) * (2 / sum(matrix.shape)) ** 0.5)
            for linear in (layer.up, layer.down):
                nn.init.zeros_(linear.bias)
    return model


def last_gradient(model: Transformer, x: Tensor, targets: Tensor) -> tuple[float, float]:
    """Return ‖∂L̃/∂W^{2,L}‖_F for inputs `x` `[B, T, d]` and `targets` `[B, T]`, and the mean ‖·‖² / d of what enters the last norm."""
    last = model.layers[-1]
    norm = model.final_norm if model.shape.norm == "pre" else last.feed_forward_norm
    entered: list[Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].detach()))
    loss = F.cross_entropy((model.encode(x) @ model.embedding.weight.T).flatten(0, 1), targets.flatten())
    hook.remove()
    (gradient,) = torch.autograd.grad(loss, last.down.weight)
    return gradient.norm().item(), entered[0].square().mean().item()


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Measure models of every depth.

    Returns:
        For each depth a row: `n_layer`; `post` and `pre`, the gradient's Frobenius norm averaged over the models; `post_scale`
        and `pre_scale`, the mean square of the entries that the last norm gets (Lemma 2: 3/2, and 1 + L/2 to 1 + 3L/2).
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    rows = []
    for n_layer in config.depths:
        row = {"n_layer": float(n_layer)}
        for norm in ("post", "pre"):
            found = []
            for number in range(config.models):
                # The two kinds share weights, inputs and targets.
                draws = generator("initial gradients", config.seed, n_layer, number)
                model = initial_model(config, n_layer, norm, draws).to(context.device)
                x = torch.randn(config.batch, config.length, config.d_model, generator=draws)
                targets = torch.randint(config.vocabulary, (config.batch, config.length), generator=draws)
                found.append(last_gradient(model, x.to(context.device), targets.to(context.device)))
            row[norm], row[f"{norm}_scale"] = torch.tensor(found, dtype=torch.float64).mean(0).tolist()
        rows.append(row)
        context.progress(len(rows) / len(config.depths))
    return rows


if __name__ == "__main__":
    for row in run(Config(), Context()):
        print({name: round(value, 4) for name, value in row.items()})
