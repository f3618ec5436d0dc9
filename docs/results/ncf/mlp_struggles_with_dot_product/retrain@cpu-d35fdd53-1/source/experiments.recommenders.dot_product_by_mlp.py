"""Can a multi-layer perceptron learn a dot product of two embeddings from noisy examples?

Paper: Rendle, Krichene, Zhang and Anderson 2020, "Neural Collaborative Filtering vs. Matrix Factorization Revisited", arXiv
2005.09683, section 4 and Figure 3; sizes from the authors' `approx_dot.py` and README. Serves `ncf/{mlp_struggles_with_dot_product,
mlp_error_rises_with_dimension, mlp_error_falls_with_users}`.

n users and n items have embeddings p, q ~ N(0, σ² I) of d dimensions. A label is ⟨p, q⟩ + ε, ε ~ N(0, 0.85²), and σ is such that the
naive prediction 0 has an RMSE of 1.13. 90 of 100 pairs a user, drawn without replacement, are for training. The MLP reads p and q side by
side and has three hidden layers of 2, 1 and ½ times m·d ReLU units; Adam, rate 0.001, batches of 256, 32 epochs. It is judged on
fresh embeddings, by its RMSE above that of the noise: its excess.

Beside it, on the same batches, learns a linear model of the d products p_i q_i, which contains the dot product: it shows what
the same training reaches where the form of the model fits.

Hardware and time: five seeds in one stack on one core take 26 s (d = 16, m = 1, 4,000 users) to 200 s (d = 32, m = 4). Weights
have a leading axis R of runs. Deviations: uniform pairs instead of a sweep that drops the last users' surplus; the authors' 10 % of
held-out pairs of known embeddings are not evaluated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from repro.lab.seeding import generator
from repro.schema.context import Context

RMSE_BEST, RMSE_NAIVE = 0.85, 1.13
"""Of the true dot product, which is the noise; and of always predicting 0."""


@dataclass(frozen=True)
class Config:
    """The paper's grid is d 16 to 128, m 1, 2, 4, and 4,000 to 128,000 users."""

    d: int = 16
    """Dimensions of an embedding."""
    m: int = 1
    """Width: the hidden layers have 2md, md and md/2 units."""
    users: int = 4000
    """Users, and as many items."""
    per_user: int = 90
    """Training pairs a user."""
    fresh: int = 100_000
    """Fresh pairs that the models are judged on."""
    epochs: int = 32
    """Passes over the training pairs."""
    batch: int = 256
    """Pairs in a step."""
    lr: float = 0.001
    """Learning rate of Adam, constant."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Seeds embeddings, pairs, noise, weights and order."""


@dataclass(frozen=True)
class Data:
    """One run's pairs. p and q are [n, d]; labels belong to the pairs (u, i)."""

    p: Tensor
    q: Tensor
    u: Tensor
    i: Tensor
    y: Tensor


def embedding_sd(d: int) -> float:
    """Return σ, for which ⟨p, q⟩ has variance d σ⁴ = 1.13² − 0.85²."""
    return ((RMSE_NAIVE**2 - RMSE_BEST**2) / d) ** 0.25


def embeddings(config: Config, n: int, name: str) -> Tensor:
    """Return n embeddings [n, d]."""
    return embedding_sd(config.d) * torch.randn(n, config.d, generator=generator(name, config.seed))


def noisy(config: Config, p: Tensor, q: Tensor, name: str) -> Tensor:
    """Return labels of pairs of embeddings [N, d], [N]."""
    return (p * q).sum(-1) + RMSE_BEST * torch.randn(len(p), generator=generator(name, config.seed))


def training_data(config: Config) -> Data:
    """Return the training pairs: distinct ones, all equally likely, in random order."""
    n, wanted = config.users, config.users * config.per_user
    rng = generator("pairs", config.seed)
    if 2 * wanted > n * n:
        pairs = torch.randperm(n * n, generator=rng)[:wanted]
    else:
        pairs = torch.unique(torch.randint(n * n, (2 * wanted + 1000,), generator=rng))
        pairs = pairs[torch.randperm(len(pairs), generator=rng)[:wanted]]
    p, q = embeddings(config, n, "users"), embeddings(config, n, "items")
    u, i = pairs // n, pairs % n
    return Data(p, q, u, i, noisy(config, p[u], q[i], "noise"))


def fresh_data(config: Config) -> Data:
    """Return pairs of users and items that training never saw, each in one pair."""
    p, q = embeddings(config, config.fresh, "fresh users"), embeddings(config, config.fresh, "fresh items")
    same = torch.arange(config.fresh)
    return Data(p, q, same, same, noisy(config, p, q, "fresh noise"))


def stacked(runs: Sequence[Data], device: str) -> Data:
    """Return the data of several runs with a leading axis R; their pairs index the runs' embeddings laid end to end."""
    n = len(runs[0].p)
    offset = torch.arange(len(runs))[:, None] * n
    return Data(
        torch.cat([each.p for each in runs]).to(device),
        torch.cat([each.q for each in runs]).to(device),
        (torch.stack([each.u for each in runs]) + offset).to(device),
        (torch.stack([each.i for each in runs]) + offset).to(device),
        torch.stack([each.y for each in runs]).to(device),
    )


