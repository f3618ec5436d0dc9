"""A small decoder-only transformer, as a stack of M models of one shape that train side by side.

Tiny models leave a processor waiting for the next instruction; M of them in one batched product do not. All weights of a
model lie in one row of one matrix `[M, P]`, so that a step of the optimiser is a few operations whatever the depth. A stack
of one is an ordinary model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.lab.attention import causal_attention, pays, turning_tables
from repro.lab.rms_norm import rms_norm
from repro.lab.seeding import generator

Parametrization = Literal["standard", "mup"]
ATTENTION = ("attention_norm", "query_key_value", "output")
FEED_FORWARD = ("feed_forward_norm", "up", "down")


@dataclass(frozen=True)
class GPTShape:
    """What fixes the model's size. Notation of Kaplan et al.: L layers of width d over a context of S tokens."""

    n_layer: int
    """Blocks, L."""
    d_model: int
    """Width of the residual stream, d; a multiple of `d_head`."""
    d_head: int
    """Width of one attention head; even, and the same at every size."""
    context: int
    """Tokens seen at once, S."""
    vocabulary: int
    """Tokens there are, V."""
    tied: bool = True
    """Whether the output head is the token embedding itself or a second matrix."""
    positions: Literal["rotary", "learned"] = "rotary"
    """Rotary positions (Su et al., arXiv 2104.09864) have no weights; learned ones are a matrix `[S, d]`."""

    def __post_init__(self) -> None:
        if min(self.n_layer, self.d_model, self.d_head, self.context, self.vocabulary) < 1:
            raise ValueError(f"every size of a model must be at least 1; got {self}")
        if self.positions not in ("rotary", "learned"):
            raise ValueError(f"positions must be rotary or learned, not {self.positions!r}")
        if self.d_model % self.d_head or self.d_head % 2:
            raise ValueError(
                f"d_model must be a multiple of d_head, and d_head even; got d_model={self.d_model}, d_head={self.d_head}"
            )

    @property
    def heads(self) -> tuple[int, int]:
        """Heads in a layer, H, and the width of one."""
        return self.d_model // self.d_head, self.d_head

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Return every weight's shape by name, in the order in which they lie in a row of the stack.

        Matrices map from their first dimension to their second; the embedding and an untied head are `[V, d]`.
        """
        d = self.d_model
        layout: dict[str, tuple[int, ...]] = {"embedding": (self.vocabulary, d)}
        if self.positions == "learned":
            layout["positions"] = (self.context, d)
        for layer in range(self.n_layer):
            layout |= {
                f"{layer}.attention_norm": (d,),
                f"{layer}.query_key_value": (d, 3 * d),
                f"{layer}.output": (d, d),
                f"{layer}.feed_forward_norm": (d,),
                f"{layer}.up": (d, 4 * d),
                f"{layer}.down": (4 * d, d),
            }
        layout["final_norm"] = (d,)
        if not self.tied:
            layout["head"] = (self.vocabulary, d)
        return layout

    @property
    def embedding_parameters(self) -> int:
        """V·d, once where embedding and head are tied and twice where they are not, and S·d for learned positions."""
        return sum(
            math.prod(shape) for name, shape in self.weights().items() if name in ("embedding", "positions", "head")
        )

    @property
    def block_matrix_parameters(self) -> int:
        """12·L·d²: query, key, value, output (4d²) and the two feed-forward matrices of inner width 4d (8d²)."""
        return 12 * self.n_layer * self.d_model**2

    @property
    def matrix_parameters(self) -> int:
        """Weights that take part in a matrix product for every token: the blocks' and the head's."""
        return self.block_matrix_parameters + self.vocabulary * self.d_model

    @property
    def parameters(self) -> int:
        """All trained weights, P."""
        return sum(map(math.prod, self.weights().values()))

    @property
    def non_embedding_parameters(self) -> int:
        """N as Kaplan et al. count it (arXiv 2001.08361, section 2.1), without embeddings and head."""
        return self.parameters - self.embedding_parameters


class GPT(nn.Module):
    """M models: x + attention(norm(x)), then x + feed-forward(norm(x)) with inner width 4d and GELU, no biases."""

    cos: Tensor
    sin: Tensor
    turn: Tensor
    turn_swapped: Tensor

    def __init__(self, shape: GPTShape, rows: Tensor, logit_scale: float = 1.0) -> None:
        """Take the weights `[M, P]` of M models, such as `initial_weights` makes them, and the factor of the logits (muP).

        Raises:
            ValueError: if the rows are not those of the shape.
        """
        super().__init__()
        if rows.ndim != 2 or rows.shape[1] != shape.parameters:
            raise ValueError(f"{shape} has {shape.parameters} weights a model; got rows of shape {tuple(rows.shape)}")
        self.shape = shape
        self.logit_scale = logit_scale
        self.layout = shape.weights()
        self.rows = nn.Parameter(rows)
        if shape.positions == "rotary":
            cos, sin = rotary_tables(shape.context, shape.d_head, dtype=rows.dtype)
            self.register_buffer("cos", cos.to(rows.device), persistent=False)
            self.register_buffer("sin", sin.to(rows.device), persistent=False)
            turn, turn_swapped = turning_tables(cos, sin)
            self.register_buffer("turn", turn.to(rows.device), persistent=False)
            self.register_buffer("turn_swapped", turn_swapped.to(rows.device), persistent=False)

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights `[M, ...]` by name, as views into the rows."""
        pieces = torch.split(self.rows, [math.prod(shape) for shape in self.layout.values()], dim=1)
        return {
            name: torch.unflatten(piece, 1, shape)
            for (name, shape), piece in zip(self.layout.items(), pieces, strict=True)
        }

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the logits `[M, B, S, V]`, or with `targets` each model's mean cross-entropy in nats a token, `[M]`.

        Args:
            tokens: `[M, B, S]` (int64), each below V.
            targets: `[M, B, S]` (int64), the successor of each token.

        Raises:
            ValueError: if the sequences are longer than the context.
        """
        models, batch, length = tokens.shape
        if length > self.shape.context:
            raise ValueError(f"a sequence of {length} tokens does not fit a context of {self.shape.context}")
        w = self.weights()
        x = embed(w["embedding"], tokens)  # [M, B·S, d]
        if "positions" in w:
            x = x + w["positions"][:, :length].repeat(1, batch, 1)
        for layer in range(self.shape.n_layer):
            x = x + self.attention(x, length, {name: w[f"{layer}.{name}"] for name in ATTENTION})
            x = x + self.feed_forward(x, {name: w[f"{layer}.{name}"] for name in FEED_FORWARD})
        gain, head = w["final_norm"] * self.logit_scale, w["embedding"] if self.shape.tied else w["head"]
        if targets is None:
            return normed_product(x, gain, head.mT).view(models, batch, length, -1)
        return self.losses(x, gain, head, targets.flatten(1))

    def attention(self, x: Tensor, length: int, w: Mapping[str, Tensor]) -> Tensor:
        """Return what a layer's causal attention within sequences of `length` adds to the residual stream `x` `[M, B·S, d]`."""
        heads = normed_product(x, w["attention_norm"], w["query_key_value"]).view(-1, length, 3, *self.shape.heads)
        if self.shape.positions == "rotary" and pays(heads):
            mixed = causal_attention(heads, self.turn[..., :length], self.turn_swapped[..., :length])
            return torch.bmm(mixed.view(x.shape), w["output"])
        queries_keys, values = torch.split(heads, [2, 1], dim=2)
        if self.shape.positions == "rotary":
            queries_keys = rotate(queries_keys, self.cos[:length, None, None], self.sin[:length, None, None])
        q, k = queries_keys.transpose(1, 3).unbind(2)
        v = values.squeeze(2).transpose(1, 2)  # each [M·B, H, S, d_head]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return torch.bmm(mixed.transpose(1, 2).reshape(x.shape), w["output"])

    def feed_forward(self, x: Tensor, w: Mapping[str, Tensor]) -> Tensor:
        """Return what a layer's feed-forward part adds to the residual stream `x` `[M, T, d]`."""
        return torch.bmm(F.gelu(normed_product(x, w["feed_forward_norm"], w["up"])), w["down"])

    def losses(self, x: Tensor, gain: Tensor, head: Tensor, targets: Tensor) -> Tensor:
        """Return each model's mean cross-entropy `[M]` of `targets` `[M, T]` from its residual stream `x` `[M, T, d]`."""
        logits = normed_product(x, gain, head.mT).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape).mean(1)

    def compile_parts(self) -> None:
        """Compile the two halves of a layer and the loss, each once for a width: for any depth, stack and batch."""
        # Beyond this many compiled versions torch goes back to uncompiled code without a word; a sweep has many widths.
        torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 1024
        for part in ("attention", "feed_forward", "losses"):
            setattr(self, part, torch.compile(getattr(self, part), dynamic=True))


