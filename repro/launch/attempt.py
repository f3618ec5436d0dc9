"""Carries out a plan: runs what has no record yet, then turns records into estimates and estimates into verdicts."""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from repro.catalog.estimators import estimate_arm
from repro.judge.facts import facts
from repro.judge.looks import judge_look_by_look, seeds_of_look
from repro.judge.validity import validity
from repro.launch.executors import ELSEWHERE, execute
from repro.launch.planning.keys import by_key, key_of
from repro.launch.provenance.origin import fingerprint
from repro.launch.records.store import RecordStore
from repro.launch.running.limits import hung_before
from repro.launch.running.sharing import wait_for_one
from repro.schema.study import Resources
from repro.schema.trial import Plan, PlannedAttempt, TrialRecord, TrialSpec
from repro.schema.verdict import Attempt, Estimate


@dataclass(frozen=True)
class Concluded:
    """An attempt with the records it rests on."""

    attempt: Attempt
    records: Mapping[str, TrialRecord]
    failures: tuple[TrialRecord, ...]


def to_run(
    plan: Plan,
    store: RecordStore,
    all_looks: bool = False,
    anywhere: bool = False,
    done: Collection[str] = (),
) -> list[TrialSpec]:
    """Return the trials of requested attempts that have no finished record on this machine.

    Of an attempt with several looks, those of the look it has reached: none if an earlier look decided.

    Args:
        plan: with its trials.
        store: holds the records.
        all_looks: count the trials of all looks, as if none decided early.
        anywhere: a timing of another machine is a finished record too, as where trials are placed on others.
        done: keys of trials whose records were written just now, so that they need not be read for this.
    """
    specs = by_key(plan.trials)
    prints = {device: fingerprint(device) for device in {spec.device for spec in plan.trials}}
    wanted = set()
    for attempt in plan.attempts:
        if attempt.requested:
            look = attempt.sealed.looks
            if look > 1 and not all_looks:
                look, _ = judge_look_by_look(attempt.sealed, _Reading(attempt, specs, store, prints).estimates)
            wanted |= {key for keys in arms_at(attempt, specs, look).values() for key in keys}
    present = store.keys()

    def is_done(spec: TrialSpec) -> bool:
        if key_of(spec) not in present:
            return False
        if key_of(spec) in done:
            return True
        here = prints[spec.device]
        return store.find(spec, here) is not None if anywhere else store.ran_here(spec, here)

    return [spec for spec in plan.trials if key_of(spec) in wanted and not is_done(spec)]


def arms_at(planned: PlannedAttempt, specs: Mapping[str, TrialSpec], look: int) -> dict[str, tuple[str, ...]]:
    """Return the trial keys that a look reads, by arm."""
    if look >= planned.sealed.looks:
        return dict(planned.arms)
    seeds = set(seeds_of_look(planned.sealed, look))
    return {arm: tuple(key for key in keys if specs[key].replicate in seeds) for arm, keys in planned.arms.items()}


@dataclass(frozen=True)
class _Reading:
    """The records of an attempt, read look by look."""

    planned: PlannedAttempt
    specs: Mapping[str, TrialSpec]
    store: RecordStore
    prints: Mapping[str, str]
    read: dict[int, dict[str, TrialRecord]] = field(default_factory=dict)

    def records(self, look: int) -> dict[str, TrialRecord]:
        if look not in self.read:
            self.read[look] = self._records(look)
        return self.read[look]

    def _records(self, look: int) -> dict[str, TrialRecord]:
        keys = {key for keys in arms_at(self.planned, self.specs, look).values() for key in keys}
        found = {key: self.store.find(self.specs[key], self.prints[self.specs[key].device]) for key in keys}
        return {key: record for key, record in found.items() if record is not None}

    def estimates(self, look: int) -> dict[str, Mapping[str, Estimate]] | None:
        arms, records = arms_at(self.planned, self.specs, look), self.records(look)
        if any(key not in records for keys in arms.values() for key in keys):
            return None
        read = {arm: [records[key] for key in keys] for arm, keys in arms.items()}
        return {arm: estimate_arm(self.planned.sealed, arm, rows) for arm, rows in read.items()}


