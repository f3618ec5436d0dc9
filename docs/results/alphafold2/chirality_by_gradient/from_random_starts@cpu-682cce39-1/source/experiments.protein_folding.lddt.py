"""lDDT-Cα: how well the distances around each residue are kept, without any superposition.

Mariani et al. 2013, the score by which AlphaFold 2 and OpenFold are compared: of all pairs of residues whose Cα lie within 15 Å in the
experimental structure, the share whose distance is kept to 0.5, 1, 2 and 4 Å, on average over the four. A mirror image keeps all of them.
"""

import torch
from torch import Tensor

RADIUS = 15.0
"""Pairs farther apart in the experimental structure do not count (Å)."""
THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
"""How well a distance may be kept (Å)."""


def lddt_ca(predicted: Tensor, true: Tensor) -> Tensor:
    """lDDT [...] in [0, 1] of Cα positions [..., n, 3] against [..., n, 3], over all pairs; NaN where no pair lies within 15 Å."""
    i, j = torch.triu_indices(true.shape[-2], true.shape[-2], 1, device=true.device)
    d, d_true = ((x[..., i, :] - x[..., j, :]).norm(dim=-1) for x in (predicted, true))
    near = d_true <= RADIUS
    kept = sum(((d - d_true).abs() <= threshold).double() for threshold in THRESHOLDS) / len(THRESHOLDS)
    return (kept * near).sum(-1) / near.sum(-1)
