from dataclasses import replace
from pathlib import Path

import pytest

from repro.launch.planning.cost import Budget, Speeds, check_limit, cost_of, speeds
from repro.launch.records.store import RecordStore
from repro.schema.errors import PlanError
from repro.schema.trial import TrialSpec

NOTHING = Speeds({}, {})
GPU = TrialSpec("t/s", "recipes.a", {"width": 4, "seed": 0}, 0, "0", "cuda", "bfloat16", cost=3.6e15, time_limit_s=7200)
CPU = replace(GPU, device="cpu")


def trials(spec: TrialSpec, count: int = 2) -> list[TrialSpec]:
    return [replace(spec, config={**spec.config, "seed": seed}, replicate=seed) for seed in range(count)]


def test_hours_and_money_at_a_measured_speed() -> None:
    cost = cost_of(trials(GPU), Speeds({("recipes.a", "cuda"): 1e12}, {}), Budget(price=3.0))
    assert cost.flops == 7.2e15
    assert cost.seconds == pytest.approx(7200)
    assert (cost.gpu_hours, cost.cpu_hours) == (pytest.approx(2), 0.0)
    assert cost.money == pytest.approx(6.0)
    assert (cost.seconds_from, cost.flops_per_s) == ("at the speed that trials of this recipe had here", 1e12)
    assert cost.times(3).money == pytest.approx(18.0)


def test_a_speed_is_assumed_only_if_said_and_measured_ones_win() -> None:
    assumed = Budget(peak_flops=1e13, utilisation=0.1)
    assert cost_of(trials(GPU), NOTHING, Budget()).seconds is None
    cost = cost_of(trials(GPU), NOTHING, assumed)
    assert cost.seconds == pytest.approx(7200)
    assert (cost.seconds_from, cost.flops_per_s) == ("at the speed that was assumed", 1e12)
    assert cost_of(trials(GPU), Speeds({("recipes.a", "cuda"): 2e12}, {}), assumed).seconds == pytest.approx(3600)
    assert cost_of(trials(GPU), Speeds({("recipes.a", "cpu"): 2e12}, {}), Budget()).seconds is None


def test_a_cpu_costs_no_gpu_hours() -> None:
    cost = cost_of(trials(CPU), Speeds({("recipes.a", "cpu"): 1e12}, {}), Budget(price=3.0))
    assert (cost.gpu_hours, cost.money) == (0.0, 0.0)
    assert cost.cpu_hours == pytest.approx(2)


def test_a_recipe_that_does_not_count_flops_has_no_known_time() -> None:
    cost = cost_of(trials(replace(GPU, cost=None)), Speeds({("recipes.a", "cuda"): 1e12}, {}), Budget())
    assert (cost.flops, cost.seconds, cost.money) == (None, None, None)


def test_the_same_cell_takes_as_long_as_before(write_claims) -> None:
    from repro.catalog.index import load_index
    from repro.launch.attempt import carry_out
    from repro.launch.session import prepare

    write_claims()
    plan = prepare(["toy/mean", "scale=smoke"], load_index(), store=False).plan
    store = RecordStore(Path("records"))
    carry_out(plan, store, {"kind": "inline"})
    known = speeds(store)
    assert known.flops_per_s[("recipes.toys.draws", "cpu")] > 0
    assert len(known.seconds) == 2
    other = [replace(spec, config={**spec.config, "seed": 99}, cost=None) for spec in plan.trials]
    cost = cost_of(other, known, Budget())
    assert cost.seconds == pytest.approx(3 * sum(known.seconds.values()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"peak_flops": 1e15}, "go together"),
        ({"utilisation": 0.4}, "go together"),
        ({"peak_flops": 1e15, "utilisation": 40}, "between 0 and 1"),
        ({"peak_flops": 0, "utilisation": 0.4}, "more than 0"),
        ({"price": -1}, "--price must be a number of at least 0"),
        ({"price": float("nan")}, "--price must be a number"),
        ({"max_gpu_hours": float("inf")}, "--max-gpu-hours must be a number"),
    ],
)
def test_a_budget_that_makes_no_sense_is_named(given: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Budget(**given)


def refuse(specs: list[TrialSpec], known: Speeds, **budget: float) -> None:
    limit = Budget(**budget)
    check_limit(specs, lambda group: cost_of(group, known, limit), limit)


def test_more_gpu_hours_than_allowed_are_refused() -> None:
    known = Speeds({("recipes.a", "cuda"): 1e12}, {})
    refuse(trials(GPU), known, max_gpu_hours=2.0)
    with pytest.raises(PlanError, match=r"about 2 GPU-hours, more than --max-gpu-hours 1.9"):
        refuse(trials(GPU), known, max_gpu_hours=1.9)
    refuse(trials(CPU), known, max_gpu_hours=0.0)


def test_unknown_hours_pass_only_under_their_time_limits() -> None:
    refuse(trials(GPU), NOTHING, max_gpu_hours=4.0)
    with pytest.raises(PlanError, match="is unknown"):
        refuse(trials(GPU), NOTHING, max_gpu_hours=3.9)
    with pytest.raises(PlanError, match="is unknown"):
        refuse(trials(replace(GPU, time_limit_s=None)), NOTHING, max_gpu_hours=100.0)
    refuse(trials(GPU), NOTHING, max_gpu_hours=2.0, peak_flops=1e13, utilisation=0.1)
