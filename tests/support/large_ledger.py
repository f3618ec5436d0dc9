"""A large ledger, made in seconds: the rows that the writer makes, put into SQLite many at once.

What of an attempt becomes tags, metrics, params and files is asked of the ledger itself (`repro.ledger.content`); of a trial it is
asked once, and what differs from trial to trial is put in its place. Only the way into the database is short. The values are drawn
at random and mean nothing.
"""

import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from repro.ledger import names
from repro.ledger.content import (
    ATTEMPT_FILE,
    attempt_metrics,
    attempt_tags,
    milliseconds,
    params,
    trial_tags,
)
from repro.ledger.note import attempt_note
from repro.ledger.runs import RECORD_FILE
from repro.ledger.store import create_store
from repro.schema.canonical import canonical_json, digest_of
from repro.schema.claim import Claim, EstimatorSpec, Margin, Paper, Part, Protocol, Quantity, Rule, Target
from repro.schema.jsonform import to_json
from repro.schema.study import ScaleDelta, Study
from repro.schema.trial import Machine, TrialRecord
from repro.schema.verdict import Attempt, Estimate, PartVerdict, Sealed, Verdict

CLAIMS_A_PAPER = 20
SCALES = ("cpu", "gpu")
OUTCOMES = ("match", "mismatch", "inconclusive")
RULE = Rule("equivalence", Margin(absolute=0.1), "Any margin will do here.", {"rival": "0.73"})
MACHINE = Machine("f" * 32, "processor", 2, 8.0, "cpu", "Linux", "3.11", "2.13.0", 1)
ESTIMATOR = "repro.stats.summary.mean_over_seeds"
MOMENT = "2024-05-{day:02d}T{hour:02d}:{minute:02d}:00+00:00"


@dataclass(frozen=True)
class Large:
    """What a large ledger is about: the catalogue that belongs to it."""

    claims: Sequence[Claim]
    papers: Mapping[str, Paper]
    studies: Mapping[str, Study]


@dataclass
class _Rows:
    """Rows of MLflow's tables that wait to be written."""

    first: int
    """Number of the first run."""
    runs: list[tuple[object, ...]] = field(default_factory=list)
    tags: list[tuple[object, ...]] = field(default_factory=list)
    metrics: list[tuple[object, ...]] = field(default_factory=list)
    params: list[tuple[object, ...]] = field(default_factory=list)


def large_ledger(directory: Path, claims: int, attempts: int, trials: int, seed: int = 0) -> Large:
    """Write a ledger to `mlflow.db` and `mlruns` in a directory, and return the catalogue that it is about.

    Args:
        directory: where; the store must not exist yet.
        claims: how many.
        attempts: at each claim.
        trials: of each attempt, one row and no curve each.
        seed: of the values.
    """
    file = directory / "mlflow.db"
    create_store(file)
    large = _catalogue(claims)
    draw = random.Random(seed)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        experiments = [f"{names.PAPER_PREFIX}{name}" for name in large.papers]
        experiments += [f"{names.STUDY_PREFIX}{name}" for name in large.studies]
        places = {
            name: (number, directory / "mlruns" / str(number)) for number, name in enumerate(experiments, start=1)
        }
        connection.executemany(
            "INSERT INTO experiments VALUES (?, ?, ?, 'active', 0, 0, 'default')",
            [(number, name, str(place)) for name, (number, place) in places.items()],
        )
        for count, claim in enumerate(large.claims):
            rows = _Rows(count * attempts * (trials + 1))
            for number in range(attempts):
                _attempt(rows, claim, large.papers[claim.paper], number, trials, places, draw)
            _insert(connection, rows)
    return large


