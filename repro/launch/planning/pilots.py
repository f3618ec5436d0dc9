"""What is known of a claim's scatter before it is launched: a pilot that was named, earlier attempts, or the paper."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scipy import stats

from repro.catalog.estimators import estimate_arm
from repro.judge.forecast import Pilot
from repro.launch.planning.stored import stored_at
from repro.launch.records.store import read_record
from repro.ledger.read import load_attempt
from repro.schema.canonical import canonical_json
from repro.schema.claim import SCALES, Part
from repro.schema.errors import PlanError, RecordError, StoreError
from repro.schema.trial import PlannedAttempt, TrialRecord, TrialSpec
from repro.schema.verdict import Attempt, Estimate, Sealed

MEAN = "repro.stats.summary.mean_over_seeds"
PAIRS = "repro.stats.summary.paired_difference"
"""Estimators that are means over seeds, so that the standard deviation of one seed says everything."""


def pilots_for(planned: PlannedAttempt, specs: Mapping[str, TrialSpec], named: str | None) -> dict[str, Pilot]:
    """Return what is known of the scatter of each part of a planned attempt.

    In this order: the pilot that is named, earlier attempts of the same protocol launched from this directory, the spread
    that the paper published. A part without any is left out.

    Args:
        planned: the attempt.
        specs: the plan's trials by key.
        named: a number (the standard deviation of one seed), a directory of records, or an attempt's id; or None.

    Raises:
        PlanError: if the pilot that is named cannot serve.
    """
    if named is not None:
        return _named(planned, specs, named)
    found = {name: pilot for name, part in planned.sealed.parts.items() if (pilot := _published(part, planned.sealed))}
    return found | _earlier(planned)


def _named(planned: PlannedAttempt, specs: Mapping[str, TrialSpec], named: str) -> dict[str, Pilot]:
    try:
        spread = float(named)
    except ValueError:
        return _from_records(planned, specs, Path(named)) if Path(named).exists() else _from_attempt(planned, named)
    sealed = planned.sealed
    if not (math.isfinite(spread) and spread > 0):
        raise PlanError(f"--pilot {named}: a spread must be a positive number, the standard deviation of one seed.")
    if sealed.estimator not in (MEAN, PAIRS) or len(sealed.parts) > 1:
        why = (
            "has several parts" if len(sealed.parts) > 1 else f"is estimated by {sealed.estimator}, no mean over seeds"
        )
        raise PlanError(
            f"--pilot {named}: {planned.claim} {why}, so that one number does not describe its spread. "
            f"Name an attempt, or a directory of records."
        )
    ((part, _),) = sealed.parts.items()
    return {part: _of_one_seed(sealed, spread, f"--pilot {named}")}


def _from_attempt(planned: PlannedAttempt, named: str) -> dict[str, Pilot]:
    try:
        attempt = load_attempt(named)
    except StoreError as error:
        raise PlanError(f"--pilot {named} is no number, no directory of records, and no attempt: {error}") from error
    if (attempt.claim, attempt.protocol) != (planned.claim, planned.protocol):
        raise PlanError(
            f"--pilot {named} is an attempt of {attempt.claim}, protocol '{attempt.protocol}'; "
            f"planned is {planned.claim}, protocol '{planned.protocol}'."
        )
    pilots = pilots_of(attempt)
    if not pilots:
        raise PlanError(f"--pilot {named} came to no estimate: {attempt.message or 'it has no verdict'}")
    return pilots


def _from_records(planned: PlannedAttempt, specs: Mapping[str, TrialSpec], directory: Path) -> dict[str, Pilot]:
    """Estimate from records of the planned trials' own cells, whatever their seeds."""
    try:
        records = [read_record(file) for file in sorted(directory.glob("*.json"))]
    except RecordError as error:
        raise PlanError(f"--pilot {directory}: {error}") from error
    cells = {_cell(specs[key]) for key in planned.arms["main"]}
    matching = [record for record in records if _cell(record) in cells and record.status != "failed"]
    if not matching:
        raise PlanError(
            f"--pilot {directory}: none of its {len(records)} records is of a trial that is planned here, with whatever seed. "
            f"For records of another scale name their attempt."
        )
    estimates = estimate_arm(planned.sealed, "main", matching)
    seeds = len({record.replicate for record in matching})
    found = {
        part: Pilot(estimate, f"{seeds} seeds in {directory}", seeds)
        for part, estimate in estimates.items()
        if part in planned.sealed.parts and _says_something(estimate)
    }
    if not found:
        raise PlanError(f"--pilot {directory}: {next(iter(estimates.values())).note or 'its records show no spread.'}")
    return found


