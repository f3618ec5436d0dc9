"""The recipe of all trained scaling laws: how its IsoFLOP studies lay out and count, that it trains, and that every scale can be built."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch

from experiments.scaling_laws import language_model
from experiments.scaling_laws.language_model import (
    Config,
    cost,
    flops_per_token,
    run,
    run_batch,
    schedule_of,
    shape_of,
    stack_of,
)
from experiments.scaling_laws.layouts import isoflop, scout
from repro.catalog.load import config_files, load_claim, load_scale, load_study
from repro.lab.flops import forward_flops, training_flops
from repro.lab.gpt import GPT, GPTShape
from repro.lab.tokens import Tokens
from repro.launch.planning.layout import lay_out
from repro.launch.running.trials import config_of
from repro.schema.context import Context
from repro.schema.errors import DataError

RECIPE = "experiments.scaling_laws.language_model"
QUICK = Config(budget=1.5e9, n_layer=1, d_model=16, min_steps=60, batch_tokens=640.0, eval_tokens=8192)
LAYOUT = Config(budgets=(1e9, 4e9), widths=(8, 16, 24), depths=(1, 2, 2), first_size=(0, 1), sizes=2, runs=(2, 1))
STUDIES = sorted(name for name in config_files("study") if load_study(name).recipe == RECIPE)
SCALES = [(study, scale) for study in STUDIES for scale in load_study(study).scales]


@cache
def configs_of(study: str, scale: str) -> tuple[Config, ...]:
    return tuple(config_of(language_model, spec) for spec in lay_out(load_study(study), load_scale(scale), [0]))


@cache
def keys_of(study: str, scale: str) -> frozenset[str]:
    return frozenset(spec.key for spec in lay_out(load_study(study), load_scale(scale), [0]))


@pytest.fixture(scope="module")
def trained() -> dict[str, float]:
    return run(QUICK, Context())


@pytest.fixture
def random_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text without meaning, of whatever vocabulary, so that no study needs its data here."""

    def load(source: str, vocabulary: int, data: object) -> Tokens:
        draw = torch.Generator().manual_seed(0)
        sides = (torch.randint(vocabulary, (size,), generator=draw, dtype=torch.int16) for size in (20_000, 600))
        return Tokens(*sides, vocabulary, 1.0, "00" * 32, entropy_rate=1.0 if "synthetic" in source else math.nan)

    monkeypatch.setattr(language_model, "load_tokens", load)


def test_the_studies_are_those_that_the_recipe_names() -> None:
    assert {"isoflop", "isoflop_code", "known_entropy", "counting"} <= {name.split("/")[1] for name in STUDIES}
    named = " ".join(str(language_model.__doc__).split())
    assert [name for name in STUDIES if name.split("/")[1] not in named] == []


def test_layout_on_literals() -> None:
    cells = [(cell["budget"], cell["d_model"], cell["n_layer"], cell["run"]) for cell in isoflop(LAYOUT)]
    assert cells == [
        (1e9, 8, 1, 0),
        (1e9, 8, 1, 1),
        (1e9, 16, 2, 0),
        (1e9, 16, 2, 1),
        (4e9, 16, 2, 0),
        (4e9, 24, 2, 0),
    ]
    assert len(isoflop(replace(LAYOUT, max_budgets=1, max_runs=1))) == 2


def test_smaller_sizes_are_added_as_far_as_the_ladder_goes() -> None:
    cells = isoflop(replace(LAYOUT, smaller=2, max_runs=1))
    assert [(cell["budget"], cell["d_model"]) for cell in cells] == [
        (1e9, 8),
        (1e9, 16),
        (4e9, 8),
        (4e9, 16),
        (4e9, 24),
    ]


def test_every_text_has_the_whole_layout() -> None:
    both = isoflop(replace(LAYOUT, sources=("books", "code")))
    assert [cell["source"] for cell in both] == ["books"] * 6 + ["code"] * 6
    alone = {replace(LAYOUT, **cell) for cell in isoflop(replace(LAYOUT, source="code"))}
    assert alone < {replace(LAYOUT, **cell) for cell in both}


