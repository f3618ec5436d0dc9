"""What a person sees who corrects a result: `annotate`, `source`, `status --stale`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.ledger.read import load_attempts
from tests_support import forget_recipes

WHO = "A. Reader <a@example.org>"


@pytest.fixture
def attempt(write_claims, repro) -> str:
    write_claims()
    assert repro("run", "toy/exact")[0] == 0
    return load_attempts()[0].id


def test_annotate_shows_what_there_was_what_is_written_and_what_it_means(attempt: str, repro) -> None:
    code, out, _ = repro("annotate", attempt)
    assert (code, out) == (0, f"{attempt}: no entries\nThe attempt is current.\n")
    code, out, _ = repro("annotate", attempt, "disputed", "--who", WHO, "--why", "The sum\nis [bold]wrong[/bold].")
    assert code == 0
    assert f"{attempt}: no entries" in out
    assert "new  disputed" in out
    assert "The sum\n      is [bold]wrong[/bold].\n" in out
    assert "the attempt is disputed until that is settled" in out
    assert out.endswith("The attempt is disputed.\n")
    dispute = json.loads(repro("annotate", attempt, "--json")[1])["annotations"][0]["digest"]
    code, out, _ = repro(
        "annotate", attempt, "confirmed", "--who", "B", "--why", "Added again.", "--settles", dispute[:8]
    )
    assert f"settles the dispute {dispute[:12]}" in out
    assert out.endswith("The attempt is current.\n")
    code, out, _ = repro("annotate", attempt)
    assert "2 entries" in out
    assert "settled" in out


def test_annotate_prints_json_alone(attempt: str, repro) -> None:
    code, out, _ = repro("annotate", attempt, "author-reply", "--who", WHO, "--why", "Thanks \x1b[31m", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == "repro.annotate/1"
    assert (document["attempt"], document["validity"], document["broken_at"]) == (attempt, "current", None)
    assert [(entry["kind"], entry["why"]) for entry in document["annotations"]] == [("author_reply", "Thanks \x1b[31m")]


def test_control_characters_and_markup_mean_nothing_on_the_terminal(attempt: str, repro) -> None:
    why = "\x1b]0;title\x07\x1b[2J[link=https://example.org]here[/link]\u202e\r"
    _, out, _ = repro("annotate", attempt, "disputed", "--who", "[red]A[/red]", "--why", why)
    _, again, _ = repro("annotate", attempt)
    for text in (out, again):
        assert not set(text) & set("\x1b\x07\u202e\r")
        assert "[link=https://example.org]here[/link]" in text
        assert "[red]A[/red]" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["disputed", "--why", "x"], "needs --who"),
        (["disputed", "--who", "A"], "needs --why"),
        (["dispute", "--who", "A", "--why", "x"], "Did you mean 'disputed'"),
        (["--who", "A"], "Say what kind of entry"),
        (["disputed", "--who", "A", "--why", "x", "--settles", "0" * 8], "goes with `confirmed`"),
        (["confirmed", "--who", "A", "--why", "x", "--settles", "0" * 8], "Open disputes: none"),
    ],
)
def test_annotate_refuses_what_says_nothing(attempt: str, repro, words: list[str], message: str) -> None:
    code, _, err = repro("annotate", attempt, *words)
    assert code == 2
    assert message in err
    assert "no entries" in repro("annotate", attempt)[1]


def test_annotate_names_the_nearest_attempt(attempt: str, repro) -> None:
    code, _, err = repro("annotate", f"{attempt[:-1]}7", "disputed", "--who", "A", "--why", "x")
    assert code == 2
    assert f"Did you mean '{attempt}'" in err


def test_a_damaged_chain_is_said_and_not_hidden(attempt: str, repro) -> None:
    for why in ("one", "two"):
        repro("annotate", attempt, "disputed", "--who", "A", "--why", why)
    (file,) = Path("mlruns").rglob("annotations.jsonl")
    file.write_text(file.read_text().partition("\n")[2])
    code, out, _ = repro("annotate", attempt)
    assert code == 0
    assert "The chain is broken at entry 1" in out
    assert out.endswith("The attempt is tampered.\n")
    code, _, err = repro("annotate", attempt, "invalidated", "--who", "A", "--why", "three")
    assert code == 2
    assert "Restore them from version control or a backup" in err


def test_the_command_for_an_entry_is_taught_by_its_help(repro) -> None:
    _, out, _ = repro("annotate", "--help")
    for word in ("disputed", "invalidated", "--settles", "Examples:"):
        assert word in out


def edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / name
    file.write_text(file.read_text().replace(old, new))
    forget_recipes()


def test_status_says_what_is_stale_why_and_how_to_run_it_again(write_claims, repro) -> None:
    root = write_claims()
    assert repro("status", "--stale")[1].startswith("No attempt is in the ledger or published.")
    repro("run", "toy/mean", "scale=cpu")
    repro("run", "toy/exact")
    ids = {made.claim: made.id for made in load_attempts()}
    code, out, _ = repro("status", "--stale")
    assert (code, out) == (0, "None of 2 attempts is stale: each would be sealed today as it was.\n")
    assert "None was stale at" in repro("status")[1]
    edit(root, "claim/toy/mean.yaml", "0.25", "0.3")
    edit(root, "study/toys/draws.yaml", "0.05", "0.06")
    code, out, _ = repro("status", "--stale")
    assert code == 0
    assert out.splitlines() == [
        "1 of 2 attempts is stale",
        "",
        ids["toy/mean"],
        "  The margin was ± 0.25, now ± 0.3.",
        "  The config's 'spread' was 0.05, now 0.06.",
        "",
        "Run it again:",
        "  repro run toy/mean scale=cpu",
    ]
    assert "1 attempt was stale at" in repro("status")[1]
    assert "None of 1 attempt is stale" in repro("status", "--stale", "toy/exact")[1]
    assert "1 attempt was stale at" in repro("status", "toy/mean")[1]
    (row,) = json.loads(repro("status", "--stale", "--json")[1])["attempts"]
    assert row["attempt"] == ids["toy/mean"]
    assert row["command"] == "repro run toy/mean scale=cpu"
    assert row["seal"] != row["seal_now"]
    assert len(row["reasons"]) == 2
    repro("run", "toy/mean", "scale=cpu")
    _, out, _ = repro("status", "--stale")
    (new,) = [made.id for made in load_attempts() if made.id not in ids.values()]
    assert out.startswith("1 of 3 attempts is stale")
    assert out.endswith(f"\n  Run again since: {new}\n"), "and nothing is left to run"


def test_a_damaged_file_of_what_is_stale_stops_no_status(attempt: str, repro) -> None:
    Path(".repro/stale.json").write_text("{")
    code, out, _ = repro("status")
    assert code == 0
    assert "stale" not in out
    assert "None of 1 attempt is stale" in repro("status", "--stale")[1]


def unverified(write_claims) -> Path:
    root: Path = write_claims()
    edit(root, "claim/toy/mean.yaml", "source: verified", "source: unverified, locator: 'Table 1'")
    return root


def test_source_lists_and_records(write_claims, repro) -> None:
    root = unverified(write_claims)
    code, out, _ = repro("source", "toy/mean")
    assert code == 0
    assert "unverified" in out
    assert 'repro source toy/mean --verified "YOU, WHERE IT STANDS"' in out
    code, out, _ = repro("source", "toy/mean", "--verified", f"{WHO}, Table 1, row [2]")
    assert code == 0
    assert "Recorded 1 check in" in out
    assert "yes (1)" in out
    assert ", A. Reader <a@example.org>: Table 1, row [2]\n" in out
    assert (root / "checked/toy/mean.yaml").is_file()
    document = json.loads(repro("source", "toy/mean", "--json")[1])
    assert document["parts"]["value"]["check"]["where"] == "Table 1, row [2]"
    assert document["parts"]["value"]["source"] == "unverified", "the claim itself is not edited"
    edit(root, "claim/toy/mean.yaml", '"1.0"', '"1.01"')
    assert "not any more: 1.0 was" in repro("source", "toy/mean")[1]


def test_a_check_makes_nothing_stale(write_claims, repro) -> None:
    unverified(write_claims)
    repro("run", "toy/mean", "scale=cpu")
    repro("source", "toy/mean", "--verified", f"{WHO}, Table 1")
    assert "None of 1 attempt is stale" in repro("status", "--stale")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["toy/mean", "--verified", "A. Reader"], "with a comma between"),
        (["toy/mean", "--verified", "A. Reader <a,b>"], "with a comma between"),
        (["toy/mean", "--verified", ", Table 1"], "Say who"),
        (["toy/mean", "--verified", "A. Reader, "], "Say where"),
        (["toy/exact", "--verified", f"{WHO}, Table 1"], "verified already"),
        (["toy/mean", "--part", "valeu"], "Did you mean 'value'"),
        (["toy/maen"], "Did you mean 'toy/mean'"),
        (["toy/*", "--verified", f"{WHO}, Table 1"], "is a glob"),
    ],
)
def test_source_refuses_what_is_no_check(write_claims, repro, words: list[str], message: str) -> None:
    root = unverified(write_claims)
    code, _, err = repro("source", *words)
    assert code == 2
    assert message in err
    assert not (root / "checked").exists()


def test_two_commands_at_once_write_one_chain(attempt: str, repro) -> None:
    program = "from repro.cli import main; main()"
    command = [sys.executable, "-c", program, "annotate", attempt, "author_reply", "--who", "A", "--why"]
    running = [
        subprocess.Popen([*command, str(number)], env=dict(os.environ), stdout=subprocess.PIPE) for number in range(2)
    ]
    assert [process.wait(120) for process in running] == [0, 0]
    for process in running:
        assert process.stdout is not None
        process.stdout.close()
    document = json.loads(repro("annotate", attempt, "--json")[1])
    assert document["broken_at"] is None
    assert sorted(entry["why"] for entry in document["annotations"]) == ["0", "1"]
