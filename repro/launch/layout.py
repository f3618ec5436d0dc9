"""From a study at a scale to its trials, with every config resolved."""

import dataclasses
import importlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from repro.catalog.load import load_dataset
from repro.catalog.recipe import design_function, has_function, recipe_fields, source_digest
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
    resolved = [resolve_config(recipe.Config, [shared, cell, on_top], study.recipe) for cell in cells]
    specs: dict[str, TrialSpec] = {}
    for replicate in replicates:
        for cell, of_cell in zip(cells, resolved, strict=True):
            seed = {"seed": replicate} if seeded else {}
            config = dataclasses.replace(of_cell, **seed)
            spec = TrialSpec(
                study=study.id,
                recipe=study.recipe,
                config=to_json(dataclasses.asdict(config)),
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
            specs.setdefault(spec.key, spec)
    if not specs:
        raise PlanError(f"Study '{study.id}' lays out no trial at scale '{scale.name}'; its design is empty.")
    return list(specs.values())


LayOut = Callable[..., list[TrialSpec]]
"""`lay_out`, or something that remembers what it returned."""


def remembering() -> LayOut:
    """Return a `lay_out` that works out what it was asked before only once."""
    laid_out: dict[str, list[TrialSpec]] = {}

    def remembered(study: Study, scale: Scale, *arms: Any) -> list[TrialSpec]:
        asked = canonical_json([to_json(study), to_json(scale), to_json(arms)])
        if asked not in laid_out:
            laid_out[asked] = lay_out(study, scale, *arms)
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
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    fields = [field.name for field in dataclasses.fields(config_class)]
    node = OmegaConf.structured(config_class)
    OmegaConf.set_readonly(node, False)
    for layer in layers:
        for key, value in layer.items():
            if key not in fields:
                raise ConfigError(f"'{key}' is no field of {recipe}.Config.{nearest(key, fields)}")
            try:
                OmegaConf.update(node, key, list(value) if isinstance(value, tuple) else value, merge=False)
            except OmegaConfBaseException as error:
                first_line = str(error).splitlines()[0]
                raise ConfigError(f"{recipe}.Config.{key} cannot take {value!r}: {first_line}.") from error
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return config_class(**{str(k): tuple(v) if isinstance(v, list) else v for k, v in plain.items()})


def _label(values: Mapping[str, Any]) -> str:
    """Return what tells a trial from its neighbours, for people."""
    return " ".join(f"{key}={f'{value:.4g}' if isinstance(value, float) else value}" for key, value in values.items())
