"""What a tired person types: the wrong file, the wrong name, the wrong key."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main

from repro.cli import app as cli

Repro = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evidence(write_claims: Callable[..., None], repro: Repro, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_claims()
    assert repro("run", "toy/mean", "scale=cpu")[0] == 0
    assert repro("evidence", "toy/mean", "--out", "mean.zip")[0] == 0
    return Path("mean.zip")


@pytest.mark.parametrize("command", ["verify", "import"])
@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("none.pub", "The key none.pub cannot be read"),
        ("ada.key", "ada.key holds a private key"),
        ("mean.zip", "mean.zip"),
    ],
)
def test_a_wrong_key_file_says_nothing_against_the_evidence(
    command: str, key: str, message: str, evidence: Path, repro: Repro
) -> None:
    assert repro("keygen", "ada")[0] == 0
    code, out, err = repro(command, str(evidence), "--key", key)
    assert (code, out) == (2, "")
    assert message in err
    assert "does not hold" not in err


def test_what_is_wrong_stands_below_the_conclusion(evidence: Path, repro: Repro) -> None:
    code, out, _ = repro("verify", str(evidence), "--digest", "0" * 64)
    assert code == 1
    end = out[out.index("This evidence does not hold") :]
    assert "It is not the evidence that was cited" in end


@pytest.mark.parametrize("name", ["toy/mean", "ATTEMPT"])
def test_verifying_an_attempt_names_the_command_that_makes_its_evidence(
    name: str, evidence: Path, repro: Repro
) -> None:
    if name == "ATTEMPT":
        found = re.search(r'"attempt": "([^"]+)"', repro("evidence", "toy/mean", "--out", "mean.zip", "--json")[1])
        assert found is not None
        name = found[1]
    code, _, err = repro("verify", name)
    assert code == 2
    assert f"repro evidence {name}" in err


def test_a_directory_of_many_is_imported_one_at_a_time(evidence: Path, repro: Repro) -> None:
    Path("many").mkdir()
    evidence.rename("many/mean.zip")
    code, _, err = repro("import", "many")
    assert code == 2
    assert "repro import many/mean.zip" in err


def test_the_paper_of_a_claim_names_its_claims(evidence: Path, repro: Repro) -> None:
    code, _, err = repro("cite", "toy")
    assert code == 2
    assert "toy/mean" in err
    assert "'toy/*'" in err


def test_an_import_is_never_taken_for_the_latest_attempt_at_a_claim(
    evidence: Path, repro: Repro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = evidence.read_bytes()
    monkeypatch.setenv("REPRO_CLAIMS", str(Path("claims").resolve()))
    (tmp_path / "ours").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "ours")
    Path("theirs.zip").write_bytes(content)
    code, out, _ = repro("import", "theirs.zip")
    assert code == 0
    name = out.splitlines()[0].rpartition(" ")[2]
    code, _, err = repro("evidence", "toy/mean")
    assert code == 2
    assert f"repro evidence '{name}'" in err


def test_the_first_lines_of_all_commands_fit_a_terminal_of_80_columns(repro: Repro) -> None:
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    longest = max(map(len, commands))
    for name, command in commands.items():
        first = command.help.splitlines()[0]
        assert len(first) <= 80 - 4 - longest, f"repro {name}: {first}"
