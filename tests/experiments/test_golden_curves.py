"""A tiny training run gives the loss curve that was kept for this kind of device, and the comparison would notice a change."""

import json
from dataclasses import replace

import pytest
import torch

from golden_curves import CONFIG, FOLDER, SEEDS, TOLERANCES, curves, largest_difference, settings

KEPT = {file.stem: json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))}
HOW = "if the recipe was changed on purpose, write it anew: python -m tests.support.golden_curves"


@pytest.fixture(scope="module")
def curve_here() -> dict[str, list[float]]:
    return curves("cpu", "float32")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_curve_of_a_device_is_the_one_that_was_kept(device: str, precision: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    if device not in KEPT:
        pytest.skip(f"no curve was kept; python -m tests.support.golden_curves {device} writes it")
    difference = largest_difference(curves(device, precision), KEPT[device][precision])
    assert difference <= TOLERANCES[precision], f"{HOW} {device}"


@pytest.mark.parametrize("device", KEPT)
def test_what_was_kept_is_of_this_config_and_learns(device: str) -> None:
    kept = KEPT[device]
    assert kept["config"] == settings(), f"{HOW} {device}"
    for precision in TOLERANCES:
        assert list(kept[precision]) == [f"seed {seed}" for seed in SEEDS]
        for curve in kept[precision].values():
            assert len(curve) == 21
            assert curve[0] > 4.0 > 3.0 > curve[-1]


def test_devices_and_precisions_agree() -> None:
    """The seeds fix weights and text on every device, so that only rounding tells their curves apart."""
    reference = KEPT["cpu"]["float32"]
    for kept in KEPT.values():
        for precision, tolerance in TOLERANCES.items():
            assert largest_difference(kept[precision], reference) <= tolerance


@pytest.mark.parametrize("change", [{"lr": 1.01 * CONFIG.lr}, {"beta2": 0.985}, {"weight_decay": 0.09}], ids=str)
def test_a_setting_that_is_off_by_little_is_noticed(
    change: dict[str, float], curve_here: dict[str, list[float]]
) -> None:
    changed = curves("cpu", "float32", replace(CONFIG, **change), seeds=SEEDS[:1])
    assert largest_difference(changed, curve_here) > 5 * TOLERANCES["float32"]


def test_other_kernels_and_a_run_alone_give_the_same_curve(
    curve_here: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert curves("cpu", "float32", seeds=SEEDS[1:])["seed 1"] == curve_here["seed 1"]
    monkeypatch.setattr("repro.lab.gpt.pays", lambda heads: False)
    assert 0 < largest_difference(curves("cpu", "float32"), curve_here) < 0.1 * TOLERANCES["float32"]


def test_under_mup_the_base_width_trains_as_the_standard_model(curve_here: dict[str, list[float]]) -> None:
    config = replace(CONFIG, parametrization="mup", base_width=CONFIG.d_model)
    assert curves("cpu", "float32", config, seeds=SEEDS[:1])["seed 0"] == curve_here["seed 0"]


@pytest.mark.parametrize(
    "variant", [{"tied": False}, {"positions": "learned"}, {"parametrization": "mup", "base_width": 8}], ids=str
)
def test_every_variant_of_the_model_learns_in_its_own_way(
    variant: dict[str, object], curve_here: dict[str, list[float]]
) -> None:
    curve = curves("cpu", "float32", replace(CONFIG, **variant), seeds=SEEDS[:1])["seed 0"]
    assert curve[-1] < 3.0
    assert abs(curve[-1] - curve_here["seed 0"][-1]) > 100 * TOLERANCES["float32"]
