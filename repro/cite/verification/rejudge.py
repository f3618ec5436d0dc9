"""The attempt that a seal and its records give, worked out with the installed estimator. Nothing of a bundle is run.

A bundle names an estimator. Only its name is used, to choose among those that are installed; see `installed_estimator`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from repro.catalog.estimators import check_estimator, estimator_is_sealed_one, estimators_of
from repro.judge.facts import facts
from repro.judge.looks import judge_look_by_look, seeds_of_look
from repro.judge.validity import validity
from repro.schema.canonical import canonical_json
from repro.schema.claim import EstimatorSpec
from repro.schema.documents import read_attempt
from repro.schema.errors import ConfigError, EstimateError
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt, Estimate, Sealed
from repro.stats.estimator import Estimator

NO_RECIPE = "repro.stats"
"""Stands for a recipe without estimators of its own, so that only those of `repro.stats` may be named."""


MOST = 1_000_000
"""Most draws, starts or repeats that are done for a stranger."""
MOST_AT_ONCE = 100 * MOST
"""Most of them times trials: a bootstrap holds as many numbers in memory."""


class NotInstalled(ConfigError):
    """An estimator that this installation does not have, that takes other arguments here, or is asked for too much."""


class NotJudged(EstimateError):
    """Records that the installed estimator cannot read at all."""


@dataclass(frozen=True)
class Installed:
    """The estimator of this installation that has the sealed name."""

    function: Estimator
    is_sealed_one: bool
    """Whether its sources have the sealed digest."""


def installed_estimator(sealed: Sealed, trials: int = 1) -> Installed:
    """Return the estimator that a seal names, of those that this installation exports.

    They are those of `repro.stats`, and those of the recipe that the installed study of the sealed name has. No module is
    imported because a bundle names it: neither a recipe, nor an estimator, nor a package above one.

    Args:
        sealed: names it, with its arguments.
        trials: how many it is to read.

    Raises:
        NotInstalled: if there is no such estimator here.
    """
    specs = [EstimatorSpec(sealed.estimator, control.arguments) for control in sealed.controls.values()]
    specs.append(EstimatorSpec(sealed.estimator, sealed.arguments))
    recipe = _installed_recipe(sealed) or NO_RECIPE
    if sealed.estimator not in estimators_of(recipe):
        raise NotInstalled(f"no estimator of this installation is called '{sealed.estimator:.100}'.")
    try:
        functions = [check_estimator(spec, recipe, sealed.estimator) for spec in specs]
    except ConfigError as error:
        raise NotInstalled(str(error)) from error
    for spec, function in zip(specs, functions, strict=True):
        _require_bounded(spec, function, trials)
    return Installed(functions[0], estimator_is_sealed_one(sealed))


def _require_bounded(spec: EstimatorSpec, function: Estimator, trials: int) -> None:
    most = min(MOST, MOST_AT_ONCE // max(trials, 1))
    for name, parameter in inspect.signature(function).parameters.items():
        size = spec.arguments.get(name)
        if parameter.annotation in (int, "int") and name != "seed" and isinstance(size, int) and size > most:
            raise NotInstalled(
                f"{spec.target} is asked for {name} = {size:.3g}; no more than {most} is done for a stranger."
            )


def _installed_recipe(sealed: Sealed) -> str | None:
    """Return the recipe of the installed study that the seal names, where the estimator is that recipe's own."""
    if sealed.estimator.startswith("repro.stats."):
        return None
    from repro.catalog.load import config_files, load

    if sealed.study not in config_files("study"):
        return None
    recipe: str = load("study", sealed.study).recipe
    return recipe if sealed.estimator.rpartition(".")[0] == f"{recipe}_estimators" else None


def rejudge(claimed: Attempt, records: Sequence[TrialRecord], paper_flops: str | None, estimator: Estimator) -> Attempt:
    """Return the attempt that its seal and records give, whatever it says of itself.

    Id, arms, validity, course and verdict are worked out; config, overrides, provenance and number are the producer's word
    and stay. `current` means here that every record carries the seal.

    Args:
        claimed: as it stands in the bundle.
        records: of its trials, also failed ones.
        paper_flops: the paper's own compute as printed.
        estimator: that is installed under the sealed name.

    Raises:
        NotJudged: if the estimator stumbles over the records.
    """
    sealed = claimed.sealed
    counting = {record.key: record for record in records if record.status != "failed"}

    def estimates_at(look: int) -> dict[str, Mapping[str, Estimate]] | None:
        arms = arms_at(sealed, look, counting)
        if arms is None:
            return None
        return {arm: _estimate(sealed, arm, [counting[key] for key in keys], estimator) for arm, keys in arms.items()}

    look, verdict = judge_look_by_look(sealed, estimates_at)
    arms = arms_at(sealed, look, counting) or dict(claimed.arms)
    read = [counting[key] for key in dict.fromkeys(key for keys in arms.values() for key in keys) if key in counting]
    course = facts(read, arms["main"], paper_flops)
    again = replace(
        claimed,
        id=f"{sealed.claim}@{sealed.protocol}@{sealed.scale}-{sealed.digest[:8]}-{claimed.counter}",
        claim=sealed.claim,
        protocol=sealed.protocol,
        scale=sealed.scale,
        execution="completed" if verdict else "failed",
        validity=validity(
            seal=sealed.digest, record_seals=[record.seals for record in read], current_seal=sealed.digest
        ),
        exploratory=bool(claimed.overrides),
        arms=arms,
        verdict=verdict,
        started=course.started or claimed.started,
        finished=course.finished,
        seconds=course.seconds,
        compute_ratio=course.compute_ratio,
        message="" if verdict else claimed.message,
    )
    # Once through its file, as what is claimed went: a whole number of degrees of freedom is a float there.
    return read_attempt(canonical_json(to_json(again)), "the recomputed attempt")


def arms_at(sealed: Sealed, look: int, counting: Mapping[str, TrialRecord]) -> dict[str, tuple[str, ...]] | None:
    """Return the trial keys that a look reads, by arm, or None if one of them has no record that counts.

    Every replicate has the same trials, so the seal says how many a look reads, and the records which.
    """
    whole = {"main": sealed.trials, **{name: control.trials for name, control in sealed.controls.items()}}
    if look >= sealed.looks:
        complete = all(key in counting for keys in whole.values() for key in keys)
        return whole if complete else None
    seeds = set(seeds_of_look(sealed, look))
    arms = {
        arm: tuple(key for key in keys if key in counting and counting[key].replicate in seeds)
        for arm, keys in whole.items()
    }
    complete = all(len(arms[arm]) * len(sealed.replicates) == len(keys) * len(seeds) for arm, keys in whole.items())
    return arms if complete else None


def _estimate(sealed: Sealed, arm: str, records: Sequence[TrialRecord], estimator: Estimator) -> Mapping[str, Estimate]:
    """Apply the estimator to one arm, as `repro.catalog.estimators.estimate_arm` does, without Hydra.

    Hydra would read `${...}` in arguments, which are a stranger's here.
    """
    arguments = sealed.arguments if arm == "main" else sealed.controls[arm].arguments
    try:
        result = estimator(records, **arguments)
    except EstimateError as error:
        return {part: Estimate(value=None, n=len(records), note=str(error)) for part in sealed.parts}
    except Exception as error:  # whatever rows that no recipe of this project gave may lead to
        raise NotJudged(f"{inspect.unwrap(estimator).__name__} cannot read these rows ({_shown(error)}).") from error
    return {"value": result} if isinstance(result, Estimate) else result


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
