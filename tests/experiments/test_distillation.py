import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from experiments.distillation import published_errors
from experiments.distillation.mnist import (
    STUDENTS,
    Config,
    best_offset,
    bound_norms,
    cost,
    distillation_loss,
    errors,
    initial_weights,
    logits,
    run,
    shifted,
    swapped_within_classes,
    train,
)
from experiments.distillation.mnist_estimators import recovered_gap
from repro.lab.mnist import DATA
from repro.schema.context import Context
from repro.schema.errors import EstimateError


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def idx(array: torch.Tensor) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.dim())) + sizes + array.to(torch.uint8).numpy().tobytes()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Ten blurred patterns for digits: 300 training and 100 test images."""
    draw = torch.Generator().manual_seed(0)
    patterns = torch.zeros(10, 28, 28, dtype=torch.int64)
    patterns[:, 8:20, 8:20] = (
        torch.randint(0, 200, (10, 4, 4), generator=draw).repeat_interleave(3, 1).repeat_interleave(3, 2)
    )
    contents = []
    for n in (300, 100):
        labels = torch.arange(n) % 10
        contents += [patterns[labels] + torch.randint(0, 56, (n, 28, 28), generator=draw), labels]
    files = {name: tmp_path / name for name in DATA}
    for path, content in zip(files.values(), contents, strict=True):
        path.write_bytes(idx(content))
    return Context(files=files)


def test_the_network_is_torchs() -> None:
    w = initial_weights(6, 0)
    net = nn.Sequential(nn.Linear(784, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 10))
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), w, strict=True):
            parameter.copy_(value.T if value.dim() == 2 else value)
    x = normal(5, 784)
    assert torch.allclose(logits(w, x), net(x), atol=1e-5)


def test_dropout_keeps_the_mean_and_drops_the_share() -> None:
    w = [torch.eye(784), torch.zeros(784), torch.eye(784), torch.zeros(784), torch.eye(784), torch.zeros(784)]
    z = logits(w, torch.ones(200, 784), (0.2, 0.5), torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(1, abs=0.05)
    # One in five inputs, and half of the units of either layer, are gone.
    assert (z != 0).float().mean().item() == pytest.approx(0.8 * 0.5 * 0.5, abs=0.01)


def test_soft_part_is_equation_1_and_its_gradient_hardly_depends_on_the_temperature() -> None:
    z, v, labels = normal(3, 10, seed=1), normal(3, 10, seed=2), torch.tensor([0, 1, 2])
    T = 20.0
    p, q = np.exp(z.double().numpy() / T), np.exp(v.double().numpy() / T)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    soft = torch.from_numpy(q).float()
    expected = -(T**2) * (q * np.log(p)).sum(1).mean()
    assert distillation_loss(z, soft, labels, T, 0.0).item() == pytest.approx(expected, rel=1e-5)
    # Section 2, equations 3 and 4: T² times the gradient tends to (zᵢ − vᵢ) / N for logits of mean 0.
    centred, target = z - z.mean(1, keepdim=True), v - v.mean(1, keepdim=True)
    leaf = centred.double().requires_grad_()
    distillation_loss(leaf, (target.double() / 1e3).softmax(1), labels, 1e3, 0.0).backward()
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad, (centred - target).double() / 10 / 3, atol=1e-4)


def test_labels_enter_with_their_weight() -> None:
    z, soft, labels = normal(4, 10), normal(4, 10, seed=1).softmax(1), torch.tensor([1, 2, 3, 4])
    both = distillation_loss(z, soft, labels, 2.0, 0.5) - distillation_loss(z, soft, labels, 2.0, 0.0)
    assert both.item() == pytest.approx(0.5 * nn.functional.cross_entropy(z, labels).item(), rel=1e-5)


def test_images_are_shifted_by_whole_pixels() -> None:
    images = torch.rand(3, 28, 28, generator=torch.Generator().manual_seed(0)) + 1
    moved = shifted(images, torch.tensor([[0, 0], [2, -1], [-2, 2]]), 2)
    assert torch.equal(moved[0], images[0])
    assert torch.equal(moved[1, 2:, :27], images[1, :26, 1:])
    assert moved[1, :2].sum() == moved[1, :, 27].sum() == 0
    assert torch.equal(moved[2, :26, 2:], images[2, 2:, :26])


def test_norms_of_hidden_units_are_bounded() -> None:
    w = [
        3 * normal(5, 4),
        torch.ones(4),
        0.01 * normal(4, 4, seed=1),
        torch.ones(4),
        9 * normal(4, 10, seed=2),
        torch.ones(10),
    ]
    before = [each.clone() for each in w]
    bound_norms(w, 1.0)
    assert torch.allclose(w[0].norm(dim=0), torch.ones(4))
    assert torch.allclose(w[0][:, 0] / w[0][0, 0], before[0][:, 0] / before[0][0, 0])
    assert all(torch.equal(w[i], before[i]) for i in (1, 2, 3, 4, 5))


def test_soft_targets_change_places_within_a_label() -> None:
    labels = torch.randint(0, 10, (200,), generator=torch.Generator().manual_seed(0))
    swapped = swapped_within_classes(labels, 0)
    assert swapped.sort().values.tolist() == list(range(200))
    assert torch.equal(labels[swapped], labels)
    assert (swapped == torch.arange(200)).float().mean() < 0.2


def test_training_is_torchs_sgd_and_covers_every_image_in_an_epoch() -> None:
    seen: list[torch.Tensor] = []
    config = Config(batch=4, momentum=0.9)

    def loss(w: list[torch.Tensor], places: torch.Tensor) -> torch.Tensor:
        seen.append(places)
        return (w[0] ** 2).sum() / 2

    (w,) = train([torch.tensor([1.0])], 8, 4, loss, config, 0.1, (0,))
    value, speed = 1.0, 0.0
    for step in range(4):
        speed = 0.9 * speed + value
        value -= 0.1 * (1 - step / 4) * speed
    assert w.item() == pytest.approx(value, rel=1e-5)
    assert torch.cat(seen[:2]).sort().values.tolist() == list(range(8))


def test_errors_and_the_best_offset() -> None:
    z = torch.zeros(4, 10)
    z[:, 0] = torch.tensor([1.0, 1.0, 1.0, 5.0])
    z[1, 3] = z[2, 3] = 0.55
    labels = torch.tensor([0, 3, 3, 0])
    assert errors(z, labels) == (2, 2)
    raised = best_offset(z, labels, (3,), 1.0)
    assert 0.45 < raised[3] < 1.0
    assert raised.count_nonzero() == 1
    assert errors(z, labels, raised) == (0, 0)
    lowered = best_offset(torch.eye(10)[[7, 7]] + 0.5 * torch.eye(10)[[2, 2]], torch.tensor([2, 2]), (7, 8), -1.0)
    assert lowered[7] == lowered[8] == pytest.approx(-0.5)  # a tie goes to the first class


TINY = Config(
    teacher_width=40,
    student_width=24,
    images=300,
    test_images=100,
    teacher_epochs=40,
    student_epochs=40,
    batch=50,
    jitter=1,
    dropout=(0.0, 0.2),
    teacher_lr=0.03,
    student_lr=0.03,
)


def test_a_student_learns_of_a_digit_that_it_never_saw(context: Context) -> None:
    row = run(TINY, context)
    assert {*STUDENTS, "teacher", "no_3_raised", "hard_7_8_offset", "flops"} <= row.keys()
    assert row["teacher"] <= 500
    assert row["distilled"] <= 500
    assert row["no_3_raised"] <= 500
    # The control: labels of the other digits push the output of a 3 far down.
    assert row["hard_no_3_on_3s"] == 1000
    assert row["no_3_offset"] < row["hard_no_3_offset"] / 2


def test_a_trial_is_its_seeds(context: Context) -> None:
    short = replace(TINY, teacher_epochs=1, student_epochs=1)
    assert run(short, context) == run(short, context)
    assert run(short, context) != run(replace(short, seed=1), context)


def test_cost_counts_every_student() -> None:
    config = Config(teacher_epochs=2, student_epochs=1, images=1000)
    teacher, student = 784 * 1200 + 1200**2 + 12000, 784 * 800 + 800**2 + 8000
    assert cost(config) == pytest.approx(6 * 1000 * (2 * teacher + 5.2 * student))


def records(table: list[tuple[float, float, float]]) -> list[Any]:
    names = ("teacher", "alone", "distilled")
    return [SimpleNamespace(replicate=r, rows=(dict(zip(names, row, strict=True)),)) for r, row in enumerate(table)]


def test_recovered_gap_is_the_ratio_of_means() -> None:
    table = [(67.0, 146.0, 74.0), (60.0, 150.0, 80.0), (70.0, 140.0, 70.0)]
    found = recovered_gap(records(table), parts=("a", "b"))
    t, a, d = np.array(table).T
    g = (a - d).mean() / (a - t).mean()
    assert found["a"] == found["b"]
    assert found["a"].value == pytest.approx(g)
    # The jackknife is another way to the same error.
    left = [np.delete(a - d, i).mean() / np.delete(a - t, i).mean() for i in range(3)]
    assert found["a"].se == pytest.approx(math.sqrt(2 / 3 * ((np.array(left) - np.mean(left)) ** 2).sum()), rel=0.1)


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    found = recovered_gap(records([(140.0, 146.0, 74.0), (150.0, 144.0, 80.0), (145.0, 146.0, 70.0)]))["value"]
    assert found.value is None
    assert "not clearly better" in found.note
    with pytest.raises(EstimateError, match="measured no 'taught'"):
        recovered_gap(records([(1.0, 2.0, 3.0)]), distilled="taught")


def test_printed_errors() -> None:
    row = published_errors.run(published_errors.Config(), Context())
    assert row["recovered_gap"] == pytest.approx(72 / 79)
    assert row["threes_right"] == pytest.approx(98.6139, abs=1e-4)
    assert (row["teacher_error"], row["alone_error"], row["distilled_error"]) == pytest.approx((0.67, 1.46, 0.74))
