"""The ledger and the published results together, as frames and as the schema's own objects."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from repro.ledger import names
from repro.ledger.calibrations import CALIBRATION_FILE, calibration_digest, read_calibration
from repro.ledger.content import attempt_metrics, attempt_tags, part_names
from repro.ledger.names import read_list
from repro.ledger.published import (
    find_published,
    load_published_attempt,
    load_published_trials,
    name_with_digest,
    published_attempts,
    published_calibrations,
    published_results,
    same_attempt,
)
from repro.ledger.runs import find_runs, linked_trials, read_artifact
from repro.ledger.sql import RunRow
from repro.ledger.store import shown, tracking_uri
from repro.ledger.stored import attempt_of, remember, run_of
from repro.ledger.tables import TRIAL_COLUMNS, columns, trial_rows
from repro.schema.calibration import Calibration
from repro.schema.claim import Paper
from repro.schema.errors import RecordError, StoreError, nearest
from repro.schema.published import PublishedResult
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

if TYPE_CHECKING:
    import pandas

ATTEMPT_COLUMNS = {
    "attempt": "string", "claim": "string", "part": "string", "paper": "string", "protocol": "string", "kind": "string",
    "scale": "string", "execution": "string", "outcome": "string", "reason": "string", "part_outcome": "string",
    "part_reason": "string", "validity": "string", "exploratory": "bool", "target": "float64", "margin": "float64",
    "estimate": "float64", "se": "float64", "low": "float64", "high": "float64", "n": "Int64", "deviation": "float64",
    "deviation_scale": "string", "seal": "string", "started": "datetime64[ns, UTC]", "seconds": "float64",
    "compute_ratio": "float64", "commit": "string", "dirty": "boolean", "origin": "string", "evidence": "string",
}  # fmt: skip
"""Columns of `attempts()` and their types."""

_METRICS = {
    "target": "target",
    "margin": "margin",
    "estimate": "estimate",
    "se": "estimate_se",
    "low": "ci_low",
    "high": "ci_high",
    "n": "n",
    "deviation": "deviation",
}


Origin = Literal["ledger", "published", "both", "imported"]
"""Where an attempt is known from; `imported` stands in the ledger and was made elsewhere."""


@dataclass(frozen=True)
class Known:
    """An attempt, and where it is known from."""

    attempt: Attempt
    """Under the name that every page, table and command calls it by."""
    origin: Origin
    evidence: str | None = None
    """sha256 of its evidence, where it was published or imported."""
    published: PublishedResult | None = None


def attempts() -> "pandas.DataFrame":
    """Return one row for each part of each attempt, by start; blocked claims stand there with `execution` blocked.

    `outcome` and `reason` are those of the attempt, `part_outcome` and `part_reason` those of the part. `margin` and
    `deviation` are natural logarithms where `deviation_scale` is `log`. `low` and `high` end the 1 − 2α interval.
    `origin` is `ledger`, `published`, `both` or `imported`, and `evidence` the digest of what was published or imported.
    What an attempt does not have is missing: NaN, NaT or `pandas.NA`.

    Raises:
        StoreError: if the store cannot be read.
    """
    import pandas

    runs = {run.tags[names.ATTEMPT]: run for run in _attempt_runs(only=None)}
    rows = []
    for place in _places(runs, lambda name: attempt_of(runs[name]), None):
        run = runs[place.name] if place.attempt is None else _as_run(place.name, place.attempt, place.result)
        rows += [{**row, "origin": place.origin, "evidence": place.evidence} for row in _part_rows(run)]
    frame = pandas.DataFrame(rows, columns=list(ATTEMPT_COLUMNS))
    frame["started"] = pandas.to_datetime(frame["started"], utc=True, format="ISO8601", errors="coerce")
    return frame.astype(ATTEMPT_COLUMNS).sort_values(["started", "attempt"], kind="stable", ignore_index=True)


def trials(attempt_id: str) -> "pandas.DataFrame":
    """Return one row for each measured row of each trial of an attempt, arm by arm.

    Columns are those of `repro.ledger.tables.TRIAL_COLUMNS`, then `config.<field>`, then the measurements (missing
    and non-finite ones are NaN). A failed trial has one row without measurements.

    Raises:
        StoreError: if there is no such attempt (names the nearest), or the store cannot be read.
    """
    import pandas

    rows = trial_rows(load_attempt(attempt_id).arms, load_trials(attempt_id))
    header = columns(rows)
    frame = pandas.DataFrame([[row.get(name) for name in header] for row in rows], columns=header)
    measured = [name for name in header if name not in TRIAL_COLUMNS and not name.startswith("config.")]
    return frame.astype({**dict.fromkeys(measured, "float64"), "row": "Int64"})


def load_attempts(claim: str | None = None) -> list[Attempt]:
    """Return every attempt in the ledger or published, or those of one claim, by start. Blocked claims are no attempts.

    Raises:
        StoreError: if the store or an artifact cannot be read.
        RecordError: if an artifact was damaged.
    """
    return [known.attempt for known in load_known(claim)]


def load_known(claim: str | None = None) -> list[Known]:
    """Return what `load_attempts` returns, with where each is known from.

    An attempt that is in the ledger and published stands once. Another published attempt of the same id stands beside
    ours as `<id>~<8 digits of its evidence digest>`. Published attempts that cannot be read are left out
    (`repro.ledger.published.published_problems` names them).

    Raises:
        StoreError: if the store or an artifact cannot be read.
        RecordError: if an artifact was damaged.
    """
    found = {run.tags[names.ATTEMPT]: attempt_of(run) for run in _attempt_runs(claim) if run.tags.get(names.SEAL)}
    known = [
        Known(_called(place.name, place.attempt or found[place.name]), place.origin, place.evidence, place.result)
        for place in _places(found, found.__getitem__, claim)
    ]
    return sorted(known, key=lambda each: (each.attempt.started, each.attempt.id))


def load_attempt(attempt_id: str) -> Attempt:
    """Return one attempt, from the ledger, else from the published results.

    Raises:
        StoreError: if there is none of this id (names the nearest), or it cannot be read.
    """
    run = _run(attempt_id)
    return attempt_of(run) if run else replace(load_published_attempt(_published(attempt_id)), id=attempt_id)


def load_trials(attempt_id: str) -> list[TrialRecord]:
    """Return the records of an attempt's trials, arm by arm; of one key, failed runs come before the one that counts.

    Raises:
        StoreError: if there is no such attempt, or a trial's run was deleted.
        RecordError: if a stored record was edited.
    """
    run = _run(attempt_id)
    if run is None:
        _published(attempt_id)
        return load_published_trials(attempt_id)
    return [trial.record for trial in linked_trials(run)]


def calibrations(claim: str | None = None) -> Mapping[str, Calibration]:
    """Return the calibration of every seal in the ledger or published, or of one claim's, that has one.

    The ledger's own goes before a published one. Published ones that cannot be read are left out
    (`repro.ledger.published.published_calibrations` says why).

    Raises:
        StoreError: if the store or an artifact cannot be read.
        RecordError: if an artifact was damaged, or belongs to another seal.
    """
    found: dict[str, Calibration] = {}
    for run in _attempt_runs(claim):
        if run.tags.get(names.CALIBRATION) and run.tags.get(names.SEAL) not in found:
            calibration = _calibration(run)
            found[calibration.seal] = calibration
    published = (each for _, each in published_calibrations(claim))
    return {each.seal: each for each in published if isinstance(each, Calibration)} | found


def calibration_of(attempt_id: str) -> Calibration | None:
    """Return the calibration that the ledger has of an attempt's seal, or None.

    Raises:
        StoreError: if the store cannot be read.
        RecordError: if the artifact was damaged, or belongs to another seal.
    """
    run = _run(attempt_id)
    return _calibration(run) if run and run.tags.get(names.CALIBRATION) else None


def _calibration(run: RunRow) -> Calibration:
    where = f"{CALIBRATION_FILE} of attempt {run.tags[names.ATTEMPT]} (run {run.run_id})"
    calibration = read_calibration(read_artifact(run, CALIBRATION_FILE), run.tags[names.SEAL], where)
    if calibration_digest(calibration) != run.tags[names.CALIBRATION]:
        raise RecordError(f"{where} was edited after it was written. Run `repro calibrate --again` to replace it.")
    return calibration


def _attempt_runs(claim: str | None = None, only: tuple[str, ...] | None = names.HEAD) -> list[RunRow]:
    """Return one run an attempt: the oldest, should two machines have written the same attempt to a server at once."""
    runs: dict[str, RunRow] = {}
    tag, values = (names.ATTEMPT, None) if claim is None else (names.CLAIM, [claim])
    for run in find_runs(names.PAPER_PREFIX, tag, values, only):
        if names.ATTEMPT in run.tags:
            runs.setdefault(run.tags[names.ATTEMPT], run)
    remember(runs.values())
    return list(runs.values())


@dataclass(frozen=True)
class _Place:
    """Where one attempt is read from: the ledger, unless `attempt` is here."""

    name: str
    origin: Origin
    evidence: str | None = None
    result: PublishedResult | None = None
    attempt: Attempt | None = None


def _places(ledger: Collection[str], load: Callable[[str], Attempt], claim: str | None) -> list[_Place]:
    """Return the attempts of the ledger and the published ones, each once.

    Args:
        ledger: ids of what is in the ledger.
        load: reads one of them; called only where a published attempt could be the same, or it was imported.
        claim: only its published attempts.
    """
    imported = {name: _imported_evidence(load(name)) for name in ledger if "~" in name}
    places = {name: _Place(name, "ledger") for name in ledger}
    places |= {name: _Place(name, "imported", evidence) for name, evidence in imported.items()}
    for result, attempt in published_attempts(claim):
        copies = [name for name, evidence in imported.items() if evidence == result.evidence]
        for copy in copies:
            places.pop(copy, None)
        name, ours = result.attempt, places.get(result.attempt)
        if ours is not None and ours.attempt is None and same_attempt(load(name), attempt):
            places[name] = _Place(name, "both", result.evidence, result)
            continue
        if ours is not None:
            name = name_with_digest(name, result.evidence)
        shown = _still_theirs(attempt, load(copies[0])) if copies else attempt
        places[name] = _Place(name, "both" if copies else "published", result.evidence, result, shown)
    return list(places.values())


def _called(name: str, attempt: Attempt) -> Attempt:
    return attempt if attempt.id == name else replace(attempt, id=name)


def _still_theirs(published: Attempt, imported: Attempt) -> Attempt:
    """Return a published attempt as somebody else's, which it was imported as; the index that lists its digest vouches for it."""
    origin = imported.provenance["origin"]
    origin = {**origin, "checked_against": origin.get("checked_against") or "digest"}
    return replace(published, provenance={**published.provenance, "origin": origin})


