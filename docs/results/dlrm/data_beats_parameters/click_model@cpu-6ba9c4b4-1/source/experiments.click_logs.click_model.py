"""A click model whose truth is known: who sees what, and with what probability they click.

Made for `dlrm_scaling.py`. An example has F categorical fields and a few dense features. In field f the id x_f follows a Zipf law,
P(x_f = j) ∝ (j + 1)^−s, and the probability of a click is

    p = σ(b + σ_w Σ_f w_f[x_f] + σ_v Σ_{f<g} v_f[x_f] · v_g[x_g] + σ_u u · z)

with w, u and the entries of v normal; entry i of every v is scaled by 1/(i + 1), so that a model of few dimensions catches most
of the interactions and one of many catches more. All terms have unit variance before their σ. The entropy of p is what no model can predict.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from repro.lab.seeding import derived_seed, generator

CHUNK = 64
"""Batches that are drawn at once."""


@dataclass(frozen=True)
class Law:
    """Sizes and strengths of the click model."""

    fields: int
    """F."""
    ids: int
    """Ids of every field, V."""
    zipf: float
    """s."""
    rank: int
    """Dimensions of v."""
    dense: int
    """Dense features."""
    offset: float
    """b."""
    strengths: tuple[float, float, float]
    """σ_w, σ_v, σ_u."""


@dataclass(frozen=True)
class Examples:
    """n examples of a log."""

    ids: torch.Tensor
    """[n, F], of the rows of one table of F · V ids."""
    dense: torch.Tensor
    """[n, k]."""
    p: torch.Tensor
    """[n], the probability of a click."""
    clicks: torch.Tensor
    """[n], 0 or 1."""


class ClickModel:
    """The truth of one seed."""

    def __init__(self, law: Law, seed: int, device: str | torch.device = "cpu") -> None:
        """Draw w, v and u."""
        draw = generator("click model", seed)
        self.law, self.seed, self.device = law, seed, torch.device(device)
        ranks = torch.arange(1, law.ids + 1, dtype=torch.float64)
        share = ranks**-law.zipf / (ranks**-law.zipf).sum()
        self.share = share.to(self.device, torch.float32)
        self.cumulated = share.cumsum(0).to(self.device, torch.float32)
        scale = 1 / torch.arange(1, law.rank + 1)
        w = torch.randn(law.fields, law.ids, generator=draw)
        v = torch.randn(law.fields, law.ids, law.rank, generator=draw) * scale
        u = torch.randn(law.dense, generator=draw)
        # Centred under the law of ids, so that interactions have no main effects.
        self.w = (w - (w * share).sum(1, keepdim=True)).flatten().float().to(self.device) / law.fields**0.5
        v = v - (v * share[:, None]).sum(1, keepdim=True)
        pairs = law.fields * (law.fields - 1) / 2
        self.v = (v / (pairs * float((scale**4).sum())) ** 0.25).flatten(0, 1).float().to(self.device)
        self.u = (u / max(law.dense, 1) ** 0.5).to(self.device)

    def probability(self, ids: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        """Return p [n] of ids [n, F] and dense features [n, k]."""
        of_ids, of_pairs, of_dense = self.law.strengths
        v = self.v[ids]  # [n, F, rank]
        pairs = (v.sum(1).square() - v.square().sum(1)).sum(1) / 2
        logit = self.law.offset + of_ids * self.w[ids].sum(1) + of_pairs * pairs + of_dense * (dense @ self.u)
        return torch.sigmoid(logit)

    def draw(self, n: int, chance: torch.Generator) -> Examples:
        """Draw n examples."""
        law, device = self.law, self.device
        x = torch.searchsorted(self.cumulated, torch.rand(n, law.fields, generator=chance, device=device))
        ids = x.clamp_max(law.ids - 1) + law.ids * torch.arange(law.fields, device=device)
        dense = torch.randn(n, law.dense, generator=chance, device=device)
        p = self.probability(ids, dense)
        return Examples(ids, dense, p, (torch.rand(n, generator=chance, device=device) < p).float())

    def log(self, batches: int, batch: int, name: str = "train", passes: int = 1) -> Iterator[Examples]:
        """Yield `batches` batches of a log, the same ones on every pass; a longer log begins with a shorter one."""
        for _ in range(passes):
            chance = torch.Generator(self.device).manual_seed(derived_seed("click log", name, self.seed))
            for start in range(0, batches, CHUNK):
                many = self.draw(CHUNK * batch, chance)
                parts = zip(*(t.split(batch) for t in (many.ids, many.dense, many.p, many.clicks)), strict=True)
                for place, part in enumerate(parts):
                    if start + place < batches:
                        yield Examples(*part)
