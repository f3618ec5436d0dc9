"""Where MLflow shows an attempt and its trials, for pages that MLflow's own server answers beside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from repro.schema.errors import ReproError


@dataclass(frozen=True)
class Links:
    """Addresses in MLflow, relative to its root."""

    attempt: str = ""
    """Of the run that holds the attempt; empty where the ledger has none, as for what is known from its publication alone."""
    trials: Mapping[str, str] = field(default_factory=dict)
    """Of each trial's run, by the digest of its record."""


def ledger_links(attempt_id: str) -> Links:
    """Return where MLflow shows an attempt and its trials; nothing where the ledger cannot be read, which other pages say."""
    from repro.ledger import names
    from repro.ledger.runs import find_runs, runs_by_id

    try:
        found = find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt_id])
        if not found:
            return Links()
        trials = runs_by_id(names.read_list(found[0].tags, names.TRIALS))
    except ReproError:
        return Links()
    addresses = {run.tags.get(names.RECORD, ""): _address(run.experiment_id, run.run_id) for run in trials}
    return Links(_address(found[0].experiment_id, found[0].run_id), addresses)


def _address(experiment: str, run: str) -> str:
    return f"#/experiments/{experiment}/runs/{run}"
