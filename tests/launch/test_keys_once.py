"""Keys of trials are worked out once, and nothing else of a trial changes for it; records are read once."""

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.launch.attempt import carry_out, conclude, to_run
from repro.launch.planning.keys import by_key, key_of
from repro.launch.planning.planfile import read_plan, write_plan
from repro.launch.records import store as records_module
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialSpec

SPEC = TrialSpec("a/study", "recipes.a", {"lr": 0.5, "sizes": [1, 2]}, 3, "5" * 64, "cpu", "float32")


def test_it_is_the_trials_own_key_and_goes_along() -> None:
    other = replace(SPEC)
    assert key_of(SPEC) == SPEC.key == copy.copy(SPEC)._key
    assert other == SPEC
    assert to_json(other) == to_json(SPEC)
    assert by_key([SPEC, other]) == {SPEC.key: SPEC}


def test_a_changed_copy_has_its_own() -> None:
    key_of(SPEC)
    changed = replace(SPEC, config={"lr": 0.6})
    assert key_of(changed) == changed.key != key_of(SPEC)


def test_planning_works_out_each_key_once(write_claims, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_claims()
    asked: Counter[tuple[int, float]] = Counter()
    key = TrialSpec.key.fget

    def counted(spec: TrialSpec) -> str:
        asked[spec.replicate, spec.config["effect"]] += 1
        return key(spec)

    monkeypatch.setattr(TrialSpec, "key", property(counted))
    plan = prepare(["toy/mean", "scale=cpu"], load_index()).plan
    write_plan(plan, tmp_path / "plan.json")
    to_run(plan, RecordStore(tmp_path / "records"))
    assert set(asked.values()) == {1}
    assert asked.total() == len(plan.trials)
    assert len(read_plan(tmp_path / "plan.json").trials) == len(plan.trials)
    assert set(asked.values()) == {2}


def test_records_of_a_launch_are_read_once(write_claims, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_claims()
    plan = prepare(["toy/mean", "scale=cpu"], load_index()).plan
    store, reads = RecordStore(tmp_path / "records"), Counter()
    read = records_module.read_record

    def counted(file: Path, spec: TrialSpec | None = None):
        reads[file.name] += 1
        return read(file, spec)

    monkeypatch.setattr(records_module, "read_record", counted)
    carry_out(plan, store, {"kind": "inline", "retries": 0})
    (attempt,) = [attempt for attempt in plan.attempts if attempt.requested]
    assert conclude(attempt, plan, store, {}, None, attempt.sealed.digest).attempt.execution == "completed"
    assert set(reads.values()) == {1}
    assert reads.total() == len(plan.trials)
