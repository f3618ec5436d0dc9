"""A plan as a file, whole or refused. Standard library only: the worker reads it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repro.schema import documents
from repro.schema.canonical import digest_of
from repro.schema.errors import PlanError, RecordError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.trial import Plan

Provenance = Mapping[str, Mapping[str, Any]]
"""By attempt: commit, whether the tree was dirty, packages and command when it was sealed."""


def write_plan(plan: Plan, file: Path, provenance: Provenance | None = None) -> None:
    """Write the plan with the digest of its content, atomically; with where it was sealed if that is given."""
    document = plan_document(plan, provenance)
    write_atomically(file, json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n")


def plan_document(plan: Plan, provenance: Provenance | None = None) -> dict[str, Any]:
    """Return the JSON form of a plan: its content, its trial keys, its seals, and a digest over all."""
    body: dict[str, Any] = {
        "plan": to_json(plan),
        "keys": [spec.key for spec in plan.trials],
        "seals": [attempt.sealed.digest for attempt in plan.attempts],
    }
    if provenance is not None:
        body["provenance"] = to_json(provenance)
    return {**body, "digest": digest_of(body)}


def read_plan(file: Path) -> Plan:
    """Read a plan file and check that nothing in it was changed.

    Raises:
        PlanError: if it is missing, damaged, edited, or of a newer version.
    """
    return read_plan_and_provenance(file)[0]


def read_plan_and_provenance(file: Path) -> tuple[Plan, Provenance | None]:
    """Read a plan file and where its attempts were sealed; None in a file that does not say, as old ones do not.

    Raises:
        PlanError: as `read_plan`.
    """
    try:
        plan, content = documents.read_plan(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        raise PlanError(f"There is no plan file {file}. Make one with `repro plan CLAIM --out {file.name}`.") from None
    except (OSError, UnicodeDecodeError, documents.Unreadable) as error:
        raise PlanError(
            f"The plan {file} cannot be read: {error} Copy it anew; launching its claim again writes one of this directory "
            f"anew, and keeps the records."
        ) from error
    except RecordError as error:
        raise PlanError(str(error)) from error
    provenance = content.get("provenance")
    rest = {key: value for key, value in content.items() if key != "digest"}
    sealed = [spec.key for spec in plan.trials], [attempt.sealed.digest for attempt in plan.attempts]
    # Over the text as it stands: a field that came later must not make an older plan read as changed.
    if (content.get("keys"), content.get("seals")) != sealed or content.get("digest") != digest_of(rest):
        raise PlanError(
            f"The plan {file} was changed after it was sealed: its content no longer fits its digests. "
            f"Make a new plan with `repro plan`; what was sealed cannot be edited."
        )
    known = {spec.key for spec in plan.trials}
    for attempt in plan.attempts:
        missing = [key for keys in attempt.arms.values() for key in keys if key not in known]
        if attempt.requested and missing:
            raise PlanError(f"The plan {file} lacks trial {missing[0][:8]}, which attempt {attempt.id} needs.")
    return plan, provenance