def test_scout_runs_reach_beyond_the_grid_and_sweep_the_rate() -> None:
    layout = replace(
        LAYOUT, widths=tuple(range(8, 80, 8)), depths=(2,) * 9, first_size=(1, 2), sizes=5, lr=0.02, evaluations=4
    )
    cells = scout(layout)
    widths = {budget: sorted({c["d_model"] for c in cells if c["budget"] == budget}) for budget in layout.budgets}
    # Rungs -1, 1, 3, 5, 7 of 0 to 8, then 0, 2, 4, 6, 8.
    assert widths == {1e9: [16, 32, 48, 64], 4e9: [8, 24, 40, 56, 72]}
    rates = {c["d_model"]: [] for c in cells if c["budget"] == 1e9}
    for cell in cells:
        if cell["budget"] == 1e9:
            rates[cell["d_model"]].append(cell["lr"])
    assert rates == {16: [0.01, 0.02, 0.04], 32: [0.01, 0.02, 0.04], 48: [0.01, 0.02, 0.04], 64: [0.02]}
    assert {c["lr"] for c in cells if c["budget"] == 4e9} == {0.02}
    assert {(c["seed"], c["evaluations"]) for c in cells} == {(1000, 1)}
    assert all(stack_of(replace(layout, **cell)) for cell in cells)


def test_equal_runs_of_two_layouts_have_equal_configs() -> None:
    short = Config(budgets=(1e9,), first_size=(0,), runs=(1,), widths=(8,), depths=(1,), sizes=1)
    long = Config(budgets=(1e9, 4e9), first_size=(0, 0), runs=(1, 1), widths=(8, 16, 24), depths=(1, 1, 1), sizes=3)
    assert {replace(short, **cell) for cell in isoflop(short)} < {replace(long, **cell) for cell in isoflop(long)}


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
def test_one_set_of_runs_serves_several_studies(scale: str) -> None:
    """Prose of `isoflop_code` is trained by `isoflop`; `counting` at cpu is `isoflop`."""
    prose = {c for c in configs_of("scaling_laws/isoflop_code", scale) if c.source != "code"}
    shared = keys_of("scaling_laws/isoflop_code", scale) & keys_of("scaling_laws/isoflop", scale)
    assert len(shared) == len(prose) > 0
    assert keys_of("scaling_laws/counting", "cpu") == keys_of("scaling_laws/isoflop", "cpu")


