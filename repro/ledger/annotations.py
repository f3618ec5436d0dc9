"""What people added to attempts: beside a published attempt, and with its run in the ledger. Entries are only ever added."""

import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from repro.ledger import names
from repro.ledger.chain import MAX_CHARACTERS, Chain, chain_text, damage, extended, is_whole, merged, read_chain
from repro.ledger.content import ATTEMPT_FILE, milliseconds
from repro.ledger.published import (
    directory_of,
    load_published_attempt,
    name_with_digest,
    published_results,
    same_attempt,
)
from repro.ledger.runs import find_runs, local_place, read_artifact
from repro.ledger.sql import RunRow
from repro.schema.annotation import Annotation, AnnotationKind, settled, standing
from repro.schema.documents import read_attempt
from repro.schema.errors import ConfigError, RecordError, ReproError, StoreError, nearest
from repro.schema.files import write_atomically
from repro.schema.locks import one_writer
from repro.schema.plain_text import plain
from repro.schema.published import PublishedResult
from repro.schema.verdict import Attempt, Validity

if TYPE_CHECKING:
    from repro.ledger.writer import Writer

ANNOTATIONS_FILE = "annotations.jsonl"
MAX_WHO, MAX_WHY = 300, 8000
SHORTEST_SETTLES = 8
"""Digits of a dispute's digest that name it."""


@dataclass(frozen=True)
class _Places:
    """Where the entries of one attempt are kept: with its run, beside its published directory, or both."""

    run: RunRow | None
    file: Path | None
    published: str
    """Name of the published attempt in its own file."""


def annotations(claim: str | None = None) -> Mapping[str, Chain]:
    """Return the entries of every attempt that has any, in order, or of those of one claim.

    Where a chain was damaged, or an entry is missing, stands one by `repro` that says so; `repro.schema.annotation.broken_at`
    finds it, and `repro.judge.validity.validity_today` calls the attempt tampered.

    Raises:
        StoreError: if the ledger or a published file cannot be read.
        RecordError: if an entry was written by a newer version.
    """
    found, problems = readable_annotations(claim)
    for problem in problems.values():
        raise problem
    return found


def readable_annotations(claim: str | None = None) -> tuple[Mapping[str, Chain], Mapping[str, ReproError]]:
    """Return what `annotations` returns as far as it can be read, and by attempt why its entries cannot.

    Raises:
        StoreError: if the ledger as a whole cannot be read.
    """
    found: dict[str, Chain] = {}
    problems: dict[str, ReproError] = {}
    for name, place in _known(claim).items():
        try:
            if chain := _read(name, place):
                found[name] = chain
        except ReproError as error:
            problems[name] = error
    return found, problems


def annotations_of(attempt: str) -> Chain:
    """Return the entries of one attempt, in order.

    Raises:
        StoreError: if no such attempt is known (names the nearest), or its entries cannot be read.
    """
    return _read(attempt, _place_of(attempt))


def entry(attempt: str, kind: AnnotationKind, who: str, why: str, settles: str = "") -> Annotation:
    """Return a new entry as of now, checked for what every entry must say.

    Raises:
        ConfigError: if who or why says nothing or too much, or `settles` stands at anything but a confirmation.
    """
    who, why = who.strip(), why.strip()
    for name, text, longest in (("who", who, MAX_WHO), ("why", why, MAX_WHY)):
        if not plain(text):
            raise ConfigError(f"An entry needs --{name}: it says nothing. {_EXAMPLE}")
        if len(text) > longest:
            raise ConfigError(f"--{name} has {len(text)} characters; at most {longest} are kept. Say it shorter.")
        if any(unicodedata.category(character) == "Cs" for character in text):
            raise ConfigError(f"--{name} is not readable as UTF-8 text. Write it in UTF-8.")
    if plain(who) != " ".join(who.split(" ")):
        raise ConfigError("--who must be one line of plain text: a name, and a mail address or ORCID.")
    if settles and kind != "confirmed":
        raise ConfigError(f"--settles answers a dispute; it goes with `confirmed`, not with `{kind}`.")
    return Annotation(attempt, kind, who, datetime.now(UTC).isoformat(timespec="milliseconds"), why, settles)


