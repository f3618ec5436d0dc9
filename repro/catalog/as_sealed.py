"""What an attempt was about as it was sealed, whatever the catalogue says today."""

from collections.abc import Mapping, Sequence

from repro.catalog.load import config_files, load, load_claim
from repro.catalog.parse import parse
from repro.catalog.recipe import digest_of_sources, sources_of
from repro.schema.claim import Claim
from repro.schema.dataset import DataSet
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt


def claim_of(attempt: Attempt) -> Claim:
    """Return the claim that an attempt tested, from the config it was sealed with; from the catalogue if it kept none.

    Raises:
        ConfigError: if neither can be read.
    """
    kept = attempt.config.get("claim")
    if not isinstance(kept, Mapping):
        return load_claim(attempt.claim)
    claim: Claim = parse("claim", attempt.claim, kept, f"the config of attempt {attempt.id}")
    return claim


def data_of(records: Sequence[TrialRecord]) -> tuple[DataSet, ...]:
    """Return the registration of every data set that the trials read, sorted by id.

    Where the catalogue no longer has a set, or has another file under its name, only the digest that was read is known.
    """
    read = {(name, sha256) for record in records for name, sha256 in record.data.items()}
    return tuple(_data_set(name, sha256) for name, sha256 in sorted(read))


def _data_set(name: str, sha256: str) -> DataSet:
    known: DataSet | None = load("data", name) if name in config_files("data") else None
    return known if known is not None and known.sha256 == sha256 else DataSet(name, file="", url="", sha256=sha256)


def sources_of_records(records: Sequence[TrialRecord]) -> dict[str, str] | None:
    """Return the installed sources of the recipe that made the records; None if they are not those that the records name."""
    if not records:
        return None
    sources = sources_of(records[0].recipe)
    return sources if digest_of_sources(sources) == records[0].sources else None