def _catalogue(claims: int) -> Large:
    papers = [f"paper{number:03d}" for number in range(-(-claims // CLAIMS_A_PAPER))]
    made = [_claim(papers[number // CLAIMS_A_PAPER], number) for number in range(claims)]
    scales = {scale: ScaleDelta() for scale in SCALES}
    return Large(
        made,
        {name: Paper(name, f"A made-up paper, {name}", ("A. Nobody", "B. Nobody"), 2024) for name in papers},
        {f"{name}/study": Study(f"{name}/study", "experiments.made_up", scales) for name in papers},
    )


def _claim(paper: str, number: int) -> Claim:
    # Every fifth has two parts, so that both layouts are there.
    parts = ("value",) if number % 5 else ("short", "tall @ 2×")
    return Claim(
        id=f"{paper}/claim{number:04d}",
        paper=paper,
        statement=f"Made-up quantity {number} is close to one half, give or take what anybody would call little.",
        locator=f"Table {number}",
        quantity=Quantity("a", "1", "d ln bend / d ln width"),
        parts={name: Part(Target("0.5", source="verified"), RULE) for name in parts},
        protocols={
            "retrain": Protocol("replication", f"{paper}/study", EstimatorSpec(ESTIMATOR, {"column": "loss"}), ("gpu",))
        },
    )


def _attempt(
    rows: _Rows,
    claim: Claim,
    paper: Paper,
    number: int,
    trials: int,
    places: Mapping[str, tuple[int, Path]],
    draw: random.Random,
) -> None:
    """Add one attempt with its trials, and write its file and theirs."""
    study, scale = f"{claim.paper}/study", SCALES[number % len(SCALES)]
    started = MOMENT.format(day=1 + number % 28, hour=draw.randrange(24), minute=draw.randrange(60))
    keys = tuple(digest_of([claim.id, number, replicate])[:40] for replicate in range(trials))
    experiment, place = places[names.STUDY_PREFIX + study]
    prototype = _trial(study, started)
    template, marks = to_json(prototype), trial_tags(prototype)
    ids = []
    for replicate, key in enumerate(keys):
        loss = draw.gauss(0.5, 0.05)
        content = {**template, "key": key, "replicate": replicate, "rows": [{"loss": loss, "flops": 1e9}]}
        content["config"] = {**template["config"], "seed": replicate}
        digest = digest_of({name: value for name, value in content.items() if name != "digest"})
        run_id = _run_id(rows, digest)
        ids.append(run_id)
        tags = {**marks, names.TRIAL_KEY: key, names.RECORD: digest, "repro.replicate": str(replicate)}
        points = [("loss", loss, 0), ("flops", 1e9, 0)]
        settings = params(content["config"], RECORD_FILE)
        artifacts = place / run_id / "artifacts"
        artifacts.mkdir(parents=True)
        (artifacts / RECORD_FILE).write_text(
            json.dumps({**content, "digest": digest}, ensure_ascii=False) + "\n", "utf-8"
        )
        _add(
            rows,
            run_id,
            f"{prototype.label} r{replicate}",
            experiment,
            artifacts,
            started,
            60.0,
            tags,
            points,
            settings,
        )
    made = _judged(claim, study, scale, number, keys, started, draw)
    run_id = _run_id(rows, digest_of(made.id))
    tags = {**attempt_tags(made, paper, ids), names.NOTE: attempt_note(made, paper, claim, [])}
    tags[names.CONTENT] = digest_of([made.id, number])
    experiment, place = places[names.PAPER_PREFIX + paper.id]
    artifacts = place / run_id / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / ATTEMPT_FILE).write_text(canonical_json(to_json(made)) + "\n", "utf-8")
    points = [(name, value, 0) for name, value in attempt_metrics(made).items()]
    _add(rows, run_id, made.id, experiment, artifacts, started, 300.0, tags, points, params(made.config, ""))


def _run_id(rows: _Rows, digest: str) -> str:
    """Return an id for the next run; ids in order make the indexes of the database quick to build."""
    return f"{rows.first + len(rows.runs):08x}{digest[:24]}"


def _trial(study: str, started: str) -> TrialRecord:
    return TrialRecord(
        key="",
        study=study,
        recipe="experiments.made_up",
        config={"n_layer": 4, "d_model": 128, "lr": 3e-4, "batch_size": 32, "tokens": 1e7, "seed": 0},
        replicate=0,
        sources="5" * 64,
        device="cpu",
        precision="float32",
        measures="value",
        label="n_layer=4",
        status="finished",
        rows=(),
        curves={},
        data={"corpus": "9" * 64},
        seals=("a" * 64,),
        started=started,
        seconds=60.0,
        machine=MACHINE,
        process="p",
        packages={"numpy": "1.26"},
    )


def _judged(
    claim: Claim, study: str, scale: str, number: int, keys: tuple[str, ...], started: str, draw: random.Random
) -> Attempt:
    outcome = OUTCOMES[draw.randrange(3)]
    parts = {}
    for name in claim.parts:
        value = draw.gauss(0.5, 0.1)
        estimate = Estimate(value, 0.02, len(keys) - 1.0, len(keys), "seed", tuple(draw.gauss(0.5, 0.1) for _ in keys))
        reason = "underpowered" if outcome == "inconclusive" else None
        parts[name] = PartVerdict(
            outcome, reason, "", estimate, 0.5, 0.05, 0.1, value - 0.5, 0.02, 4.0, 0.05, value - 0.04, value + 0.04
        )
    sealed = Sealed(
        claim=claim.id,
        protocol="retrain",
        scale=scale,
        kind="replication",
        parts=claim.parts,
        estimator=ESTIMATOR,
        arguments={"column": "loss"},
        estimator_sources="e" * 64,
        resampling_unit="seed",
        study=study,
        trials=keys,
        replicates=tuple(range(len(keys))),
        max_replicates=len(keys),
        controls={},
        decisive=("gpu",),
    )
    return Attempt(
        id=f"{claim.id}@retrain@{scale}-{sealed.digest[:8]}-{number}",
        claim=claim.id,
        protocol="retrain",
        scale=scale,
        counter=number,
        sealed=sealed,
        execution="completed",
        validity="current",
        exploratory=draw.random() < 0.1,
        arms={"main": keys},
        verdict=Verdict(outcome, parts[next(iter(parts))].reason, "Within the margin, or not.", parts, {}),
        config={"study": {"params": {"lr": 3e-4, "n_layer": 4}}, "scale": scale},
        provenance={"commit": "c" * 40, "dirty": False, "command": f"repro run {claim.id}"},
        started=started,
        finished=started,
        seconds=60.0 * len(keys),
        compute_ratio=0.01 if scale == "cpu" else 1.0,
    )


def _add(
    rows: _Rows,
    run_id: str,
    name: str,
    experiment: int,
    artifacts: Path,
    started: str,
    seconds: float,
    tags: Mapping[str, str],
    points: Sequence[tuple[str, float, int]],
    settings: Mapping[str, str],
) -> None:
    start = milliseconds(started)
    end = start + round(1000 * seconds)
    rows.runs.append(
        (
            run_id,
            name,
            "UNKNOWN",
            "",
            "",
            "unknown",
            "FINISHED",
            start,
            end,
            "",
            "active",
            str(artifacts),
            experiment,
            None,
        )
    )
    rows.tags += [
        (key, value, run_id) for key, value in {**tags, "mlflow.runName": name, "mlflow.user": "unknown"}.items()
    ]
    rows.metrics += [(key, value, end, run_id, step, 0) for key, value, step in points]
    rows.params += [(key, value, run_id) for key, value in settings.items()]


def _insert(connection: sqlite3.Connection, rows: _Rows) -> None:
    for table, width, found in (("runs", 14, rows.runs), ("tags", 3, rows.tags), ("params", 3, rows.params)):
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", found)
    connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows.metrics)
    connection.executemany(
        "INSERT INTO latest_metrics VALUES (?, ?, ?, ?, ?, ?)",
        ((key, value, end, step, nan, run_id) for key, value, end, run_id, step, nan in rows.metrics),
    )
