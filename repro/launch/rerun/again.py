"""Runs the trials of an attempt again, with the same seeds, beside everything: no new attempt, no record replaced."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from repro.catalog.data import fetch
from repro.catalog.recipe import module_file, source_digest, sources_of
from repro.catalog.roots import config_roots
from repro.launch.provenance.environment import environment
from repro.launch.provenance.origin import machine, packages
from repro.launch.records.store import RecordStore
from repro.launch.rerun.agreement import Compared, compare
from repro.launch.rerun.environment_lock import Difference, Known, differences, known_of_record, requirements
from repro.launch.running.stacks import cut, stacks
from repro.launch.running.trials import run_together
from repro.schema.dataset import DataSet, find
from repro.schema.errors import DataError, PlanError
from repro.schema.places import home_dir
from repro.schema.trial import TrialRecord, TrialSpec
from repro.schema.trial_provenance import Environment, ProvenanceFile


@dataclass(frozen=True)
class Subject:
    """What is to run again: the trials of an attempt that count, with all that is known of them."""

    attempt: str
    records: tuple[TrialRecord, ...]
    sources: Mapping[str, str]
    """Texts of the recipe and of what it imported, by module, as they ran."""
    data: tuple[DataSet, ...]
    provenance: ProvenanceFile | None
    sealed_at: Mapping[str, Any]
    """The attempt's own provenance: commit, packages, command."""
    estimator_is_same: bool

    def environment_of(self, record: TrialRecord) -> Environment | None:
        """Return the environment in which a trial ran, where it was kept."""
        if self.provenance is None:
            return None
        named = {told.record: told.environment for told in self.provenance.trials}
        return self.provenance.environments.get(named.get(record.digest, ""))

    def deterministic(self, record: TrialRecord) -> bool:
        """Say whether a trial ran deterministic algorithms alone."""
        told = [told for told in self.provenance.trials if told.record == record.digest] if self.provenance else []
        return any(each.deterministic and not each.not_deterministic for each in told)


def compared_with_now(subject: Subject) -> list[Difference]:
    """Return everything that is not as it was when the trials ran: sources, data, estimator, machine, packages; each once."""
    found = [*_of_sources(subject), *_of_data(subject)]
    if not subject.estimator_is_same:
        found.append(
            Difference("estimator", "as sealed", "another version", "no", "it judges trials, it does not run them")
        )
    for record in subject.records:
        now = _now(record, subject.environment_of(record) is not None)
        then = known_of_record(record, subject.environment_of(record))
        found += differences(then, now, subject.sources, record.measures == "time")
    commit = subject.sealed_at.get("commit")
    here = environment((), "cpu").commit
    if commit and commit != here and all(each.what != "commit" for each in found):
        found.append(
            Difference(
                "commit",
                str(commit)[:12],
                (here or "none")[:12],
                "no",
                "the recipe's sources are compared by themselves",
            )
        )
    found = list(dict.fromkeys(found))
    return sorted(found, key=lambda each: ("yes", "can", "no").index(each.matters))


def require_same_sources(subject: Subject) -> None:
    """Refuse to run another recipe than the one on record.

    Raises:
        PlanError: with what differs, and the commands that bring back what ran.
    """
    wrong = _of_sources(subject)
    if not wrong:
        return
    names = ", ".join(each.what.removeprefix("source of ") for each in wrong[:4])
    commit = subject.sealed_at.get("commit")
    if commit:
        place = f"../repro-{str(commit)[:8]}"
        cure = (
            f"Bring back the commit it was launched from, and run it there:\n"
            f"  repro rerun '{subject.attempt}' --lock > requirements.lock\n"
            f"  git worktree add {place} {commit}\n"
            f"  python -m venv {place}/.venv\n"
            f"  {place}/.venv/bin/pip install -r requirements.lock -e {place}\n"
            f"  {place}/.venv/bin/repro rerun EVIDENCE\n"
            f"EVIDENCE is a file that `repro evidence '{subject.attempt}'` writes here, or a published directory. A commit from before "
            f"`repro rerun` lacks it: there, `repro run` the claim again."
        )
    else:
        cure = "It was launched from an installed package: install the version that its environment names (--lock) and run it there."
    raise PlanError(
        f"{subject.attempt} is not run again: its recipe is not the one installed here. {names} "
        f"{'differs' if len(wrong) == 1 else 'differ'} from what ran. {cure}\nOr run the recipe of today against the old results: --anyway."
    )


def specs_of(subject: Subject, anyway: bool) -> dict[str, TrialSpec]:
    """Return the trials to run, by the key of the record each is compared with.

    Args:
        subject: with its records.
        anyway: run the recipe as it is installed, whatever ran then.
    """
    known = {data.id: data for data in subject.data}
    found = {}
    for record in subject.records:
        data = tuple(known.get(name) or DataSet(name, "", "", sha256) for name, sha256 in record.data.items())
        spec = TrialSpec(
            study=record.study,
            recipe=record.recipe,
            config=record.config,
            replicate=record.replicate,
            sources=source_digest(record.recipe) if anyway else record.sources,
            device=record.device,
            precision=record.precision,
            data=data,
            measures=cast(Any, record.measures),
            label=record.label,
        )
        found[record.key] = spec
    return found


