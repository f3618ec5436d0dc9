"""Denoising diffusion: the schedule of noise, a residual network that predicts the noise, and its training.

Papers: Ho et al. (DDPM), arXiv 2006.11239, section 3 and Algorithm 1; Song et al. (DDIM), arXiv 2010.02502, section 2. In
DDIM's notation, which is used here, α_t is what DDPM writes with a bar: x_t = √α_t x_0 + √(1 − α_t) ε. Shared by several recipes.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.seeding import generator
from repro.schema.context import Context

FREQUENCIES = 32
"""Sines, and as many cosines, that tell a network the time step."""


def alphas(T: int, device: str = "cpu") -> Tensor:
    """Return α_0 = 1, α_1 … α_T, [T + 1] in float64, for β rising linearly from 1e-4 to 0.02 at any T = 1000 (DDPM, section 4).

    Another T keeps the sum of all β.
    """
    beta = torch.linspace(0.1 / T, 20 / T, T, dtype=torch.float64)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)]).to(device)


def time_features(t: Tensor) -> Tensor:
    """Return sines and cosines [B, 2 · FREQUENCIES] of the steps t [B], at periods from 2π to 2π · 10,000."""
    rates = torch.exp(-math.log(10_000) / FREQUENCIES * torch.arange(FREQUENCIES, device=t.device))
    angles = t[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Conditioning(nn.Module):
    """A vector [B, width] that says which step it is, and which class if there are any; class `classes` means none."""

    def __init__(self, width: int, classes: int = 0) -> None:
        super().__init__()
        self.time_in, self.time_out = nn.Linear(2 * FREQUENCIES, width), nn.Linear(width, width)
        self.label = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, t: Tensor, labels: Tensor | None) -> Tensor:
        """Steps t [B] and labels [B]."""
        e = self.time_out(F.silu(self.time_in(time_features(t))))
        return e if self.label is None or labels is None else e + self.label(labels)


class ResidualMLP(nn.Module):
    """ε_θ(x, t) for vectors: x [B, D] to [B, D]; 512,000 parameters with 3 blocks of width 256 and D = 64.

    ε_θ = √(1 − α_t) x + √α_t F(x, t), F the layers: where nearly all is noise, the noise is nearly x. Without this path around the layers
    (a U-Net has its own) an error of ε at t = T is an error of the image 157 times as large.
    """

    def __init__(self, dims: int, width: int, blocks: int, classes: int = 0, T: int = 1000) -> None:
        super().__init__()
        self.register_buffer("alpha", alphas(T).float(), persistent=False)
        self.conditioning = Conditioning(width, classes)
        self.first, self.last = nn.Linear(dims, width), nn.Linear(width, dims)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks + 1))
        self.up = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.down = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predict the noise in x at the steps t [B]."""
        e, h = self.conditioning(t, labels), self.first(x)
        for norm, up, down in zip(self.norms, self.up, self.down, strict=False):
            h = h + down(F.silu(up(norm(h) + e)))
        alpha = self.alpha[t][:, None]
        return (1 - alpha).sqrt() * x + alpha.sqrt() * self.last(self.norms[-1](h))


def parameters(net: nn.Module) -> int:
    """Return the number of trained numbers."""
    return sum(p.numel() for p in net.parameters())


def noised(x: Tensor, eps: Tensor, alpha: Tensor) -> Tensor:
    """Return x_t = √α x + √(1 − α) ε for x and ε [B, …] and α [B]."""
    alpha = alpha.view(-1, *[1] * (x.dim() - 1))
    return (alpha.sqrt() * x + (1 - alpha).sqrt() * eps).to(x.dtype)


def precision(context: Context) -> AbstractContextManager[object]:
    """Products in bfloat16 where the scale asks for it."""
    return torch.autocast(context.device, torch.bfloat16) if context.precision == "bfloat16" else nullcontext()


def batches(n: int, batch: int, steps: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Yield `steps` batches of places among n, every pass over them in an order of its own."""
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(n, generator=draw)])
        yield order[:batch]
        order = order[batch:]


def train(
    net: nn.Module,
    x: Tensor,
    *,
    T: int,
    steps: int,
    batch: int,
    lr: float,
    seed: int,
    context: Context,
    labels: Tensor | None = None,
    label_dropout: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> float:
    """Algorithm 1 of DDPM: minimise ‖ε − ε_θ(x_t, t)‖², mean over pixels, with Adam; the rate falls to 0 by half a cosine.

    Args:
        net: ε_θ, changed in place.
        x: images or latents [N, …] on the device, of about unit size.
        labels: classes [N], if the network has any; with probability `label_dropout` an image's is replaced by "none".

    Returns:
        The mean loss over the last tenth of the steps; NaN if training diverged.
    """
    device, alpha = x.device, alphas(T, str(x.device))
    draw, order = (generator(f"diffusion {name}", seed) for name in ("noise", "order"))
    none = int(labels.max()) + 1 if labels is not None else 0
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=True)
    losses, report_every = torch.full((steps,), math.nan, device=device), max(1, steps // 20)
    for step, at in enumerate(batches(len(x), batch, steps, order)):
        x0 = x[at.to(device)]
        t = torch.randint(1, T + 1, (batch,), generator=draw).to(device)
        eps = torch.randn(x0.shape, generator=draw).to(device)
        given = None
        if labels is not None:
            dropped = (torch.rand(batch, generator=draw) < label_dropout).to(device)
            given = labels[at.to(device)].masked_fill(dropped, none)
        with precision(context):
            loss = F.mse_loss(net(noised(x0, eps, alpha[t]), t, given).float(), eps)
        optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses[step] = loss.detach()
        if (step + 1) % report_every == 0:
            recent = losses[step + 1 - report_every : step + 1].mean().item()
            context.log(step + 1, loss=recent)
            if progress:
                progress((step + 1) / steps)
            if not math.isfinite(recent):
                return math.nan
    return losses[-max(1, steps // 10) :].mean().item()
