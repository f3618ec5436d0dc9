"""Samplers of a diffusion model on a sequence of steps: DDIM (η = 0), DDPM (η = 1) and DDPM with more noise (σ-hat).

Paper: Song et al., "Denoising Diffusion Implicit Models", arXiv 2010.02502, equations 12 and 16 and section 5. From step t to an
earlier s, with α_t as in `diffusion`:

    x_0 = (x_t − √(1 − α_t) ε_θ) / √α_t                                          (equation 9)
    x_s = √α_s x_0 + √(1 − α_s − σ²) ε_θ + σ z                                    (equation 12)
    σ(η) = η √((1 − α_s) / (1 − α_t)) √(1 − α_t / α_s)                            (equation 16)
    σ-hat = √(1 − α_t / α_s), with the mean of η = 1

No prediction of x_0 is clipped. σ-hat adds no noise in the last step. Shared by several recipes.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

SAMPLERS = {"ddim": (0.0, False), "eta1": (1.0, False), "ddpm": (1.0, True)}
"""η of the mean, and whether the noise is σ-hat, by the name of a sampler."""


def steps_of(T: int, S: int) -> list[int]:
    """Return S steps of 1 … T at equal distances, from the latest to the first, and 0 at the end: 1 + k ⌊T / S⌋."""
    if not 1 <= S <= T:
        raise ValueError(f"a sampler takes 1 to {T} steps, not {S}")
    return [1 + k * (T // S) for k in reversed(range(S))] + [0]


def sigma(alpha_t: Tensor, alpha_s: Tensor, eta: float) -> Tensor:
    """Equation 16."""
    return eta * ((1 - alpha_s) / (1 - alpha_t)).sqrt() * (1 - alpha_t / alpha_s).sqrt()


def sigma_hat(alpha_t: Tensor, alpha_s: Tensor) -> Tensor:
    """The larger noise of DDPM, √β where s = t − 1."""
    return (1 - alpha_t / alpha_s).sqrt()


def step(x: Tensor, eps: Tensor, alpha_t: Tensor, alpha_s: Tensor, sampler: str, z: Tensor | None) -> Tensor:
    """Return x_s of x_t and ε_θ(x_t, t), both [B, …], and standard normal z [B, …] (unused by `ddim`)."""
    eta, hat = SAMPLERS[sampler]
    s = sigma(alpha_t, alpha_s, eta)
    x0 = (x - (1 - alpha_t).sqrt() * eps) / alpha_t.sqrt()
    mean = alpha_s.sqrt() * x0 + (1 - alpha_s - s**2).sqrt() * eps
    if z is None or alpha_s == 1:  # the last step; σ of equation 16 is 0 there
        return mean.to(x.dtype)
    return (mean + (sigma_hat(alpha_t, alpha_s) if hat else s) * z).to(x.dtype)


@torch.no_grad()
def sample(
    eps: Callable[[Tensor, Tensor], Tensor],
    x_T: Tensor,
    alpha: Tensor,
    S: int,
    sampler: str = "ddim",
    draw: torch.Generator | None = None,
) -> Tensor:
    """Return x_0 [B, …] from x_T [B, …] in S steps.

    Args:
        eps: ε_θ of x [B, …] and t [B].
        alpha: `diffusion.alphas`, on the device of x_T.
        draw: source of the noise; `ddim` needs none.
    """
    x = x_T
    for t, s in pairwise(steps_of(len(alpha) - 1, S)):
        z = None
        if sampler != "ddim":
            z = torch.randn(x.shape, generator=draw).to(x.device)
        e = eps(x, torch.full((len(x),), t, device=x.device)).float()
        x = step(x, e, alpha[t], alpha[s], sampler, z)
    return x
