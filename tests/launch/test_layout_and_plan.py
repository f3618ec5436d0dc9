import json
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.compose import compose
from repro.catalog.index import load_index
from repro.catalog.load import load_claim, load_scale, load_study
from repro.launch.planning.layout import lay_out
from repro.launch.planning.plan import Source, first_shape, make_plan, plan_attempt, readers_of
from repro.launch.planning.planfile import plan_document, read_plan, write_plan
from repro.launch.session import Wishes, launch, prepare
from repro.launch.staleness import find_stale
from repro.schema.errors import ConfigError, PlanError
from repro.schema.study import Design, Scale, ScaleDelta, Study
from tests_support import CLAIM, STUDY

CPU = Scale("cpu", "cpu", "float32", 60.0, "")
DRAWS = Study("toys/draws", "recipes.toys.draws", {"cpu": ScaleDelta()}, replicates=2)


def configs(specs: list) -> list[dict]:
    return [spec.config for spec in specs]


def test_precedence_is_default_params_scale_cell_control_command_line(write_claims) -> None:
    write_claims()
    study = replace(
        DRAWS,
        params={"spread": 1.0, "effect": 1.0},
        scales={"cpu": ScaleDelta(params={"effect": 2.0})},
        design=Design(grid={"effect": (3.0,)}),
    )
    assert configs(lay_out(replace(study, design=Design()), CPU, (0,)))[0] | {"seed": 0} == {
        "effect": 2.0, "spread": 1.0, "seconds": 0.0, "journal": "", "crash": "", "sizes": [1, 2], "seed": 0,
    }  # fmt: skip
    assert lay_out(study, CPU, (0,))[0].config["effect"] == 3.0
    assert lay_out(study, CPU, (0,), {"effect": 4.0})[0].config["effect"] == 4.0
    assert lay_out(study, CPU, (0,), {"effect": 4.0}, {"effect": 5.0})[0].config["effect"] == 5.0


def test_a_grid_is_a_product_and_replicates_are_interleaved(write_claims) -> None:
    write_claims()
    specs = lay_out(replace(DRAWS, design=Design(grid={"effect": (1.0, 2.0), "spread": (0.1, 0.2)})), CPU, (0, 1))
    assert [(s.replicate, s.config["effect"], s.config["spread"]) for s in specs[:3]] == [
        (0, 1.0, 0.1),
        (0, 1.0, 0.2),
        (0, 2.0, 0.1),
    ]
    assert [s.config["seed"] for s in specs] == [0] * 4 + [1] * 4
    assert len({s.key for s in specs}) == 8
    assert specs[0].cost == 10.0


def test_a_design_function_of_the_recipe_lays_out_cells(write_claims) -> None:
    write_claims()
    specs = lay_out(replace(DRAWS, params={"sizes": (3, 4, 5)}, design=Design(function="design")), CPU, (0,))
    assert [spec.config["effect"] for spec in specs] == [3.0, 4.0, 5.0]


def test_a_control_that_fixes_a_design_field_collapses_duplicates(write_claims) -> None:
    write_claims()
    specs = lay_out(replace(DRAWS, design=Design(grid={"effect": (1.0, 2.0)})), CPU, (0,), {"effect": 0.0})
    assert [spec.config["effect"] for spec in specs] == [0.0]


@pytest.mark.parametrize(
    ("params", "message"), [({"efect": 1.0}, "Did you mean 'effect'"), ({"effect": "much"}, "cannot take 'much'")]
)
def test_a_value_that_does_not_fit_the_config_is_named(write_claims, params: dict, message: str) -> None:
    write_claims()
    with pytest.raises(ConfigError, match=message):
        lay_out(replace(DRAWS, params=params), CPU, (0,))


def test_a_missing_scale_and_an_empty_design_are_named(write_claims) -> None:
    write_claims()
    with pytest.raises(PlanError, match="no scale 'gpu'"):
        lay_out(DRAWS, replace(CPU, name="gpu"), (0,))
    with pytest.raises(PlanError, match="no trial"):
        lay_out(replace(DRAWS, params={"sizes": ()}, design=Design(function="design")), CPU, (0,))


def test_launching_a_study_seals_every_protocol_that_reads_it(write_claims) -> None:
    other = CLAIM.format(name="toy/other", printed="1.1")
    write_claims(extra={"claim/toy/other.yaml": other})
    index = load_index()
    plan = make_plan(compose(["toy/mean", "scale=smoke"], index), readers_of(index.claims), {})
    assert {(attempt.claim, attempt.requested) for attempt in plan.attempts} == {
        ("toy/mean", True),
        ("toy/other", False),
    }
    assert len(plan.seals) == 2
    assert len(plan.trials) == 6  # three seeds of the main arm and of the control; the other claim reads the same


