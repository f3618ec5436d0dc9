"""Cold start of the command line against a bare typer program, and a list of 1,000 claims from a warm index."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 9
BARE = """
import typer
app = typer.Typer()

@app.command()
def one(name: str = "x") -> None:
    "Do one thing."
    print(name)

@app.command()
def two(name: str = "x") -> None:
    "Do another."
    print(name)

app()
"""


def seconds(command: Sequence[str], environment: dict[str, str], cwd: Path) -> float:
    """Return the wall time of one run of a command."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - start


def compare(
    name: str, ours: Sequence[str], bare: Sequence[str], environment: dict[str, str], cwd: Path, at_most: float
) -> None:
    """Time two commands in turn and print the median of the ratios, pair by pair."""
    for command in (ours, bare):
        seconds(command, environment, cwd)
    pairs = [(seconds(ours, environment, cwd), seconds(bare, environment, cwd)) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    ours_s, bare_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"{name}: {ratio:.2f} times bare typer (at most {at_most}); {ours_s:.3f} s against {bare_s:.3f} s, median of {ROUNDS} pairs"
    )


def write_many_claims(root: Path, count: int) -> None:
    """Write `count` claims of one paper below `root`."""
    for folder in ("claim/many", "paper"):
        (root / folder).mkdir(parents=True)
    (root / "paper/many.yaml").write_text("title: Many claims\nauthors: [A. Author]\nyear: 2024\n")
    for i in range(count):
        (root / f"claim/many/claim_{i:04d}.yaml").write_text(
            f"id: many/claim_{i:04d}\npaper: many\nstatement: Claim number {i}.\nlocator: Table {i}\nquantity: {{symbol: x}}\n"
            f'target: {{printed: "{i}", source: verified}}\nrule: {{kind: exact}}\n'
            "blocked: {missing: all, since: '2024-01-01', unblock: nothing, needs: [{kind: data, what: all}]}\n"
        )


def main() -> None:
    """Print the ratios."""
    repro = str(Path(sys.executable).with_name("repro"))
    with tempfile.TemporaryDirectory() as directory:
        cwd = Path(directory)
        (cwd / "bare.py").write_text(BARE)
        environment = {**os.environ, "REPRO_CACHE": str(cwd / "cache")}
        environment.pop("REPRO_CLAIMS", None)
        bare = [sys.executable, "bare.py"]
        compare("repro --help", [repro, "--help"], [*bare, "--help"], environment, cwd, 1.5)
        # Like with like: a command that runs, which makes typer import what it converts parameters with.
        compare("repro list", [repro, "list"], [*bare, "one"], environment, cwd, 1.5)
        write_many_claims(cwd / "claims", 1000)
        many = {**environment, "REPRO_CLAIMS": str(cwd / "claims")}
        seconds([repro, "list"], many, cwd)
        warm = statistics.median(seconds([repro, "list"], many, cwd) for _ in range(ROUNDS))
        print(f"repro list of 1,000 claims, warm index: {warm:.3f} s, median of {ROUNDS} (under 0.5)")
