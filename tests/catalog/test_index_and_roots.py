import json
import subprocess
import sys
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.catalog.roots import config_roots
from repro.schema.errors import ConfigError
from tests_support import CLAIM


def test_the_index_sees_what_changes_and_keeps_the_rest(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_claims()
    assert load_index().claims["toy/mean"].printed == ("1.0",)
    from repro.catalog import load

    calls: list[str] = []
    monkeypatch.setattr(load, "load_claim", lambda name, real=load.load_claim: calls.append(name) or real(name))
    load_index()
    assert calls == []
    (root / "claim/toy/mean.yaml").write_text(CLAIM.format(name="toy/mean", printed="1.1"))
    assert load_index().claims["toy/mean"].printed == ("1.1",)
    assert calls == ["toy/mean"]
    (root / "claim/toy/exact.yaml").unlink()
    assert "toy/exact" not in load_index().claims


def test_other_directories_of_claims_leave_the_own_ones_as_they_are(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_index()
    from repro.catalog import load

    calls: list[str] = []
    monkeypatch.setattr(load, "load_claim", lambda name, real=load.load_claim: calls.append(name) or real(name))
    write_claims()
    assert {"toy/mean", "bayes/positive_predictive_value"} <= set(load_index().claims)
    assert sorted(calls) == ["toy/exact", "toy/mean"]


def test_a_claim_that_takes_an_own_ones_name_is_a_problem_and_hides_nothing(write_claims) -> None:
    taken = "bayes/positive_predictive_value"
    write_claims(extra={f"claim/{taken}.yaml": CLAIM.format(name=taken, printed="1.0")})
    index = load_index()
    assert taken in index.claims
    assert "toy/exact" not in index.claims
    assert any("defined twice" in problem for problem in index.problems)


def test_a_changed_study_brings_every_claim_up_to_date(write_claims) -> None:
    root = write_claims()
    assert load_index().claims["toy/mean"].protocols["replicate"].scales == ("smoke", "cpu")
    (root / "study/toys/draws.yaml").write_text("recipe: recipes.toys.draws\nscales: {cpu: {}}\n")
    assert load_index().claims["toy/mean"].protocols["replicate"].scales == ("cpu",)


def test_a_broken_claim_does_not_hide_the_others(write_claims) -> None:
    write_claims(claim="id: toy/mean\nstatment: x\n")
    index = load_index()
    assert "toy/exact" in index.claims
    assert any("toy/mean.yaml" in problem for problem in index.problems)
    with pytest.raises(ConfigError, match="mean.yaml"):
        index.expand("toy/mean")


def test_a_damaged_or_unwritable_cache_is_made_anew(
    write_claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims()
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    load_index()
    files = list((tmp_path / "cache").glob("index-*.json"))
    assert len(files) == 2, "the project's own claims, and the others"
    for file in files:
        file.write_text("{")
    assert "toy/mean" in load_index().claims
    assert [json.loads(file.read_text())["version"] for file in files] == [1, 1]
    monkeypatch.setenv("REPRO_CACHE", "/proc/nowhere")
    assert "toy/mean" in load_index().claims


def test_globs(write_claims) -> None:
    write_claims()
    index = load_index()
    assert index.expand("toy/*") == ("toy/exact", "toy/mean")
    with pytest.raises(ConfigError, match="No claim matches"):
        index.expand("tyo/*")
    with pytest.raises(ConfigError, match="Did you mean 'toy/mean'"):
        index.expand("toy/meen")


@pytest.mark.slow
def test_a_package_with_claims_joins_through_its_entry_point(write_claims, tmp_path: Path) -> None:
    package = tmp_path / "site" / "group_claims"
    for name, text in {
        "__init__.py": "",
        "paper/group.yaml": "title: Ours\nauthors: [B. Author]\nyear: 2025\n",
        "claim/group/mean.yaml": CLAIM.format(name="group/mean", printed="1.0").replace("paper: toy", "paper: group"),
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    info = tmp_path / "site" / "group_claims-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: group-claims\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[repro.claims]\ngroup = group_claims\n")
    root = write_claims()
    program = (
        "from repro.catalog.compose import compose\nfrom repro.catalog.index import load_index\n"
        "r, = compose(['group/mean', 'scale=smoke'], load_index())\nprint(r.claim.paper, r.study.id, r.config['claim']['id'])"
    )
    environment = {
        "PYTHONPATH": str(tmp_path / "site"),
        "REPRO_CLAIMS": str(root),
        "REPRO_CACHE": str(tmp_path / "c"),
        "PATH": "/usr/bin",
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["group", "toys/draws", "group/mean"]


def test_an_entry_point_to_nowhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    from repro.catalog import roots

    monkeypatch.setattr(roots, "_claim_packages", lambda: (EntryPoint("gone", "no_such_package", "repro.claims"),))
    with pytest.raises(ConfigError, match="'gone'.*'no_such_package'"):
        config_roots()


def test_listing_imports_none_of_the_heavy_packages(write_claims) -> None:
    write_claims()
    load_index()
    program = "import sys\nfrom repro.catalog.index import load_index\nload_index()\nprint([m for m in ('torch', 'mlflow', 'hydra', 'omegaconf', 'pandas', 'numpy', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
