"""`repro calibrate` as a user types it."""

import json
from pathlib import Path

import pytest

from tests_support import CLAIM

RIVAL = CLAIM.replace("because: A quarter is what matters here.", "because: A quarter., rivals: {{half: '0.5'}}")


def test_an_attempt_is_calibrated_and_its_rates_reach_ledger_and_cache(write_claims, repro) -> None:
    from repro.ledger.read import calibrations

    write_claims(claim=RIVAL.format(name="toy/mean", printed="1.0"))
    assert repro("run", "toy/mean", "scale=cpu")[0] == 0
    code, out, _ = repro("calibrate", "toy/mean", "--draws", "30")
    assert code == 0
    assert "If the claim were true" in out
    assert "rival's value" in out
    ((seal, found),) = calibrations().items()
    assert [file.stem for file in Path(".repro/calibrations").glob("*.json")] == [seal]
    assert {(s.truth, s.name): s.draws for s in found.scenarios} == {
        ("true", ""): 30, ("margin", "above"): 30, ("margin", "below"): 30, ("rival", "half"): 30,
    }  # fmt: skip
    assert found.method == "records"
    assert found.noise_from.startswith("toy/mean@replicate@cpu-")


def test_what_was_computed_is_not_computed_again_unless_asked(write_claims, repro) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=cpu")
    repro("calibrate", "toy/mean", "--draws", "10")
    (file,) = Path(".repro/calibrations").glob("*.json")
    first = file.stat().st_mtime_ns
    repro("calibrate", "toy/mean", "--draws", "10")
    repro("calibrate", "toy/mean")
    assert file.stat().st_mtime_ns == first
    repro("calibrate", "toy/mean", "--draws", "10", "--again")
    second = file.stat().st_mtime_ns
    assert second != first
    repro("calibrate", "toy/mean", "--draws", "12")
    assert json.loads(file.read_text())["scenarios"][0]["draws"] == 12
    file.write_text("{")
    assert repro("calibrate", "toy/mean", "--draws", "12")[0] == 0
    assert json.loads(file.read_text())["scenarios"][0]["draws"] == 12


def test_equal_seeds_give_equal_json(write_claims, repro) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=cpu")
    outs = [repro("calibrate", "toy/mean", "--draws", "20", "--again", "--json")[1] for _ in range(2)]
    assert outs[0] == outs[1]
    document = json.loads(outs[0])
    assert document["schema"] == "repro.calibrate/1"
    assert document["calibrations"][0]["scenarios"][0]["truth"] == "true"


def test_globs_take_what_was_run_and_a_table_sums_up(write_claims, repro) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=cpu")
    repro("run", "toy/exact")
    code, out, _ = repro("calibrate", "toy/*", "--draws", "10")
    assert code == 0
    assert "of 100 attempts" in out
    assert "always" in out
    assert "replicate@cpu" in out


def test_without_an_attempt_it_says_what_to_run(write_claims, repro) -> None:
    write_claims()
    code, out, err = repro("calibrate", "toy/mean")
    assert code == 2
    assert out == ""
    assert "No attempt of toy/mean@replicate@cpu was launched from this directory" in err
    assert "repro run toy/mean" in err
    assert "Traceback" not in err


def test_a_smoke_run_will_do_as_a_pilot(write_claims, repro) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=smoke")
    code, out, _ = repro("calibrate", "toy/mean@replicate@cpu", "--draws", "10", "--json")
    assert code == 0
    (found,) = json.loads(out)["calibrations"]
    assert found["noise_from"].startswith("toy/mean@replicate@smoke-")
    assert (found["scale"], found["units"]) == ("cpu", 6)
    assert "taken to fail" in found["note"]


def test_a_published_spread_will_do_as_well(write_claims, repro) -> None:
    spread = CLAIM.replace("source: verified}}", 'source: verified, sd: "0.05", n: 10}}')
    write_claims(claim=spread.format(name="toy/mean", printed="1.0"))
    code, out, _ = repro("calibrate", "toy/mean", "--draws", "10", "--json")
    assert code == 0
    (found,) = json.loads(out)["calibrations"]
    assert found["noise_from"] == "published"
    assert found["noise"]["value"] == pytest.approx(0.05)
    assert found["scenarios"][0]["match"] == 10


@pytest.mark.parametrize(
    ("word", "said"),
    [("toy/maen", "Did you mean 'toy/mean'"), ("toy/mean@replciate", "replicate@cpu"), ("toy/mean@*@gpu", "cpu")],
)
def test_a_misspelt_name_is_told(write_claims, repro, word: str, said: str) -> None:
    write_claims()
    code, _, err = repro("calibrate", word)
    assert code == 2
    assert said in err


def test_an_attempt_of_another_estimator_is_refused(write_claims, repro, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    repro("run", "toy/mean", "scale=cpu")
    monkeypatch.setattr("repro.launch.calibration.templates.estimator_is_sealed_one", lambda sealed: False)
    code, _, err = repro("calibrate", "toy/mean")
    assert code == 2
    assert "sealed with another version" in err