def normed_product(x: Tensor, gain: Tensor, matrix: Tensor) -> Tensor:
    """Divide `x` `[M, T, d]` by its root mean square over d, and multiply by `gain` `[M, d]` and `matrix` `[M, d, n]`.

    The norm is that of Zhang and Sennrich, arXiv 1910.07467. The gain meets the matrix first, which is smaller than `x`.
    """
    return torch.bmm(rms_norm(x), gain[..., None] * matrix)


def embed(table: Tensor, tokens: Tensor) -> Tensor:
    """Look up `tokens` `[M, B, S]` in each model's own `table` `[M, V, d]`: `[M, B·S, d]`."""
    models, vocabulary, _ = table.shape
    first = torch.arange(models, device=tokens.device)[:, None, None] * vocabulary
    return F.embedding((tokens + first).flatten(1), table.flatten(0, 1))


def width_ratio(shape: GPTShape, parametrization: Parametrization, base_width: int) -> float:
    """Return m = d/`base_width` under muP (see `repro.lab.mup`), and 1 under the standard parametrization.

    Raises:
        ValueError: for an unknown parametrization, or a base width that does not go with it.
    """
    if parametrization not in ("standard", "mup"):
        raise ValueError(f"parametrization must be standard or mup, not {parametrization!r}")
    if (parametrization == "mup") != (base_width > 0):
        raise ValueError(f"muP needs a base_width above 0 and standard has none; got {parametrization}, {base_width}")
    return shape.d_model / base_width if parametrization == "mup" else 1.0


