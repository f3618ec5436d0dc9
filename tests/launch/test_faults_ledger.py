"""A full disk under the ledger: one clear error, finished trials kept, and the same command completes when there is room."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def ledger_disk(tmp_path: Path):
    """Yield a directory on a disk of its own of a few MB; unmounted afterwards."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    file = place / "filler"
    with file.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"\0" * 4096)
        except OSError:
            return file


@pytest.mark.slow
def test_a_full_disk_under_the_ledger_loses_nothing(
    write_claims, tmp_path: Path, ledger_disk: Path, repro, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{ledger_disk / 'mlflow.db'}")
    monkeypatch.chdir(ledger_disk)  # artifacts lie there too
    monkeypatch.setenv("REPRO_HOME", str(tmp_path / "home"))
    code, _, errors = repro("run", "toy/exact")
    assert code == 0, errors
    filler = fill(ledger_disk)
    code, _, errors = repro("run", "toy/mean", "scale=smoke")
    assert code == 2
    assert "Traceback" not in errors
    (said,) = [line for line in errors.splitlines() if line.startswith("error:")]
    assert "The ledger at" in said
    assert "the disk is full. Free some space and run again" in said, said
    kept = {file.name: file.read_text() for file in (tmp_path / "home" / "records").glob("*.json")}
    assert len(kept) == 6 + 4
    os.unlink(filler)
    code, out, errors = repro("run", "toy/mean", "scale=smoke")
    assert code == 0, errors
    assert "not_decisive_scale" in out or "inconclusive" in out
    assert {file.name: file.read_text() for file in (tmp_path / "home" / "records").glob("*.json")} == kept
