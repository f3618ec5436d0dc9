"""From a study at a scale to its trials, with every config resolved."""

import dataclasses
import importlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from repro.catalog.load import load_dataset
from repro.catalog.recipe import design_function, has_function, recipe_fields, source_digest
from repro.launch.planning.keys import key_of
from repro.schema.canonical import canonical_json
from repro.schema.errors import ConfigError, PlanError, nearest
from repro.schema.jsonform import to_json
from repro.schema.study import Design, Scale, ScaleDelta, Study
from repro.schema.trial import TrialSpec


def lay_out(
    study: Study,
    scale: Scale,
    replicates: Sequence[int],
    control: Mapping[str, Any] | None = None,
    last: Mapping[str, Any] | None = None,
) -> list[TrialSpec]:
    """Return the trials of one arm, replicate by replicate, so that sizes are interleaved in time.

    Precedence: the recipe's defaults, the study's `params`, the scale's delta, the trial's cell, then the control's
    parameters, then the command line.

    Args:
        study: as composed.
        scale: gives device, precision and time limit.
        replicates: numbers of the replicates; a `seed` field of the config is set to them.
        control: parameters that make the arm a control.
        last: study parameters typed on the command line.

    Raises:
        ConfigError: if a value does not fit the recipe's `Config`.
        PlanError: if the study has no such scale or lays out no trial.
    """
    if scale.name not in study.scales:
        raise PlanError(f"Study '{study.id}' has no scale '{scale.name}'; it has {', '.join(study.scales)}.")
    delta = study.scales[scale.name]
    shared = {**study.params, **delta.params}
    on_top = {**(control or {}), **(last or {})}
    recipe = importlib.import_module(study.recipe)
    seeded = "seed" in recipe_fields(study.recipe)
    if len(replicates) > 1 and not seeded:
        raise ConfigError(
            f"Study '{study.id}' has several replicates, but {study.recipe}.Config has no field 'seed' to tell them apart."
        )
    sources = source_digest(study.recipe)
    data = tuple(load_dataset(name) for name in study.data_at(scale.name))
    cost = recipe.cost if has_function(study.recipe, "cost") else None
    cells = list(_cells(study, delta, recipe, {**shared, **on_top}))
    named = [
        key
        for key in dict.fromkeys(key for cell in cells for key in cell)
        if len({str(cell.get(key)) for cell in cells}) > 1
    ]
    resolve = _resolver(recipe.Config, shared, on_top, study.recipe)
    resolved = [resolve(cell) for cell in cells]
    specs: dict[str, TrialSpec] = {}
    for replicate in replicates:
        for cell, of_cell in zip(cells, resolved, strict=True):
            seed = {"seed": replicate} if seeded else {}
            config = dataclasses.replace(of_cell, **seed)
            spec = TrialSpec(
                study=study.id,
                recipe=study.recipe,
                config=to_json(config),
                replicate=replicate,
                sources=sources,
                device=scale.device,
                precision=scale.precision,
                data=data,
                measures=study.measures,
                own_process=study.deterministic and replicate != replicates[0],
                time_limit_s=delta.time_limit_s or scale.time_limit_s,
                label=_label({key: cell[key] for key in named if key in cell} | dict(control or {}) | seed),
                cost=float(cost(config)) if cost else None,
            )
            specs.setdefault(key_of(spec), spec)
    if not specs:
        raise PlanError(f"Study '{study.id}' lays out no trial at scale '{scale.name}'; its design is empty.")
    return list(specs.values())


LayOut = Callable[..., list[TrialSpec]]
"""`lay_out`, or something that remembers what it returned."""


def remembering() -> LayOut:
    """Return a `lay_out` that works out what it was asked before only once."""
    laid_out: dict[str, list[TrialSpec]] = {}

    def remembered(
        study: Study,
        scale: Scale,
        replicates: Sequence[int],
        control: Mapping[str, Any] | None = None,
        last: Mapping[str, Any] | None = None,
    ) -> list[TrialSpec]:
        # No parameters and none that were typed are the same.
        asked = canonical_json(to_json([study, scale, list(replicates), control or {}, last or {}]))
        if asked not in laid_out:
            laid_out[asked] = lay_out(study, scale, replicates, control, last)
        return laid_out[asked]

    return remembered


