"""Stored documents back into the schema's objects. The one way to read them; standard library only, for workers read records.

In this order: strict JSON, the version, the digest over the text as it stands, migration, the strict codec.
"""

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from repro.schema import migrations
from repro.schema.annotation import Annotation, SourceCheck
from repro.schema.calibration import Calibration
from repro.schema.canonical import canonical_json, digest_of
from repro.schema.claim import Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.errors import RecordError
from repro.schema.jsonform import from_json, parse_json
from repro.schema.migrations import Beside, Content, migrated, version_of
from repro.schema.pieces import canonical_pieces, digest_of_pieces
from repro.schema.pointer import Pointer
from repro.schema.published import ResultsIndex
from repro.schema.trial import Plan, TrialRecord, TrialSpec
from repro.schema.verdict import Attempt, Sealed


class Unreadable(RecordError):
    """Text that is no JSON, for instance because a write was cut short."""


def read_record(text: str, where: str) -> TrialRecord:
    """Read a trial record and check it against its own digest.

    Raises:
        RecordError: if it is damaged, edited, or of a newer version.
    """
    content = _content(text, where)
    version = version_of(migrations.RECORD, content, where)
    record = from_json(TrialRecord, migrated(migrations.RECORD, content, where), where)
    # Of this version what was read must deserve the digest, so that writing it again gives the same; of an older, its text must.
    now = version == migrations.RECORD.newest
    deserved = record.content_digest() if now else digest_of({k: v for k, v in content.items() if k != "digest"})
    if record.digest != deserved:
        raise RecordError(
            f"{where} was edited after it was written: its content no longer has the digest {record.digest[:12]} it carries."
        )
    return record


def read_attempt(text: str, where: str) -> Attempt:
    """Read an attempt, with its seal.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    content = migrated(migrations.ATTEMPT, _content(text, where), where)
    _check_seal(content.get("sealed"), f"{where}.sealed")
    return from_json(Attempt, content, where)


def read_seal(text: str, where: str) -> Sealed:
    """Read a seal.

    Raises:
        RecordError: if it is damaged or of a version that is not read.
    """
    content = _content(text, where)
    _check_seal(content, where)
    return from_json(Sealed, content, where)


def read_plan(text: str, where: str) -> tuple[Plan, Content]:
    """Read a plan file. What it says of itself is not compared with anything here.

    Returns:
        The plan, and what its file says besides, as its text has it: trial keys, seals, provenance and the digest over all; and
        as `deserved` the digest that the text deserves.

    Raises:
        RecordError: if it is damaged, no plan, or of a newer version.
    """
    content = _content(text, where, plain=False)
    try:
        rest = {name: value for name, value in content.items() if name != "digest"}
        beside = {**content, "deserved": digest_of_pieces(canonical_pieces(rest))}
        canonical_json(content.get("digest")).encode()
    except (RecursionError, ValueError) as error:
        raise _unreadable(error, where) from error
    if not isinstance(content.get("plan"), dict):
        raise RecordError(f"{where} is no plan file: it lacks the key 'plan'.")
    del rest, beside["plan"]
    plan = migrated(migrations.PLAN, content.pop("plan"), where)
    attempts = plan.get("attempts")
    for i, attempt in enumerate(attempts if isinstance(attempts, list) else ()):
        if isinstance(attempt, dict):
            _check_seal(attempt.get("sealed"), f"{where}.attempts[{i}].sealed")
    trials = plan.get("trials")
    if not isinstance(trials, list):
        return from_json(Plan, plan, where), beside
    known: dict[str, tuple[DataSet, ...]] = {}
    for i, trial in enumerate(trials):
        # In its place: both forms of all trials at once would take twice the memory.
        trials[i] = _trial(trial, f"{where}.trials[{i}]", known)
    return replace(from_json(Plan, {**plan, "trials": []}, where), trials=tuple(trials)), beside


_TRIAL_FIELDS = frozenset(field.name for field in fields(TrialSpec))
_TEXTS = ("study", "recipe", "sources", "device", "precision")
"""Which the trials of a plan share, so that one copy of each does."""
_OTHERS: Mapping[str, type] = {"config": dict, "replicate": int, "own_process": bool, "label": str, "data": list}
_NUMBERS = ("time_limit_s", "cost")


def _trial(content: Any, where: str, known: dict[str, tuple[DataSet, ...]]) -> TrialSpec:
    """Read one trial of a plan.

    Of many thousand nearly all are just as they are written here. Any other is left to the codec, which says what is wrong.
    """
    if (
        not isinstance(content, dict)
        or content.keys() != _TRIAL_FIELDS
        or any(type(content[name]) is not str for name in _TEXTS)
        or any(type(content[name]) is not kind for name, kind in _OTHERS.items())
        or any(type(content[name]) not in (float, type(None)) for name in _NUMBERS)
        or content["measures"] not in ("value", "time")
    ):
        return from_json(TrialSpec, content, where)
    name = canonical_json(content["data"]) if content["data"] else ""
    if name not in known:
        known[name] = from_json(tuple[DataSet, ...], content["data"], f"{where}.data")
    shared = {text: sys.intern(content[text]) for text in _TEXTS}
    return TrialSpec(**{**content, **shared, "data": known[name]})


def read_pointer(text: str, where: str, beside: Beside) -> Pointer:
    """Read what an attempt that was sealed here left.

    Args:
        text: of the file; the first version was the name of the plan and nothing else.
        where: name of the document, for errors.
        beside: returns the seal of the attempt, as JSON, from the plan that a pointer names; called for old pointers only.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    content = _content(text, where) if text.lstrip().startswith(("{", "[")) else {"plan": text.strip()}
    return from_json(Pointer, migrated(migrations.POINTER, content, where, beside), where)


