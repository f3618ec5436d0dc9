"""Every command as a user types it: what it prints, and its exit code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests_support import CLAIM, STUDY


def test_a_claim_from_list_to_judge(write_claims, repro) -> None:
    write_claims()
    code, out, _ = repro("list", "toy/*")
    assert code == 0
    assert "toy/mean" in out
    assert "not run" in out
    code, out, _ = repro("run", "toy/mean", "scale=cpu")
    assert code == 0
    assert "✓ match" in out
    assert "control without_effect failed, as it must" in out
    code, out, _ = repro("list", "toy/mean")
    assert "match (cpu)" in out
    code, out, _ = repro("show", "toy/mean")
    assert "A quarter is what matters here." in out
    assert "cpu" in out
    code, out, _ = repro("status")
    assert "12 of 12" in out
    code, out, _ = repro("judge", "toy/mean")
    assert code == 0
    assert "✓ match" in out


def test_exit_codes(write_claims, repro) -> None:
    wrong = CLAIM.format(name="toy/wrong", printed="3.0")
    crash = "recipe: recipes.toys.draws\nparams: {crash: always, effect: 1.0}\nscales: {cpu: {replicates: 3}}\n"
    broken = CLAIM.format(name="toy/broken", printed="1.0").replace("toys/draws", "toys/crash")
    write_claims(extra={"claim/toy/wrong.yaml": wrong, "claim/toy/broken.yaml": broken, "study/toys/crash.yaml": crash})
    assert repro("run", "toy/wrong", "scale=cpu")[0] == 0
    assert repro("run", "toy/wrong", "scale=cpu", "--strict")[0] == 1
    assert repro("run", "toy/mean", "scale=cpu", "--strict")[0] == 0
    code, _, errors = repro("run", "toy/broken", "scale=cpu")
    assert code == 3
    assert "the machine gave up" in errors
    code, _, errors = repro("run", "toy/mean", "scale=smoke", "executor=inline,processes")
    assert code == 2
    assert "One launch has one executor" in errors
    code, _, errors = repro("run", "toy/maen")
    assert code == 2
    assert errors.strip() == "error: There is no claim 'toy/maen'. Did you mean 'toy/mean'?"


def test_json_is_one_versioned_document(write_claims, repro, tmp_path: Path) -> None:
    write_claims()
    for words, schema in {
        ("run", "toy/mean", "scale=cpu"): "repro.run/1",
        ("list", "toy/*"): "repro.list/1",
        ("show", "toy/mean"): "repro.show/1",
        ("plan", "toy/mean", "scale=cpu"): "repro.plan/1",
        ("status",): "repro.status/1",
        ("config", "toy/mean"): "repro.config/1",
        ("judge", "toy/mean"): "repro.run/1",
    }.items():
        code, out, _ = repro(*words, "--json")
        assert code == 0, words
        assert json.loads(out)["schema"] == schema
    verdict = json.loads(repro("judge", "toy/mean", "--json")[1])["attempts"][0]["verdict"]
    assert verdict["outcome"] == "match"
    assert verdict["parts"]["value"]["estimate"]["n"] == 6


def test_plan_elsewhere_and_collect(write_claims, repro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.launch import worker

    write_claims()
    code, out, _ = repro("plan", "toy/mean", "scale=cpu", "--out", "plan.json")
    assert code == 0
    assert "repro collect records/ --plan plan.json" in out
    assert worker.main(["plan.json", "--out", "records"]) == 0
    code, out, _ = repro("collect", "records", "--plan", "plan.json")
    assert code == 0
    assert "✓ match" in out
    assert "match (cpu)" in repro("list", "toy/mean")[1]


@pytest.mark.parametrize("damage", ["edit", "foreign", "seals", "empty"])
def test_collect_refuses_what_is_not_of_the_plan(write_claims, repro, tmp_path: Path, damage: str) -> None:
    from repro.launch import worker

    root = write_claims()
    repro("plan", "toy/mean", "scale=smoke", "--out", "plan.json")
    worker.main(["plan.json", "--out", "records"])
    files = sorted(Path("records").glob("*.json"))
    if damage == "edit":
        files[0].write_text(files[0].read_text().replace('"finished"', '"diverged"'))
    elif damage == "foreign":
        repro("plan", "toy/exact", "--out", "plan.json")
    elif damage == "seals":
        (root / "claim/toy/mean.yaml").write_text(CLAIM.format(name="toy/mean", printed="1.2"))
        repro("plan", "toy/mean", "scale=smoke", "--out", "plan.json")
    else:
        for file in files:
            file.unlink()
    code, _, errors = repro("collect", "records", "--plan", "plan.json")
    assert code == 2
    expected = {
        "edit": "edited after it was written",
        "foreign": "does not belong to this plan",
        "seals": "under another plan",
        "empty": "holds no records",
    }
    assert expected[damage] in errors
    assert not list(Path(".repro/records").glob("*.json"))


def test_config_prints_what_hydra_composed(write_claims, repro) -> None:
    write_claims()
    code, out, _ = repro("config", "toy/mean", "scale=smoke", "study.params.effect=2")
    assert code == 0
    assert "effect: 2" in out
    assert repro("run", "toy/mean", "scale=smoke", "study.params.effect=2", "--cfg", "job")[1] == out
    assert repro("run", "toy/mean", "--cfg", "hydra")[0] == 2


def test_plan_shows_cost_and_runs_nothing(write_claims, repro) -> None:
    write_claims()
    code, out, _ = repro("plan", "toy/mean", "scale=cpu")
    assert code == 0
    assert "12 (6 main, 6 without_effect)" in out
    assert "120" in out  # FLOPs: ten a trial
    assert not Path(".repro").exists()


def test_a_sweep_of_overrides_is_exploratory(write_claims, repro) -> None:
    write_claims()
    code, out, _ = repro("run", "toy/mean", "scale=smoke", "study.params.effect=1.0,1.1")
    assert code == 0
    assert out.count("exploratory") >= 2


def test_new_writes_a_claim_that_runs(write_claims, repro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    code, out, _ = repro("new", "adam/step_size", "--study", "optimisers/adam", "--into", "ours")
    assert code == 0
    assert "export REPRO_CLAIMS=ours" in out
    monkeypatch.setenv("REPRO_CLAIMS", str(tmp_path / "ours"))
    code, out, errors = repro("run", "adam/step_size", "scale=cpu", "--strict")
    assert code == 0, errors
    assert "✓ match" in out
    assert repro("new", "adam/step_size", "--study", "optimisers/adam", "--into", "ours")[0] == 2
    assert repro("new", "Adam", "--study", "optimisers/adam", "--into", "ours")[0] == 2
    assert "no checkout" in repro("new", "adam/other", "--study", "optimisers/adam")[2]


def test_nothing_launched_and_nothing_to_judge(write_claims, repro) -> None:
    write_claims()
    assert "Nothing was launched" in repro("status")[1]
    code, _, errors = repro("judge", "toy/mean")
    assert code == 2
    assert "Launch one: repro run toy/mean" in errors


def test_a_changed_estimator_cannot_judge_an_old_seal(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims(study=STUDY.replace("replicates: 6", "replicates: 3"))
    repro("run", "toy/mean", "scale=smoke")
    monkeypatch.setattr("repro.catalog.estimators.estimator_digest", lambda spec: "another")
    code, _, errors = repro("judge", "toy/mean")
    assert code == 2
    assert "sealed with another version" in errors


def test_a_changed_estimator_cannot_judge_what_is_collected(
    write_claims, repro, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.launch import worker

    write_claims(study=STUDY.replace("replicates: 6", "replicates: 3"))
    repro("plan", "toy/mean", "scale=smoke", "--out", "plan.json")
    assert worker.main(["plan.json", "--out", "records"]) == 0
    monkeypatch.setattr("repro.catalog.estimators.estimator_digest", lambda spec: "another")
    code, _, errors = repro("collect", "records", "--plan", "plan.json")
    assert code == 2
    assert "sealed with another version" in errors


def test_completion_reads_the_index(write_claims) -> None:
    from repro.cli.complete import complete_claims, complete_words

    write_claims()
    assert complete_claims("toy/m") == ["toy/mean"]
    assert complete_words("scale=s") == ["scale=smoke"]
    assert "claim=toy/mean" in complete_words("claim=toy/")
    assert complete_words("executor=p") == ["executor=processes"]


def test_a_full_disk_is_one_paragraph(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_claims()
    monkeypatch.setattr(os, "fsync", full)
    code, _, errors = repro("run", "toy/mean", "scale=smoke")
    assert code == 2
    assert "Free some space" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "command", ["list", "show", "plan", "run", "status", "judge", "collect", "config", "pages", "serve", "demo", "new"]
)
def test_help_teaches_by_example(repro, command: str) -> None:
    code, out, _ = repro(command, "--help")
    assert code == 0
    assert f"repro {command}" in out.partition("Example")[2]
    assert "Traceback" not in out


def test_a_closed_pipe_is_quiet(write_claims) -> None:
    write_claims()
    done = subprocess.run(
        f"{sys.executable} -c 'from repro.cli import main; main()' list | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_judging_again_keeps_where_an_attempt_came_from(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    sealed = {"commit": "a" * 40, "dirty": True}
    monkeypatch.setattr("repro.launch.session.attempt_provenance", lambda command: sealed)
    repro("run", "toy/exact")
    monkeypatch.setattr("repro.launch.session.attempt_provenance", lambda command: {"commit": "b" * 40, "dirty": False})
    environments = set()
    for words in (("judge", "toy/exact"), ("run", "toy/exact")):
        (attempt,) = json.loads(repro(*words, "--json")[1])["attempts"]
        environments.add(attempt["provenance"].pop("environment"))
        assert attempt["provenance"] == sealed
    assert len(environments) == 1


def test_a_damaged_plan_stops_no_command_about_other_claims(write_claims, repro) -> None:
    write_claims(extra={"claim/toy/other.yaml": CLAIM.format(name="toy/other", printed="1.0")})
    assert repro("run", "toy/other", "scale=cpu")[0] == 0
    (damaged,) = Path(".repro/plans").glob("*.json")
    assert repro("run", "toy/mean", "scale=cpu")[0] == 0
    damaged.write_text("cut sh")
    for words, told in (
        (["status"], "toy/mean@replicate@cpu"),
        (["judge", "toy/mean", "toy/other"], "toy/mean"),
        (["calibrate", "toy/*", "--draws", "5"], "toy/mean@replicate@cpu"),
    ):
        code, out, errors = repro(*words)
        assert (code, told in out) == (2, True), words
        assert damaged.name in errors
        assert "Traceback" not in errors
    assert repro("judge", "toy/mean")[0] == 0
    assert repro("run", "toy/other", "scale=cpu")[0] == 0
    code, out, _ = repro("status")
    assert code == 0
    assert "toy/other@" in out
    assert "toy/mean@" in out


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"plan": "x", "provenance": {}, "replicates": null, "indicative": false}']
)
def test_a_damaged_pointer_is_named_with_what_to_do(write_claims, repro, content: str) -> None:
    write_claims()
    assert repro("run", "toy/mean", "scale=cpu")[0] == 0
    (pointer,) = Path(".repro/attempts").glob("*/*/*")
    pointer.write_text(content)
    code, _, errors = repro("plan", "toy/mean", "scale=cpu")
    assert code == 2
    assert "remove it and launch the attempt again" in errors.lower()


def test_after_too_few_seeds_the_next_step_is_one_that_will_not_be_refused(write_claims, repro) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", "spread: 0.15"))
    _, out, _ = repro("run", "toy/mean", "scale=cpu", "--pilot", "0.15", "--indicative")
    words = re.search(r"Next: more seeds are a new attempt: repro run (.*replicates=\d+)", out)[1].split()
    assert repro("run", "toy/mean", "scale=cpu", "--new-seeds")[0] == 2
    assert repro("run", *words)[0] == 0
