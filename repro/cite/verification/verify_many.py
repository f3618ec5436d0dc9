"""Bundles found in files and directories, each verified, several at once."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.cite.evidence.bundle import EvidenceError, read_bundle
from repro.cite.verification.findings import ORIGIN, Finding, Report, conclude, unreadable
from repro.cite.verification.verify import verify
from repro.ledger import published
from repro.schema import documents
from repro.schema.errors import ReproError

ATTEMPT_FILE, SUMS_FILE, INDEX_FILE = "attempt.json", "SHA256SUMS", "index.json"
PARALLEL_FROM = 4
"""Bundles from which several processes pay."""


def is_collection(place: Path) -> bool:
    """Say whether a place is a directory that is no bundle itself but may hold some."""
    return place.is_dir() and not any((place / name).exists() for name in (ATTEMPT_FILE, SUMS_FILE))


def bundles_in(places: Sequence[Path]) -> list[Path]:
    """Return the bundles that the places are or hold, by name; a directory of published results may hold none yet.

    Raises:
        EvidenceError: if a directory holds neither evidence nor an index of results.
    """
    found: list[Path] = []
    for place in places:
        inside = sorted(_inside(place)) if is_collection(place) else [place]
        if not inside and not (place / INDEX_FILE).exists():
            raise EvidenceError(
                f"{place} holds no evidence: neither a zip nor a directory with {ATTEMPT_FILE} in it. Make some with "
                f"repro evidence ATTEMPT, or publish it with repro publish ATTEMPT."
            )
        found += inside
    return list(dict.fromkeys(found))


def _inside(directory: Path) -> Iterator[Path]:
    for parent, below, files in os.walk(directory):
        if ATTEMPT_FILE in files or SUMS_FILE in files:
            below.clear()
            yield Path(parent)
        else:
            below[:] = [name for name in below if not name.startswith(".")]
            yield from (Path(parent, name) for name in files if name.endswith(".zip"))


def verify_place(
    place: Path,
    digest: str | None = None,
    public_key: bytes | Path | None = None,
    signature: Path | None = None,
) -> Report:
    """Read a bundle and the signature beside it, and verify them. What cannot be read is refused in the report.

    One that lies in a results directory is told by the digest that the index there lists.

    Args:
        place: a zip or a directory.
        digest: that the reader knows from elsewhere.
        public_key: that the reader knows from elsewhere.
        signature: its file; None takes the one that lies beside the bundle, if any.

    Raises:
        EvidenceError: if `digest` is none, or a signature that was named cannot be read.
    """
    beside = signature or place.absolute().with_name(f"{place.absolute().name}.dsse.json")
    envelope = None
    if signature or beside.is_file():
        from repro.cite.signing.envelope import read_envelope

        envelope = read_envelope(beside)
    try:
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise EvidenceError(f"{place} is neither a file nor a directory.")
        bundle = read_bundle(place)
    except (ReproError, OSError) as error:
        return unreadable(error)
    return verify(bundle, digest=digest, public_key=public_key, envelope=envelope, listed=_listed_digest(place))


def _listed_digest(place: Path) -> str | None:
    """Return what the index of the results directory around a bundle lists for it; None where it lies in none."""
    whole = Path(os.path.abspath(place))
    for root in whole.parents:
        try:
            results = published.read_index(root) if (root / INDEX_FILE).is_file() else ()
        except (ReproError, OSError):
            continue  # the index of something else, or a damaged one: `against_index` says so
        found = next((result.evidence for result in results if root / result.place == whole), None)
        if found is not None:
            return found
    return None


def verify_many(places: Sequence[Path], public_key: Path | None = None) -> Iterator[tuple[Path, Report]]:
    """Verify bundles in several processes; yield them as they are done."""
    from joblib import Parallel, delayed

    processes = min(os.cpu_count() or 1, len(places)) if len(places) >= PARALLEL_FROM else 1
    # Large evidence first: the slowest bundle alone then sets the end.
    largest = sorted(places, key=_size, reverse=True)
    tasks = (delayed(_one)(place, public_key) for place in largest)
    yield from Parallel(n_jobs=processes, return_as="generator_unordered")(tasks)


def _one(place: Path, public_key: Path | None) -> tuple[Path, Report]:
    try:
        return place, verify_place(place, public_key=public_key)
    except ReproError as error:
        return place, unreadable(error)


def _size(place: Path) -> int:
    try:
        return (place / "trials.jsonl" if place.is_dir() else place).stat().st_size
    except OSError:
        return 0


def against_index(root: Path, checked: Sequence[tuple[Path, Report]]) -> list[tuple[Path, Report]]:
    """Hold what lies in a directory of results against its `index.json`: equal digests, nothing missing, nothing more."""
    index = root / INDEX_FILE
    if not index.exists():
        return list(checked)
    try:
        if not index.is_file():
            raise EvidenceError("it is no plain file")
        content = documents.read_index(index.read_text(encoding="utf-8"), str(index))
    except (ReproError, OSError, UnicodeDecodeError) as error:
        return [*checked, (index, unreadable(EvidenceError(f"{index} cannot be read: {error}")))]
    listed = {root / result.place: result for result in content.results}
    compared = []
    for place, report in checked:
        result = listed.pop(place, None)
        if not place.is_relative_to(root):
            compared.append((place, report))
        elif result is None:
            compared.append((place, _with_failure(report, f"{index} does not list it.")))
        elif result.evidence != report.digest or (report.attempt and result.attempt != report.attempt):
            told = f"{index} lists other evidence here: {result.attempt}, sha256:{result.evidence}."
            compared.append((place, _with_failure(report, told)))
        else:
            compared.append((place, report))
    for place, result in listed.items():
        gone = EvidenceError(f"{index} lists {result.attempt}, and {place} is not there.")
        compared.append((place, _with_failure(unreadable(gone), str(gone))))
    return compared


def _with_failure(report: Report, sentence: str) -> Report:
    finding = Finding("fails", sentence, ORIGIN)
    found = [finding for finding in report.findings if finding.status != "unknown" or report.digest]
    return conclude(report.digest, report.attempt, report.claims, [*found, finding], ())
