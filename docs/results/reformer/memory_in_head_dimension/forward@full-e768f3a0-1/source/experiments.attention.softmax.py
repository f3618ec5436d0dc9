"""Softmax attention, Vaswani et al., arXiv 1706.03762, equation 1: as written, and in one fused kernel.

The two baselines of every claim about cheaper attention. No mask, no dropout.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(QKᵀ/√d)V with all pairs stored. `[B, H, n, d]` three times to `[B, H, n, d]`."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same function in one kernel, which holds one tile of the pairs at a time (Dao et al., arXiv 2205.14135)."""
    if q.is_meta:
        # Tensors that have shapes only would be sent to the textbook formula; the kernel for CPUs is what runs on real ones.
        output: Tensor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)[0]
        return output
    return F.scaled_dot_product_attention(q, k, v)
