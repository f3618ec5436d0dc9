"""A toy recipe whose losses follow a law with a known optimum, and a study of it."""

STUDY = """
recipe: recipes.toys.law
design: {function: isoflop}
scales:
  cpu:
    params:
      budgets: [1.0e+10, 4.0e+10]
      widths: [64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096]
      depths: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
      first_size: [2, 4]
      sizes: 5
      runs: [1, 1]
"""


def law_recipe() -> str:
    """Return the recipe: N = 160 d, loss = 1 + 10 (N^-0.5 + D^-0.5) with D = C/6N, so N* = sqrt(C/6); best rate 0.02."""
    return _RECIPE


_RECIPE = '''"""Losses by a law.

Serves: nothing
"""

import math
from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    budget: float = 0.0
    n_layer: int = 1
    d_model: int = 1
    lr: float = 0.02
    budgets: tuple[float, ...] = ()
    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = ()
    first_size: tuple[int, ...] = ()
    sizes: int = 0
    runs: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Shape:
    parameters: int


EMPTY = {"budgets": (), "widths": (), "depths": (), "first_size": (), "sizes": 0, "runs": ()}


def shape_of(config):
    return Shape(160 * config.d_model)


def cost(config):
    return config.budget


def rung(config, number):
    return {"n_layer": config.depths[number], "d_model": config.widths[number], **EMPTY}


def isoflop(config):
    if not len(config.budgets) == len(config.first_size) == len(config.runs):
        raise ValueError("budgets, first_size and runs must be equally long")
    return [
        {**rung(config, number), "budget": budget}
        for budget, first in zip(config.budgets, config.first_size)
        for number in range(first, min(first + config.sizes, len(config.widths)))
    ]


def scout(config):
    if not len(config.budgets) == len(config.first_size) == len(config.runs):
        raise ValueError("budgets, first_size and runs must be equally long")
    cells = []
    for i, (budget, first) in enumerate(zip(config.budgets, config.first_size)):
        coarse = [n for n in range(first - 2, first + config.sizes + 4, 2) if 0 <= n < len(config.widths)]
        for n in coarse:
            for factor in (0.5, 1.0, 2.0) if i == 0 and n in coarse[:3] else (1.0,):
                cells.append({**rung(config, n), "budget": budget, "lr": factor * config.lr, "seed": 7})
    return cells


def run(config, context):
    n = shape_of(config).parameters
    d = config.budget / (6 * n)
    loss = 1 + 10 * (n**-0.5 + d**-0.5) + 0.01 * math.log(config.lr / 0.02) ** 2
    return {"budget": config.budget, "params": float(n), "loss": loss, "flops": config.budget}
'''
