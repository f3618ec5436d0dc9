"""The book as it stands on this machine: catalogue, ledger, published results, and what people added.

One thing that cannot be read is named on the pages (`Book.problems`) and hides no other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from repro.cite.evidence.bundle import Bundle, EvidenceError, read_bundle
from repro.review.book import Book
from repro.review.listed import with_listed
from repro.schema.annotation import Annotation, SourceCheck
from repro.schema.calibration import Calibration
from repro.schema.claim import Claim, Paper
from repro.schema.errors import ReproError, StoreError
from repro.schema.places import stale_file
from repro.schema.published import PublishedResult
from repro.schema.study import Study

if TYPE_CHECKING:
    from repro.ledger.read import Known

MAX_ENVELOPE = 2**20
"""Largest signature file that is read, in bytes."""


class Problems(dict[str, tuple[str, ...]]):
    """What could not be read, by what it belongs to."""

    def add(self, name: str, error: ReproError | str) -> None:
        """Name one thing that could not be read."""
        if str(error) not in self.get(name, ()):
            self[name] = (*self.get(name, ()), str(error))


def open_book() -> Book:
    """Read claims, papers and studies from the catalogue, attempts from the ledger and the published results.

    Raises:
        ReproError: if a claim, or the ledger as a whole, cannot be read.
    """
    # Late: pages.py and figures.py are imported where neither a catalogue nor a ledger is needed.
    from repro.catalog.index import load_index
    from repro.catalog.load import load_claim, load_papers, load_studies

    # One claim that cannot be read must not hide the others; `repro list` names it.
    book = book_of([load_claim(name) for name in load_index().claims], load_papers(), load_studies())
    return with_listed(book)


def book_of(
    claims: Sequence[Claim], papers: Mapping[str, Paper], studies: Mapping[str, Study], only: str | None = None
) -> Book:
    """Return the book of these claims.

    Args:
        claims: as they stand in the catalogue.
        papers: by id.
        studies: by id.
        only: the one claim whose attempts are wanted; None for all.

    Raises:
        ReproError: if the ledger as a whole cannot be read.
    """
    from repro.ledger.read import load_trials

    problems = Problems()
    known = readable_attempts(problems, only)
    annotations, unknown = _annotations(problems, only)
    changed = _changed(known, problems)
    published = {
        each.attempt.id: each.published
        for each in known
        # Of an attempt that is in the ledger too, a damaged published copy is none.
        if each.published is not None and not (each.attempt.id in changed and each.origin != "published")
    }
    return Book(
        claims={claim.id: claim for claim in claims},
        papers=papers,
        studies=studies,
        attempts=tuple(each.attempt for each in known),
        # The page of a claim, the page of an attempt and its table show the same trials.
        trials=lru_cache(maxsize=32)(load_trials),
        calibrations=_calibrations([claim.id for claim in claims], problems, only),
        annotations=annotations,
        stale=stale_reasons(),
        published=published,
        source_checks=_source_checks(claims, problems),
        evidence=lru_cache(maxsize=8)(partial(_evidence, published)),
        envelope=partial(_envelope, published),
        problems=dict(sorted(problems.items())),
        distrusted=frozenset(unknown | (changed & published.keys())),
    )


def readable_attempts(problems: Problems, claim: str | None = None) -> "list[Known]":
    """Return every attempt in the ledger or published that can be read, or those of one claim, by start.

    Args:
        problems: is told of those that cannot.
        claim: only its attempts.

    Raises:
        StoreError: if the ledger as a whole cannot be read.
    """
    from repro.ledger.published import load_published_attempt, published_problems, published_results
    from repro.ledger.read import load_known
    from repro.ledger.store import LedgerUnusable

    try:
        known = load_known(claim)
    except LedgerUnusable:
        raise
    except ReproError:
        known = _one_by_one(problems, claim)
    told = {each.evidence for each in known}
    for result in published_results():
        if result.evidence not in told and claim in (None, result.claim):
            try:
                load_published_attempt(result)
            except ReproError as error:
                problems.add(result.attempt, error)
    said = {problem for each in problems.values() for problem in each}
    for problem in published_problems() if claim is None else ():
        if problem not in said:
            problems.add("published results", problem)
    return known


def _one_by_one(problems: Problems, claim: str | None) -> "list[Known]":
    """Return the attempts that can be read where one cannot, with the published copy in the place of what is damaged."""
    from repro.ledger.fast import known_names
    from repro.ledger.published import find_published, load_published_attempt, same_attempt
    from repro.ledger.read import Known, load_attempt

    found = []
    for name in known_names():
        if claim is not None and not name.startswith(f"{claim}@"):
            continue
        result = find_published(name)
        try:
            copy = replace(load_published_attempt(result), id=name) if result else None
        except ReproError:
            copy = None
        try:
            attempt = load_attempt(name)
            same = copy is not None and same_attempt(attempt, copy)
            evidence = result.evidence if result and same else None
            found.append(Known(attempt, "both" if same else "ledger", evidence, result if same else None))
        except ReproError as error:
            problems.add(name, error)
            if copy is not None and result is not None:
                found.append(Known(copy, "published", result.evidence, result))
    return sorted(found, key=lambda each: (each.attempt.started, each.attempt.id))


def stale_reasons() -> Mapping[str, tuple[str, ...]]:
    """Return why each stale attempt is stale, by its id, as it was last worked out; nothing if it never was.

    Raises:
        StoreError: if the file is damaged.
    """
    from repro.judge.staleness import read_stale

    file = stale_file()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{file} cannot be read ({error}). Remove it: `repro status --stale`, `repro pages` and `repro serve` write it again."
        ) from error
    return {name: stale.reasons for name, stale in read_stale(text, str(file)).items()}


def _annotations(problems: Problems, only: str | None) -> tuple[Mapping[str, tuple[Annotation, ...]], set[str]]:
    """Return the annotations of every attempt, and the attempts whose annotations cannot be read."""
    from repro.ledger.annotations import readable_annotations

    found, unreadable = readable_annotations(only)
    for name, error in unreadable.items():
        problems.add(name, f"What people added to it cannot be read: {error}")
    return found, set(unreadable)


def _calibrations(claims: Collection[str], problems: Problems, only: str | None) -> Mapping[str, Calibration]:
    from repro.ledger.published import published_calibrations
    from repro.ledger.read import calibrations
    from repro.ledger.store import LedgerUnusable

    for result, read in published_calibrations(only):
        if isinstance(read, ReproError):
            problems.add(result.attempt, f"Its published error rates cannot be read: {read}")
    try:
        return calibrations(only)
    except LedgerUnusable:
        raise
    except ReproError:
        pass
    found: dict[str, Calibration] = {}
    for claim in claims:
        try:
            found |= calibrations(claim)
        except ReproError as error:
            problems.add(claim, f"Its error rates cannot be read: {error}")
    return found


def _source_checks(claims: Sequence[Claim], problems: Problems) -> Mapping[str, Mapping[str, SourceCheck]]:
    from repro.catalog.source_checks import source_checks

    found = {}
    for claim in claims:
        try:
            found[claim.id] = source_checks(claim)
        except ReproError as error:
            problems.add(claim.id, f"Who checked its published values cannot be read: {error}")
    return {name: checks for name, checks in found.items() if checks}


def _changed(known: "Sequence[Known]", problems: Problems) -> set[str]:
    """Return the attempts whose published files no longer make the digest that the index lists."""
    found = set()
    for each in known:
        if each.published is None:
            continue
        name, wanted = each.attempt.id, each.published.evidence
        try:
            digest = _digest(directory := _directory(each.published), _state(directory))
            problem = (
                ""
                if digest == wanted
                else f"The files in {directory} make the evidence {digest}, and {wanted} was published."
            )
        except (ReproError, OSError) as error:
            problem = f"The published evidence cannot be read: {error}"
        if problem:
            problems.add(name, f"{problem} Restore them from version control.")
            found.add(name)
    return found


def _state(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what tells whether a directory is as it was when it was last read."""
    files = sorted(path for path in directory.rglob("*") if not path.is_dir())
    return tuple((str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in files)


@lru_cache(maxsize=4096)
def _digest(directory: Path, state: tuple[tuple[str, int, int], ...]) -> str:
    del state  # another state is another call
    return read_bundle(directory).digest


def _directory(result: PublishedResult) -> Path:
    from repro.ledger.published import directory_of

    return directory_of(result)


def _evidence(published: Mapping[str, PublishedResult], attempt_id: str) -> Bundle:
    if attempt_id not in published:
        raise EvidenceError(f"No evidence of {attempt_id} is published.")
    return read_bundle(_directory(published[attempt_id]))


def _envelope(published: Mapping[str, PublishedResult], attempt_id: str) -> bytes | None:
    if attempt_id not in published:
        return None
    directory = _directory(published[attempt_id])
    file = directory.with_name(f"{directory.name}.dsse.json")
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_ENVELOPE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EvidenceError(f"{file} cannot be read ({error.strerror or error}).") from error
