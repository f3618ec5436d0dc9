"""A click model and a DLRM against loops written out, and the comparison of two laws on curves whose law is known."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from torch import nn

from experiments.click_logs.click_model import ClickModel, Law
from experiments.click_logs.dlrm_scaling import (
    DLRM,
    Config,
    compare,
    entropy,
    errors,
    fit,
    normalised_cross_entropy,
    run,
    train,
)
from repro.schema.context import Context

LAW = Law(fields=3, ids=20, zipf=1.0, rank=4, dense=2, offset=-1.0, strengths=(1.0, 0.8, 0.5))
TINY = Config(
    examples=(256,),
    fields=3,
    ids=20,
    rank=4,
    dense=2,
    dim=4,
    width=8,
    batch=32,
    test_examples=1024,
    strengths=(1.0, 0.8, 0.5),
)
SIZES = 4096.0 * 2.0 ** np.arange(8)


def test_the_probability_of_a_click_written_out() -> None:
    truth = ClickModel(LAW, seed=3)
    seen = truth.draw(50, torch.Generator().manual_seed(1))
    for ids, z, p in zip(seen.ids, seen.dense, seen.p, strict=True):
        logit = -1.0 + float(sum(truth.w[i] for i in ids)) + 0.5 * float(z @ truth.u)
        logit += 0.8 * sum(float(truth.v[i] @ truth.v[j]) for i, j in combinations(ids, 2))
        assert float(p) == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-5)


def test_ids_follow_zipfs_law_and_clicks_their_probability() -> None:
    truth = ClickModel(LAW, seed=0)
    seen = truth.draw(200_000, torch.Generator().manual_seed(2))
    expected = 1 / np.arange(1, 21) / np.sum(1 / np.arange(1, 21))
    for f in range(3):
        counts = np.bincount(seen.ids[:, f].numpy() - 20 * f, minlength=20)
        assert counts / 200_000 == pytest.approx(expected, abs=0.004)
    likely = seen.p > seen.p.median()
    assert float(seen.clicks[likely].mean()) == pytest.approx(float(seen.p[likely].mean()), abs=0.005)


def test_terms_of_the_logit_have_unit_variance_on_average() -> None:
    only = [replace_strength(k) for k in range(3)]
    variances = np.zeros(3)
    for seed in range(60):
        for k, law in enumerate(only):
            p = ClickModel(law, seed).draw(2000, torch.Generator().manual_seed(seed)).p.double()
            variances[k] += float((torch.logit(p)).var()) / 60
    # The sample shares of few ids are centred, which takes some variance away.
    assert (variances > 0.5).all()
    assert (variances < 1.5).all()


def replace_strength(k: int) -> Law:
    strengths = [0.0, 0.0, 0.0]
    strengths[k] = 1.0
    return replace(LAW, ids=200, zipf=0.5, strengths=tuple(strengths))


def test_a_longer_log_begins_with_a_shorter_one_and_passes_repeat_it() -> None:
    truth = ClickModel(LAW, seed=5)
    short, long = list(truth.log(3, 8)), list(truth.log(70, 8))
    twice = list(truth.log(3, 8, passes=2))
    assert len(long) == 70
    assert len(twice) == 6
    assert all(
        torch.equal(a.ids, b.ids) and torch.equal(a.clicks, b.clicks) for a, b in zip(short, long[:3], strict=True)
    )
    assert all(torch.equal(a.clicks, b.clicks) for a, b in zip(short * 2, twice, strict=True))
    assert not torch.equal(short[0].ids, next(truth.log(3, 8, name="test")).ids)


def test_the_model_is_that_of_library_parts_and_a_loop_over_pairs() -> None:
    model = DLRM(TINY, 4, 8)
    bottom = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 4))
    top = nn.Sequential(nn.Linear(6 + 4, 8), nn.ReLU(), nn.Linear(8, 1))
    for network, weights in ((bottom, model.bottom), (top, model.top)):
        network.load_state_dict(dict(zip(network.state_dict(), weights, strict=True)))
    seen = ClickModel(LAW, seed=0).draw(9, torch.Generator().manual_seed(0))
    vectors = [bottom(seen.dense), *(model.table[seen.ids[:, f]] for f in range(3))]
    products = [(a * b).sum(1) for a, b in combinations(vectors, 2)]
    expected = top(torch.cat([vectors[0], torch.stack(products, 1)], 1))[:, 0]
    assert torch.allclose(model(seen.ids, seen.dense), expected, atol=1e-6)


def test_normalised_cross_entropy_is_that_of_many_clicks() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.uniform(0.05, 0.6, 400_000), rng.uniform(0.1, 0.5, 400_000)
    clicks = rng.random(p.size) < p
    cross = -np.where(clicks, np.log(q), np.log(1 - q)).mean()
    base = clicks.mean()
    expected = cross / -(base * np.log(base) + (1 - base) * np.log(1 - base))
    found = normalised_cross_entropy(torch.logit(torch.tensor(q)), torch.tensor(p))
    assert found == pytest.approx(expected, rel=0.005)


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=20), st.floats(-3, 3))
def test_no_prediction_beats_the_truth_and_the_base_rate_has_loss_one(ps: list[float], shift: float) -> None:
    p = torch.tensor(ps, dtype=torch.float64)
    least = float(entropy(p).mean() / entropy(p.mean()))
    assert normalised_cross_entropy(torch.logit(p), p) == pytest.approx(least)
    assert normalised_cross_entropy(torch.logit(p) + shift, p) >= least - 1e-9
    assert normalised_cross_entropy(torch.logit(p.mean()).expand(len(ps)), p) == pytest.approx(1.0)


def test_fits_are_those_of_scipys_curve_fit() -> None:
    L = 0.7 + 3.0 * SIZES**-0.4 * np.exp(0.01 * np.random.default_rng(4).standard_normal(8))

    def law(x: np.ndarray, log_a: float, b: float, c: float) -> np.ndarray:
        return np.log(c + np.exp(log_a - b * x))

    theirs, _ = curve_fit(law, np.log(SIZES), np.log(L), p0=(1.0, 0.4, 0.7))
    assert fit(SIZES, L, constant=True) == pytest.approx(tuple(theirs), rel=1e-3)
    b, log_a = np.polyfit(np.log(SIZES), np.log(L), 1)
    assert fit(SIZES, L, constant=False)[:2] == pytest.approx((log_a, -b))


@settings(max_examples=8, deadline=None)
@given(st.floats(0.1, 0.8), st.floats(0.3, 0.8), st.integers(0, 99))
def test_a_constant_is_found_where_there_is_one(b: float, c: float, seed: int) -> None:
    noise = np.exp(1e-4 * np.random.default_rng(seed).standard_normal(8))
    found = compare(SIZES, (c + 0.3 * (SIZES / 4096) ** -b) * noise)
    assert found["bic_gain"] > 10
    assert found["extrapolation_gain"] > 0
    assert found["constant"] == pytest.approx(c, abs=0.12)


@pytest.mark.parametrize("b", [0.15, 0.5])
def test_no_constant_is_found_where_there_is_none(b: float) -> None:
    """Eight noisy points may look bent in one seed; not on the mean of several."""
    rng = np.random.default_rng(8)
    gains = [
        compare(SIZES, 0.3 * (SIZES / 4096) ** -b * np.exp(0.01 * rng.standard_normal(8)))["bic_gain"]
        for _ in range(12)
    ]
    assert np.mean(gains) < 5
    assert np.median(gains) < 0


@pytest.mark.parametrize("unit", [0.5, 2.0])
def test_the_comparison_does_not_depend_on_the_unit_of_the_loss(unit: float) -> None:
    L = 0.7 + 0.3 * (SIZES / 4096) ** -0.4 + 1e-3 * np.cos(np.arange(8))
    one, other = compare(SIZES, L), compare(SIZES, unit * L)
    assert one["bic_gain"] == pytest.approx(other["bic_gain"], abs=0.01)
    assert np.abs(errors(fit(SIZES, L, True), SIZES, L)).max() < 0.01


def test_learning_approaches_the_truth_and_the_model_is_repeatable() -> None:
    config = replace(TINY, examples=(256, 8192), strengths=(1.5, 0.0, 0.5))
    row = run(config, Context())
    assert row["nce_truth"] < row["nce_8192"] < row["nce_256"]
    assert row["nce_8192"] - row["nce_truth"] < 0.3 * (1 - row["nce_truth"])
    assert run(config, Context()) == row
    assert run(replace(config, seed=1), Context())["nce"] != row["nce"]


def test_arms_scale_what_they_say() -> None:
    base, data, parameters = (run(replace(TINY, arm=arm), Context()) for arm in ("base", "data", "parameters"))
    assert data["parameters"] == base["parameters"]
    assert parameters["parameters"] == pytest.approx(4 * base["parameters"], rel=0.15)
    assert base["nce_truth"] == data["nce_truth"] == parameters["nce_truth"]
    longer = run(replace(TINY, examples=(1024,)), Context())
    assert data["nce"] == longer["nce"]


def test_repeated_examples_are_learnt_by_heart() -> None:
    """The control of data_beats_parameters: passes over few examples lower the loss on them and raise it on fresh ones."""
    config = replace(TINY, ids=200, width=16, lr=0.1)
    law = replace(LAW, ids=200)
    truth, once, often = ClickModel(law, 0), DLRM(config, 8, 16), DLRM(config, 8, 16)
    train(truth, once, config, 1024, 1)
    train(truth, often, config, 1024, 16)
    fresh = truth.draw(20_000, torch.Generator().manual_seed(9))
    seen = list(truth.log(1024 // 32, 32))
    with torch.no_grad():
        known = [
            sum(float(nn.functional.binary_cross_entropy_with_logits(m(s.ids, s.dense), s.clicks)) for s in seen)
            for m in (once, often)
        ]
        unknown = [normalised_cross_entropy(m(fresh.ids, fresh.dense), fresh.p) for m in (once, often)]
    assert known[1] < known[0]
    assert unknown[1] > unknown[0]


def test_a_model_that_diverged_has_no_law() -> None:
    sizes = (32, 64, 128, 256, 512)
    row = run(replace(TINY, examples=sizes, lr=1e30), Context())
    assert np.isnan(row["bic_gain"]) or row["nce"] > 1
    assert {"bic_gain", "extrapolation_gain_above_truth"} <= set(run(replace(TINY, examples=sizes), Context()))
