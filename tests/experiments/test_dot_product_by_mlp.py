from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from experiments.recommenders.dot_product_by_mlp import (
    Config,
    Models,
    embedding_sd,
    fresh_data,
    fresh_rmse,
    looks,
    run,
    run_batch,
    stacked,
    training_data,
)
from experiments.recommenders.dot_product_by_mlp_estimators import means_of_cells
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from repro.stats.summary import mean_over_seeds
from trial_records import make_record

TINY = Config(d=4, m=2, users=60, fresh=200, epochs=2, per_user=10, batch=32)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 200))
def test_the_scale_gives_the_naive_error_in_every_dimension(d: int) -> None:
    assert d * embedding_sd(d) ** 4 + 0.85**2 == pytest.approx(1.13**2)


def test_labels_are_dot_products_with_the_stated_noise() -> None:
    data = training_data(Config(users=1000))
    dots = (data.p[data.u] * data.q[data.i]).sum(-1)
    assert float((data.y - dots).square().mean().sqrt()) == pytest.approx(0.85, abs=0.01)
    assert float(data.y.square().mean().sqrt()) == pytest.approx(1.13, abs=0.02)


@pytest.mark.parametrize("users", [60, 1000])
def test_pairs_are_distinct_and_as_many_as_asked_for(users: int) -> None:
    config = Config(users=users, per_user=50)
    data = training_data(config)
    assert len(data.y) == 50 * users == len(torch.unique(data.u * users + data.i))
    assert int(torch.bincount(data.u, minlength=users).min()) > 15


def test_fresh_pairs_share_nothing_with_training() -> None:
    config = replace(TINY, fresh=60)
    train, fresh = training_data(config), fresh_data(config)
    assert train.p.shape == fresh.p.shape
    assert not torch.isclose(train.p, fresh.p).all(1).any()


def test_the_mlp_is_torchs() -> None:
    models = Models(TINY, [0, 1], "cpu")
    p, q = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    ours, product = models.predict(p, q)
    for r in range(2):
        layers: list[torch.nn.Module] = []
        for W, b in zip(models.W, models.b, strict=True):
            layer = torch.nn.Linear(*W.shape[1:])
            layer.weight.data, layer.bias.data = W[r].T, b[r, 0]
            layers += [layer, torch.nn.ReLU()]
        theirs = torch.nn.Sequential(*layers[:-1])(torch.cat([p[r], q[r]], -1)).squeeze(-1)
        assert torch.allclose(ours[r], theirs, atol=1e-6)
    assert torch.allclose(product, (p * q * models.w_product.mT).sum(-1), atol=1e-6)


def test_the_widths_are_the_papers() -> None:
    assert Models(Config(d=16, m=4), [0], "cpu").sizes == (32, 128, 64, 32, 1)


def test_a_model_of_equal_weights_is_the_dot_product() -> None:
    models = Models(TINY, [0], "cpu")
    models.w_product.data.fill_(1.0)
    data = stacked([fresh_data(TINY)], "cpu")
    mlp, product, dot, naive = fresh_rmse(models, data, chunk=64).squeeze(1).tolist()
    assert product == pytest.approx(dot)
    errors = models.predict(data.p[data.u], data.q[data.i])[0] - data.y
    assert mlp == pytest.approx(float(errors.detach().square().mean().sqrt()))
    assert naive == pytest.approx(float(data.y.square().mean().sqrt()))


def test_the_control_reaches_the_noise_where_the_mlp_does_not() -> None:
    config = Config(d=8, users=400, epochs=12, lr=0.003, fresh=20_000)
    row = run(config, Context())
    assert row["excess"] > 0.05 > 0.01 > row["product_excess"] - row["dot_excess"]
    assert row["naive_excess"] == pytest.approx(0.28, abs=0.03)
    assert row["best_excess"] <= row["excess"]


def test_the_control_learns_what_least_squares_would() -> None:
    config = Config(d=4, users=200, epochs=20, lr=0.003, fresh=5000)
    train, fresh = training_data(config), fresh_data(config)
    fit = LinearRegression().fit((train.p[train.u] * train.q[train.i]).numpy(), train.y.numpy())
    errors = fit.predict((fresh.p * fresh.q).numpy()) - fresh.y.numpy()
    expected = float((errors**2).mean() ** 0.5) - 0.85
    assert run(config, Context())["product_excess"] == pytest.approx(expected, abs=0.003)


def test_runs_of_a_stack_learn_as_they_would_alone() -> None:
    configs = [replace(TINY, seed=seed) for seed in (3, 4)]
    together = run_batch(configs, [Context()] * 2)
    for config, row in zip(configs, together, strict=True):
        assert row == pytest.approx(run(config, Context()), rel=1e-4, abs=1e-5)
    with pytest.raises(ValueError, match="seed alone"):
        run_batch([TINY, replace(TINY, d=8)], [Context()] * 2)


def test_the_curve_is_looked_at_early_and_at_the_end() -> None:
    assert looks(Config(epochs=32)) == {1, 2, 4, 8, 12, 16, 20, 24, 28, 32}
    assert looks(Config(epochs=5)) == {1, 2, 3, 4, 5}


def test_each_part_is_the_mean_of_its_cell() -> None:
    records = [
        make_record(seed, {"excess": value}, d=d)
        for d in (16, 32)
        for seed, value in enumerate((d / 100, d / 50, d / 40))
    ]
    found = means_of_cells(records, column="excess", cells={"a": {"d": 16}, "b": {"d": 32}})
    alone = mean_over_seeds(records[:3], column="excess", noise="symmetric")
    assert found["a"] == alone
    assert found["b"].value == pytest.approx(2 * alone.value)
    with pytest.raises(EstimateError, match="at least one part"):
        means_of_cells(records, column="excess", cells={})
    with pytest.raises(EstimateError, match="no field"):
        means_of_cells(records, column="excess", cells={"a": {"width": 16}})
    with pytest.raises(EstimateError, match="no trial"):
        means_of_cells(records, column="excess", cells={"a": {"d": 64}})