def carry_out(
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    on_record: Callable[[TrialRecord], None] | None = None,
    asked: Mapping[str, Resources] | None = None,
) -> None:
    """Run what is missing, look by look; retry failed trials as often as the executor's `retries` says.

    Trials that another launcher runs at this moment are left to it, and waited for at the end.

    Args:
        plan: to carry out.
        store: takes the records.
        settings: the executor's config.
        on_record: called with each record.
        asked: what trials ask of their machine, by key.
    """
    elsewhere = settings.get("kind") in ELSEWHERE
    most = 1 + int(settings.get("retries") or 0)
    tries = Counter(hung_before())
    store.set_strays_aside()
    done: set[str] = set()
    while missing := [
        spec for spec in to_run(plan, store, anywhere=elsewhere, done=done) if tries[key_of(spec)] < most
    ]:
        free = [spec for spec in missing if not store.is_reserved(spec)]
        if not free:
            print(f"{len(missing)} of the trials are run by another launcher; waiting for it.", file=sys.stderr)
            wait_for_one(missing, store)
            continue
        before = tries.total()
        for record in execute(free, plan, store, settings, asked):
            tries[record.key] += 1
            if record.status != "failed" and record.measures == "value":
                done.add(record.key)
            if on_record is not None:
                on_record(record)
        if tries.total() == before and not any(store.is_reserved(spec) for spec in free):
            tries.update(key_of(spec) for spec in free)  # an executor that leaves them to somebody else


def conclude(
    planned: PlannedAttempt,
    plan: Plan,
    store: RecordStore,
    provenance: Mapping[str, Any],
    paper_flops: str | None,
    current_seal: str | None,
) -> Concluded:
    """Judge one attempt from its records.

    Args:
        planned: the sealed attempt.
        plan: it belongs to.
        store: holds the records.
        provenance: of the launch.
        paper_flops: the paper's own compute as printed, for the ratio.
        current_seal: the seal that the claim has now, or None if it no longer exists.

    Returns:
        The attempt with the trials that its look reads: `failed` without a verdict if one has no record, else `completed`.
    """
    specs = by_key(plan.trials)
    devices = {specs[key].device for keys in planned.arms.values() for key in keys}
    reading = _Reading(planned, specs, store, {device: fingerprint(device) for device in devices})
    look, verdict = judge_look_by_look(planned.sealed, reading.estimates)
    arms, records = arms_at(planned, specs, look), reading.records(look)
    keys = {key for keys in arms.values() for key in keys}
    failed = store.failed_keys() & keys
    failures = tuple(failure for key in sorted(failed) for failure in store.failures(key))
    missing, message = sorted(keys - set(records)), ""
    if missing:
        labels = ", ".join(specs[key].label or key[:8] for key in missing[:3])
        message = f"Look {look} of {planned.sealed.looks}: " if planned.sealed.looks > 1 else ""
        message += (
            f"{len(missing)} of {len(keys)} trials have no record: {labels}{', ...' if len(missing) > 3 else ''}."
        )
        errors = [failure.error for failure in failures if failure.key in missing and failure.error]
        message += f" Last error: {errors[-1]}" if errors else ""
    course = facts(records.values(), arms["main"], paper_flops)
    attempt = Attempt(
        id=planned.id,
        claim=planned.claim,
        protocol=planned.protocol,
        scale=planned.scale,
        counter=planned.counter,
        sealed=planned.sealed,
        execution="failed" if missing else "completed",
        validity=validity(
            seal=planned.sealed.digest,
            record_seals=[record.seals for record in records.values()],
            current_seal=planned.sealed.digest if planned.overrides else current_seal,
        ),
        exploratory=bool(planned.overrides),
        arms=arms,
        verdict=verdict,
        overrides=planned.overrides,
        config=planned.config,
        provenance=provenance,
        started=course.started or plan.created,
        finished=course.finished,
        seconds=course.seconds,
        compute_ratio=course.compute_ratio,
        message=message,
    )
    return Concluded(attempt, records, failures)
