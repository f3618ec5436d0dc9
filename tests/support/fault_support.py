"""A plan of tiny trials without a claim, made without Hydra, and a recipe that gets into trouble as it is told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.catalog.recipe import source_digest
from repro.launch.planning.planfile import write_plan
from repro.schema.trial import Plan, TrialSpec

RECIPE = '''"""Draws one normal number, and gets into trouble as it is told.

Serves: toy/mean
"""

import ctypes
import os
import random
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    seconds: float = 0.0
    journal: str = ""
    trouble: str = ""
    micro_batch: int = 8
    seed: int = 0


def deadlock(library) -> None:
    """Wait in C for a lock that is held; no signal gets out of that."""
    lock = ctypes.create_string_buffer(256)
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)


class OutOfMemoryError(RuntimeError):
    """As torch's, by name."""


def run(config: Config, context: Context) -> dict[str, float]:
    if config.journal:
        with Path(config.journal).open("a") as stream:
            stream.write(f"{config.seed}\\n")
    context.log(0, asked=config.micro_batch)
    if config.trouble == "nan":
        return {"x": float("nan")}
    if config.trouble == "hangs in C":
        deadlock(ctypes.CDLL(None))
    if config.trouble == "hangs with the interpreter":
        deadlock(ctypes.PyDLL(None))
    if config.trouble == "kills its process":
        os.kill(os.getpid(), 9)
    if config.trouble == "device memory" and config.micro_batch > 2:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    if config.trouble == "memory":
        raise MemoryError("Unable to allocate 2 TiB")
    end = time.monotonic() + config.seconds
    while time.monotonic() < end:
        context.progress(1 - (end - time.monotonic()) / config.seconds)
        time.sleep(0.001)
    x = random.Random(config.seed).gauss(1.0, 0.05)
    context.log(0, x=x)
    return {"x": x, "flops": 10.0}
'''

SMALLER = """

def smaller(config):
    return replace(config, micro_batch=config.micro_batch // 2) if config.micro_batch > 1 else None
"""


def tiny_plan(trials: Sequence[Mapping[str, Any]], file: Path | None = None, **fields: Any) -> Plan:
    """Return a plan with one trial of `recipes.toys.draws` for each config, written to a file if one is named.

    Args:
        trials: configs; a trial's replicate is its number.
        file: of the plan.
        **fields: of every trial, such as `time_limit_s`.
    """
    recipe = "recipes.toys.draws"
    fields = {"study": "toys/draws", "device": "cpu", "precision": "float32", **fields}
    specs = [
        TrialSpec(
            recipe=recipe,
            config={"seed": number, **config},
            replicate=number,
            sources=source_digest(recipe),
            label=f"seed={number}",
            **fields,
        )
        for number, config in enumerate(trials)
    ]
    plan = Plan((), tuple(specs), "2024-05-17T00:00:00+00:00")
    if file is not None:
        write_plan(plan, file)
    return plan
