"""Scout runs and what they show, on losses that follow a law whose optimum is known."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from repro.launch.executors import execute
from repro.launch.planning.layout import lay_out
from repro.launch.records.store import RecordStore
from repro.launch.scouting.findings import Rates, best_rate, budgets_of, first_sizes, rates_of
from repro.launch.scouting.scout import Scouting, scouting_of
from repro.schema.errors import ConfigError, PlanError
from repro.schema.trial import TrialRecord
from scout_support import STUDY, law_recipe


@pytest.fixture
def scouted(write_claims):
    """Return a function that scouts the toy study and returns the scouting with its records."""

    def scout(
        *words: str, budgets: Sequence[float] = (), study: str = STUDY, recipe: str = ""
    ) -> tuple[Scouting, list[TrialRecord]]:
        write_claims(extra={"recipes/toys/law.py": recipe or law_recipe(), "study/toys/law.yaml": study})
        scouting = scouting_of("toys/law", None, budgets, words)
        store = RecordStore(Path("scout"))
        return scouting, list(execute(scouting.trials, scouting.plan, store, {"kind": "inline"}))

    return scout


def test_scout_runs_have_seeds_of_their_own_and_touch_no_sealed_trial(scouted) -> None:
    scouting, records = scouted()
    own = lay_out(scouting.study, scouting.scale, (0,))
    assert {spec.config["seed"] for spec in scouting.trials} == {1000}
    assert not {spec.key for spec in scouting.trials} & {spec.key for spec in own}
    assert all(record.seals == () for record in records)
    assert scouting.plan.attempts == ()
    assert not Path(".repro").exists()


def test_the_optimum_of_the_law_is_found_and_its_rung_named(scouted) -> None:
    scouting, records = scouted()
    budgets = budgets_of(scouting, records)
    assert [budget.flops for budget in budgets] == [1e10, 4e10]
    for budget in budgets:
        assert budget.optimum == pytest.approx(math.sqrt(budget.flops / 6), rel=0.25)
        assert budget.centred
        assert min(budget.smaller, budget.larger) == 2
    assert first_sizes(scouting, budgets) == [2, 4]
    assert scouting.config.first_size == (2, 4)


def test_a_grid_off_the_minimum_is_not_centred_and_the_better_rung_is_named(scouted) -> None:
    scouting, records = scouted("first_size=[0,2]")
    budgets = budgets_of(scouting, records)
    assert [budget.centred for budget in budgets] == [False, False]
    assert max(budget.larger for budget in budgets) < 2
    assert first_sizes(scouting, budgets) == [2, 4]


def test_a_minimum_outside_what_was_tried_gives_no_optimum_and_no_rung(scouted) -> None:
    scouting, records = scouted("budgets=[1e10]", "first_size=[8]", "runs=[1]")
    (budget,) = budgets_of(scouting, records)
    assert (budget.optimum, budget.centred, budget.smaller) == (None, False, 0)
    assert "smallest size" in budget.problem
    assert first_sizes(scouting, [budget]) == [None]


def test_a_ladder_too_short_for_sizes_on_each_side_names_no_rung(scouted) -> None:
    scouting, records = scouted("sizes=3")
    assert first_sizes(scouting, budgets_of(scouting, records)) == [None, None]


def test_the_best_learning_rate_is_found_between_those_tried(scouted) -> None:
    _, records = scouted("lr=0.015")
    sweeps = rates_of(records)
    assert len(sweeps) == 3
    assert {sweep.flops for sweep in sweeps} == {1e10}
    assert all(sweep.rates == pytest.approx((0.0075, 0.015, 0.03)) for sweep in sweeps)
    assert best_rate(sweeps) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize(("rate", "edge"), [(0.1, 0.05), (0.004, 0.008)])
def test_a_best_rate_at_the_edge_is_no_best_rate(scouted, rate: float, edge: float) -> None:
    _, records = scouted(f"lr={rate}")
    sweeps = rates_of(records)
    assert all(sweep.at_edge and sweep.best == pytest.approx(edge) for sweep in sweeps)
    assert best_rate(sweeps) is None
    assert best_rate([]) is None


def test_the_rate_is_chosen_over_the_sizes_together() -> None:
    rates = (0.01, 0.02, 0.04)
    edge, inner = Rates(1e9, 1e4, rates, (2.00, 2.01, 2.10)), Rates(1e9, 4e4, rates, (2.10, 2.00, 2.04))
    assert (edge.at_edge, inner.at_edge) == (True, False)
    together = best_rate([edge, inner])
    # Mean losses 2.05, 2.005, 2.07 at equal steps: the vertex is (2.05 - 2.07) / 2 / (2.05 - 2 * 2.005 + 2.07) of a step on.
    assert together == pytest.approx(0.02 * 2 ** ((2.05 - 2.07) / 2 / (2.05 - 2 * 2.005 + 2.07)))
    assert best_rate([edge]) is None
    assert best_rate([edge, replace(inner, rates=(0.02, 0.04, 0.08))]) is None, "only two rates in common"


def test_a_diverged_run_is_counted_and_left_out(scouted) -> None:
    scouting, records = scouted()
    ill = [replace(r, status="diverged", rows=({"loss": None},)) if i == 0 else r for i, r in enumerate(records)]
    budgets = budgets_of(scouting, ill)
    assert sum(budget.diverged for budget in budgets) == 1
    assert sum(len(budget.tried) for budget in budgets) == sum(len(b.tried) for b in budgets_of(scouting, records)) - 1


def test_only_the_budgets_asked_for_are_scouted(scouted) -> None:
    _, records = scouted(budgets=(1.0000001e10,))
    assert {record.config["budget"] for record in records} == {1e10}
    assert len(records) < len(scouting_of("toys/law", "cpu", (), ()).trials)


def test_runs_that_have_records_are_not_missing(scouted) -> None:
    scouting, records = scouted()
    store = RecordStore(Path("scout"))
    assert scouting.missing(store) == []
    (Path("scout") / records[0].file_name).unlink()
    assert [spec.key for spec in scouting.missing(store)] == [records[0].key]


@pytest.mark.parametrize(
    ("words", "budgets", "error", "message"),
    [
        (["rate=1"], (), ConfigError, "'rate' no field of recipes.toys.law.Config. Did you mean 'rates'"),
        (["nonsense"], (), ConfigError, "'nonsense' is no budget in FLOPs"),
        (["lr=much"], (), ConfigError, "lr cannot take 'much'"),
        ([], (7.0,), ConfigError, "There is no budget 7 here; the budgets are 1e\\+10, 4e\\+10"),
        (["runs=[1]"], (), ConfigError, "cannot be laid out at scale 'cpu': budgets, first_size and runs"),
    ],
)
def test_words_that_mean_nothing_are_named(
    write_claims, words: list[str], budgets: tuple, error: type, message: str
) -> None:
    write_claims(extra={"recipes/toys/law.py": law_recipe(), "study/toys/law.yaml": STUDY})
    with pytest.raises(error, match=message):
        scouting_of("toys/law", None, budgets, words)


def test_a_recipe_that_cannot_be_scouted_is_named(write_claims) -> None:
    write_claims(extra={"recipes/toys/law.py": law_recipe(), "study/toys/law.yaml": STUDY})
    with pytest.raises(PlanError, match="'toys/draws' cannot be scouted: recipes.toys.draws has no function scout"):
        scouting_of("toys/draws", None, (), ())
    write_claims(
        extra={"recipes/toys/law.py": law_recipe().replace("    seed: int = 0\n", ""), "study/toys/law.yaml": STUDY}
    )
    with pytest.raises(PlanError, match="no field 'seed'"):
        scouting_of("toys/law", None, (), ())


def test_a_scale_that_is_not_there_is_named(write_claims) -> None:
    write_claims(extra={"recipes/toys/law.py": law_recipe(), "study/toys/law.yaml": STUDY})
    with pytest.raises(ConfigError, match="no scale 'gpu'"):
        scouting_of("toys/law", "gpu", (), ())
