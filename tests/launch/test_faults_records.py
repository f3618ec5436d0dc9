"""Records cut, doubled, edited, emptied or swapped, disks that are full and places that cannot be written: found, said, and mended."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fault_support import RECIPE, tiny_plan
from repro.launch import worker
from repro.launch.records import damaged
from repro.launch.records.store import RecordStore
from repro.schema.errors import RecordError, StoreError
from repro.schema.trial import Plan


@pytest.fixture
def ran(write_claims, tmp_path: Path) -> tuple[Plan, list[str], RecordStore]:
    """Return a plan of three trials that ran, the worker's arguments, and the records."""
    write_claims(recipe=RECIPE)
    plan = tiny_plan([{"journal": str(tmp_path / "journal")}] * 3, tmp_path / "plan.json")
    arguments = [str(tmp_path / "plan.json"), "--out", str(tmp_path / "records")]
    assert worker.main(arguments) == 0
    return plan, arguments, RecordStore(tmp_path / "records")


def cut(file: Path, _: Path) -> None:
    file.write_text(file.read_text()[:300])


def double_its_text(file: Path, _: Path) -> None:
    file.write_text(2 * file.read_text())


def edit(file: Path, _: Path) -> None:
    content = json.loads(file.read_text())
    content["rows"][0]["x"] = 1.0
    file.write_text(json.dumps(content))


def empty(file: Path, _: Path) -> None:
    file.write_text("")


def no_text(file: Path, _: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")


def put_a_directory_in_its_place(file: Path, _: Path) -> None:
    file.unlink()
    (file / "inside").mkdir(parents=True)


def swap(file: Path, other: Path) -> None:
    shutil.copy(other, file)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (cut, "cut short"),
        (double_its_text, "cut short"),
        (edit, "was edited after it was written"),
        (empty, "cut short"),
        (no_text, "cannot be read"),
        (put_a_directory_in_its_place, "cannot be read"),
        (swap, "does not belong to this plan: key"),
    ],
)
def test_a_harmed_record_is_found_said_set_aside_and_its_trial_run_again(
    ran, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path, Path], None], why: str
) -> None:
    plan, arguments, store = ran
    files = [store.directory / f"{spec.key}.json" for spec in plan.trials]
    sound = [file.read_text() for file in files]
    for round_ in (1, 2):  # what was set aside before stays
        harm(files[0], files[1])
        capsys.readouterr()
        assert worker.main(arguments) == 0
        said = capsys.readouterr().err
        assert said.count("warning:") == 1
        assert why in said
        assert str(store.directory / "damaged") in said
        assert len(store.damaged()) == round_
        assert all(why in reason for reason in store.damaged().values())
    assert json.loads(files[0].read_text())["rows"] == json.loads(sound[0])["rows"]
    assert [file.read_text() for file in files[1:]] == sound[1:]
    assert (tmp_path / "journal").read_text().split() == ["0", "1", "2", "0", "0"]


def test_a_record_under_two_names_counts_once_and_the_copy_is_set_aside(
    ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, arguments, store = ran
    first = store.directory / f"{plan.trials[0].key}.json"
    shutil.copy(first, store.directory / "copy.json")
    shutil.copy(first, store.directory / f"{'0' * 40}.json")
    (store.directory / "mine.json").write_text('{"not": "a record"}')
    assert len(list(store.all())) == 3
    capsys.readouterr()
    assert worker.main(arguments) == 0
    assert f"copy.json is a second copy of the record of trial {plan.trials[0].key[:8]}" in capsys.readouterr().err
    assert set(store.damaged()) == {"copy.json"}
    assert (store.directory / "mine.json").exists()
    assert len((tmp_path / "journal").read_text().split()) == 3


def test_a_record_that_another_runs_again_meanwhile_is_left_to_it(ran) -> None:
    plan, _, store = ran
    spec = plan.trials[0]
    file = store.directory / f"{spec.key}.json"
    cut(file, file)
    with store.reserved([spec]) as (mine, _):  # whoever reserves it sets the damaged file aside
        assert mine == [spec]
        assert not file.exists()
        cut(shutil.copy(store.directory / f"{plan.trials[1].key}.json", file), file)
        assert store.find(spec, "") is None
        assert file.exists()


def test_a_record_of_a_newer_version_is_neither_moved_nor_repeated(ran, capsys: pytest.CaptureFixture[str]) -> None:
    plan, arguments, store = ran
    file = store.directory / f"{plan.trials[0].key}.json"
    content = json.loads(file.read_text()) | {"version": 99}
    file.write_text(json.dumps(content))
    with pytest.raises(RecordError, match="newer version"):
        store.find(plan.trials[0], "")
    assert worker.main(arguments) == 2
    assert json.loads(file.read_text()) == content


def test_a_record_that_the_system_refuses_to_read_is_left_as_it_is(ran, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _, store = ran

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(StoreError, match="Permission denied.*left as it is"):
        store.find(plan.trials[0], "")
    assert (store.directory / f"{plan.trials[0].key}.json").exists()


def test_a_damaged_record_in_a_read_only_store_is_one_clear_error(
    ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, arguments, store = ran
    file = store.directory / f"{plan.trials[0].key}.json"
    cut(file, file)

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(damaged.os, "replace", refuse)
    capsys.readouterr()
    assert worker.main(arguments) == 2
    said = capsys.readouterr().err
    assert "Read-only file system" in said
    assert "Make the directory writable" in said
    assert "Traceback" not in said


@pytest.fixture
def small_disk(tmp_path: Path):
    """Yield a directory on a disk of its own that holds a few records; unmounted afterwards."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_what_is_finished_and_the_rest_runs_when_there_is_room(
    write_claims, tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims(recipe=RECIPE)
    plan = tiny_plan([{}] * 200, tmp_path / "plan.json")
    store = RecordStore(small_disk / "records")
    arguments = [str(tmp_path / "plan.json"), "--out", str(store.directory)]
    assert worker.main(arguments) == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said
    assert "ree some space" in said
    assert "Traceback" not in said
    kept = {file.name: file.read_text() for file in store.directory.glob("*.json")}
    assert 0 < len(kept) < 200
    assert len(list(store.all())) == len(kept)
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert worker.main(arguments) == 0
    assert {name: (store.directory / name).read_text() for name in kept} == kept
    assert {record.key for record in store.all()} == {spec.key for spec in plan.trials}
    assert store.damaged() == {}


def test_a_read_only_store_is_one_clear_error(ran, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, arguments, _ = ran
    store = RecordStore(small_disk / "records")
    arguments[-1] = str(store.directory)
    assert worker.main([*arguments, "--only", plan.trials[0].key]) == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    capsys.readouterr()
    assert worker.main(arguments) == 2
    said = capsys.readouterr()
    assert "Read-only file system" in said.err
    assert "make the directory writable" in said.err.lower()
    assert "already done" in said.out
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert worker.main(arguments) == 0


def test_a_full_disk_is_said_where_nothing_can_be_mounted_too(
    ran, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, arguments, store = ran
    (store.directory / f"{plan.trials[0].key}.json").unlink()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        capsys.readouterr()
        assert worker.main(arguments) == 2
    assert "Free some space and run again: finished trials are kept." in capsys.readouterr().err
    assert worker.main(arguments) == 0
    assert len(list(store.all())) == 3


def test_a_file_in_the_place_of_the_store_is_one_clear_error(ran, tmp_path: Path, capsys) -> None:
    _, arguments, _ = ran
    (tmp_path / "file").write_text("")
    assert worker.main([*arguments[:-1], str(tmp_path / "file")]) == 2
    assert "make the directory writable" in capsys.readouterr().err
