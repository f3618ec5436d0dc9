"""The pages on a large ledger: 1,000 claims, 10,000 attempts and 100,000 trials in one SQLite store.

Prints how long it takes from the database to the overview: the first time, again, and again after somebody wrote to the ledger; how
large that page is, how much faster the attempts are read than by MLflow's `search_runs`, and how the page of one claim fares against
a ledger of a hundredth of the size.
Run: python -m benchmarks dashboard (takes some minutes and 2 GB of disk; REPRO_BENCH_CLAIMS makes it smaller)
"""

import gzip
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir, closing
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from large_ledger import Large, large_ledger
from repro.ledger import names, sql
from repro.ledger.runs import find_runs
from repro.ledger.store import reading
from repro.review.addresses import claim_address
from repro.review.load import book_of
from repro.review.server.shelf import FRESH_S, Shelf

CLAIMS, ATTEMPTS, TRIALS = 1000, 10, 10
"""Claims, attempts at each, trials of each attempt."""
SMALLER, PAGES = 100, 9
"""How many times smaller the other ledger is, and how many pages are made of claims in each."""
COLD_S, WARM_S, PAGE_MB, FASTER, SLOWER = 1.0, 0.1, 1.0, 15.0, 1.5
"""The limits that the project allows itself; the last is what timing pages in two ledgers leaves to chance."""

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return the seconds that some work takes, and what it gives."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def shelf_of(large: Large) -> Shelf:
    """Return what a server keeps of the ledger in the working directory; nothing is read yet."""
    return Shelf(lambda: book_of(large.claims, large.papers, large.studies))


def overview(shelf: Shelf) -> str:
    """Return the overview, as a reader gets it."""
    page = shelf.content("index.html")
    assert isinstance(page, str)
    return page


def again(shelf: Shelf) -> float:
    """Return the seconds of the overview for a reader who comes when the server looks again whether anything changed."""
    time.sleep(FRESH_S)
    return timed(lambda: overview(shelf))[0]


def written(directory: Path) -> None:
    """Write something to the ledger in a directory that changes nothing."""
    with closing(sqlite3.connect(directory / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE experiments SET last_update_time = last_update_time + 1 WHERE experiment_id = 0")


def listed(large: Large, root: Path) -> None:
    """Let the catalogue have a file of each claim: what people checked is looked for beside it."""
    for claim in large.claims:
        file = root / "claim" / f"{claim.id}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def through_mlflow() -> int:
    """Read every attempt as MLflow does, and return how many there are."""
    with reading() as client:
        found = client.search_experiments(filter_string=f"name LIKE '{names.PAPER_PREFIX}%'", max_results=1000)
        place = [experiment.experiment_id for experiment in found]
        count, token = 0, None
        while True:
            page = client.search_runs(place, max_results=5000, page_token=token)
            count, token = count + len(page), page.token
            if not token:
                return count


def read_attempts() -> int:
    """Read every attempt's run as the ledger does, with nothing kept in mind, and return how many there are."""
    sql.forget()
    return len(find_runs(names.PAPER_PREFIX, names.ATTEMPT))


def claim_seconds(shelf: Shelf, large: Large) -> float:
    """Return the median seconds of the page of a claim, each made for the first time."""
    times = []
    for name in spread(large):
        overview(shelf)  # should it be time to look for changes, that is not the page's
        times.append(timed(partial(shelf.content, claim_address(name)))[0])
    return statistics.median(times)


def spread(large: Large) -> list[str]:
    """Return the ids of claims from all over a ledger."""
    ids = [claim.id for claim in large.claims]
    return ids[:: max(1, len(ids) // PAGES)][:PAGES]


def main() -> None:
    """Measure and print."""
    claims = int(os.environ.get("REPRO_BENCH_CLAIMS", CLAIMS))
    for name in ("MLFLOW_TRACKING_URI", "REPRO_HOME"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as directory:
        os.environ["REPRO_RESULTS"] = str(Path(directory) / "none")
        os.environ["REPRO_CLAIMS"] = str(Path(directory) / "claims")
        small, large = Path(directory) / "small", Path(directory) / "large"
        small.mkdir()
        large.mkdir()
        of_small = large_ledger(small, max(claims // SMALLER, 1), ATTEMPTS, TRIALS)
        making, of_large = timed(lambda: large_ledger(large, claims, ATTEMPTS, TRIALS))
        listed(of_large, Path(directory) / "claims")
        with chdir(small):
            shelf = shelf_of(of_small)
            shelf.content(claim_address(of_small.claims[0].id))  # the templates are read once in a process
            on_small = claim_seconds(shelf, of_small)
        with chdir(large):
            shelf = shelf_of(of_large)
            cold, page = timed(lambda: overview(shelf))
            warm = statistics.median(again(shelf) for _ in range(3))
            written(large)
            after = again(shelf)
            on_large = claim_seconds(shelf, of_large)
            (ours, count), (theirs, same) = timed(read_attempts), timed(through_mlflow)
            assert count == same == claims * ATTEMPTS
    size = len(gzip.compress(page.encode())) / 1e6
    what = f"{claims:,} claims, {count:,} attempts, {count * TRIALS:,} trials (made in {making:.0f} s)"
    print(
        f"dashboard: {what}: database to overview {cold:.2f} s, {cold / COLD_S:.1f} of the {COLD_S:g} s it may take; again "
        f"{1000 * warm:.0f} ms, {warm / WARM_S:.1f} of {1000 * WARM_S:g} ms; after a write {after:.2f} s; page {size:.2f} MB compressed (at most {PAGE_MB:g})"
    )
    print(
        f"dashboard: reading {count:,} attempts {ours:.2f} s, search_runs {theirs:.2f} s: {theirs / ours:.1f} times faster "
        f"(at least {FASTER:g}); page of a claim {1000 * on_large:.0f} ms, in a ledger of {len(of_small.claims) * ATTEMPTS * TRIALS:,} "
        f"trials {1000 * on_small:.0f} ms: ratio {on_large / on_small:.2f} (at most {SLOWER:g})"
    )


if __name__ == "__main__":
    main()
