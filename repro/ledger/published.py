"""Published results, read beside the ledger: what `index.json` of each results directory lists, and the evidence that lies there.

Whatever cannot be read is left out and said (`index_problems`, `published_problems`), so that one damaged directory hides no other.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from repro.ledger.calibrations import CALIBRATION_FILE, read_calibration
from repro.schema import documents
from repro.schema.calibration import Calibration
from repro.schema.documents import read_attempt, read_record
from repro.schema.errors import RecordError, ReproError, StoreError
from repro.schema.migrations import OtherVersion
from repro.schema.places import results_dirs
from repro.schema.published import PublishedResult
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

INDEX_FILE = "index.json"
ATTEMPT_FILE = "attempt.json"
TRIALS_FILE = "trials.jsonl"
DIGITS = 8
"""Digits of the evidence digest that tell two attempts of one id apart."""
_STEP = re.compile(r"(?![.-])[A-Za-z0-9_.@+=~-]{1,200}")
_MEND = "`repro publish` without attempts writes it again from the directories."


@dataclass(frozen=True)
class _Listed:
    root: Path
    result: PublishedResult


def published_results() -> tuple[PublishedResult, ...]:
    """Return what the results directories list, each evidence once; reads their indexes and nothing else."""
    return tuple(listed.result for listed in _listed())


def read_index(root: Path) -> tuple[PublishedResult, ...]:
    """Return what the index of one results directory lists; nothing where there is none.

    Raises:
        RecordError: if it cannot be read.
    """
    file = root / INDEX_FILE
    try:
        status = file.stat()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(file, error) from error
    return _results(file, status.st_mtime_ns, status.st_size)


def index_problems() -> tuple[str, ...]:
    """Return a sentence for each index that cannot be read."""
    return tuple(str(found) for found in _indexes() if isinstance(found, ReproError))


def published_problems() -> tuple[str, ...]:
    """Return a sentence for each index and each published attempt that cannot be read. Their trials are not looked at."""
    return (*index_problems(), *(str(found) for _, found in _attempts(None) if isinstance(found, ReproError)))


def directory_of(result: PublishedResult) -> Path:
    """Return the directory in which the evidence of a published result lies.

    Raises:
        StoreError: if no results directory lists it.
    """
    for listed in _listed():
        if listed.result.evidence == result.evidence:
            return listed.root / result.place
    raise StoreError(f"No results directory lists the evidence {result.evidence[:12]} of {result.attempt}.")


def name_with_digest(attempt_id: str, evidence: str) -> str:
    """Return the name of an attempt beside another attempt of the same id: `<id>~<8 digits of its evidence digest>`."""
    return f"{attempt_id}~{evidence[:DIGITS]}"


def find_published(name: str) -> PublishedResult | None:
    """Return a published result by `<id>` or `<id>~<8 digits of its evidence digest>`, or None.

    Where several directories publish one id, the bare id is the first one's.
    """
    found = [result for result in published_results() if name == result.attempt]
    full = [result for result in published_results() if name == name_with_digest(result.attempt, result.evidence)]
    return next(iter([*found, *full]), None)


def load_published(claim: str | None = None) -> list[Attempt]:
    """Return every published attempt that can be read, or those of one claim, by start. Names are unique among them.

    `published_problems()` says what could not be read.
    """
    found: dict[str, Attempt] = {}
    for result, attempt in published_attempts(claim):
        name = attempt.id if attempt.id not in found else name_with_digest(attempt.id, result.evidence)
        found[name] = replace(attempt, id=name)
    return sorted(found.values(), key=lambda attempt: (attempt.started, attempt.id))


def published_attempts(claim: str | None = None) -> list[tuple[PublishedResult, Attempt]]:
    """Return what is listed together with its attempt, under the id that it has in its evidence; what cannot be read is left out."""
    return [(result, found) for result, found in _attempts(claim) if isinstance(found, Attempt)]


def load_published_attempt(result: PublishedResult) -> Attempt:
    """Return a published attempt, under the id that it has in its evidence.

    Raises:
        RecordError: if its file is missing or damaged, or is another attempt than the index says.
    """
    file = directory_of(result) / ATTEMPT_FILE
    try:
        status = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from error
    return _checked(_attempt_in(file, status.st_mtime_ns, status.st_size), result, file)


def load_published_trials(name: str) -> list[TrialRecord]:
    """Return the records of a published attempt, each checked against its own digest.

    Args:
        name: as `find_published` takes it.

    Raises:
        StoreError: if there is no such published attempt.
        RecordError: if the file is missing, or a record is damaged or was edited.
    """
    result = find_published(name)
    if result is None:
        raise StoreError(f"There is no published attempt '{name}'.")
    file = directory_of(result) / TRIALS_FILE
    lines = _text(file).removesuffix("\n").split("\n")
    return [read_record(line, f"{file}, line {number}") for number, line in enumerate(lines, start=1)]


def calibration_file(directory: Path) -> Path:
    """Return the file, beside a published directory, of the error rates of its attempt's seal."""
    return directory.with_name(f"{directory.name}.{CALIBRATION_FILE}")


