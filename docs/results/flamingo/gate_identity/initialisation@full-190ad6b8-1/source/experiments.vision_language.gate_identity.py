"""Does a tanh gate at zero leave a frozen language model as it was, bit for bit?

Paper: Alayrac et al. 2022 (Flamingo), section 2.2 and Figure 4: the output of each new layer is multiplied by tanh(α),
α a learnable scalar per layer that starts at 0, so that at initialisation the conditioned model gives the frozen
language model's output. Serves the claim `flamingo/gate_identity`.

A GATED XATTN-DENSE block stands before each frozen block; y is the text stream, x the visual tokens:

    y = y + tanh(α_xattn) · attention(q = y, kv = x)
    y = y + tanh(α_dense) · ffw(y)
    y = frozen_block(y)

Two checks. Forward: the logits equal the frozen model's in every bit. Backward, after one step of the loss: every gate
has a gradient, so the visual branch is connected and can learn; and no weight inside the branch has one, because
d/dW [tanh(α) · f_W] = tanh(0) · df_W/dW = 0.

Both are tested in float32 and in bfloat16. Both formats belong to the claim, so the precision of the context is not
used.

Hardware and time: any CPU, a fraction of a second a seed on one thread. Deviations: a small random language model and random
visual tokens in place of Chinchilla, the vision encoder and the Perceiver Resampler: the identity does not depend on
what the weights are, and nothing is said about accuracy.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Sizes of the model, and where the gate stands."""

    n_layer: int = 6
    """Frozen blocks, each behind a new one."""
    d: int = 256
    """Width of the text stream."""
    n_head: int = 8
    """Heads of every attention."""
    vocab: int = 512
    """Tokens in the vocabulary."""
    batch: int = 2
    """Sequences."""
    text_length: int = 64
    """Tokens of a sequence."""
    n_images: int = 2
    """Images of a sequence; the first stands before all text."""
    image_tokens: int = 64
    """Visual tokens of an image: the Perceiver Resampler's output length."""
    d_visual: int = 256
    """Width of a visual token."""
    gate: str = "tanh"
    """`tanh`; `none`: the new layers are added without a gate; `norm_outside`: gated, but with a LayerNorm on the
    text stream instead of inside the gated branch."""
    seed: int = 0
    """Seeds weights, tokens and visual input."""


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """softmax(q kᵀ / √d_head) v over the allowed positions.

    q [B, H, T, C], k and v [B, H, S, C], mask [T, S] or [B, 1, T, S] with True where t may look at s.
    """
    logits = q @ k.mT / q.shape[-1] ** 0.5
    return logits.masked_fill(~mask, float("-inf")).softmax(-1) @ v


