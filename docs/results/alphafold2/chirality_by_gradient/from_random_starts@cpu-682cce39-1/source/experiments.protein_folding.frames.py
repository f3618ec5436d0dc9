"""Backbones, their frames, FAPE and a distance loss: what the recipes on chirality share.

Paper: Jumper et al. 2021 (AlphaFold 2), Supplementary Information, Algorithm 21 (frames from three points) and Algorithm 28 (FAPE, with
equations 16 and 17), known to us at second hand, through public code; ε and its place in the mean are as in the authors' `all_atom.py`.

A backbone is a tensor [..., n, 3, 3]: n residues, the atoms N, Cα and C of each, and their coordinates in Å.
"""

import lzma
from pathlib import Path

import torch
from torch import Tensor, einsum
from torch.nn import functional as F

EPSILON = 1e-4
"""ε of Algorithm 28 (Å²), also added to the number of terms of the mean."""
CLAMP = 10.0
"""d_clamp (Å)."""
Z = 10.0
"""Length scale (Å)."""

N_CA, CA_C, C_N = 1.458, 1.525, 1.329
"""Bond lengths of an ideal backbone (Å)."""
AT_CA, AT_C, AT_N = 111.0, 116.6, 121.7
"""Its bond angles N-Cα-C, Cα-C-N and C-N-Cα (degrees)."""
HELIX, STRAND = (-57.0, -47.0), (-120.0, 130.0)
TURNS = ((-70.0, 140.0), (-65.0, -30.0), (60.0, 40.0))
"""Pairs of torsions (φ, ψ) in degrees: those of an α helix and a β strand, and three that loops often take."""


def gram_schmidt(backbone: Tensor) -> tuple[Tensor, Tensor]:
    """Algorithm 21: backbone [..., n, 3, 3] to proper rotations R [..., n, 3, 3] and origins t = Cα [..., n, 3].

    The third axis is a cross product, so that the frames of a mirror image are proper, too: they are no mirror images.
    """
    n, ca, c = backbone.unbind(-2)
    e1 = F.normalize(c - ca, dim=-1)
    v2 = n - ca
    e2 = F.normalize(v2 - e1 * (e1 * v2).sum(-1, keepdim=True), dim=-1)
    return torch.stack([e1, e2, torch.linalg.cross(e1, e2)], dim=-1), ca


def local_points(R: Tensor, t: Tensor, x: Tensor) -> Tensor:
    """T_i⁻¹ ∘ x_j: every point [..., m, 3] as every frame sees it, [..., n, m, 3]."""
    return einsum("...nyx,...nmy->...nmx", R, x[..., None, :, :] - t[..., :, None, :])


def fape(
    R: Tensor, t: Tensor, x: Tensor, R_true: Tensor, t_true: Tensor, x_true: Tensor, clamp: float = CLAMP
) -> Tensor:
    """Algorithm 28, frame-aligned point error, [...]: frames R [..., n, 3, 3] and t [..., n, 3], points x [..., m, 3].

    d_ij = √(‖T_i⁻¹ ∘ x_j − T_i^true⁻¹ ∘ x_j^true‖² + ε), and FAPE = 1/Z · Σ_ij min(d_clamp, d_ij) / (ε + n m).
    """
    difference = local_points(R, t, x) - local_points(R_true, t_true, x_true)
    d = (difference.square().sum(-1) + EPSILON).sqrt().clamp_max(clamp)
    return d.sum((-2, -1)) / (EPSILON + d.shape[-2] * d.shape[-1]) / Z


def distances(x: Tensor) -> Tensor:
    """Distances of all points [..., m, 3] to each other, [..., m, m], not by way of a matrix product, which would cost digits."""
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


def distance_loss(x: Tensor, x_true: Tensor, clamp: float = CLAMP) -> Tensor:
    """Mean over pairs i ≠ j of min(d_clamp, |d_ij − d_ij^true|) / Z, [...]: FAPE's shape without its frames."""
    m = x.shape[-2]
    gaps = (distances(x) - distances(x_true)).abs().clamp_max(clamp)
    return gaps.sum((-2, -1)) / (m * (m - 1)) / Z