def _cells(study: Study, delta: ScaleDelta, recipe: Any, shared: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    design: Design = delta.design or study.design
    if design.function:
        config = resolve_config(recipe.Config, [shared], study.recipe)
        module, name = design_function(study.recipe, design.function)
        lay = getattr(importlib.import_module(module), name)
        return cast("Iterable[Mapping[str, Any]]", lay(config))
    if design.grid:
        return [dict(zip(design.grid, values, strict=True)) for values in itertools.product(*design.grid.values())]
    return design.cells or ({},)


def resolve_config(config_class: Any, layers: Sequence[Mapping[str, Any]], recipe: str) -> Any:
    """Merge layers into the recipe's `Config`, checking names and types with OmegaConf.

    Raises:
        ConfigError: for an unknown field or a value of another type.
    """
    checked = _Checked(config_class, recipe)
    for layer in layers:
        for key, value in layer.items():
            checked.set(key, value)
    return config_class(**checked.values())


def _resolver(
    config_class: Any, shared: Mapping[str, Any], on_top: Mapping[str, Any], recipe: str
) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that does `resolve_config` with one cell between the layers that all cells share.

    Each value of a cell is checked by itself, once: building OmegaConf's node anew for every one of many cells would take most
    of the time of planning. What refers to other fields needs them all, and goes the whole way.
    """

    def refers(layer: Mapping[str, Any]) -> bool:
        return "${" in str(layer)

    if refers(shared) or refers(on_top):
        return lambda cell: resolve_config(config_class, [shared, cell, on_top], recipe)
    common, one = _Checked(config_class, recipe), _Checked(config_class, recipe)
    for layer in (shared, on_top):
        for key, value in layer.items():
            common.set(key, value)
    base = common.values()

    def resolve(cell: Mapping[str, Any]) -> Any:
        if refers(cell):
            return resolve_config(config_class, [shared, cell, on_top], recipe)
        own = {key: one.set(key, value) for key, value in cell.items()}
        return config_class(**{**base, **{key: value for key, value in own.items() if key not in on_top}})

    return resolve


class _Checked:
    """The fields of a recipe's `Config`, each set to values of its type alone."""

    def __init__(self, config_class: Any, recipe: str) -> None:
        from omegaconf import OmegaConf

        self._recipe, self._fields = recipe, [field.name for field in dataclasses.fields(config_class)]
        self._node = OmegaConf.structured(config_class)
        OmegaConf.set_readonly(self._node, False)

    def set(self, key: str, value: Any) -> Any:
        """Set a field; return the value as the field's type has it."""
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException

        if key not in self._fields:
            raise ConfigError(f"'{key}' is no field of {self._recipe}.Config.{nearest(key, self._fields)}")
        try:
            OmegaConf.update(self._node, key, list(value) if isinstance(value, tuple) else value, merge=False)
            got = OmegaConf.select(self._node, key)
        except OmegaConfBaseException as error:
            first_line = str(error).splitlines()[0]
            raise ConfigError(f"{self._recipe}.Config.{key} cannot take {value!r}: {first_line}.") from error
        return _plain(OmegaConf.to_container(got) if OmegaConf.is_config(got) else got)

    def values(self) -> dict[str, Any]:
        """Return all fields."""
        from omegaconf import OmegaConf

        plain = OmegaConf.to_container(self._node, resolve=True)
        assert isinstance(plain, dict)
        return {str(key): _plain(value) for key, value in plain.items()}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _label(values: Mapping[str, Any]) -> str:
    """Return what tells a trial from its neighbours, for people."""
    return " ".join(f"{key}={f'{value:.4g}' if isinstance(value, float) else value}" for key, value in values.items())
