import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.protein_folding.fold_by_gradient import (
    Config,
    fold,
    run,
    run_batch,
    stack_of,
    superposed_rmsd,
)
from experiments.protein_folding.fold_by_gradient_estimators import shares_of_starts
from experiments.protein_folding.frames import (
    backbone_atoms,
    chain_of,
    distance_loss,
    gram_schmidt,
    mirrored,
    random_torsions,
)
from experiments.protein_folding.lddt import lddt_ca
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

TINY = Config(n_res=6, steps=30)


def points(n: int, seed: int, size: float = 8.0) -> torch.Tensor:
    return size * torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**30), st.floats(0.05, 6.0))
def test_lddt_is_biotites(seed: int, noise: float) -> None:
    structure = pytest.importorskip("biotite.structure")
    true = points(30, seed)
    predicted = true + points(30, seed + 1, noise)
    atoms = structure.AtomArray(30)
    atoms.coord = true.numpy()
    atoms.res_id, atoms.chain_id = np.arange(30), ["A"] * 30
    atoms.atom_name, atoms.res_name, atoms.element = ["CA"] * 30, ["ALA"] * 30, ["C"] * 30
    expected = structure.lddt(atoms, predicted.numpy().astype(np.float32))
    # Biotite reckons in float32: of 1,740 comparisons with a threshold one may fall the other way.
    assert lddt_ca(predicted, true).item() == pytest.approx(float(expected), abs=1.5e-3)


def test_lddt_of_a_mirror_image_is_one_and_of_noise_is_low() -> None:
    true = points(40, 0)
    assert lddt_ca(mirrored(true, torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)), true).item() == 1
    assert lddt_ca(points(40, 1), true).item() < 0.4
    assert math.isnan(lddt_ca(points(2, 1), 1000 * points(2, 2)).item())


def test_the_rmsd_is_scipys() -> None:
    from scipy.spatial.transform import Rotation

    x, y = points(15, 0), points(15, 1)
    x0, y0 = x - x.mean(0), y - y.mean(0)
    _, rssd = Rotation.align_vectors(y0.numpy(), x0.numpy())
    assert superposed_rmsd(x[None], y[None]).item() == pytest.approx(rssd / math.sqrt(15), rel=1e-9)
    flipped = x * torch.tensor([1.0, 1.0, -1.0])
    best = min(superposed_rmsd(each[None], y[None]).item() for each in (x, flipped))
    assert superposed_rmsd(x[None], y[None], reflections=True).item() == pytest.approx(best, rel=1e-9)