def run_again(
    subject: Subject, anyway: bool, on_trial: Callable[[Compared], None] | None = None
) -> tuple[Path, list[Compared]]:
    """Run the trials and compare each with its record.

    They run here, one after the other or side by side as the worker would, with as many threads as they had.

    Args:
        subject: whose records name the trials.
        anyway: as for `specs_of`.
        on_trial: hears of each comparison.

    Returns:
        The directory of the new records, and the comparisons in the order of the records.

    Raises:
        DataError, StoreError, PlanError: as the worker.
    """
    config_roots()
    for data in {
        data.id: data for data in subject.data if any(data.id in record.data for record in subject.records)
    }.values():
        fetch(data)
    specs = specs_of(subject, anyway)
    store = RecordStore(_fresh_directory(subject.attempt))
    by_key = {specs[record.key].key: record for record in subject.records}
    compared: dict[str, Compared] = {}
    for threads in sorted({record.machine.threads for record in subject.records}):
        some = [specs[record.key] for record in subject.records if record.machine.threads == threads]
        _set_threads(some[0].recipe, threads)
        for stack in stacks(some):
            for piece in cut(stack):
                for record in run_together(piece, (), store):
                    old = by_key[record.key]
                    compared[old.key] = compare(old, record)
                    if on_trial is not None:
                        on_trial(compared[old.key])
    return store.directory, [compared[record.key] for record in subject.records]


def promised(subject: Subject, found: Sequence[Difference], record: TrialRecord, compared: Compared) -> str:
    """Return what a trial that runs again here must come to: `equal` to the bit, or `close`.

    To the bit where nothing that can matter has changed and the arithmetic has one order: on a CPU, or with deterministic algorithms,
    and beside as many other trials as then.
    """
    same = not compared.note and not any(each.matters in ("yes", "can") for each in found)
    return "equal" if same and (record.device == "cpu" or subject.deterministic(record)) else "close"


def lock_of(subject: Subject) -> str:
    """Return the environment of an attempt's trials, else of its sealing, as a requirements file."""
    record = subject.records[0]
    sealed_in = str(subject.sealed_at.get("environment") or "")
    kept = subject.environment_of(record)
    if kept is None and subject.provenance is not None:
        kept = subject.provenance.environments.get(sealed_in)
    title = f"The environment of {subject.attempt}"
    if kept is not None:
        return requirements(kept.python, kept.packages, True, title)
    pairs = [f"{name}=={version}" for name, version in record.packages.items()]
    return requirements(record.machine.python, pairs, False, title)


def _of_sources(subject: Subject) -> list[Difference]:
    """Return the modules that are not what ran: the recipe, and what it imports of this project."""
    recipes = sorted({record.recipe for record in subject.records})
    if all(module_file(name) is not None and source_digest(name) == _sources_then(subject, name) for name in recipes):
        return []
    here = {module: text for name in recipes if module_file(name) for module, text in sources_of(name).items()}
    then = subject.sources
    wrong = [name for name in {**then, **here} if _lines(then.get(name)) != _lines(here.get(name))] or recipes
    return [
        Difference(
            f"source of {name}",
            _there(then.get(name)),
            _there(here.get(name), "another text"),
            "yes",
            "another program",
        )
        for name in sorted(wrong)
    ]


def _sources_then(subject: Subject, recipe: str) -> str:
    return next(record.sources for record in subject.records if record.recipe == recipe)


def _lines(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _there(text: str | None, told: str = "as it ran") -> str:
    return "absent" if text is None else told


def _of_data(subject: Subject) -> list[Difference]:
    found = []
    read = {name for record in subject.records for name in record.data}
    for data in subject.data:
        if data.id in read:
            try:
                here = "not here, is fetched" if find(data) is None else ""
            except DataError:
                here = "another file under its name"
            if here:
                matters = "yes" if here.startswith("another") else "no"
                found.append(
                    Difference(f"data {data.id}", data.sha256[:12], here, cast(Any, matters), "the trials read it")
                )
    return found


def _now(record: TrialRecord, whole: bool) -> Known:
    """Return what is known of this process, as a record made here would say it."""
    if record.machine.torch or record.device == "cuda":
        _load(record.recipe)
    here = machine(record.device)
    # Threads are set to those of the record before it runs, and torch counts only where the recipe loads it.
    as_now = replace(
        record, machine=replace(here, threads=record.machine.threads if record.device == "cpu" else here.threads)
    )
    as_now = replace(as_now, packages=packages())
    if record.machine.torch is None:
        as_now = replace(as_now, machine=replace(as_now.machine, torch=None))
    return known_of_record(as_now, environment((record.recipe,), record.device) if whole else None)


def _load(recipe: str) -> None:
    config_roots()
    if module_file(recipe) is not None:
        importlib.import_module(recipe)


def _set_threads(recipe: str, threads: int) -> None:
    _load(recipe)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _fresh_directory(attempt: str) -> Path:
    """Return a new directory for the records of a rerun, below `reruns/` of the home directory."""
    base = home_dir() / "reruns" / attempt.replace("/", ".")
    number = 1
    while True:
        place = base / str(number)
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return place
