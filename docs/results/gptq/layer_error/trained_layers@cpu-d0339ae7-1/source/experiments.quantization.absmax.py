"""8-bit products of LLM.int8() in integers: one scale a tensor, a row, or a row and a column, and outlier features set apart.

Paper: Dettmers et al. 2022, arXiv 2208.07339, sections 2 and 3. X [N, K] holds activations, W [K, M] weights; a product is
XW [N, M]. A feature is a column of X.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]


def absmax(x: Tensor, dim: int | None = None) -> tuple[Tensor, Tensor]:
    """Scale `x` [N, K] into −127…127 by its largest magnitude (section 2.1): integers of the same shape, and what one is worth.

    Along `dim` each vector has a scale of its own; without it the tensor has one.
    """
    largest = x.abs().amax() if dim is None else x.abs().amax(dim, keepdim=True)
    scale = largest.clamp_min(torch.finfo(x.dtype).tiny * 127) / 127
    return (x / scale).round().to(torch.int8), scale


def int8_product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply int8 matrices `a` [N, K] and `b` [K, M] with 32-bit sums: int32 [N, M], exact for K up to 133,144."""
    rows, columns = a.shape[0], b.shape[1]
    if a.device.type == "cuda":  # its kernel wants more than 16 rows, and multiples of 8
        inner = -a.shape[1] % 8
        a = F.pad(a, (0, inner, 0, max(0, 24 - rows)))
        b = F.pad(b, (0, -columns % 8, 0, inner))
    return torch._int_mm(a, b.contiguous())[:rows, :columns]


def tensor_wise(x: Tensor, w: Tensor) -> Tensor:
    """One scale for X and one for W (absmax quantization of Table 1)."""
    (xq, xs), (wq, ws) = absmax(x), absmax(w)
    return int8_product(xq, wq) * (xs * ws)


def row_wise(x: Tensor, w: Tensor) -> Tensor:
    """One scale for each row of X and one for W."""
    (xq, xs), (wq, ws) = absmax(x, 1), absmax(w)
    return int8_product(xq, wq) * (xs * ws)


def vector_wise(x: Tensor, w: Tensor) -> Tensor:
    """One scale for each row of X and each column of W, as many as there are inner products (section 3.1)."""
    (xq, xs), (wq, ws) = absmax(x, 1), absmax(w, 0)
    return int8_product(xq, wq) * (xs * ws)


def outlier_features(x: Tensor, threshold: float) -> Tensor:
    """Return which columns of `x` [N, K] hold a magnitude of at least the threshold α: [K], boolean (section 3.2)."""
    return (x.abs() >= threshold).any(0)


def set_apart(x: Tensor, w: Tensor, apart: Tensor) -> Tensor:
    """Multiply the features in `apart` [K] in 16 bits, all others vector-wise in 8 (section 3.2, with O = `apart`).

    16-bit numbers, 32-bit sums. A feature that is zero adds nothing to an integer product and nothing to a scale, so the others
    keep their places: every shape stays as it is, and nothing waits for the device.
    """
    rest = vector_wise(x.masked_fill(apart, 0.0), w.masked_fill(apart[:, None], 0.0))
    few = x.where(apart, 0.0).half().to(x.dtype) @ w.where(apart[:, None], 0.0).half().to(w.dtype)
    return few + rest


def mixed(x: Tensor, w: Tensor, threshold: float = 6.0) -> Tensor:
    """LLM.int8(): the outlier features in 16 bits, the others vector-wise in 8; α = 6 in the paper."""
    return set_apart(x, w, outlier_features(x, threshold))
