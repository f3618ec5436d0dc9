"""GPTQ against brute force and plain optimal brain quantization; the quantized model against the model; the printed tables."""

import itertools
import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from experiments.quantization import gptq_layer, published_tables, trained_model
from experiments.quantization.absmax import vector_wise
from experiments.quantization.gptq_layer import Config as LayerConfig
from experiments.quantization.optimal_brain import Grid, gptq, grid_of, layer_error, optimal_brain_in_order
from experiments.quantization.published_tables_estimators import of_table
from experiments.quantization.quantized_gpt import (
    exact,
    held_out_loss,
    largest_inputs,
    quantized,
    with_outliers,
    with_product,
)
from experiments.quantization.trained_model import Config, cost, run, shape_of, steps_of
from experiments.quantization.trained_model_estimators import column_differences, worst_columns
from repro.lab.gpt import GPT, GPTShape, initial_weights
from repro.lab.tokens import Tokens, held_out
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from repro.schema.trial import Machine, TrialRecord

SMALL = LayerConfig(d_row=32, d_col=64, samples=256, block=16, seed=1000)
TINY = Config(
    n_layer=2,
    d_model=16,
    d_head=8,
    context=16,
    tokens=4096.0,
    batch=8,
    eval_tokens=1024,
    calibration=16,
    block=8,
    seed=1000,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def correlated(d: int, n: int, seed: int = 0) -> Tensor:
    return normal(d, d, seed=seed) @ normal(d, n, seed=seed + 1)


def hessian(x: Tensor) -> Tensor:
    return 2 * x @ x.T


def test_grid_of_literals() -> None:
    grid = grid_of(torch.tensor([[-1.0, 0.0, 2.0], [1.0, 2.0, 3.0]]), bits=2)
    assert grid.scale.flatten().tolist() == [1.0, 1.0]
    assert grid.zero.flatten().tolist() == [1.0, 0.0]  # the second row's grid reaches down to zero
    w = torch.tensor([[-5.0, 0.4, 1.6], [-1.0, 2.4, 9.0]])
    assert grid.nearest(w).tolist() == [[-1.0, 0.0, 2.0], [0.0, 2.0, 3.0]]


def test_a_grid_has_as_many_values_as_bits_allow() -> None:
    w = normal(1, 5000)
    assert len(grid_of(w, 3).nearest(w).unique()) == 8
    assert torch.isfinite(grid_of(torch.zeros(2, 3), 4).nearest(torch.zeros(2, 3))).all()


def test_layer_error_is_equation_1() -> None:
    w, q, x = normal(3, 4), normal(3, 4, seed=1), normal(4, 9, seed=2)
    assert layer_error(w, q, hessian(x)).item() == pytest.approx(((w @ x - q @ x) ** 2).sum().item())


@pytest.mark.parametrize("block", [1, 5, 16, 1000])
@pytest.mark.parametrize("damping", [0.01, 0.3])
def test_algorithm_1_is_optimal_brain_quantization_in_order(block: int, damping: float) -> None:
    w, h = normal(20, 37, seed=3), hessian(correlated(37, 100, seed=4))
    grid = grid_of(w, 3)
    slow = optimal_brain_in_order(w, h, grid, damping)
    assert torch.allclose(gptq(w, h, grid, block, damping), slow, rtol=0, atol=1e-9)
    assert not torch.allclose(slow, grid.nearest(w))


def test_each_step_solves_least_squares_over_the_columns_that_are_left() -> None:
    """After a column is fixed, the others move to where the output error is least: torch's own solver agrees."""
    w, x = normal(1, 4, seed=5), correlated(4, 30, seed=6)
    coarse = Grid(torch.tensor([[0.7]], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64), 0)  # all is zero
    fixed = torch.zeros(1, 4, dtype=torch.float64)
    residual = (w - fixed)[:, :1] @ x[:1]  # what fixing the first column at zero takes from the output
    expected = w[:, 1:] + torch.linalg.lstsq(x[1:].T, residual.T).solution.T
    seen: list[Tensor] = []

    class Watched(Grid):
        def nearest(self, column: Tensor) -> Tensor:
            seen.append(column.clone())
            return torch.zeros_like(column)

    gptq(w, hessian(x), Watched(coarse.scale, coarse.zero, 0), block=4, damping=0.0)
    assert seen[0].item() == w[0, 0]
    assert seen[1].item() == pytest.approx(expected[0, 0].item())


def test_between_the_best_of_all_roundings_and_round_to_nearest() -> None:
    w, x = normal(40, 4, seed=7), correlated(4, 50, seed=8)
    h, grid = hessian(x), grid_of(w, 2)
    values = torch.tensor(list(itertools.product(range(4), repeat=4)), dtype=torch.float64)
    candidates = grid.scale[..., None] * (values - grid.zero[..., None])  # [rows, 4⁴, 4]
    d = w[:, None] - candidates
    best = torch.einsum("rcj,jk,rck->rc", d, h, d).amin(1).sum() / 2
    q = gptq(w, h, grid)
    assert best < layer_error(w, q, h) < layer_error(w, grid.nearest(w), h)
    of_row = torch.einsum("rj,jk,rk->r", w - q, h, w - q) / 2
    assert (of_row >= torch.einsum("rcj,jk,rck->rc", d, h, d).amin(1) / 2 - 1e-9).all()


def test_a_hessian_that_is_not_positive_definite_gives_no_number() -> None:
    w = normal(2, 3)
    h = torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    assert gptq(w, h, grid_of(w, 3), damping=0.0).isnan().any()


def test_a_diagonal_hessian_is_round_to_nearest() -> None:
    w, grid_bits = normal(8, 12, seed=9), 3
    h = torch.diag(normal(12, seed=10).exp())
    assert torch.equal(gptq(w, h, grid_of(w, grid_bits)), grid_of(w, grid_bits).nearest(w))


def test_layer_study_and_its_controls() -> None:
    main = gptq_layer.run(SMALL, Context())
    assert max(main["four_bits"], main["three_bits"]) < 0.5
    assert (main["lazy_differs"], main["optimal_brain_differs"]) == (0.0, 0.0)
    flat = gptq_layer.run(replace(SMALL, inputs="orthogonal"), Context())
    assert (flat["four_bits"], flat["three_bits"]) == pytest.approx((1.0, 1.0), abs=1e-9)
    elsewhere = gptq_layer.run(replace(SMALL, hessian="shuffled"), Context())
    assert min(elsewhere["four_bits"], elsewhere["three_bits"]) > 1
    other = gptq_layer.run(replace(SMALL, reference_order="reversed"), Context())
    assert min(other["lazy_differs"], other["optimal_brain_differs"]) > 100


@pytest.mark.parametrize("field", ["inputs", "hessian"])
def test_unknown_words_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be"):
        gptq_layer.run(replace(SMALL, **{field: "other"}), Context())


def test_inputs_are_as_correlated_as_asked() -> None:
    _, x = gptq_layer.draw(replace(SMALL, samples=20_000))
    found = torch.corrcoef(x)
    assert found[10, 11].item() == pytest.approx(0.9, abs=0.02)
    assert found[10, 13].item() == pytest.approx(0.729, abs=0.03)


# The trained model.


@cache
def model() -> tuple[GPT, dict[str, Tensor], Tensor]:
    shape = GPTShape(n_layer=2, d_model=16, d_head=8, context=16, vocabulary=256)
    made = GPT(shape, initial_weights(shape, [3])).requires_grad_(False)
    tokens = torch.randint(256, (400,), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return made, {name: weight[0] for name, weight in made.weights().items()}, tokens


def loss_of(w: dict[str, Tensor], multiply: object = None) -> float:
    made, _, tokens = model()
    return held_out_loss(made, w, multiply or exact(w), tokens, limit=400, batch=3)  # type: ignore[arg-type]


def calibration_tokens() -> Tensor:
    return model()[2][:384].view(24, 16).long()


def test_the_exchangeable_forward_pass_is_the_models() -> None:
    made, w, tokens = model()
    batches = list(held_out(tokens, batch=3, context=16, limit=400))
    losses = [(made(i[None], t[None]).item() * t.numel(), t.numel()) for i, t in batches]
    assert loss_of(w) == pytest.approx(sum(a for a, _ in losses) / sum(b for _, b in losses), abs=1e-6)


def test_every_matrix_is_quantized_and_nothing_else() -> None:
    made, w, _ = model()
    seen: list[str] = []

    def halve(name: str, matrix: Tensor, h: Tensor) -> Tensor:
        seen.append(name)
        assert matrix.shape[1] == len(h)
        return matrix / 2

    halved = quantized(made, w, calibration_tokens(), halve)
    assert seen == [f"{layer}.{name}" for layer in (0, 1) for name in ("query_key_value", "output", "up", "down")]
    assert all(torch.equal(halved[name], w[name] / 2) for name in seen)
    assert all(torch.equal(halved[name], w[name]) for name in set(w) - set(seen))


def test_later_blocks_see_the_inputs_that_quantized_ones_leave() -> None:
    made, w, _ = model()
    given: dict[str, list[Tensor]] = {"zero": [], "same": []}
    for key, factor in (("zero", 0.0), ("same", 1.0)):

        def keep(name: str, matrix: Tensor, h: Tensor, key: str = key, factor: float = factor) -> Tensor:
            given[key].append(h)
            return matrix * factor

        quantized(made, w, calibration_tokens(), keep)
    assert all(torch.equal(a, b) for a, b in zip(given["zero"][:4], given["same"][:4], strict=True))
    assert not torch.allclose(given["zero"][4], given["same"][4])


def test_planting_keeps_the_function_and_reaches_the_magnitude() -> None:
    made, w, _ = model()
    largest, over = largest_inputs(made, w, calibration_tokens(), 6.0)
    assert over == 0
    planted = with_outliers(w, largest, torch.tensor([5]), 60.0)
    again, over = largest_inputs(made, planted, calibration_tokens(), 6.0)
    assert over == 1
    for name in ("0.query_key_value", "0.up", "1.query_key_value", "1.up"):
        assert again[name][5].item() == pytest.approx(60.0, rel=1e-4)
        assert torch.allclose(again[name][:5], largest[name][:5], rtol=1e-3)
    assert loss_of(planted) == pytest.approx(loss_of(w), abs=1e-5)
    assert torch.equal(w["0.up"], model()[1]["0.up"])


def test_eight_bit_products_are_close_to_the_model() -> None:
    _, w, _ = model()
    found = loss_of(w, with_product(w, vector_wise))
    assert found != loss_of(w)
    assert found == pytest.approx(loss_of(w), abs=0.02)


@pytest.fixture
def short_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mostly the letters a to d, so that a few steps learn something."""

    def load(source: str, vocabulary: int, data: object) -> Tokens:
        draw = torch.Generator().manual_seed(0)
        sides = ((97 + torch.randn(size, generator=draw).abs()).to(torch.uint8) for size in (8000, 2000))
        return Tokens(*sides, vocabulary, 1.0, "ab" * 32)

    monkeypatch.setattr(trained_model, "load_tokens", load)


@pytest.mark.usefixtures("short_text")
def test_one_trial_measures_what_the_claims_read() -> None:
    row = run(TINY, Context())
    assert all(math.isfinite(value) for value in row.values())
    assert row["planted"] == pytest.approx(row["loss"], abs=1e-4)
    assert row["loss"] < math.log(256)
    for bits in (3, 4):
        assert row[f"layer_mean_{bits}"] <= row[f"layer_{bits}"] < 1 < row[f"layer_shuffled_{bits}"]
    assert row == run(TINY, Context())
    assert row["loss"] != run(replace(TINY, seed=1001), Context())["loss"]


@pytest.mark.usefixtures("short_text")
def test_a_model_that_diverged_gives_no_number() -> None:
    row = run(replace(TINY, lr=math.nan, tokens=256.0), Context())
    assert all(math.isnan(row[name]) for name in ("loss", "rounded_4", "gptq_3", "layer_4", "planted_mixed", "mixed"))


def test_cost_counts_training_and_evaluations() -> None:
    matrices = shape_of(TINY).matrix_parameters
    assert matrices == 12 * 2 * 16**2 + 256 * 16
    assert steps_of(TINY) == 32
    assert cost(TINY) == matrices * (6 * 4096 + 26 * 1024)


# Estimators.


def trials(rows: list[dict[str, float]]) -> list[TrialRecord]:
    machine = Machine("f", "p", 1, 1.0, "cpu", "s", "3", "2", 1)
    return [
        TrialRecord(
            key=f"{i:040x}", study="s", recipe="r", config={"seed": i}, replicate=i, sources="", device="cpu",
            precision="float32", measures="value", label="", status="finished", rows=(row,), curves={}, data={}, seals=(),
            started="", seconds=1.0, machine=machine, process=str(i),
        )
        for i, row in enumerate(rows)
    ]  # fmt: skip


def test_columns_are_paired_by_seed() -> None:
    records = trials([{"a": 1.0, "b": 1.5}, {"a": 2.0, "b": 2.25}, {"a": 3.0, "b": 3.75}])
    found = column_differences(records, better={"x": "a", "y": "b"}, worse={"x": "b", "y": "a"})
    assert found["x"].units == (0.5, 0.25, 0.75)
    assert found["x"].value == 0.5
    assert (found["y"].value, found["x"].dof, found["x"].n) == (-0.5, 2, 3)


def test_a_diverged_seed_is_a_datum() -> None:
    records = trials([{"a": 1.0, "b": 1.5}, {"a": 1.0, "b": math.nan}])
    assert column_differences(records, better={"x": "a"}, worse={"x": "b"})["x"].flags == ("ranked",)
    crashed = replace(records[0], status="diverged", rows=(), replicate=7)
    assert column_differences([*records, crashed], better={"x": "a"}, worse={"x": "b"})["x"].n == 3


def test_unknown_columns_and_uneven_parts_are_refused() -> None:
    records = trials([{"a": 1.0, "b": 1.5}])
    with pytest.raises(EstimateError, match="measured no 'c'"):
        column_differences(records, better={"x": "a"}, worse={"x": "c"})
    with pytest.raises(EstimateError, match="same parts"):
        column_differences(records, better={"x": "a"}, worse={"y": "b"})


def test_worst_columns_are_named_by_part() -> None:
    found = worst_columns(trials([{"a": 1.0}, {"a": 3.0}, {"a": 2.0}]), columns={"x": "a", "y": "a"})
    assert [found[part].value for part in ("x", "y")] == [3.0, 3.0]


# The printed tables.


def printed(table: str, **changed: object) -> list[TrialRecord]:
    config = published_tables.Config(table=table, **changed)  # type: ignore[arg-type]
    rows = tuple(published_tables.run(config, Context()))
    return [replace(record, rows=rows, config={}) for record in trials([{}, {}])]


def test_relative_losses_of_the_printed_perplexities() -> None:
    rows = published_tables.run(published_tables.Config(table="gptq"), Context())
    assert [row["size"] for row in rows] == [125e6, 350e6, 1.3e9, 2.7e9, 6.7e9, 13e9, 30e9, 66e9, 175e9]
    assert rows[-1]["loss_gptq_4"] == pytest.approx(math.log(8.37 / 8.34))
    without = published_tables.run(published_tables.Config(table="gptq", without=(66e9,)), Context())
    assert without == [row for row in rows if row["size"] != 66e9]
    with pytest.raises(ValueError, match="llm_int8, gptq"):
        published_tables.run(published_tables.Config(table="other"), Context())


def test_statements_about_the_printed_tables_by_hand() -> None:
    found = of_table(
        printed("llm_int8"),
        below={"best": {"lower": "llm_int8", "upper": "absmax"}, "finer": {"lower": "vector_wise", "upper": "absmax"}},
        last_step={"up": "absmax"},
        largest={"near": "size_of_loss_llm_int8"},
        trends={"falls": {"y": "full", "direction": "decreasing"}},
        resolution=0.01,
    )
    assert found["best"].value == pytest.approx(math.log(16.55 / 15.93))
    assert found["finer"].value == pytest.approx(math.log(16.55 / 16.82))
    assert found["up"].value == pytest.approx(math.log(19.08 / 14.59))
    assert found["near"].value == pytest.approx(math.log(25.83 / 25.65))
    assert found["falls"].value == pytest.approx(0.85)
    assert all(estimate.deterministic and not estimate.flags for estimate in found.values())


def test_one_step_of_opt_goes_the_other_way_without_66b() -> None:
    found = of_table(printed("gptq", without=(66e9,)), trends={"x": {"y": "loss_gptq_4", "direction": "decreasing"}})
    assert found["x"].value == pytest.approx(math.log(12.87 / 12.47) - math.log(11.39 / 10.86))
    assert found["x"].extras["trend_reversals"] == 1
    general = of_table(printed("gptq"), general={"x": {"y": "loss_gptq_3", "direction": "decreasing"}})["x"]
    assert general.value == pytest.approx(24 / 36)  # 6 of 36 pairs go the other way
    assert general.extras["trend_p"] < 0.01
