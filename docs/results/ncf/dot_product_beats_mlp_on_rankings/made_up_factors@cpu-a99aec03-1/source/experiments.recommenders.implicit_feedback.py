"""Matrix factorisation and neural collaborative filtering on the same interactions, ranked against sampled negatives.

Papers: He et al. 2017, "Neural Collaborative Filtering", arXiv 1708.05031, sections 3 and 4; Rendle et al. 2020, "Neural
Collaborative Filtering vs. Matrix Factorization Revisited", arXiv 2005.09683, section 3 and Figure 2. Serves `ncf/neumf_movielens`,
`ncf/mf_matches_neumf` and `ncf/dot_product_beats_mlp_on_rankings`.

    mf      ŷ = b + b_u + b_i + ⟨p_u, q_i⟩                                     see factorisation.py
    gmf     ŷ = ⟨h, p_u ⊙ q_i⟩ + c                                             equation 9
    mlp     ŷ = ⟨h, φ(x_u, y_i)⟩ + c, φ = ReLU layers                          equation 10
    neumf   ŷ = ⟨h, [p_u ⊙ q_i, φ(x_u, y_i)]⟩ + c, with embeddings of its own  equation 12
    neumf_pretrained: that, begun with the trained gmf and mlp, h = ½ [h_gmf, h_mlp]

All four networks minimise the binary cross-entropy of sigmoid(ŷ), mean over a batch. In a trial all models learn from the same positives and rank
the same candidates; gmf, mlp and neumf see the very same batches, negatives drawn anew every epoch from all items. (The authors' program
means to leave out known positives, but asks that a pair be in training and the test at once, so it leaves out none.)

Hardware and time: at full size (MovieLens 1M, 32 factors, 192 dimensions) 388,000 steps of 256 pairs, twice, bound by launches, and 2.3 thousand
million steps of factorisation, which always runs on the CPU, `threads` seeds at a time. Deviations: see the claims.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.recommenders.factorisation import Training
from experiments.recommenders.interactions import AFFINITIES, Split, made_up, movielens, split
from experiments.recommenders.neural_filtering import NETWORKS, Weights, initial, logits, pretrained
from experiments.recommenders.ranking import hit_rate_and_ndcg
from repro.lab.seeding import generator
from repro.schema.context import Context

MODELS = ("mf", *NETWORKS, "neumf_pretrained")


@dataclass(frozen=True)
class Config:
    """The authors' settings: of the networks, those in their README; of the factorisation, those behind Figure 2."""

    source: str = "movielens"
    """`movielens`, or a made-up world: `factors`, `distance`, `network`."""
    users: int = 0
    """Users; of MovieLens the first so many, 0 for all."""
    items: int = 400
    """Items of a made-up world."""
    per_user: int = 30
    """Positives of a user of a made-up world to train on, besides one or two that are left out."""
    k: int = 8
    """Dimensions of a made-up world's vectors."""
    spread: float = 2.0
    """Standard deviation s of a made-up world's affinities, in nats."""
    popularity: float = 1.0
    """Standard deviation t of its items' popularity, in nats."""
    rivals: int = 99
    """Candidates of a user besides the held-out item."""
    tuning: bool = False
    """Whether the last positive but one is held out, to choose settings on, and the last is not looked at."""
    d: int = 16
    """Dimensions of the factorisation, the first of which is the bias."""
    mf_epochs: int = 256
    """Epochs of the factorisation."""
    mf_lr: float = 0.002
    """η, rate of its SGD."""
    mf_reg: float = 0.005
    """λ, by which a step shrinks what it touches."""
    mf_negatives: int = 8
    """Negatives for each positive."""
    mf_sd: float = 0.1
    """Of its initial embeddings."""
    gmf_factors: int = 8
    """Dimensions of p and q in gmf and neumf."""
    layers: tuple[int, ...] = (64, 32, 16, 8)
    """Widths of the MLP; the first is x and y side by side."""
    epochs: int = 20
    """Epochs of gmf, mlp and neumf."""
    pretrained_epochs: int = 20
    """Epochs of neumf after pretraining."""
    negatives: int = 4
    """Negatives for each positive."""
    batch: int = 256
    """Pairs of a step."""
    gmf_lr: float = 0.001
    """Rate of Adam."""
    gmf_decay: float = 0.0
    """Adam's L2 penalty, on every weight."""
    mlp_lr: float = 0.001
    """As of gmf."""
    mlp_decay: float = 0.0
    """As of gmf."""
    neumf_lr: float = 0.001
    """As of gmf."""
    neumf_decay: float = 0.0
    """As of gmf."""
    pretrained_lr: float = 0.001
    """Rate of plain SGD after pretraining."""
    threads: int = 1
    """CPU threads: factorisations side by side, and of torch."""
    seed: int = 0
    """Draws interactions, candidates, weights, negatives and order."""


