"""Published results: a listing with all of them against one with none, and judging a bundle again against only reading it."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.start_up import ROUNDS, seconds
from repro.cite.evidence.bundle import read_bundle
from repro.cite.verification.verify import verify
from repro.schema.places import results_dirs


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median wall time of some work, after one round to warm up."""
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print the ratios."""
    repro = str(Path(sys.executable).with_name("repro"))
    with tempfile.TemporaryDirectory() as directory:
        cwd = Path(directory)
        published = {**os.environ, "REPRO_CACHE": str(cwd / "cache")}
        none = {**published, "REPRO_RESULTS": str(cwd / "nothing")}
        for environment in (published, none):
            seconds([repro, "list"], environment, cwd)
        pairs = [(seconds([repro, "list"], published, cwd), seconds([repro, "list"], none, cwd)) for _ in range(ROUNDS)]
        ratio = statistics.median(a / b for a, b in pairs)
        with_s, without_s = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(
            f"repro list with published results: {ratio:.2f} times that without; {with_s:.3f} s against {without_s:.3f} s, "
            f"median of {ROUNDS} pairs"
        )
    bundles = [file.parent for place in results_dirs() for file in place.rglob("attempt.json")]
    if not bundles:
        return
    by_size = sorted(bundles, key=lambda place: (place / "trials.jsonl").stat().st_size)
    for name, place in (("median", by_size[len(by_size) // 2]), ("largest", by_size[-1])):
        bundle = read_bundle(place)
        judged, read = (
            median_seconds(lambda bundle=bundle: verify(bundle)),
            median_seconds(lambda place=place: read_bundle(place).digest),
        )
        print(
            f"verify the {name} published attempt ({place.name}, {len(bundle.packed) / 1e6:.1f} MB): {judged / read:.0f} times "
            f"reading it; {judged:.2f} s against {read:.4f} s, median of {ROUNDS}"
        )
