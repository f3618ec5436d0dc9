"""The evidence of an attempt: the files of its bundle, each a pure function of what the attempt rests on."""

import hashlib
from collections.abc import Mapping

from repro.cite.evidence.bundle import Bundle, EvidenceError, read_bundle
from repro.cite.evidence.crate import CRATE_FILE, crate_metadata
from repro.cite.evidence.dossier import (
    SOURCE_PREFIX,
    TRIALS_FILE,
    Dossier,
    digest_of_import,
    gather,
    ledger_run,
    read_dossier,
)
from repro.cite.evidence.front_page import front_page
from repro.ledger.content import (
    CLAIM_FILE,
    FIGURE_FILE,
    PROVENANCE_FILE,
    attempt_documents,
    claim_text,
    provenance_text,
)
from repro.ledger.published import directory_of, find_published
from repro.schema.canonical import canonical_json
from repro.schema.confidential import homes_in, secrets_in
from repro.schema.jsonform import to_json
from repro.schema.migrations import CLAIM_FILE_VERSION

__all__ = [
    "BUNDLE_VERSION",
    "Dossier",
    "evidence_files",
    "evidence_of",
    "gather",
    "homes_named",
    "make_evidence",
    "read_dossier",
]

BUNDLE_VERSION = CLAIM_FILE_VERSION
_DERIVED = ("SHA256SUMS", "ro-crate-metadata.json", "seal.json", "estimate.json", "verdict.json", "environment.json")
"""Files that hold no text of people beyond what the others hold."""
README_FILE = "README.md"
SUMS_FILE = "SHA256SUMS"


def evidence_files(dossier: Dossier) -> dict[str, bytes]:
    """Return the files of the bundle by name. Equal dossiers give equal bytes, on every machine and at any time."""
    texts = attempt_documents(dossier.attempt, dossier.records)
    texts[CLAIM_FILE] = claim_text(dossier.paper, dossier.claim, dossier.data)
    texts[TRIALS_FILE] = "".join(canonical_json(to_json(record)) + "\n" for record in dossier.records)
    texts |= {f"{SOURCE_PREFIX}{module}.py": text for module, text in dossier.sources.items()}
    if dossier.figure is not None:
        texts[FIGURE_FILE] = dossier.figure
    if dossier.provenance is not None:
        texts[PROVENANCE_FILE] = provenance_text(dossier.provenance)
    texts[README_FILE] = front_page(dossier)
    files = {name: text.encode("utf-8") for name, text in texts.items()}
    files[CRATE_FILE] = crate_metadata(dossier, files)
    files[SUMS_FILE] = checksums(files)
    return files


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return `SHA256SUMS` as `sha256sum -c` reads it."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    return "".join(lines).encode()


def make_evidence(dossier: Dossier) -> Bundle:
    """Return the bundle of a dossier.

    Raises:
        EvidenceError: if a text in it looks like a credential.
    """
    files = evidence_files(dossier)
    found = {
        f"{kind} in {name}, line {line}"
        for name, content in files.items()
        if name not in _DERIVED
        for line, kind in secrets_in(content.decode("utf-8"))
    }
    if found:
        raise EvidenceError(
            f"The evidence of {dossier.attempt.id} is not written, because it seems to hold a credential: "
            f"{'; '.join(sorted(found)[:5])}. Evidence is for other people, and records carry digests, so nothing can be cut "
            f"out of it. Withdraw the credential, take it out of the config or recipe, and launch a new attempt."
        )
    return Bundle(files)


def homes_named(bundle: Bundle) -> list[str]:
    """Return the files of a bundle that name somebody's home directory, as errors of failed trials may."""
    return [name for name, content in sorted(bundle.files.items()) if homes_in(content.decode("utf-8"))]


def evidence_of(name: str) -> Bundle:
    """Return the evidence of an attempt: made from the ledger, else as it was published.

    Args:
        name: `<id>`, or `<id>~<8 digits of its evidence digest>` for an attempt of other people.

    Raises:
        StoreError: if there is no such attempt (names the nearest).
        EvidenceError: if it cannot be made, or is no longer what was published or imported.
    """
    run = ledger_run(name)
    if run is not None:
        bundle = make_evidence(gather(name))
        _require_imported(bundle, digest_of_import(run), name)
        return bundle
    published = find_published(name)
    if published is None:
        return make_evidence(gather(name))  # says that there is none, and names the nearest
    place = directory_of(published)
    bundle = read_bundle(place)
    if bundle.digest != published.evidence:
        raise EvidenceError(
            f"{place} no longer gives the evidence that was published: its digest must be {published.evidence[:16]}…, and the files "
            f"here give {bundle.digest[:16]}…. They were changed since; get the evidence again from whoever made it."
        )
    return bundle


def _require_imported(bundle: Bundle, wanted: str | None, name: str) -> None:
    """Refuse evidence of an import that is not what it came with; pictures are drawn anew, so that it need not be."""
    if wanted is not None and bundle.digest != wanted:
        raise EvidenceError(
            f"{name} was imported, and its evidence is the bundle that it came with (sha256:{wanted}). The ledger keeps its trials "
            f"and its verdict, but not its picture or the words of its pages, so that bundle cannot always be made again. Pass on "
            f"the bundle that you were given, or get it again from whoever made it."
        )
