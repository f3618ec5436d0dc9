"""Which hand does a chain take when it is folded by gradient descent, under FAPE or under a loss on distances?

Paper: Jumper et al. 2021 (AlphaFold 2), main text: the frame-aligned point error is the main source of chirality (Supplementary Methods 1.9.3,
unseen by us); Supplement, Algorithm 28. Serves the claim `alphafold2/chirality_by_gradient`.

No network: the frames (R_i, t_i) of the residues are the parameters themselves, as in the structure module's gas of residues, and start at random.
One trial folds one chain from one start under one loss, and asks whether the result is nearer to the chain or to its mirror image.

    fape           Algorithm 28 on frames and Cα, not clamped, as in a tenth of the paper's training
    fape_clamped   the same, clamped at 10 Å
    distance       mean |d_ij − d_ij^true| / Z over all pairs of N, Cα and C, not clamped

N, Cα and C lie in a plane, so the mirror image of every residue is a turned residue: proper frames can build the mirror image of a chain, with
all its distances. All losses see the same chain and the same start of a seed.

Hardware and time: trials of one loss run side by side in one tensor program; see the study. Deviations: see the claim.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from experiments.protein_folding.frames import (
    CLAMP,
    backbone_atoms,
    chain_of,
    distance_loss,
    fape,
    gram_schmidt,
    random_torsions,
    rotations,
)
from experiments.protein_folding.lddt import lddt_ca
from repro.lab.seeding import generator
from repro.schema.context import Context

LOSSES = ("fape", "fape_clamped", "distance")

TEN_ANGSTROM = 10.0
"""Positions are optimised in units of this, as in the structure module."""


@dataclass(frozen=True)
class Config:
    """The chain, its start and the optimiser."""

    loss: str = "fape"
    """`fape`, `fape_clamped` or `distance`."""
    n_res: int = 64
    """Residues of the chain."""
    start_sd: float = 10.0
    """Standard deviation of each coordinate of the residues' first positions (Å); their rotations are uniform."""
    steps: int = 800
    """Steps of Adam."""
    lr: float = 0.05
    """First learning rate, of quaternions and of positions in units of 10 Å; falls linearly to 0."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws the chain and the start; the losses share both."""


def stack_of(config: Config) -> object:
    """Return what trials have in common that are folded side by side: all but the seed."""
    return replace(config, seed=0)


def run(config: Config, context: Context) -> dict[str, float]:
    """Fold one chain; see `run_batch`."""
    return run_batch([config], [context])[0]


def superposed_rmsd(x: Tensor, y: Tensor, reflections: bool = False) -> Tensor:
    """Root mean square distance [B] of points [B, n, 3] after the best rotation (Kabsch), or also the best reflection."""
    x, y = (each - each.mean(-2, keepdim=True) for each in (x.double(), y.double()))
    covariance = x.mT @ y
    s = torch.linalg.svdvals(covariance)
    if not reflections:
        s = torch.cat([s[:, :2], s[:, 2:] * torch.linalg.det(covariance).sign()[:, None]], dim=1)
    residual = x.square().sum((-2, -1)) + y.square().sum((-2, -1)) - 2 * s.sum(-1)
    return (residual.clamp_min(0) / x.shape[-2]).sqrt()


def fold(config: Config, true: Tensor, q: Tensor, t: Tensor, context: Context) -> tuple[Tensor, Tensor]:
    """Descend from quaternions q [B, n, 4] and positions t [B, n, 3] (Å) to backbones like `true` [B, n, 3, 3].

    The losses of the chains are added, and Adam works entry by entry, so that each chain folds as it would alone.

    Returns:
        the backbones [B, n, 3, 3] and their last losses [B].
    """
    R_true, t_true = gram_schmidt(true)
    q, u = q.clone().requires_grad_(), (t / TEN_ANGSTROM).requires_grad_()
    optimizer = torch.optim.Adam([q, u], lr=config.lr)

    def losses() -> Tensor:
        R, t = rotations(q), TEN_ANGSTROM * u
        if config.loss == "distance":
            return distance_loss(backbone_atoms(R, t).flatten(1, 2), true.flatten(1, 2), clamp=math.inf)
        return fape(R, t, t, R_true, t_true, t_true, CLAMP if config.loss == "fape_clamped" else math.inf)

    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = config.lr * (1 - step / config.steps)
        optimizer.zero_grad()
        found = losses()
        found.sum().backward()
        optimizer.step()
        if step % max(1, config.steps // 20) == 0:
            context.log(step, loss=found.detach().mean().item())
            context.progress(step / config.steps)
    with torch.no_grad():
        return backbone_atoms(rotations(q), TEN_ANGSTROM * u), losses()


def run_batch(configs: Sequence[Config], contexts: Sequence[Context]) -> list[dict[str, float]]:
    """Fold chains of one `stack_of` side by side.

    Returns:
        For each trial `right_hand`: 1 if the Cα are nearer to the chain than to its mirror image, else 0 (NaN if it diverged);
        `right_hand_any`: the same, where a reflection counts as a superposition, so that no hand is told from the other;
        `rmsd`, `rmsd_mirror`: of the Cα to the chain and to its mirror image after the best rotation (Å);
        `lddt`: of the Cα, which no reflection changes (1); `loss`: the last (1).
    """
    config, context = configs[0], contexts[0]
    torch.set_num_threads(config.threads)
    if config.loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not '{config.loss}'")
    chains, quaternions, positions = [], [], []
    for each in configs:
        chain = chain_of(random_torsions(each.n_res, generator("fold chain", each.seed)))
        chains.append(chain - chain[:, 1].mean(0))
        draw = generator("fold start", each.seed)
        quaternions.append(torch.randn(each.n_res, 4, generator=draw))
        positions.append(each.start_sd * torch.randn(each.n_res, 3, generator=draw))
    true, q, t = (torch.stack(each).float().to(context.device) for each in (chains, quaternions, positions))
    backbone, loss = fold(config, true, q, t, context)

    ca, ca_true = backbone[:, :, 1], true[:, :, 1]
    mirror = ca_true * torch.tensor([1.0, 1.0, -1.0], device=ca.device)
    finite = backbone.isfinite().flatten(1).all(1)
    ca = torch.where(finite[:, None, None], ca, torch.zeros(()).to(ca))  # an SVD of NaN would stop the others as well
    columns = {
        "rmsd": superposed_rmsd(ca, ca_true),
        "rmsd_mirror": superposed_rmsd(ca, mirror),
        "rmsd_any": superposed_rmsd(ca, ca_true, reflections=True),
        "rmsd_mirror_any": superposed_rmsd(ca, mirror, reflections=True),
        "lddt": lddt_ca(ca, ca_true),
        "loss": loss,
    }
    columns["right_hand"] = (columns["rmsd"] < columns["rmsd_mirror"]).double()
    # Equal but for rounding: with reflections allowed, every result is as near to the chain as to its mirror image.
    columns["right_hand_any"] = (columns.pop("rmsd_any") <= columns.pop("rmsd_mirror_any") + 1e-6).double()
    values = {name: torch.where(finite, column.double(), torch.nan).tolist() for name, column in columns.items()}
    return [{name: column[i] for name, column in values.items()} for i in range(len(configs))]


if __name__ == "__main__":
    for loss in LOSSES:
        print(loss, run(Config(loss=loss), Context()))
