"""What was sealed in this directory: plans, and for each attempt a pointer to its plan with the provenance of its sealing."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repro.launch.plan import Shape, place
from repro.launch.planfile import Provenance, read_plan, write_plan
from repro.schema.canonical import digest_of
from repro.schema.errors import RecordError, StoreError
from repro.schema.files import write_atomically
from repro.schema.jsonform import parse_json
from repro.schema.places import home_dir
from repro.schema.trial import Plan, PlannedAttempt


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
    name = f"{digest_of([spec.key for spec in plan.trials])[:8]}-{digest_of([list(plan.seals), asked])[:8]}.json"
    write_plan(plan, home_dir() / "plans" / name)
    for attempt in plan.attempts:
        if attempt.requested and not is_stored(attempt):
            pointer = {
                "plan": name,
                "provenance": provenance[attempt.id],
                "replicates": attempt.sealed.replicates,
                "indicative": attempt.sealed.indicative,
            }
            write_atomically(_pointer(attempt), json.dumps(pointer, indent=1, sort_keys=True) + "\n")


def is_stored(attempt: PlannedAttempt) -> bool:
    """Say whether the attempt was sealed here before."""
    return _pointer(attempt).exists()


def provenance_of(attempt: PlannedAttempt) -> Mapping[str, Any]:
    """Return where the attempt came from when it was sealed."""
    provenance: Mapping[str, Any] = _read(_pointer(attempt))["provenance"]
    return provenance


def stored_at(where: str) -> list[Stored]:
    """Return the attempts that were sealed here at a place, `claim@protocol@scale`, by number; globs are understood."""
    return sorted(_stored(where), key=lambda stored: (stored.shape.counter, stored.attempt))


def _stored(where: str) -> list[Stored]:
    found = []
    for file in (home_dir() / "attempts").glob(f"{where}/[!.]*"):
        content, (seal, _, counter) = _read(file), file.name.partition("-")
        if "replicates" not in content:
            content |= _from_plan(file, content["plan"])
        try:
            shape = Shape(int(counter), tuple(int(seed) for seed in content["replicates"]), bool(content["indicative"]))
        except (ValueError, TypeError, KeyError) as error:
            raise _no_pointer(file) from error
        found.append(Stored(_attempt_id(file), seal, shape))
    return found


def places() -> list[str]:
    """Return every place at which an attempt was sealed here."""
    attempts = home_dir() / "attempts"
    return sorted({file.parent.relative_to(attempts).as_posix() for file in attempts.glob("*/*/*")})


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
    for pointer in sorted((home_dir() / "attempts").glob(f"{claim}@*/*")):
        plan = read_plan(home_dir() / "plans" / _read(pointer)["plan"])
        found += [(attempt, plan) for attempt in plan.attempts if attempt.id == _attempt_id(pointer)]
    return found


def _from_plan(file: Path, plan: str) -> dict[str, Any]:
    """Read what a pointer of an older version does not say from its plan."""
    attempts: Sequence[PlannedAttempt] = read_plan(home_dir() / "plans" / plan).attempts
    for attempt in attempts:
        if attempt.id == _attempt_id(file):
            return {"replicates": attempt.sealed.replicates, "indicative": attempt.sealed.indicative}
    raise StoreError(f"{file} names the plan {plan}, which does not hold its attempt. Remove it: records are kept.")


def _attempt_id(pointer: Path) -> str:
    return f"{pointer.parent.relative_to(home_dir() / 'attempts').as_posix()}-{pointer.name}"


def _pointer(attempt: PlannedAttempt) -> Path:
    where = place(attempt.claim, attempt.protocol, attempt.scale)
    return home_dir() / "attempts" / where / f"{attempt.sealed.digest[:8]}-{attempt.counter}"


def _read(file: Path) -> dict[str, Any]:
    try:
        content = parse_json(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError, RecordError) as error:
        raise _no_pointer(file) from error
    if not isinstance(content, dict) or not {"plan", "provenance"} <= set(content):
        raise _no_pointer(file)
    return content


def _no_pointer(file: Path) -> StoreError:
    return StoreError(
        f"{file} must name a plan, its seeds and its provenance, in a file named SEAL-NUMBER. Remove it and launch the "
        f"attempt again: records are kept."
    )
