"""How far off are 8-bit products when a few features of the activations are outliers?

Paper: Dettmers et al. 2022 (LLM.int8()), arXiv 2208.07339, sections 3 and 4. Serves the claim `llm_int8/outlier_features`.

X [N, K] is normal but for `outliers` features of one sign and magnitude at or about `magnitude`, the same features in every row, as
in the paper's large models; W [K, M] is normal. The error of a product is the root mean square of its difference from
XW in 64-bit floats. Integers are real ones, summed in 32 bits.

Hardware and time: any CPU, a second a seed on one thread. Deviations: random activations and weights instead of a model's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.quantization.absmax import Product, mixed, row_wise, tensor_wise, vector_wise
from repro.lab.seeding import generator
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Sizes, and what the outliers are like."""

    n: int = 256
    """Rows of X: tokens."""
    k: int = 4096
    """Features: the width of a model of 6.7 billion parameters."""
    m: int = 256
    """Columns of W."""
    outliers: int = 6
    """Features that are outliers; at most 7 in the paper."""
    magnitude: float = 60.0
    """Their mean magnitude, in standard deviations of the other features."""
    scatter: float = 0.1
    """Standard deviation of an outlier from row to row, over its mean."""
    threshold: float = 6.0
    """α: features with a magnitude of at least this are set apart."""
    magnitudes: tuple[float, ...] = (6.0, 10.0, 20.0, 40.0, 60.0)
    """Of a sweep shown beside the result."""
    counts: tuple[int, ...] = (1, 2, 6, 20, 60)
    """Outliers, of another."""
    seed: int = 0
    """Of X and W."""
    threads: int = 1
    """Of the processor."""


def draw(config: Config, outliers: int, magnitude: float) -> tuple[Tensor, Tensor]:
    """Return X [n, k] and W [k, m]; equal seeds give the same numbers but for the outliers."""
    rng = generator("int8 outliers", config.seed)
    x = torch.randn(config.n, config.k, generator=rng)
    w = torch.randn(config.k, config.m, generator=rng) / config.k**0.5
    which = torch.randperm(config.k, generator=rng)[:outliers]
    sign = torch.randint(2, (config.k,), generator=rng)[:outliers] * 2 - 1
    x[:, which] = magnitude * sign * (1 + config.scatter * x[:, which])
    return x, w


def error(product: Product, x: Tensor, w: Tensor) -> Tensor:
    """Return the root mean square of what `product` makes of XW, minus XW in 64 bits; a scalar."""
    return (product(x, w).double() - x.double() @ w.double()).square().mean().sqrt()


def run(config: Config, context: Context) -> dict[str, float]:
    """Compare the products on one draw, then along two sweeps.

    Returns:
        `row_wise`, `vector_wise`: error of the mixed decomposition over that of the named product.
        `tensor_wise`: the same of one scale a tensor. `relative_error`: error of the mixed decomposition over the size of XW.
        `magnitude_<a>`, `count_<n>`: `vector_wise` with that magnitude, or number of outliers, instead.
    """
    if context.device == "cpu":
        torch.set_num_threads(config.threads)

    def inputs(outliers: int, magnitude: float) -> tuple[Tensor, Tensor]:
        x, w = draw(config, outliers, magnitude)
        return x.to(context.device), w.to(context.device)

    def decomposed(x: Tensor, w: Tensor) -> Tensor:
        return mixed(x, w, config.threshold)

    x, w = inputs(config.outliers, config.magnitude)
    ours = error(decomposed, x, w)
    row = {"row_wise": ours / error(row_wise, x, w), "vector_wise": ours / error(vector_wise, x, w)}
    row |= {"tensor_wise": ours / error(tensor_wise, x, w), "relative_error": ours / (x @ w).square().mean().sqrt()}
    for name, outliers, magnitude in [
        *((f"magnitude_{a:g}", config.outliers, a) for a in config.magnitudes),
        *((f"count_{n}", n, config.magnitude) for n in config.counts),
    ]:
        x, w = inputs(outliers, magnitude)
        row[name] = error(decomposed, x, w) / error(vector_wise, x, w)
    return {name: float(value) for name, value in row.items()}


if __name__ == "__main__":
    for outliers in (6, 0):
        print(f"outliers={outliers}", run(Config(outliers=outliers), Context()))
