"""Root-mean-square norm with its derivative written out: on a CPU half the passes over memory that torch's own takes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def rms_norm(x: Tensor) -> Tensor:
    """Divide `x` by √(mean of its squares over the last dimension + ε), ε the type's precision, as `torch.nn.RMSNorm` does.

    Zhang and Sennrich, arXiv 1910.07467, equation 4, without the gain.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.rms_norm(x, x.shape[-1:])
    return _RMSNorm.apply(x)  # type: ignore[no-any-return,no-untyped-call]


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        squares = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        share = squares.div_(x.shape[-1]).add_(torch.finfo(x.dtype).eps).rsqrt_()
        normed: Tensor = x * share
        ctx.save_for_backward(normed, share)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        normed, share = ctx.saved_tensors
        along = (grad * normed).mean(-1, keepdim=True)
        return torch.addcmul(grad, normed, along, value=-1).mul_(share)
