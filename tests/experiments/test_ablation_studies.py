"""The studies of one change at a time: optimiser settings, cycle length, repeated text, learning rate and batch."""

import math
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from experiments.scaling_laws.language_model import (
    Config,
    evaluation_shares,
    learning_rates,
    run_batch,
    schedule_of,
    shape_of,
    stack_of,
)
from experiments.scaling_laws.layouts import ablation, sweep
from repro.catalog.estimators import estimate_arm
from repro.catalog.load import load_claim, load_scale, load_study
from repro.judge.rule import judge
from repro.judge.seal import seal
from repro.launch.planning.layout import lay_out
from repro.schema.context import Context
from repro.schema.trial import TrialRecord, TrialSpec
from repro.schema.verdict import Verdict
from scaling_law_runs import record

STUDY_OF = {
    "porian/steps_in_order": "tuned_or_not",
    "porian/learning_rate_exponent": "learning_rate",
    "porian/batch_size_exponent": "learning_rate",
    "chinchilla/cosine_cycle_length": "schedule_length",
    "muennighoff/four_epochs_any_size": "repeated_data",
}

Losses = Callable[[Config], float]


def trials(study: str, scale: str, control: Mapping[str, Any] | None = None) -> list[TrialSpec]:
    loaded = load_study(f"scaling_laws/{study}")
    return lay_out(loaded, load_scale(scale), range(loaded.scales[scale].replicates or loaded.replicates), control)


def config_of(spec: TrialSpec) -> Config:
    return Config(**{name: tuple(v) if isinstance(v, list | tuple) else v for name, v in spec.config.items()})


def configs(study: str, scale: str) -> list[Config]:
    return [config_of(spec) for spec in trials(study, scale)]


def setting(config: Config) -> str:
    """The name of the arm of `tuned_or_not` that a run belongs to."""
    if config.lr_exponent:
        return "tuned"
    return "decayed" if config.decay else "long" if config.warmup_tokens else "scaled"


# The layouts.


def test_the_four_settings_of_the_ablation_on_literals() -> None:
    layout = Config(
        budgets=(1e9, 4e9),
        widths=(8, 16, 24),
        depths=(2, 2, 2),
        first_size=(0, 1),
        sizes=2,
        runs=(1, 1),
        overrun=1.5,
        untuned_batch=1024.0,
        untuned_lr=0.01,
        warmup_tokens=1e5,
        evaluations=4,
        first_evaluation=0.1,
    )
    runs = [replace(layout, **cell) for cell in ablation(layout)]
    assert Counter(map(setting, runs)) == {"long": 3, "scaled": 3, "decayed": 4, "tuned": 4}
    cells = {name: [(r.d_model, r.budget) for r in runs if setting(r) == name] for name in ("long", "decayed", "tuned")}
    assert cells["long"] == [(8, 4e9), (16, 6e9), (24, 6e9)]
    assert cells["decayed"] == cells["tuned"] == [(8, 1e9), (16, 1e9), (16, 4e9), (24, 4e9)]
    for each in runs:
        untuned = setting(each) != "tuned"
        assert (each.batch_tokens, each.lr, each.beta2) == ((1024.0, 0.01, 0.95) if untuned else (1065.0, 0.02, 0.99))
        assert each.evaluations == (4 if setting(each) in ("long", "scaled") else 1)
        assert each.budgets == each.widths == ()
        assert each.untuned_batch == each.untuned_lr == 0
    long, scaled = (next(r for r in runs if setting(r) == name) for name in ("long", "scaled"))
    assert schedule_of(long).warmup == round(1e5 / 1024)
    assert schedule_of(scaled).warmup == round(3624 / 1024)


