import numpy as np
import pytest

from experiments.learning_curves.more_data import SIMPLE, Config, accuracy, run, split
from repro.schema.context import Context


def test_less_data_is_part_of_more_and_no_test_image_is_learnt() -> None:
    x, y, x_test, y_test = split(0, 1280)
    assert (x.shape, x_test.shape) == ((1280, 64), (517, 64))
    again, *_ = split(0, 320)
    assert np.array_equal(again, x[:320])
    assert set(np.unique(y)) == set(np.unique(y_test)) == set(range(10))
    assert not np.array_equal(split(1, 1280)[0], x)
    assert len(np.unique(np.concatenate([x, x_test]), axis=0)) == 1797  # no digit is there twice


def test_naive_bayes_is_its_closed_form() -> None:
    x, y, x_test, y_test = split(3, 320)
    smoothing = 1e-9 * x.var(axis=0).max()
    scores = []
    for label in range(10):
        own = x[y == label]
        variance = own.var(axis=0) + smoothing
        density = -0.5 * (np.log(2 * np.pi * variance) + (x_test - own.mean(axis=0)) ** 2 / variance)
        scores.append(np.log(len(own) / len(x)) + density.sum(axis=1))
    expected = 100 * (np.argmax(scores, axis=0) == y_test).mean()
    assert accuracy(SIMPLE["naive_bayes"](), x, y, x_test, y_test) == pytest.approx(expected)


def test_the_nearest_neighbour_is_the_nearest() -> None:
    x, y, x_test, y_test = split(4, 160)
    nearest = ((x_test[:, None] - x[None]) ** 2).sum(-1).argmin(1)
    expected = 100 * (y[nearest] == y_test).mean()
    assert accuracy(SIMPLE["nearest_neighbour"](), x, y, x_test, y_test) == pytest.approx(expected, abs=0.4)  # ties


def test_the_machine_decides_by_its_support_vectors() -> None:
    from sklearn.svm import SVC

    x, y, x_test, _ = split(5, 160)
    pick, pick_test = y < 2, x_test[:50]
    machine = SVC(C=1.0, kernel="rbf", gamma="scale").fit(x[pick], y[pick])
    gamma = 1 / (64 * x[pick].var())
    squared = ((pick_test[:, None] - machine.support_vectors_[None]) ** 2).sum(-1)
    decision = np.exp(-gamma * squared) @ machine.dual_coef_[0] + machine.intercept_[0]
    assert np.array_equal(machine.predict(pick_test), (decision > 0).astype(int))


def test_every_learner_learns_and_gaps_are_differences() -> None:
    config = Config(n=(80, 320))
    row = run(config, Context())
    assert set(row) >= {"svm_8", "svm_20", "svm_80", "svm_32", "naive_bayes_320_over_svm_32", "nearest_neighbour_80"}
    for name in SIMPLE:
        assert row[f"{name}_320"] > 60
        for share in config.shares:
            m = 320 // share
            assert row[f"{name}_320_over_svm_{m}"] == pytest.approx(row[f"{name}_320"] - row[f"svm_{m}"])
    assert row["svm_320"] > row["svm_20"] > 15
    assert run(config, Context()) == row


def test_without_more_data_naive_bayes_is_behind() -> None:
    """What the control relies on, on splits that no attempt uses."""
    gaps = [
        run(Config(n=(320,), shares=(1,), seed=seed), Context())["naive_bayes_320_over_svm_320"]
        for seed in (1001, 1002)
    ]
    assert max(gaps) < 0
