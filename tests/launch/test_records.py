import errno
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from repro.launch.records.store import RecordStore, read_record
from repro.schema.errors import RecordError, StoreError
from repro.schema.files import write_atomically
from repro.schema.trial import Machine, TrialRecord, TrialSpec

SPEC = TrialSpec("toys/draws", "recipes.toys.draws", {"effect": 1.0}, 0, "abc", "cpu", "float32")
MACHINE = Machine("f" * 32, "a processor", 2, 8.0, "cpu", "Linux x86_64", "3.11", None, 1)


def record(**changes: object) -> TrialRecord:
    fields: dict = {
        "key": SPEC.key, "study": SPEC.study, "recipe": SPEC.recipe, "config": SPEC.config, "replicate": 0, "sources": "abc",
        "device": "cpu", "precision": "float32", "measures": "value", "label": "", "status": "finished", "rows": ({"x": 0.1},),
        "curves": {"loss": ((0, 1.0), (1, None))}, "data": {}, "seals": ("s1",), "started": "2024-01-01T00:00:00+00:00",
        "seconds": 1.0, "machine": MACHINE, "process": "p1",
    }  # fmt: skip
    return TrialRecord(**{**fields, **changes}).with_digest()


def test_a_record_survives_exactly(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    original = record(rows=({"x": 0.1 + 0.2, "y": None},))
    store.write(original)
    assert store.find(SPEC, "") == original
    assert list(store.all()) == [original]


def test_a_failed_record_is_kept_apart_and_is_no_datum(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.write(record(status="failed", rows=(), error="power cut"))
    store.write(record(status="failed", rows=(), error="power cut again"))
    assert store.find(SPEC, "") is None
    assert [failure.error for failure in store.failures(SPEC.key)] == ["power cut", "power cut again"]


def test_a_timing_of_another_machine_is_found_but_does_not_count_as_run_here(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    spec = replace(SPEC, measures="time")
    store.write(record(measures="time", key=spec.key))
    assert store.find(spec, "0" * 32) is not None
    assert not store.ran_here(spec, "0" * 32)
    assert store.ran_here(spec, "f" * 32)


@pytest.mark.parametrize(
    "damage", [lambda text: text[: len(text) // 2], lambda text: text.replace("0.1", "0.2"), lambda text: text + text]
)
def test_a_damaged_or_edited_record_is_set_aside_and_runs_again(tmp_path: Path, damage) -> None:
    store = RecordStore(tmp_path)
    path = store.write(record())
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordError, match="edited|cut short"):
        read_record(path)
    assert store.find(SPEC, "") is None
    assert not path.exists()
    assert (tmp_path / "damaged" / path.name).exists()


@pytest.mark.parametrize(
    "change",
    [{"replicate": 1}, {"config": {"effect": 2.0}}, {"sources": "other"}, {"device": "cuda"}, {"data": {"d": "00"}}],
)
def test_a_record_of_another_trial_is_refused(tmp_path: Path, change: dict) -> None:
    path = RecordStore(tmp_path).write(record(**change))
    with pytest.raises(RecordError, match=f"does not belong to this plan: {next(iter(change))}"):
        read_record(path, SPEC)


def test_a_newer_record_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = RecordStore(tmp_path).write(record(version=99))
    with pytest.raises(RecordError, match="newer version"):
        read_record(path)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="Free some space"):
        write_atomically(tmp_path / "a" / "x.json", json.dumps({}))
    assert list((tmp_path / "a").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StoreError, match="REPRO_HOME"):
        write_atomically(Path("/proc/nowhere/x.json"), "{}")


def test_running_trials_are_those_reported_lately(tmp_path: Path) -> None:
    running = tmp_path / "running"
    running.mkdir()
    (running / "fresh.json").write_text(json.dumps({"label": "n=4", "done": 0.5, "at": time.time()}))
    (running / "old.json").write_text(json.dumps({"label": "n=8", "done": 0.5, "at": time.time() - 3600}))
    (running / "half.json").write_text('{"label": ')
    assert RecordStore(tmp_path).running() == {"fresh": ("n=4", 0.5)}
