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


# What is on record beside the verdicts.

HOSTILE_TEXT = "[bold red]x[/] \x1b[31mred\x1b[0m"


@pytest.fixture
def recorded(write_claims: Callable[[], Path], run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> str:
    """A published attempt with a dispute in hostile words; return its id."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr("repro.launch.provenance.origin._git", lambda *words: commit if words[0] == "rev-parse" else "")
    write_claims()
    assert run("run", "toy/exact")[0] == 0
    assert run("publish", "toy/exact")[0] == 0
    (attempt,) = load_attempts()
    return attempt.id


def test_a_published_verdict_is_marked_and_can_be_cited(recorded: str, run: Callable[..., Said]) -> None:
    shown = run("show", "toy/exact")[1]
    assert "✓ match (published)" in shown
    assert "Cite it: repro cite toy/exact" in shown
    assert "evidence sha256:" in shown
    assert "match (full, published)" in run("list")[1]


def test_a_fresh_clone_lists_and_shows_what_is_published(
    recorded: str, run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    assert "match (full, published)" in run("list")[1]
    shown = run("show", "toy/exact")[1]
    assert "✓ match (published)" in shown
    assert "Cite it: repro cite toy/exact" in shown
    assert list((tmp_path / "clone").iterdir()) == []


def test_a_dispute_is_shown_without_its_markup_and_takes_the_citation_away(
    recorded: str, run: Callable[..., Said]
) -> None:
    assert run("annotate", recorded, "disputed", "--who", "A. Reader [i]", "--why", HOSTILE_TEXT)[0] == 0
    shown = run("show", "toy/exact")[1]
    assert "disputed by A. Reader [i]" in shown
    assert "[bold red]x[/]" in shown
    assert "\x1b[31m" not in shown
    assert "✓ match (disputed, published)" in shown
    assert "Not citable yet. It is disputed by A. Reader [i]" in shown
    assert "match (full, disputed, published)" in run("list")[1]
    document = json.loads(run("show", "toy/exact", "--json")[1])
    assert document["annotations"][recorded][0]["kind"] == "disputed"
    assert document["citable"][0]["attempt"] == recorded
    assert len(document["citable"][0]["missing"]) == 1
    assert json.loads(run("list", "--json")[1])["marks"] == {recorded: ["disputed", "published"]}


def test_what_has_changed_since_is_said_with_its_reason(recorded: str, run: Callable[..., Said]) -> None:
    claim = Path("claims/claim/toy/exact.yaml")
    claim.write_text(claim.read_text().replace('printed: "4"', 'printed: "5"'))
    assert run("pages")[0] == 0
    shown = run("show", "toy/exact")[1]
    assert "is stale: The published value was 4, now 5." in shown
    assert "match (full, stale, published)" in run("list")[1]


def test_a_checked_source_is_named_with_who_and_where(
    write_claims: Callable[..., Path], run: Callable[..., Said]
) -> None:
    from tests_support import CLAIM

    text = CLAIM.format(name="toy/mean", printed="1.0").replace("source: verified", "source: unverified")
    write_claims(claim=text)
    assert "unverified" in run("show", "toy/mean")[1]
    assert run("source", "toy/mean", "--verified", "A. Reader, Table 3 on page 7")[0] == 0
    shown = run("show", "toy/mean")[1]
    assert "checked by A. Reader, Table 3 on page 7, " in shown
    assert "unverified" not in shown


def test_a_damaged_attempt_is_named_and_the_rest_shown(recorded: str, run: Callable[..., Said]) -> None:
    (file,) = Path("results").glob("toy/exact/*/attempt.json")
    file.write_text("{")
    for artifact in Path("mlruns").rglob("attempt.json"):
        artifact.write_text("{")
    code, shown, _ = run("show", "toy/exact")
    assert code == 0
    assert "damaged: " in shown
    code, _, errors = run("pages")
    assert code == 0
    assert errors.count("warning: toy/exact@") >= 1


def test_listing_stays_light(recorded: str) -> None:
    import subprocess

    heavy = ("torch", "mlflow", "hydra", "omegaconf", "pandas", "scipy", "matplotlib", "jinja2", "numpy", "rocrate")
    program = (
        "import sys; sys.argv = ['repro', 'list']\nfrom repro.cli import main\n"
        f"try:\n    main()\nexcept SystemExit:\n    pass\nprint([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "published" in done.stdout
