"""How far random features are from the softmax kernel: error and bias over many draws, beside the closed forms.

Paper: Choromanski et al., "Rethinking Attention with Performers", arXiv 2009.14794. With SM(x, y) = exp(x·y), s = ‖x + y‖²,
z = ‖x − y‖² and m independent directions ω, the mean squared errors of the positive and of the trigonometric estimator are

    MSE⁺    = exp(s) SM² (1 − exp(−s)) / m                                                 (Lemma 2)
    MSE^tri = exp(s) SM⁻² (1 − exp(−z))² / 2m                                              (Lemma 2)

and m ≤ d orthogonal directions lower MSE⁺ by at least

    2 (m − 1) / (m (d + 2)) · (SM − exp(−(‖x‖² + ‖y‖²)/2))².                               (Theorem 2)

A trial draws m directions afresh many times and takes the mean squared error and the mean error over the draws; the seeds
give independent trials. Only |x|, |y| and the angle between x and y enter; where in the d dimensions they lie is drawn too.

Serves: performer/kernel_error_decay, lemma2_errors, unbiased, orthogonal_lower_error, orthogonal_no_worse,
positive_for_small_kernels.

Hardware and time: any CPU, at most half a second a seed. Deviations: pairs x, y are chosen so that exp(s) is small: the squared error of a
lognormal variable with a large s is so skewed that no affordable number of draws shows its mean.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.attention.performer import orthogonal_features, positive_features, trigonometric_features
from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Pairs of vectors, numbers of features, and where the directions come from."""

    m: tuple[int, ...] = (64,)
    """Random directions; every pair is measured at every m."""
    d: int = 16
    """Dimensions of x and y."""
    norm_x: tuple[float, ...] = (0.5, 0.5, 1.0, 1.0)
    """‖x‖ of each pair."""
    norm_y: tuple[float, ...] = (0.5, 1.0, 1.0, 0.25)
    """‖y‖ of each pair."""
    angle: tuple[float, ...] = (60.0, 120.0, 150.0, 90.0)
    """Degrees between x and y, of each pair."""
    draws: int = 4000
    """Times that m directions are drawn."""
    directions: str = "independent"
    """Of the estimators `positive` and `trigonometric`: `independent`, `orthogonal`, or `shared` (one direction m times)."""
    blocks: str = ""
    """Of a second positive estimator, the columns `blocks_...`: `orthogonal`, `independent`, or `parallel` (the directions of a
    block, which should be orthogonal, are one and the same). Empty: it is left out."""
    norm_factor: bool = True
    """False leaves the factor exp(∓‖x‖²/2) out of the features."""
    seed: int = 0
    """Of x, y and all directions."""


