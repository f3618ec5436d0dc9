import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.launch import worker
from repro.launch.planning.planfile import write_plan
from repro.launch.records.store import RecordStore
from repro.launch.running import trials
from repro.launch.session import prepare
from repro.schema.errors import PlanError
from repro.schema.trial import Plan, TrialSpec
from tests_support import RECIPE


def planned(words: list[str] = ["toy/mean", "scale=smoke"]) -> Plan:  # noqa: B006
    return prepare(words, load_index()).plan


def test_a_worker_runs_a_plan_and_resumes_it(write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_claims()
    plan = planned()
    write_plan(plan, tmp_path / "plan.json")
    arguments = [str(tmp_path / "plan.json"), "--out", str(tmp_path / "records")]
    assert worker.main(arguments) == 0
    records = list(RecordStore(tmp_path / "records").all())
    assert {record.key for record in records} == {spec.key for spec in plan.trials}
    assert all(record.seals == plan.seals and record.status == "finished" for record in records)
    assert records[0].curves["x"][0][0] == 0
    assert not list((tmp_path / "records/running").iterdir())
    capsys.readouterr()
    assert worker.main(arguments) == 0
    assert capsys.readouterr().out.count("already done") == len(plan.trials)


def trials_that_take(seconds: float, file: Path) -> list[str]:
    write_plan(planned(["toy/mean", "scale=smoke", f"+study.params.seconds={seconds}"]), file)
    return [str(file), "--out", str(file.parent / "records")]


def test_so_many_minutes_start_nothing_that_would_not_end_and_calls_add_up(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims()
    arguments, store = trials_that_take(0.4, tmp_path / "plan.json"), RecordStore(tmp_path / "records")
    finished, calls = 0, 0
    while finished < 6:
        started = time.monotonic()
        assert worker.main([*arguments, "--minutes", "0.02"]) == 0
        assert time.monotonic() - started < 1.2 + 0.5
        before, finished, calls = finished, len(list(store.all())), calls + 1
        out = capsys.readouterr().out
        assert 0 < finished - before < 6
        assert (f"{6 - finished} trial{'' if finished == 5 else 's'} left, run again" in out) == (finished < 6)
    assert calls > 1
    assert not (tmp_path / "records/stopped").exists()
    assert not (tmp_path / "records/failed").exists()


def test_a_trial_that_needs_more_than_a_call_is_named_and_holds_up_nothing_else(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims(recipe=RECIPE.replace("    return 10.0\n", "    return 10.0 + 90 * config.effect\n"))
    plan = planned(["toy/mean", "scale=smoke"])
    slow = [
        replace(spec, config={**spec.config, "seconds": 30.0}) for spec in plan.trials if spec.config["effect"] == 1
    ]
    quick = [spec for spec in plan.trials if spec.config["effect"] == 0]
    write_plan(replace(plan, attempts=(), trials=(*quick, *slow)), tmp_path / "plan.json")
    arguments = [str(tmp_path / "plan.json"), "--out", str(tmp_path / "records"), "--minutes", "0.02"]
    assert worker.main(arguments) == 0
    assert "6 trials left, run again: they would not have ended in time.\n" in capsys.readouterr().out
    assert worker.main(arguments) == 3
    printed = capsys.readouterr()
    assert "3 trials left, run again" in printed.out
    assert "3 of them need more than 0.02 minutes: seed=0" in printed.out
    assert "give --minutes more" in printed.err
    assert len(list(RecordStore(tmp_path / "records").all())) == 3
    assert not (tmp_path / "records/failed").exists()


def test_a_long_trial_says_how_far_it_is(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims()
    monkeypatch.setattr(worker, "TELL_EVERY_S", 0.1)
    assert worker.main(trials_that_take(0.7, tmp_path / "plan.json")) == 0
    assert re.search(r"^  \d+% of seed=0$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_minutes_are_a_number_above_zero(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str], minutes: str
) -> None:
    write_claims()
    assert worker.main([*trials_that_take(0.0, tmp_path / "plan.json"), "--minutes", minutes]) == 2
    assert "--minutes must be a number above 0" in capsys.readouterr().err


def test_a_program_that_fails_is_no_datum_and_gives_exit_code_3(
    write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_claims()
    write_plan(planned(["toy/mean", "scale=smoke", "+study.params.crash=always"]), tmp_path / "plan.json")
    assert worker.main([str(tmp_path / "plan.json"), "--out", str(tmp_path / "records")]) == 3
    assert list(RecordStore(tmp_path / "records").all()) == []
    assert "RuntimeError: the machine gave up" in capsys.readouterr().out
    (failure, *_) = sorted((tmp_path / "records/failed").iterdir())
    assert str(tmp_path) not in failure.read_text()


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ('{"x": float("nan")}', "diverged"),
        ('{"x": float("inf")}', "diverged"),
        ("{}", "failed"),
        ("[]", "failed"),
        ("[{'x': 1}]", "finished"),
        ("3", "failed"),
    ],
)
def test_what_run_returns_decides_the_status(write_claims, tmp_path: Path, result: str, status: str) -> None:
    body = RECIPE.replace('return {"x": x, "flops": 10.0}', f"return {result}")
    write_claims(recipe=body)
    plan = planned()
    record = trials.run_trial(plan.trials[0], plan.seals, RecordStore(tmp_path / "records"))
    assert record.status == status
    json.dumps(record.rows, default=str, allow_nan=False)


def test_a_recipe_may_say_that_it_diverged(write_claims, tmp_path: Path) -> None:
    write_claims(recipe=RECIPE.replace('return {"x": x, "flops": 10.0}', 'raise FloatingPointError("loss is nan")'))
    plan = planned()
    record = trials.run_trial(plan.trials[0], plan.seals, RecordStore(tmp_path / "records"))
    assert (record.status, record.error, record.rows) == ("diverged", "loss is nan", ())


def test_a_trial_that_hangs_fails_at_its_time_limit(write_claims, tmp_path: Path) -> None:
    write_claims()
    spec = replace(planned(["toy/mean", "scale=smoke", "+study.params.seconds=30"]).trials[0], time_limit_s=0.2)
    record = trials.run_trial(spec, (), RecordStore(tmp_path / "records"))
    assert record.status == "failed"
    assert "longer than its limit of 0.2 s" in (record.error or "")
    assert record.seconds < 5


def spec_of(recipe: str, sources: str = "0") -> TrialSpec:
    return TrialSpec("a/b", recipe, {}, 0, sources, "cpu", "float32")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("os", "not a module"),
        ("json.tool", "is no recipe"),
        ("no.such.module", "not a module"),
        ("recipes.toys.draws", "sources of recipe"),
    ],
)
def test_what_is_no_recipe_or_another_recipe_is_refused_unrun(write_claims, recipe: str, message: str) -> None:
    write_claims()
    with pytest.raises(PlanError, match=message):
        trials.check_spec(spec_of(recipe))


def test_a_gpu_that_is_not_there_is_said_before_anything_runs(write_claims, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    monkeypatch.setattr(trials, "cuda_is_here", lambda: False)
    with pytest.raises(PlanError, match="asks for a CUDA device"):
        trials.check_spec(replace(planned().trials[0], device="cuda"))


def test_a_changed_recipe_is_refused(write_claims, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_claims()
    write_plan(planned(), tmp_path / "plan.json")
    from repro.catalog import recipe

    with (root / "recipes/toys/draws.py").open("a") as stream:
        stream.write("\n# edited\n")
    recipe.source_digest.cache_clear()
    assert worker.main([str(tmp_path / "plan.json"), "--out", str(tmp_path / "records")]) == 2
    assert "differ from those that were planned" in capsys.readouterr().err


def test_the_worker_imports_neither_hydra_nor_mlflow() -> None:
    import subprocess
    import sys

    program = "import sys, repro.launch.worker\nprint([m for m in ('mlflow', 'hydra', 'omegaconf', 'pandas', 'torch', 'joblib', 'pooch', 'numpy') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
        == "[]"
    )


def test_the_worker_needs_a_checkout_and_the_standard_library_alone(write_claims, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    write_claims()
    write_plan(planned(), tmp_path / "plan.json")
    root = Path(worker.__file__).parents[2]
    command = [sys.executable, "-S", "-m", "repro.launch.worker", "plan.json", "--out", "records"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "records").glob("*.json"))) == 6
