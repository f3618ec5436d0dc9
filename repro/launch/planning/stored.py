"""What was sealed in this directory: plans, and for each attempt a pointer to its plan with the provenance of its sealing."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.launch.planning.keys import key_of
from repro.launch.planning.plan import Shape, place
from repro.launch.planning.planfile import Provenance, read_plan, write_plan
from repro.schema.canonical import digest_of
from repro.schema.documents import read_pointer
from repro.schema.errors import PlanError, RecordError, StoreError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.places import home_dir
from repro.schema.pointer import Pointer
from repro.schema.trial import Plan, PlannedAttempt

_REMOVE = "It points an attempt to its plan: remove it and launch the attempt again, the records are kept."


@dataclass(frozen=True)
class Stored:
    """An attempt that was sealed here."""

    attempt: str
    """Its id."""
    seal: str
    """The first 8 digits."""
    shape: Shape


def store_plan(plan: Plan, provenance: Provenance) -> None:
    """Store a plan and, for each attempt that was asked for, a pointer to it with the provenance of its sealing.

    The provenance is taken once: judging again, or resuming at another commit, must not rewrite where an attempt came from.

    Args:
        plan: to store.
        provenance: by attempt id.
    """
    # Claims of one study have the same trials and seals: what was asked for tells their plans apart.
    asked = [attempt.id for attempt in plan.attempts if attempt.requested]
    name = f"{digest_of([key_of(spec) for spec in plan.trials])[:8]}-{digest_of([list(plan.seals), asked])[:8]}.json"
    if not _is_plan(home_dir() / "plans" / name):
        write_plan(plan, home_dir() / "plans" / name)
    for attempt in plan.attempts:
        if attempt.requested and not is_stored(attempt):
            sealed = attempt.sealed
            pointer = Pointer(name, provenance[attempt.id], sealed.replicates, sealed.indicative)
            write_atomically(_file(attempt), json.dumps(to_json(pointer), indent=1, sort_keys=True) + "\n")


def is_stored(attempt: PlannedAttempt) -> bool:
    """Say whether the attempt was sealed here before."""
    return _file(attempt).exists()


def provenance_of(attempt: PlannedAttempt) -> Mapping[str, Any]:
    """Return where the attempt came from when it was sealed."""
    return _read(_file(attempt)).provenance


def config_of(attempt: PlannedAttempt) -> Mapping[str, Any]:
    """Return the resolved config with which the attempt was first asked for.

    Words that no seal covers may be edited later, and another executor may resume the attempt: its evidence must not change.
    """
    plan = home_dir() / "plans" / _read(_file(attempt)).plan
    return next((known.config for known in read_plan(plan).attempts if known.id == attempt.id), attempt.config)


def _is_plan(file: Path) -> bool:
    try:
        read_plan(file)
    except PlanError:
        return False
    return True


def stored_at(where: str) -> list[Stored]:
    """Return the attempts that were sealed here at a place, `claim@protocol@scale`, by number; globs are understood."""
    return sorted(_stored(where), key=lambda stored: (stored.shape.counter, stored.attempt))


def _stored(where: str) -> list[Stored]:
    found = []
    for file in (home_dir() / "attempts").glob(f"{where}/[!.]*"):
        pointer, (seal, _, counter) = _read(file), file.name.partition("-")
        if not counter.isdigit():
            raise StoreError(f"{file} must be named SEAL-NUMBER. {_REMOVE}")
        found.append(Stored(_attempt_id(file), seal, Shape(int(counter), pointer.replicates, pointer.indicative)))
    return found


def shape_for(where: str, seeds: int, new_seeds: bool, used: Collection[int] = ()) -> Shape:
    """Return the number and the seeds that an attempt of so many seeds gets.

    The first attempt at a place takes the seeds from 0. One of a size that was sealed here before resumes it. Any other, and
    any that asks for new seeds, is a new attempt and takes seeds that none has used: a second look at the same seeds, with
    some added, would be a look that nobody sealed.

    Args:
        where: `claim@protocol@scale`.
        seeds: how many.
        new_seeds: make a new attempt in any case.
        used: seeds that trials of the study have run with, at whatever scale and for whatever claim.
    """
    shapes = [stored.shape for stored in stored_at(where)]
    same = [shape for shape in shapes if len(shape.replicates) == seeds]
    if same and not new_seeds:
        return same[0]
    first = 1 + max((*used, *(max(shape.replicates) for shape in shapes)), default=-1)
    counter = 1 + max((shape.counter for shape in shapes), default=0)
    return Shape(counter, tuple(range(first, first + seeds)))


def has_attempts(claim: str) -> bool:
    """Say whether an attempt of a claim was launched from here."""
    return any((home_dir() / "attempts").glob(f"{claim}@*/*"))


def stored_attempts(claim: str) -> list[tuple[PlannedAttempt, Plan]]:
    """Return the attempts of a claim that were launched from here, with their plans."""
    found = []
    for file in sorted((home_dir() / "attempts").glob(f"{claim}@*/*")):
        plan = read_plan(home_dir() / "plans" / _read(file).plan)
        found += [(attempt, plan) for attempt in plan.attempts if attempt.id == _attempt_id(file)]
    return found


def _attempt_id(file: Path) -> str:
    return f"{file.parent.relative_to(home_dir() / 'attempts').as_posix()}-{file.name}"


def _file(attempt: PlannedAttempt) -> Path:
    where = place(attempt.claim, attempt.protocol, attempt.scale)
    return home_dir() / "attempts" / where / f"{attempt.sealed.digest[:8]}-{attempt.counter}"


def _read(file: Path) -> Pointer:
    def sealed(content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Find the seal that a pointer of an older version leaves to its plan."""
        for attempt in read_plan(home_dir() / "plans" / content["plan"]).attempts:
            if attempt.id == _attempt_id(file):
                return dict(to_json(attempt.sealed))
        raise StoreError(f"{file} names the plan {content['plan']}, which does not hold its attempt. {_REMOVE}")

    try:
        return read_pointer(file.read_text(encoding="utf-8"), str(file), sealed)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file} cannot be read ({error}). {_REMOVE}") from error
    except RecordError as error:
        raise StoreError(f"{error} {_REMOVE}") from error
