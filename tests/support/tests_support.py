"""A small claims directory as text: a noisy claim, an exact claim, and recipes that take no time."""

import signal
import sys
from pathlib import Path


def with_interrupts() -> None:
    """Let a child process hear Ctrl-C (a `preexec_fn`): a shell that starts the tests in the background switches it off."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def forget_recipes() -> None:
    """Drop what this process remembers of recipes and configs: the next test writes others under the same names."""
    from repro.catalog import load, recipe

    for name in [name for name in sys.modules if name == "recipes" or name.startswith("recipes.")]:
        del sys.modules[name]
    sys.path[:] = [entry for entry in sys.path if not (Path(entry) / "recipes").is_dir()]
    sys.path_importer_cache.clear()
    load._files.cache_clear()
    recipe.source_digest.cache_clear()


CLAIM = """
id: {name}
paper: toy
statement: The mean of the draws is one.
locator: Section 1
quantity: {{symbol: x, unit: "1", definition: mean of the draws}}
target: {{printed: "{printed}", source: verified}}
rule: {{kind: equivalence, margin: {{absolute: 0.25}}, because: A quarter is what matters here.}}
protocols:
  replicate:
    kind: replication
    study: toys/draws
    estimator: {{_target_: repro.stats.summary.mean_over_seeds, column: x}}
    decisive: [cpu]
    controls:
      without_effect: {{params: {{effect: 0.0}}, expect: mismatch, because: no effect is no mean of one}}
"""

STUDY = """
recipe: recipes.toys.draws
params: {effect: 1.0, spread: 0.05}
replicates: 6
scales:
  smoke: {replicates: 3}
  cpu: {}
"""

RECIPE = '''"""Draws normal numbers.

Serves: toy/mean
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    effect: float = 1.0
    spread: float = 0.1
    seconds: float = 0.0
    journal: str = ""
    crash: str = ""
    sizes: tuple[int, ...] = (1, 2)
    seed: int = 0


def run(config: Config, context: Context) -> dict[str, float]:
    if config.journal:
        with Path(config.journal).open("a") as stream:
            stream.write(f"{config.effect} {config.seed}\\n")
    if config.crash == "always" or (config.crash and not Path(config.crash).exists()):
        if config.crash != "always":
            Path(config.crash).touch()
        raise RuntimeError("the machine gave up")
    end = time.monotonic() + config.seconds
    while time.monotonic() < end:
        context.progress(1 - (end - time.monotonic()) / config.seconds)
        time.sleep(0.005)
    draw = random.Random(config.seed)
    x = draw.gauss(config.effect, config.spread)
    context.log(0, x=x)
    return {"x": x, "flops": 10.0}


def cost(config: Config) -> float:
    return 10.0


def design(config: Config) -> list[dict]:
    return [{"effect": float(size)} for size in config.sizes]
'''

DETERMINISTIC_CLAIM = """
id: toy/exact
paper: toy
statement: Two and two are four.
locator: Section 2
quantity: {symbol: s}
target: {printed: "4", source: verified}
rule: {kind: exact}
protocols:
  recompute:
    kind: recomputation
    study: toys/sum
    estimator: {_target_: repro.stats.summary.measured_value, column: s}
    decisive: [full]
    controls:
      off_by_one: {params: {right: 3}, expect: mismatch, because: two and three are five}
"""

SUM = '''"""Adds two numbers.

Serves: toy/exact
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    left: int = 2
    right: int = 2
    seed: int = 0


def run(config: Config, context: Context) -> dict[str, float]:
    return {"s": config.left + config.right}
'''
