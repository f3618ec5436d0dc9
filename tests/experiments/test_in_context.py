import math

import numpy as np
import pytest
import torch

from experiments.language_models import in_context_regression as icl
from experiments.language_models import loss_by_position as position
from repro.lab.gpt import GPT, initial_weights
from repro.schema.context import Context

TINY = icl.Config(d=2, n_layer=1, d_model=16, n_head=2, steps=3, batch=8, test_prompts=64)
TINY_TEXT = position.Config(n_layer=1, d_model=16, d_head=8, window=16, steps=3, batch=4, test_windows=32)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_answers_of_one_prompt_come_from_one_function() -> None:
    x, y = icl.prompts(5, 3, torch.Generator().manual_seed(0))
    w = np.linalg.lstsq(x[0, :3].double().numpy(), y[0, :3].double().numpy(), rcond=None)[0]
    assert x[0].double().numpy() @ w == pytest.approx(y[0].double().numpy(), abs=1e-4)


def test_with_a_function_of_its_own_an_example_tells_nothing_of_the_next() -> None:
    x, y = icl.prompts(5000, 3, torch.Generator().manual_seed(0), new_function=True)
    assert icl.normalized_error(icl.least_squares(x, y), y, 3)[2] > 1
    assert y.var().item() == pytest.approx(3, abs=0.1)


def test_least_squares_is_numpys_and_exact_from_d_examples_on() -> None:
    x, y = icl.prompts(50, 3, torch.Generator().manual_seed(1))
    predicted = icl.least_squares(x, y)
    for k in range(1, 7):
        fit = np.linalg.lstsq(x[7, :k].double().numpy(), y[7, :k].double().numpy(), rcond=None)[0]
        assert predicted[7, k].item() == pytest.approx(float(x[7, k].double().numpy() @ fit), abs=1e-6)
    assert (predicted[:, 3:] - y[:, 3:]).abs().max().item() < 1e-2
    assert predicted[:, 0].abs().max().item() == 0


def test_the_errors_of_least_squares_and_averaging_are_those_of_theory() -> None:
    """Least squares misses the directions unseen, 1 − k/d; averaging has error (d + 1)/k."""
    d = 4
    x, y = icl.prompts(40_000, d, torch.Generator().manual_seed(2))
    least = icl.normalized_error(icl.least_squares(x, y), y, d)
    average = icl.normalized_error(icl.averaging(x, y), y, d)
    for k in range(2 * d + 1):
        assert least[k] == pytest.approx(max(0.0, 1 - k / d), abs=0.03)
        assert average[k] == pytest.approx((d + 1) / k if k else 1.0, rel=0.06)


def test_averaging_is_the_sum_written_out() -> None:
    x, y = normal(2, 5, 3), normal(2, 5, seed=1)
    w = (y[1, 0] * x[1, 0] + y[1, 1] * x[1, 1] + y[1, 2] * x[1, 2]) / 3
    assert icl.averaging(x, y)[1, 3].item() == pytest.approx(float(w @ x[1, 3]), rel=1e-5)


def test_an_answer_hangs_on_the_pairs_before_it_and_on_no_answer_after() -> None:
    torch.manual_seed(0)
    model, x, y = icl.InContextModel(TINY).eval(), normal(3, 5, 2), normal(3, 5, seed=1)
    later, earlier = y.clone(), y.clone()
    later[:, 3:] += 1
    earlier[:, 2] += 1
    assert torch.allclose(model(x, y)[:, :4], model(x, later)[:, :4], atol=1e-6)
    assert not torch.allclose(model(x, y)[:, 3], model(x, earlier)[:, 3], atol=1e-4)


def test_a_slope_is_numpys() -> None:
    errors = [1.0, 0.7, 0.5, 0.1, 0.2]
    assert icl.slope(errors) == pytest.approx(np.polyfit(range(5), errors, 1)[0])


def test_in_context_regression_runs_at_its_smallest_and_again_alike() -> None:
    row = icl.run(TINY, Context())
    assert row == icl.run(TINY, Context())
    assert row["at_d"] == row["error_2"]
    assert row["at_2d"] == row["error_4"]
    assert row["least_squares_2"] < 1e-6
    assert row["flops"] == icl.cost(TINY) > 0


@pytest.mark.slow
def test_a_trained_model_learns_from_examples_and_is_misled_by_unrelated_ones() -> None:
    row = icl.run(icl.Config(d=1, n_layer=1, d_model=32, n_head=2, steps=600, lr=3e-3, seed=1000), Context())
    assert row["slope"] < -0.2
    assert row["slope_new_function"] > -0.05


def test_the_loss_at_a_length_is_the_cross_entropy_given_so_many_bytes() -> None:
    shape = position.shape_of(TINY_TEXT)
    model = GPT(shape, initial_weights(shape, [0]))
    windows = torch.randint(256, (5, 17), generator=torch.Generator().manual_seed(0))
    losses = position.losses_by_length(model, windows, [1, 4, 16])
    for T, loss in zip((1, 4, 16), losses, strict=True):
        chances = model(windows[None, :, 16 - T : 16])[0, :, -1].detach().softmax(-1)
        expected = -sum(math.log(chances[b, windows[b, 16]]) for b in range(5)) / 5
        assert loss == pytest.approx(expected, rel=1e-5)


def test_the_context_of_another_place_leaves_the_last_two_bytes() -> None:
    windows = torch.arange(12).reshape(3, 4)
    assert position.elsewhere(windows).tolist() == [[8, 9, 2, 3], [0, 1, 6, 7], [4, 5, 10, 11]]


def test_the_slope_is_that_of_a_logarithm() -> None:
    assert position.slope([3 - 0.25 * i for i in range(8)]) == pytest.approx(-0.25)
    noisy = normal(6).double()
    assert position.slope(noisy.tolist()) == pytest.approx(np.polyfit(range(6), noisy.numpy(), 1)[0])


def test_loss_by_position_runs_at_its_smallest_and_again_alike() -> None:
    row = position.run(TINY_TEXT, Context())
    assert row == position.run(TINY_TEXT, Context())
    assert set(row) == {"slope", "slope_late", "slope_elsewhere", "slope_late_elsewhere", "flops"} | {
        f"loss_{T}" for T in (1, 2, 4, 8, 16)
    }
    assert row["slope_late"] == pytest.approx((row["loss_16"] - row["loss_4"]) / 2)
    assert row["flops"] == position.cost(TINY_TEXT) > 0
