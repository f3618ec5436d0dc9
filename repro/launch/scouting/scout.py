"""A few training runs that are no evidence and show where a study's grids ought to lie.

A recipe that can be scouted offers `scout(config)`, which lays such runs out as a design function does, and
`shape_of(config).parameters`, the size of a run's model. Its rows have `budget`, `params` and `loss`.
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from repro.catalog.compose import compose_config
from repro.catalog.load import config_files, load_study
from repro.catalog.parse import parse
from repro.catalog.recipe import design_function, has_function, recipe_fields
from repro.launch.planning.layout import lay_out, resolve_config
from repro.launch.records.store import RecordStore
from repro.launch.running.trials import config_of
from repro.schema.errors import ConfigError, PlanError, nearest
from repro.schema.study import Design, Scale, Study
from repro.schema.trial import Plan, TrialSpec

FIRST_SEED = 1000
"""Scout runs have this seed and no sealed trial any so high, so that what was looked at decides nothing."""
SAME_BUDGET = 0.01
"""Two budgets that differ by less than this share are one."""


@dataclass(frozen=True)
class Scouting:
    """The scout runs of a study at a scale, and the grid they are to centre."""

    study: Study
    scale: Scale
    executor: Mapping[str, Any]
    config: Any
    """The recipe's `Config` as the study has it at this scale, before any run is laid out."""
    ladder: tuple[float, ...]
    """Parameters at each rung of `widths` and `depths`; empty for a recipe without them."""
    grid: Mapping[float, tuple[float, ...]]
    """By budget, the sizes that the study itself would train."""
    trials: tuple[TrialSpec, ...]

    @property
    def plan(self) -> Plan:
        """A plan without attempts: nothing is sealed."""
        return Plan((), self.trials, datetime.now(UTC).isoformat(timespec="seconds"))

    def missing(self, store: RecordStore) -> list[TrialSpec]:
        """Return the runs that have no record yet."""
        return [spec for spec in self.trials if store.find(spec, "") is None]


def scouting_of(study_id: str, scale: str | None, budgets: Sequence[float], words: Sequence[str]) -> Scouting:
    """Lay out the scout runs of a study.

    Args:
        study_id: the study.
        scale: at which; None for `cpu`, or the first there is.
        budgets: only these, in FLOPs; none for all.
        words: `executor=` and fields of the recipe's `Config`, as `lr=0.04`.

    Raises:
        ConfigError: for a study, scale, budget or field that does not exist.
        PlanError: if its recipe cannot be scouted.
    """
    plain = load_study(study_id)
    layouts, _ = design_function(plain.recipe, plain.design.function or "")
    for module, function, says in (
        (layouts, "scout", "what to train"),
        (plain.recipe, "shape_of", "how large a model is"),
    ):
        if not has_function(module, function):
            raise PlanError(
                f"Study '{study_id}' cannot be scouted: {module} has no function {function}(config), which says {says}."
            )
    if "seed" not in recipe_fields(plain.recipe):
        raise PlanError(
            f"Study '{study_id}' cannot be scouted: {plain.recipe}.Config has no field 'seed', which would keep scout runs apart "
            f"from sealed trials."
        )
    scale = scale or ("cpu" if "cpu" in plain.scales else next(iter(plain.scales)))
    if scale not in plain.scales:
        raise ConfigError(f"Study '{study_id}' has no scale '{scale}'.{nearest(scale, plain.scales)}")
    study, where, executor = _composed(study_id, scale, words, plain)
    recipe, config = _recipe_and_config(study, scale)
    scouts = replace(study, design=Design(function=f"{layouts}.scout"), replicates=1)
    scouts = replace(scouts, scales={scale: replace(study.scales[scale], design=None, replicates=None)})
    try:
        trials = lay_out(scouts, where, (FIRST_SEED,))
        own = lay_out(study, where, (0,))
    except ValueError as error:
        raise ConfigError(f"Study '{study_id}' cannot be laid out at scale '{scale}': {error}.") from error
    grid: dict[float, set[float]] = {}
    for spec in own:
        size = recipe.shape_of(config_of(recipe, spec)).parameters
        grid.setdefault(float(spec.config.get("budget") or 0.0), set()).add(float(size))
    chosen = _of_budgets(trials, budgets)
    return Scouting(
        study=study,
        scale=where,
        executor=executor,
        config=config,
        ladder=_ladder(recipe, config),
        grid={budget: tuple(sorted(sizes)) for budget, sizes in grid.items()},
        trials=tuple(chosen),
    )


def _composed(study_id: str, scale: str, words: Sequence[str], plain: Study) -> tuple[Study, Scale, Mapping[str, Any]]:
    """Return study, scale and executor with the words applied; fields typed by hand also win over the scale's."""
    fields, overrides, typed = recipe_fields(plain.recipe), [f"study={study_id}", f"scale={scale}"], []
    for word in words:
        key, equals, value = word.partition("=")
        if key == "executor" or key.startswith("executor."):
            overrides.append(word)
        elif equals and key in fields:
            typed.append(key)
            overrides.append(f"++study.params.{key}={value}")
        else:
            valid = [*fields, "scale", "executor"]
            raise ConfigError(
                f"'{word}' is no budget in FLOPs, and '{key}' no field of {plain.recipe}.Config.{nearest(key, valid)}"
            )
    if study_id not in config_files("study"):
        raise ConfigError(f"There is no study '{study_id}'.{nearest(study_id, config_files('study'))}")
    composed = compose_config(overrides)
    study: Study = parse("study", study_id, composed["study"], f"{study_id}, as composed")
    delta = study.scales[scale]
    params = {**delta.params, **{key: study.params[key] for key in typed}}
    study = replace(study, scales={**study.scales, scale: replace(delta, params=params)})
    return study, parse("scale", scale, composed["scale"], "scale"), composed["executor"]


def _recipe_and_config(study: Study, scale: str) -> tuple[Any, Any]:
    recipe = importlib.import_module(study.recipe)
    return recipe, resolve_config(recipe.Config, [study.params, study.scales[scale].params], study.recipe)


def _ladder(recipe: Any, config: Any) -> tuple[float, ...]:
    if not (hasattr(config, "widths") and hasattr(config, "depths")):
        return ()
    rungs = zip(config.widths, config.depths, strict=False)
    shapes = [recipe.shape_of(replace(config, d_model=width, n_layer=depth)) for width, depth in rungs]
    return tuple(float(shape.parameters) for shape in shapes)


def _of_budgets(trials: Sequence[TrialSpec], budgets: Sequence[float]) -> list[TrialSpec]:
    if not budgets:
        return list(trials)
    there = sorted({float(spec.config.get("budget") or 0.0) for spec in trials})
    for wanted in budgets:
        if not any(same_budget(wanted, budget) for budget in there):
            raise ConfigError(
                f"There is no budget {wanted:g} here; the budgets are {', '.join(f'{b:g}' for b in there)}."
            )
    return [spec for spec in trials if any(same_budget(wanted, float(spec.config["budget"])) for wanted in budgets)]


def same_budget(one: float, other: float) -> bool:
    """Say whether two budgets are one."""
    return math.isclose(one, other, rel_tol=SAME_BUDGET)
