"""How long a planned trial will take, by those that ended. Pure."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping

from repro.launch.planning.cost import Speeds, Timing, cell_name, speeds_of
from repro.launch.planning.outlines import PlannedTrial
from repro.launch.records.glimpses import Glimpse, Look

Expected = Callable[[PlannedTrial], float | None]
"""Seconds that a trial is expected to take on its device, or None."""


def expectation(look: Look, trials: Collection[PlannedTrial]) -> Expected:
    """Return a function that says how long a trial will take.

    As long as trials of its cell took; else by its FLOPs at the speed of its recipe on such a device; else as long as trials of its
    recipe took on average.

    Args:
        look: with the trials that ended.
        trials: those that will be asked for.
    """
    recipes = {trial.recipe for trial in trials}
    ended = [each for found in look.ended.values() for each in found if each.recipe in recipes]
    speeds = speeds_of(Timing(_cell(each), each.recipe, each.device, each.flops, each.seconds) for each in ended)
    means = _means(ended)

    def expected(trial: PlannedTrial) -> float | None:
        return _seconds(trial, speeds, means)

    return expected


def _cell(trial: PlannedTrial | Glimpse) -> str:
    return cell_name(trial.recipe, trial.device, trial.precision, trial.config)


def _means(ended: Iterable[Glimpse]) -> dict[tuple[str, str], float]:
    seconds: dict[tuple[str, str], list[float]] = {}
    for each in ended:
        seconds.setdefault((each.recipe, each.device), []).append(each.seconds)
    return {kind: math.fsum(found) / len(found) for kind, found in seconds.items()}


def _seconds(trial: PlannedTrial, speeds: Speeds, means: Mapping[tuple[str, str], float]) -> float | None:
    before = speeds.seconds.get(_cell(trial))
    if before is not None:
        return before
    speed = speeds.flops_per_s.get((trial.recipe, trial.device))
    if speed and trial.cost:
        return trial.cost / speed
    return means.get((trial.recipe, trial.device))