def _imported_evidence(attempt: Attempt) -> str | None:
    origin = attempt.provenance.get("origin")
    return str(origin["evidence"]) if isinstance(origin, Mapping) and "evidence" in origin else None


def _as_run(name: str, attempt: Attempt, result: PublishedResult | None) -> RunRow:
    """Return a published attempt as the run that the ledger would hold of it."""
    paper = Paper(id=result.paper if result else "", title="", authors=(), year=0)
    return RunRow("", "", "", "", attempt_tags(replace(attempt, id=name), paper, ()), attempt_metrics(attempt))


def _run(attempt_id: str) -> RunRow | None:
    run = run_of(attempt_id)
    return run if run is not None and run.tags.get(names.SEAL) else None


def _published(attempt_id: str) -> PublishedResult:
    found = find_published(attempt_id)
    if found is not None:
        return found
    known = [run.tags[names.ATTEMPT] for run in _attempt_runs() if run.tags.get(names.SEAL)]
    known += [result.attempt for result in published_results()]
    hint = nearest(attempt_id, known) or " The ledger is empty: launch one with repro run."
    raise StoreError(
        f"There is no attempt '{attempt_id}' in the ledger at {shown(tracking_uri())} or among the published results.{hint}"
    )


def _part_rows(run: RunRow) -> list[dict[str, Any]]:
    def tag(name: str) -> str | None:
        return run.tags.get(name) or None

    whole = {
        "attempt": tag(names.ATTEMPT),
        "claim": tag(names.CLAIM),
        "paper": tag(names.PAPER),
        "protocol": tag(names.PROTOCOL),
        "kind": tag(names.KIND),
        "scale": tag(names.SCALE),
        "execution": tag(names.EXECUTION),
        "outcome": tag(names.VERDICT),
        "reason": tag(names.REASON),
        "validity": tag(names.VALIDITY),
        "exploratory": tag(names.EXPLORATORY) == "true",
        "seal": tag(names.SEAL),
        "started": tag(names.STARTED),
        "seconds": run.metrics.get("seconds"),
        "compute_ratio": run.metrics.get("compute_ratio"),
        "commit": tag(names.GIT_COMMIT),
        "dirty": {"true": True, "false": False}.get(tag(names.GIT_DIRTY) or ""),
    }
    return [
        {
            **whole,
            "part": part,
            "part_outcome": tag(names.PART_VERDICT + suffix),
            "part_reason": tag(names.PART_REASON + suffix),
            "deviation_scale": tag(names.DEVIATION_SCALE + suffix),
            **{column: run.metrics.get(metric + suffix) for column, metric in _METRICS.items()},
        }
        for part, suffix in part_names(read_list(run.tags, names.PARTS)).items()
    ]
