import io
import lzma
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.protein_folding.fape_chirality import Config, run
from experiments.protein_folding.fape_chirality_estimators import extremes_over_seeds
from experiments.protein_folding.frames import (
    backbone_atoms,
    chain_of,
    distance_loss,
    fape,
    gram_schmidt,
    mirrored,
    random_torsions,
    read_backbone,
    rotations,
)
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

ROWS = ({"error": 1e-12, "mirror": 0.4}, {"error": 3e-12, "mirror": 0.2})
SMALL = Config(structures=(), generated=24)


def chain(n: int = 12, seed: int = 0) -> torch.Tensor:
    return chain_of(random_torsions(n, torch.Generator().manual_seed(seed)))


def noisy(backbone: torch.Tensor, size: float, seed: int = 1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return backbone + size * torch.randn(backbone.shape, generator=draw, dtype=torch.float64)


def fape_in_loops(predicted: np.ndarray, true: np.ndarray) -> float:
    """Pair by pair, with frames from a QR decomposition of the two bonds instead of Gram–Schmidt."""

    def frame(residue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, ca, c = residue
        q, r = np.linalg.qr(np.stack([c - ca, n - ca], axis=1))
        q = q * np.sign(np.diag(r))
        third = [q[1, 0] * q[2, 1] - q[2, 0] * q[1, 1], q[2, 0] * q[0, 1] - q[0, 0] * q[2, 1]]
        third.append(q[0, 0] * q[1, 1] - q[1, 0] * q[0, 1])
        return np.column_stack([q, third]), ca

    total, count = 0.0, 0
    for ours, theirs in zip(predicted, true, strict=True):
        (R, t), (S, s) = frame(ours), frame(theirs)
        for x, y in zip(predicted.reshape(-1, 3), true.reshape(-1, 3), strict=True):
            gap = np.linalg.solve(R, x - t) - np.linalg.solve(S, y - s)
            total += min(10.0, math.sqrt(gap @ gap + 1e-4))
            count += 1
    return total / (count + 1e-4) / 10


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_fape_is_the_loop_over_frames_and_points(size: float) -> None:
    true = chain()
    predicted = noisy(true, size)
    ours = fape(*gram_schmidt(predicted), predicted.flatten(0, 1), *gram_schmidt(true), true.flatten(0, 1))
    assert ours.item() == pytest.approx(fape_in_loops(predicted.numpy(), true.numpy()), abs=1e-12)


def test_the_distance_loss_is_the_loop_over_pairs() -> None:
    x, y = chain().flatten(0, 1), noisy(chain(), 4.0).flatten(0, 1)
    gaps = [
        min(10.0, abs(math.dist(x[i].tolist(), x[j].tolist()) - math.dist(y[i].tolist(), y[j].tolist())))
        for i in range(len(x))
        for j in range(i)
    ]
    assert distance_loss(x, y).item() == pytest.approx(sum(gaps) / len(gaps) / 10, rel=1e-12)


def test_the_generated_chain_has_the_torsions_bonds_and_angles_that_it_was_made_of() -> None:
    structure = pytest.importorskip("biotite.structure")
    torsions = random_torsions(20, torch.Generator().manual_seed(3))
    backbone = chain_of(torsions).numpy()
    atoms = structure.AtomArray(60)
    atoms.coord = backbone.reshape(-1, 3)
    atoms.atom_name, atoms.res_id = ["N", "CA", "C"] * 20, np.repeat(np.arange(20), 3)
    atoms.res_name, atoms.chain_id, atoms.element = ["ALA"] * 60, ["A"] * 60, ["N", "C", "C"] * 20
    phi, psi, omega = structure.dihedral_backbone(atoms)
    wrapped = (torsions.numpy() + 180) % 360 - 180
    assert np.allclose(np.degrees(phi[1:]), wrapped[1:, 0], atol=0.01)
    assert np.allclose(np.degrees(psi[:-1]), wrapped[:-1, 1], atol=0.01)
    assert np.allclose(np.abs(np.degrees(omega[:-1])), 180, atol=0.01)
    assert np.allclose(np.linalg.norm(backbone[1:, 0] - backbone[:-1, 2], axis=1), 1.329)


def test_frames_give_back_the_atoms_that_they_came_from() -> None:
    backbone = chain()
    R, t = gram_schmidt(backbone)
    assert torch.allclose(torch.linalg.det(R), torch.ones(12, dtype=torch.float64))
    assert torch.allclose(backbone_atoms(R, t), backbone, atol=1e-9)


def test_quaternions_are_scipys() -> None:
    from scipy.spatial.transform import Rotation

    q = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = Rotation.from_quat(q.numpy()[:, [1, 2, 3, 0]]).as_matrix()
    assert np.allclose(rotations(q).numpy(), expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**30))
def test_rigid_motion_changes_nothing_and_a_mirror_image_keeps_distances_alone(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    true, predicted = chain(16, seed), noisy(chain(16, seed), 0.3, seed)
    R = rotations(torch.randn(4, generator=draw, dtype=torch.float64))
    normal = torch.nn.functional.normalize(torch.randn(3, generator=draw, dtype=torch.float64), dim=0)

    def error(x: torch.Tensor) -> float:
        return fape(*gram_schmidt(x), x.flatten(0, 1), *gram_schmidt(true), true.flatten(0, 1)).item()

    assert error(predicted @ R.T + 30) == pytest.approx(error(predicted), abs=1e-11)
    mirror = mirrored(true, normal)
    assert distance_loss(mirror.flatten(0, 1), true.flatten(0, 1)).item() < 1e-12
    assert error(mirror) > 0.1


def test_improper_frames_give_a_mirror_image_a_false_zero() -> None:
    right, wrong = run(SMALL, Context()), run(Config(structures=(), generated=24, frames="mirrored"), Context())
    assert right["mirror"] > 0.1 > 0.0011 > wrong["mirror"]
    assert right["self_deviation"] < 1e-9
    assert right["residues"] == 24


def test_frames_left_behind_make_no_rigid_motion() -> None:
    row = run(Config(structures=(), generated=24, frames="left_behind"), Context())
    assert row["rigid_change"] > 0.01 < row["rigid_change_of_prediction"]


def test_a_backbone_is_read_from_mmcif(tmp_path: Path) -> None:
    pdbx = pytest.importorskip("biotite.structure.io.pdbx")
    import biotite.structure as structure

    backbone = chain(5)
    atoms = structure.AtomArray(16)
    atoms.coord = np.concatenate([backbone.numpy().reshape(-1, 3), [[9.0, 9.0, 9.0]]])
    atoms.atom_name = ["N", "CA", "C"] * 5 + ["N"]  # the sixth residue lacks two atoms and is left out
    atoms.res_id, atoms.res_name = np.repeat(np.arange(6), 3)[:16], ["ALA"] * 16
    atoms.chain_id, atoms.element = ["A"] * 16, (["N", "C", "C"] * 6)[:16]
    file, text = pdbx.CIFFile(), io.StringIO()
    pdbx.set_structure(file, atoms, data_block="made")
    file.write(text)
    path = tmp_path / "made.cif.xz"
    path.write_bytes(lzma.compress(text.getvalue().encode()))
    assert torch.allclose(read_backbone(path), backbone, atol=1e-3)
    row = run(Config(structures=("made",), generated=0), Context(files={"made": path}))
    assert (row["residues"], row["rigid_change"] < 1e-9) == (5, True)
    with pytest.raises(ValueError, match="chain 'B'"):
        read_backbone(path, "B")


def test_the_smallest_and_the_largest_of_the_seeds_decide() -> None:
    records = [make_record(r, row) for r, row in enumerate(ROWS)]
    found = extremes_over_seeds(records, largest={"a": "error"}, smallest={"b": "mirror"})
    assert (found["a"].value, found["b"].value) == (3e-12, 0.2)
    assert found["b"].extras == {"largest": 0.4}
    with pytest.raises(EstimateError, match="smallest"):
        extremes_over_seeds(records, largest={"a": "error"}, smallest={"a": "mirror"})


def test_a_trial_without_a_value_leaves_no_smallest() -> None:
    records = [make_record(0, {"error": 0.0, "mirror": None}), make_record(1, {"error": 0.0, "mirror": 0.2})]
    found = extremes_over_seeds(records, largest={"a": "error"}, smallest={"b": "mirror"})
    assert found["b"].value is None
    assert "diverged" in found["b"].flags