class MultiHeadAttention(nn.Module):
    """Queries from y [B, T, d], keys and values from x [B, S, d_x]; returns [B, T, d]."""

    def __init__(self, d: int, d_x: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.q = nn.Linear(d, d, bias=False)
        self.k = nn.Linear(d_x, d, bias=False)
        self.v = nn.Linear(d_x, d, bias=False)
        self.out = nn.Linear(d, d, bias=False)

    def forward(self, y: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Attend from y to x where `mask` [T, S] or [B, 1, T, S] is True."""
        q, k, v = (t.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for t in (self.q(y), self.k(x), self.v(x)))
        return self.out(attention(q, k, v, mask).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two layers, four times as wide inside."""

    def __init__(self, d: int, squared_relu: bool) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(d, 4 * d, bias=False), nn.Linear(4 * d, d, bias=False)
        self.squared_relu = squared_relu

    def forward(self, y: Tensor) -> Tensor:
        """[B, T, d] to [B, T, d]."""
        hidden = self.up(y)
        return self.down(F.relu(hidden).square() if self.squared_relu else F.gelu(hidden))


class FrozenBlock(nn.Module):
    """A pre-norm transformer block of the language model: causal self-attention, then a feed-forward layer."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm_attention, self.norm_dense = nn.LayerNorm(config.d), nn.LayerNorm(config.d)
        self.attention = MultiHeadAttention(config.d, config.d, config.n_head)
        self.ffw = FeedForward(config.d, squared_relu=False)

    def forward(self, y: Tensor) -> Tensor:
        """[B, T, d] to [B, T, d]."""
        T = y.shape[1]
        causal = torch.ones(T, T, dtype=torch.bool, device=y.device).tril()
        normed = self.norm_attention(y)
        y = y + self.attention(normed, normed, causal)
        return y + self.ffw(self.norm_dense(y))


class GatedCrossAttentionDense(nn.Module):
    """The new block, GATED XATTN-DENSE (Figure 4)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate = config.gate
        self.norm_xattn, self.norm_dense = nn.LayerNorm(config.d), nn.LayerNorm(config.d)
        self.xattn = MultiHeadAttention(config.d, config.d_visual, config.n_head)
        self.ffw = FeedForward(config.d, squared_relu=True)
        self.alpha_xattn = nn.Parameter(torch.zeros(()))
        self.alpha_dense = nn.Parameter(torch.zeros(()))

    def forward(self, y: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Text y [B, T, d] and visual tokens x [B, S, d_visual], mask [B, 1, T, S], to [B, T, d]."""
        if self.gate == "none":
            y = y + self.xattn(self.norm_xattn(y), x, mask)
            return y + self.ffw(self.norm_dense(y))
        if self.gate == "norm_outside":
            y = self.norm_xattn(y)
            y = y + self.alpha_xattn.tanh() * self.xattn(y, x, mask)
            return y + self.alpha_dense.tanh() * self.ffw(y)
        y = y + self.alpha_xattn.tanh() * self.xattn(self.norm_xattn(y), x, mask)
        return y + self.alpha_dense.tanh() * self.ffw(self.norm_dense(y))


class Flamingo(nn.Module):
    """A frozen language model with a new block before each of its own."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab, config.d)
        self.position = nn.Embedding(config.text_length, config.d)
        self.frozen = nn.ModuleList(FrozenBlock(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.d)
        self.unembedding = nn.Linear(config.d, config.vocab, bias=False)
        self.requires_grad_(False)
        self.new = nn.ModuleList(GatedCrossAttentionDense(config) for _ in range(config.n_layer))

    def forward(self, tokens: Tensor, x: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Logits [B, T, vocab] of `tokens` [B, T]; without visual tokens x, those of the language model alone."""
        y = self.embedding(tokens) + self.position.weight[: tokens.shape[1]]
        for new, frozen in zip(self.new, self.frozen, strict=True):
            if x is not None:
                y = new(y, x, mask)
            y = frozen(y)
        return self.unembedding(self.norm(y))


def image_causal_mask(image_of_text: Tensor, n_images: int, image_tokens: int) -> Tensor:
    """Section 2.3: text looks at the visual tokens of the last image before it, and at no other.

    image_of_text [B, T] is that image's index; returns [B, 1, T, n_images · image_tokens].
    """
    image_of_visual = torch.arange(n_images, device=image_of_text.device).repeat_interleave(image_tokens)
    return (image_of_text[:, :, None] == image_of_visual)[:, None]


def differing_bits(a: Tensor, b: Tensor) -> int:
    """Number of entries that are not the same bit pattern: stricter than ==, for which −0 equals 0 and NaN itself not."""
    integers = {2: torch.int16, 4: torch.int32}[a.element_size()]
    return int((a.view(integers) != b.view(integers)).sum())


def run(config: Config, context: Context) -> dict[str, float]:
    """Compare the conditioned model with the frozen one, then take one backward pass.

    Returns, for each format `float32` and `bfloat16`:
        `<format>`: logits whose bits differ (count, of batch · text_length · vocab).
        `<format>_dead_gates`: gates without a nonzero gradient (count, of 2 · n_layer).
        `<format>_live_weights`: entries of the new layers' other weights whose gradient is not exactly 0 (count).
        `<format>_smallest_gate_gradient`: least |dL/dα| (nats).
    """
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(config.seed)
    tokens = torch.randint(config.vocab, (config.batch, config.text_length), generator=rng)
    x = torch.randn(config.batch, config.n_images * config.image_tokens, config.d_visual, generator=rng)
    # images stand before equal stretches of the text
    image_of_text = (torch.arange(config.text_length) * config.n_images // config.text_length).expand_as(tokens)
    mask = image_causal_mask(image_of_text, config.n_images, config.image_tokens)

    row: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = Flamingo(config).to(context.device, dtype)
        tokens_, x_, mask_ = tokens.to(context.device), x.to(context.device, dtype), mask.to(context.device)

        frozen = model(tokens_)
        conditioned = model(tokens_, x_, mask_)
        row[name] = differing_bits(conditioned, frozen)

        F.cross_entropy(conditioned[:, :-1].flatten(0, 1).float(), tokens_[:, 1:].flatten()).backward()
        gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.new.named_parameters()}
        gates = [g.abs().item() for n, g in gradients.items() if "alpha" in n]
        row[f"{name}_dead_gates"] = sum(not g > 0 for g in gates)  # NaN is dead too
        row[f"{name}_live_weights"] = sum(int((g != 0).sum()) for n, g in gradients.items() if "alpha" not in n)
        row[f"{name}_smallest_gate_gradient"] = min(gates)
    return {name: float(value) for name, value in row.items()}


if __name__ == "__main__":
    for gate in ("tanh", "none", "norm_outside"):
        print(f"gate={gate}", run(Config(gate=gate), Context()))
