"""What a forger can do to evidence: change a byte or a value, mend the digests, or make the whole anew."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from repro.catalog.estimators import estimator_digest
from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.content import checksums, evidence_files
from repro.cite.evidence.dossier import Dossier
from repro.cite.verification.rejudge import installed_estimator, rejudge
from repro.schema.canonical import canonical_json, digest_of
from repro.schema.trial import TrialRecord
from repro.schema.trial_provenance import ProvenanceFile
from repro.schema.verdict import Sealed

Files = Mapping[str, bytes]
Mutation = tuple[str, Files]
"""What was done, and the files that came of it."""

SUMS, CRATE, TRIALS = "SHA256SUMS", "ro-crate-metadata.json", "trials.jsonl"


def byte_mutations(files: Files) -> Iterator[Mutation]:
    """Every file with bits flipped in each region, cut short, emptied, removed, doubled, appended to, renamed, copied."""
    for name, content in files.items():
        rest = {other: files[other] for other in files if other != name}
        for region in range(8):
            place = min(len(content) - 1, region * len(content) // 8 + region)
            if place >= 0:
                flipped = bytes([*content[:place], content[place] ^ (1 << region % 7), *content[place + 1 :]])
                yield f"{name}: bit {region % 7} of byte {place} flipped", {**files, name: flipped}
        changed = {
            "cut in half": content[: len(content) // 2],
            "last byte cut": content[:-1],
            "emptied": b"",
            "doubled": content + content,
            "space appended": content + b" ",
            "line appended": content + b"\n",
            "started with a byte order mark": b"\xef\xbb\xbf" + content,
            "line ends changed": content.replace(b"\n", b"\r\n"),
            "made of zeros": bytes(len(content) or 1),
        }
        yield from ((f"{name}: {what}", {**files, name: new}) for what, new in changed.items() if new != content)
        yield f"{name}: removed", rest
        yield f"{name}: renamed", {**rest, f"{name}.old": content}
        yield f"{name}: copied", {**files, f"{name}.copy": content}
    for added in ("setup.py", "conftest.py", "source/os.py", ".hydra/hydra.yaml", "record.pkl"):
        yield f"{added}: added", {**files, added: b"import os\n"}


def leaf_mutations(files: Files) -> Iterator[Mutation]:
    """Every JSON file with each of its leaves changed, by the type of the leaf; of the trials a first and a last record."""
    for name in files:
        if name.endswith(".json"):
            for path, changed in _leaves(json.loads(files[name])):
                text = canonical_json(changed) + "\n"
                if files[name].startswith(b"{\n"):
                    text = json.dumps(changed, indent=1, ensure_ascii=False) + "\n"
                yield f"{name}: {path}", {**files, name: text.encode()}
    lines = files[TRIALS].decode().splitlines()
    for at in (0, len(lines) - 1):
        for path, changed in _leaves(json.loads(lines[at])):
            yield (
                f"{TRIALS}[{at}]: {path}",
                _with_lines(files, [*lines[:at], canonical_json(changed), *lines[at + 1 :]]),
            )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the document once for each change of each leaf, and once for each key or item that is gone."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{path}.{key} gone", {k: v for k, v in value.items() if k != key}
            yield from ((where, {**value, key: new}) for where, new in _leaves(item, f"{path}.{key}"))
        yield f"{path}: a key more", {**value, "zz": 1}
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield f"{path}[{i}] gone", value[:i] + value[i + 1 :]
            yield from ((where, [*value[:i], new, *value[i + 1 :]]) for where, new in _leaves(item, f"{path}[{i}]"))
    else:
        for new in _other(value):
            yield f"{path}: {value!r:.20} to {new!r:.20}", new


def _other(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, float):
        return [value * (1 + 1e-9) + 1e-300, -value - 1.0]
    if isinstance(value, str):
        return [value + "x", value[:-1] + chr(ord(value[-1]) ^ 1) if value else "\t"]
    return [0]


def trial_mutations(files: Files) -> Iterator[Mutation]:
    """Trials dropped, doubled, in another order; rows swapped between two of them."""
    lines = files[TRIALS].decode().splitlines()
    for i in range(len(lines)):
        failed = " (failed)" if json.loads(lines[i])["status"] == "failed" else ""
        yield f"{TRIALS}: line {i}{failed} dropped", _with_lines(files, lines[:i] + lines[i + 1 :])
        yield f"{TRIALS}: line {i} doubled", _with_lines(files, lines[: i + 1] + lines[i:])
        if i:
            order = [*lines[: i - 1], lines[i], lines[i - 1], *lines[i + 1 :]]
            yield f"{TRIALS}: lines {i - 1} and {i} in another order", _with_lines(files, order)
            one, other = json.loads(lines[i - 1]), json.loads(lines[i])
            one["rows"], other["rows"] = other["rows"], one["rows"]
            swapped = [*lines[: i - 1], canonical_json(one), canonical_json(other), *lines[i + 1 :]]
            yield f"{TRIALS}: rows of {i - 1} and {i} swapped", _with_lines(files, swapped)
    yield f"{TRIALS}: spaces between keys", _with_lines(files, [json.dumps(json.loads(line)) for line in lines])


def _with_lines(files: Files, lines: list[str]) -> Files:
    return {**files, TRIALS: "".join(line + "\n" for line in lines).encode()}


def mended(files: Files) -> Files:
    """Mend what a forger without this project's help can: records' digests, the crate's sha256 and sizes, SHA256SUMS."""
    files = dict(files)
    try:
        records = [json.loads(line) for line in files[TRIALS].decode().splitlines()]
        for record in records:
            record["digest"] = digest_of({name: value for name, value in record.items() if name != "digest"})
        files = dict(_with_lines(files, [canonical_json(record) for record in records]))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        pass  # what cannot be read cannot be mended
    try:
        crate = json.loads(files[CRATE])
        for entity in crate["@graph"]:
            if entity.get("@id") in files and "sha256" in entity:
                content = files[entity["@id"]]
                entity["sha256"] = hashlib.sha256(content).hexdigest()
                if "contentSize" in entity:
                    entity["contentSize"] = type(entity["contentSize"])(len(content))
        spelled = {"indent": 4} if files[CRATE].startswith(b'{\n    "') else {"indent": 1}
        text = json.dumps(crate, ensure_ascii=False, **spelled).encode()
        files[CRATE] = text + files[CRATE][len(files[CRATE].rstrip()) :]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    files[SUMS] = checksums({name: content for name, content in files.items() if name != SUMS})
    return files