def read_calibration(text: str, where: str) -> Calibration:
    """Read a calibration.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    return from_json(Calibration, migrated(migrations.CALIBRATION, _content(text, where), where), where)


def read_index(text: str, where: str) -> ResultsIndex:
    """Read the index of a results directory.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    return from_json(ResultsIndex, migrated(migrations.INDEX, _content(text, where), where), where)


def read_annotation(text: str, where: str) -> Annotation:
    """Read one entry on an attempt. Its digest is checked with the chain that it belongs to (`annotation.broken_at`).

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    return from_json(Annotation, migrated(migrations.ANNOTATION, _content(text, where), where), where)


def read_source_check(content: Any, where: str) -> SourceCheck:
    """Read one check of a published value; it is kept as YAML, so this takes what was loaded from it.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    return from_json(SourceCheck, migrated(migrations.SOURCE_CHECK, _object(content, where), where), where)


def read_claim_file(text: str, where: str) -> tuple[Paper, Claim, tuple[DataSet, ...]]:
    """Read the `claim.json` of evidence: what was claimed, and which data were read, as it stood when it was sealed.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    content = migrated(migrations.CLAIM_FILE, _content(text, where), where)
    wanted = {migrations.CLAIM_FILE.key, "paper", "claim", "data"}
    if set(content) != wanted or not isinstance(content["data"], list):
        raise RecordError(f"{where} must hold exactly {', '.join(sorted(wanted))}. It was cut short or edited.")
    data = tuple(from_json(DataSet, item, f"{where}.data[{i}]") for i, item in enumerate(content["data"]))
    return (
        from_json(Paper, content["paper"], f"{where}.paper"),
        from_json(Claim, content["claim"], f"{where}.claim"),
        data,
    )


def _check_seal(content: Any, where: str) -> None:
    if isinstance(content, dict):
        version_of(migrations.SEAL, content, where)


def _content(text: str, where: str, plain: bool = True) -> Content:
    """Return the object that a text is.

    Args:
        text: of the document.
        where: its name.
        plain: refuse what nothing can say again, such as 1e999 or half a character; False if the caller does.
    """
    try:
        content = parse_json(text, where)
        if plain:
            digest_of(content)
    except (RecursionError, ValueError) as error:
        raise _unreadable(error, where) from error
    except RecordError as error:
        raise Unreadable(str(error)) from error
    return _object(content, where)


def _unreadable(error: Exception, where: str) -> Unreadable:
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Unreadable(f"{where} is not readable JSON ({reason}). It was cut short or edited.")


def _object(content: Any, where: str) -> Content:
    if not isinstance(content, dict):
        raise RecordError(f"{where} must be an object, not {content!r:.80}. It was cut short or edited.")
    return content
