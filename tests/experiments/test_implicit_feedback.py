import math
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from experiments.recommenders.factorisation import Training, parts, scores_of, sgd_epoch
from experiments.recommenders.factorisation import initial as initial_factors
from experiments.recommenders.implicit_feedback import (
    MODELS,
    Config,
    Pairs,
    popularity,
    ranked,
    run,
    run_batch,
    splits,
    train_networks,
)
from experiments.recommenders.interactions import MEMBER, made_up, split
from experiments.recommenders.neural_filtering import NETWORKS, initial, logits, pretrained
from experiments.recommenders.ranking import hit_rate_and_ndcg, places
from repro.lab.seeding import generator
from repro.schema.context import Context

TINY = Config(
    source="factors", users=40, items=60, per_user=6, rivals=20, d=4, mf_epochs=2, gmf_factors=3, layers=(6, 4), epochs=2,
    pretrained_epochs=1, batch=64,
)  # fmt: skip


# Ranking


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 12))
def test_ranking_agrees_with_sorting(seed: int, C: int, K: int) -> None:
    # Few distinct scores, so that there are ties; sorted with the held-out item behind its equals.
    scores = torch.randint(0, 8, (9, C), generator=torch.Generator().manual_seed(seed)).double()
    hits, gains = [], []
    for row in scores.tolist():
        order = sorted(range(C), key=lambda c, row=row: (-row[c], c == 0))
        place = order.index(0)
        hits.append(place < K)
        gains.append(math.log(2) / math.log(place + 2) if place < K else 0.0)
    assert hit_rate_and_ndcg(scores, K) == pytest.approx((np.mean(hits), np.mean(gains)), abs=1e-12)


def test_who_peeks_gets_everything_and_who_says_nothing_gets_nothing() -> None:
    positives = made_up("factors", 30, 120, 5, 3, 2.0, 1.0, seed=2)
    found = split(positives, 99, seed=2)
    known = torch.zeros(30, 120)
    known[positives.users, positives.items] = 1.0
    assert hit_rate_and_ndcg(known.gather(1, found.candidates)) == (1.0, 1.0)
    assert hit_rate_and_ndcg(torch.zeros(30, 100)) == (0.0, 0.0)
    assert places(-known.gather(1, found.candidates)).tolist() == [100] * 30


def test_a_score_that_is_not_finite_is_not_a_place() -> None:
    scores = torch.ones(3, 20)
    scores[1, 5] = math.nan
    assert all(math.isnan(each) for each in hit_rate_and_ndcg(scores))


def test_scores_at_random_find_a_tenth() -> None:
    scores = torch.rand(20_000, 100, generator=torch.Generator().manual_seed(1))
    hr, ndcg = hit_rate_and_ndcg(scores)
    assert hr == pytest.approx(0.1, abs=0.01)
    assert ndcg == pytest.approx(sum(1 / math.log2(r + 1) for r in range(1, 11)) / 100, abs=0.006)


# Factorisation


def slow_epoch(b, b_u, b_i, p, q, examples, eta, lam):
    """The same epoch on (user, item, label), in the order given, by numpy alone."""
    losses = []
    for u, i, label in examples:
        y = b[0] + b_u[u] + b_i[i] + p[u] @ q[i]
        losses.append(np.logaddexp(0, -y) if label else np.logaddexp(0, y))
        g = label - 1 / (1 + np.exp(-y))
        p[u] = (1 - eta * lam) * p[u] + eta * g * q[i]
        q[i] = (1 - eta * lam) * q[i] + eta * g * p[u]
        for bias, place in ((b_u, u), (b_i, i), (b, 0)):
            bias[place] = (1 - eta * lam) * bias[place] + eta * g
    return np.mean(losses)


