"""Evidence checked by whoever reads it: what holds, what does not, and what is only the producer's word.

Nothing of a bundle is run, imported or unpickled. It needs no GPU, no MLflow, no network.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.content import BUNDLE_VERSION, README_FILE, SUMS_FILE, checksums, evidence_files
from repro.cite.evidence.crate import CRATE_FILE
from repro.cite.evidence.dossier import SOURCE_PREFIX, TRIALS_FILE, Dossier, read_dossier
from repro.cite.verification.checks import check_seal, check_trials, same_as_installed
from repro.cite.verification.findings import CONTAINER, ORIGIN, TEXTS, TRIALS, VERDICT, Finding, Report, conclude
from repro.cite.verification.origin import check_origin
from repro.cite.verification.producer import Producer, producer_of, stated
from repro.cite.verification.recompute import recompute
from repro.cite.verification.time_limit import LONGEST_S, within
from repro.ledger.content import ATTEMPT_FILE, CLAIM_FILE, FIGURE_FILE, PROVENANCE_FILE
from repro.schema.errors import ReproError
from repro.schema.jsonform import parse_json
from repro.schema.trial import RECORD_VERSION
from repro.schema.verdict import ATTEMPT_VERSION, SEAL_VERSION, Attempt

PRIMARY = (ATTEMPT_FILE, CLAIM_FILE, TRIALS_FILE, FIGURE_FILE, PROVENANCE_FILE)
"""Files that are read; all others but the sources are made from them."""
WORDED = (README_FILE, CRATE_FILE)
"""Files that say the rest again in words, which change from version to version; no number stands in them alone."""


def verify(
    bundle: Bundle,
    *,
    digest: str | None = None,
    public_key: bytes | Path | None = None,
    envelope: Mapping[str, Any] | bytes | None = None,
    listed: str | None = None,
) -> Report:
    """Check a bundle. Raises for nothing that a bundle holds.

    Args:
        bundle: as read; not trusted.
        digest: sha256 that the reader knows from elsewhere, such as a citation.
        public_key: of the producer, in PEM or its file, that the reader has from elsewhere.
        envelope: a signature that lies beside the bundle; not trusted.
        listed: sha256 that the index of the results directory around it lists. It proves no origin, for who changes the files can
            change it too; but a page of those bytes that an earlier version worded otherwise is then no failure.
    """
    origin = check_origin(bundle, digest, public_key, envelope)
    known = bool(origin.vouched) or listed == bundle.digest
    found, read = list(origin.findings), list[Dossier]()
    if not within(LONGEST_S, lambda: _check(bundle, known, found, read)):
        told = (
            f"Checking it was stopped after {LONGEST_S / 60:g} minutes: it asks for more work than any evidence of this project. "
            f"What was not reached was not checked."
        )
        found.append(Finding("unknown", told, VERDICT))
    attempt = read[0].attempt if read else None
    return conclude(
        bundle.digest, attempt.id if attempt else "", _claims(attempt) if attempt else "", found, origin.vouched
    )


def _check(bundle: Bundle, vouched: bool, found: list[Finding], read: list[Dossier]) -> None:
    """Check everything but the origin; findings are there as soon as they are made, and so is what was read."""
    found += _guarded(lambda: check_container(bundle), CONTAINER)
    newer = list(_guarded(lambda: _other_versions(bundle), CONTAINER))
    found += newer or _read(bundle, read)
    if not read:
        return
    dossier, producer = read[0], producer_of(read[0].attempt)
    found += _guarded(lambda: check_seal(dossier, producer.blame), CONTAINER)
    found += _guarded(lambda: check_trials(dossier), TRIALS)
    found += _guarded(lambda: _judged(bundle, dossier, producer, vouched), TEXTS)
    found += _guarded(lambda: stated(dossier, producer), CONTAINER)
    found += _guarded(lambda: same_as_installed(dossier), ORIGIN)


def _claims(attempt: Attempt) -> str:
    if attempt.verdict is None:
        return "no verdict"
    return f"{attempt.verdict.outcome}: {attempt.sealed.kind}, {attempt.scale} scale"


def _guarded(check: Callable[[], Iterator[Finding]], group: str) -> Iterable[Finding]:
    """Run one check; whatever a hostile file makes it raise is a finding."""
    found: list[Finding] = []
    try:
        for finding in check():
            found.append(finding)
    except ReproError as error:
        found.append(Finding("fails", str(error), group))
    except Exception as error:  # any bytes at all may be given, and none may end in a traceback
        found.append(Finding("fails", f"What it says cannot be read ({type(error).__name__}: {error}).", group))
    return found


def check_container(bundle: Bundle) -> Iterator[Finding]:
    """Check that nothing is in a bundle but its files, each with the sha256 that is listed."""
    if bundle.canonical:
        yield Finding("holds", "Nothing is in it but its files: no comment, time or hidden byte.", CONTAINER)
    else:
        told = (
            "The zip is not packed as evidence is: bytes, times, modes or an order in it are no part of the evidence."
        )
        yield Finding("fails", told, CONTAINER)
    wanted = checksums({name: content for name, content in bundle.files.items() if name != SUMS_FILE})
    if bundle.files.get(SUMS_FILE) == wanted:
        told = f"{SUMS_FILE} lists all {len(bundle.files) - 1} other files, each with the sha256 it has."
        yield Finding("holds", told, CONTAINER)
        return
    if SUMS_FILE not in bundle.files:
        yield Finding("fails", f"{SUMS_FILE} is missing.", CONTAINER)
        return
    listed = set(bundle.files[SUMS_FILE].split(b"\n"))
    wrong = [line.decode().partition("  ")[2] for line in wanted.splitlines() if line not in listed]
    told = f"Their sha256 is not that of {_names(wrong)}." if wrong else "It lists more, or in another order."
    yield Finding("fails", f"{SUMS_FILE} does not fit the files. {told}", CONTAINER)


def _other_versions(bundle: Bundle) -> Iterator[Finding]:
    """Say what to install where a document is of another version than this one reads."""
    claim, attempt = _peek(bundle, CLAIM_FILE), _peek(bundle, ATTEMPT_FILE)
    sealed = attempt.get("sealed")
    first_line = bundle.files.get(TRIALS_FILE, b"").partition(b"\n")[0]
    record = _object(first_line, TRIALS_FILE)
    got = {
        "evidence": (claim.get("bundle_version"), BUNDLE_VERSION, BUNDLE_VERSION),
        "attempts": (attempt.get("version"), 0, ATTEMPT_VERSION),
        "seals": (sealed.get("version") if isinstance(sealed, dict) else None, 0, SEAL_VERSION),
        "trial records": (record.get("version"), 0, RECORD_VERSION),
    }
    for what, (found, oldest, newest) in got.items():
        if type(found) is int and not oldest <= found <= newest:
            producer = Producer.of(attempt.get("provenance"))
            told = f"It holds {what} of version {found}, and this installation reads {newest}. {producer.cure}"
            yield Finding("unknown", f"{told} Only the container was checked.", CONTAINER)
            return


def _peek(bundle: Bundle, name: str) -> dict[str, Any]:
    return _object(bundle.files.get(name, b""), name)


def _object(content: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object, or nothing: what is no JSON is found when it is read whole."""
    try:
        read = parse_json(content.decode("utf-8"), name)
    except (ReproError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _read(bundle: Bundle, read: list[Dossier]) -> list[Finding]:
    """Read the primary files strictly into `read`; their digests are checked on the way."""

    def check() -> Iterator[Finding]:
        read.append(read_dossier(bundle))
        yield Finding(
            "holds", "Every document in it is of a version that this installation reads, and whole.", CONTAINER
        )

    return [
        replace(finding, sentence=f"{finding.sentence} Nothing that rests on it was checked.")
        if finding.status == "fails"
        else finding
        for finding in _guarded(check, CONTAINER)
    ]


def _judged(bundle: Bundle, dossier: Dossier, producer: Producer, vouched: bool) -> Iterator[Finding]:
    """Recompute the attempt, then everything that is made from it, and compare all bytes."""
    with warnings.catch_warnings():
        # What numpy has to say of a stranger's numbers is for no one; a value that is none is a finding.
        warnings.simplefilter("ignore")
        again = recompute(dossier, producer, vouched)
    yield from again.findings
    yield from _remade(bundle, replace(dossier, attempt=again.attempt), producer, vouched)


def _remade(bundle: Bundle, dossier: Dossier, producer: Producer, vouched: bool) -> Iterator[Finding]:
    """Make every file again and compare; `SHA256SUMS` was held against the files that are there."""
    wanted = {name: content for name, content in evidence_files(dossier).items() if name != SUMS_FILE}
    there = set(bundle.files) - {SUMS_FILE}
    more, fewer = there - wanted.keys(), wanted.keys() - there
    differing = {name for name in there & wanted.keys() if wanted[name] != bundle.files[name]}
    spelled = differing & {*PRIMARY}
    worded = differing & {*WORDED} if vouched else set()
    others = differing - spelled - worded
    if more:
        yield Finding("fails", f"It holds files that no evidence holds: {_names(more)}.", TEXTS)
    if fewer:
        yield Finding("fails", f"It lacks {_names(fewer)}.", TEXTS)
    if spelled:
        told = "is not what its seal and records give, or is spelled in another way than evidence is"
        yield Finding("fails", f"{_names(spelled)} {told}.", TEXTS)
    if others:
        says = "says" if len(others) == 1 else "say"
        told = f"{_names(others)} {says} something else than what they are made from gives."
        yield Finding(producer.blame, f"{told} {producer.cure}" if producer.blame == "unknown" else told, TEXTS)
    if worded:
        told = (
            f"This version writes {_names(worded)} in other words. They have the bytes that were vouched for, and hold no "
            f"number that does not stand in the files that were compared."
        )
        yield Finding("stated", told, TEXTS)
    if not (more or fewer or spelled or others):
        made = [name for name in wanted.keys() - worded - {*PRIMARY} if not name.startswith(SOURCE_PREFIX)]
        which = f"{'The other' if worded else 'All'} {len(made)} files"
        told = f"{which} that are made from the rest were made again and are equal, byte for byte: {_names(made)}."
        yield Finding("holds", told, TEXTS)


def _names(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return ", ".join(listed[:12]) + more
