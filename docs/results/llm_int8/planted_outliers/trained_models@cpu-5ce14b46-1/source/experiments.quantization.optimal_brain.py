"""GPTQ, and the plain procedure that it speeds up: weights rounded one column at a time, the rest making good for the error.

Paper: Frantar et al. 2022, arXiv 2210.17323, sections 3.1 to 3.3 and Algorithm 1. W [d_row, d_col] maps inputs X [d_col, N]; both
procedures lower ‖WX − QX‖², and see X only through H = 2XXᵀ [d_col, d_col].
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Evenly spaced values of each row, 2^bits of them, from its smallest weight to its largest; zero is always one of them."""

    scale: Tensor
    """Distance of two values, [d_row, 1]."""
    zero: Tensor
    """Which of them is zero, [d_row, 1]."""
    top: int
    """The last one, 2^bits − 1."""

    def nearest(self, w: Tensor) -> Tensor:
        """Return the value nearest to each weight of `w` [d_row, …]."""
        return self.scale * ((w / self.scale + self.zero).round().clamp(0, self.top) - self.zero)


def grid_of(w: Tensor, bits: int) -> Grid:
    """Return the min-max grid of `w` [d_row, d_col], which stays as it is while the weights change."""
    low, high = w.amin(1, keepdim=True).clamp_max(0), w.amax(1, keepdim=True).clamp_min(0)
    top = 2**bits - 1
    scale = (high - low).clamp_min(torch.finfo(w.dtype).tiny * top) / top
    return Grid(scale, (-low / scale).round(), top)


def layer_error(w: Tensor, q: Tensor, h: Tensor) -> Tensor:
    """Return ‖WX − QX‖² (equation 1), a scalar: with D = W − Q it is tr(D H Dᵀ)/2."""
    d = w - q
    return ((d @ h) * d).sum() / 2


def damped(h: Tensor, damping: float) -> Tensor:
    """Return H with `damping` of its mean diagonal added to the diagonal (section 3.3, step 3: 1 %)."""
    return h + damping * h.diagonal().mean() * torch.eye(len(h), dtype=h.dtype, device=h.device)


def cholesky(h: Tensor) -> Tensor:
    """Return the lower Cholesky factor, or NaN where `h` is not positive definite: a model that diverged stays visible as such."""
    factor, info = torch.linalg.cholesky_ex(h)
    return factor.masked_fill(info != 0, torch.nan)


def gptq(w: Tensor, h: Tensor, grid: Grid, block: int = 128, damping: float = 0.01) -> Tensor:
    """Algorithm 1: return Q [d_row, d_col] for weights `w` and the Hessian `h`, both float64 where accuracy matters.

    The updates of a column reach the rest of its block at once, and all later blocks when the block is done.
    """
    w, q = w.clone(), torch.zeros_like(w)
    # The upper Cholesky factor of H⁻¹ holds, in row j, what eliminating the columns before j leaves of H⁻¹'s row j, over its root.
    u = cholesky(torch.cholesky_inverse(cholesky(damped(h, damping)))).mT
    for i in range(0, w.shape[1], block):
        end = min(i + block, w.shape[1])
        errors = torch.zeros_like(w[:, i:end])
        for j in range(i, end):
            q[:, j : j + 1] = grid.nearest(w[:, j : j + 1])
            errors[:, j - i] = (w[:, j] - q[:, j]) / u[j, j]
            w[:, j:end] -= errors[:, j - i : j - i + 1] * u[j, j:end]
        w[:, end:] -= errors @ u[i:end, end:]
    return q


def optimal_brain_in_order(w: Tensor, h: Tensor, grid: Grid, damping: float = 0.01) -> Tensor:
    """Optimal brain quantization (section 3.1, equations 2 and 3) with the columns in their order: return Q [d_row, d_col].

    After each column the inverse of what remains of H is written out by Gaussian elimination. Slow: for checks.
    """
    w, q = w.clone(), torch.zeros_like(w)
    inverse = torch.linalg.inv(damped(h, damping))
    for j in range(w.shape[1]):
        q[:, j : j + 1] = grid.nearest(w[:, j : j + 1])
        w -= ((w[:, j] - q[:, j]) / inverse[j, j])[:, None] * inverse[j]  # δ_F, equation 2
        inverse = inverse - torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]  # H⁻¹ without column j, equation 3
    return q