class Models:
    """R MLPs and R linear models of products, their weights side by side."""

    def __init__(self, config: Config, seeds: Sequence[int], device: str) -> None:
        d, m = config.d, config.m
        self.sizes = (2 * d, 2 * m * d, m * d, m * d // 2, 1)
        rngs = [generator("weights", seed) for seed in seeds]

        def layer(inputs: int, outputs: int) -> Tensor:
            # Uniform, Glorot and Bengio 2010: what the authors' library does by default; biases start at 0.
            limit = math.sqrt(6 / (inputs + outputs))
            rows = [limit * (2 * torch.rand(inputs, outputs, generator=rng) - 1) for rng in rngs]
            return torch.stack(rows).to(device).requires_grad_()

        def zeros(outputs: int) -> Tensor:
            return torch.zeros(len(seeds), 1, outputs, device=device, requires_grad=True)

        self.W = [layer(*pair) for pair in pairwise(self.sizes)]
        self.b = [zeros(outputs) for outputs in self.sizes[1:]]
        self.w_product, self.b_product = layer(d, 1), zeros(1)

    @property
    def weights(self) -> list[Tensor]:
        """Every tensor that learns."""
        return [*self.W, *self.b, self.w_product, self.b_product]

    def predict(self, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predictions of the MLPs and of the linear models, each [R, B], for embeddings [R, B, d]."""
        x = torch.cat([p, q], -1)
        for W, b in zip(self.W[:-1], self.b[:-1], strict=True):
            x = torch.baddbmm(b, x, W).relu()
        mlp = torch.baddbmm(self.b[-1], x, self.W[-1])
        return mlp.squeeze(-1), torch.baddbmm(self.b_product, p * q, self.w_product).squeeze(-1)


@torch.no_grad()
def fresh_rmse(models: Models, data: Data, chunk: int = 10_000) -> Tensor:
    """Return the RMSE of the MLP, of the linear model, of the true dot product and of 0 on fresh pairs, [4, R]."""
    total, N = torch.zeros(4, len(data.y), dtype=torch.float64, device=data.y.device), data.y.shape[1]
    for first in range(0, N, chunk):
        part = slice(first, first + chunk)
        p, q, y = data.p[data.u[:, part]], data.q[data.i[:, part]], data.y[:, part]
        mlp, product = models.predict(p, q)
        each = torch.stack([mlp, product, (p * q).sum(-1), torch.zeros_like(y)])
        total += (each - y).double().square().sum(-1)
    return (total / N).sqrt()


def looks(config: Config) -> set[int]:
    """Return the epochs after which the fresh pairs are looked at: the powers of two, every eighth of them all, and the last."""
    every = max(1, config.epochs // 8)
    return {e for e in range(1, config.epochs + 1) if e & (e - 1) == 0 or e % every == 0} | {config.epochs}


def stack_of(config: Config) -> object:
    """Return what runs must have in common to be one stack: all but the seed."""
    return replace(config, seed=0)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one MLP; see `run_batch`."""
    return run_batch([config], [context])[0]


def run_batch(configs: Sequence[Config], contexts: Sequence[Context]) -> list[dict[str, float]]:
    """Train the MLPs of several seeds side by side.

    Returns:
        For each run, on fresh pairs, in units of the label, whose signal has a standard deviation of 0.745:
        `excess`: RMSE of the MLP after the last epoch, less 0.85.
        `best_excess`: the smallest at any look, chosen on the same pairs and so a little too small.
        `product_excess`: that of the linear model of products, trained on the same batches.
        `dot_excess`: that of the true dot product: sampling error alone. `naive_excess`: that of predicting 0, about 0.28.
        `train_rmse`: of the MLP over the last epoch, while it learned. `params` of the MLP, `steps`.

    Raises:
        ValueError: for runs that are not one stack.
    """
    config, context = configs[0], contexts[0]
    if len({stack_of(each) for each in configs}) > 1:
        raise ValueError("run_batch trains runs that differ in their seed alone")
    if context.device == "cpu":
        torch.set_num_threads(config.threads)
    R, device = len(configs), context.device
    train = stacked([training_data(each) for each in configs], device)
    fresh = stacked([fresh_data(each) for each in configs], device)
    models = Models(config, [each.seed for each in configs], device)
    optimizer = torch.optim.Adam(models.weights, lr=config.lr, eps=1e-7, fused=True)
    N = train.y.shape[1]
    rngs = [generator("order", each.seed) for each in configs]
    curve, squared = [], torch.zeros(R, device=device)
    for epoch in range(config.epochs):
        order = torch.stack([torch.randperm(N, generator=rng) for rng in rngs]).to(device)
        users, items, labels = (each.gather(1, order).split(config.batch, 1) for each in (train.u, train.i, train.y))
        squared.zero_()
        for u, i, y in zip(users, items, labels, strict=True):
            mlp, product = models.predict(train.p[u], train.q[i])
            errors = (mlp - y).square()
            # Every run's mean, summed: each model gets its own gradient.
            loss = errors.mean(-1).sum() + (product - y).square().mean(-1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            squared += errors.detach().sum(-1)
        if epoch + 1 in looks(config):
            curve.append(fresh_rmse(models, fresh) - RMSE_BEST)
            for r, each in enumerate(contexts):
                each.log(epoch + 1, excess=float(curve[-1][0, r]), product_excess=float(curve[-1][1, r]))
                each.progress((epoch + 1) / config.epochs)
    excess, product, dot, naive = curve[-1].tolist()
    best = torch.stack(curve)[:, 0].amin(0).tolist()
    return [
        {
            "excess": excess[r],
            "best_excess": best[r],
            "product_excess": product[r],
            "dot_excess": dot[r],
            "naive_excess": naive[r],
            "train_rmse": math.sqrt(float(squared[r]) / N),
            "params": float(sum(a * b + b for a, b in pairwise(models.sizes))),
            "steps": float(config.epochs * math.ceil(N / config.batch)),
        }
        for r in range(R)
    ]


if __name__ == "__main__":
    print(run(Config(users=1000, epochs=4), Context()))
