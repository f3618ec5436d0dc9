"""GPTQ on one layer with random weights and inputs: is its error below that of round-to-nearest, and is it what it says it is?

Paper: Frantar et al. 2022 (GPTQ), arXiv 2210.17323, section 3 and Algorithm 1. Serves the claims `gptq/layer_error` and
`gptq/lazy_batches_exact`.

The inputs X [d_col, N] have correlation ρ^|i−j| between features i and j. The error is ‖WX − QX‖² (equation 1). The quantized weights of
Algorithm 1 are compared, one by one, with those of the same algorithm without blocks, and with optimal brain quantization in a
fixed order, whose inverse Hessian is written out anew for every column.

Hardware and time: any CPU, a second a seed on one thread, 64-bit floats throughout. Deviations: random weights and inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.quantization.optimal_brain import gptq, grid_of, layer_error, optimal_brain_in_order
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """One layer, its inputs, and what it is held against."""

    d_row: int = 128
    """Outputs of the layer."""
    d_col: int = 256
    """Inputs of the layer."""
    samples: int = 1024
    """Input vectors, N."""
    correlation: float = 0.9
    """ρ between neighbouring features."""
    inputs: str = "correlated"
    """`correlated`; `orthogonal`: features whose inner products over the samples are all zero, so that H is diagonal."""
    hessian: str = "own"
    """`own`: of the inputs; `shuffled`: with its features in another order, as if the layer had been calibrated on other inputs."""
    block: int = 64
    """Columns of a block, B."""
    damping: float = 0.01
    """Of the mean diagonal of H."""
    reference_order: str = "forward"
    """Order of the columns in the procedures that Algorithm 1 is held against: `forward`, its own, or `reversed`."""
    seed: int = 0
    """Of weights and inputs."""
    threads: int = 1
    """Of the processor."""


def draw(config: Config) -> tuple[Tensor, Tensor]:
    """Return W [d_row, d_col] and X [d_col, N], float64."""
    rng = generator("gptq layer", config.seed)
    w = torch.randn(config.d_row, config.d_col, generator=rng, dtype=torch.float64)
    z = torch.randn(config.samples, config.d_col, generator=rng, dtype=torch.float64)
    if config.inputs == "orthogonal":
        return w, torch.linalg.qr(z).Q.T * config.samples**0.5
    if config.inputs != "correlated":
        raise ValueError(f"inputs must be correlated or orthogonal, not {config.inputs!r}")
    i = torch.arange(config.d_col)
    covariance = config.correlation ** (i[:, None] - i).abs().double()
    return w, torch.linalg.cholesky(covariance) @ z.T


def calibration(x: Tensor, config: Config) -> Tensor:
    """Return the Hessian that GPTQ is given: 2XXᵀ [d_col, d_col] of the inputs `x`, or of the same features in another order."""
    if config.hessian == "shuffled":
        x = x[torch.randperm(len(x), generator=generator("shuffled", config.seed)).to(x.device)]
    elif config.hessian != "own":
        raise ValueError(f"hessian must be own or shuffled, not {config.hessian!r}")
    return 2 * x @ x.T


def run(config: Config, context: Context) -> dict[str, float]:
    """Quantize one layer to 4 and to 3 bits.

    Returns:
        `four_bits`, `three_bits`: ‖WX − QX‖² of GPTQ over that of round-to-nearest.
        `lazy_differs`, `optimal_brain_differs`: quantized weights, of both numbers of bits together, that differ from those of
        Algorithm 1 without blocks, and of optimal brain quantization in order (count).
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    w, x = (each.to(context.device) for each in draw(config))
    own, h = 2 * x @ x.T, calibration(x, config)
    columns = torch.arange(config.d_col, device=context.device)
    order = columns.flip(0) if config.reference_order == "reversed" else columns
    back = order.argsort()
    row: dict[str, float] = {"lazy_differs": 0.0, "optimal_brain_differs": 0.0}
    for name, bits in (("four_bits", 4), ("three_bits", 3)):
        grid = grid_of(w, bits)
        q = gptq(w, h, grid, config.block, config.damping)
        row[name] = float(layer_error(w, q, own) / layer_error(w, grid.nearest(w), own))
        ordered = w[:, order], h[order][:, order], grid
        plain = gptq(*ordered, block=1, damping=config.damping)[:, back]
        slow = optimal_brain_in_order(*ordered, damping=config.damping)[:, back]
        # Values of one grid are equal, or at least a whole step apart.
        row["lazy_differs"] += float(((q - plain).abs() > grid.scale / 2).sum())
        row["optimal_brain_differs"] += float(((q - slow).abs() > grid.scale / 2).sum())
    return row


if __name__ == "__main__":
    for changed in ({}, {"inputs": "orthogonal"}, {"hessian": "shuffled"}, {"reference_order": "reversed"}):
        print(changed, run(Config(**changed), Context()))