def backbone_atoms(R: Tensor, t: Tensor) -> Tensor:
    """N, Cα and C of ideal geometry in frames R [..., n, 3, 3] and t [..., n, 3]: a backbone [..., n, 3, 3].

    Three atoms lie in a plane, so a residue has no hand of its own; only its neighbours can give it one.
    """
    angle = torch.deg2rad(torch.tensor(AT_CA, dtype=t.dtype))
    local = torch.zeros(3, 3, dtype=t.dtype)
    local[0, 0], local[0, 1], local[2, 0] = N_CA * angle.cos(), N_CA * angle.sin(), CA_C
    return einsum("...nxy,ay->...nax", R, local.to(t.device)) + t[..., :, None, :]


def rotations(quaternion: Tensor) -> Tensor:
    """Proper rotations [..., 3, 3] of quaternions [..., 4] that need not have length 1."""
    w, x, y, z = F.normalize(quaternion, dim=-1).unbind(-1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def mirrored(x: Tensor, normal: Tensor) -> Tensor:
    """Points [..., 3] reflected at the plane through the origin with unit normal [3]."""
    return x - 2 * (x @ normal)[..., None] * normal


def random_torsions(n: int, draw: torch.Generator) -> Tensor:
    """(φ, ψ) of n residues [n, 2] in degrees: helices of 8 to 14, strands of 4 to 8, turns of 2 to 4; 5 degrees of noise."""

    def between(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=draw))

    found: list[tuple[float, float]] = []
    while len(found) < n:
        found += [HELIX] * between(8, 14) if between(0, 1) else [STRAND] * between(4, 8)
        found += [TURNS[between(0, 2)] for _ in range(between(2, 4))]
    return torch.tensor(found[:n], dtype=torch.float64) + 5 * torch.randn(n, 2, generator=draw, dtype=torch.float64)


def chain_of(torsions: Tensor) -> Tensor:
    """Backbone [n, 3, 3] in float64 of ideal bonds and angles with torsions (φ, ψ) [n, 2] in degrees and ω = 180."""
    angles = torch.deg2rad(torch.tensor([AT_C, AT_N, AT_CA], dtype=torch.float64))
    radians = torch.deg2rad(torsions.double())
    atoms = list(backbone_atoms(torch.eye(3, dtype=torch.float64)[None], torch.zeros(1, 3, dtype=torch.float64))[0])
    for i in range(1, len(torsions)):
        about = (radians[i - 1, 1], torch.tensor(torch.pi, dtype=torch.float64), radians[i, 0])  # ψ, ω, φ
        for bond, angle, torsion in zip((C_N, N_CA, CA_C), angles, about, strict=True):
            atoms.append(next_atom(*atoms[-3:], bond, angle, torsion))
    return torch.stack(atoms).unflatten(0, (-1, 3))


def next_atom(a: Tensor, b: Tensor, c: Tensor, bond: float, angle: Tensor, torsion: Tensor) -> Tensor:
    """The point at distance `bond` from c, with the angle b-c-d and the torsion a-b-c-d; all points [3]."""
    along = F.normalize(c - b, dim=0)
    normal = F.normalize(torch.linalg.cross(b - a, along), dim=0)
    across = torch.linalg.cross(normal, along)
    side = torsion.cos() * across + torsion.sin() * normal
    return c + bond * (angle.sin() * side - angle.cos() * along)


def read_backbone(path: Path, chain: str = "A") -> Tensor:
    """Backbone [n, 3, 3] in float64 of a chain of an mmCIF file (.xz or plain): residues that have all three atoms, first model."""
    from biotite.structure.io import pdbx

    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as stream:
        atoms = pdbx.get_structure(pdbx.CIFFile.read(stream), model=1)
    residues: dict[tuple[int, str], dict[str, list[float]]] = {}
    for atom in atoms[(atoms.chain_id == chain) & ~atoms.hetero]:
        residues.setdefault((int(atom.res_id), str(atom.ins_code)), {})[str(atom.atom_name)] = atom.coord.tolist()
    found = [[each[name] for name in ("N", "CA", "C")] for each in residues.values() if {"N", "CA", "C"} <= each.keys()]
    if not found:
        raise ValueError(f"{path.name} has no residue with N, CA and C in a chain '{chain}'")
    return torch.tensor(found, dtype=torch.float64)
