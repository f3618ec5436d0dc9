"""Published results: the files of a bundle in a directory of their own, and what people added beside it.

A directory is built aside and renamed, so that it is there whole or not at all; nothing that was published is ever overwritten.
"""

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repro.cite.evidence.bundle import Bundle, EvidenceError, read_bundle
from repro.ledger.calibrations import calibration_text
from repro.ledger.chain import Chain, chain_text, extended, read_chain
from repro.ledger.published import (
    ATTEMPT_FILE,
    INDEX_FILE,
    calibration_file,
    directory_of,
    find_published,
    is_place,
    load_published_attempt,
    same_attempt,
)
from repro.ledger.read import load_attempt
from repro.schema.calibration import Calibration
from repro.schema.documents import read_attempt
from repro.schema.errors import RecordError, StoreError
from repro.schema.files import write_atomically
from repro.schema.jsonform import parse_json
from repro.schema.locks import one_writer
from repro.schema.places import results_dirs
from repro.schema.published import PublishedResult
from repro.schema.verdict import Attempt

_UNFINISHED = ".unfinished-"
_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Published:
    """A published attempt, and whether it was put there just now."""

    result: PublishedResult
    directory: Path
    new: bool


def results_root() -> Path:
    """Return the directory in which new results are published.

    Raises:
        StoreError: if there is none.
    """
    roots = results_dirs()
    if not roots:
        raise StoreError(
            "There is no directory to publish in. Name one in REPRO_RESULTS, for instance docs/results in your own repository."
        )
    return roots[0]


def refusal(attempt: Attempt) -> str | None:
    """Return why an attempt may not be published, or None. A mismatch may, and an inconclusive one, labelled as what it is."""
    if "~" in attempt.id:
        return "it is somebody else's; its evidence is published by whoever made it. Hand on their bundle instead"
    if not attempt.id.startswith(f"{attempt.claim}@") or not is_place(place_of(attempt)):
        return "its id is not the name of a place below the results directory"
    if attempt.exploratory:
        changed = ", ".join(attempt.overrides) or "something sealed"
        return f"it is exploratory ({changed} was overridden by hand), and no verdict on the claim as it was sealed"
    if attempt.execution != "completed":
        told = f": {attempt.message.rstrip('.')}" if attempt.message else ""
        return f"it is {attempt.execution}, and only completed attempts have a verdict{told}. `repro run {attempt.claim}` resumes it"
    if attempt.verdict is None:
        return f"it was not judged. `repro judge {attempt.claim}` does that"
    if attempt.validity == "tampered":
        return "its records are not those that were sealed (tampered). Launch a new attempt"
    return None


def place_of(attempt: Attempt) -> str:
    """Return the directory of an attempt, relative to the results directory.

    >>> from types import SimpleNamespace as A
    >>> place_of(A(id="paper/claim@retrain@cpu-1a2b3c4d-1", claim="paper/claim"))
    'paper/claim/retrain@cpu-1a2b3c4d-1'
    """
    return f"{attempt.claim}/{attempt.id.removeprefix(f'{attempt.claim}@')}"


def publish(bundle: Bundle, root: Path, annotations: Chain = ()) -> Published:
    """Put the files of a bundle into the results directory; annotations go into a file beside them.

    Publishing the same again changes nothing; entries that were added since are appended.

    Args:
        bundle: verified evidence of an attempt that may be published.
        root: the results directory.
        annotations: entries of the attempt.

    Raises:
        EvidenceError: if the attempt may not be published, or other bytes are published under its id.
        StoreError: if the directory cannot be written.
    """
    attempt = attempt_in(bundle.files, "the bundle")
    why = refusal(attempt)
    if why is not None:
        raise EvidenceError(f"{attempt.id} cannot be published: {why}.")
    directory = root / place_of(attempt)
    with writing(root), one_writer(root / INDEX_FILE):
        new = not directory.is_dir()
        if new:
            _put(bundle.files, directory, root)
        else:
            _require_same(bundle, directory)
        add_entries(directory, attempt.id, annotations)
    return Published(result_of(bundle, attempt, place_of(attempt)), directory, new)


def already_published(name: str) -> Published | None:
    """Return where an attempt is published, if it is and its files still make the digest that was listed.

    The published bytes stay the evidence of an attempt, also where a later version would write another page about it.

    Args:
        name: of the attempt.

    Raises:
        StoreError: if there is no such attempt.
        RecordError: if its published files are damaged.
    """
    result = find_published(name)
    if result is None or not same_attempt(load_attempt(name), load_published_attempt(result)):
        return None
    directory = directory_of(result)
    return Published(result, directory, False) if read_bundle(directory).digest == result.evidence else None