def published_calibrations(claim: str | None = None) -> Iterator[tuple[PublishedResult, Calibration | ReproError]]:
    """Yield the error rates that lie beside published attempts, each checked against the attempt's seal, or why they cannot be read.

    They are no evidence and decide nothing: they say how far to trust a verdict.
    """
    for result, attempt in published_attempts(claim):
        file = calibration_file(directory_of(result))
        if file.exists():
            try:
                yield result, read_calibration(_text(file), attempt.sealed.digest, str(file))
            except ReproError as error:
                yield result, error


def same_attempt(one: Attempt, other: Attempt) -> bool:
    """Return whether two attempts of one id are the same: sealed alike, started and run alike, judged to the last digit alike."""

    def course(attempt: Attempt) -> tuple[object, ...]:
        return (
            attempt.sealed.digest,
            attempt.arms,
            attempt.verdict,
            attempt.started,
            attempt.seconds,  # to the last digit the sum over all trials; `finished` was once the end of the launch
            attempt.exploratory,
        )

    return course(one) == course(other)


def _attempts(claim: str | None) -> Iterator[tuple[PublishedResult, Attempt | ReproError]]:
    for listed in _listed():
        if claim in (None, listed.result.claim):
            try:
                yield listed.result, load_published_attempt(listed.result)
            except ReproError as error:
                yield listed.result, error


def _listed() -> Sequence[_Listed]:
    found: dict[str, _Listed] = {}
    for index in _indexes():
        if not isinstance(index, ReproError):
            for listed in index:
                found.setdefault(listed.result.evidence, listed)
    return list(found.values())


def _indexes() -> Iterator[tuple[_Listed, ...] | ReproError]:
    for root in results_dirs():
        try:
            yield tuple(_Listed(root, result) for result in read_index(root))
        except ReproError as error:
            yield error


@lru_cache(maxsize=16)
def _results(file: Path, changed: int, size: int) -> tuple[PublishedResult, ...]:
    """Read an index; a change of the file is a change of the arguments."""
    del changed, size
    try:
        results = documents.read_index(_text(file), str(file)).results
    except OtherVersion:
        raise
    except RecordError as error:
        raise RecordError(f"{error} {_MEND}") from error
    for result in results:
        if not is_place(result.place):
            raise RecordError(f"{file} names the place {result.place!r:.120}, which could lead out of it. {_MEND}")
    return results


def is_place(path: str) -> bool:
    """Return whether a path may be a directory of published results: plain names that lead nowhere else."""
    return all(_STEP.fullmatch(step) for step in path.split("/"))


@lru_cache(maxsize=4096)
def _attempt_in(file: Path, changed: int, size: int) -> Attempt:
    del changed, size
    return read_attempt(_text(file), str(file))


def _checked(attempt: Attempt, result: PublishedResult, file: Path) -> Attempt:
    outcome = attempt.verdict.outcome if attempt.verdict else None
    said = (result.attempt, result.claim, result.protocol, result.scale, result.outcome)
    if (attempt.id, attempt.claim, attempt.protocol, attempt.scale, outcome) != said:
        raise RecordError(
            f"{file} is not the attempt {result.attempt} ({result.outcome}) that the index lists. {_MEND}"
        )
    return attempt


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> RecordError:
    reason = getattr(error, "strerror", None) or error
    return RecordError(
        f"{file} cannot be read ({reason}). If its files are lost, get them again (git checkout), or take the directory "
        f"away and run `repro publish`."
    )
