"""How the loss of a recommendation model falls with data and with parameters, on clicks whose truth is known.

Paper: Ardalani et al. 2022, "Understanding Scaling Laws for Recommendation Models", arXiv 2208.08489, abstract; the model is that
of Naumov et al., arXiv 1906.00091. Serves the claims `dlrm/power_law_plus_constant` and `dlrm/data_beats_parameters`.

A DLRM: every id has a row e of an embedding table, a bottom network turns dense features into a vector of the same width d, all pairs
of these F + 1 vectors are multiplied (dot interactions), and a top network turns the products and the bottom's vector into a logit.
One pass over a log of D examples. Its loss is the normalised cross-entropy, against the true probabilities p of fresh examples,

    NCE = −E[p ln q + (1 − p) ln(1 − q)] / H(E p),    NCE* = E[H(p)] / H(E p)

so that no chance of single clicks enters. Two laws are fitted to ln NCE over D by least squares,

    L(D) = a D^−b    and    L(D) = c + a D^−b,  c ≥ 0

and compared by BIC = n ln(RSS/n) + k ln n, and by the error at the two largest D of fits to the others.

Hardware and time: see the studies. Deviations: clicks from a click model instead of production logs; small models; Adagrad.
"""

from dataclasses import dataclass
from math import log, nan

import numpy as np
import torch
from scipy.optimize import least_squares
from torch.nn import functional as F

from experiments.click_logs.click_model import ClickModel, Law
from repro.lab.seeding import generator
from repro.schema.context import Context

RESOLUTION = 1e-4
"""Relative errors of a fitted loss below this are not told apart: the sampling of test examples is of that size."""


@dataclass(frozen=True)
class Config:
    """The click model, the DLRM and its training."""

    examples: tuple[int, ...] = (4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288)
    """Sizes D of the log, one model each; multiples of `batch`."""
    arm: str = "base"
    """`base`; `data`: `factor` times the examples; `parameters`: `factor` times the parameters."""
    factor: int = 4
    """By what an arm scales."""
    fresh: bool = True
    """Whether the examples that the arm `data` adds are new; False: it sees the same ones `factor` times."""
    fields: int = 8
    """Categorical fields, F."""
    ids: int = 500
    """Ids of every field."""
    zipf: float = 1.0
    """Exponent of the law of ids."""
    rank: int = 16
    """Dimensions of the true interactions."""
    dense: int = 4
    """Dense features."""
    offset: float = -1.5
    """b of the click model; about one in four is clicked."""
    strengths: tuple[float, float, float] = (1.0, 1.0, 0.5)
    """Standard deviations of the logit from ids, pairs of ids, and dense features."""
    dim: int = 16
    """Width of an embedding, d."""
    width: int = 64
    """Units of the hidden layers of the bottom and the top network."""
    batch: int = 128
    """Examples of a step."""
    lr: float = 0.05
    """Peak learning rate of Adagrad; falls linearly to 0."""
    init: float = 0.1
    """Standard deviation of the embeddings at the start."""
    test_examples: int = 65536
    """Fresh examples that the loss is measured on."""
    threads: int = 1
    """CPU threads."""
    seed: int = 0
    """Draws the truth, the log and the weights."""


class DLRM(torch.nn.Module):
    """Embeddings, bottom network, dot interactions, top network."""

    def __init__(self, config: Config, dim: int, width: int) -> None:
        """Draw weights; equal seeds and shapes give equal ones."""
        super().__init__()
        draw, k = generator("dlrm weights", config.seed, dim), config.dense
        n = config.fields + 1
        self.register_buffer("pairs", torch.triu_indices(n, n, 1), persistent=False)  # [2, n(n−1)/2]

        def normal(*shape: int, scale: float) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.randn(*shape, generator=draw) * scale)

        def zeros(size: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.zeros(size))

        inputs = n * (n - 1) // 2 + dim
        self.table = normal(config.fields * config.ids, dim, scale=config.init)
        self.bottom = torch.nn.ParameterList(
            [normal(width, k, scale=k**-0.5), zeros(width), normal(dim, width, scale=width**-0.5), zeros(dim)]
        )
        self.top = torch.nn.ParameterList(
            [normal(width, inputs, scale=inputs**-0.5), zeros(width), normal(1, width, scale=width**-0.5), zeros(1)]
        )

    def forward(self, ids: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        """Return logits [n] of ids [n, F] and dense features [n, k]."""
        bottom = F.linear(F.relu(F.linear(dense, *self.bottom[:2])), *self.bottom[2:])  # [n, d]
        vectors = torch.cat([bottom[:, None], F.embedding(ids, self.table)], 1)  # [n, F + 1, d]
        products = (vectors @ vectors.transpose(1, 2))[:, self.pairs[0], self.pairs[1]]
        top = F.relu(F.linear(torch.cat([bottom, products], 1), *self.top[:2]))
        return F.linear(top, *self.top[2:])[:, 0]


def entropy(p: torch.Tensor) -> torch.Tensor:
    """H(p) in nats, elementwise."""
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p))


def normalised_cross_entropy(logits: torch.Tensor, p: torch.Tensor) -> float:
    """NCE of predicted logits [n] against true probabilities p [n]."""
    cross = F.binary_cross_entropy_with_logits(logits.double(), p.double())
    return float(cross / entropy(p.double().mean()))


