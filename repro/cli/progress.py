"""Progress with time left, read from what the worker leaves in the record directory while it runs."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from repro.catalog.index import Index
from repro.launch.attempt import Concluded, to_run
from repro.launch.records.store import RecordStore
from repro.launch.running.interrupts import exit_code, stoppable
from repro.launch.running.limits import start_anew_if_hung
from repro.launch.session import Prepared, Wishes, launch, prepare
from repro.review.pictures.figures import interval_figure
from repro.schema.places import records_dir
from repro.schema.trial import TrialRecord, TrialSpec

LOOK_EVERY_S = 0.5


def run_with_progress(prepared: Prepared) -> list[Concluded]:
    """Launch a prepared plan, showing on stderr which trials run, how far all are, and the time left."""
    store = RecordStore(records_dir())
    # All looks count: if an early one decides, the bar jumps to its end.
    missing = to_run(prepared.plan, store, all_looks=True)
    start_anew_if_hung()
    with watching(store, missing, "To go on, run the same command again", "judged and recorded") as on_record:
        return launch(prepared, interval_figure, on_record)


@contextmanager
def watching(
    store: RecordStore, missing: Sequence[TrialSpec], cure: str, at_last: str = "done"
) -> Iterator[Callable[[TrialRecord], None]]:
    """Show on stderr how far the missing trials are; yields what is to be called with each record.

    Args:
        store: where workers leave how far they are.
        missing: the trials that will run.
        cure: what to do after Ctrl-C, which ends the command with code 130.
        at_last: what to say at the end.
    """
    weights = _weights(missing)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials"),
    )
    done_keys: set[str] = set()
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        count = progress.add_task("nothing to run" if not missing else "starting", total=max(len(missing), 1))
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(LOOK_EVERY_S):
                running = store.running()
                part = sum(
                    weights[key] * done for key, (_, done) in running.items() if key in weights and key not in done_keys
                )
                labels = [label for key, (label, _) in running.items() if key in weights]
                finished = sum(weights[key] for key in done_keys if key in weights)
                if not stop.is_set():
                    rest = len(missing) - len(done_keys)
                    progress.update(count, completed=finished + part, description=_describe(labels, missing, rest))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()

        def on_record(record: TrialRecord) -> None:
            done_keys.add(record.key)
            if record.status == "failed":
                progress.console.print(
                    f"failed: {record.label or record.key[:8]}: {record.error}", style="red", markup=False
                )
            elif record.status == "diverged" or record.error:
                said = f": {record.error}" if record.error else ""
                progress.console.print(f"{record.status}: {record.label or record.key[:8]}{said}", markup=False)

        try:
            with stoppable():
                yield on_record
            progress.update(count, completed=max(len(missing), 1), description=at_last)
        except KeyboardInterrupt as reason:
            stopped = f"Stopped with {len(done_keys)} of {len(missing)} trials finished; they are kept."
            progress.console.print(f"{stopped} {cure}.", markup=False, soft_wrap=True)
            raise typer.Exit(exit_code(reason)) from None
        finally:
            stop.set()
            watcher.join()


def _weights(specs: Sequence[TrialSpec]) -> dict[str, float]:
    """Return what share of the work each trial is, scaled to sum to their number: by FLOPs where all recipes say."""
    costs = {spec.key: spec.cost for spec in specs}
    known = [cost for cost in costs.values() if cost]
    if not costs or len(known) < len(costs):
        return dict.fromkeys(costs, 1.0)
    return {key: (cost or 0.0) * len(costs) / sum(known) for key, cost in costs.items()}


def _describe(labels: Sequence[str], missing: Sequence[TrialSpec], rest: int) -> str:
    if rest <= 0:
        return "judging and recording"
    beside = f"{len(labels)} side by side: " if len(labels) > 1 else ""
    return (beside + (labels[0] if labels and labels[0] else missing[0].study))[:60]


def prepare_with_status(
    words: Sequence[str], index: Index, new_seeds: bool = False, wishes: Wishes | None = None
) -> Prepared:
    """Compose and seal, showing on stderr that this is going on."""
    with Console(stderr=True).status("composing and sealing"):
        return prepare(words, index, new_seeds, wishes=wishes or Wishes())
