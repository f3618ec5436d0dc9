"""`repro scout` as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from repro.cli import complete, scout_command
from repro.cli.app import app
from repro.launch import worker
from repro.launch.planning.planfile import read_plan
from repro.launch.records.store import RecordStore
from scout_support import STUDY, law_recipe
from tests_support import with_interrupts


@pytest.fixture
def scout(write_claims, repro):
    """Return a function that runs `repro scout` on the toy study."""
    if all(command.name != "scout" for command in app.registered_commands):
        app.command("scout")(scout_command.scout)

    def run(*words: str, recipe: str = "", study: str = STUDY, columns: int = 120) -> tuple[int, str, str]:
        write_claims(extra={"recipes/toys/law.py": recipe or law_recipe(), "study/toys/law.yaml": study})
        return repro("scout", *words, columns=columns)

    return run


def test_it_prints_the_lines_for_the_study_and_leaves_no_attempt(scout) -> None:
    code, out, _ = scout("toys/law")
    assert code == 0
    assert "toys/law at cpu: 18 scout runs, unsealed and no evidence" in out
    assert out.count("yes") == 2
    assert "For conf/study/toys/law.yaml, under scales.cpu.params:" in out
    assert "  first_size: [2, 4]\n  lr: 0.02\n" in out
    assert not Path("mlflow.db").exists()
    assert not Path(".repro/attempts").exists()
    assert not Path(".repro/records").exists()
    assert len(list(Path(".repro/scout").glob("*.json"))) == 18


def test_running_it_again_trains_nothing(scout) -> None:
    first = scout("toys/law")[1]
    times = {file: file.stat().st_mtime_ns for file in Path(".repro/scout").glob("*.json")}
    assert scout("toys/law", "scale=cpu")[1] == first
    assert {file: file.stat().st_mtime_ns for file in Path(".repro/scout").glob("*.json")} == times
    assert scout("toys/law", "1e10", "executor=processes")[1].count("yes") == 1


def test_a_grid_off_the_minimum_and_a_rate_at_the_edge_are_said(scout) -> None:
    code, out, _ = scout("toys/law", "first_size=[0,2]", "lr=0.1")
    assert code == 0
    said = " ".join(out.split())
    assert "At 1×10¹⁰ FLOPs the study has fewer than 2 sizes above N*." in said
    assert said.count("The best is at the sweep's edge: scout again with lr=0.05") == 3
    assert "first_size: [2, 4]" in out
    assert "lr: ? # the best is at the sweep's edge" in said


def test_an_unknown_minimum_leaves_a_question_mark(scout) -> None:
    _, out, _ = scout("toys/law", "budgets=[1e10]", "first_size=[8]", "runs=[1]")
    assert "N* is unknown, for the lowest loss is at the smallest size that was tried" in " ".join(out.split())
    assert "first_size: [?]" in out


def test_json_has_what_the_text_says(scout) -> None:
    document = json.loads(scout("toys/law", "--json")[1])
    assert document["schema"] == "repro.scout/1"
    assert (document["study"], document["scale"], document["runs"]) == ("toys/law", "cpu", 18)
    assert (document["first_size"], round(document["lr"], 4)) == ([2, 4], 0.02)
    assert [budget["centred"] for budget in document["budgets"]] == [True, True]
    assert document["rates"][0]["at_edge"] is False


def test_a_plan_file_goes_to_a_worker_and_its_records_are_read_back(scout) -> None:
    code, out, _ = scout("toys/law", "scale=cpu", "--out", "scout.json", "--data", "along")
    assert code == 0
    assert "18 scout runs written to scout.json; nothing is sealed." in out
    assert "repro scout toys/law scale=cpu --records records/" in out
    assert read_plan(Path("scout.json")).attempts == ()
    assert worker.main(["scout.json", "--out", "there"]) == 0
    code, out, _ = scout("toys/law", "scale=cpu", "--records", "there")
    assert code == 0
    assert "first_size: [2, 4]" in out
    assert not Path(".repro").exists()


def test_a_run_that_fails_is_no_finding_and_gives_exit_code_3(scout) -> None:
    recipe = law_recipe().replace(
        "    n = shape_of", "    if config.d_model == 128: raise RuntimeError('no')\n    n = shape_of", 1
    )
    code, out, errors = scout("toys/law", recipe=recipe)
    assert code == 3
    assert "error: 4 runs failed; run again to retry them." in errors
    assert "14 scout runs" in out
    assert len(list(RecordStore(Path(".repro/scout")).all())) == 14


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing argument"),
        (("toys/lew",), "There is no study 'toys/lew'. Did you mean 'toys/law'"),
        (("5e10",), "Name a study"),
        (("toys/law", "toys/draws"), "one study is scouted at a time"),
        (("toys/law", "scale=paper"), "no scale 'paper'"),
        (("toys/law", "3e10"), "There is no budget 3e+10 here"),
        (("toys/law", "wdths=[1]"), "Did you mean 'widths'"),
        (("toys/draws",), "cannot be scouted"),
        (("toys/law", "--data", "along"), "--data goes with --out"),
        (("toys/law", "executor=none"), "none"),
    ],
)
def test_wrong_words_are_one_paragraph(scout, words: tuple[str, ...], message: str) -> None:
    code, _, errors = scout(*words)
    assert code == 2
    assert message in " ".join(errors.split())
    assert "Traceback" not in errors


def test_studies_and_scales_are_completed(write_claims) -> None:
    write_claims(extra={"study/toys/law.yaml": STUDY})
    assert complete.complete_scout("toys/l") == ["toys/law"]
    assert "scale=gpu" in complete.complete_scout("scale=")
    assert "scale=" in complete.complete_scout("sc")


def test_help_shows_an_example() -> None:
    assert "repro scout scaling_laws/isoflop scale=cpu" in (scout_command.scout.__doc__ or "")
    assert isinstance(app, typer.Typer)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(write_claims) -> None:
    slow = law_recipe().replace("    n = shape_of", "    import time; time.sleep(1)\n    n = shape_of", 1)
    write_claims(extra={"recipes/toys/law.py": slow, "study/toys/law.yaml": STUDY})
    program = (
        "from repro.cli import main, scout_command\nfrom repro.cli.app import app\n"
        "if all(c.name != 'scout' for c in app.registered_commands): app.command('scout')(scout_command.scout)\nmain()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "scout", "toys/law"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), preexec_fn=with_interrupts,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(Path(".repro/scout").glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "To go on, run the same command again" in errors
    assert "Traceback" not in errors
    assert list(Path(".repro/scout").glob("*.json"))
