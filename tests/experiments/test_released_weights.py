import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.protein_folding.released_weights import Config, run, score
from repro.schema.context import Context

structure = pytest.importorskip("biotite.structure")
CHECKPOINTS = ("initial_training", "finetuning_5", "finetuning_ptm_2")


def atoms_of(coordinates: np.ndarray, numbers: range, chain: str = "A"):
    atoms = structure.AtomArray(len(coordinates))
    atoms.coord = coordinates
    atoms.res_id, atoms.chain_id = np.array(numbers), [chain] * len(coordinates)
    atoms.atom_name, atoms.res_name, atoms.element = (
        ["CA"] * len(coordinates),
        ["ALA"] * len(coordinates),
        ["C"] * len(coordinates),
    )
    return atoms


def as_cif(atoms) -> str:
    from biotite.structure.io import pdbx

    file, text = pdbx.CIFFile(), io.StringIO()
    pdbx.set_structure(file, atoms, data_block="made")
    file.write(text)
    return text.getvalue()


def as_pdb(atoms) -> str:
    from biotite.structure.io import pdb

    file, text = pdb.PDBFile(), io.StringIO()
    file.set_structure(atoms)
    file.write(text)
    return text.getvalue()


def walk(n: int, seed: int) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(size=(n, 3))
    return (3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True)).cumsum(0)


@pytest.fixture
def files() -> dict[str, str]:
    """Two chains of 40; the first three residues were not resolved. Predictions are off by 0, 0.3 and 2 Å a coordinate."""
    found = {}
    for number, chain in enumerate(("1abc_A", "2xyz_B")):
        whole = walk(40, number)
        found[f"experimental/{chain}.cif"] = as_cif(atoms_of(whole[3:], range(4, 41), chain[-1]))
        for noise, name in zip((0.0, 0.3, 2.0), CHECKPOINTS, strict=True):
            off = noise * np.random.default_rng(9).normal(size=whole.shape)
            found[f"predictions/{name}/{chain}.pdb"] = as_pdb(atoms_of(whole + off, range(1, 41)))
    return found


def archive(files: dict[str, str], directory: Path) -> Context:
    path = directory / "predictions.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(name, text)
    return Context(files={"openfold_predictions": path})


def test_scores_are_biotites_and_fall_with_noise(files: dict[str, str], tmp_path: Path) -> None:
    row = run(Config(), archive(files, tmp_path))
    assert (row["chains"], row["initial_training"]) == (2, 1)
    assert 1 > row["finetuning_5"] > row["finetuning_ptm_2"] > 0.1
    expected = []
    for number in range(2):
        whole, off = walk(40, number), 2.0 * np.random.default_rng(9).normal(size=(40, 3))
        expected.append(structure.lddt(atoms_of(whole[3:], range(37)), (whole + off)[3:].astype(np.float32)))
    assert row["finetuning_ptm_2"] == pytest.approx(np.mean(expected), abs=2e-3)


def test_residues_matched_one_off_score_low(files: dict[str, str], tmp_path: Path) -> None:
    assert run(Config(shift=1), archive(files, tmp_path))["initial_training"] < 0.9


def test_a_residue_that_was_not_predicted_costs_what_its_distances_count() -> None:
    true = {n: torch.tensor([3.0 * n, 0.0, 0.0]).double() for n in range(4)}
    assert score(true, true) == 1
    assert score(true, {n: x for n, x in true.items() if n}) == pytest.approx(0.5)  # three of six pairs are lost


@pytest.mark.parametrize("name", ["../outside.pdb", "predictions/initial_training/notes.txt", "experimental/1abc.cif"])
def test_what_does_not_belong_into_the_archive_is_named(name: str, files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=name.rpartition("/")[2]):
        run(Config(), archive({**files, name: "x"}, tmp_path))


def test_every_checkpoint_needs_every_chain(files: dict[str, str], tmp_path: Path) -> None:
    del files["predictions/finetuning_5/2xyz_B.pdb"]
    with pytest.raises(ValueError, match="'finetuning_5'.*2xyz_B"):
        run(Config(), archive(files, tmp_path))