Curve = list[list[tuple[float, float]]]
"""After every epoch, of every run: HR@10 and NDCG@10."""


class Pairs:
    """The examples of several runs: each epoch all positives with fresh negatives, shuffled."""

    def __init__(self, config: Config, runs: Sequence[Split], seeds: Sequence[int], device: str) -> None:
        self.config, self.runs, self.device = config, runs, device
        self.rngs = [generator("examples", seed) for seed in seeds]
        self.u_offset = torch.arange(len(runs))[:, None] * runs[0].U
        self.i_offset = torch.arange(len(runs))[:, None] * runs[0].I

    def epoch(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return batches of users, items and labels, each [R, B]."""
        m, rows = self.config.negatives, []
        for run, rng in zip(self.runs, self.rngs, strict=True):
            N = len(run.users)
            drawn = torch.randint(run.I, (N, m), generator=rng)
            order = torch.randperm(N * (m + 1), generator=rng)
            u = run.users.repeat_interleave(m + 1)[order]
            i = torch.cat([run.items[:, None], drawn], 1).flatten()[order]
            rows.append((u, i, (order % (m + 1) == 0).float()))
        u, i, label = (torch.stack(each) for each in zip(*rows, strict=True))
        whole = (u + self.u_offset, i + self.i_offset, label)
        batches = (each.to(self.device).split(self.config.batch, 1) for each in whole)
        return list(zip(*batches, strict=True))


@torch.no_grad()
def ranked(w: Weights, runs: Sequence[Split]) -> list[tuple[float, float]]:
    """Return HR@10 and NDCG@10 of each run's network."""
    device, found = w.h.device, []
    R, U, C = len(runs), runs[0].U, runs[0].candidates.shape[1]
    users = (torch.arange(R)[:, None] * U + torch.arange(U)).to(device)
    items = torch.stack([r * runs[0].I + run.candidates for r, run in enumerate(runs)]).to(device)
    for part in torch.arange(U, device=device).split(1024):
        u = users[:, part].repeat_interleave(C, 1)
        found.append(logits(w, u, items[:, part].flatten(1)).view(R, -1, C))
    return [hit_rate_and_ndcg(each.cpu()) for each in torch.cat(found, 1)]


def loss_of(w: Weights, u: Tensor, i: Tensor, label: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of each run, summed: every run gets its own gradient."""
    return F.binary_cross_entropy_with_logits(logits(w, u, i), label, reduction="none").mean(-1).sum()


def train_networks(
    config: Config, runs: Sequence[Split], contexts: Sequence[Context], seeds: Sequence[int]
) -> dict[str, Curve]:
    """Train gmf, mlp and neumf on the same batches by Adam, then neumf from the first two by plain SGD."""
    device, U, I = contexts[0].device, runs[0].U, runs[0].I  # noqa: E741
    pairs = Pairs(config, runs, seeds, device)
    nets = {name: initial(name, U, I, config.gmf_factors, config.layers, seeds, device) for name in NETWORKS}
    rates = {"gmf": config.gmf_lr, "mlp": config.mlp_lr, "neumf": config.neumf_lr}
    decays = {"gmf": config.gmf_decay, "mlp": config.mlp_decay, "neumf": config.neumf_decay}
    groups = [{"params": net.tensors(), "lr": rates[name], "weight_decay": decays[name]} for name, net in nets.items()]
    curves = train(config.epochs, nets, torch.optim.Adam(groups, fused=True), pairs, contexts)
    nets = {"neumf_pretrained": pretrained(nets["gmf"], nets["mlp"])}
    sgd = torch.optim.SGD(nets["neumf_pretrained"].tensors(), lr=config.pretrained_lr, fused=True)
    begun = ranked(nets["neumf_pretrained"], runs)
    tuned = train(config.pretrained_epochs, nets, sgd, pairs, contexts)
    return curves | {"neumf_pretrained": [begun, *tuned["neumf_pretrained"]]}


def train(
    epochs: int, nets: dict[str, Weights], optimizer: torch.optim.Optimizer, pairs: Pairs, contexts: Sequence[Context]
) -> dict[str, Curve]:
    """Train networks on the same batches; return how they rank after every epoch."""
    curves: dict[str, Curve] = {name: [] for name in nets}
    for epoch in range(epochs):
        for u, i, label in pairs.epoch():
            optimizer.zero_grad()
            sum(loss_of(net, u, i, label) for net in nets.values()).backward()
            optimizer.step()
        for name, net in nets.items():
            curves[name].append(ranked(net, pairs.runs))
            for (hr, _), context in zip(curves[name][-1], contexts, strict=True):
                context.log(epoch + 1, **{f"{name}_hr": hr})
        for context in contexts:
            # The factorisation is taken for the first third, the pretrained network for the last.
            context.progress((1 + (epoch + 1) / epochs + ("neumf_pretrained" in nets)) / 3)
    return curves


def factorise(config: Config, run: Split, context: Context, seed: int) -> list[tuple[float, float]]:
    """Train one factorisation; return HR@10 and NDCG@10 after every epoch."""
    mf, curve = Training(run.users, run.items, run.U, run.I, config.d, config.mf_sd, seed), []
    for epoch in range(config.mf_epochs):
        loss = mf.epoch(config.mf_negatives, config.mf_lr, config.mf_reg)
        curve.append(hit_rate_and_ndcg(mf.scores(run.candidates)))
        context.log(epoch + 1, mf_loss=loss, mf_hr=curve[-1][0])
        context.progress((epoch + 1) / config.mf_epochs / 3)
    return curve


def popularity(run: Split) -> Tensor:
    """Return the number of training positives of each candidate, [U, C]."""
    return torch.bincount(run.items, minlength=run.I)[run.candidates].double()


def splits(config: Config, context: Context, seeds: Sequence[int]) -> list[Split]:
    """Return what each seed trains on and ranks. MovieLens is the same for all; the candidates are not."""
    if config.source == "movielens":
        known = movielens(context.data("movielens_1m"), config.users)
        return [split(known, config.rivals, seed, config.tuning) for seed in seeds]
    if config.source not in AFFINITIES:
        raise ValueError(f"source must be movielens or one of {sorted(AFFINITIES)}, got '{config.source}'")
    world = (config.users, config.items, config.per_user, config.k, config.spread, config.popularity)
    drawn = [made_up(config.source, *world, seed) for seed in seeds]
    return [split(each, config.rivals, seed, config.tuning) for each, seed in zip(drawn, seeds, strict=True)]


def stack_of(config: Config) -> object:
    """Return what runs must have in common to be one stack: all but the seed."""
    return replace(config, seed=0)


def run(config: Config, context: Context) -> dict[str, float]:
    """Train every model once; see `run_batch`."""
    return run_batch([config], [context])[0]


def run_batch(configs: Sequence[Config], contexts: Sequence[Context]) -> list[dict[str, float]]:
    """Train every model on the same interactions, for several seeds side by side.

    Returns:
        For each run, as shares of users or means over them, in [0, 1]:
        `<model>_hr`, `<model>_ndcg`: HR@10 and NDCG@10 after the last epoch, for every name of `MODELS`, and for `popularity`, which ranks
        by the number of training positives; `<model>_best_hr`: the highest HR@10 after any epoch, chosen on the test itself and so too high.
        `law_hr`, `law_ndcg`: of the true law of a made-up world, a ceiling.
        `mf_over_<network>`, `popularity_over_<network>`: differences of HR@10.
        `pairs`: training positives; `users`; `items`.

    Raises:
        ValueError: for runs that are not one stack.
    """
    config, seeds = configs[0], [each.seed for each in configs]
    if len({stack_of(each) for each in configs}) > 1:
        raise ValueError("run_batch trains runs that differ in their seed alone")
    if contexts[0].device == "cpu":
        torch.set_num_threads(config.threads)
    runs = splits(config, contexts[0], seeds)
    with ThreadPoolExecutor(config.threads) as pool:
        factorised = list(pool.map(factorise, configs, runs, contexts, seeds))
    curves = {"mf": [list(each) for each in zip(*factorised, strict=True)]}
    # A penalty can shrink unused weights below 1e-38, with which a processor is slow; they are taken for 0.
    torch.set_flush_denormal(True)
    try:
        curves |= train_networks(config, runs, contexts, seeds)
    finally:
        torch.set_flush_denormal(False)
    rows = []
    for r, one in enumerate(runs):
        row = {"pairs": float(len(one.users)), "users": float(one.U), "items": float(one.I)}
        row["popularity_hr"], row["popularity_ndcg"] = hit_rate_and_ndcg(popularity(one))
        if one.law is not None:
            row["law_hr"], row["law_ndcg"] = hit_rate_and_ndcg(one.law)
        for name in MODELS:
            row[f"{name}_hr"], row[f"{name}_ndcg"] = curves[name][-1][r]
            row[f"{name}_best_hr"] = max(epoch[r][0] for epoch in curves[name])
        for name in (*NETWORKS, "neumf_pretrained"):
            row[f"mf_over_{name}"] = row["mf_hr"] - row[f"{name}_hr"]
            row[f"popularity_over_{name}"] = row["popularity_hr"] - row[f"{name}_hr"]
        rows.append(row)
    return rows


if __name__ == "__main__":
    for column, measured in run(Config(source="factors", users=300, mf_epochs=30, epochs=3), Context()).items():
        print(f"{column:32} {measured:.3f}")