_EXAMPLE = 'As in: repro annotate ATTEMPT disputed --who "A. Reader <a@example.org>" --why "The margin is too wide."'


def annotate(new: Annotation) -> Chain:
    """Append an entry to its attempt, wherever the attempt is kept, and return all its entries.

    What one place has and the other lacks is brought along, so that a write that was cut short is mended. The tags of the
    attempt's run follow: how many entries there are, and its validity, by which people filter.

    Args:
        new: from `entry`. `settles` may be the first digits of a dispute's digest.

    Raises:
        ConfigError: if `settles` names no dispute, or one that is settled.
        StoreError: if no such attempt is known, its entries were damaged, or a place cannot be written.
    """
    return _write(new.attempt, new)


def share_annotations(attempt: str) -> Chain:
    """Bring the entries in the ledger and beside the published directory to the same, as after publishing; return them.

    Raises:
        StoreError: as `annotate`.
    """
    return _write(attempt, None)


def _write(attempt: str, new: Annotation | None) -> Chain:
    place = _place_of(attempt)
    with ExitStack() as held:
        # Always in this order, so that two writers cannot wait for each other.
        if place.file is not None:
            held.enter_context(one_writer(place.file))
        writer: Writer | None = None
        if place.run is not None:
            from repro.ledger.writer import writing

            writer = held.enter_context(writing())
            place = replace(place, run=_place_of(attempt).run)
        published = _of_file(place)
        kept = _of_run(place.run)
        for chain, where in ((published, place.file), (kept, "the ledger")):
            if not is_whole(chain):
                raise StoreError(
                    f"The entries of {attempt} in {where} were damaged: one was removed, moved or edited, so the attempt counts as "
                    f"tampered, and nothing is appended to hide that. Restore them from version control or a backup, then "
                    f"annotate again."
                )
        entries = merged([published, kept])
        if new is not None:
            entries = extended(entries, attempt, [replace(new, settles=_dispute(entries, new.settles))])
            if len(chain_text(entries)) > MAX_CHARACTERS:
                raise StoreError(
                    f"The entries of {attempt} are too long for another. Say it shorter, or in one place that you name."
                )
        shown = (
            _attempt_of(place.run).validity if place.run is not None else "current"
        )  # read before anything is written
        if place.file is not None:
            text = chain_text(extended(published, place.published, entries)[len(published) :])
            if text:
                before = _text(place.file)
                write_atomically(place.file, before + ("" if before.endswith("\n") or not before else "\n") + text)
        if writer is not None and place.run is not None:
            _to_run(writer, place.run, extended(kept, place.run.tags[names.ATTEMPT], entries), shown)
    return entries


def _dispute(entries: Sequence[Annotation], settles: str) -> str:
    """Return the whole digest of the dispute that `settles` begins."""
    if not settles:
        return ""
    disputes = [entry.digest for entry in entries if entry.kind == "disputed"]
    found = [digest for digest in disputes if len(settles) >= SHORTEST_SETTLES and digest.startswith(settles)]
    shown = ", ".join(digest[:12] for digest in disputes if digest not in settled(entries)) or "none"
    if len(found) != 1:
        raise ConfigError(
            f"--settles {settles[:64]!r} must be the first digits, at least {SHORTEST_SETTLES}, of the digest of one dispute of this "
            f"attempt. Open disputes: {shown}."
        )
    if found[0] in settled(entries):
        raise ConfigError(f"The dispute {found[0][:12]} is settled already. Open disputes: {shown}.")
    return found[0]


