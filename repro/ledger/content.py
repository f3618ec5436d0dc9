"""What of an attempt or trial becomes tags, metrics, params and artifacts. Nothing here knows MLflow."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from repro.ledger import names
from repro.ledger.names import MAX_PARAM, MAX_TAG, cut, list_tags, safe_names
from repro.ledger.runs import RECORD_FILE
from repro.ledger.tables import trial_rows, trials_csv
from repro.schema.canonical import canonical_json
from repro.schema.claim import Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.jsonform import to_json
from repro.schema.migrations import CLAIM_FILE_VERSION
from repro.schema.trial import TrialRecord
from repro.schema.trial_provenance import ProvenanceFile
from repro.schema.verdict import Attempt, PartVerdict

CONFIG_FILE = ".hydra/config.yaml"
OVERRIDES_FILE = ".hydra/overrides.yaml"
ATTEMPT_FILE = "attempt.json"
FIGURE_FILE = "figure.svg"
CLAIM_FILE = "claim.json"
"""Paper, claim and data sets as they were when the attempt was first recorded."""
SOURCES_FILE = "sources.json"
"""Texts of the recipe and of what it imports from this project, by module."""
PROVENANCE_FILE = "provenance.json"
"""How each trial ran and in which environment, where that was kept."""

Point = tuple[str, float, int]
"""Name, value and step of one metric."""


def part_names(parts: Sequence[str]) -> dict[str, str]:
    """Return what follows a metric's or tag's name for each part: nothing for a claim of one part, else `/<part>`."""
    if len(parts) == 1:
        return {parts[0]: ""}
    return {part: f"/{safe}" for part, safe in safe_names(parts).items()}


def attempt_tags(attempt: Attempt, paper: Paper, run_ids: Sequence[str]) -> dict[str, str]:
    """Return what people filter attempts by, and the run ids of its trials."""
    verdict = attempt.verdict
    tags = {
        names.ATTEMPT: attempt.id,
        names.CLAIM: attempt.claim,
        names.PAPER: paper.id,
        names.PROTOCOL: attempt.protocol,
        names.KIND: attempt.sealed.kind,
        names.SCALE: attempt.scale,
        names.STUDY: attempt.sealed.study,
        names.EXECUTION: attempt.execution,
        names.VALIDITY: attempt.validity,
        names.EXPLORATORY: str(attempt.exploratory).lower(),
        names.SEAL: attempt.sealed.digest,
        names.STARTED: attempt.started,
        "repro.estimator": attempt.sealed.estimator,
        "repro.message": cut(attempt.message, MAX_TAG, ATTEMPT_FILE),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": cut(str(attempt.provenance.get("command") or "repro"), 500, "environment.json"),
        **list_tags(names.PARTS, attempt.sealed.parts),
        **list_tags(names.TRIALS, run_ids),
    }
    if attempt.provenance.get("commit"):
        tags[names.GIT_COMMIT] = str(attempt.provenance["commit"])
    if attempt.provenance.get("dirty") is not None:
        tags[names.GIT_DIRTY] = str(attempt.provenance["dirty"]).lower()
    origin = attempt.provenance.get("origin")
    if isinstance(origin, Mapping):
        tags[names.ORIGIN] = str(origin.get("evidence"))
        tags[names.ORIGIN_CHECKED] = str(origin.get("checked_against") or "nothing")
    if verdict is not None:
        tags |= {
            names.VERDICT: verdict.outcome,
            names.REASON: verdict.reason or "",
            "repro.flags": ", ".join(verdict.flags),
        }
        for part, suffix in part_names(list(attempt.sealed.parts)).items():
            decided = verdict.parts.get(part)
            if decided is not None:
                tags[names.PART_VERDICT + suffix] = decided.outcome
                tags[names.PART_REASON + suffix] = decided.reason or ""
                tags[names.DEVIATION_SCALE + suffix] = decided.scale
    return {name: value for name, value in tags.items() if value}


def attempt_metrics(attempt: Attempt) -> dict[str, float]:
    """Return the finite numbers of an attempt; those of a claim with several parts end in `/<part>`."""
    verdict = attempt.verdict
    found: dict[str, float | None] = {"seconds": attempt.seconds, "compute_ratio": attempt.compute_ratio}
    for part, suffix in part_names(list(attempt.sealed.parts)).items():
        decided = verdict.parts.get(part) if verdict else None
        numbers = _part_metrics(decided) if decided else {"target": attempt.sealed.parts[part].target.value}
        found |= {f"{name}{suffix}": value for name, value in numbers.items()}
    if verdict is not None:
        found["within_tolerance"] = _within(verdict.outcome)
        controls = safe_names(verdict.controls)
        found |= {f"control_failed/{controls[name]}": control.failed for name, control in verdict.controls.items()}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def _part_metrics(part: PartVerdict) -> dict[str, float | None]:
    return {
        "estimate": part.estimate.value,
        "estimate_se": part.estimate.se,
        "ci_low": part.low,
        "ci_high": part.high,
        "target": part.target,
        "margin": part.margin,
        "deviation": part.deviation,
        "n": part.estimate.n,
        "within_tolerance": _within(part.outcome),
    }


def _within(outcome: str) -> float | None:
    return {"match": 1.0, "mismatch": 0.0}.get(outcome)


def blocked_tags(claim: Claim, paper: Paper) -> dict[str, str]:
    """Return the tags of a claim that is blocked."""
    return {
        names.ATTEMPT: f"{claim.id}@blocked",
        names.CLAIM: claim.id,
        names.PAPER: paper.id,
        names.EXECUTION: "blocked",
        names.STARTED: claim.blocked.since if claim.blocked else "",
        **list_tags(names.PARTS, claim.parts),
    }


def blocked_metrics(claim: Claim) -> dict[str, float]:
    """Return the published values of a claim that is blocked."""
    suffixes = part_names(list(claim.parts))
    return {f"target{suffixes[name]}": part.target.value for name, part in claim.parts.items()}


def trial_tags(record: TrialRecord) -> dict[str, str]:
    """Return what people filter trials by."""
    tags = {
        names.TRIAL_KEY: record.key,
        names.RECORD: record.content_digest(),
        names.STUDY: record.study,
        "repro.recipe": record.recipe,
        "repro.status": record.status,
        "repro.label": record.label,
        "repro.replicate": str(record.replicate),
        "repro.device": record.device,
        "repro.precision": record.precision,
        "repro.measures": record.measures,
        "repro.machine": record.machine.fingerprint,
        "repro.sources": record.sources,
        "repro.seals": cut(" ".join(record.seals), MAX_TAG, RECORD_FILE),
        "repro.error": cut(record.error or "", MAX_TAG, RECORD_FILE),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": record.recipe,
    }
    return {name: value for name, value in tags.items() if value}


def trial_points(record: TrialRecord) -> list[Point]:
    """Return the finite measurements, step = row, and the finite points of the curves, named `curve/<name>`."""
    measured = safe_names(dict.fromkeys(name for row in record.rows for name in row))
    curves = safe_names(record.curves)
    points = [(measured[name], value, step) for step, row in enumerate(record.rows) for name, value in row.items()]
    points += [(f"curve/{curves[name]}", value, step) for name, curve in record.curves.items() for step, value in curve]
    return [(name, float(value), step) for name, value, step in points if value is not None and math.isfinite(value)]


def params(config: Mapping[str, Any], whole: str) -> dict[str, str]:
    """Return a nested config flat, with dotted names; a value too long for MLflow ends by naming the file `whole`."""
    flat = dict(_flatten(config, ""))
    safe = safe_names(flat)
    return {safe[name]: cut(_param(value), MAX_PARAM, whole) for name, value in flat.items()}


def _flatten(config: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _param(value: Any) -> str:
    return canonical_json(to_json(value)) if isinstance(value, list | tuple | Mapping) else str(value)


def trial_files(record: TrialRecord) -> dict[str, str]:
    """Return the artifacts of a trial: its whole record."""
    return {RECORD_FILE: pretty(record)}


def attempt_files(attempt: Attempt, records: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the artifacts of an attempt. `attempt.json` is the one that is read back."""
    return {**attempt_documents(attempt, records), "trials.csv": trials_csv(trial_rows(attempt.arms, records))}


