"""AdamW with decoupled groups, and a learning rate that warms up and follows half a cosine."""

import math

import torch
from torch import nn


def adamw(
    model: nn.Module, *, lr: float, betas: tuple[float, float], weight_decay: float, fused: bool = False
) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter, arXiv 1711.05101) that decays matrices and leaves gains and biases alone.

    Args:
        model: its parameters that require a gradient; a tied matrix counts once.
        lr: learning rate of every group; a schedule may overwrite `group["lr"]`.
        betas: decay rates of the first and second moments.
        weight_decay: of parameters with at least two dimensions.
        fused: use the one-kernel implementation (GPU).
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, fused=fused)


def warmup_cosine(step: int, *, steps: int, warmup: int, peak: float, final_share: float) -> float:
    """Return the learning rate of `step`, counted from 0.

    It rises linearly to `peak` over `warmup` steps, `peak·(step + 1)/warmup`, then follows half a cosine that reaches
    `final_share·peak` exactly at the last step, `steps − 1`. A warm-up longer than the run never reaches the peak.

    Raises:
        ValueError: if `step` is outside the run.
    """
    if not 0 <= step < steps:
        raise ValueError(f"step must be in [0, {steps}), not {step}")
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup + 1) / (steps - warmup)
    return peak * (final_share + (1.0 - final_share) * 0.5 * (1.0 + math.cos(math.pi * done)))
