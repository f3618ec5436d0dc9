"""`repro gc`: what nothing refers to is found and removed, and nothing else."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from repro.launch.planning.stored import store_plan
from repro.launch.records import removal
from repro.launch.records.removal import remove
from repro.launch.records.unreferenced import Known, leftovers
from repro.schema.errors import StoreError
from sealed_here import HOME_RECORDS, runs, says_it_runs, seal, work

HOME = Path(".repro")
ORPHAN = "c" * 40
NOTHING = Known()


def aged(hours: float = 24.0) -> None:
    """Make everything in the store old enough."""
    then = time.time() - 3600 * hours
    for path in HOME.rglob("*"):
        os.utime(path, (then, then))


def files() -> set[str]:
    return {str(path.relative_to(HOME)) for path in HOME.rglob("*") if path.is_file()}


def found(known: Known = NOTHING) -> dict[str, str]:
    listed, _ = leftovers(HOME, lambda: known, time.time())
    return {str(each.path.relative_to(HOME)): each.kind for each in listed}


def litter(key: str) -> None:
    """Leave behind of a trial whatever can be left behind of one."""
    for name in (
        f"failed/{key}.1.json", f"stopped/{key}.json", f"running/{key}.json", f"locks/{key}.lock", f"damaged/{key}.json",
        f"damaged/{key}.json.why", f"checkpoints/{key}/step_000000000004/weights.pt", f"provenance/{key}.json",
        f"provenance/failed/{key}.{'d' * 12}.json",
    ):  # fmt: skip
        path = HOME_RECORDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


@pytest.fixture
def finished(write_claims):
    """Return a plan whose trials have all run."""
    write_claims()
    plan = seal()
    assert work() == 0
    aged()
    return plan


def test_a_store_as_it_should_be_has_nothing_to_remove(finished, repro) -> None:
    before = files()
    assert len([name for name in before if re.fullmatch(r"records/[0-9a-f]{40}\.json", name)]) == 4
    code, out, errors = repro("gc", "--remove", "--yes")
    assert (code, errors) == (0, "")
    assert "There is nothing that nothing refers to." in out
    assert files() == before


def test_of_a_trial_that_is_done_what_is_left_over_goes(finished) -> None:
    key = finished.trials[0].key
    before = files()
    litter(key)
    aged()
    kinds = found()
    assert kinds == {
        f"records/stopped/{key}.json": "time mark of a trial that is done",
        f"records/checkpoints/{key}": "checkpoints of a trial that is done",
        f"records/damaged/{key}.json": "damaged record of a trial that ran again",
        f"records/damaged/{key}.json.why": "damaged record of a trial that ran again",
        f"records/running/{key}.json": "progress of a trial that does not run",
        f"records/locks/{key}.lock": "lock that nobody holds",
    }
    listed, _ = leftovers(HOME, Known, time.time())
    assert remove(listed, HOME) == 6
    # Its failures stay: judging it again shows them.
    kept = {f"records/failed/{key}.1.json", f"records/provenance/failed/{key}.{'d' * 12}.json"}
    assert files() == before | kept
    assert found() == {}


def test_a_trial_that_is_not_done_keeps_what_it_goes_on_from(finished) -> None:
    record = HOME_RECORDS / f"{finished.trials[0].key}.json"
    for content in (record.read_text()[:50], None):
        record.unlink() if content is None else record.write_text(content)
        litter(record.stem)
        (HOME_RECORDS / "running" / record.name).unlink()
        (HOME_RECORDS / "locks" / f"{record.stem}.lock").unlink()
        aged()
        # Without its record a provenance is of no use: the trial runs again and writes another.
        orphan = {f"records/provenance/{record.name}": "provenance without its record"}
        assert found() == (orphan if content is None else {})


def test_what_is_of_no_plan_goes_whole(finished, repro) -> None:
    before = files()
    litter(ORPHAN)
    record = HOME_RECORDS / f"{finished.trials[0].key}.json"
    shutil.copy(record, HOME_RECORDS / f"{ORPHAN}.json")
    shutil.copy(record, HOME_RECORDS / f"{ORPHAN}.{'e' * 12}.json")
    aged()
    code, out, _ = repro("gc", columns=80)
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    assert re.search(r"record of no plan +2 +\S+ \w+ +24 h 00 min", out)
    assert "Nothing was removed. To remove them: repro gc --remove" in out
    assert files() > before
    document = json.loads(repro("gc", "--json")[1])
    assert document["schema"] == "repro.gc/1"
    assert (len(document["found"]), document["removed"], document["young"]) == (11, 0, 0)
    code, out, _ = repro("gc", "--remove", "--yes")
    assert code == 0
    assert "Removed 11 files and directories." in out
    assert files() == before


def test_what_the_ledger_knows_stays(finished) -> None:
    record = HOME_RECORDS / f"{ORPHAN}.json"
    shutil.copy(HOME_RECORDS / f"{finished.trials[0].key}.json", record)
    aged()
    assert set(found()) == {f"records/{record.name}"}
    assert found(Known(trials=frozenset({ORPHAN}))) == {}


@pytest.mark.slow
def test_a_real_ledger_is_asked(write_claims, repro) -> None:
    write_claims()
    assert repro("run", "toy/mean", "scale=smoke")[0] == 0
    for place in ("plans", "attempts"):
        shutil.rmtree(HOME / place)
    aged()
    before = files()
    code, out, errors = repro("gc", "--remove", "--yes")
    assert (code, errors) == (0, "")
    assert files() == before, out


def test_plans_without_attempts_and_attempts_without_plans(finished) -> None:
    (plan,), (pointer,) = (HOME / "plans").glob("*.json"), [p for p in (HOME / "attempts").rglob("*") if p.is_file()]
    name, content = str(pointer.relative_to(HOME)), pointer.read_text()
    pointer.unlink()
    kinds = found()
    assert kinds[f"plans/{plan.name}"] == "plan of no attempt"
    assert sum(kind == "record of no plan" for kind in kinds.values()) == 4
    pointer.write_text(content)
    plan.unlink()
    aged()
    assert found()[name] == "attempt whose plan is gone"
    (attempt,) = finished.attempts
    assert name not in found(Known(attempts=frozenset({attempt.id})))


def test_half_written_files_go(finished) -> None:
    (HOME_RECORDS / f".{ORPHAN}.json.x1.tmp").write_text("{")
    aged()
    assert found() == {f"records/.{ORPHAN}.json.x1.tmp": "half-written file"}


def test_foreign_files_are_left_alone(finished) -> None:
    for name in (
        "notes.txt",
        "records/mine.json",
        "records/failed/mine.json",
        "records/checkpoints/mine/x",
        "mine/x.json",
    ):
        path = HOME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    aged()
    assert found() == {}


def test_what_is_young_is_left_alone(finished, repro) -> None:
    litter(ORPHAN)
    assert found() == {}
    _, out, _ = repro("gc")
    assert "9 files and directories younger than ten minutes were left out." in out


def test_nothing_is_removed_while_trials_run(finished, repro) -> None:
    litter(ORPHAN)
    aged()
    before = files()
    with runs(finished.trials[0].key):
        code, _, errors = repro("gc", "--remove", "--yes")
        assert code == 2
        assert "1 trial runs" in errors
        listed, _ = leftovers(HOME, Known, time.time())
        with pytest.raises(StoreError, match="1 trial runs"):
            remove(listed, HOME)
        assert repro("gc")[0] == 0
    assert files() == before


def test_a_plan_that_is_stored_meanwhile_stops_it(finished) -> None:
    litter(ORPHAN)
    aged()
    listed, _ = leftovers(HOME, Known, time.time())

    # Between the list and the removal somebody launches.
    class Launches(list):
        def __iter__(self):
            for number, each in enumerate(super().__iter__()):
                if number == 3:
                    seal(counter=2, first=7)
                yield each

    with pytest.raises(StoreError, match="3 of 9 are gone"):
        remove(Launches(listed), HOME)


def test_a_plan_that_is_taken_up_again_meanwhile_stays(finished) -> None:
    (plan,), (pointer,) = (HOME / "plans").glob("*.json"), [p for p in (HOME / "attempts").rglob("*") if p.is_file()]
    pointer.unlink()
    aged()
    listed = [each for each in leftovers(HOME, Known, time.time())[0] if each.path == plan]
    store_plan(finished, {attempt.id: {} for attempt in finished.attempts})
    with pytest.raises(StoreError, match="A plan was stored meanwhile"):
        remove(listed, HOME)
    assert plan.exists()


def test_a_removal_that_is_cut_short_leaves_the_rest_to_the_next(finished, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files()
    litter(ORPHAN)
    aged()
    whole, count = removal._remove, []

    def killed(path: Path) -> None:
        count.append(path)
        if len(count) == 4:
            raise KeyboardInterrupt
        whole(path)

    monkeypatch.setattr(removal, "_remove", killed)
    listed, _ = leftovers(HOME, Known, time.time())
    with pytest.raises(KeyboardInterrupt):
        remove(listed, HOME)
    monkeypatch.setattr(removal, "_remove", whole)
    aged()
    listed, _ = leftovers(HOME, Known, time.time())
    assert len(listed) == 6
    assert remove(listed, HOME) == 6
    assert files() == before


@pytest.mark.parametrize("what", ["plan", "pointer"])
def test_what_cannot_be_read_stops_it(finished, repro, what: str) -> None:
    litter(ORPHAN)
    place = HOME / ("plans" if what == "plan" else "attempts")
    (file,) = (path for path in place.rglob("*") if path.is_file())
    file.write_text("{ cut sh")
    aged()
    before = files()
    code, _, errors = repro("gc", "--remove", "--yes")
    assert code == 2
    assert str(file) in errors
    assert "Nothing was removed" in errors
    assert files() == before


def test_it_asks_first(finished, repro) -> None:
    litter(ORPHAN)
    aged()
    before = files()
    code, _, errors = repro("gc", "--remove")
    assert code == 2
    assert "Add --yes" in errors
    assert files() == before


def test_environments_that_no_provenance_and_no_attempt_names_go(finished) -> None:
    place = HOME_RECORDS / "provenance" / "environments"
    place.mkdir(parents=True, exist_ok=True)
    named, unnamed, of_pointer = "1" * 64, "2" * 64, "3" * 64
    for digest in (named, unnamed, of_pointer):
        (place / f"{digest}.json").write_text("{}")
    (HOME_RECORDS / "provenance" / f"{finished.trials[0].key}.json").write_text(json.dumps({"environment": named}))
    (pointer,) = (path for path in (HOME / "attempts").rglob("*") if path.is_file())
    content = json.loads(pointer.read_text())
    content["provenance"]["environment"] = of_pointer
    pointer.write_text(json.dumps(content))
    aged()
    assert set(found()) == {f"records/provenance/environments/{unnamed}.json"}


def test_plans_of_jobs_go_when_their_trials_are_done(finished) -> None:
    (HOME_RECORDS / "jobs").mkdir()
    shutil.copy("plan.json", HOME_RECORDS / "jobs" / "plan-1.json")
    aged()
    assert found() == {"records/jobs/plan-1.json": "plan of jobs that are done"}
    (HOME_RECORDS / f"{finished.trials[0].key}.json").unlink()
    assert "records/jobs/plan-1.json" not in found()


def test_progress_without_a_lock_counts_while_it_is_young(finished) -> None:
    key = finished.trials[0].key
    says_it_runs(key)
    file = HOME_RECORDS / "running" / f"{key}.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "lock": None}))
    aged()
    assert found() == {}
    file.write_text(json.dumps({**content, "lock": None, "at": time.time() - 86400}))
    aged()
    assert set(found()) == {f"records/running/{key}.json"}


def test_help_teaches_by_example(repro) -> None:
    code, out, _ = repro("gc", "--help")
    assert code == 0
    assert "repro gc --remove" in out.partition("Example")[2]