def is_vector_like(name: str, size: tuple[int, ...]) -> bool:
    """Return whether only one side of a weight grows with the width: gains, embedding, positions and head."""
    return len(size) == 1 or name in ("embedding", "positions", "head")


def initial_weights(
    shape: GPTShape, seeds: Sequence[int], parametrization: Parametrization = "standard", base_width: int = 0
) -> Tensor:
    """Return one row of weights `[M, P]` for each seed; a model's weights hang on its own seed alone.

    Matrices are N(0, 1/fan-in), the two that write to the residual stream smaller by √(2L); gains are 1. The fan-in of
    embedding and positions is d as well, because the embedding's rows are those of a tied head. Under muP theirs is the
    base width, at every width (Yang et al., arXiv 2203.03466, Table 8).

    Raises:
        ValueError: as `width_ratio`.
    """
    ratio = width_ratio(shape, parametrization, base_width)
    rows = []
    for seed in seeds:
        draw = generator("weights", seed)
        pieces = []
        for name, size in shape.weights().items():
            if len(size) == 1:
                pieces.append(torch.ones(size))
                continue
            fan_in = shape.d_model / ratio if is_vector_like(name, size) else size[0]
            std = fan_in**-0.5
            if name.endswith((".output", ".down")):
                std *= (2 * shape.n_layer) ** -0.5
            pieces.append(torch.randn(size, generator=draw) * std)
        rows.append(torch.cat([piece.flatten() for piece in pieces]))
    return torch.stack(rows)


def rotary_tables(
    context: int, d_head: int, base: float = 10_000.0, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Return cosines and sines `[context, d_head/2]` of the angles m·base^(−2i/d_head) at position m, pair i."""
    frequencies = base ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)
    angles = torch.outer(torch.arange(context, dtype=torch.float64), frequencies)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of neighbours in the last dimension of `x` `[..., d_head]` by its angle, in the tables' precision."""
    pairs = torch.unflatten(x.to(cos.dtype), -1, (-1, 2))
    if torch.compiler.is_compiling():  # fuses these products, but no complex ones
        first, second = pairs.unbind(-1)
        turned = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1)
    else:
        turned = torch.view_as_real(torch.view_as_complex(pairs) * torch.complex(cos, sin))
    return turned.flatten(-2).to(x.dtype)