def train(truth: ClickModel, model: DLRM, config: Config, examples: int, passes: int) -> None:
    """Train in place on `passes` passes over the first `examples` examples of the log."""
    optimizer = torch.optim.Adagrad(model.parameters(), lr=config.lr)
    batches = examples // config.batch
    for step, seen in enumerate(truth.log(batches, config.batch, passes=passes)):
        optimizer.param_groups[0]["lr"] = config.lr * (1 - step / (batches * passes))
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(model(seen.ids, seen.dense), seen.clicks).backward()
        optimizer.step()


def fit(D: np.ndarray, L: np.ndarray, constant: bool) -> tuple[float, float, float]:
    """Fit L = c + a D^−b to ln L; return ln a, b and c (0 without `constant`)."""
    x, y = np.log(D), np.log(L)
    slope, start = np.polyfit(x, y, 1)
    best, least = (float(start), float(-slope), 0.0), float(np.sum((y - start - slope * x) ** 2))
    if not constant:
        return best

    def residual(q: np.ndarray) -> np.ndarray:  # q = (ln of the power's value at the middle of x, b, c / min L)
        return np.log(q[2] * L.min() + np.exp(q[0] - q[1] * (x - x.mean()))) - y

    for share in (0.1, 0.5, 0.9, 0.99):
        b, at_middle = np.polyfit(x - x.mean(), np.log(L - share * L.min()), 1)
        begin = (at_middle, min(max(-b, 1e-3), 9.9), share)
        found = least_squares(
            residual, begin, bounds=([-np.inf, 0.0, 0.0], [np.inf, 10.0, 1.0]), xtol=1e-12, ftol=1e-12
        )
        if 2 * found.cost < least:
            least, (m, b, share_found) = 2 * found.cost, found.x
            best = float(m + b * x.mean()), float(b), float(share_found * L.min())
    return best


def errors(law: tuple[float, float, float], D: np.ndarray, L: np.ndarray) -> np.ndarray:
    """ln of a law's loss over the measured one, at each D."""
    log_a, b, c = law
    return np.log(c + np.exp(log_a - b * np.log(D))) - np.log(L)


def compare(D: np.ndarray, L: np.ndarray) -> dict[str, float]:
    """Compare both laws on losses L [n] at sizes D [n].

    Returns:
        `bic_gain`: BIC of the pure power minus that with a constant; `extrapolation_gain`: ln of the ratio of their errors at the two
        largest D when fitted to the others, positive where the constant helps; `constant` and `exponent`: c and b.
    """
    n = len(D)
    bic, beyond = [], []
    for constant in (False, True):
        rss = float(np.sum(errors(fit(D, L, constant), D, L) ** 2))
        bic.append(n * log(max(rss / n, RESOLUTION**2)) + (3 if constant else 2) * log(n))
        missed = errors(fit(D[:-2], L[:-2], constant), D[-2:], L[-2:])
        beyond.append(max(float(np.sqrt(np.mean(missed**2))), RESOLUTION))
    _, b, c = fit(D, L, True)
    return {
        "bic_gain": bic[0] - bic[1],
        "extrapolation_gain": log(beyond[0] / beyond[1]),
        "constant": c,
        "exponent": b,
    }


def run(config: Config, context: Context) -> dict[str, float]:
    """Train one model for each size of the log and measure its loss.

    Returns:
        `nce_<D>`: NCE at D = one of `examples` (1); `nce`: at the last; `nce_truth`: NCE* (1); `parameters` (count).
        With five sizes or more, of `compare`: its columns for NCE, and `<column>_above_truth` for NCE − NCE*, where nothing irreducible is left.
    """
    torch.set_num_threads(config.threads)
    law = Law(config.fields, config.ids, config.zipf, config.rank, config.dense, config.offset, config.strengths)
    truth = ClickModel(law, config.seed, context.device)
    more_data = config.factor if config.arm == "data" else 1
    more_parameters = config.factor if config.arm == "parameters" else 1
    dim, width = config.dim * more_parameters, round(config.width * more_parameters**0.5)
    test = list(truth.log(config.test_examples // config.batch, config.batch, name="test"))
    p = torch.cat([part.p for part in test])
    row = {"nce_truth": float(entropy(p.double()).mean() / entropy(p.double().mean()))}
    losses = []
    for done, D in enumerate(config.examples):
        model = DLRM(config, dim, width).to(context.device)
        train(truth, model, config, D * (more_data if config.fresh else 1), 1 if config.fresh else more_data)
        with torch.no_grad():
            logits = torch.cat([model(part.ids, part.dense) for part in test])
        loss = normalised_cross_entropy(logits, p) if logits.isfinite().all() else nan
        losses.append(loss)
        row |= {f"nce_{D}": loss, "nce": loss, "parameters": float(sum(w.numel() for w in model.parameters()))}
        context.log(D, nce=loss)
        context.progress((done + 1) / len(config.examples))
    if len(losses) >= 5:
        D, L = np.array(config.examples, dtype=float), np.array(losses)
        above = L - row["nce_truth"]
        names = ("bic_gain", "extrapolation_gain", "constant", "exponent")
        # A model that diverged, or that is better than the truth, has no law to fit.
        usable = bool(np.isfinite(L).all() and (above > 0).all())
        row |= compare(D, L) if usable else dict.fromkeys(names, nan)
        found = compare(D, above) if usable else dict.fromkeys(names, nan)
        row |= {f"{name}_above_truth": value for name, value in found.items()}
    return row


if __name__ == "__main__":
    for column, value in run(Config(examples=(4096, 8192, 16384, 32768, 65536)), Context()).items():
        print(f"{column:28} {value:.5g}")