def resealed(dossier: Dossier, sealed: Sealed | None = None, judged: bool = True) -> Dossier:
    """Make everything anew with this project's own code, so that nothing contradicts anything: the perfect forgery.

    Args:
        dossier: with whatever the forger changed.
        sealed: the seal instead of the old; every record then carries it.
        judged: whether the verdict is worked out anew.
    """
    if sealed is not None:
        attempt_id = f"{sealed.claim}@{sealed.protocol}@{sealed.scale}-{sealed.digest[:8]}-{dossier.attempt.counter}"
        attempt = replace(dossier.attempt, sealed=sealed, id=attempt_id)
        records = tuple(replace(record, seals=(sealed.digest,)) for record in dossier.records)
        dossier = replace(dossier, attempt=attempt, records=records)
    dossier = replace(dossier, records=tuple(record.with_digest() for record in dossier.records))
    if not judged:
        return dossier
    estimator = installed_estimator(dossier.attempt.sealed).function
    again = rejudge(dossier.attempt, dossier.records, dossier.claim.paper_flops, estimator)
    return replace(dossier, attempt=again)


def bundle_of(dossier: Dossier) -> Bundle:
    """Pack a dossier, whether or not it is true. What it says of how its trials ran is made to fit its records."""
    return Bundle(evidence_files(replace(dossier, provenance=_fitting(dossier))))


def _fitting(dossier: Dossier) -> ProvenanceFile | None:
    if dossier.provenance is None:
        return None
    told = {trial.key: trial for trial in dossier.provenance.trials}
    trials = tuple(
        replace(told[record.key], record=record.digest).with_digest()
        for record in dossier.records
        if record.key in told
    )
    named = {*(trial.environment for trial in trials), dossier.attempt.provenance.get("environment")}
    environments = {name: found for name, found in dossier.provenance.environments.items() if name in named}
    fitting = replace(dossier.provenance, environments=environments, trials=trials)
    return fitting.of(record.digest for record in dossier.records)


def with_rows(record: TrialRecord, **values: float) -> TrialRecord:
    """Return a record that measured something else."""
    return replace(record, rows=tuple({**row, **values} for row in record.rows))


def honest_digest(estimator: str) -> str:
    """Return the digest that an installed estimator has."""
    from repro.schema.claim import EstimatorSpec

    return estimator_digest(EstimatorSpec(estimator))
