"""What data trials need, whether it is here, and a directory of it to take along."""

import importlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from repro.catalog.data import fetch, how_to_accept, terms_of
from repro.catalog.load import config_files
from repro.catalog.recipe import has_function
from repro.launch.running.trials import config_of
from repro.schema.context import Context
from repro.schema.dataset import DataSet, file_sha256, find
from repro.schema.errors import DataError, PlanError
from repro.schema.trial import TrialSpec


@dataclass(frozen=True)
class Need:
    """One data set that trials read, and how it stands with it on this machine."""

    id: str
    state: Literal["here", "to_fetch", "absent", "damaged", "unlisted"]
    said: str
    """In words, where it is not here."""


def needs_of(trials: Iterable[TrialSpec]) -> list[Need]:
    """Return what data the trials need, sorted by id: what their study lists, and what their recipe reads besides."""
    trials = list(trials)
    found = [_need(data) for data in listed(trials).values()]
    return sorted(
        found + [_unlisted(name, studies) for name, studies in _unlisted_of(trials).items()], key=lambda n: n.id
    )


def listed(trials: Iterable[TrialSpec]) -> dict[str, DataSet]:
    """Return the data sets of trials by id."""
    return {data.id: data for spec in trials for data in spec.data}


def _need(data: DataSet) -> Need:
    try:
        here = find(data)
    except DataError as error:
        return Need(data.id, "damaged", str(error))
    if here is not None:
        return Need(data.id, "here", "")
    terms = terms_of(data)
    if terms:
        return Need(data.id, "absent", f"not on this machine, and {how_to_accept(data, terms)}")
    if not data.derived:
        return Need(
            data.id, "to_fetch", f"not on this machine yet: {data.file} is fetched from {data.url} before it runs"
        )
    return Need(
        data.id,
        "absent",
        f"not on this machine, and no address serves it: put {data.file} below a directory and name that in REPRO_DATA",
    )


def _unlisted_of(trials: Sequence[TrialSpec]) -> dict[str, set[str]]:
    """Return the data sets that a recipe says it `reads` and the study does not list, with the studies."""
    found: dict[str, set[str]] = {}
    for spec in (spec for spec in trials if has_function(spec.recipe, "reads")):
        recipe = importlib.import_module(spec.recipe)
        for name in recipe.reads(config_of(recipe, spec)):
            if name not in {data.id for data in spec.data}:
                found.setdefault(name, set()).add(spec.study)
    return found


def _unlisted(name: str, studies: set[str]) -> Need:
    known = "" if name in config_files("data") else f", and there is no conf/data/{name}.yaml"
    which = " and ".join(sorted(studies))
    return Need(name, "unlisted", f"cannot run: {which} does not list it under 'data' at this scale{known}")


def require_listed(trials: Sequence[TrialSpec]) -> None:
    """Refuse trials that would read data which their study does not list.

    Raises:
        PlanError: names the data set, the study and the cure.
    """
    missing = [_unlisted(name, studies) for name, studies in _unlisted_of(trials).items()]
    if missing:
        said = "; ".join(f"{need.id}: {need.said}" for need in missing)
        raise PlanError(
            f"Nothing was sealed, because these trials lack their data. {said}. List it there, or choose another scale."
        )


def carry_data(trials: Sequence[TrialSpec], directory: Path) -> list[Path]:
    """Put everything that the trials read into a directory that serves as REPRO_DATA on another machine.

    That is each data set, fetched where it is not here yet, and what a recipe that offers `carry(configs, context,
    directory)` adds: tokens that the other machine could not make, or would make otherwise.

    Returns:
        The files there, sorted.

    Raises:
        DataError: if a data set cannot be had, or the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for data in listed(trials).values():
            _copy(fetch(data), directory / data.file)
        alike: dict[tuple[str, tuple[DataSet, ...]], list[TrialSpec]] = {}
        for spec in (spec for spec in trials if has_function(spec.recipe, "carry")):
            alike.setdefault((spec.recipe, spec.data), []).append(spec)
        for (name, sets), specs in alike.items():
            recipe = importlib.import_module(name)
            context = Context(files={data.id: fetch(data) for data in sets})
            recipe.carry([config_of(recipe, spec) for spec in specs], context, directory)
    except OSError as error:
        raise DataError(
            f"The data could not be written to {directory} ({error.strerror or error}). Name a directory that can be "
            f"written, with room for it."
        ) from error
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _copy(source: Path, target: Path) -> None:
    """Copy a file unless its bytes are there already; whole or not at all."""
    if target.is_file() and (target.samefile(source) or file_sha256(target) == file_sha256(source)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
