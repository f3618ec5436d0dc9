"""`repro show` and the frames of attempts: error rates, priors and marks, from a real ledger."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import repro.api
from repro.cli import main
from repro.ledger.read import load_attempts
from repro.schema.calibration import Calibration, Scenario

Said = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run a command in this process; return exit code, output on one line, and errors."""

    def command(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["repro", *words])
        monkeypatch.setenv("COLUMNS", "160")
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def calibrated(write_claims: Callable[[], Path], run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    assert run("run", "toy/mean", "scale=cpu")[0] == 0
    (attempt,) = load_attempts()
    scenarios = (
        Scenario("true", "", {"value": 1.0}, 200, 190, 0, 10),
        Scenario("margin", "above", {"value": 1.25}, 200, 8, 20, 172, ("value",)),
    )
    found = Calibration(
        attempt.sealed.digest,
        "toy/mean",
        attempt.protocol,
        "cpu",
        scenarios,
        "records",
        {"value": 0.1},
        attempt.id,
        6,
        "seed",
        0,
    )
    monkeypatch.setattr("repro.ledger.read.calibrations", lambda claim=None: {found.seal: found})


def test_show_says_the_error_rates_and_what_becomes_of_a_prior(calibrated: None, run: Callable[..., Said]) -> None:
    code, out, _ = run("show", "toy/mean", "--prior", "0.25")
    assert code == 0
    assert "If the claim were true, this protocol would say so 95 times in 100 (91 to 98)." in out
    assert "25 %" in out
    assert "against “false by just its margin”" in out
    assert "5 %" in run("show", "toy/mean")[1]


def test_show_prints_calibration_and_posterior_as_json(calibrated: None, run: Callable[..., Said]) -> None:
    document = json.loads(run("show", "toy/mean", "--prior", "25 %", "--json")[1])
    (trust,) = document["trust"]
    assert (trust["scale"], trust["indicative"], trust["look"], trust["looks"]) == ("cpu", False, 1, 1)
    assert trust["calibration"]["scenarios"][0]["match"] == 190
    (posterior,) = document["posterior"]
    assert posterior["prior"] == 0.25
    assert posterior["probability"] > 0.25
    assert len(json.loads(run("show", "toy/mean", "--json")[1])["posterior"]) == 6


@pytest.mark.parametrize("prior", ["2", "<b>", "nan"])
def test_a_prior_that_is_none_is_one_paragraph(
    write_claims: Callable[[], Path], run: Callable[..., Said], prior: str
) -> None:
    write_claims()
    code, out, errors = run("show", "toy/mean", "--prior", prior)
    assert (code, out) == (2, "")
    assert errors.startswith("error: A prior is a probability between 0 and 1")
    assert "Traceback" not in errors


def test_a_claim_that_was_never_run_says_how_to_calibrate_it(
    write_claims: Callable[[], Path], run: Callable[..., Said]
) -> None:
    write_claims()
    out = run("show", "toy/mean")[1]
    assert "not calibrated yet: run repro calibrate toy/mean@" in out
    assert "No odds: no attempt that counts is calibrated." in out


def test_frames_of_attempts_say_what_is_indicative_and_which_look_decided(
    calibrated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = repro.api.attempts()
    assert list(frame["indicative"]) == [False]
    assert list(frame["look"]) == list(frame["looks"]) == [1]
    (attempt,) = load_attempts()
    marked = replace(attempt, sealed=replace(attempt.sealed, indicative=True, looks=3))
    monkeypatch.setattr("repro.ledger.read.load_attempts", lambda: [marked])
    frame = repro.api.attempts()
    assert list(frame["indicative"]) == [True]
    assert list(frame["looks"]) == [3]
    monkeypatch.setattr("repro.ledger.read.load_attempts", list)
    assert repro.api.attempts()["indicative"].isna().all()
