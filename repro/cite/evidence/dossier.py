"""Everything that evidence of one attempt is made from: gathered from the ledger, or read back from a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.judge.facts import facts
from repro.judge.validity import validity
from repro.ledger.content import ATTEMPT_FILE, CLAIM_FILE, FIGURE_FILE, PROVENANCE_FILE, SOURCES_FILE
from repro.schema.canonical import canonical_json
from repro.schema.claim import Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.documents import read_attempt, read_claim_file, read_record
from repro.schema.errors import RecordError
from repro.schema.jsonform import parse_json, to_json
from repro.schema.trial import TrialRecord
from repro.schema.trial_provenance import ProvenanceFile, read_provenance_file
from repro.schema.verdict import Attempt

if TYPE_CHECKING:
    from repro.ledger.sql import RunRow

TRIALS_FILE = "trials.jsonl"
SOURCE_PREFIX = "source/"


@dataclass(frozen=True)
class Dossier:
    """One attempt with all it rests on."""

    attempt: Attempt
    """As its records show it: what was found out later, such as `stale`, is no part of it."""
    claim: Claim
    """As it was sealed."""
    paper: Paper
    data: tuple[DataSet, ...]
    records: tuple[TrialRecord, ...]
    """Arm by arm; of one trial, failed runs stand before the one that counts."""
    sources: Mapping[str, str]
    """Texts of the recipe and of what it imports from this project, by module."""
    figure: str | None
    """SVG; None for an attempt without a verdict."""
    provenance: ProvenanceFile | None = None
    """How the trials ran and in which environment; None where nobody kept it."""


def counting(records: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
    """Return the record of each trial that counts, by key: those that did not fail."""
    return {record.key: record for record in records if record.status != "failed"}


def in_order(arms: Mapping[str, Sequence[str]], records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return records in the one order that evidence has: by the name of the arm, then as the arm lists them, failed runs first."""
    place = {key: i for i, key in enumerate(dict.fromkeys(key for arm in sorted(arms) for key in arms[arm]))}
    return tuple(sorted(records, key=lambda record: (place.get(record.key, len(place)), record.status != "failed")))


def as_records_show(attempt: Attempt, claim: Claim, records: Sequence[TrialRecord]) -> Attempt:
    """Return the attempt with what follows from its records and its claim as sealed, and nothing of today.

    Validity is `tampered`, `post_hoc` or `current`; times and the ratio of compute are worked out again.
    """
    read = counting(records)
    course = facts(read.values(), attempt.arms.get("main", ()), claim.paper_flops)
    return replace(
        attempt,
        validity=validity(
            seal=attempt.sealed.digest,
            record_seals=[record.seals for record in read.values()],
            current_seal=attempt.sealed.digest,
            edited=any(record.digest != record.content_digest() for record in records),
        ),
        started=course.started or attempt.started,
        finished=course.finished,
        seconds=course.seconds,
        compute_ratio=course.compute_ratio,
    )


def gather(attempt_id: str) -> Dossier:
    """Gather the evidence of an attempt from the ledger.

    Raises:
        StoreError: if there is no such attempt (names the nearest), or the ledger cannot be read.
        RecordError: if what is stored was damaged or edited.
        EvidenceError: if the sources of its recipe are neither kept with it nor installed.
    """
    from repro.catalog.as_sealed import claim_of, data_of
    from repro.catalog.load import load
    from repro.ledger import names
    from repro.ledger.read import load_attempt
    from repro.ledger.runs import linked_trials, read_artifact

    run = ledger_run(attempt_id)
    if run is None:
        load_attempt(attempt_id)  # names the nearest
        raise EvidenceError(f"Attempt {attempt_id} is not in the ledger: it was published, and its evidence with it.")
    kept = run.tags.get(names.KEPT, "").split()
    where = f"of attempt {attempt_id} (run {run.run_id})"
    attempt = read_attempt(read_artifact(run, ATTEMPT_FILE), f"{ATTEMPT_FILE} {where}")
    records = in_order(attempt.arms, [trial.record for trial in linked_trials(run)])
    if CLAIM_FILE in kept:
        paper, claim, data = read_claim_file(read_artifact(run, CLAIM_FILE), f"{CLAIM_FILE} {where}")
    else:
        claim, data = claim_of(attempt), data_of(records)
        paper = load("paper", claim.paper)
    if SOURCES_FILE in kept:
        sources = read_sources(read_artifact(run, SOURCES_FILE), f"{SOURCES_FILE} {where}")
    else:
        sources = _installed_sources(attempt, records)
    figure = read_artifact(run, FIGURE_FILE) if run.tags.get(names.FIGURE) and attempt.verdict is not None else None
    attempt = as_records_show(_as_its_producer_named_it(attempt), claim, records)
    provenance = None
    if PROVENANCE_FILE in kept:
        read = read_provenance_file(read_artifact(run, PROVENANCE_FILE), f"{PROVENANCE_FILE} {where}")
        provenance = read.of(record.digest for record in records)
    return Dossier(attempt, claim, paper, data, records, sources, figure, provenance)


