"""What tracking costs: an attempt against one bare `log_batch` of its points, a trial against a bare MLflow child run like it.

The attempt has five trials and 1,000 metric points. The bare child run gets by MLflow's own client what the ledger writes of a
trial: the same tags, params, metrics and record; without the ledger's search for one that is there already, its transaction and
its lock. Trials are written one at a time, which is the ledger's worst case: many share one transaction. All write to one warm
SQLite store on disk, in turn, in this process. Prints medians and ratios.
Run: python -m benchmarks tracking
"""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir

from repro.ledger.content import milliseconds, params, trial_files, trial_points, trial_tags
from repro.ledger.names import NOTE
from repro.ledger.note import trial_note
from repro.ledger.runs import RECORD_FILE
from repro.ledger.store import reading
from repro.ledger.write import record_attempts
from repro.schema.claim import Claim, Margin, Paper, Part, Quantity, Rule, Target
from repro.schema.trial import Machine, TrialRecord
from repro.schema.verdict import Attempt, Estimate, PartVerdict, Sealed, Verdict

TRIALS, POINTS, ROUNDS = 5, 1000, 15
LIMIT = 4.0
"""The ratio that the project allows itself for an attempt."""
TRIAL_LIMIT = 2.0
"""And for a trial."""

PAPER = Paper("benchmark", "A benchmark", ("Nobody",), 2024)
PART = Part(Target("0.5"), Rule("equivalence", Margin(absolute=0.1), "Any margin will do here."))
CLAIM = Claim("benchmark/cost", "benchmark", "Tracking is cheap.", "nowhere", Quantity("x"), {"value": PART})
CONFIG = {
    "n_layer": 4,
    "n_head": 4,
    "d_model": 128,
    "lr": 3e-4,
    "batch_size": 32,
    "warmup_tokens": 1e5,
    "tokens": 1e7,
}
MACHINE = Machine("f" * 32, "processor", 2, 8.0, "cpu", "Linux", "3.11", "2.13.0", 1)


def trial(number: int, replicate: int, draw: random.Random) -> TrialRecord:
    """Return a trial with its share of the points: one measured, the rest a curve."""
    curve = tuple((step, draw.random()) for step in range(POINTS // TRIALS - 1))
    return TrialRecord(
        key=f"{number:020d}{replicate:020d}",
        study="benchmark/cost",
        recipe="experiments.benchmark.cost",
        config={**CONFIG, "seed": replicate},
        replicate=replicate,
        sources="5" * 64,
        device="cpu",
        precision="float32",
        measures="value",
        label="n_layer=4",
        status="finished",
        rows=({"loss": draw.random()},),
        curves={"loss": curve},
        data={},
        seals=("a" * 64,),
        started="2024-05-01T10:00:00+00:00",
        seconds=60.0,
        machine=MACHINE,
        process="p",
    ).with_digest()


def attempt(number: int, keys: tuple[str, ...]) -> Attempt:
    """Return a judged attempt on these trials."""
    estimate = Estimate(0.52, se=0.01, dof=4.0, n=TRIALS, unit="seed", units=(0.5,) * TRIALS)
    decided = PartVerdict("match", None, "", estimate, 0.5, 0.05, 0.1, 0.02, 0.01, 4.0, 0.05, 0.50, 0.54)
    sealed = Sealed(
        claim=CLAIM.id,
        protocol="retrain",
        scale="gpu",
        kind="replication",
        parts=CLAIM.parts,
        estimator="repro.stats.summary.mean_over_seeds",
        arguments={"column": "loss"},
        estimator_sources="e" * 64,
        resampling_unit="seed",
        study="benchmark/cost",
        trials=keys,
        replicates=tuple(range(TRIALS)),
        max_replicates=TRIALS,
        controls={},
        decisive=("gpu",),
    )
    return Attempt(
        id=f"{CLAIM.id}@retrain@gpu-{sealed.digest[:8]}-{number}",
        claim=CLAIM.id,
        protocol="retrain",
        scale="gpu",
        counter=number,
        sealed=sealed,
        execution="completed",
        validity="current",
        exploratory=False,
        arms={"main": keys},
        verdict=Verdict("match", None, "Within the margin.", {"value": decided}, {}),
        config={"study": {"params": CONFIG}},
        provenance={"commit": "c" * 40, "dirty": False, "command": "repro run benchmark/cost"},
        started="2024-05-01T10:00:00+00:00",
        finished="2024-05-01T10:05:00+00:00",
    )


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tracked(number: int, draw: random.Random) -> float:
    """Return the seconds to record one attempt with its trials."""
    trials = {record.key: record for record in (trial(number, replicate, draw) for replicate in range(TRIALS))}
    rows = [(attempt(number, tuple(trials)), PAPER, CLAIM)]
    return timed(lambda: record_attempts(rows, trials, {rows[0][0].id: "<svg/>"}))


def bare(draw: random.Random) -> float:
    """Return the seconds of one `log_batch` of as many points."""
    from mlflow.entities import Metric

    with reading() as client:
        run_id = client.create_run("0").info.run_id
        metrics = [Metric("loss", draw.random(), 1_700_000_000_000, step) for step in range(POINTS)]
        seconds = timed(lambda: client.log_batch(run_id, metrics=metrics))
        client.set_terminated(run_id)
    return seconds


def tracked_trial(number: int, draw: random.Random) -> float:
    """Return the seconds to record one trial."""
    record = trial(number, 0, draw)
    return timed(lambda: record_attempts([], {record.key: record}, {}))


def child_run(number: int, draw: random.Random) -> float:
    """Return the seconds of a bare child run with the same content."""
    from mlflow.entities import Metric, Param

    record = trial(number, 0, draw)

    def write() -> None:
        tags = {**trial_tags(record), NOTE: trial_note(record), "mlflow.parentRunId": parent}
        moment = milliseconds(record.started)
        run_id = client.create_run("0", moment, tags, record.label).info.run_id
        metrics = [Metric(name, value, moment, step) for name, value, step in trial_points(record)]
        client.log_batch(run_id, metrics, [Param(*pair) for pair in params(record.config, RECORD_FILE).items()])
        for name, text in trial_files(record).items():
            client.log_text(run_id, text, name)
        client.set_terminated(run_id)

    with reading() as client:
        parent = client.create_run("0").info.run_id
        return timed(write)


def main() -> None:
    """Measure in turn and print the ratios."""
    draw = random.Random(0)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as directory, chdir(directory):
        tracked(0, draw)  # creates the store; the first of each is no measurement
        bare(draw)
        pairs = [(tracked(number, draw), bare(draw)) for number in range(1, ROUNDS + 1)]
        alone = [
            (tracked_trial(1000 + number, draw), child_run(2000 + number, draw)) for number in range(1, ROUNDS + 1)
        ]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"tracking: an attempt of {TRIALS} trials and {POINTS:,} points {1000 * ours:.0f} ms, one bare log_batch of the "
        f"points {1000 * theirs:.0f} ms, medians of {ROUNDS}: ratio {ours / theirs:.2f} (at most {LIMIT:g})"
    )
    ours, theirs = (statistics.median(column) for column in zip(*alone, strict=True))
    print(
        f"tracking: a trial of {POINTS // TRIALS} points {1000 * ours:.0f} ms, a bare child run with the same content "
        f"{1000 * theirs:.0f} ms, medians of {ROUNDS}: ratio {ours / theirs:.2f} (at most {TRIAL_LIMIT:g})"
    )


if __name__ == "__main__":
    main()
