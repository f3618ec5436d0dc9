"""`repro plan` and what `repro run` refuses, as a user types it."""

import contextlib
import io
import json
from pathlib import Path

import pytest

from repro.launch import worker
from repro.launch.planning.planfile import read_plan, read_plan_and_provenance, write_plan
from tests_support import CLAIM, STUDY

GPU = {
    "claim/toy/gpu.yaml": CLAIM.format(name="toy/gpu", printed="1.0")
    .replace("decisive: [cpu]", "decisive: [gpu]")
    .replace("toys/draws", "toys/gpu"),
    "study/toys/gpu.yaml": STUDY.replace("cpu:", "gpu:"),
}
"""The toy claim where only a GPU decides: 12 trials of ten FLOPs each."""
ASSUMED = ("--peak-flops", "0.1", "--utilisation", "0.1")
"""A hundredth of a FLOP a second: 120 FLOPs take 12,000 s."""


def work(plan: str) -> None:
    """Run the worker on a plan, quietly."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert worker.main([plan, "--out", "records"]) == 0


def row(repro, *words: str) -> dict:
    code, out, errors = repro("plan", *words, "--json")
    assert code == 0, errors
    document = json.loads(out)
    assert document["schema"] == "repro.plan/1"
    return document["attempts"][0]


def test_a_plan_shows_power_and_what_would_do(write_claims, repro) -> None:
    write_claims()
    code, out, _ = repro("plan", "toy/mean", "scale=cpu", "--pilot", "0.5")
    assert code == 0
    found = row(repro, "toy/mean", "scale=cpu", "--pilot", "0.5")
    needed = found["forecast"]["seeds_80"]
    assert f"80 % needs {needed} seeds" in out
    assert "spread 0.5 from --pilot 0.5" in out
    assert "refused" in out
    assert f"replicates={needed}" in out
    assert found["refusal"] in " ".join(out.split())
    assert found["forecast"]["parts"]["value"]["spread"] == 0.5
    assert not Path(".repro").exists()


def test_out_and_run_refuse_what_plan_shows_as_refused(write_claims, repro) -> None:
    write_claims()
    for words in (("plan", "--out", "plan.json"), ("run",)):
        code, _, errors = repro(words[0], "toy/mean", "scale=cpu", "--pilot", "0.5", *words[1:])
        assert code == 2
        assert errors.startswith("error: Nothing was sealed")
        assert "replicates=" in errors
    assert not Path("plan.json").exists()
    assert not Path(".repro").exists()


def test_indicative_is_said_wherever_the_plan_is_shown(write_claims, repro) -> None:
    write_claims()
    hopeless = ("toy/mean", "scale=cpu", "--pilot", "0.5", "--indicative")
    code, out, _ = repro("plan", *hopeless, "--out", "plan.json")
    assert code == 0
    assert "indicative: sealed although it can hardly decide" in out
    (attempt,) = [attempt for attempt in read_plan(Path("plan.json")).attempts if attempt.requested]
    assert attempt.sealed.indicative
    code, out, errors = repro("run", *hopeless, "--json")
    assert code == 0
    assert "sealed as indicative" in errors
    (ran,) = json.loads(out)["attempts"]
    assert (ran["id"], ran["sealed"]["indicative"], ran["validity"]) == (attempt.id, True, "current")
    assert row(repro, "toy/mean", "scale=cpu")["indicative"] is True


def test_an_unknown_spread_is_said_plainly(write_claims, repro) -> None:
    write_claims()
    _, out, _ = repro("plan", "toy/mean", "scale=cpu")
    assert "unknown: no spread is known. Run `repro run toy/mean scale=smoke`, or give --pilot" in out
    _, out, _ = repro("plan", "toy/exact")
    assert "decides for sure" in out


def test_price_and_assumed_speed_make_a_cost(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims(extra=GPU)
    plain = row(repro, "toy/gpu", "scale=gpu", "--pilot", "0.05")
    assert plain["cost"]["now"]["flops"] == 120
    assert plain["cost"]["now"]["gpu_hours"] is None
    cost = row(repro, "toy/gpu", "scale=gpu", "--pilot", "0.05", "--price", "3", *ASSUMED)["cost"]
    assert cost["now"]["gpu_hours"] == pytest.approx(12000 / 3600)
    assert cost["now"]["money"] == pytest.approx(10.0)
    assert cost["for_80"]["gpu_hours"] == pytest.approx(12000 / 3600 * plain["forecast"]["seeds_80"] / 6)
    monkeypatch.setenv("REPRO_GPU_PRICE", "6")
    _, out, _ = repro("plan", "toy/gpu", "scale=gpu", *ASSUMED)
    assert "3.3 GPU-hours, 20.00 at 6 a GPU-hour" in out
    assert "at the speed that was assumed, 0.01 FLOP/s" in out


def test_a_cpu_scale_costs_no_gpu_hours(write_claims, repro) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=smoke")
    found = row(repro, "toy/mean", "scale=cpu", "--price", "3", "--max-gpu-hours", "0")
    assert (found["cost"]["now"]["gpu_hours"], found["cost"]["now"]["money"]) == (0.0, 0.0)
    assert found["cost"]["now"]["cpu_hours"] > 0
    assert "no GPU-hours" in repro("plan", "toy/mean", "scale=cpu")[1]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_more_gpu_hours_than_allowed_are_refused(write_claims, repro, command: str) -> None:
    write_claims(extra=GPU)
    out = ("--out", "plan.json") if command == "plan" else ()
    code, _, errors = repro(command, "toy/gpu", "scale=gpu", "--max-gpu-hours", "3", *ASSUMED, *out)
    assert code == 2
    assert "about 3.33 GPU-hours, more than --max-gpu-hours 3" in errors
    assert not Path(".repro").exists()


def test_looks_are_shown_with_the_seeds_to_be_expected(write_claims, repro) -> None:
    looks = CLAIM.format(name="toy/mean", printed="1.0").replace(
        "decisive: [cpu]\n", "decisive: [cpu]\n    looks: 3\n    max_replicates: 12\n"
    )
    write_claims(claim=looks)
    _, out, _ = repro("plan", "toy/mean", "scale=cpu", "--pilot", "0.08")
    found = row(repro, "toy/mean", "scale=cpu", "--pilot", "0.08")["looks"]
    assert found["seeds"] == [4, 8, 12]
    assert found["alpha"] == pytest.approx(0.05 / 3)
    assert 4 <= found["expected_seeds"] <= 12
    assert "after 4, 8 and 12 seeds, each at α = 0.0167; stops when decided" in out
    assert f"about {found['expected_seeds']:.1f} seeds on average" in out


def test_trials_older_than_the_seal_are_said_before_they_are_used(write_claims, repro) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=smoke")
    _, out, _ = repro("plan", "toy/mean", "scale=cpu")
    assert "6 of its trials ran before this seal" in out
    assert row(repro, "toy/mean", "scale=cpu", "--new-seeds")["post_hoc"] == 0
    _, out, _ = repro("run", "toy/mean", "scale=cpu", "--new-seeds", "--json")
    (attempt,) = json.loads(out)["attempts"]
    assert (attempt["validity"], attempt["sealed"]["replicates"]) == ("current", [3, 4, 5, 6, 7, 8])


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_a_plan_fits_a_narrow_terminal(write_claims, repro, columns: int) -> None:
    write_claims(extra=GPU)
    _, out, _ = repro("plan", "toy/gpu", "scale=gpu", "--pilot", "0.3", *ASSUMED, columns=columns)
    assert max(len(line) for line in out.splitlines()) <= columns
    assert "power" in out


def test_results_collected_elsewhere_carry_where_they_were_sealed(
    write_claims, repro, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims()
    sealed = {"commit": "a" * 40, "dirty": False, "command": "repro plan toy/mean scale=cpu"}
    monkeypatch.setattr("repro.launch.session.attempt_provenance", lambda command: sealed)
    repro("plan", "toy/mean", "scale=cpu", "--out", "plan.json")
    monkeypatch.setattr("repro.launch.session.attempt_provenance", lambda command: {"commit": "b" * 40, "dirty": True})
    work("plan.json")
    monkeypatch.setenv("REPRO_HOME", "elsewhere")
    (attempt,) = json.loads(repro("collect", "records", "--plan", "plan.json", "--json")[1])["attempts"]
    assert len(attempt["provenance"].pop("environment")) == 64
    assert attempt["provenance"] == sealed


def test_a_plan_file_that_does_not_say_where_it_was_sealed_is_still_read(write_claims, repro) -> None:
    write_claims()
    repro("plan", "toy/mean", "scale=cpu", "--out", "plan.json")
    write_plan(read_plan(Path("plan.json")), Path("old.json"))
    assert "provenance" not in json.loads(Path("old.json").read_text())
    assert read_plan_and_provenance(Path("old.json"))[1] is None
    work("old.json")
    code, _, errors = repro("collect", "records", "--plan", "old.json", "--json")
    assert code == 0, errors


def test_an_old_plan_collected_elsewhere_claims_no_commit(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    repro("plan", "toy/mean", "scale=cpu", "--out", "plan.json")
    write_plan(read_plan(Path("plan.json")), Path("old.json"))
    work("old.json")
    monkeypatch.setenv("REPRO_HOME", "elsewhere")
    (attempt,) = json.loads(repro("collect", "records", "--plan", "old.json", "--json")[1])["attempts"]
    assert attempt["provenance"]["commit"] is None


def test_where_a_plan_was_sealed_cannot_be_edited(write_claims, repro) -> None:
    write_claims()
    repro("plan", "toy/mean", "scale=cpu", "--out", "plan.json")
    content = json.loads(Path("plan.json").read_text())
    next(iter(content["provenance"].values()))["commit"] = "f" * 40
    Path("plan.json").write_text(json.dumps(content))
    code, _, errors = repro("collect", "records", "--plan", "plan.json")
    assert code == 2
    assert "changed after it was sealed" in errors