def test_settings_that_differ_in_warm_up_alone_train_in_one_stack() -> None:
    for scale in ("cpu", "gpu"):
        stacks = defaultdict(list)
        for each in configs("tuned_or_not", scale):
            stacks[stack_of(each)].append(setting(each))
        shared = [names for names in stacks.values() if "long" in names]
        assert all(sorted(names) == ["long", "scaled"] for names in shared)


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
def test_runs_that_are_read_on_the_way_pass_every_budget_of_their_size(scale: str) -> None:
    runs = configs("tuned_or_not", scale)
    at: dict[tuple[int, int], list[float]] = defaultdict(list)
    for each in runs:
        if setting(each) == "decayed":
            at[each.n_layer, each.d_model].append(each.budget)
    for each in runs:
        if setting(each) in ("long", "scaled"):
            own = at[each.n_layer, each.d_model]
            assert each.budget >= 1.6 * max(own)
            assert each.first_evaluation * each.budget < 0.7 * min(own)
            assert each.evaluations * 10 < schedule_of(each).steps


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
def test_the_long_warm_up_is_long_at_the_smallest_budget_and_short_at_the_largest(scale: str) -> None:
    """As in the paper, where 1.6 billion tokens are about all of the smallest budget's best run and a quarter of the largest's."""
    runs = [r for r in configs("tuned_or_not", scale) if setting(r) == "decayed"]
    warm_up = next(r.warmup_tokens for r in configs("tuned_or_not", scale) if setting(r) == "long")
    first, last = min(r.budget for r in runs), max(r.budget for r in runs)

    def tokens_of_the_middle(budget: float) -> float:
        own = sorted(s.steps * s.batch * r.context for r in runs if r.budget == budget for s in [schedule_of(r)])
        return float(np.median(own))

    assert warm_up > 0.9 * tokens_of_the_middle(first)
    assert warm_up < 0.5 * tokens_of_the_middle(last)


def test_the_sweep_on_literals() -> None:
    layout = Config(
        budgets=(1e9,),
        widths=(8, 16),
        depths=(2, 2),
        sizes=1,
        tokens_per_parameter=20.0,
        rates=(0.01, 0.02),
        step_counts=(50, 100, 400, 800),
        batch_exponent=0.0,
        batch_tokens=8192.0,
    )
    runs = [replace(layout, **cell) for cell in sweep(layout)]
    # 1e9 FLOPs are 36,169 tokens of the small model: 11, 5, 1 and 1 windows of 64.
    small = [r for r in runs if r.d_model == 8 and r.budget]
    assert [(schedule_of(r).batch, r.lr) for r in small] == [(b, lr) for b in (11, 5, 1) for lr in (0.01, 0.02)]
    assert all(r.decay and not r.tokens for r in small)
    constant = [r for r in runs if r.tokens]
    assert {(r.d_model, r.tokens, r.decay, r.warmup_share) for r in constant} == {(8, 20.0 * 3624, False, 1.0)}
    assert schedule_of(constant[0]).warmup == round(3624 / (schedule_of(constant[0]).batch * 64))


def test_a_sweep_s_rates_bracket_the_rule_that_the_other_studies_use() -> None:
    """At equal batch, the middle rates of cpu lie on both sides of the peak that `isoflop` gives, for every size."""
    rule = next(r for r in configs("isoflop", "cpu") if r.budget == 5e10)
    for each in configs("learning_rate", "cpu"):
        if each.budget:
            batch, peak = schedule_of(each).batch, schedule_of(each).peak
            own = replace(rule, n_layer=each.n_layer, d_model=each.d_model, batch_tokens=64.0 * batch, min_steps=1)
            # The rule's rate at this batch: with the root of the batch, from where its own cap is.
            wanted = schedule_of(own).peak * math.sqrt(64 * batch / rule.batch_tokens)
            assert peak / wanted == pytest.approx(each.lr / (rule.lr * math.sqrt(8)), rel=1e-3)
    rates = sorted({each.lr for each in configs("learning_rate", "cpu")})
    assert rates[0] < rule.lr * math.sqrt(8) / 2 < rule.lr * math.sqrt(8) * 2 < rates[-1]


