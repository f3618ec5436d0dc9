"""The parametric law refitted to 4,000 resamples, and its optimum from 4,500 starts: ours against SciPy's L-BFGS-B on one core.

The runs are drawn from a law (240, like Chinchilla's Figure 4), or read from the published table where `REPRO_DATA` has it. SciPy
gets the objective of one resample, written in NumPy as fast as we know, in three ways:

- `as usual`: no gradient, so SciPy takes differences, as papers' notebooks do; started at other published constants.
- `gradient`: exact gradient, the same start.
- `best case`: exact gradient, started at the optimum of all runs (which takes a global search to know), as ours is.

In all three the objective is scaled by 1,000 and the tolerances are next to nothing, for with SciPy's defaults L-BFGS-B stops per cents
above the minimum; how far above ours it still ends is printed. SciPy is timed on some of the resamples and multiplied up.

Seconds are those of the processor, so that other work on the machine counts as little as can be. The measurement runs in a process of its
own with one thread.

Run: python -m benchmarks scaling_fits, or for all resamples by SciPy too (minutes): python -m benchmarks.scaling_fits --all
"""

import csv
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from repro.stats.bootstrap import resamples
from repro.stats.scaling_laws.approach3 import FITTED, bootstrap_fits
from repro.stats.scaling_laws.huber import DELTA, Runs, loss_and_gradient, summed_loss
from repro.stats.scaling_laws.law import Array, ParametricLaw
from repro.stats.scaling_laws.optimum import find_optimum

REFITS, RUNS, ROUNDS = 4000, 240, 5
SCIPY_REFITS = 40
"""Resamples that SciPy is timed on; the rest is extrapolated."""
LIMIT, AIM, CERTIFIED_S = 50, 150, 5.0
"""The least ratio that the project allows itself, the ratio it aims at, and the seconds for a certified optimum."""
TIGHT = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 20_000, "maxfun": 100_000}
LAW = ParametricLaw(E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
OTHER = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])
"""The constants of Hoffmann et al. 2022 (TeX source)."""


def training_runs() -> tuple[Runs, str]:
    """Return 240 runs and where they are from."""
    table = Path(os.environ.get("REPRO_DATA", "")) / "scaling/epoch_chinchilla_svg_extracted.csv"
    if table.is_file():
        with table.open(newline="") as stream:
            rows = sorted(csv.DictReader(stream), key=lambda row: float(row["loss"]))[:RUNS]
        n, c, loss = (np.array([float(row[name]) for row in rows]) for name in ("Model Size", "Training FLOP", "loss"))
        return Runs(np.log(n), np.log(c / 6 / n), np.log(loss)), "the published runs of Chinchilla's Figure 4"
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(6e7), np.log(1.6e10), RUNS))
    d = n * np.exp(rng.uniform(0, np.log(300), RUNS))
    return Runs(np.log(n), np.log(d), np.log(LAW.loss(n, d)) + rng.normal(0, 0.01, RUNS)), "runs drawn from a law"


def value_alone(theta: Array, runs: Runs) -> float:
    """Return the summed Huber loss at one θ."""
    a, b, e, alpha, beta = theta
    r = runs.log_loss - np.log(np.exp(a - alpha * runs.log_params) + np.exp(b - beta * runs.log_tokens) + np.exp(e))
    clipped = np.clip(r, -DELTA, DELTA)
    return 1e3 * float(clipped @ (r - 0.5 * clipped))


def value_and_slope(theta: Array, runs: Runs) -> tuple[float, Array]:
    """Return the summed Huber loss and its gradient, scaled."""
    value, slope = loss_and_gradient(theta, runs)
    return 1e3 * value, 1e3 * slope


def scipys(runs: Runs, drawn: Array, start: Array, objective: Callable[..., object], jac: bool) -> tuple[float, Array]:
    """Return seconds and the objectives that SciPy reaches on these resamples."""
    reached = np.empty(len(drawn))
    began = time.process_time()
    for i, rows in enumerate(drawn):
        some = Runs(runs.log_params[rows], runs.log_tokens[rows], runs.log_loss[rows])
        reached[i] = minimize(objective, start, args=(some,), jac=jac, method="L-BFGS-B", options=TIGHT).fun / 1e3
    return time.process_time() - began, reached


def measure(count: int) -> None:
    """Measure and print, with SciPy on `count` of the resamples."""
    runs, source = training_runs()
    began = time.process_time()
    found = find_optimum(runs, every_start=True)
    seconds = time.process_time() - began
    print(
        f"scaling fits, {source}: optimum of the {found.starts:,}-start grid in {seconds:.2f} s (at most {CERTIFIED_S:g}), "
        f"{'certified' if found.certified else 'NOT certified: ' + found.problem}; {found.arrived:,} starts arrive, variable projection "
        f"ends {found.projected:.1e} from it"
    )
    screened = find_optimum(runs)
    print(f"scaling fits: screening instead of all starts ends {screened.objective / found.objective - 1:.1e} from it")

    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        fits = bootstrap_fits(runs, found.theta, REFITS, seed=0)
        times.append(time.process_time() - began)
    ours = float(np.median(times))
    drawn = resamples(len(runs), REFITS, 0, fitted=FITTED)
    weights = np.array([np.bincount(rows, minlength=len(runs)) for rows in drawn[:count]], dtype=float)
    objectives = summed_loss(fits[:count], runs, weights)
    best = objectives.copy()
    arms = {
        "as usual": (OTHER, value_alone, False),
        "gradient": (OTHER, value_and_slope, True),
        "best case": (found.theta, value_and_slope, True),
    }
    lines = []
    for name, (start, objective, jac) in arms.items():
        seconds, reached = scipys(runs, drawn[:count], start, objective, jac)
        best = np.minimum(best, reached)
        total = seconds * REFITS / count
        gap = reached / objectives - 1
        how = "timed" if count == REFITS else f"extrapolated from {count}"
        lines.append(
            f"scaling fits: SciPy L-BFGS-B {name} {total:.1f} s ({how}): ratio {total / ours:.0f}; its objectives end "
            f"{np.median(gap):.0e} (median) to {gap.max():.0e} above ours"
        )
    print(
        f"scaling fits: {REFITS:,} bootstrap refits in {ours:.2f} s, median of {ROUNDS}; at most {(objectives / best - 1).max():.0e} above the "
        f"best objective that either side found (ratio at least {LIMIT}, aim {AIM})"
    )
    print("\n".join(lines))


def main() -> None:
    """Measure on one thread."""
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    subprocess.run([sys.executable, "-m", "benchmarks.scaling_fits"], env={**os.environ, **one}, check=True)


if __name__ == "__main__":
    measure(REFITS if "--all" in sys.argv else SCIPY_REFITS)
