"""Canonical JSON in pieces is canonical JSON, and a plan's trials are read as strictly as all else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.launch.planning.planfile import plan_document, read_plan, write_plan
from repro.schema.canonical import canonical_json, digest_of
from repro.schema.dataset import DataSet
from repro.schema.errors import PlanError
from repro.schema.pieces import canonical_pieces, digest_of_pieces
from repro.schema.trial import Plan, TrialSpec

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
DATA = DataSet("d", "d.csv", "https://example.org/d.csv", "0" * 64)
SPEC = TrialSpec("a/study", "recipes.a", {"lr": 0.5, "sizes": [1, 2]}, 3, "5" * 64, "cpu", "float32", data=(DATA,))
PLAN = Plan((), (SPEC, replace(SPEC, replicate=4, cost=2.0, time_limit_s=60.0, data=())), "2024-05-01T10:00:00+00:00")


@settings(deadline=None)
@given(VALUES, st.integers(0, 4))
def test_pieces_join_to_canonical_json(value: object, depth: int) -> None:
    assert "".join(canonical_pieces(value, depth)) == canonical_json(value)
    assert digest_of_pieces(canonical_pieces(value, depth)) == digest_of(value)


def test_an_iterator_is_a_list_asked_for_item_by_item() -> None:
    assert "".join(canonical_pieces({"b": iter([1, {"z": 2, "a": 3}]), "a": []})) == '{"a":[],"b":[1,{"a":3,"z":2}]}'


def test_a_number_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        list(canonical_pieces({"trials": [{"cost": float("inf")}]}))


def test_a_plan_file_has_a_line_a_trial_and_the_digest_of_the_rest(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.json", {})
    text = (tmp_path / "plan.json").read_text()
    document = json.loads(text)
    assert document == plan_document(PLAN, {})
    assert document.pop("digest") == digest_of(document)
    assert text.count('"recipe":') == len([line for line in text.splitlines() if '"recipe":' in line]) == 2


def test_a_plan_is_read_back_and_one_laid_out_in_another_way_too(tmp_path: Path) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    (tmp_path / "indented.json").write_text(json.dumps(document, indent=1))
    assert read_plan(tmp_path / "plan.json") == read_plan(tmp_path / "indented.json") == PLAN


def test_a_whole_number_of_flops_is_read_as_any_number(tmp_path: Path) -> None:
    plan = replace(PLAN, trials=(replace(SPEC, cost=7),))
    write_plan(plan, tmp_path / "plan.json")
    (spec,) = read_plan(tmp_path / "plan.json").trials
    assert (spec.cost, type(spec.cost)) == (7.0, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicate": True}, r"trials\[0\].replicate must be an integer"),
        ({"label": None}, r"trials\[0\].label must be text"),
        ({"measures": "colour"}, r"trials\[0\].measures must be one of"),
        ({"config": []}, r"trials\[0\].config must be an object"),
        ({"data": {}}, r"trials\[0\].data must be a list"),
        ({"data": [{"id": "d"}]}, r"trials\[0\].data\[0\] lacks the key"),
        ({"cost": "much"}, r"trials\[0\].cost must be a number"),
        ({"more": 1}, r"trials\[0\] has the unknown key 'more'"),
    ],
)
def test_a_trial_that_is_not_as_it_should_be_is_named(tmp_path: Path, change: dict, message: str) -> None:
    document = plan_document(PLAN)
    document["plan"]["trials"][0].update(change)
    (tmp_path / "plan.json").write_text(json.dumps(document))
    with pytest.raises(PlanError, match=message):
        read_plan(tmp_path / "plan.json")


@pytest.mark.parametrize("value", ["1e999", '"\\ud800"'])
def test_what_nothing_can_say_again_is_no_plan(tmp_path: Path, value: str) -> None:
    write_plan(PLAN, tmp_path / "plan.json")
    text = (tmp_path / "plan.json").read_text()
    (tmp_path / "plan.json").write_text(text.replace('"lr":0.5', f'"lr":{value}', 1))
    with pytest.raises(PlanError, match="not readable JSON"):
        read_plan(tmp_path / "plan.json")
