"""What planning 100,000 trials takes, in a process of its own: laid out, sealed, stored as a plan file, and read back.

The path is the one of `repro plan` and `repro run`: a claim with a control, a study with a grid of sizes and 100 seeds.
Run: python -m benchmarks planning, or python -m benchmarks.planning TRIALS for another number (a multiple of 1,000).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

TRIALS, SEEDS, ARMS = 100_000, 100, 2
LIMIT_S, LIMIT_MB = 10.0, 500.0

CLAIM = """
id: many/slope
paper: many
statement: What is measured grows in proportion to the size.
locator: nowhere
quantity: {{symbol: p, unit: "1", definition: d ln y / d ln size}}
target: {{printed: "1.0", source: verified}}
rule: {{kind: equivalence, margin: {{absolute: 0.1}}, because: A tenth is what matters here.}}
protocols:
  measure:
    kind: replication
    study: many/sizes
    estimator: {{_target_: repro.stats.regression.log_log_slope, x: size, y: y, octaves: 30.0}}
    decisive: [cpu]
    controls:
      flat: {{params: {{exponent: 0.0}}, expect: mismatch, because: what does not grow has no slope of one}}
"""
STUDY = """
recipe: recipes.many.sizes
params: {{exponent: 1.0, spread: 0.01, seconds: {seconds}}}
design: {{grid: {{size: [{sizes}]}}}}
replicates: {seeds}
scales: {{cpu: {{}}}}
"""
RECIPE = '''"""Keeps a processor busy for some milliseconds and measures what grows with a size.

Serves: many/slope
"""

import random
import time
from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    size: float = 1.0
    exponent: float = 1.0
    spread: float = 0.01
    seconds: float = 0.0
    n_layer: int = 4
    d_model: int = 128
    lr: float = 1e-3
    schedule: str = "cosine"
    seed: int = 0


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def run(config: Config, context: Context) -> dict[str, float]:
    work(config.seconds)
    draw = random.Random(f"{config.seed} {config.size}")
    y = config.size**config.exponent * draw.lognormvariate(0.0, config.spread)
    return {"y": y, "flops": cost(config)}


def cost(config: Config) -> float:
    return 1e6 * config.seconds
'''


def write_claims(root: Path, trials: int, seeds: int, seconds: float) -> None:
    """Write a claims directory whose one study lays out so many trials, half of them for the control."""
    sizes = ", ".join(f"{1 + number}.0" for number in range(trials // seeds // ARMS))
    files = {
        "paper/many.yaml": "title: Many trials\nauthors: [A. Author]\nyear: 2024\n",
        "claim/many/slope.yaml": CLAIM.format(),
        "study/many/sizes.yaml": STUDY.format(sizes=sizes, seeds=seeds, seconds=seconds),
        "recipes/many/sizes.py": RECIPE,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def own_environment(home: Path) -> dict[str, str]:
    """Return the variables of a process that knows only the claims in `home/claims` and keeps everything in `home`."""
    own = {"REPRO_CLAIMS": str(home / "claims"), "REPRO_CACHE": str(home / "cache"), "REPRO_HOME": str(home / "home")}
    return {**os.environ, **own, "PYTHONPATH": str(Path(__file__).parents[1])}


def peak_mb() -> float:
    """Return the most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measured() -> dict[str, float]:
    """Plan, store and read back in this process; return the seconds of each, the memory, and the size of the plan file."""
    from repro.catalog.index import load_index
    from repro.launch.attempt import to_run
    from repro.launch.planning.planfile import read_plan
    from repro.launch.records.store import RecordStore
    from repro.launch.session import Wishes, prepare
    from repro.schema.places import home_dir, records_dir

    index, words, wishes = load_index(), ["many/slope", "scale=cpu"], Wishes(indicative=True)
    prepare([*words, "replicates=3"], index, store=False, wishes=wishes)  # imports hydra and the rest
    found = {"imports_mb": peak_mb()}

    def timed(name: str, work: Callable[[], T]) -> T:
        wall, processor = time.perf_counter(), time.process_time()
        done = work()
        found[f"{name}_s"], found[f"{name}_cpu_s"] = time.perf_counter() - wall, time.process_time() - processor
        found[f"{name}_mb"] = peak_mb()
        return done

    timed("look", lambda: prepare(words, index, store=False, wishes=wishes))
    prepared = timed("plan", lambda: prepare(words, index, wishes=wishes))
    waiting = timed("to_run", lambda: len(to_run(prepared.plan, RecordStore(records_dir()))))
    (file,) = (home_dir() / "plans").glob("*.json")
    prepared = None
    plan = timed("read", lambda: read_plan(file))
    return found | {"trials": len(plan.trials), "waiting": waiting, "file_bytes": file.stat().st_size}


def in_own_process(trials: int) -> dict[str, float]:
    """Measure in a fresh process, whose memory is then its own."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        write_claims(home / "claims", trials, SEEDS, 0.01)
        code = "import json; from benchmarks.planning import measured; print(json.dumps(measured()))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=own_environment(home),
            cwd=home,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(trials: int = TRIALS) -> None:
    """Measure and print the seconds and the memory."""
    found = in_own_process(trials)
    assert found["trials"] == found["waiting"] == trials
    seconds, memory = found["plan_s"], found["read_mb"]
    print(
        f"planning {trials:,} trials: {seconds:.1f} s sealed and stored ({found['plan_cpu_s']:.1f} s of the processor; under "
        f"{LIMIT_S:g}), {found['look_s']:.1f} s looked at only, {found['read_s']:.1f} s read back, {found['to_run_s']:.1f} s "
        f"what is left to run; at most {memory:.0f} MB in all (under {LIMIT_MB:g}), {memory - found['imports_mb']:.0f} MB of it "
        f"beyond the imports; plan file {found['file_bytes'] / trials:.0f} bytes a trial"
    )


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
