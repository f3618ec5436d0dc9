"""The ledger as frames and as the schema's own objects."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repro.ledger import names
from repro.ledger.calibrations import CALIBRATION_FILE, calibration_digest, read_calibration
from repro.ledger.content import ATTEMPT_FILE, part_names
from repro.ledger.names import read_list
from repro.ledger.runs import find_runs, linked_trials, read_artifact
from repro.ledger.sql import RunRow
from repro.ledger.store import shown, tracking_uri
from repro.ledger.tables import TRIAL_COLUMNS, columns, trial_rows
from repro.schema.calibration import Calibration
from repro.schema.errors import RecordError, StoreError, nearest
from repro.schema.jsonform import from_json, parse_json
from repro.schema.trial import TrialRecord
from repro.schema.verdict import ATTEMPT_VERSION, Attempt

if TYPE_CHECKING:
    import pandas

ATTEMPT_COLUMNS = {
    "attempt": "string", "claim": "string", "part": "string", "paper": "string", "protocol": "string", "kind": "string",
    "scale": "string", "execution": "string", "outcome": "string", "reason": "string", "part_outcome": "string",
    "part_reason": "string", "validity": "string", "exploratory": "bool", "target": "float64", "margin": "float64",
    "estimate": "float64", "se": "float64", "low": "float64", "high": "float64", "n": "Int64", "deviation": "float64",
    "deviation_scale": "string", "seal": "string", "started": "datetime64[ns, UTC]", "seconds": "float64",
    "compute_ratio": "float64", "commit": "string", "dirty": "boolean",
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


def attempts() -> "pandas.DataFrame":
    """Return one row for each part of each attempt, by start; blocked claims stand there with `execution` blocked.

    `outcome` and `reason` are those of the attempt, `part_outcome` and `part_reason` those of the part. `margin` and
    `deviation` are natural logarithms where `deviation_scale` is `log`. `low` and `high` end the 1 − 2α interval.
    What an attempt does not have is missing: NaN, NaT or `pandas.NA`.

    Raises:
        StoreError: if the store cannot be read.
    """
    import pandas

    rows = [row for run in _attempt_runs() for row in _part_rows(run)]
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

    run = _find(attempt_id)
    rows = trial_rows(_attempt(run).arms, [trial.record for trial in linked_trials(run)])
    header = columns(rows)
    frame = pandas.DataFrame([[row.get(name) for name in header] for row in rows], columns=header)
    measured = [name for name in header if name not in TRIAL_COLUMNS and not name.startswith("config.")]
    return frame.astype({**dict.fromkeys(measured, "float64"), "row": "Int64"})


def load_attempts(claim: str | None = None) -> list[Attempt]:
    """Return every attempt in the ledger, or those of one claim, by start. Blocked claims are no attempts.

    Raises:
        StoreError: if the store or an artifact cannot be read.
        RecordError: if an artifact was damaged.
    """
    found = [_attempt(run) for run in _attempt_runs(claim) if run.tags.get(names.SEAL)]
    return sorted(found, key=lambda attempt: (attempt.started, attempt.id))


def load_attempt(attempt_id: str) -> Attempt:
    """Return one attempt.

    Raises:
        StoreError: if there is none of this id (names the nearest), or it cannot be read.
    """
    return _attempt(_find(attempt_id))


def load_trials(attempt_id: str) -> list[TrialRecord]:
    """Return the records of an attempt's trials, arm by arm; of one key, failed runs come before the one that counts.

    Raises:
        StoreError: if there is no such attempt, or a trial's run was deleted.
        RecordError: if a stored record was edited.
    """
    return [trial.record for trial in linked_trials(_find(attempt_id))]


def calibrations(claim: str | None = None) -> Mapping[str, Calibration]:
    """Return the calibration of every seal in the ledger, or of one claim's, that has one; none where there is no store.

    Raises:
        StoreError: if the store or an artifact cannot be read.
        RecordError: if an artifact was damaged, or belongs to another seal.
    """
    found = {}
    for run in _attempt_runs(claim):
        seal = run.tags.get(names.SEAL)
        if seal and run.tags.get(names.CALIBRATION) and seal not in found:
            where = f"{CALIBRATION_FILE} of attempt {run.tags[names.ATTEMPT]} (run {run.run_id})"
            found[seal] = read_calibration(read_artifact(run, CALIBRATION_FILE), seal, where)
            if calibration_digest(found[seal]) != run.tags[names.CALIBRATION]:
                raise RecordError(
                    f"{where} was edited after it was written. Run `repro calibrate --again` to replace it."
                )
    return found


def _attempt_runs(claim: str | None = None) -> list[RunRow]:
    """Return one run an attempt: the oldest, should two machines have written the same attempt to a server at once."""
    runs: dict[str, RunRow] = {}
    found = find_runs(
        names.PAPER_PREFIX, names.ATTEMPT if claim is None else names.CLAIM, None if claim is None else [claim]
    )
    for run in found:
        if names.ATTEMPT in run.tags:
            runs.setdefault(run.tags[names.ATTEMPT], run)
    return list(runs.values())


def _find(attempt_id: str) -> RunRow:
    runs = find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt_id])
    if runs and runs[0].tags.get(names.SEAL):
        return runs[0]
    known = [run.tags[names.ATTEMPT] for run in _attempt_runs() if run.tags.get(names.SEAL)]
    found = nearest(attempt_id, known) or " The ledger is empty: launch one with repro run."
    raise StoreError(f"There is no attempt '{attempt_id}' in the ledger at {shown(tracking_uri())}.{found}")


def _attempt(run: RunRow) -> Attempt:
    where = f"{ATTEMPT_FILE} of attempt {run.tags[names.ATTEMPT]} (run {run.run_id})"
    content = parse_json(read_artifact(run, ATTEMPT_FILE), where)
    if isinstance(content, dict) and content.get("version", 0) > ATTEMPT_VERSION:
        raise RecordError(f"{where} was written by a newer version of repro-tracker; upgrade to read it.")
    return from_json(Attempt, content, where)


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
