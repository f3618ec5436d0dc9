"""The container recipe and its lock, read as text: no container is built here."""

import ast
import re
import shlex
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from repro.launch.rerun.write_lock import locked

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
SECRET = re.compile(r"(?i)secret|token|passw|credential|api_?key|\.netrc|\.pem\b")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile in order, each with its words on one line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0].upper(), line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


def of(kind: str) -> list[str]:
    return [words for name, words in instructions() if name == kind]


def pinned() -> dict[str, str]:
    found = {}
    for line in LOCK.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, version = line.split("#")[0].strip().partition("==")
            assert re.fullmatch(r"[a-z0-9-]+", name), line
            assert re.fullmatch(r"[0-9][A-Za-z0-9.!_-]*", version), line
            assert name not in found, line
            found[name] = version
    return found


def test_the_image_runs_repro_as_nobody_special() -> None:
    assert of("ENTRYPOINT") == ['["repro"]']
    (user,) = of("USER")
    assert user not in ("root", "0")
    names = [name for name, _ in instructions()]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))


def test_it_stands_on_one_official_image_of_the_lock_s_python() -> None:
    (base,) = of("FROM")
    name, _, tag = base.partition(":")
    assert "/" not in name, "an official image has no registry and no account before its name"
    assert name == "python"
    (line,) = [line for line in LOCK.read_text().splitlines() if line.startswith("# python==")]
    assert tag.startswith(line.removeprefix("# python==") + "-")


def test_nothing_secret_goes_in() -> None:
    assert of("ADD") == []
    assert of("ARG") == []
    for name, words in instructions():
        assert not SECRET.search(words), (name, words)
        assert "://" not in words, "no host is named: packages come from pip's own index"
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".env", "**/*.key", "**/*.pem", ".netrc", ".pypirc", ".venv", ".repro", "mlruns"} <= set(ignored)


def test_all_packages_come_from_the_lock() -> None:
    installs = [shlex.split(part.strip()) for run in of("RUN") for part in run.split("&&") if "pip install" in part]
    assert installs
    for words in installs:
        assert "--no-deps" in words or words[words.index("--constraint") + 1] == "requirements.lock"
    assert any(words[-2:] == ["--requirement", "requirements.lock"] for words in installs)


def test_every_package_that_is_imported_is_pinned() -> None:
    known = packages_distributions()
    imported = set()
    for folder in ("repro", "experiments"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.split(".")[0])
    optional = {"ray", "submitit", "psycopg"}  # extras: their machines install them
    names = imported - set(sys.stdlib_module_names) - {"repro", "experiments"} - optional
    assert {"torch", "numpy", "mlflow", "hydra"} <= names
    for name in sorted(names):
        assert {each.lower().replace("_", "-") for each in known[name]} & pinned().keys(), (
            f"{name} is not in requirements.lock"
        )


def test_the_lock_holds_every_requirement_of_the_project() -> None:
    """Versions may differ from what is installed here; what is required may not be missing."""
    required = {pair.partition("==")[0] for pair in locked()}
    assert required - pinned().keys() == set()
    assert "pytest" not in pinned()


@pytest.mark.parametrize("pair", ["torch", "numpy", "mlflow"])
def test_the_lock_is_within_what_the_project_allows(pair: str) -> None:
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    (wanted,) = [found for text in requires("repro-tracker") or () if (found := Requirement(text)).name == pair]
    assert wanted.specifier.contains(pinned()[pair])
