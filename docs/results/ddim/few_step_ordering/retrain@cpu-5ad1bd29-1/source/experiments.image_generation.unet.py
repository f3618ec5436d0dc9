"""A small U-Net that predicts noise, and convolutional autoencoders that make a picture f times smaller along each side.

Papers: Ho et al., arXiv 2006.11239, appendix B (the U-Net, without its attention layers here); Rombach et al., arXiv 2112.10752,
section 3.1 and appendix G (autoencoders with a slight KL penalty; here without their adversarial and perceptual losses). Shared by
several recipes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.image_generation.diffusion import Conditioning, batches, precision
from repro.lab.seeding import generator
from repro.schema.context import Context


class Block(nn.Module):
    """Two convolutions around a shift by the conditioning vector, beside a shortcut."""

    def __init__(self, inside: int, outside: int, width: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.GroupNorm(min(8, inside), inside), nn.GroupNorm(min(8, outside), outside)
        self.conv_in, self.conv_out = nn.Conv2d(inside, outside, 3, 1, 1), nn.Conv2d(outside, outside, 3, 1, 1)
        self.shift = nn.Linear(width, outside)
        self.shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """x [B, C, H, W] and e [B, width] to [B, C', H, W]."""
        h = self.conv_in(F.silu(self.norm_in(x))) + self.shift(F.silu(e))[:, :, None, None]
        return self.shortcut(x) + self.conv_out(F.silu(self.norm_out(h)))


class UNet(nn.Module):
    """ε_θ(x, t) for pictures [B, C, H, W], H and W multiples of 4; 10 million parameters at width 128.

    Three levels of two blocks, with width, 2 · width and 2 · width channels, each half as large along each side as the one before.
    """

    def __init__(self, channels: int, width: int, classes: int = 0) -> None:
        super().__init__()
        sizes = (width, 2 * width, 2 * width)
        self.conditioning = Conditioning(width, classes)
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.down = nn.ModuleList()
        before = width
        for size in sizes:
            self.down.append(nn.ModuleList([Block(before, size, width), Block(size, size, width)]))
            before = size
        self.middle = Block(before, before, width)
        self.up = nn.ModuleList()
        for size in reversed(sizes):
            self.up.append(nn.ModuleList([Block(before + size, size, width), Block(size, size, width)]))
            before = size
        self.norm, self.last = nn.GroupNorm(8, width), nn.Conv2d(width, channels, 3, 1, 1)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predict the noise in x at the steps t [B]."""
        e, h, kept = self.conditioning(t, labels), self.first(x), []
        for level, (one, two) in enumerate(self.down):
            h = two(one(F.avg_pool2d(h, 2) if level else h, e), e)
            kept.append(h)
        h = self.middle(h, e)
        for level, (one, two) in enumerate(self.up):
            h = F.interpolate(h, scale_factor=2.0) if level else h
            h = two(one(torch.cat([h, kept.pop()], 1), e), e)
        return self.last(F.silu(self.norm(h)))


LATENT_CHANNELS = {1: 1, 2: 2, 4: 3, 8: 4, 16: 8}
"""Channels of the latent picture by f; f = 1 is the picture itself."""


class Autoencoder(nn.Module):
    """Encoder to mean and log variance [B, z, H/f, W/f], and decoder back to [B, 1, H, W]."""

    def __init__(self, f: int, width: int) -> None:
        super().__init__()
        halvings, z = f.bit_length() - 1, LATENT_CHANNELS[f]
        down: list[nn.Module] = [nn.Conv2d(1, width, 3, 1, 1)]
        up: list[nn.Module] = [nn.Conv2d(z, width, 3, 1, 1)]
        for _ in range(halvings):
            down += [nn.SiLU(), nn.Conv2d(width, width, 4, 2, 1), nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1)]
            up += [nn.SiLU(), nn.Upsample(scale_factor=2.0), nn.Conv2d(width, width, 3, 1, 1)]
            up += [nn.SiLU(), nn.Conv2d(width, width, 3, 1, 1)]
        self.encoder = nn.Sequential(*down, nn.SiLU(), nn.Conv2d(width, 2 * z, 3, 1, 1))
        self.decoder = nn.Sequential(*up, nn.SiLU(), nn.Conv2d(width, 1, 3, 1, 1))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the latents of pictures x."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(-30, 20)


def train_autoencoder(
    net: Autoencoder, x: Tensor, *, steps: int, batch: int, kl: float, seed: int, context: Context
) -> float:
    """Minimise the mean absolute error plus `kl` times the divergence from N(0, 1) per picture; return the last error."""
    draw = generator("autoencoder noise", seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    places = batches(len(x), batch, steps, generator("autoencoder order", seed))
    error = torch.tensor(float("nan"))
    for step, at in enumerate(places):
        picture = x[at.to(x.device)]
        with precision(context):
            mean, log_variance = (each.float() for each in net.moments(picture))
            z = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=draw).to(x.device)
            error = (net.decoder(z).float() - picture).abs().mean()
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean() / 2
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / steps)
        optimizer.zero_grad()
        (error + kl * divergence).backward()
        optimizer.step()
    return error.item()
