"""What makes a function an estimator: it reads records, names its resampling unit, and may name its simulator."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate


class Estimator(Protocol):
    """Records of one arm to an estimate, or to one estimate a part."""

    resampling_unit: str
    simulator: str
    """Dotted name of its simulator; empty where it has none."""

    def __call__(self, records: Sequence[TrialRecord], **arguments: Any) -> Estimate | Mapping[str, Estimate]:
        """Return the estimate; raises `EstimateError` for records it refuses."""
        ...


class Simulator(Protocol):
    """Records of an attempt to records as they might have been, had the truth been another."""

    def __call__(
        self, records: Sequence[TrialRecord], truth: Mapping[str, float], rng: np.random.Generator, **arguments: Any
    ) -> Sequence[TrialRecord]:
        """Return records laid out as the given ones, whose estimand is `truth` and whose noise is what those show.

        Args:
            records: of the main arm of an attempt; they tell the layout and the noise.
            truth: by part; parts that it does not name stay as recorded.
            rng: the only source of chance.
            arguments: the estimator's own.

        Raises:
            EstimateError: for records that show no noise, or a truth that the layout cannot hold.
        """
        ...


F = TypeVar("F", bound=Callable[..., Any])


def estimator(unit: str, simulator: str = "") -> Callable[[F], F]:
    """Mark a function of `repro.stats`, or of a recipe's estimator module, as an estimator.

    Args:
        unit: what its standard error resamples: seed, budget, run, length, none.
        simulator: dotted name of the `Simulator` that calibrates it. A name and no import, because the seal covers what
            an estimator imports, and a simulator decides no verdict.
    """

    def mark(function: F) -> F:
        function.resampling_unit = unit  # type: ignore[attr-defined]
        function.simulator = simulator  # type: ignore[attr-defined]
        return function

    return mark


def simulator_of(function: Estimator) -> Simulator | None:
    """Return the simulator that an estimator names, or None if it names none."""
    module, _, name = function.simulator.rpartition(".")
    return cast(Simulator, getattr(import_module(module), name)) if name else None
