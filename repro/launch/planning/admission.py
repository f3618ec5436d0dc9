"""Which attempts of a plan may be sealed: those that can decide, and those that were told to be only indicative."""

from collections.abc import Mapping
from dataclasses import replace

from repro.judge.forecast import Outlook, forecast
from repro.launch.planning.keys import by_key
from repro.launch.planning.pilots import pilots_for
from repro.launch.planning.stored import is_stored
from repro.launch.provenance.origin import fingerprint
from repro.launch.records.store import RecordStore
from repro.schema.errors import PlanError
from repro.schema.trial import Plan, PlannedAttempt, TrialSpec


def assess(
    plan: Plan, store: RecordStore, pilot: str | None = None, indicative: bool = False
) -> tuple[Plan, dict[str, Outlook]]:
    """Forecast every requested attempt, and mark as indicative those that would be refused, if told so.

    What was sealed before stays as it was and is not refused: its trials may be running. An exploratory attempt is never
    refused, because it is never cited.

    Args:
        plan: as made.
        store: holds the records there are.
        pilot: what the user names as pilot.
        indicative: seal what can hardly decide, and say so in the seal.

    Returns:
        The plan with the marks, and the outlook by attempt id; its `refusal` is empty where the attempt may be sealed.
    """
    specs = by_key(plan.trials)
    attempts, outlooks = [], {}
    for planned in plan.attempts:
        attempt = planned
        if planned.requested:
            attempt, outlook = _assess_one(planned, specs, store, pilot, indicative)
            outlooks[attempt.id] = outlook
        attempts.append(attempt)
    return replace(plan, attempts=tuple(attempts)), outlooks


def _assess_one(
    attempt: PlannedAttempt, specs: Mapping[str, TrialSpec], store: RecordStore, pilot: str | None, indicative: bool
) -> tuple[PlannedAttempt, Outlook]:
    sealed_before = is_stored(attempt)
    if attempt.sealed.indicative and not sealed_before:
        attempt = _marked(attempt, False)
    outlook = forecast(attempt.sealed, pilots_for(attempt, specs, pilot))
    if sealed_before or attempt.overrides or _carried(attempt, specs, store):
        return attempt, replace(outlook, refusal="")
    if outlook.refusal and indicative:
        return _marked(attempt, True), replace(outlook, refusal="")
    return attempt, outlook


def _marked(attempt: PlannedAttempt, indicative: bool) -> PlannedAttempt:
    return replace(attempt, sealed=replace(attempt.sealed, indicative=indicative))


def _carried(attempt: PlannedAttempt, specs: Mapping[str, TrialSpec], store: RecordStore) -> bool:
    """Say whether a record carries this very seal: it was sealed when another claim of the study was launched."""
    first = specs[attempt.arms["main"][0]]
    record = store.find(first, fingerprint(first.device))
    return record is not None and attempt.sealed.digest in record.seals


def require_admitted(plan: Plan, outlooks: Mapping[str, Outlook]) -> None:
    """Refuse a plan that holds an attempt which can hardly decide.

    Raises:
        PlanError: says of each why, how many seeds would do, and how to seal it all the same.
    """
    refused = [
        f"{attempt.claim}, {attempt.protocol} at {attempt.scale}: {outlooks[attempt.id].refusal}."
        for attempt in plan.attempts
        if attempt.id in outlooks and outlooks[attempt.id].refusal
    ]
    if refused:
        raise PlanError(
            f"Nothing was sealed, because this plan can hardly decide. {' '.join(refused)} To seal it all the same, as "
            f"indicative only, add --indicative: it is then part of the seal and shown for ever."
        )