def pairs(config: Config, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return x and y `[P, d]` of the asked lengths and angles, in a plane drawn at random."""
    device = generator.device
    plane = torch.linalg.qr(torch.randn(config.d, 2, generator=generator, device=device, dtype=torch.float64)).Q.mT
    length_x, length_y, angle = (
        torch.tensor(values, device=device, dtype=torch.float64)[:, None]
        for values in (config.norm_x, config.norm_y, config.angle)
    )
    angle = angle.deg2rad()
    return length_x * plane[0], length_y * (angle.cos() * plane[0] + angle.sin() * plane[1])


def directions(kind: str, draws: int, m: int, d: int, generator: torch.Generator) -> Tensor:
    """Return `draws` sets of m directions ω, `[draws, m, d]`, each ω alone N(0, I_d).

    Where m < d, one orthogonal block serves d/m sets, which are then not independent of each other; the seeds are.
    """
    device = generator.device
    if kind == "independent":
        return torch.randn(draws, m, d, generator=generator, device=device)
    if kind == "shared":
        return torch.randn(draws, 1, d, generator=generator, device=device).expand(-1, m, -1)
    if (draws * m) % d or max(m, d) % min(m, d):
        raise ValueError(
            f"blocks of d = {d} must divide or be divided by m = {m}, and divide all {draws} · m directions"
        )
    if kind == "orthogonal":
        return orthogonal_features(draws * m, d, generator).view(draws, m, d)
    if kind == "parallel":
        omega = torch.randn(draws * m // min(m, d), min(m, d), d, generator=generator, device=device)
        norms = omega.norm(dim=-1, keepdim=True)
        return (omega[:, :1] / norms[:, :1] * norms).view(draws, m, d)
    raise ValueError(f"directions must be independent, orthogonal, shared or parallel, not {kind!r}")


def lemma_2(x: Tensor, y: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Return MSE⁺ and MSE^tri of m independent directions; x and y `[..., d]`, results `[...]`."""
    kernel = torch.exp((x * y).sum(-1))
    s, z = (x + y).square().sum(-1), (x - y).square().sum(-1)
    positive = s.exp() * kernel**2 * -torch.expm1(-s) / m
    trigonometric = s.exp() * kernel**-2 * torch.expm1(-z) ** 2 / (2 * m)
    return positive, trigonometric


def theorem_2(x: Tensor, y: Tensor, m: int) -> Tensor:
    """Return by how much, at least, orthogonal directions lower MSE⁺, 2 ≤ m ≤ d; shapes as above."""
    d = x.shape[-1]
    sizes = x.square().sum(-1) + y.square().sum(-1)
    return 2 * (m - 1) / (m * (d + 2)) * (torch.exp((x * y).sum(-1)) - torch.exp(-sizes / 2)) ** 2


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Draw, estimate the kernel of each pair, and compare.

    Returns:
        One row for each m and pair: `m`, `pair` (its place, from 0), `kernel` (SM), and for the estimators `positive`,
        `trigonometric` and, if asked for, `blocks`: `<name>_mse` (mean squared error), `<name>_bias` (mean over SM, minus 1).
        Besides `positive_over_lemma` and `trigonometric_over_lemma` (mean squared error over Lemma 2's), `log_advantage`
        (ln of the trigonometric over the positive mean squared error) and, with `blocks`, `log_gain` (ln of the positive over
        the blocks' mean squared error) and, for 2 ≤ m ≤ d, `over_theorem` (the difference of the two over Theorem 2's).

    Raises:
        ValueError: if the pairs' lists differ in length, or directions are of no known kind.
    """
    if not len(config.norm_x) == len(config.norm_y) == len(config.angle):
        raise ValueError("norm_x, norm_y and angle must have one entry a pair each")
    if context.device == "cpu":
        torch.set_num_threads(1)
    generator = torch.Generator(context.device).manual_seed(config.seed)
    x, y = pairs(config, generator)
    kernel = torch.exp((x * y).sum(-1))

    columns: list[dict[str, Tensor]] = []
    for m in config.m:
        omega = directions(config.directions, config.draws, m, config.d, generator)
        estimates = {
            "positive": estimate(positive_features, x, y, omega, -1.0, config.norm_factor),
            "trigonometric": estimate(trigonometric_features, x, y, omega, 1.0, config.norm_factor),
        }
        if config.blocks:
            omega = directions(config.blocks, config.draws, m, config.d, generator)
            estimates["blocks"] = estimate(positive_features, x, y, omega, -1.0, config.norm_factor)
        mse = {name: (values - kernel).square().mean(0) for name, values in estimates.items()}  # [P]
        positive, trigonometric = lemma_2(x, y, m)
        row = {f"{name}_mse": values for name, values in mse.items()}
        row |= {f"{name}_bias": values.mean(0) / kernel - 1 for name, values in estimates.items()}
        row["positive_over_lemma"] = mse["positive"] / positive
        row["trigonometric_over_lemma"] = mse["trigonometric"] / trigonometric
        row["log_advantage"] = (mse["trigonometric"] / mse["positive"]).log()
        if config.blocks:
            row["log_gain"] = (mse["positive"] / mse["blocks"]).log()
        if config.blocks and 2 <= m <= config.d:
            row["over_theorem"] = (mse["positive"] - mse["blocks"]) / theorem_2(x, y, m)
        columns.append({"kernel": kernel, **row})

    return [
        {"m": float(m), "pair": float(pair), **dict(zip(row, values, strict=True))}
        for m, row in zip(config.m, columns, strict=True)
        for pair, values in enumerate(torch.stack(list(row.values()), -1).tolist())  # [P, columns]
    ]


def estimate(
    features: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor, omega: Tensor, sign: float, norm_factor: bool
) -> Tensor:
    """Return φ(x)·φ(y) of each draw and pair, `[draws, P]` float64; x and y `[P, d]`, ω `[draws, m, d]`.

    Features carry exp(sign · ‖x‖²/2); without the norm factor it is divided away again.
    """
    products = (features(x.float(), omega) * features(y.float(), omega)).sum(-1).double()
    if norm_factor:
        return products
    return products * torch.exp(-sign * (x.square() + y.square()).sum(-1) / 2)


if __name__ == "__main__":
    for result in run(Config(m=(16,), blocks="orthogonal"), Context()):
        print(", ".join(f"{name} {value:.4g}" for name, value in result.items()))