@pytest.mark.parametrize(("effect", "sealed"), [("1.0", True), ("0.5", False)])
def test_launching_a_study_seals_who_reads_another_with_the_same_trials(
    write_claims, effect: str, sealed: bool
) -> None:
    other = CLAIM.format(name="toy/other", printed="1.1").replace("toys/draws", "toys/kin")
    kin = STUDY.replace("effect: 1.0", f"effect: {effect}")
    write_claims(extra={"claim/toy/other.yaml": other, "study/toys/kin.yaml": kin})
    index = load_index()
    plan = make_plan(compose(["toy/mean", "scale=smoke"], index), readers_of(index.claims), {})
    assert [attempt.claim for attempt in plan.attempts] == ["toy/mean", "toy/other"][: 1 + sealed]
    assert len(plan.trials) == 6


def test_the_seal_changes_with_what_decides_and_only_then(write_claims) -> None:
    root = write_claims()

    def seal() -> str:
        source = Source(load_claim("toy/mean"), "replicate", load_study("toys/draws"), load_scale("cpu"))
        return plan_attempt(source, first_shape(source))[0].sealed.digest

    first = seal()
    file = root / "claim/toy/mean.yaml"
    good = file.read_text()
    file.write_text(good.replace("The mean of the draws is one.", "Reworded."))
    assert seal() == first
    for old, new in [
        ("0.25", "0.3"),
        ('"1.0"', '"1.00"'),
        ("effect: 0.0", "effect: 0.1"),
        ("decisive: [cpu]", "decisive: [cpu, smoke]"),
        ("A quarter", "A fourth"),
    ]:
        file.write_text(good.replace(old, new))
        assert seal() != first, old
    file.write_text(good)
    (root / "study/toys/draws.yaml").write_text(STUDY.replace("replicates: 6", "replicates: 7"))
    assert seal() != first


def test_new_seeds_are_a_new_attempt(write_claims) -> None:
    write_claims()
    index = load_index()
    first = prepare(["toy/mean", "scale=smoke"], index).plan
    second = prepare(["toy/mean", "scale=smoke"], index, new_seeds=True).plan
    again = prepare(["toy/mean", "scale=smoke"], index).plan
    assert second.attempts[0].sealed.replicates == (3, 4, 5)
    assert second.attempts[0].counter == 2
    assert again.attempts[0].id == first.attempts[0].id
    for words in (["toy/mean", "scale=smoke"], ["toy/mean", "scale=smoke", "replicates=4"]):
        (concluded,) = launch(prepare(words, index, wishes=Wishes(indicative=True)), lambda claim, attempt: "<svg/>")
        assert find_stale([concluded.attempt]) == {}
    assert not {spec.key for spec in first.trials} & {spec.key for spec in second.trials}


def plan_file(tmp_path: Path) -> Path:
    file = tmp_path / "plan.json"
    write_plan(prepare(["toy/mean", "scale=smoke"], load_index()).plan, file)
    return file


def test_a_plan_file_round_trips(write_claims, tmp_path: Path) -> None:
    write_claims()
    plan = prepare(["toy/mean", "scale=smoke"], load_index()).plan
    write_plan(plan, tmp_path / "plan.json")
    back = read_plan(tmp_path / "plan.json")
    assert plan_document(back) == plan_document(plan)
    assert back.seals == plan.seals
    assert [spec.key for spec in back.trials] == [spec.key for spec in plan.trials]


@pytest.mark.parametrize(
    "old_new",
    [
        ('"absolute":0.25', '"absolute":0.5'),
        ('"effect":0.0', '"effect":0.9'),
        ('"replicate":2', '"replicate":7'),
        ("recipes.toys.draws", "os.path"),
    ],
)
def test_an_edited_plan_is_refused(write_claims, tmp_path: Path, old_new: tuple[str, str]) -> None:
    write_claims()
    file = plan_file(tmp_path)
    text = file.read_text()
    assert old_new[0] in text
    file.write_text(text.replace(*old_new, 1))
    with pytest.raises(PlanError, match="changed after it was sealed"):
        read_plan(file)


def test_damaged_missing_and_newer_plans_are_named(write_claims, tmp_path: Path) -> None:
    write_claims()
    with pytest.raises(PlanError, match="There is no plan file"):
        read_plan(tmp_path / "none.json")
    file = plan_file(tmp_path)
    good = json.loads(file.read_text())
    for content, message in [
        ("{", "cannot be read"),
        ("{}", "lacks the key 'plan'"),
        (json.dumps({**good, "plan": {**good["plan"], "version": 9}}), "newer version"),
        (json.dumps({**good, "plan": {**good["plan"], "extra": 1}}), "unknown key 'extra'"),
    ]:
        file.write_text(content)
        with pytest.raises(PlanError, match=message):
            read_plan(file)
