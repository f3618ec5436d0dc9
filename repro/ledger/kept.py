"""What was kept with an attempt when it was recorded, from its run in the ledger or its published directory: the sources of its recipe,
and how its trials ran."""

from collections.abc import Mapping

from repro.ledger import names
from repro.ledger.content import PROVENANCE_FILE, SOURCES_FILE
from repro.ledger.published import directory_of, find_published
from repro.ledger.runs import find_runs, read_artifact
from repro.schema.errors import ReproError
from repro.schema.jsonform import parse_json
from repro.schema.trial_provenance import ProvenanceFile, read_provenance_file

SOURCE_DIRECTORY = "source"


def kept_sources(attempt: str) -> Mapping[str, str] | None:
    """Return the texts of the recipe and of what it imported from this project, by module; None if none were kept.

    Args:
        attempt: its name in the ledger or among the published results.
    """
    try:
        for run in find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt]):
            if SOURCES_FILE in run.tags.get(names.KEPT, "").split():
                content = parse_json(read_artifact(run, SOURCES_FILE), SOURCES_FILE)
                return {str(module): str(text) for module, text in content.items()}
        result = find_published(attempt)
        place = directory_of(result) / SOURCE_DIRECTORY if result is not None else None
        if place is None or not place.is_dir():
            return None
        return {file.stem: file.read_text(encoding="utf-8") for file in sorted(place.glob("*.py"))}
    except (ReproError, OSError, UnicodeDecodeError, AttributeError):
        return None  # they only explain; without them the digests still tell that something changed


def kept_provenance(attempt: str) -> ProvenanceFile | None:
    """Return how the trials of an attempt ran and in which environments; None if nobody kept it, or it cannot be read.

    Args:
        attempt: its name in the ledger or among the published results.
    """
    try:
        for run in find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt]):
            if PROVENANCE_FILE in run.tags.get(names.KEPT, "").split():
                return read_provenance_file(read_artifact(run, PROVENANCE_FILE), PROVENANCE_FILE)
        result = find_published(attempt)
        file = directory_of(result) / PROVENANCE_FILE if result is not None else None
        if file is None or not file.is_file():
            return None
        return read_provenance_file(file.read_text(encoding="utf-8"), str(file))
    except (ReproError, OSError, UnicodeDecodeError):
        return None  # it only explains: `repro verify` tells what is wrong with it