def test_proper_frames_can_build_the_mirror_image_with_all_its_distances() -> None:
    chain = chain_of(random_torsions(20, torch.Generator().manual_seed(0)))
    mirror = mirrored(chain, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    built = backbone_atoms(*gram_schmidt(mirror))
    assert torch.allclose(built, mirror, atol=1e-9)
    assert distance_loss(built.flatten(0, 1), chain.flatten(0, 1)).item() < 1e-9


def test_both_losses_fall_and_fape_finds_the_hand_of_a_helix() -> None:
    found = run(replace(TINY, n_res=16, steps=300), Context())
    assert found["right_hand"] == found["right_hand_any"] == 1
    assert found["loss"] < 0.1
    assert found["lddt"] > 0.9
    assert found["rmsd"] < 1 < found["rmsd_mirror"]
    curve: list[float] = []
    context = Context(on_curve=lambda name, step, value: curve.append(value))
    distance = run(replace(TINY, loss="distance", steps=300), context)
    assert distance["loss"] < 0.1 * curve[0]


def test_started_at_the_mirror_image_distances_stay_there_and_fape_does_not() -> None:
    true = chain_of(random_torsions(16, torch.Generator().manual_seed(5))).float()
    mirror = mirrored(true, torch.tensor([1.0, 0.0, 0.0]))
    from scipy.spatial.transform import Rotation

    R, t = gram_schmidt(mirror)
    q = torch.tensor(Rotation.from_matrix(R.numpy()).as_quat()[:, [3, 0, 1, 2]], dtype=torch.float32)
    ends = {}
    for loss in ("fape", "distance"):
        config = replace(TINY, n_res=16, steps=300, loss=loss, lr=0.05 if loss == "fape" else 1e-4)
        backbone, last = fold(config, true[None], q[None], t[None], Context())
        ca = backbone[:, :, 1]
        ends[loss] = superposed_rmsd(ca, true[None, :, 1]).item(), superposed_rmsd(ca, mirror[None, :, 1]).item(), last
    assert ends["fape"][0] < ends["fape"][1]
    assert ends["distance"][0] > ends["distance"][1]
    assert ends["distance"][2].item() < 0.01


def test_chains_fold_side_by_side_as_they_do_alone() -> None:
    configs = [replace(TINY, seed=seed) for seed in range(3)]
    together = run_batch(configs, [Context()] * 3)
    for config, row in zip(configs, together, strict=True):
        alone = run(config, Context())
        assert alone.keys() == row.keys()
        assert alone["loss"] == pytest.approx(row["loss"], rel=1e-3)
    assert stack_of(configs[0]) == stack_of(configs[2]) != stack_of(replace(TINY, loss="distance"))


def test_a_diverged_chain_says_so_and_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.protein_folding import fold_by_gradient

    def broken(config, true, q, t, context):
        spoiled = true.clone()
        spoiled[0, 0, 1] = torch.nan
        return spoiled, torch.zeros(len(true))

    monkeypatch.setattr(fold_by_gradient, "fold", broken)
    first, second = run_batch([TINY, replace(TINY, seed=1)], [Context()] * 2)
    assert all(math.isnan(value) for value in first.values())
    assert second["right_hand"] == 1
    assert second["rmsd"] == pytest.approx(0, abs=1e-3)


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="fape_clamped"):
        run(replace(TINY, loss="mse"), Context())


def records(*values: float | None, loss: str = "fape") -> list:
    return [make_record(r, {"hand": value}, loss=loss) for r, value in enumerate(values)]


def test_a_share_has_the_interval_of_agresti_and_coull() -> None:
    from statsmodels.stats.proportion import proportion_confint

    both = records(*[1.0] * 15, *[0.0] * 5) + records(*[0.0] * 20, loss="distance") + records(1.0, loss="other")
    found = shares_of_starts(both, column="hand", by="loss", arms={"a": "fape", "b": "distance"})
    assert (found["a"].value, found["b"].value, found["a"].n) == (0.75, 0.0, 20)
    # At 95.4 % the interval adds z² / 2 = 2 of each kind, and is two standard errors either way.
    low, high = proportion_confint(15, 20, alpha=1 - 0.9544997361036416, method="agresti_coull")
    assert 4 * found["a"].se == pytest.approx(high - low, rel=1e-9)
    assert found["b"].se > 0  # unanimous is not certain
    assert found["a"].extras == {"share_other": 1.0}


def test_a_share_refuses_what_is_no_share() -> None:
    arms = {"a": "fape"}
    with pytest.raises(EstimateError, match="ones and zeros"):
        shares_of_starts(records(0.5), column="hand", by="loss", arms=arms)
    with pytest.raises(EstimateError, match="'hand'"):
        shares_of_starts(records(1.0), column="hnad", by="loss", arms=arms)
    with pytest.raises(EstimateError, match="part 'a'"):
        shares_of_starts(records(1.0, loss="other"), column="hand", by="loss", arms=arms)
    with pytest.raises(EstimateError, match="no field 'lots'"):
        shares_of_starts(records(1.0), column="hand", by="lots", arms=arms)
    found = shares_of_starts(records(1.0, None, 1.0), column="hand", by="loss", arms=arms)["a"]
    assert (found.value, found.flags) == (1.0, ("diverged",))
