"""Is invariant point attention invariant under rigid motion? One module, random weights, one global motion.

Paper: Jumper et al. 2021 (AlphaFold 2), main text, section on the structure module: the final value is invariant to
global rotations and translations; Supplementary Information, Algorithm 22 and section 1.8.2 (both known to us at second
hand, through comments in public code; comments below give the algorithm's lines). Serves the claim
`alphafold2/ipa_invariance`.

Every residue i carries a frame T_i = (R_i, t_i). Queries, keys and values made of points live in the local frames and
are compared in the global one, so T_global ∘ T_i for all i at once should change nothing. Measured is

    ε = max |IPA(s, z, T_global ∘ T) − IPA(s, z, T)| / max |IPA(s, z, T)|

in float64 and in float32, from the same weights, inputs and motion. Both formats belong to the claim, so the precision
of the context is not used.

Units: nanometres, as inside the structure module (10 Å = 1).
Hardware and time: any CPU, a fraction of a second a seed on one thread. Deviations: random weights and inputs in place
of a trained model and a protein; the output projection starts at random instead of at zero (the authors' code), because
a zero output is invariant whatever comes before it.
"""

from dataclasses import dataclass
from math import e, log, sqrt

import torch
from torch import Tensor, einsum, nn
from torch.nn import functional as F

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Sizes of the module (Algorithm 22's defaults), the frames, and the motion."""

    N_res: int = 128
    """Residues."""
    c_s: int = 384
    """Channels of the single representation s_i."""
    c_z: int = 128
    """Channels of the pair representation z_ij."""
    N_head: int = 12
    """Heads h."""
    c: int = 16
    """Channels of the scalar queries, keys and values of a head."""
    N_query_points: int = 4
    """Query and key points p of a head."""
    N_point_values: int = 8
    """Value points p of a head."""
    radius: float = 1.0
    """Standard deviation of each coordinate of the residues' positions t_i (nm)."""
    shift: float = 10.0
    """Length of the global translation (nm)."""
    rotate_frames: bool = True
    """False: the motion moves the positions t_i and leaves the rotations R_i as they were, which is no rigid motion."""
    seed: int = 0
    """Seeds weights, inputs, frames and motion."""


class InvariantPointAttention(nn.Module):
    """Algorithm 22: s [N, c_s], z [N, N, c_z], frames R [N, 3, 3] and t [N, 3] to an update of s [N, c_s]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        H, c, P, V = config.N_head, config.c, config.N_query_points, config.N_point_values
        self.q = nn.Linear(config.c_s, H * c, bias=False)
        self.k = nn.Linear(config.c_s, H * c, bias=False)
        self.v = nn.Linear(config.c_s, H * c, bias=False)
        self.q_points = nn.Linear(config.c_s, H * P * 3, bias=False)
        self.k_points = nn.Linear(config.c_s, H * P * 3, bias=False)
        self.v_points = nn.Linear(config.c_s, H * V * 3, bias=False)
        self.b = nn.Linear(config.c_z, H, bias=False)
        self.head_weight = nn.Parameter(torch.full((H,), log(e - 1)))  # γ^h = softplus(weight) starts at 1
        self.output = nn.Linear(H * (config.c_z + c + V * 3 + V), config.c_s)

    def forward(self, s: Tensor, z: Tensor, R: Tensor, t: Tensor) -> Tensor:
        """Return the update of the single representation; shapes as in the class."""
        N, H, c = len(s), self.config.N_head, self.config.c

        def points(local: Tensor) -> Tensor:
            """T_i ∘ local_i for every residue: [N, H·P·3] local to [N, H, P, 3] global."""
            return einsum("nxy,nhpy->nhpx", R, local.view(N, H, -1, 3)) + t[:, None, None]

        q, k, v = (linear(s).view(N, H, c) for linear in (self.q, self.k, self.v))  # line 1
        q_points, k_points = points(self.q_points(s)), points(self.k_points(s))  # line 2, global as in line 7
        v_points = points(self.v_points(s))  # line 3, global as in line 10
        b = self.b(z)  # line 4, [N, N, H]
        gamma = F.softplus(self.head_weight)
        w_C = sqrt(2 / (9 * self.config.N_query_points))  # line 5
        w_L = sqrt(1 / 3)  # line 6

        distance2 = (q_points[:, None] - k_points[None]).square().sum((-1, -2))  # Σ_p ‖·‖², [N, N, H]
        logits = w_L * (einsum("ihc,jhc->ijh", q, k) / sqrt(c) + b - gamma * w_C / 2 * distance2)
        a = logits.softmax(dim=1)  # line 7, over j

        o_pair = einsum("ijh,ijc->ihc", a, z)  # line 8
        o = einsum("ijh,jhc->ihc", a, v)  # line 9
        o_global = einsum("ijh,jhpx->ihpx", a, v_points)
        o_points = einsum("nyx,nhpy->nhpx", R, o_global - t[:, None, None])  # line 10, T_i⁻¹: Rᵀ(x − t)
        norms = o_points.norm(dim=-1)
        return self.output(torch.cat([x.reshape(N, -1) for x in (o_pair, o, o_points, norms)], dim=1))  # line 11


def random_rotations(n: int, rng: torch.Generator) -> Tensor:
    """Rotations drawn uniformly, [n, 3, 3] in float64: unit quaternions from normal ones."""
    w, x, y, z = F.normalize(torch.randn(n, 4, generator=rng, dtype=torch.float64), dim=1).unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def initialise(module: InvariantPointAttention, rng: torch.Generator) -> None:
    """LeCun normal weights, variance 1 / fan-in; biases zero; the head weights stay at γ = 1."""
    for linear in module.modules():
        if isinstance(linear, nn.Linear):
            nn.init.normal_(linear.weight, std=linear.in_features**-0.5, generator=rng)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)


@torch.no_grad()
def run(config: Config, context: Context) -> dict[str, float]:
    """Apply the module before and after one global motion, in both formats.

    Returns:
        `float64`, `float32`: ε, the largest change of the output over its largest entry (1).
        `output_scale`: largest entry of the unmoved output in float64 (1); an output of zero would prove nothing.
    """
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(config.seed)
    f64 = {"generator": rng, "dtype": torch.float64}
    module = InvariantPointAttention(config).double()
    initialise(module, rng)

    s = torch.randn(config.N_res, config.c_s, **f64)
    z = torch.randn(config.N_res, config.N_res, config.c_z, **f64)
    R, t = random_rotations(config.N_res, rng), config.radius * torch.randn(config.N_res, 3, **f64)
    R_global = random_rotations(1, rng)[0]
    t_global = config.shift * F.normalize(torch.randn(3, **f64), dim=0)

    row = {}
    for dtype in (torch.float64, torch.float32):  # in this order: the weights are cast down, never back
        module = module.to(context.device, dtype)
        s_, z_, R_, t_, R_g, t_g = (x.to(context.device, dtype) for x in (s, z, R, t, R_global, t_global))
        before = module(s_, z_, R_, t_)
        after = module(s_, z_, R_g @ R_ if config.rotate_frames else R_, t_ @ R_g.T + t_g)
        row[str(dtype).removeprefix("torch.")] = ((after - before).abs().max() / before.abs().max()).item()
        row.setdefault("output_scale", before.abs().max().item())
    return row


if __name__ == "__main__":
    for rotate_frames in (True, False):
        print(f"rotate_frames={rotate_frames}", run(Config(rotate_frames=rotate_frames), Context()))
