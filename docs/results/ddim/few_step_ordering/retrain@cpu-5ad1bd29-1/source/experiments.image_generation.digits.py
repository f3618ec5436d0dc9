"""Small images, a classifier of them, and the Fréchet distance between two sets of images in the classifier's features.

The images are the 1,797 handwritten digits of 8×8 pixels that come with scikit-learn. The Fréchet inception distance of the papers needs
a network trained on ImageNet; here 32 features of a classifier of the very images take its place, so that values compare only
with each other, at one number of images. Shared by several recipes.
"""

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.seeding import derived_seed, generator

CLASSES, PIXELS, FEATURES = 10, 64, 32


@dataclass(frozen=True)
class Digits:
    """Images x [N, 64] in [−1, 1] and labels [N]."""

    x: Tensor
    labels: Tensor


def digits(device: str = "cpu") -> Digits:
    """Return all 1,797 digits in the order of the file."""
    found = load_digits()
    x = torch.tensor(found.data, dtype=torch.float32) / 8 - 1
    return Digits(x.to(device), torch.tensor(found.target, dtype=torch.int64).to(device))


class Classifier(nn.Module):
    """64 pixels, 128 units, 32 features, 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = (
            nn.Linear(PIXELS, 128),
            nn.Linear(128, FEATURES),
            nn.Linear(FEATURES, CLASSES),
        )

    def features(self, x: Tensor) -> Tensor:
        """[B, 64] to [B, 32]."""
        return F.relu(self.second(F.relu(self.first(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 10] of images [B, 64]."""
        return self.last(self.features(x))


def train_classifier(data: Digits, *, epochs: int, seed: int, held_out: int = 297) -> tuple[Classifier, float]:
    """Train on all images but `held_out` drawn ones, with Gaussian noise of 0.2 on the pixels.

    Returns:
        The classifier, and the share of the held-out images that it names right.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("digit classifier", seed))
        net = Classifier().to(data.x.device)
    draw = generator("digit classifier order", seed)
    order = torch.randperm(len(data.x), generator=draw)
    train, test = order[held_out:].to(data.x.device), order[:held_out].to(data.x.device)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-5, fused=True)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - epoch / epochs)
        for at in train[torch.randperm(len(train), generator=draw).to(train.device)].split(100):
            x = data.x[at] + 0.2 * torch.randn(len(at), PIXELS, generator=draw).to(data.x.device)
            loss = F.cross_entropy(net(x), data.labels[at])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (net(data.x[test]).argmax(1) == data.labels[test]).double().mean().item()
    return net.requires_grad_(False), right


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean [d] and covariance [d, d] of features [N, d], in float64 on the CPU."""
    f = features.double().cpu()
    return f.mean(0), torch.cov(f.T)


def root(matrix: Tensor) -> Tensor:
    """Return the symmetric square root of a positive semidefinite matrix [d, d]."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def frechet(a: Tensor, b: Tensor) -> float:
    """Return ‖μ_a − μ_b‖² + tr(C_a + C_b − 2 (C_a^½ C_b C_a^½)^½) of features a [N, d] and b [M, d]; NaN if any is not finite."""
    if not (a.isfinite().all() and b.isfinite().all()):
        return float("nan")
    (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
    half = root(cov_a)
    cross = torch.linalg.eigvalsh(half @ cov_b @ half).clamp_min(0).sqrt().sum()
    return float((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)
