"""Stored documents back into the schema's objects: version first, then migration, then the strict codec, then the digest."""

from typing import Any

from repro.schema.errors import RecordError
from repro.schema.jsonform import from_json, parse_json
from repro.schema.trial import RECORD_VERSION, TrialRecord
from repro.schema.verdict import ATTEMPT_VERSION, Attempt


def read_record(text: str, where: str) -> TrialRecord:
    """Read a trial record and check it against its own digest.

    Raises:
        RecordError: if it is damaged, edited, or of a newer version.
    """
    record = from_json(TrialRecord, _document(text, where, RECORD_VERSION), where)
    if record.digest != record.content_digest():
        raise RecordError(
            f"{where} was edited after it was written: its content no longer has the digest {record.digest[:12]} it carries."
        )
    return record


def read_attempt(text: str, where: str) -> Attempt:
    """Read an attempt.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    return from_json(Attempt, _document(text, where, ATTEMPT_VERSION), where)


def _document(text: str, where: str, newest: int) -> Any:
    content = parse_json(text, where)
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > newest:
        raise RecordError(
            f"{where} was written by a newer version (document version {version}, this one reads {newest}); upgrade repro-tracker."
        )
    return content
