"""Does FAPE ignore rigid motion and see mirror images, and does a distance loss fail to see them?

Paper: Jumper et al. 2021 (AlphaFold 2), main text: the frame-aligned point error is the main source of chirality (Supplementary Methods 1.9.3
and Supplementary Fig. 9, both unseen by us); Supplement, Algorithm 28 and equations 16 and 17. Serves the claim `alphafold2/fape_chirality`.

The frame of a residue follows from its N, Cα and C by Gram–Schmidt (Algorithm 21). A rigid motion moves frames and points alike, and FAPE
compares points in local frames: nothing changes. Of a mirror image the frames are built again, and a cross product makes them proper; so the
local coordinates differ by a reflection, and FAPE is large. Distances are those of the original. FAPE of a structure with itself is √ε/Z, not 0.

All in float64, whatever the precision of the context. Hardware and time: any CPU, a fraction of a second a seed on one thread.
Deviations: none in the loss; structures and motions are ours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.protein_folding.frames import (
    EPSILON,
    Z,
    chain_of,
    distance_loss,
    fape,
    gram_schmidt,
    mirrored,
    random_torsions,
    read_backbone,
    rotations,
)
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Which structures, which motion, and how frames are found after it."""

    structures: tuple[str, ...] = ("pdb_2q2k", "pdb_4zey")
    """Data sets, mmCIF files; chain A of each."""
    generated: int = 64
    """Residues of one more chain, drawn from torsions by seed; 0 for none."""
    shift: float = 100.0
    """Length of the translation (Å)."""
    frames: str = "rebuilt"
    """`rebuilt` from the moved atoms (Algorithm 21); `mirrored`: the frames are moved like the atoms, so that those of a mirror image are improper;
    `left_behind`: their rotations stay as they were."""
    seed: int = 0
    """Draws the generated chain, the motions and the mirrors."""


def frames_after(moved: Tensor, before: Tensor, linear: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """Frames of moved atoms [n, 3, 3] that were at `before`, where `linear` [3, 3] is the motion's rotation or reflection."""
    R, _ = gram_schmidt(before)
    R_rebuilt, t = gram_schmidt(moved)
    return {"rebuilt": R_rebuilt, "mirrored": linear @ R, "left_behind": R}[how], t


def losses(backbone: Tensor, truth: Tensor, linear: Tensor, shift: Tensor, how: str) -> tuple[float, float]:
    """FAPE and distance loss of a backbone [n, 3, 3] moved by x → linear · x + shift, against the truth; points are all atoms."""
    moved = backbone @ linear.T + shift
    (R, t), (R_true, t_true) = frames_after(moved, backbone, linear, how), gram_schmidt(truth)
    x, x_true = moved.flatten(0, 1), truth.flatten(0, 1)
    return fape(R, t, x, R_true, t_true, x_true).item(), distance_loss(x, x_true).item()


def run(config: Config, context: Context) -> dict[str, float]:
    """Move and mirror every structure, and move a prediction of it that has noise of 0.1 Å in every coordinate.

    Returns, the worst over structures:
        `rigid_change`: |FAPE(rigid motion) − FAPE(itself)| (1); near 0 ε hides small differences, hence
        `rigid_change_of_prediction`: the same change of a prediction that is off, where ε hides nothing (1).
        `mirror`: FAPE of the mirror image, the smallest (1; 1 is an error of 10 Å everywhere).
        `mirror_distance_loss`: distance loss of the mirror image (1).
        `self_deviation`: |FAPE(itself) − √ε/Z| (1).
        `residues`: of all structures (count).
    """
    torch.set_num_threads(1)
    draw = generator("fape chirality", config.seed)
    f64 = {"generator": draw, "dtype": torch.float64}
    found = [read_backbone(context.data(name)) for name in config.structures]
    found += [chain_of(random_torsions(config.generated, draw))] if config.generated else []
    worst = {"rigid_change": 0.0, "rigid_change_of_prediction": 0.0, "mirror_distance_loss": 0.0, "self_deviation": 0.0}
    least = float("inf")
    for each in found:
        backbone = (each - each.mean((0, 1))).to(context.device)
        R = rotations(torch.randn(4, **f64)).to(context.device)
        shift = config.shift * F.normalize(torch.randn(3, **f64), dim=0).to(context.device)
        normal = F.normalize(torch.randn(3, **f64), dim=0).to(context.device)
        predicted = backbone + 0.1 * torch.randn(backbone.shape, **f64).to(context.device)
        same, nowhere = torch.eye(3, dtype=torch.float64, device=context.device), 0 * shift

        itself, _ = losses(backbone, backbone, same, nowhere, "rebuilt")
        rigid, _ = losses(backbone, backbone, R, shift, config.frames)
        unmoved, _ = losses(predicted, backbone, same, nowhere, "rebuilt")
        moved, _ = losses(predicted, backbone, R, shift, config.frames)
        # A mirror image that has been turned and moved as well, as any that a network might predict.
        mirror, by_distance = losses(backbone, backbone, R @ mirrored(same, normal), shift, config.frames)
        least = min(least, mirror)
        for name, value in (
            ("rigid_change", abs(rigid - itself)),
            ("rigid_change_of_prediction", abs(moved - unmoved)),
            ("mirror_distance_loss", by_distance),
            ("self_deviation", abs(itself - EPSILON**0.5 / Z)),
        ):
            worst[name] = max(worst[name], value)
    return worst | {"mirror": least, "residues": float(sum(len(backbone) for backbone in found))}


if __name__ == "__main__":
    for how in ("rebuilt", "mirrored", "left_behind"):
        print(f"frames={how}", run(Config(structures=(), frames=how), Context()))