def _require_same(bundle: Bundle, directory: Path) -> None:
    there = read_bundle(directory)
    if there.digest != bundle.digest:
        changed = sorted(
            name for name in {*there.files, *bundle.files} if there.files.get(name) != bundle.files.get(name)
        )
        raise EvidenceError(
            f"{directory} holds other bytes (evidence {there.digest[:12]}) than this attempt's evidence has now "
            f"({bundle.digest[:12]}); {', '.join(changed[:3])}{', ...' if len(changed) > 3 else ''} differ. Published results are "
            f"never overwritten, for citations name their digest. If the directory was damaged, take its files from version "
            f"control; if yours is another attempt, `repro run ... --new-seeds` gives it a number of its own."
        )


def _put(files: Mapping[str, bytes], directory: Path, root: Path) -> None:
    """Write files aside and rename their directory into its place."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    _clear_away(root)
    aside = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=root))
    try:
        for name, content in files.items():
            file = aside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        aside.chmod(0o755)
        aside.rename(directory)
        _sync(directory.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _clear_away(root: Path) -> None:
    """Remove what a killed publish left, once it is old enough to belong to nobody."""
    for left in root.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < time.time() - _AN_HOUR:
                shutil.rmtree(left, ignore_errors=True)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def add_entries(directory: Path, attempt_id: str, entries: Chain) -> None:
    """Append entries of an attempt to the file beside its published directory; those that are there already stay as they are.

    Raises:
        StoreError: if the file cannot be written.
    """
    file = annotations_file(directory)
    with one_writer(file):
        there = entries_in(file, attempt_id)
        whole = extended(there, attempt_id, entries)
        if whole != there:
            write_atomically(file, chain_text(whole))


def put_calibration(directory: Path, calibration: Calibration | None) -> bool:
    """Write the error rates of an attempt's seal beside its published directory; without any, what lies there stays.

    Returns:
        Whether something was written.

    They are no evidence and decide nothing, so newer ones take the place of older ones.

    Raises:
        StoreError: if the file cannot be written.
    """
    file = calibration_file(directory)
    if calibration is None or (file.exists() and file.read_bytes() == calibration_text(calibration).encode()):
        return False
    with writing(directory.parent):
        write_atomically(file, calibration_text(calibration))
    return True


def annotations_file(directory: Path) -> Path:
    """Return the file of entries beside a published directory."""
    return directory.with_name(f"{directory.name}.annotations.jsonl")


def entries_in(file: Path, attempt_id: str) -> Chain:
    """Return the entries of an attempt in the file beside its directory; none where there is no file.

    Raises:
        RecordError: if it is no text, or an entry was written by a newer version.
    """
    try:
        return read_chain(file.read_text(encoding="utf-8"), attempt_id, str(file))
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise RecordError(f"{file} is not UTF-8 text: it was damaged. Take it from version control.") from error


def attempt_in(files: Mapping[str, bytes], where: str) -> Attempt:
    """Return the attempt that the files of a bundle hold.

    Raises:
        EvidenceError: if there is none.
        RecordError: if it is damaged or of a newer version.
    """
    return read_attempt(_text(files, ATTEMPT_FILE, where), f"{where}: {ATTEMPT_FILE}")


def _text(files: Mapping[str, bytes], name: str, where: str) -> str:
    try:
        return files[name].decode("utf-8")
    except (KeyError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{where} lacks a readable {name}: it is no evidence, or was damaged.") from error


def result_of(bundle: Bundle, attempt: Attempt, place: str) -> PublishedResult:
    """Return what the index says of a published attempt.

    Args:
        bundle: its evidence.
        attempt: that it holds.
        place: of its directory, relative to the results directory.

    Raises:
        EvidenceError: if it has no verdict.
        RecordError: if the bundle names no paper.
    """
    if attempt.verdict is None:
        raise EvidenceError(f"{attempt.id} has no verdict.")
    commit = attempt.provenance.get("commit")
    return PublishedResult(
        attempt=attempt.id,
        claim=attempt.claim,
        paper=_paper_of(bundle.files, attempt),
        protocol=attempt.protocol,
        kind=attempt.sealed.kind,
        scale=attempt.scale,
        outcome=attempt.verdict.outcome,
        reason=attempt.verdict.reason,
        validity=attempt.validity,
        exploratory=attempt.exploratory,
        indicative=attempt.sealed.indicative,
        started=attempt.started,
        compute_ratio=attempt.compute_ratio,
        commit=str(commit) if commit else None,
        evidence=bundle.digest,
        place=place,
    )


def _paper_of(files: Mapping[str, bytes], attempt: Attempt) -> str:
    content = parse_json(_text(files, "claim.json", attempt.id), f"claim.json of {attempt.id}")
    try:
        return str(content["paper"]["id"])
    except (KeyError, TypeError) as error:
        raise RecordError(f"claim.json of {attempt.id} names no paper: it was damaged or edited.") from error


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Make the results directory if it is not there, and say what to do where something cannot be written.

    Raises:
        StoreError: in the place of any error of the system.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        cure = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Make it writable"
        raise StoreError(
            f"Results cannot be written to {error.filename or root} ({error.strerror or error}). {cure}, or name another directory "
            f"in REPRO_RESULTS. What was published before is as it was."
        ) from error
