import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from torch.nn import functional as F

from experiments.image_generation.reranking import (
    Config,
    Generator,
    Scorer,
    best_of,
    frechet_distance,
    images_of,
    inception_score,
    nearest,
    patches_of,
    run,
)
from repro.lab.seeding import generator
from repro.schema.context import Context

SMALL = Config(
    generator_steps=3, scorer_steps=3, judge_steps=3, captions=40, hidden=16, K=8, width=8, N=(1, 8, 32), batch=16
)


def test_the_frechet_distance_is_that_of_scipys_matrix_root() -> None:
    draw = generator("features")
    a = torch.randn(80, 6, generator=draw) @ torch.randn(6, 6, generator=draw)
    b = torch.randn(90, 6, generator=draw) + 1
    c, d = (np.cov(x.double().numpy(), rowvar=False) for x in (a, b))
    means = ((a.double().mean(0) - b.double().mean(0)) ** 2).sum().item()
    expected = means + np.trace(c + d - 2 * linalg.sqrtm(c @ d).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12))
def test_the_inception_score_lies_between_one_and_the_number_of_classes(seed: int, classes: int) -> None:
    p = (3 * torch.randn(50, classes, generator=torch.Generator().manual_seed(seed))).softmax(1)
    divergences = [stats.entropy(row, p.mean(0).numpy()) for row in p.numpy()]
    assert inception_score(p) == pytest.approx(math.exp(np.mean(divergences)), rel=1e-4)
    assert 1 - 1e-9 <= inception_score(p) <= classes + 1e-9
    assert inception_score(torch.eye(classes)) == pytest.approx(classes)


def test_patches_come_back_as_the_image() -> None:
    images = torch.rand(3, 8, 8, generator=generator("images"))
    patches = patches_of(images, 2)
    assert torch.equal(patches[0, 1], images[0, :2, 2:4].flatten())
    assert torch.equal(images_of(patches, 2), images.flatten(1))
    assert torch.equal(nearest(patches, patches[0]).unique(), torch.arange(16))


def test_sampling_follows_the_models_own_probabilities() -> None:
    torch.manual_seed(0)
    model = Generator(2, Config(K=3, hidden=8))
    drawn = model.sample(torch.zeros(30_000, dtype=torch.long), generator("samples"))
    every = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    logits = model(every, torch.zeros(9, dtype=torch.long))
    p = logits.log_softmax(-1).gather(2, every[..., None])[..., 0].sum(1).exp()
    found = (3 * drawn[:, 0] + drawn[:, 1]).bincount(minlength=9) / len(drawn)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(found, p, atol=0.012)


def test_the_contrastive_loss_is_that_of_its_definition() -> None:
    torch.manual_seed(0)
    scorer = Scorer(5, 7)
    images, captions = torch.randn(4, 5), torch.tensor([3, 1, 4, 0])
    u, v = scorer(images, captions)
    assert torch.allclose(u.norm(dim=1), torch.ones(4))
    logits = 10 * F.cosine_similarity(u[:, None], v[None], dim=2)
    expected = -(logits.log_softmax(0).diagonal() + logits.log_softmax(1).diagonal()).mean() / 2
    assert torch.allclose(scorer.loss(images, captions), expected, atol=1e-5)


def test_best_of_n_looks_at_the_first_n() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 9.0]])
    assert [best_of(scores, n).item() for n in (1, 2, 3, 4)] == [0, 1, 1, 3]


def test_a_trial_is_repeated_and_both_rankings_begin_alike() -> None:
    row = run(SMALL, Context())
    assert row == run(SMALL, Context())
    for measure in ("inception", "frechet", "accuracy"):
        assert row[f"{measure}_scorer_1"] == row[f"{measure}_random_1"]
    assert row["better_frechet_scorer_1"] == 0
    assert row["better_inception_scorer_8"] == pytest.approx(
        math.log(row["inception_scorer_8"] / row["inception_scorer_1"])
    )
