"""Performer's attention: the softmax kernel as a mean over random features, so that no pair of tokens is formed.

Paper: Choromanski et al., "Rethinking Attention with Performers", arXiv 2009.14794. With ω ~ N(0, I_d),

    SM(x, y) = exp(x·y) = E[ exp(ω·x − ‖x‖²/2) · exp(ω·y − ‖y‖²/2) ]      (Lemma 1, positive features)
             = exp((‖x‖² + ‖y‖²)/2) · E[ cos(ω·(x − y)) ]                 (trigonometric features)

so m draws of ω turn softmax(QKᵀ/√d)V into D⁻¹ φ(Q)(φ(K)ᵀV), D = diag(φ(Q)φ(K)ᵀ1): m·d numbers stand between queries
and keys, whatever n is. A mechanism, not a study: the recipes of this folder import it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def gaussian_features(m: int, d: int, generator: torch.Generator | None = None) -> Tensor:
    """Return m independent directions ω ~ N(0, I_d), `[m, d]`."""
    return torch.randn(m, d, generator=generator, device=_device(generator))


def orthogonal_features(m: int, d: int, generator: torch.Generator | None = None) -> Tensor:
    """Return directions ω `[m, d]`: each row is N(0, I_d) alone, but the rows of a block of d are orthogonal.

    Section 2.4. A block is the orthogonal factor of a Gaussian matrix, times the norms of independent Gaussian rows;
    where d does not divide m, the last block is cut; blocks are independent of each other.
    """
    blocks, device = -(-m // d), _device(generator)
    q, r = torch.linalg.qr(torch.randn(blocks, d, d, generator=generator, device=device))
    # R's diagonal made positive: only then is Q uniform over the rotations (Mezzadri 2007, math-ph/0609050, section 5).
    q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    norms = torch.randn(blocks, d, d, generator=generator, device=device).norm(dim=-1, keepdim=True)
    return (q.mT * norms).flatten(0, 1)[:m]


def _device(generator: torch.Generator | None) -> torch.device | None:
    """Where a generator draws; a generator draws nowhere else."""
    return None if generator is None else generator.device


def positive_features(x: Tensor, omega: Tensor) -> Tensor:
    """φ⁺(x) = m^(−1/2) exp(ω·x − ‖x‖²/2), whose products are unbiased for exp(x·y) and never negative (Lemma 1).

    x `[..., n, d]`, ω `[..., m, d]` to `[..., n, m]`. As written, without a stabiliser: for numbers, not for training.
    """
    return torch.exp(x @ omega.mT - x.square().sum(-1, keepdim=True) / 2) * omega.shape[-2] ** -0.5


def trigonometric_features(x: Tensor, omega: Tensor) -> Tensor:
    """φ(x) = m^(−1/2) exp(‖x‖²/2) [cos(ω·x), sin(ω·x)], unbiased as well, but of either sign (section 2.3).

    x `[..., n, d]`, ω `[..., m, d]` to `[..., n, 2m]`.
    """
    angles = x @ omega.mT
    size = torch.exp(x.square().sum(-1, keepdim=True) / 2) * omega.shape[-2] ** -0.5
    return torch.cat([angles.cos(), angles.sin()], -1) * size


def performer_attention(q: Tensor, k: Tensor, v: Tensor, omega: Tensor) -> Tensor:
    """D⁻¹ φ⁺(Q)(φ⁺(K)ᵀV): attention to all tokens. q, k, v `[B, H, n, d]`, ω `[m, d]` to `[B, H, n, d]`.

    The kernel is exp(q·k/√d). Factors that numerator and D share are left out: m^(−1/2), and exp(−‖q‖²/2) of a query.
    With s_ij = ω_j·k_i − ‖k_i‖²/2 and L_j = ln Σ_i exp(s_ij), what is left is two softmaxes,

        softmax_j(ω_j·q + L_j) · softmax_i(s_ij)ᵀ V,

    whose rows sum to 1, so that D is 1 and no exponential overflows, whatever the inputs are.
    """
    omega = omega * q.shape[-1] ** -0.25
    s = omega @ k.mT - k.square().sum(-1).unsqueeze(-2) * (0.5 * q.shape[-1] ** -0.5)  # [B, H, m, n]
    summed, totals = torch.softmax(s, dim=-1) @ v, s.logsumexp(-1).unsqueeze(-2)  # [B, H, m, d], [B, H, 1, m]
    del s  # before the queries need as much room
    return torch.softmax(q @ omega.mT + totals, dim=-1) @ summed


def causal_performer_attention(q: Tensor, k: Tensor, v: Tensor, omega: Tensor, chunk: int = 64) -> Tensor:
    """The same for tokens that see only those before them and themselves (section 2.1, prefix sums). Shapes as above.

    A chunk's own tokens are compared in pairs, with a mask; all before it come as one matrix φ(K)ᵀV, summed over chunks.
    n·chunk + n·m·d/chunk numbers are stored in place of the n·m·d of a sum for every token.
    """
    n, d = q.shape[-2:]
    omega = omega * d**-0.25
    s = k @ omega.mT - k.square().sum(-1, keepdim=True) * (0.5 * d**-0.5)
    phi_q = torch.softmax(q @ omega.mT, dim=-1)  # a factor of a query's own cancels against D
    phi_k = torch.exp(s - s.detach().amax((-2, -1), keepdim=True))  # so does one that all keys share
    values = torch.cat([v, torch.ones_like(v[..., :1])], -1)  # its last column sums φ(k): D

    pad = -n % chunk
    if pad:
        phi_q, phi_k, values = (F.pad(x, (0, 0, 0, pad)) for x in (phi_q, phi_k, values))
    phi_q, phi_k, values = (x.unflatten(-2, (-1, chunk)) for x in (phi_q, phi_k, values))  # [B, H, n/chunk, chunk, ·]
    sums = phi_k.mT @ values  # [B, H, n/chunk, m, d + 1]
    before = sums.cumsum(-3) - sums
    mixed = (phi_q @ phi_k.mT).tril() @ values + phi_q @ before
    mixed = mixed.flatten(-3, -2)[..., :n, :]
    return mixed[..., :-1] / mixed[..., -1:]


class PerformerAttention(nn.Module):
    """Multi-head attention with Performer's in place of softmax; for `repro.lab.transformer.Transformer(attention=...)`."""

    omega: Tensor

    def __init__(self, d_model: int, n_head: int, m: int, causal: bool, orthogonal: bool = True) -> None:
        """Draw weights and ω `[m, d_model / n_head]` from torch's global generator; ω stays as drawn."""
        super().__init__()
        if d_model % n_head:
            raise ValueError(f"d_model must be a multiple of n_head; got {d_model} and {n_head}")
        self.n_head, self.causal = n_head, causal
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)
        draw = orthogonal_features if orthogonal else gaussian_features
        self.register_buffer("omega", draw(m, d_model // n_head))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, d_model]` to the same."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.n_head, -1)).permute(2, 0, 3, 1, 4)  # [B, H, T, d]
        attend = causal_performer_attention if self.causal else performer_attention
        return self.output(attend(q, k, v, self.omega).transpose(1, 2).flatten(2))
