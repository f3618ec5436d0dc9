"""How well held-out items are ranked among candidates. Shared by the recipes of this folder.

He et al. 2017, arXiv 1708.05031, section 4.1. Candidate 0 of a user is the held-out item; r is its place, 1 for the best:

    HR@K = share of users with r ≤ K,     NDCG@K = mean of 1 / log₂(r + 1) where r ≤ K, else 0.

A tie counts against the held-out item: a model that scores all alike finds nothing.
"""

import math

import torch
from torch import Tensor


def places(scores: Tensor) -> Tensor:
    """Return r of the held-out item, [U], for scores [U, C] whose column 0 is its own."""
    return 1 + (scores[:, 1:] >= scores[:, :1]).sum(1)


def hit_rate_and_ndcg(scores: Tensor, K: int = 10) -> tuple[float, float]:
    """Return HR@K and NDCG@K; NaN where a score is not finite."""
    if not bool(torch.isfinite(scores).all()):
        return math.nan, math.nan
    r = places(scores).double()
    hit = r <= K
    return hit.double().mean().item(), (hit / torch.log2(r + 1)).mean().item()
