"""`repro rerun`: the same trials again, beside everything, and what differs."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.recipe import source_digest
from repro.launch.records.store import RecordStore
from repro.launch.rerun.agreement import compare
from repro.launch.rerun.environment_lock import Known, differences, requirements
from repro.launch.running.trials import run_trial
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec
from tests_support import RECIPE, forget_recipes

Run = Callable[..., tuple[int, str, str]]


_MADE: dict[str, bytes] = {}


@pytest.fixture
def attempt(write_claims: Callable[..., Path], repro: Run) -> str:
    """An attempt at the noisy toy claim, launched in this directory."""
    write_claims()
    code, out, _ = repro("run", "toy/mean", "scale=smoke", "--json")
    assert code == 0
    return str(json.loads(out)["attempts"][0]["id"])


@pytest.fixture
def evidence(write_claims: Callable[..., Path], repro: Run, request: pytest.FixtureRequest) -> str:
    """Its evidence, as a file: made once, for a launch takes seconds."""
    write_claims()
    if not _MADE:
        name = request.getfixturevalue("attempt")
        assert repro("evidence", name, "--out", "evidence.zip")[0] == 0
        _MADE["evidence.zip"] = Path("evidence.zip").read_bytes()
    Path("evidence.zip").write_bytes(_MADE["evidence.zip"])
    return "evidence.zip"


def records_here() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(".repro/records").glob("*.json")}


def test_trials_run_again_are_equal_and_nothing_is_replaced(attempt: str, repro: Run) -> None:
    before = records_here()
    assert repro("rerun", attempt, "--check", "--strict")[0] == 0
    assert not Path(".repro/reruns").exists(), "--check runs nothing"
    code, out, err = repro("rerun", attempt, "--strict")
    assert code == 0, out + err
    assert "6 equal" in out
    assert "Nothing that is known of then differs from now" in out
    assert records_here() == before
    (place,) = (Path(".repro/reruns") / attempt.replace("/", ".")).iterdir()
    assert len(list(place.glob("*.json"))) == 6
    assert len(list((place / "provenance").glob("*.json"))) == 6
    code, out, _ = repro("status", "--json")
    assert [row["attempt"] for row in json.loads(out)["attempts"]] == [attempt], "a rerun is no attempt"
    assert repro("rerun", attempt, "--trials", "2", "--json")[0] == 0
    assert sorted(path.name for path in place.parent.iterdir()) == ["1", "2"]


def test_evidence_is_run_again_as_well_as_an_id(evidence: str, repro: Run) -> None:
    code, out, _ = repro("rerun", evidence, "--trials", "2", "--json")
    answer = json.loads(out)
    assert code == 0
    assert [each["agreement"] for each in answer["trials"]] == ["equal", "equal"]
    assert answer["promised"] == ["equal", "equal"]
    assert answer["differences"] == []


def test_another_recipe_is_refused_with_the_commands_that_bring_it_back(
    evidence: str, repro: Run, write_claims: Callable[..., Path]
) -> None:
    forget_recipes()
    write_claims(recipe=RECIPE.replace("config.effect, config.spread", "config.effect + 1, config.spread"))
    code, _, err = repro("rerun", evidence)
    assert code == 2
    assert "its recipe is not the one installed here" in err
    assert "recipes.toys.draws differs from what ran" in err
    assert "git worktree add" in err
    assert "--anyway" in err
    code, out, _ = repro("rerun", evidence, "--check", "--strict")
    assert code == 1
    assert "source of recipes.toys.draws" in out
    code, out, _ = repro("rerun", evidence, "--anyway", "--trials", "2", "--strict")
    assert code == 1
    assert "2 different" in out
    assert "did not come to what the device promises" in out
    assert repro("rerun", evidence, "--anyway", "--trials", "2")[0] == 0


def test_the_lock_of_an_attempt_names_every_package(evidence: str, repro: Run) -> None:
    code, out, _ = repro("rerun", evidence, "--lock")
    assert code == 0
    assert out.startswith("# The environment of toy/mean@replicate@smoke-")
    assert out.splitlines()[1].startswith("# python==3.")
    pins = dict(line.split("#")[0].strip().split("==") for line in out.splitlines() if not line.startswith("#"))
    assert {"torch", "numpy", "mlflow", "pytest"} <= pins.keys()
    assert "+" not in pins["torch"]


def test_what_is_no_attempt_is_refused_in_a_sentence(write_claims: Callable[..., Path], repro: Run) -> None:
    write_claims()
    code, _, err = repro("rerun", "toy/mean@replicate@cpu-00000000-1")
    assert code == 2
    assert err.startswith("error: ")


# Comparing


@pytest.fixture
def record(write_claims: Callable[..., Path], tmp_path: Path) -> TrialRecord:
    write_claims()
    recipe = "recipes.toys.draws"
    spec = TrialSpec("toys/draws", recipe, {}, 0, source_digest(recipe), "cpu", "float32")
    return run_trial(spec, (), RecordStore(tmp_path / "records"))


def with_rows(record: TrialRecord, *rows: dict[str, float | None], **more: object) -> TrialRecord:
    return replace(record, rows=rows, **more)


@pytest.mark.parametrize(
    ("was", "now", "agreement", "ulp"),
    [
        ({"x": 0.1}, {"x": 0.1}, "equal", 0),
        ({"x": 0.1}, {"x": math.nextafter(0.1, 1)}, "close", 1),
        ({"x": -1e-300}, {"x": math.nextafter(-1e-300, 0)}, "close", 1),
        ({"x": 1.0}, {"x": 1.00001}, "close", None),
        ({"x": 1.0}, {"x": 1.001}, "different", None),
        ({"x": None}, {"x": None}, "equal", 0),
        ({"x": None}, {"x": 1.0}, "different", None),
        ({"x": 1.0}, {"y": 1.0}, "different", None),
        ({"x": 0.0}, {"x": -0.0}, "close", 0),
        ({"x": 1.0, "train_s": 3.0}, {"x": 1.0, "train_s": 9.0}, "equal", 0),
        ({"x": 1.0, "tokens_per_second": 3.0}, {"x": 1.0, "tokens_per_second": 9.0}, "equal", 0),
        ({"parameters": 1.0}, {"parameters": 2.0}, "different", None),
    ],
)
def test_a_trial_is_equal_close_or_different(
    record: TrialRecord, was: dict[str, float | None], now: dict[str, float | None], agreement: str, ulp: int | None
) -> None:
    found = compare(with_rows(record, was), with_rows(record, now))
    to_json(found)  # no number that JSON cannot say
    assert found.agreement == agreement
    if ulp is not None:
        assert found.ulp == ulp


def test_how_close_is_close_follows_the_precision(record: TrialRecord) -> None:
    for precision, agreement in (("bfloat16", "close"), ("float32", "different"), ("float64", "different")):
        was = with_rows(record, {"x": 1.0}, precision=precision)
        assert compare(was, with_rows(was, {"x": 1.005})).agreement == agreement


def test_times_are_a_ratio_and_never_different(record: TrialRecord) -> None:
    was = with_rows(record, {"seconds": 2.0, "loops": 8.0}, measures="time")
    found = compare(was, with_rows(was, {"seconds": 7.0, "loops": 1.0}))
    assert (found.agreement, found.worst, found.relative) == ("timed", "seconds", 3.5)


def test_how_many_ran_side_by_side_is_no_result_but_is_said(record: TrialRecord) -> None:
    found = compare(with_rows(record, {"x": 1.0, "stacked": 8.0}), with_rows(record, {"x": 1.0, "stacked": 1.0}))
    assert (found.agreement, found.note) == ("equal", "8 side by side then, 1 now")


def test_fewer_rows_and_failures_are_different(record: TrialRecord) -> None:
    assert (
        compare(with_rows(record, {"x": 1.0}, {"x": 2.0}), with_rows(record, {"x": 1.0})).note == "2 rows then, 1 now"
    )
    failed = compare(record, replace(record, status="failed", error="it broke"))
    assert (failed.agreement, failed.note) == ("different", "it broke")


# Environments


def known(**changes: object) -> Known:
    packages = {"torch": "2.13.0", "numpy": "2.4.6", "rich": "15.0"}
    base = Known("3.11.7", packages, True, "Linux x86_64", "A processor", "cpu", 1, {"BLAS of torch": "mkl 2024.2"})
    return replace(base, **changes)


SOURCES = {"recipe": "import torch\nfrom dataclasses import dataclass\n"}


def matters(now: Known, timed: bool = False) -> dict[str, str]:
    return {each.what: each.matters for each in differences(known(), now, SOURCES, timed)}


def test_what_differs_is_named_with_whether_it_can_matter() -> None:
    assert matters(known()) == {}
    newer = {"torch": "2.14.0", "numpy": "2.5.0", "rich": "16.0", "attrs": "26.1"}
    assert matters(known(packages=newer)) == {"torch": "can", "numpy": "can", "rich": "no", "attrs": "no"}
    assert matters(known(device="NVIDIA H200", threads=8)) == {"device": "yes", "threads": "can"}
    assert matters(known(processor="Another", threads=2), timed=True) == {"processor": "yes", "threads": "yes"}
    assert matters(known(python="3.11.9")) == {"Python": "no"}
    assert matters(known(python="3.12.1")) == {"Python": "can"}
    assert matters(known(facts={"BLAS of torch": "other", "driver": "550"})) == {"BLAS of torch": "can"}


def test_of_an_old_record_only_the_packages_it_names_are_compared() -> None:
    old = known(packages={"torch": "2.13.0"}, whole=False)
    assert differences(old, known(), SOURCES, False) == []


def test_a_requirements_file_pins_all_but_the_project_and_says_what_build_it_was() -> None:
    text = requirements("3.11.7", ["torch==2.13.0+cpu", "numpy==2.4.6", "repro-tracker==0.1.0"], True, "Mine")
    assert text.splitlines() == [
        "# Mine",
        "# python==3.11.7",
        "numpy==2.4.6",
        "torch==2.13.0  # was 2.13.0+cpu, another build of it",
    ]
    assert "was not kept" in requirements("3.11.7", [], False, "Old")
