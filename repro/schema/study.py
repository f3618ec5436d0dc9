"""A recipe with a set of trials, and what changes at each scale."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Design:
    """How the trials are laid out: a grid, explicit cells, or a function. Exactly one, or none for one trial.

    A `function`, one of the recipe or by its full dotted name one of another module, is called as `function(config)` with the resolved `Config` and returns one dict of field values a trial.
    """

    grid: Mapping[str, tuple[Any, ...]] | None = None
    cells: tuple[Mapping[str, Any], ...] | None = None
    function: str | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"design takes one of grid, cells or function, not {' and '.join(given)}")


@dataclass(frozen=True)
class Resources:
    """What one trial asks of the machine that somebody places it on. None of it is sealed: it says where a trial can run.

    What is left out follows from the trial: one GPU where its scale runs on CUDA, one CPU, and the scale's time limit.
    """

    gpus: int | None = None
    cpus: int | None = None
    memory_gb: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("gpus", 0), ("cpus", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        for name in ("memory_gb", "minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value:g}")

    def or_else(self, other: "Resources") -> "Resources":
        """Return these, with what they leave out taken from others."""
        return Resources(
            *(
                theirs if mine is None else mine
                for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )


@dataclass(frozen=True)
class ScaleDelta:
    """What one scale changes in the study: parameters and resources one by one; design, replicates and data as a whole."""

    params: Mapping[str, Any] = field(default_factory=dict)
    design: Design | None = None
    replicates: int | None = None
    time_limit_s: float | None = None
    data: tuple[str, ...] | None = None
    """Data sets read at this scale instead of the study's; an empty list for none at all."""
    note: str = ""
    resources: Resources = Resources()


@dataclass(frozen=True)
class Study:
    """A recipe, what every trial shares, the layout of the trials, and its scales."""

    id: str
    recipe: str
    scales: Mapping[str, ScaleDelta]
    params: Mapping[str, Any] = field(default_factory=dict)
    design: Design = Design()
    replicates: int = 1
    measures: Literal["value", "time"] = "value"
    deterministic: bool = False
    """No random draw enters the result; checked by two seeds in two processes."""
    data: tuple[str, ...] = ()
    """Data sets that the trials read, by id."""
    note: str = ""
    resources: Resources = Resources()

    def data_at(self, scale: str) -> tuple[str, ...]:
        """Return the data sets that the trials of a scale read: the scale's own if it names any, else the study's."""
        delta = self.scales.get(scale)
        return self.data if delta is None or delta.data is None else delta.data

    def resources_at(self, scale: str) -> Resources:
        """Return what a trial of a scale asks of its machine: what the scale says, else what the study says."""
        delta = self.scales.get(scale)
        return self.resources if delta is None else delta.resources.or_else(self.resources)


@dataclass(frozen=True)
class Scale:
    """Where a scale runs and for how long one trial may take."""

    name: str
    device: Literal["cpu", "cuda"]
    precision: str
    time_limit_s: float
    description: str
