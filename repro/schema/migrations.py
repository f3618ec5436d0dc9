"""The versions of stored documents, and the steps from each to the next. Standard library only.

A format grows in two ways. A field that came later has a default, and a document without it is read as it always was: no new
version. Anything else, a field that was renamed, moved or that has no honest default, is a new version and a step here.
Whoever adds one also keeps a real document of the old version under `tests/kept`.

Digests are checked over the text as it was written, before any step. So a document keeps its digest as its name for ever, and
whoever passes on an old one passes on its text. A seal is never migrated: its digest decides what a record may be judged by.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from repro.schema.annotation import ANNOTATION_VERSION, SOURCE_CHECK_VERSION
from repro.schema.calibration import CALIBRATION_VERSION
from repro.schema.errors import RecordError
from repro.schema.pointer import POINTER_VERSION
from repro.schema.published import INDEX_VERSION
from repro.schema.trial import PLAN_VERSION, RECORD_VERSION
from repro.schema.verdict import ATTEMPT_VERSION, SEAL_VERSION

CLAIM_FILE_VERSION = 1

Content = dict[str, Any]
"""A document as JSON has it."""
Beside = Callable[[Content], Mapping[str, Any]]
"""Fetches, for a step that needs it, what another document that this one names says of the same thing."""
Step = Callable[[Content, Beside], Content]
"""From one version to the next. It returns a new document and leaves the old one as it is."""


class OtherVersion(RecordError):
    """A whole document of a version that is not read here: nothing is wrong with it."""


@dataclass(frozen=True)
class Format:
    """How one kind of document is versioned."""

    name: str
    """What people call it."""
    newest: int
    steps: Mapping[int, Step] = field(default_factory=dict)
    """By the version they start from; one for each version before the newest that is still read."""
    key: str = "version"
    unversioned: Callable[[Content], int] = lambda content: 1
    """The version of a document that names none."""
    withdrawn: Mapping[int, str] = field(default_factory=dict)
    """Versions that were written once and are not read, each with what to do."""


def _pointer_version(content: Content) -> int:
    if "provenance" not in content:
        return 1
    return 3 if "replicates" in content else 2


def _without_provenance(content: Content, beside: Beside) -> Content:
    """Version 1 named its plan alone. Where it was sealed nobody wrote down, so it is unknown now."""
    return {**content, "provenance": {}}


def _without_seeds(content: Content, beside: Beside) -> Content:
    """Version 2 did not say its seeds: its plan does."""
    sealed = beside(content)
    return {**content, "replicates": sealed["replicates"], "indicative": sealed["indicative"]}


RECORD = Format("trial record", RECORD_VERSION)
ATTEMPT = Format("attempt", ATTEMPT_VERSION)
SEAL = Format(
    "seal",
    SEAL_VERSION,
    withdrawn={
        2: "Such seals were made for a few commits of the development and had another digest. Launch the attempt again: its trials "
        "are kept and need not run again."
    },
)
PLAN = Format("plan", PLAN_VERSION)
POINTER = Format(
    "pointer",
    POINTER_VERSION,
    steps={1: _without_provenance, 2: _without_seeds},
    unversioned=_pointer_version,
)
CALIBRATION = Format("calibration", CALIBRATION_VERSION)
INDEX = Format("results index", INDEX_VERSION)
ANNOTATION = Format("annotation", ANNOTATION_VERSION)
SOURCE_CHECK = Format("source check", SOURCE_CHECK_VERSION)
CLAIM_FILE = Format("claim file", CLAIM_FILE_VERSION, key="bundle_version")

FORMATS = (RECORD, ATTEMPT, SEAL, PLAN, POINTER, CALIBRATION, INDEX, ANNOTATION, SOURCE_CHECK, CLAIM_FILE)
"""Every kind of document that is stored or sent."""


def _nothing_beside(content: Content) -> Mapping[str, Any]:
    raise LookupError("no document beside this one was given")


def version_of(form: Format, content: Content, where: str) -> int:
    """Return the version of a document.

    Raises:
        OtherVersion: if it is none that is read here; says what to do.
        RecordError: if it is no version at all.
    """
    version = content.get(form.key, form.unversioned(content))
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RecordError(
            f"{where} must say its version ('{form.key}') as a whole number from 1, not {version!r:.80}. It was edited or damaged."
        )
    if version in form.withdrawn:
        raise OtherVersion(f"{where} is a {form.name} of version {version}. {form.withdrawn[version]}")
    if version > form.newest:
        raise OtherVersion(
            f"{where} was written by a newer version of repro-tracker: it is a {form.name} of version {version}, and this one reads "
            f"up to {form.newest}. Upgrade with `pip install --upgrade repro-tracker`."
        )
    return version


def migrated(form: Format, content: Content, where: str, beside: Beside = _nothing_beside) -> Content:
    """Return a document in the newest version of its format; one that has it already is returned as it is.

    Args:
        form: of the document.
        content: as it was read; it is not changed.
        where: name of the document, for the error.
        beside: what another document says of the same thing, for steps that need it.

    Raises:
        RecordError: if its version is none that is read here, or a step does not find what it needs.
    """
    for version in range(version_of(form, content, where), form.newest):
        try:
            content = {**form.steps[version](content, beside), form.key: version + 1}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(
                f"{where} is a {form.name} of version {version} and cannot be read as version {version + 1} ({error}). "
                f"It was edited or damaged."
            ) from error
    return content