@pytest.mark.parametrize(("eta", "lam"), [(0.002, 0.005), (0.3, 0.1)])
def test_the_compiled_epoch_agrees_with_numpy(eta: float, lam: float) -> None:
    rng = np.random.default_rng(0)
    U, I, N, m = 7, 9, 40, 3  # noqa: E741
    w = initial_factors(U, I, 5, 0.5, generator("test", 1))
    slow = [each.copy() for each in parts(w)]
    users, items, negatives = rng.integers(U, size=N), rng.integers(I, size=N), rng.integers(I, size=(N, m))
    order = rng.permutation(N * (m + 1))
    each = [(users[n], items[n], 1) for n in range(N)]
    table = [[one, *((one[0], j, 0) for j in negatives[n])] for n, one in enumerate(each)]
    examples = [table[e // (m + 1)][e % (m + 1)] for e in order]
    loss = sgd_epoch(*parts(w), users, items, negatives, order, eta, lam)
    assert loss == pytest.approx(slow_epoch(*slow, examples, eta, lam), rel=1e-12)
    for fast, expected in zip(parts(w), slow, strict=True):
        np.testing.assert_allclose(fast, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("label", [1.0, 0.0])
def test_a_step_is_the_gradient_of_the_penalised_logistic_loss(label: float) -> None:
    eta, lam = 1e-3, 0.2
    w = initial_factors(3, 4, 6, 0.7, generator("test", 2))
    w.b[0], w.b_u[1], w.b_i[2] = 0.3, -0.2, 0.5
    before = [torch.tensor(each, requires_grad=True) for each in parts(w)]
    b, b_u, b_i, p, q = before
    y = b[0] + b_u[1] + b_i[2] + p[1] @ q[2]
    penalty = b[0] ** 2 + b_u[1] ** 2 + b_i[2] ** 2 + p[1].square().sum() + q[2].square().sum()
    (F.binary_cross_entropy_with_logits(y, torch.tensor(label).double()) + lam / 2 * penalty).backward()
    # The example that is trained on is the positive, or the one negative of another item.
    items, negatives = (2, 3) if label else (3, 2)
    sgd_epoch(
        *parts(w), np.array([1]), np.array([items]), np.array([[negatives]]), np.array([0 if label else 1]), eta, lam
    )
    for name, after, old in zip(("b", "b_u", "b_i", "p", "q"), parts(w), before, strict=True):
        step = (torch.from_numpy(after) - old.detach()) / eta
        # q moves along the p that has just moved: a difference of the order of η.
        torch.testing.assert_close(step, -old.grad, rtol=0, atol=1e-3 if name == "q" else 1e-9)
        assert bool(step.any())


def test_the_item_moves_along_the_user_that_has_just_moved() -> None:
    w = initial_factors(1, 1, 2, 1.0, generator("test", 3))
    p, q = float(w.p[0, 0]), float(w.q[0, 0])
    g = 1 - 1 / (1 + math.exp(-p * q))
    sgd_epoch(*parts(w), np.array([0]), np.array([0]), np.zeros((1, 0), np.int64), np.array([0]), 0.5, 0.1)
    moved = p + 0.5 * (g * q - 0.1 * p)
    assert w.p[0, 0] == pytest.approx(moved, rel=1e-12)
    assert w.q[0, 0] == pytest.approx(q + 0.5 * (g * moved - 0.1 * q), rel=1e-12)


def test_large_scores_do_not_overflow() -> None:
    w = initial_factors(1, 2, 2, 1.0, generator("test", 4))
    w.b_i[:] = (1e4, -1e4)
    loss = sgd_epoch(*parts(w), np.array([0]), np.array([1]), np.array([[0]]), np.array([0, 1]), 0.1, 0.0)
    assert loss == pytest.approx(1e4, rel=1e-3)


def test_candidates_are_scored_by_the_formula() -> None:
    w = initial_factors(3, 5, 4, 1.0, generator("test", 5))
    w.b[0], w.b_u[:], w.b_i[:] = 0.5, [1, 2, 3], [1, 2, 3, 4, 5]
    candidates = np.array([[0, 4], [2, 2], [3, 1]])
    expected = (w.b + w.b_u[:, None] + w.b_i + w.p @ w.q.T)[np.arange(3)[:, None], candidates]
    np.testing.assert_allclose(scores_of(*parts(w), candidates), expected, rtol=1e-12)


def test_factorisation_learns_the_world_of_factors_and_repeats_itself() -> None:
    data = split(made_up("factors", 200, 120, 25, 3, 3.0, 0.5, seed=4), 50, seed=4)

    def trained() -> tuple[list[float], float]:
        mf = Training(data.users, data.items, data.U, data.I, 8, 0.1, seed=4)
        losses = [mf.epoch(4, 0.03, 0.005) for _ in range(40)]
        return losses, hit_rate_and_ndcg(mf.scores(data.candidates))[0]

    (losses, hr), again = trained(), trained()
    assert again == (losses, hr)
    assert losses[-1] < 0.8 * losses[0]
    assert hr > hit_rate_and_ndcg(popularity(data))[0] + 0.1


# Networks


class Reference(torch.nn.Module):
    """NeuMF by torch's own modules, one run."""

    def __init__(self, name: str, U: int, I: int, factors: int, layers: tuple[int, ...]) -> None:  # noqa: E741
        super().__init__()
        self.name = name
        half = layers[0] // 2
        self.p, self.q = torch.nn.Embedding(U, factors), torch.nn.Embedding(I, factors)
        self.x, self.y = torch.nn.Embedding(U, half), torch.nn.Embedding(I, half)
        hidden = [torch.nn.Linear(n, m) for n, m in pairwise(layers)]
        self.phi = torch.nn.Sequential(*(each for layer in hidden for each in (layer, torch.nn.ReLU())))
        last = (factors if name != "mlp" else 0) + (layers[-1] if name != "gmf" else 0)
        self.h = torch.nn.Linear(last, 1)

    def forward(self, u: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        product = [self.p(u) * self.q(i)] if self.name != "mlp" else []
        hidden = [self.phi(torch.hstack([self.x(u), self.y(i)]))] if self.name != "gmf" else []
        return self.h(torch.hstack(product + hidden))[:, 0]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree_with_modules_of_torch(name: str) -> None:
    U, I, layers = 5, 7, (6, 4, 3)  # noqa: E741
    w = initial(name, U, I, 2, layers, [11, 12])
    with torch.no_grad():
        for each in w.tensors():
            each.add_(0.3 * torch.randn(each.shape, generator=generator("shift", each.numel())))
    u, i = torch.tensor([[0, 4, 3, 3]] * 2), torch.tensor([[6, 0, 1, 2]] * 2)
    got = logits(w, u + torch.tensor([[0], [U]]), i + torch.tensor([[0], [I]]))
    for r in range(2):
        net = Reference(name, U, I, 2, layers)
        with torch.no_grad():
            if name != "mlp":
                net.p.weight.copy_(w.p[r * U : (r + 1) * U])
                net.q.weight.copy_(w.q[r * I : (r + 1) * I])
            if name != "gmf":
                net.x.weight.copy_(w.x[r * U : (r + 1) * U])
                net.y.weight.copy_(w.y[r * I : (r + 1) * I])
                for layer, W, b in zip(net.phi[::2], w.W, w.b, strict=True):
                    layer.weight.copy_(W[r].T)
                    layer.bias.copy_(b[r, 0])
            net.h.weight.copy_(w.h[r].T)
            net.h.bias.copy_(w.c[r, 0])
        torch.testing.assert_close(got[r], net(u[0], i[0]))


def test_initial_weights_have_the_stated_spread() -> None:
    w = initial("neumf", 400, 300, 8, (64, 32, 8), [1])
    assert w.p.std().item() == pytest.approx(0.01, rel=0.05)
    assert w.y.std().item() == pytest.approx(0.01, rel=0.05)
    limit = math.sqrt(6 / (64 + 32))
    assert 0.95 * limit < w.W[0].abs().max().item() <= limit
    assert w.h.shape == (1, 16, 1)
    assert w.h.abs().max().item() <= math.sqrt(3 / 16)
    assert not w.b[0].any()


def test_pretraining_adds_half_of_each_prediction() -> None:
    gmf, mlp = initial("gmf", 6, 5, 3, (4, 2), [1, 2]), initial("mlp", 6, 5, 3, (4, 2), [1, 2])
    with torch.no_grad():
        for each in (*gmf.tensors(), *mlp.tensors()):
            each.add_(torch.randn(each.shape, generator=generator("shift", each.numel())))
    both = pretrained(gmf, mlp)
    u, i = torch.tensor([[0, 5], [6, 11]]), torch.tensor([[4, 0], [5, 9]])
    torch.testing.assert_close(logits(both, u, i), 0.5 * (logits(gmf, u, i) + logits(mlp, u, i)))
    with torch.no_grad():
        both.p.zero_()
    assert bool(gmf.p.any())


def test_an_epoch_has_every_positive_once_with_its_negatives() -> None:
    runs = splits(TINY, Context(), [1, 2])
    batches = Pairs(TINY, runs, [1, 2], "cpu").epoch()
    u, i, label = (torch.cat(each, 1) for each in zip(*batches, strict=True))
    assert u.shape == (2, 5 * len(runs[0].users))
    for r, one in enumerate(runs):
        own_u, own_i = u[r] - r * one.U, i[r] - r * one.I
        positive = label[r] == 1
        got = sorted(zip(own_u[positive].tolist(), own_i[positive].tolist(), strict=True))
        assert got == sorted(zip(one.users.tolist(), one.items.tolist(), strict=True))
        assert torch.equal(torch.bincount(own_u[~positive]), 4 * torch.bincount(one.users))
        assert int(own_i.min()) >= 0
        assert int(own_i.max()) < one.I


def test_networks_are_ranked_by_their_own_scores() -> None:
    runs = splits(TINY, Context(), [1, 2])
    w = initial("neumf", TINY.users, TINY.items, 3, (6, 4), [1, 2])
    with torch.no_grad():
        w.p.mul_(100)
        w.q.mul_(100)
    for r, (one, got) in enumerate(zip(runs, ranked(w, runs), strict=True)):
        scores = torch.stack([
            logits(w, torch.full((2, 21), u + r * one.U), (one.candidates[u] + r * one.I).expand(2, 21))[r] for u in range(one.U)
        ])  # fmt: skip
        assert got == pytest.approx(hit_rate_and_ndcg(scores))


def test_networks_learn_and_plain_sgd_hardly_moves_what_was_pretrained() -> None:
    config = replace(
        TINY, users=150, items=100, per_user=20, k=3, spread=3.0, gmf_lr=0.01, mlp_lr=0.01, neumf_lr=0.01, epochs=12
    )
    runs = splits(config, Context(), [3])
    curves = train_networks(config, runs, [Context()], [3])
    popular = hit_rate_and_ndcg(popularity(runs[0]))[0]
    assert curves["gmf"][-1][0][0] > popular + 0.1
    assert curves["neumf"][-1][0][0] > popular + 0.1
    (before, _), (after, _) = (each[0] for each in curves["neumf_pretrained"])
    assert after == pytest.approx(before, abs=0.05)


# The recipe


def test_the_recipe_at_its_smallest() -> None:
    seen: dict[str, list[float]] = {}
    progress: list[float] = []
    context = Context(
        on_curve=lambda name, _, value: seen.setdefault(name, []).append(value), on_progress=progress.append
    )
    row = run(TINY, context)
    for name in (*MODELS, "popularity"):
        assert 0 <= row[f"{name}_ndcg"] <= row[f"{name}_hr"] <= 1
    for name in MODELS:
        assert row[f"{name}_best_hr"] >= row[f"{name}_hr"]
        assert seen[f"{name}_hr"][-1] == row[f"{name}_hr"]
    assert row["mf_over_mlp"] == row["mf_hr"] - row["mlp_hr"]
    assert row["popularity_over_neumf"] == row["popularity_hr"] - row["neumf_hr"]
    assert (row["users"], row["items"], row["pairs"]) == (40, 60, 280)
    assert row["law_hr"] > row["popularity_hr"]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert run(TINY, Context()) == row
    assert run(replace(TINY, seed=1), Context()) != row


def test_a_stack_gives_each_run_what_it_has_alone() -> None:
    configs = [replace(TINY, seed=seed) for seed in (5, 6)]
    both = run_batch(configs, [Context(), Context()])
    for config, row in zip(configs, both, strict=True):
        alone = run(config, Context())
        assert alone["mf_ndcg"] == row["mf_ndcg"]
        # Sums of a stack may be rounded otherwise, which can exchange two candidates.
        assert row == pytest.approx(alone, abs=0.06)
    threaded = run_batch([replace(config, threads=2) for config in configs], [Context(), Context()])
    assert [row["mf_ndcg"] for row in threaded] == [row["mf_ndcg"] for row in both]
    with pytest.raises(ValueError, match="differ in their seed alone"):
        run_batch([TINY, replace(TINY, d=5)], [Context(), Context()])


def test_a_factorisation_that_diverges_says_so() -> None:
    row = run(replace(TINY, mf_lr=1e4, mf_epochs=3), Context())
    assert math.isnan(row["mf_hr"])
    assert math.isnan(row["mf_over_mlp"])
    assert row["mlp_hr"] >= 0


def test_an_unknown_world_is_an_error() -> None:
    with pytest.raises(ValueError, match="source must be movielens or one of"):
        run(replace(TINY, source="factor"), Context())


def test_the_recipe_reads_movielens(tmp_path: Path) -> None:
    path, rng = tmp_path / "ml-1m.zip", np.random.default_rng(0)
    lines = []
    for user in range(1, 31):
        for time, movie in enumerate(rng.choice(np.arange(1, 61), size=12, replace=False)):
            lines.append(f"{user}::{movie}::{rng.integers(1, 6)}::{978300000 + time}")
    rng.shuffle(lines)
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr(MEMBER, "\n".join(lines) + "\n")
    row = run(replace(TINY, source="movielens", users=20), Context(files={"movielens_1m": path}))
    assert row["users"] == 20
    assert row["pairs"] == 20 * 11
    assert "law_hr" not in row
    assert math.isfinite(row["neumf_pretrained_hr"])
