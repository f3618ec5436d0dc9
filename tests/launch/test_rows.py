"""Quick trials go to worker processes in rows; what holds of each by itself holds in a row."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.launch.planning.keys import key_of
from repro.launch.records import store as records_module
from repro.launch.records.store import RecordStore
from repro.launch.running.rows import QUICK_S, ROW_S, Rows, run_row
from repro.launch.session import prepare
from repro.schema.errors import StoreError
from repro.schema.trial import TrialRecord, TrialSpec
from tests_support import RECIPE
from trial_records import make_record

SPEC = TrialSpec("a/study", "recipes.a", {"seed": 0}, 0, "5" * 64, "cpu", "float32")


def specs(count: int, recipe: str = "recipes.a") -> list[TrialSpec]:
    return [replace(SPEC, recipe=recipe, config={"seed": seed}, replicate=seed) for seed in range(count)]


def took(seconds: float, count: int = 1, recipe: str = "recipes.a") -> list[TrialRecord]:
    return [replace(make_record(seed, {"x": 1.0}), recipe=recipe, seconds=seconds) for seed in range(count)]


def lengths(trials: Sequence[TrialSpec], seconds: float, jobs: int = 2) -> list[int]:
    """Return how long the rows are if each is asked for once the one before it ended."""
    rows, found = Rows([(spec,) for spec in trials], jobs), []
    for row in rows:
        found.append(len(row))
        rows.learn(took(seconds, len(row)))
    assert sum(found) == len(trials)
    return found


def test_the_first_goes_alone_and_then_as_many_as_fill_half_a_second() -> None:
    found = lengths(specs(1000), 0.01)
    assert found[0] == 1
    assert found[1] == round(ROW_S / 0.01)


def test_slow_trials_go_one_by_one() -> None:
    assert lengths(specs(40), QUICK_S) == [1] * 40


def test_the_last_rows_grow_short_so_that_no_worker_waits_for_another() -> None:
    found = lengths(specs(200), 0.001, jobs=2)
    assert found[1] <= 50
    assert found[-4:] == [1] * 4


def test_a_row_is_of_one_recipe_and_a_stack_stays_alone() -> None:
    first, others = specs(4), specs(4, "recipes.b")
    rows = Rows([*((spec,) for spec in first), tuple(others[:2]), (others[2],), (others[3],)], 1)
    for recipe in ("recipes.a", "recipes.b"):
        rows.learn(took(0.001, recipe=recipe))
    found = list(rows)
    assert [spec for row in found for stack in row for spec in stack] == [*first, *others]
    assert all(len({spec.recipe for stack in row for spec in stack}) == 1 for row in found)
    assert all(len(row) == 1 for row in found if len(row[0]) > 1)


def test_a_trial_that_took_long_shortens_the_next_rows() -> None:
    rows = Rows([(spec,) for spec in specs(400)], 1)
    rows.learn(took(0.001))
    rows.learn(took(0.09))
    assert len(next(iter(rows))) == round(ROW_S // 0.09) + 1


@pytest.fixture
def planned(write_claims, tmp_path: Path):
    """Return the seals, six trials of a recipe that says of each when it runs, and an empty store."""
    write_claims(recipe=RECIPE)
    plan = prepare(["toy/mean", "scale=cpu"], load_index(), store=False).plan
    main = [spec for spec in plan.trials if spec.config["effect"] == 1.0]
    return plan.seals, main, RecordStore(tmp_path / "records")


def test_a_row_leaves_the_records_that_its_trials_leave_alone(planned, tmp_path: Path) -> None:
    seals, trials, store = planned
    apart = RecordStore(tmp_path / "apart")
    in_a_row = run_row(tuple((spec,) for spec in trials), seals, store)
    alone = [record for spec in trials for record in run_row(((spec,),), seals, apart)]
    assert [record.rows for record in in_a_row] == [record.rows for record in alone]
    assert [store.find(spec, "") for spec in trials] == in_a_row
    assert sorted(file.name for file in (store.directory / "provenance").glob("*.json")) == sorted(
        file.name for file in (apart.directory / "provenance").glob("*.json")
    )
    assert not any((store.directory / "locks").iterdir())


def test_each_lock_is_held_until_the_record_is_there(planned, monkeypatch: pytest.MonkeyPatch) -> None:
    seals, trials, store = planned
    write, held = records_module.write_atomically, []

    def watched(path: Path, text: str) -> None:
        write(path, text)
        held.append(all(store.is_reserved(spec) for spec in trials if key_of(spec) == path.stem))

    monkeypatch.setattr(records_module, "write_atomically", watched)
    run_row(tuple((spec,) for spec in trials), seals, store)
    assert held == [True] * len(trials)


def test_a_finished_trial_of_a_row_is_not_run_again(planned) -> None:
    seals, trials, store = planned
    (first,) = run_row(((trials[2],),), seals, store)
    found = run_row(tuple((spec,) for spec in trials), seals, store)
    assert len(found) == len(trials)
    assert first in found


def test_one_that_fails_leaves_the_others_of_its_row(planned) -> None:
    seals, trials, store = planned
    broken = replace(trials[1], config={**trials[1].config, "crash": "always"})
    row = (trials[0], broken, *trials[2:])
    statuses = {record.key: record.status for record in run_row(tuple((spec,) for spec in row), seals, store)}
    assert statuses == {key_of(spec): "failed" if spec is broken else "finished" for spec in row}
    assert [failure.error for failure in store.failures(key_of(broken))] != [None]
    assert store.failed_keys() == {key_of(broken)}


def test_a_record_that_cannot_be_written_is_said(planned, monkeypatch: pytest.MonkeyPatch) -> None:
    seals, trials, store = planned

    def full(path: Path, text: str) -> None:
        raise StoreError(f"{path} could not be written (No space left on device).")

    monkeypatch.setattr(records_module, "write_atomically", full)
    with pytest.raises(StoreError, match="No space left"):
        run_row(tuple((spec,) for spec in trials), seals, store)