def _cell(trial: TrialSpec | TrialRecord) -> str:
    """Name recipe and config without the seed."""
    return canonical_json([trial.recipe, {name: value for name, value in trial.config.items() if name != "seed"}])


def _earlier(planned: PlannedAttempt) -> dict[str, Pilot]:
    """Return the spread of earlier attempts: those of the same scale together, else those of the largest scale there are.

    What is no mean of seeds carries over from the same scale only, where it was laid out alike.
    """
    found = []
    for stored in stored_at(f"{planned.claim}@{planned.protocol}@*"):
        try:
            attempt = load_attempt(stored.attempt)
        except (StoreError, RecordError):
            continue
        if not attempt.exploratory and attempt.verdict is not None:
            found.append(attempt)
    by_scale: dict[str, list[Attempt]] = {}
    for attempt in found:
        by_scale.setdefault(attempt.scale, []).append(attempt)
    if not by_scale:
        return {}
    scale = planned.scale if planned.scale in by_scale else max(by_scale, key=SCALES.index)
    pilots = _pooled([pilots_of(attempt) for attempt in by_scale[scale]])
    if scale == planned.scale:
        return pilots
    elsewhere = {part: pilot for part, pilot in pilots.items() if pilot.estimate.spread is not None}
    return {part: replace(pilot, source=f"{pilot.source}, another scale") for part, pilot in elsewhere.items()}


def _pooled(attempts: Sequence[Mapping[str, Pilot]]) -> dict[str, Pilot]:
    """Join attempts: variances of single seeds by their degrees of freedom; of anything else, the latest stands."""
    pooled: dict[str, Pilot] = {}
    for name in dict.fromkeys(name for pilots in attempts for name in pilots):
        pilots = [pilots[name] for pilots in attempts if name in pilots]
        last = pilots[-1]
        means = [p.estimate for p in pilots if p.estimate.spread is not None and p.estimate.dof]
        if len(means) > 1 and last.estimate.spread is not None:
            dof = math.fsum(e.dof or 0.0 for e in means)
            spread = math.sqrt(math.fsum((e.dof or 0.0) * (e.spread or 0.0) ** 2 for e in means) / dof)
            estimate = replace(last.estimate, spread=spread)
            last = Pilot(estimate, f"{len(means)} earlier attempts, the last {last.source}", last.seeds)
        pooled[name] = last
    return pooled


def pilots_of(attempt: Attempt) -> dict[str, Pilot]:
    """Return what an attempt tells of the scatter of each part; nothing where it came to no verdict."""
    if attempt.verdict is None:
        return {}
    seeds = len(attempt.sealed.replicates) * attempt.verdict.look // attempt.sealed.looks
    return {
        name: Pilot(part.estimate, attempt.id, seeds)
        for name, part in attempt.verdict.parts.items()
        if _says_something(part.estimate)
    }


def _says_something(estimate: Estimate) -> bool:
    """Say whether an estimate tells how much it scatters: exactly, by its units, or by its standard error."""
    return estimate.deterministic or estimate.spread is not None or bool(estimate.se and estimate.dof)


def _published(part: Part, sealed: Sealed) -> Pilot | None:
    """Return the spread of the paper's own runs, where it printed one and ours is a mean over seeds as theirs was."""
    target = part.target
    if sealed.estimator != MEAN or part.rule.kind == "ordering":
        return None
    if target.sd is not None:
        return _of_one_seed(sealed, float(target.sd), "the paper's own runs")
    if target.interval is not None and target.interval.of == "sampling":
        width = abs(float(target.interval.high) - float(target.interval.low))
        se = width / 2 / float(stats.norm.ppf((1 + target.interval.level) / 2))
        return _of_one_seed(sealed, se * math.sqrt(target.n or 1), "the paper's interval")
    return None


def _of_one_seed(sealed: Sealed, spread: float, source: str) -> Pilot:
    skewed = sealed.estimator == MEAN and sealed.arguments.get("noise", "skewed") == "skewed"
    return Pilot(Estimate(None, spread=spread, unit="seed", flags=("skew_guard",) if skewed else ()), source)