def attempt_documents(attempt: Attempt, records: Sequence[TrialRecord]) -> dict[str, str]:
    """Return what an attempt and its records say, as text by file name; the table of trials is no part of it."""
    import yaml

    arms: dict[str, Mapping[str, PartVerdict]] = {}
    if attempt.verdict is not None:
        controls = {name: control.parts for name, control in attempt.verdict.controls.items()}
        arms = {"main": attempt.verdict.parts, **controls}
    environment = {
        "provenance": attempt.provenance,
        "machines": {record.machine.fingerprint: record.machine for record in records},
        "packages": {record.machine.fingerprint: record.packages for record in records},
    }
    return {
        ATTEMPT_FILE: canonical_json(to_json(attempt)) + "\n",
        "seal.json": canonical_json(to_json(attempt.sealed)) + "\n",
        "estimate.json": pretty(
            {arm: {part: decided.estimate for part, decided in parts.items()} for arm, parts in arms.items()}
        ),
        "verdict.json": pretty(attempt.verdict),
        "environment.json": pretty(environment),
        CONFIG_FILE: yaml.safe_dump(to_json(attempt.config), sort_keys=False, allow_unicode=True),
        OVERRIDES_FILE: yaml.safe_dump(list(attempt.overrides)),
    }


def claim_text(paper: Paper, claim: Claim, data: Sequence[DataSet]) -> str:
    """Return `claim.json`: what was claimed, and which data were read, as they stood when the attempt was first recorded."""
    content = {"bundle_version": CLAIM_FILE_VERSION, "paper": paper, "claim": claim, "data": data}
    return canonical_json(to_json(content)) + "\n"


def sources_text(sources: Mapping[str, str]) -> str:
    """Return `sources.json`: source texts by module."""
    return canonical_json(dict(sources)) + "\n"


def provenance_text(provenance: ProvenanceFile) -> str:
    """Return `provenance.json`."""
    return canonical_json(to_json(provenance)) + "\n"


def pretty(value: Any) -> str:
    """Return something of the schema as JSON for people and programs."""
    return json.dumps(to_json(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def milliseconds(moment: str) -> int:
    """Return milliseconds since 1970 of an ISO date, which is UTC unless it says otherwise; now for an empty text."""
    if not moment:
        return time.time_ns() // 1_000_000
    date = datetime.fromisoformat(moment)
    return round((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