@pytest.mark.parametrize("layout", [isoflop, scout])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_size": (0, 1, 2)}, "budgets, first_size and runs"),
        ({"depths": (1,)}, "widths and depths"),
        ({"first_size": (1, 2)}, "3 rungs, too few"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(layout: object, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout(replace(LAYOUT, **change))


@pytest.mark.parametrize(
    "config", [Config(n_layer=2, d_model=24), Config(n_layer=3, d_model=128, d_head=32, context=256)]
)
def test_flops_are_those_of_the_exact_count(config: Config) -> None:
    """The lab's exact count of a forward pass; causal, the head counted, the embedding a lookup, no softmax."""
    exact = forward_flops(
        n_layer=config.n_layer,
        d_model=config.d_model,
        d_ff=4 * config.d_model,
        n_head=config.d_model // config.d_head,
        d_head=config.d_head,
        vocabulary=256,
        length=config.context,
        embedding_product=False,
        logits=True,
        pairs="causal",
        softmax_per_score=0,
    )
    counted = flops_per_token(shape_of(config)) * config.context
    # The exact triangle has S(S + 1)/2 pairs, the recipe's S²/2.
    diagonal = 6 * config.n_layer * config.context * config.d_model
    assert counted + diagonal == training_flops(exact.total)


def test_schedule_on_literals() -> None:
    """At the reference rule: N = 20,088, D = 5e10/(6·19,968 + 6·2·64·24) = 361,690."""
    config = Config(budget=5e10, n_layer=2, d_model=24)
    schedule = schedule_of(config)
    wanted = 1065 * (20_088 / 2e4) ** (2 / 3)
    assert schedule.batch == math.floor(361_690 / 400 / 64) == 14
    assert schedule.steps == round(361_690 / (14 * 64)) == 404
    assert schedule.warmup == round(0.05 * 361_690 / (14 * 64)) == 20
    assert schedule.peak == pytest.approx(0.02 * (20_088 / 2e4) ** (-1 / 3) * math.sqrt(14 * 64 / wanted))


def test_a_small_model_warms_up_over_its_own_number_of_tokens() -> None:
    config = Config(budget=5e10, n_layer=2, d_model=8)
    schedule = schedule_of(config)
    assert schedule.warmup == round(3_624 / (schedule.batch * 64))
    assert schedule.batch == math.floor(1065 * (3_624 / 2e4) ** (2 / 3) / 64)
    long = schedule_of(replace(config, warmup_tokens=3000.0 * schedule.batch * 64))
    assert long.warmup == 3000


@pytest.mark.parametrize(("study", "scale"), SCALES)
def test_every_run_of_a_scale_spends_what_it_is_given(study: str, scale: str) -> None:
    for config in configs_of(study, scale):
        schedule = schedule_of(config)
        tokens = schedule.steps * schedule.batch * config.context
        assert tokens * flops_per_token(shape_of(config)) == pytest.approx(cost(config), rel=0.51 / schedule.steps)
        assert schedule.batch >= 1


@pytest.mark.parametrize(("study", "scale"), SCALES)
def test_every_model_of_a_scale_builds_without_memory_and_has_the_counted_weights(study: str, scale: str) -> None:
    shapes = {shape_of(config) for config in configs_of(study, scale)}
    for shape in shapes:
        model = meta_model(shape)
        assert model.rows.numel() == shape.parameters
        tokens = torch.zeros(1, 1, 8, dtype=torch.int64, device="meta")
        assert model(tokens).shape == (1, 1, 8, shape.vocabulary)


def meta_model(shape: GPTShape) -> GPT:
    with torch.device("meta"):
        return GPT(shape, torch.empty(1, shape.parameters))


@pytest.mark.parametrize("study", STUDIES)
def test_every_gpu_model_takes_two_shrunken_steps(study: str, random_text: None) -> None:
    seen: set[GPTShape] = set()
    for config in configs_of(study, "gpu"):
        if shape_of(config) in seen:
            continue
        seen.add(shape_of(config))
        tokens = 2.0 * 16 * (16 if config.unique_tokens else 1)
        small = replace(
            config, context=16, budget=0.0, tokens=tokens, min_steps=2, evaluations=1, compile=False, eval_tokens=16,
            unique_tokens=0.0,
        )  # fmt: skip
        row = run(replace(small, batch_tokens=tokens / 2, batch_exponent=0.0), Context(precision="bfloat16"))
        assert row["steps"] == 2
        assert math.isfinite(row["loss"])
    assert seen


def test_a_run_spends_its_budget_and_learns(trained: dict[str, float]) -> None:
    assert trained["flops"] == pytest.approx(QUICK.budget, rel=0.01)
    assert trained["flops"] / trained["tokens"] == flops_per_token(shape_of(QUICK))
    assert trained["params"] == 7_216
    assert trained["params_non_embedding"] == 7_216 - 256 * 16
    assert trained["steps"] * trained["batch_tokens"] == trained["tokens"]
    assert 0 < trained["epochs"] < 0.1
    # A uniform guess has ln 256 = 5.5 nats.
    assert 2.0 < trained["loss"] < 4.0
    assert trained["loss"] == trained["best_loss"] == trained["loss_per_byte"]
    assert trained["loss"] == pytest.approx(trained["train_loss"], abs=0.5)
    assert "entropy_rate" not in trained


def without_clock(row: dict[str, float]) -> dict[str, float]:
    clock = {"tokens_per_second", "model_flops_per_second", "mfu"}
    return {name: value for name, value in row.items() if name not in clock}


def test_the_same_seed_gives_the_same_run_and_another_another(trained: dict[str, float]) -> None:
    assert without_clock(run(QUICK, Context())) == without_clock(trained)
    others = [run(replace(QUICK, **change), Context()) for change in ({"seed": 1}, {"run": 1})]
    assert len({trained["loss"], *(row["loss"] for row in others)}) == 3


def test_a_stack_gives_what_its_runs_give_alone(trained: dict[str, float]) -> None:
    stacked = run_batch([QUICK, replace(QUICK, run=1, lr=0.01)], [Context(), Context()])
    assert stacked[0]["loss"] == pytest.approx(trained["loss"], abs=1e-5)
    assert stacked[0]["stacked"] == 2
    assert stacked[1]["lr"] == trained["lr"] / 2
    with pytest.raises(ValueError, match="of one shape"):
        run_batch([QUICK, replace(QUICK, d_model=8)], [Context(), Context()])


def test_a_run_reports_curves_and_progress() -> None:
    points: list[tuple[str, int, float]] = []
    progress: list[float] = []
    context = Context(on_curve=lambda *point: points.append(point), on_progress=progress.append)
    config = replace(QUICK, budget=5e8, min_steps=20, evaluations=4)
    row = run(config, context)
    losses = [value for name, _, value in points if name == "train_loss"]
    rates = [value for name, _, value in points if name == "lr"]
    held_out = [(step, value) for name, step, value in points if name == "loss"]
    steps = schedule_of(config).steps
    assert losses[-1] < losses[0]
    assert rates[-1] == pytest.approx(0.1 * schedule_of(config).peak)
    assert [step for step, _ in held_out] == [math.ceil(steps * k / 4) for k in (1, 2, 3, 4)]
    assert held_out[-1][1] == row["loss"]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_a_run_that_diverges_says_so_and_stops() -> None:
    points: list[int] = []
    context = Context(on_curve=lambda name, step, value: points.append(step))
    row = run(replace(QUICK, lr=1e30, clip=1e30), context)
    assert math.isnan(row["loss"])
    assert max(points) < row["steps"]


def test_text_of_known_entropy_says_so(random_text: None) -> None:
    assert run(replace(QUICK, source="synthetic", budget=1e8, min_steps=5), Context())["entropy_rate"] == 1.0


CONTROLLED = [
    "isoflop_params_exponent",
    "isoflop_data_exponent",
    "envelope_params_exponent",
    "envelope_data_exponent",
    "trained_law_exponents",
    "tokens_per_parameter_trend",
]


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
def test_the_untuned_control_has_one_rate_and_reaches_further_down(scale: str) -> None:
    controls = [load_claim(f"chinchilla/{name}").protocols["retrain"].controls["untuned"].params for name in CONTROLLED]
    assert all(params == controls[0] for params in controls), "equal controls are trained once"
    specs = lay_out(load_study("scaling_laws/isoflop"), load_scale(scale), [0], control=controls[0])
    untuned = [config_of(language_model, spec) for spec in specs]
    tuned = [c for c in configs_of("scaling_laws/isoflop", scale) if c.budget <= max(c.budget for c in untuned)]
    by_arm = [
        {budget: {shape_of(c).parameters for c in arm if c.budget == budget} for budget in {c.budget for c in untuned}}
        for arm in (untuned, tuned)
    ]
    more = [wide - narrow for wide, narrow in zip(*(each.values() for each in by_arm), strict=True)]
    assert [len(sizes) for sizes in more] == [1, 1, 1, 1], "one size further down at each budget"
    assert min(schedule_of(c).peak for c in untuned) > 0.97e-3, "whole sequences make the batch a little smaller"
    assert max(schedule_of(c).peak for c in untuned) <= 1e-3 < min(schedule_of(c).peak for c in tuned) / 2


def test_a_text_that_the_study_does_not_list_is_named() -> None:
    with pytest.raises(DataError, match="massivetext"):
        run(replace(QUICK, source="massivetext"), Context())