def ledger_run(attempt_id: str) -> "RunRow | None":
    """Return the run of an attempt in the ledger, the oldest should there be several; None if it is not there.

    Raises:
        StoreError: if the ledger cannot be read.
    """
    from repro.ledger import names
    from repro.ledger.runs import find_runs

    runs = [run for run in find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt_id]) if run.tags.get(names.SEAL)]
    return runs[0] if runs else None


def digest_of_import(run: "RunRow") -> str | None:
    """Return the digest of the evidence with which an attempt came from other people; None for one of our own."""
    from repro.ledger.runs import read_artifact

    where = f"{ATTEMPT_FILE} of run {run.run_id}"
    origin = read_attempt(read_artifact(run, ATTEMPT_FILE), where).provenance.get("origin")
    return str(origin["evidence"]) if isinstance(origin, Mapping) and origin.get("evidence") else None


def _as_its_producer_named_it(attempt: Attempt) -> Attempt:
    """Return an attempt that was imported as it stands in the evidence it came with."""
    if "origin" not in attempt.provenance:
        return attempt
    provenance = {name: value for name, value in attempt.provenance.items() if name != "origin"}
    return replace(attempt, id=attempt.id.partition("~")[0], provenance=provenance)


def _installed_sources(attempt: Attempt, records: Sequence[TrialRecord]) -> Mapping[str, str]:
    from repro.catalog.as_sealed import sources_of_records

    if not records:
        return {}
    sources = sources_of_records(records)
    if sources is None:
        packages = attempt.provenance.get("packages") or records[0].packages
        version = packages.get("repro-tracker")
        commit = attempt.provenance.get("commit")
        cure = f"check out commit {commit}" if commit else f"install repro-tracker {version or 'of that time'}"
        raise EvidenceError(
            f"The evidence of {attempt.id} cannot be made here: it must hold the source of {records[0].recipe} as it ran "
            f"(digest {records[0].sources[:12]}), but another version is installed and the ledger kept no copy. "
            f"To make it, {cure} and run `repro evidence` there; or launch a new attempt."
        )
    return sources


def read_sources(text: str, where: str) -> Mapping[str, str]:
    """Read `sources.json`.

    Raises:
        RecordError: if it is damaged.
    """
    content = parse_json(text, where)
    if not isinstance(content, dict) or not all(isinstance(source, str) for source in content.values()):
        raise RecordError(f"{where} must hold source texts by module. It was cut short or edited.")
    return content


def read_dossier(bundle: Bundle) -> Dossier:
    """Read a bundle's primary files; nothing is compared with anything yet, and nothing is run.

    Raises:
        EvidenceError: if one is missing.
        RecordError: if one cannot be read.
    """
    try:
        dossier = _read(bundle)
        for item in (dossier.attempt, dossier.claim, dossier.paper, list(dossier.data)):
            canonical_json(to_json(item)).encode()
    except (ValueError, RecursionError, OverflowError) as error:
        said = " ".join(str(error).split())[:120]
        raise RecordError(
            f"The bundle holds JSON that no version of repro-tracker writes ({said}). It was damaged or edited; get it again."
        ) from error
    return dossier


def _read(bundle: Bundle) -> Dossier:
    attempt = read_attempt(_text(bundle, ATTEMPT_FILE), ATTEMPT_FILE)
    paper, claim, data = read_claim_file(_text(bundle, CLAIM_FILE), CLAIM_FILE)
    lines = _text(bundle, TRIALS_FILE).split("\n")[:-1]
    records = tuple(read_record(line, f"{TRIALS_FILE}, line {i}") for i, line in enumerate(lines, start=1))
    sources = {
        name.removeprefix(SOURCE_PREFIX).removesuffix(".py"): _text(bundle, name)
        for name in bundle.files
        if name.startswith(SOURCE_PREFIX)
    }
    sources = dict(sorted(sources.items()))  # by module: as file names, a package comes after its modules
    figure = _text(bundle, FIGURE_FILE) if FIGURE_FILE in bundle.files else None
    told = PROVENANCE_FILE in bundle.files
    provenance = read_provenance_file(_text(bundle, PROVENANCE_FILE), PROVENANCE_FILE) if told else None
    return Dossier(attempt, claim, paper, data, records, sources, figure, provenance)


def _text(bundle: Bundle, name: str) -> str:
    if name not in bundle.files:
        raise EvidenceError(f"The bundle lacks {name}: it is no evidence bundle, or was cut short. Get it again.")
    try:
        return bundle.files[name].decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(f"{name} is not UTF-8 text ({error}). It was damaged or edited.") from error
