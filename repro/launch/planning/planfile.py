"""A plan as a file, whole or refused. Standard library only: the worker reads it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from repro.launch.planning.keys import key_of
from repro.schema import documents
from repro.schema.errors import PlanError, RecordError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.pieces import canonical_pieces
from repro.schema.trial import Plan, TrialSpec

Provenance = Mapping[str, Mapping[str, Any]]
"""By attempt: commit, whether the tree was dirty, packages and command when it was sealed."""

_FIELDS = tuple(field.name for field in fields(TrialSpec))


def write_plan(plan: Plan, file: Path, provenance: Provenance | None = None) -> None:
    """Write the plan with the digest of its content, atomically; with where it was sealed if that is given."""
    write_atomically(file, _text_of(plan, provenance))


def plan_document(plan: Plan, provenance: Provenance | None = None) -> dict[str, Any]:
    """Return the JSON form of a plan: its content, its trial keys, its seals, and a digest over all."""
    return dict(json.loads("".join(_text_of(plan, provenance))))


def _text_of(plan: Plan, provenance: Provenance | None) -> Iterator[str]:
    """Yield the text of a plan file piece by piece, a trial a line: all at once would take gigabytes for many trials.

    The digest is over the canonical JSON of all the rest, which is this text without its line breaks.
    """
    body: dict[str, Any] = {
        "keys": (key_of(spec) for spec in plan.trials),
        "plan": {
            "attempts": (to_json(attempt) for attempt in plan.attempts),
            "created": plan.created,
            "trials": (_trial_json(spec) for spec in plan.trials),
            "version": plan.version,
        },
        "seals": [attempt.sealed.digest for attempt in plan.attempts],
    }
    if provenance is not None:
        body["provenance"] = to_json(provenance)
    digest, before = hashlib.sha256(), ""
    for piece in canonical_pieces(body):
        yield before
        digest.update(piece.encode())
        before = f"\n{piece}" if piece.startswith(",") else piece
    yield f',\n"digest":"{digest.hexdigest()}"}}\n'


def _trial_json(spec: TrialSpec) -> dict[str, Any]:
    """Return a trial as plain JSON, as its config is already: to take that apart again would take most of the time."""
    return {name: getattr(spec, name) for name in _FIELDS} | {"data": to_json(spec.data)}


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
    sealed = [key_of(spec) for spec in plan.trials], [attempt.sealed.digest for attempt in plan.attempts]
    # Over the text as it stands: a field that came later must not make an older plan read as changed.
    if (content.get("keys"), content.get("seals")) != sealed or content.get("digest") != content["deserved"]:
        raise PlanError(
            f"The plan {file} was changed after it was sealed: its content no longer fits its digests. "
            f"Make a new plan with `repro plan`; what was sealed cannot be edited."
        )
    known = {key_of(spec) for spec in plan.trials}
    for attempt in plan.attempts:
        missing = [key for keys in attempt.arms.values() for key in keys if key not in known]
        if attempt.requested and missing:
            raise PlanError(f"The plan {file} lacks trial {missing[0][:8]}, which attempt {attempt.id} needs.")
    return plan, provenance
