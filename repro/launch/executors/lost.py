"""Trials whose process or machine went away before they could say anything: failed, with what is known of the reason."""

from collections.abc import Sequence
from datetime import UTC, datetime

from repro.launch.planning.keys import key_of
from repro.launch.provenance.origin import machine, packages, process_name
from repro.launch.records.store import RecordStore
from repro.schema.confidential import without_secrets
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec


def failure_or_lost(spec: TrialSpec, seals: Sequence[str], store: RecordStore, before: int, why: str) -> TrialRecord:
    """Return the failure that a worker recorded since there were `before` of them, else record one with the reason."""
    failures = store.failures(key_of(spec))
    return failures[-1] if len(failures) > before else record_lost(spec, seals, store, why)


def record_lost(spec: TrialSpec, seals: Sequence[str], store: RecordStore, why: str) -> TrialRecord:
    """Store and return a failed record of a trial that left none itself; its machine is the one that noticed."""
    record = TrialRecord(
        key=key_of(spec),
        study=spec.study,
        recipe=spec.recipe,
        config=to_json(spec.config),
        replicate=spec.replicate,
        sources=spec.sources,
        device=spec.device,
        precision=spec.precision,
        measures=spec.measures,
        label=spec.label,
        status="failed",
        rows=(),
        curves={},
        data={data.id: data.sha256 for data in spec.data},
        seals=tuple(seals),
        started=datetime.now(UTC).isoformat(timespec="milliseconds"),
        seconds=0.0,
        machine=machine(spec.device),
        process=process_name(),
        packages=packages(),
        error=without_secrets(why),
    ).with_digest()
    store.write(record)
    return record
