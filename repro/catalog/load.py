"""Claims, papers, studies, scales and data sets by name, from every root, checked against each other."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from repro.catalog.estimators import check_estimator
from repro.catalog.parse import parse, read_yaml
from repro.catalog.recipe import design_function, has_function, recipe_fields
from repro.catalog.roots import Root, config_roots
from repro.schema.claim import Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.errors import ConfigError, nearest
from repro.schema.study import Design, Scale, Study


@cache
def _files(group: str, roots: tuple[Root, ...]) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for root in roots:
        for name, file in _walk(root.directory / group):
            if name in found:
                raise ConfigError(
                    f"{group} '{name}' is defined twice: in {found[name]} and in {file}. Rename one of them."
                )
            found[name] = file
    return found


def config_files(group: str) -> Mapping[str, Path]:
    """Return the files of a group by the id that their place gives them. A running process sees edits, not new files.

    Raises:
        ConfigError: if two roots define the same id.
    """
    return _files(group, config_roots())


def _walk(directory: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(directory.rglob("*.yaml")):
        yield file.relative_to(directory).with_suffix("").as_posix(), file


def load(group: str, name: str) -> Any:
    """Load one thing of a group by its id, parsed but not yet checked against others."""
    files = config_files(group)
    if name not in files:
        raise ConfigError(f"There is no {group} '{name}'.{nearest(name, files)}")
    return _load_file(group, name, files[name], files[name].read_bytes())


@cache
def _load_file(group: str, name: str, file: Path, content: bytes) -> Any:
    """Parse a file; its content is part of the cache key, so that an edit is seen."""
    del content
    return parse(group, name, read_yaml(file), str(file))


def load_claim(name: str) -> Claim:
    """Load a claim and check what it names: paper, studies, estimators, scales, control parameters.

    Raises:
        ConfigError: one sentence that names file, key and the nearest valid name.
    """
    claim: Claim = load("claim", name)
    check_claim(claim, str(config_files("claim")[name]))
    return claim


def check_claim(claim: Claim, where: str) -> None:
    """Check everything that a claim names."""
    papers, studies = config_files("paper"), config_files("study")
    if claim.paper not in papers:
        raise ConfigError(
            f"{where}: key 'paper' names '{claim.paper}', which has no file conf/paper/{claim.paper}.yaml.{nearest(claim.paper, papers)}"
        )
    for key, protocol in claim.protocols.items():
        if protocol.study not in studies:
            raise ConfigError(
                f"{where}: protocols.{key}.study names '{protocol.study}', which does not exist.{nearest(protocol.study, studies)}"
            )
        study = load_study(protocol.study)
        if not set(protocol.decisive) & set(study.scales):
            raise ConfigError(
                f"{where}: protocols.{key}.decisive is {list(protocol.decisive)}, but study '{study.id}' has the scales {list(study.scales)}; "
                f"name at least one of them."
            )
        check_estimator(protocol.estimator, study.recipe, f"{where}: protocols.{key}.estimator")
        for control in protocol.controls.values():
            _known_fields(control.params, study, f"{where}: protocols.{key}.controls")


def load_study(name: str) -> Study:
    """Load a study and check its recipe, its parameters and its data sets against what exists."""
    study: Study = load("study", name)
    where = str(config_files("study")[name])
    try:
        recipe_fields(study.recipe)
    except ConfigError as error:
        raise ConfigError(f"{where}: key 'recipe': {error}") from error
    for params, design in [(study.params, study.design)] + [
        (d.params, d.design or Design()) for d in study.scales.values()
    ]:
        _known_fields(params, study, f"{where}: 'params'")
        for cell in [design.grid or {}, *(design.cells or ())]:
            _known_fields(cell, study, f"{where}: 'design'")
        if design.function:
            module, name = design_function(study.recipe, design.function)
            if not has_function(module, name):
                raise ConfigError(
                    f"{where}: design.function names '{design.function}', which {module} does not define. Name a function of the "
                    f"recipe, or one of another module as in experiments.topic.layouts.{name}."
                )
    data = config_files("data")
    lists = {"data": study.data} | {f"scales.{name}.data": delta.data or () for name, delta in study.scales.items()}
    for key, items in lists.items():
        for item in items:
            if item not in data:
                raise ConfigError(
                    f"{where}: '{key}' names '{item}', which has no file conf/data/{item}.yaml.{nearest(item, data)}"
                )
    return study


def _known_fields(params: Mapping[str, Any], study: Study, where: str) -> None:
    fields = recipe_fields(study.recipe)
    for key in params:
        if key not in fields:
            raise ConfigError(f"{where} has '{key}', which is no field of {study.recipe}.Config.{nearest(key, fields)}")


def load_scale(name: str) -> Scale:
    """Load a scale by name."""
    scale: Scale = load("scale", name)
    return scale


def load_dataset(name: str) -> DataSet:
    """Load the registration of a data set."""
    dataset: DataSet = load("data", name)
    return dataset


def load_claims() -> dict[str, Claim]:
    """Load every claim, by id."""
    return {name: load_claim(name) for name in config_files("claim")}


def load_papers() -> dict[str, Paper]:
    """Load every paper, by id."""
    return {name: load("paper", name) for name in config_files("paper")}


def load_studies() -> dict[str, Study]:
    """Load every study, by id."""
    return {name: load_study(name) for name in config_files("study")}
