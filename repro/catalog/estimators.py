"""The one place where a config names code to call: a protocol's estimator, checked against an allowlist."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import repro.stats
from repro.catalog.recipe import module_file, source_digest
from repro.schema.claim import EstimatorSpec
from repro.schema.errors import ConfigError, EstimateError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate, Sealed
from repro.stats.estimator import Estimator


def estimators_of(recipe: str) -> dict[str, Estimator]:
    """Return the estimators that a protocol on this recipe may name, by dotted name.

    They are what the modules of `repro.stats` and the recipe's own `<recipe>_estimators` export in `__all__`
    and mark with `@estimator`.
    """
    found = dict(_of_stats())
    own = f"{recipe}_estimators"
    if module_file(own) is not None:
        found |= _exported(own)
    return found


@cache
def _of_stats() -> dict[str, Estimator]:
    found: dict[str, Estimator] = {}
    for module in pkgutil.walk_packages(repro.stats.__path__, "repro.stats."):
        found |= _exported(module.name)
    return found


def _exported(module: str) -> dict[str, Estimator]:
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", ())
    return {f"{module}.{n}": getattr(loaded, n) for n in names if hasattr(getattr(loaded, n, None), "resampling_unit")}


def check_estimator(spec: EstimatorSpec, recipe: str, where: str) -> Estimator:
    """Return the estimator that `spec` names.

    Raises:
        ConfigError: if it is not exported, or does not take one of the arguments.
    """
    valid = estimators_of(recipe)
    if spec.target not in valid:
        raise ConfigError(
            f"{where}._target_ names '{spec.target}', which is not an exported estimator.{nearest(spec.target, valid)}"
        )
    function = valid[spec.target]
    parameters = inspect.signature(function).parameters
    accepted = [name for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    for argument in spec.arguments:
        if argument not in accepted:
            raise ConfigError(
                f"{where} has the argument '{argument}', which {spec.target} does not take.{nearest(argument, accepted)}"
            )
    required = [n for n in accepted if parameters[n].default is inspect.Parameter.empty and n not in spec.arguments]
    if required:
        raise ConfigError(f"{where} lacks the argument '{required[0]}', which {spec.target} requires.")
    return function


def estimator_digest(spec: EstimatorSpec) -> str:
    """Return the digest of the estimator's module and of what it imports from this project."""
    return source_digest(spec.target.rpartition(".")[0])


def estimate(
    spec: EstimatorSpec, recipe: str, records: Sequence[TrialRecord], arguments: Mapping[str, Any]
) -> Mapping[str, Estimate]:
    """Instantiate the estimator through Hydra and apply it to the records of one arm.

    Returns:
        One estimate a part; a single estimate is the part `value`.

    Raises:
        EstimateError: if the estimator refuses the records.
        ConfigError: if the estimator is not exported.
    """
    from hydra.utils import instantiate

    check_estimator(EstimatorSpec(spec.target, arguments), recipe, spec.target)
    call = instantiate({"_target_": spec.target, "_partial_": True, **arguments}, _recursive_=False, _convert_="all")
    result = call(records)
    return {"value": result} if isinstance(result, Estimate) else result


def estimate_arm(sealed: Sealed, arm: str, records: Sequence[TrialRecord]) -> Mapping[str, Estimate]:
    """Apply the sealed estimator to one arm; records it refuses give an estimate without a value and the reason."""
    arguments = sealed.arguments if arm == "main" else sealed.controls[arm].arguments
    try:
        return estimate(EstimatorSpec(sealed.estimator, arguments), records[0].recipe, records, arguments)
    except EstimateError as error:
        return {part: Estimate(value=None, n=len(records), note=str(error)) for part in sealed.parts}


def estimator_is_sealed_one(sealed: Sealed) -> bool:
    """Say whether the installed estimator is the one that was sealed."""
    return estimator_digest(EstimatorSpec(sealed.estimator, sealed.arguments)) == sealed.estimator_sources