def _to_run(writer: "Writer", run: RunRow, entries: Chain, shown: Validity) -> None:
    """Write the entries as an artifact, then the tags that count them and the validity that they make of what records show."""
    if not entries:
        return
    tags = {
        names.VALIDITY: shown if shown == "tampered" else standing(entries) or shown,
        names.LAST_ANNOTATION: entries[-1].digest,
        names.ANNOTATIONS: str(len(entries)),
    }
    writer.log_files(run, {ANNOTATIONS_FILE: chain_text(entries)})
    with writer.transaction():
        writer.log(run, [], {}, tags, milliseconds(""))


def _read(name: str, place: _Places) -> Chain:
    return merged([_of_file(place), _of_run(place.run)])


def _of_file(place: _Places) -> Chain:
    return read_chain(_text(place.file), place.published, place.file.name) if place.file is not None else ()


def _text(file: Path | str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror}). Make it readable.") from error


def _of_run(run: RunRow | None) -> Chain:
    """Return the entries of a run, followed by one that says so if some are missing at the end."""
    if run is None:
        return ()
    name, last, place = run.tags[names.ATTEMPT], run.tags.get(names.LAST_ANNOTATION), local_place(run.artifact_uri)
    text = ""
    if place is not None:
        text = _text(f"{place}/{ANNOTATIONS_FILE}")  # looked for whatever the tags say: somebody may have removed them
    elif last:
        text = read_artifact(run, ANNOTATIONS_FILE)
    chain = read_chain(text, name, f"{ANNOTATIONS_FILE} of run {run.run_id}")
    if last and all(entry.digest != last for entry in chain):
        count = run.tags.get(names.ANNOTATIONS, "?")
        return (*chain, damage(name, f"The ledger counts {count} entries; the last of them is missing or was edited."))
    return chain


def _place_of(attempt: str) -> _Places:
    known = _known(exact=attempt)
    if attempt not in known:
        found = nearest(attempt, known) or " None is known: launch one with repro run."
        raise StoreError(f"There is no attempt '{attempt}', neither in the ledger nor published.{found}")
    return known[attempt]


def _known(claim: str | None = None, exact: str = "") -> dict[str, _Places]:
    """Return every attempt of the ledger and of the results directories by the name that `repro.ledger.read` gives it.

    Args:
        claim: only its attempts.
        exact: an attempt whose places must be right even if it has no entries yet. Whether ours and a published one of the
            same id are the same takes reading both; of others it matters only where there are entries.
    """
    tag, values = (names.ATTEMPT, None) if claim is None else (names.CLAIM, [claim])
    runs: dict[str, RunRow] = {}
    for run in find_runs(names.PAPER_PREFIX, tag, values, names.HEAD):
        if run.tags.get(names.SEAL) and names.ATTEMPT in run.tags:
            runs.setdefault(run.tags[names.ATTEMPT], run)
    known = {name: _Places(run, None, name) for name, run in runs.items()}
    for result in published_results():
        if claim not in (None, result.claim):
            continue
        name, apart = result.attempt, name_with_digest(result.attempt, result.evidence)
        directory = directory_of(result)
        place = _Places(runs.get(apart), directory.with_name(f"{directory.name}.{ANNOTATIONS_FILE}"), name)
        known.pop(apart, None)  # imported here and published: one attempt
        if name in runs:
            ours = replace(place, run=runs[name])
            if (exact in (name, apart) or _has_entries(name, ours)) and _is_ours(runs[name], result):
                known[name] = ours
                continue
        known[apart if name in known else name] = place
    return known


def _has_entries(name: str, place: _Places) -> bool:
    try:
        return bool(_read(name, place))
    except ReproError:  # there are some, whatever they say
        return True


def _is_ours(run: RunRow, result: PublishedResult) -> bool:
    try:
        return same_attempt(_attempt_of(run), load_published_attempt(result))
    except RecordError:  # a published attempt that cannot be read stands for itself
        return False


def _attempt_of(run: RunRow) -> Attempt:
    return read_attempt(read_artifact(run, ATTEMPT_FILE), f"{ATTEMPT_FILE} of attempt {run.tags[names.ATTEMPT]}")
