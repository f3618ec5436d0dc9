"""YAML of a claim, study, paper, scale or data set into the frozen words, with errors that name file, key and cure."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from repro.schema.blockage import NEED_KINDS, Blockage
from repro.schema.claim import SCALES, Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.errors import ConfigError, RecordError, nearest
from repro.schema.jsonform import from_json
from repro.schema.study import Scale, Study

T = TypeVar("T")

GROUPS: Mapping[str, type] = {"paper": Paper, "claim": Claim, "study": Study, "scale": Scale, "data": DataSet}
"""The config groups and what a file of each becomes."""


def read_yaml(file: Path) -> dict[str, Any]:
    """Read one YAML file with OmegaConf, the loader that Hydra uses, so that `1e-3` is the same number everywhere.

    Raises:
        ConfigError: if the file is missing, is no YAML, or holds no mapping.
    """
    from omegaconf import DictConfig, OmegaConf

    try:
        node = OmegaConf.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{file} does not exist.") from None
    except Exception as error:  # OmegaConf passes on whatever its YAML reader raises
        raise ConfigError(f"{file} is not readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, DictConfig):
        raise ConfigError(f"{file} must hold a mapping of keys, not a list or a single value.")
    content = OmegaConf.to_container(node, resolve=False)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def parse(group: str, name: str, content: Mapping[str, Any], where: str) -> Any:
    """Turn the content of `<group>/<name>.yaml` into its dataclass.

    Args:
        group: a key of `GROUPS`.
        name: the file's place below its group, without `.yaml`; it is the thing's id.
        content: plain YAML values.
        where: the file, for errors.

    Raises:
        ConfigError: for an unknown key, a wrong type, a missing key, an interpolation, or a value out of place.
    """
    _refuse_non_finite(content, where)
    if group in ("claim", "paper"):
        _refuse_interpolation(content, where)
    if group == "claim":
        return parse_claim(name, content, where)
    fields = dict(content)
    if group in ("paper", "data", "study"):
        fields = {"id": name, **fields}
    if group == "data":
        _check_terms(fields.pop("terms", None), where)  # what may be fetched is no part of what a trial read
    thing: Any = _build(GROUPS[group], fields, where)
    if isinstance(thing, Study):
        _check_study(thing, where)
    return thing


def _check_terms(terms: Any, where: str) -> None:
    if terms is not None and not (isinstance(terms, str) and terms.startswith(("https://", "http://"))):
        raise ConfigError(
            f"{where}: key 'terms' must be the address of the terms that a person accepts before fetching the file, got {terms!r}."
        )


def parse_claim(name: str, content: Mapping[str, Any], where: str) -> Claim:
    """Turn the YAML of a claim into a `Claim`; a single `target` becomes the part `value`."""
    fields = dict(content)
    if fields.get("id") != name:
        raise ConfigError(
            f"{where}: key 'id' must be '{name}', the file's place, not {fields.get('id')!r}. Rename the id or move the file."
        )
    rule = fields.pop("rule", None)
    if ("target" in fields) == ("parts" in fields):
        raise ConfigError(f"{where}: give either 'target' with one published value, or 'parts' with several by name.")
    parts = fields.pop("parts", None) or {"value": fields.pop("target")}
    fields["parts"] = {part: _part(part, value, rule, where) for part, value in _mapping(parts, where, "parts").items()}
    protocols = _mapping(fields.get("protocols") or {}, where, "protocols")
    fields["protocols"] = {key: _protocol(key, value, where) for key, value in protocols.items()}
    blocked = fields.pop("blocked", None)
    claim: Claim = _build(Claim, fields, where)
    if bool(claim.protocols) == bool(blocked):
        raise ConfigError(
            f"{where}: a claim has 'protocols', or 'blocked' with missing, since, unblock and needs; one of the two."
        )
    if blocked:
        return replace(claim, blocked=_blockage(_mapping(blocked, where, "blocked"), where))
    for key, protocol in claim.protocols.items():
        if not protocol.controls:
            raise ConfigError(
                f"{where}: protocols.{key} has no 'controls'. A protocol that cannot fail proves nothing: add a variant that must."
            )
        for scale in protocol.decisive:
            if scale not in SCALES:
                raise ConfigError(
                    f"{where}: protocols.{key}.decisive names the scale '{scale}'.{nearest(scale, SCALES)}"
                )
    return claim


def _part(name: str, value: Any, rule: Any, where: str) -> dict[str, Any]:
    target = dict(_mapping(value, where, f"parts.{name}"))
    own = target.pop("rule", rule)
    if own is None:
        raise ConfigError(f"{where}: '{name}' has no rule; add 'rule' to the claim or to the part.")
    for key in ("printed", "sd"):
        if key in target and target[key] is not None and not isinstance(target[key], str):
            raise ConfigError(
                f"{where}: '{name}.{key}' must be text as the paper prints it, in quotes, because its digits count: "
                f"got the number {target[key]!r}."
            )
    return {"target": target, "rule": own}


def _protocol(name: str, value: Any, where: str) -> dict[str, Any]:
    fields = dict(_mapping(value, where, f"protocols.{name}"))
    call = dict(_mapping(fields.get("estimator") or {}, where, f"protocols.{name}.estimator"))
    target = call.pop("_target_", None)
    if not isinstance(target, str):
        raise ConfigError(
            f"{where}: protocols.{name}.estimator needs '_target_', the dotted name of an estimator of repro.stats."
        )
    _refuse_nested_targets(call, where, f"protocols.{name}.estimator")
    fields["estimator"] = {"target": target, "arguments": call}
    return fields


def _blockage(fields: Mapping[str, Any], where: str) -> Blockage:
    blockage: Blockage = _build(Blockage, fields, f"{where}: blocked")
    if not blockage.needs:
        raise ConfigError(
            f"{where}: blocked.needs is empty. Name each missing thing as {{kind, what}}, so that somebody may give it; "
            f"kind is one of {', '.join(NEED_KINDS)}."
        )
    for key, day in (("since", blockage.since), *((f"asked[{i}].when", a.when) for i, a in enumerate(blockage.asked))):
        try:
            date.fromisoformat(day)
        except ValueError:
            raise ConfigError(f'{where}: blocked.{key} must be a day such as "2020-01-31", not {day!r}.') from None
    return blockage


def _refuse_nested_targets(value: Any, where: str, path: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if str(key).startswith("_") and str(key).endswith("_"):
                raise ConfigError(
                    f"{where}: {path}.{key} is refused: the only '_target_' stands at the estimator itself."
                )
            _refuse_nested_targets(item, where, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            _refuse_nested_targets(item, where, path)


def _refuse_interpolation(content: Any, where: str) -> None:
    for path, value in _leaves(content):
        if isinstance(value, str) and "${" in value:
            raise ConfigError(
                f"{where}: key '{path}' holds '${{', an interpolation. Claims and papers are plain text, because evidence is published: write the value out."
            )


def _refuse_non_finite(content: Any, where: str) -> None:
    for path, value in _leaves(content):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(
                f"{where}: key '{path}' is {value}, which JSON cannot say, so that it could not be sealed. Write a finite number, "
                f"or leave the key out."
            )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that holds no others, with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _leaves(item, f"{path}[{i}]")
    else:
        yield path, value


def _check_study(study: Study, where: str) -> None:
    for scale in study.scales:
        if scale not in SCALES:
            raise ConfigError(f"{where}: 'scales' has the unknown scale '{scale}'.{nearest(scale, SCALES)}")
    if not study.scales:
        raise ConfigError(f"{where}: 'scales' is empty; a study has at least one of {', '.join(SCALES)}.")
    if study.replicates < 1:
        raise ConfigError(f"{where}: 'replicates' must be at least 1, not {study.replicates}.")


def _mapping(value: Any, where: str, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: '{path}' must be a mapping of keys, not {value!r}.")
    return value


def _build(kind: type[T], fields: Mapping[str, Any], where: str) -> T:
    try:
        return from_json(kind, fields, where)
    except RecordError as error:
        raise ConfigError(str(error)) from error