def test_evaluations_are_even_or_spaced_by_a_factor() -> None:
    assert evaluation_shares(Config(evaluations=4)) == [0.25, 0.5, 0.75, 1.0]
    assert evaluation_shares(Config(evaluations=3, first_evaluation=0.01)) == pytest.approx([0.01, 0.1, 1.0])
    assert evaluation_shares(Config(evaluations=1, first_evaluation=0.01)) == [1.0]


def test_cycles_and_repetitions_train_in_one_stack() -> None:
    for study, field, seeds in (("schedule_length", "cycle", 8), ("repeated_data", "unique_tokens", 8)):
        runs = configs(study, "cpu")
        assert len({stack_of(each) for each in runs}) == 1
        assert set(Counter(getattr(each, field) for each in runs).values()) == {seeds}
        tokens, params = runs[0].tokens, shape_of(runs[0]).parameters
        assert tokens / params == pytest.approx(20, rel=0.03)


def test_longer_cycles_end_at_higher_rates() -> None:
    rates = {}
    for each in configs("schedule_length", "cpu"):
        schedule = schedule_of(each)
        rates[each.cycle] = learning_rates(each, schedule)[-1] / schedule.peak
    assert rates[1.0] == pytest.approx(0.1, abs=1e-4)
    ends = [rates[cycle] for cycle in sorted(rates)]
    assert ends == sorted(ends)
    assert rates[5.0] > 0.9


@pytest.mark.parametrize("scale", ["smoke", "cpu", "gpu"])
def test_unique_text_is_seen_as_often_as_the_claim_and_its_control_ask(scale: str) -> None:
    epochs = set()
    for each in configs("repeated_data", scale):
        schedule = schedule_of(each)
        windows = int(each.unique_tokens) // each.context
        epochs.add(schedule.steps * schedule.batch / windows)
    for wanted in (1, 2, 4, 44):
        assert any(math.isclose(found, wanted, rel_tol=0.02) for found in epochs), wanted


# The smallest scale trains, and the estimators read what it measured.


def trained(study: str) -> list[TrialRecord]:
    """The records of the study's smoke scale, each stack trained side by side."""
    specs = trials(study, "smoke")
    stacks = defaultdict(list)
    for spec in specs:
        stacks[stack_of(config_of(spec))].append(spec)
    records = []
    for stack in stacks.values():
        curves: list[dict[str, list[tuple[int, float]]]] = [{} for _ in stack]
        contexts = [
            Context(on_curve=lambda name, step, value, own=own: own.setdefault(name, []).append((step, value)))
            for own in curves
        ]
        rows = run_batch([config_of(spec) for spec in stack], contexts)
        for spec, row, own in zip(stack, rows, curves, strict=True):
            kept = {name: tuple(points) for name, points in own.items()}
            records.append(replace(record([row], spec.config, spec.replicate), curves=kept, recipe=spec.recipe))
    return records


@pytest.mark.slow
@pytest.mark.parametrize("claim", STUDY_OF)
def test_the_smallest_scale_trains_and_is_read(claim: str) -> None:
    records = trained(STUDY_OF[claim])
    verdict, estimates = judged(claim, "smoke", {"main": records})
    assert verdict.reason == "not_decisive_scale"
    if claim == "chinchilla/cosine_cycle_length":
        assert [e.n for e in estimates.values()] == [2, 2, 2]
        assert all(math.isfinite(e.value) for e in estimates.values())
    elif claim == "muennighoff/four_epochs_any_size":
        assert set(estimates) == {"two_epochs", "four_epochs"}
        assert estimates["four_epochs"].extras["epochs_44.4"] > 0
    elif claim == "porian/steps_in_order":
        assert "only 2 sizes, a parabola needs 3" in estimates["fall_3"].note
    else:
        assert estimates["value"].value is None
        assert "edge" in estimates["value"].note


# What the protocols would decide, if the truth were this.


