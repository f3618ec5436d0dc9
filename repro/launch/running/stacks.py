"""Which trials run side by side, and in which order: those of one shape together, the longest first. Standard library only.

A recipe that offers `run_batch(configs, contexts)` says by `stack_of(config)` which of its trials may be handed over
together: those of which it is equal. How many at once, `stack_size(configs, context)` may measure.
"""

import importlib
import itertools
import math
import warnings
from collections.abc import Hashable, Iterable

from repro.catalog.recipe import has_function
from repro.launch.running.several_processes import processes_of
from repro.launch.running.trials import config_of
from repro.schema.context import Context
from repro.schema.dataset import require
from repro.schema.trial import TrialSpec

Stack = tuple[TrialSpec, ...]


def stacks(trials: Iterable[TrialSpec], jobs: int = 1) -> list[Stack]:
    """Return trials in stacks that may run side by side, the most expensive first.

    Trials that measure time, and those that need a process of their own, are alone, and the former keep their order:
    sizes were interleaved in time on purpose. So do trials of equal cost.

    Args:
        trials: to arrange.
        jobs: workers that take stacks side by side; no stack is left with more than a fair share of the whole cost.
    """
    trials = list(trials)
    groups: dict[Hashable, list[TrialSpec]] = {}
    for number, spec in enumerate(t for t in trials if t.measures == "value"):
        groups.setdefault(_together(spec, number), []).append(spec)
    found = _shared_out([tuple(group) for group in groups.values()], jobs)
    found.sort(key=_cost, reverse=True)
    return found + [(spec,) for spec in trials if spec.measures == "time"]


def _together(spec: TrialSpec, number: int) -> Hashable:
    """Return what the trials of one stack have in common; the number of the trial if it is to be alone."""
    if spec.own_process or not (has_function(spec.recipe, "run_batch") and has_function(spec.recipe, "stack_of")):
        return number
    recipe = importlib.import_module(spec.recipe)
    try:
        config = config_of(recipe, spec)
        if processes_of(recipe, spec, config) > 1:
            return number
        common = recipe.stack_of(config)
    except Exception:
        return number  # it fails alone, with a record that says why
    data = tuple(sorted(data.sha256 for data in spec.data))
    return spec.recipe, spec.sources, spec.device, spec.precision, data, common


def _shared_out(found: list[Stack], jobs: int) -> list[Stack]:
    """Halve the most expensive stack until none would keep one of several workers busy after the others are done."""
    fair = math.fsum(map(_cost, found)) / jobs
    while jobs > 1:
        largest = max((stack for stack in found if len(stack) > 1), key=_cost, default=())
        if not largest or _cost(largest) <= fair:
            break
        half = len(largest) // 2
        found[found.index(largest) : found.index(largest) + 1] = [largest[:half], largest[half:]]
    return found


def _cost(stack: Stack) -> float:
    """Return the FLOPs of a stack; where the recipe does not say them, its trials count alike."""
    return math.fsum(1.0 if spec.cost is None else spec.cost for spec in stack)


def cut(stack: Stack, at_most: int | None = None) -> list[Stack]:
    """Cut a stack into pieces of the size that the recipe's `stack_size` measures on this device, as evenly as can be.

    Args:
        stack: to cut. A recipe without `stack_size` takes the whole.
        at_most: the most trials in a piece, whatever was measured.
    """
    size = min(_measured_size(stack), at_most or len(stack))
    pieces = -(-len(stack) // size)
    ends = [round(len(stack) * number / pieces) for number in range(pieces + 1)]
    return [stack[first:last] for first, last in itertools.pairwise(ends)]


def _measured_size(stack: Stack) -> int:
    if len(stack) == 1 or not has_function(stack[0].recipe, "stack_size"):
        return len(stack)
    recipe, spec = importlib.import_module(stack[0].recipe), stack[0]
    try:
        context = Context(spec.device, spec.precision, {data.id: require(data) for data in spec.data})
        return max(1, int(recipe.stack_size([config_of(recipe, each) for each in stack], context)))
    except Exception as reason:
        warnings.warn(f"stack_size of {spec.recipe} failed, so that {len(stack)} run at once: {reason}", stacklevel=3)
        return len(stack)
