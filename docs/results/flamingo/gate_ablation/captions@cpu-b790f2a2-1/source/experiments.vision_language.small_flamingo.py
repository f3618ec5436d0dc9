"""A small language model, and the same model frozen and conditioned on images by gated cross-attention.

Paper: Alayrac et al. 2022 (Flamingo), arXiv 2204.14198, section 2 and Figure 4. Shared by the recipes beside it. A new block before each frozen one:

    y = y + tanh(α_xattn) · attention(q = y, kv = x)
    y = y + tanh(α_dense) · ffw(y)
    y = frozen_block(y)

Section 2.3: a token of the text looks at the last image before it and at no other.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GATES = {"tanh": 0.0, "open": 4.0, "shut": 0.0, "none": 0.0}
"""α at the start: the paper's; a gate that starts open (tanh 4 = 0.9993); one that stays shut; and, unused, no gate."""


class Attention(nn.Module):
    """Queries from y [B, T, d], keys and values from x [B, S, d]."""

    def __init__(self, d: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.q, self.kv, self.out = (
            nn.Linear(d, d, bias=False),
            nn.Linear(d, 2 * d, bias=False),
            nn.Linear(d, d, bias=False),
        )

    def forward(self, y: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attend where `mask` [B, 1, T, S] is True; without a mask to the tokens before and to itself. Returns [B, T, d]."""
        q, k, v = (t.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for t in (self.q(y), *self.kv(x).chunk(2, -1)))
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.out(h.transpose(1, 2).flatten(2))


def feed_forward(d: int) -> nn.Module:
    """Two layers, twice as wide inside."""
    return nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))


class Block(nn.Module):
    """A pre-norm block of the language model."""

    def __init__(self, d: int, n_head: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_dense = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention, self.ffw = Attention(d, n_head), feed_forward(d)

    def forward(self, y: Tensor) -> Tensor:
        """[B, T, d] to [B, T, d]."""
        normed = self.norm_attention(y)
        y = y + self.attention(normed, normed, None)
        return y + self.ffw(self.norm_dense(y))


class GatedCrossAttentionDense(nn.Module):
    """The new block; `gate` is a name of `GATES`."""

    def __init__(self, d: int, n_head: int, gate: str) -> None:
        super().__init__()
        self.gate = gate
        self.norm_xattn, self.norm_dense = nn.LayerNorm(d), nn.LayerNorm(d)
        self.xattn, self.ffw = Attention(d, n_head), feed_forward(d)
        self.alpha_xattn = nn.Parameter(torch.full((), GATES[gate]))
        self.alpha_dense = nn.Parameter(torch.full((), GATES[gate]))

    def forward(self, y: Tensor, x: Tensor, mask: Tensor) -> Tensor:
        """Text y [B, T, d] and visual tokens x [B, S, d], mask [B, 1, T, S], to [B, T, d]."""
        if self.gate == "shut":
            return y
        gates = (1.0, 1.0) if self.gate == "none" else (self.alpha_xattn.tanh(), self.alpha_dense.tanh())
        y = y + gates[0] * self.xattn(self.norm_xattn(y), x, mask)
        return y + gates[1] * self.ffw(self.norm_dense(y))


class LanguageModel(nn.Module):
    """A causal transformer over tokens."""

    def __init__(self, vocab: int, length: int, d: int, n_head: int, n_layer: int) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(vocab, d), nn.Embedding(length, d)
        self.blocks = nn.ModuleList(Block(d, n_head) for _ in range(n_layer))
        self.norm, self.unembedding = nn.LayerNorm(d), nn.Linear(d, vocab, bias=False)
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=d**-0.5)

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, T] to [B, T, d]."""
        return self.embedding(tokens) + self.position.weight[: tokens.shape[1]]

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [B, T, vocab] of tokens [B, T]."""
        y = self.embed(tokens)
        for block in self.blocks:
            y = block(y)
        return self.unembedding(self.norm(y))


class Flamingo(nn.Module):
    """A language model, frozen, with a new block before each of its own and a small trainable reader of image patches."""

    def __init__(self, language_model: LanguageModel, patch: int, patches: int, n_head: int, gate: str) -> None:
        """Condition `language_model` on images of `patches` patches with `patch` values each."""
        super().__init__()
        d = language_model.embedding.weight.shape[1]
        self.frozen = language_model.requires_grad_(False)
        self.new = nn.ModuleList(GatedCrossAttentionDense(d, n_head, gate) for _ in language_model.blocks)
        self.reader = nn.Sequential(nn.Linear(patch, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.place = nn.Parameter(torch.randn(patches, d) * d**-0.5)

    def visual_tokens(self, images: Tensor) -> Tensor:
        """Return x [B, n · patches, d] of images [B, n, patches, patch]."""
        return (self.reader(images) + self.place).flatten(1, 2)

    def forward(self, tokens: Tensor, images: Tensor, image_of_text: Tensor) -> Tensor:
        """Logits [B, T, vocab]; image_of_text [T] is the number of the last image before each token."""
        x, (n, patches) = self.visual_tokens(images), images.shape[1:3]
        image_of_visual = torch.arange(n, device=tokens.device).repeat_interleave(patches)
        mask = (image_of_text[:, None] == image_of_visual).expand(len(tokens), 1, -1, -1)
        y = self.frozen.embed(tokens)
        for new, block in zip(self.new, self.frozen.blocks, strict=True):
            y = block(new(y, x, mask))
        return self.frozen.unembedding(self.frozen.norm(y))