def judged(claim: str, scale: str, arms: Mapping[str, list[TrialRecord]]) -> tuple[Verdict, Mapping[str, Any]]:
    loaded, study = load_claim(claim), load_study(f"scaling_laws/{STUDY_OF[claim]}")
    protocol = loaded.protocols["retrain"]
    names = ["main", *protocol.controls]
    sealed = seal(
        loaded,
        "retrain",
        scale,
        study,
        arms=dict.fromkeys(names, ("0" * 40,)),
        replicates=tuple(range(study.scales[scale].replicates or 1)),
        max_replicates=10,
        estimator_sources="",
        resampling_unit="",
    )
    estimates = {name: estimate_arm(sealed, name, arms.get(name, arms["main"])) for name in names}
    return judge(sealed, estimates), estimates["main"]


def measured(study: str, scale: str, loss: Losses, control: Mapping[str, Any] | None = None) -> list[TrialRecord]:
    """Records of a scale whose losses are a function of the config, as the recipe would lay them out."""
    records = []
    for spec in trials(study, scale, control):
        config = config_of(spec)
        schedule, shape = schedule_of(config), shape_of(config)
        tokens = float(schedule.steps * schedule.batch * config.context)
        per_token = 6.0 * shape.matrix_parameters + 6.0 * shape.n_layer * shape.context * shape.d_model
        row = {
            "budget": config.budget,
            "flops": tokens * per_token,
            "params": float(shape.parameters),
            "params_non_embedding": float(shape.non_embedding_parameters),
            "tokens": tokens,
            "batch_tokens": float(schedule.batch * config.context),
            "lr": schedule.peak,
            "epochs": tokens / (int(config.unique_tokens) // config.context * config.context or 1e9),
        }
        steps = [max(1, math.ceil(share * schedule.steps)) for share in evaluation_shares(config)]
        points = [(step, loss(replace(config, budget=0.0, tokens=tokens * step / schedule.steps))) for step in steps]
        kept = {"loss": tuple(points)}
        whole = record([{**row, "loss": points[-1][1]}], asdict(config), spec.replicate)
        records.append(replace(whole, curves=kept, recipe=spec.recipe))
    return records


def noise(config: Config, size: float, *names: str) -> float:
    """Normal noise that hangs on the named fields alone, the same in every process."""
    key = [zlib.crc32(f"{name}={getattr(config, name)!r}".encode()) for name in names]
    return size * float(np.random.default_rng(key).standard_normal())


def cycle_loss(effect: float) -> Losses:
    def loss(config: Config) -> float:
        sign = 1 if schedule_of(config).peak > 1e-3 else -1
        shared = noise(config, 0.02, "seed")
        return 2 + shared + noise(config, 0.004, "seed", "cycle") + sign * effect * math.log(config.cycle)

    return loss


@pytest.mark.parametrize(("effect", "outcome"), [(0.05, "match"), (-0.05, "mismatch")])
def test_the_cosine_sentence_is_decided_on_a_cpu(effect: float, outcome: str) -> None:
    control = load_claim("chinchilla/cosine_cycle_length").protocols["retrain"].controls["far_too_low_a_rate"]
    arms = {
        "main": measured("schedule_length", "cpu", cycle_loss(effect)),
        "far_too_low_a_rate": measured("schedule_length", "cpu", cycle_loss(0.05), control.params),
    }
    verdict, _ = judged("chinchilla/cosine_cycle_length", "cpu", arms)
    assert verdict.outcome == outcome
    assert verdict.controls["far_too_low_a_rate"].failed


def test_without_an_effect_of_the_cycle_nothing_matches() -> None:
    arms = {"main": measured("schedule_length", "cpu", cycle_loss(0.0))}
    verdict, _ = judged("chinchilla/cosine_cycle_length", "cpu", arms)
    assert verdict.outcome != "match"


def repeated(penalty: float) -> Losses:
    """The loss of repeated text rises with its epochs beyond one, `penalty` per cent at four."""

    def loss(config: Config) -> float:
        epochs = config.tokens / config.unique_tokens
        share = penalty / 100 * (epochs - 1) / 3
        return 2 * (1 + share) + noise(config, 0.02, "seed") + noise(config, 0.004, "seed", "unique_tokens")

    return loss


@pytest.mark.parametrize(("penalty", "outcome"), [(0.3, "match"), (3.0, "mismatch")])
def test_repetition_is_decided_on_a_gpu_and_indicated_on_a_cpu(penalty: float, outcome: str) -> None:
    verdict, _ = judged(
        "muennighoff/four_epochs_any_size", "gpu", {"main": measured("repeated_data", "gpu", repeated(penalty))}
    )
    assert verdict.outcome == outcome
    assert verdict.controls["forty_four_epochs"].failed
    small, _ = judged(
        "muennighoff/four_epochs_any_size", "cpu", {"main": measured("repeated_data", "cpu", repeated(penalty))}
    )
    assert small.reason == "not_decisive_scale"


def valley(lr_exponent: float, batch_exponent: float) -> Losses:
    def loss(config: Config) -> float:
        schedule, size = schedule_of(config), shape_of(config).parameters
        batch = math.log(schedule.batch * config.context / (9000.0 * (size / 5e5) ** batch_exponent))
        rate = math.log(schedule.peak / (0.02 * (size / 5e5) ** lr_exponent)) - 0.5 * batch
        return 2 + 0.05 * rate**2 + 0.03 * batch**2

    return loss


def test_exponents_of_the_best_settings_are_found_in_the_layout_of_the_gpu() -> None:
    records = measured("learning_rate", "gpu", valley(-0.36, 0.703))
    for claim, truth in (("porian/learning_rate_exponent", -0.36), ("porian/batch_size_exponent", 0.703)):
        verdict, estimates = judged(claim, "gpu", {"main": records})
        assert estimates["value"].value == pytest.approx(truth, abs=0.03), estimates["value"].note
        assert verdict.outcome == "match"


def test_exponents_that_do_not_hang_on_the_size_miss() -> None:
    records = measured("learning_rate", "gpu", valley(0.0, 0.0))
    verdict, _ = judged("porian/learning_rate_exponent", "gpu", {"main": records})
    assert verdict.outcome != "match"


UNTUNED = {"long": 0.2, "scaled": 0.03, "decayed": 0.006, "tuned": 0.0}


def of_settings(strength: float) -> Losses:
    """A law with exponent one half, and on top what large models lose in short runs, the more the less a setting is tuned."""

    def loss(config: Config) -> float:
        size, tokens = shape_of(config).parameters, config.tokens
        lost = strength * UNTUNED[setting(config)] * (size / 2e5) ** 0.2 * (3e6 / tokens) ** 1.0
        return 1 + 20 / size**0.3 + 40 / tokens**0.3 + lost

    return loss


def test_steps_as_published_match_at_the_scale_of_the_gpu_and_backwards_they_do_not() -> None:
    records = measured("tuned_or_not", "gpu", of_settings(0.7))
    verdict, estimates = judged("porian/steps_in_order", "gpu", {"main": records})
    notes = {part: e.note for part, e in estimates.items()}
    assert verdict.outcome == "match", notes
    assert verdict.controls["other_way_round"].failed
    assert estimates["fall_1"].value > 0.05
    assert estimates["fall_4"].extras["exponent_tuned_no_decay"] == pytest.approx(0.5, abs=0.02)
    assert all(e.n == 5 for e in estimates.values())


def test_settings_without_effect_do_not_match() -> None:
    records = measured("tuned_or_not", "gpu", of_settings(0.0))
    verdict, estimates = judged("porian/steps_in_order", "gpu", {"main": records})
    assert verdict.outcome != "match"
    # The counting has its effect all the same.
    assert estimates["fall_1"].value > 0.05
    assert [estimates[f"fall_{k}"].value for k in (2, 3, 4)] == pytest.approx([0, 0, 0], abs=0.02)


def test_every_scale_that_a_protocol_calls_decisive_is_one_of_the_study() -> None:
    for claim, study in STUDY_OF.items():
        scales = load_study(f"scaling_laws/{study}").scales
        assert set(load_claim(claim).protocols["retrain"].decisive) <= set(scales)
