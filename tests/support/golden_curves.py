"""Loss curves of a tiny seeded training run, kept for each kind of device under tests/golden.

On a machine with a GPU, from the root of the checkout, `python -m tests.support.golden_curves cuda` writes `cuda.json`; it needs
Python, torch and numpy alone. Write a curve anew only when the recipe was changed on purpose, and say so in CHANGELOG.md.
"""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import torch

from experiments.scaling_laws.language_model import Config, run_batch
from repro.schema.context import Context

FOLDER = Path(__file__).parents[1] / "golden"
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.01}
"""Largest difference of two curves, in nats, by precision. Other kernels of one device move a float32 curve by 1e-6, and 1 % more
of any setting by 1e-3 or more; bfloat16 rounds to 3 digits, and its curve is 0.003 from the float32 one."""
CONFIG = Config(
    source="synthetic:1e5",
    vocabulary=64,
    tokens=80 * 8 * 32,
    n_layer=2,
    d_model=16,
    context=32,
    batch_tokens=256.0,
    batch_exponent=0.0,
    min_steps=80,
    eval_tokens=8192,
)
"""80 steps of 8 windows of 32 tokens, of a text that is the same on every machine and under every version of Python."""
SEEDS = (0, 1)


def curves(
    device: str, precision: str, config: Config = CONFIG, seeds: Sequence[int] = SEEDS
) -> dict[str, list[float]]:
    """Train a stack of seeds; return for each its training loss twenty times and its held-out loss last, nats a token."""
    found: dict[str, list[float]] = {f"seed {seed}": [] for seed in seeds}

    def keep(curve: list[float]) -> Context:
        return Context(device, precision, on_curve=lambda name, _, value: curve.append(value) if name != "lr" else None)

    run_batch([replace(config, seed=seed) for seed in seeds], [keep(curve) for curve in found.values()])
    return found


def settings() -> dict[str, object]:
    """Return where the config differs from the recipe's defaults."""
    default = Config()
    chosen = {field.name: getattr(CONFIG, field.name) for field in fields(Config)}
    return {name: value for name, value in chosen.items() if value != getattr(default, name)}


def largest_difference(curves: dict[str, list[float]], others: dict[str, list[float]]) -> float:
    """Return the largest difference of the curves of the seeds that both have, in nats."""
    return max(
        abs(a - b) for seed in curves.keys() & others.keys() for a, b in zip(curves[seed], others[seed], strict=True)
    )


def write(device: str) -> Path:
    """Keep this machine's curves as the device's."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    kept: dict[str, object] = {"device": name, "torch": torch.__version__, "config": settings()}
    for precision in TOLERANCES:
        found = curves(device, precision)
        kept[precision] = {seed: [float(f"{loss:.7g}") for loss in curve] for seed, curve in found.items()}
    file = FOLDER / f"{device}.json"
    file.write_text(json.dumps(kept, indent=1) + "\n")
    return file


if __name__ == "__main__":
    print(write(sys.argv[1]))
