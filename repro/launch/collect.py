"""Brings the records of a worker elsewhere into this directory's store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.launch.planning.planfile import read_plan_and_provenance
from repro.launch.planning.stored import store_plan
from repro.launch.provenance.watch import carry_over
from repro.launch.records.store import RecordStore, check_belongs, read_record
from repro.schema.errors import RecordError
from repro.schema.places import records_dir
from repro.schema.trial import Plan

UNKNOWN: Mapping[str, Any] = {"command": "repro collect", "commit": None, "dirty": None, "packages": {}}
"""The provenance of a plan file that does not say where it was sealed: the commit of collecting would be another."""


def take_over(directory: Path, plan_file: Path) -> Plan:
    """Check every record against the plan and copy all of them, or none.

    Returns:
        The plan, now stored here.

    Raises:
        PlanError: if the plan was edited.
        RecordError: if a record was edited or belongs to another plan, or there is no record at all.
    """
    plan, provenance = read_plan_and_provenance(plan_file)
    specs = {spec.key: spec for spec in plan.trials}
    files = sorted(directory.glob("*.json")) + sorted((directory / "failed").glob("*.json"))
    if not files:
        raise RecordError(
            f"{directory} holds no records. Run there: python -m repro.launch.worker {plan_file.name} --out {directory.name}"
        )
    taken = []
    for file in files:
        record = read_record(file)
        if record.key not in specs:
            raise RecordError(
                f"{file} does not belong to this plan: no trial of {plan_file} has the key {record.key[:12]}. Nothing was taken over."
            )
        check_belongs(record, specs[record.key], str(file))
        if not set(plan.seals) <= set(record.seals):
            raise RecordError(
                f"{file} was run under another plan: it does not carry the seals of {plan_file}. Nothing was taken over."
            )
        taken.append(record)
    store = RecordStore(records_dir())
    for record in taken:
        if record.status != "failed" or all(old.digest != record.digest for old in store.failures(record.key)):
            carry_over(record, directory, store.directory)
            store.write(record)
    sealed = provenance or {}
    store_plan(plan, {attempt.id: sealed.get(attempt.id, UNKNOWN) for attempt in plan.attempts})
    return plan
